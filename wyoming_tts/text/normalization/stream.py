"""Streaming text normalization: text that is still arriving is normalized window by window.

Most words concern no rule and pass as soon as they are complete. A token that may (a digit, a sign,
an abbreviation, a month ...) opens a window, which ends after the first plain word behind it: no rule
looks further ahead, and for lookbehind every window is given the text before it. So where a window
ends depends only on the words, never on the pieces that the text arrives in.

In scripts without spaces each letter is a token, and two of them are as much as a word.
"""

from __future__ import annotations

from collections.abc import Iterator

import regex  # type: ignore[import-untyped]

from wyoming_tts.offset_text import OffsetBuffer, join_texts
from wyoming_tts.text.normalization.foreign_figures import to_ascii_figures
from wyoming_tts.text.normalization.normalizer import TextNormalizer
from wyoming_tts.text.normalization.tokens import PLAIN_TOKENS, UNSPACED_LETTER_RE
from wyoming_tts.text.plain_text import TextPiece

MAX_WINDOW_CHARS = 200
MAX_TOKEN_CHARS = 300
"""No rule matches longer tokens."""
_BEFORE_CHARS = 48


_WORD_RE = regex.compile(
    r"[\"'“”„‘«»‹›(\[¿¡]*+(?P<core>\p{L}[\p{L}\p{M}'’\u200c\u200d]*+(?:-[\p{L}\p{M}'’]++)*+)"
    r"(?P<stop>\.?)[.,;:!?…\"'“”’»«›)\]،؛؟۔।॥]*+"
)
_ROMAN_RE = regex.compile(r"[IVXLCDM]+")
_LETTERS_RE = regex.compile(r"\s*+\p{L}++")


class StreamingNormalizer:
    """Normalizes cleaned pieces; `feed` takes any, `finish` returns what was held back.

    A phoneme block ends a window and passes untouched.
    """

    def __init__(self, normalizer: TextNormalizer) -> None:
        self._normalizer = normalizer
        self._tokens = normalizer.language_rules.tokens if normalizer.language_rules else PLAIN_TOKENS
        self._units = normalizer.language.units if normalizer.language else {}
        self._held = ""
        self._written = OffsetBuffer()
        """The same text with its offsets."""
        self._scanned = 0
        """End of the open window's tokens in `_held`."""
        self._before = ""
        self._passing = False
        """Inside a token that is too long."""

    def feed(self, piece: TextPiece) -> list[TextPiece]:
        """Normalize more text; hold back a window that is not complete."""
        if piece.raw:
            block = [*self.finish(), piece]
            self._before = ""
            return block
        if self._normalizer.language is None:
            return [piece]
        text = to_ascii_figures(piece.text)
        self._held += str(text)
        self._written.append(text)
        if (
            not self._passing
            and len(self._held) - self._scanned <= MAX_TOKEN_CHARS
            and not self._tokens.over.search(text)
        ):
            return []
        return _pieces(self._scan(self._tokens.complete))

    @property
    def held(self) -> str:
        """What is held back."""
        return self._held

    @property
    def begun(self) -> str:
        """The word that has begun, with the space before it; empty if a window is open."""
        return self._held if not self._scanned and _LETTERS_RE.fullmatch(self._held) else ""

    def flush(self) -> list[TextPiece]:
        """Return what is held back although more text may follow, as it has been held for long enough."""
        spoken = [*self._scan(self._tokens.last), self._close(), self._pass(len(self._held))]
        return _pieces(iter(spoken))

    def finish(self) -> list[TextPiece]:
        """End the text, or this part of it; return what was held back."""
        spoken = self.flush()
        self._passing = False
        return spoken

    def _scan(self, token_re: regex.Pattern[str]) -> Iterator[str]:
        if self._passing:
            yield self._pass_rest_of_token()
        at, start, spoken = self._scanned, 0, 0
        text = self._held
        while True:
            if at == start and (plain_run := self._tokens.plain.match(text, at)):
                at = start = plain_run.end()
            match = token_re.match(text, at)
            if match is None:
                break
            begin, end = match.start(), match.end()
            token = match[1]
            too_long = len(token) > MAX_TOKEN_CHARS
            if at > start and (
                too_long or end - start > MAX_WINDOW_CHARS or "\n" in text[begin : match.start(1)]
            ):
                yield from (self._skip(text[spoken:start]), self._normalize(text[start:at]))
                spoken = start = at
            plain = too_long or self._is_plain(token, window=text[start:begin])
            at = end
            if plain and start < begin:
                yield from (self._skip(text[spoken:start]), self._normalize(text[start:end]))
                spoken = end
            if plain:
                start = end
        if start > spoken:
            yield self._skip(text[spoken:start])
        self._held = text[start:]
        self._scanned = at - start
        if len(self._held) - self._scanned > MAX_TOKEN_CHARS:
            yield from self._pass_too_long()

    def _pass_too_long(self) -> Iterator[str]:
        rest = self._held[self._scanned :]
        if len(rest.lstrip()) <= MAX_TOKEN_CHARS:
            return
        yield self._close()
        yield self._pass(len(self._held))
        self._passing = True

    def _pass_rest_of_token(self) -> str:
        over = self._tokens.over.search(self._held)
        self._passing = over is None
        return self._pass(over.start() if over else len(self._held))

    def _close(self) -> str:
        window, self._held = self._held[: self._scanned], self._held[self._scanned :]
        self._scanned = 0
        return self._normalize(window)

    def _pass(self, chars: int) -> str:
        passed, self._held = self._held[:chars], self._held[chars:]
        return self._skip(passed)

    def _normalize(self, window: str) -> str:
        before = self._before
        return self._normalizer.normalize(self._skip(window), before)

    def _skip(self, text: str) -> str:
        """Return the text from where it was written, unchanged."""
        self._before = (self._before + text)[-_BEFORE_CHARS:]
        return self._written.take(len(text))

    def _is_plain(self, token: str, *, window: str) -> bool:
        if self._tokens.single.fullmatch(token):
            return self._is_plain_single(token, window)
        word = _WORD_RE.fullmatch(token)
        if word is None:
            return False
        core = word["core"]
        if window and (core in self._units or self._tokens.half_day.fullmatch(core)):
            return False  # the noun that it describes may follow, "a 5 km run", or "AM – 5 PM"
        if core in self._tokens.special or (word["stop"] and f"{core}." in self._tokens.special):
            return False
        if "-" in core and any(part in self._tokens.special for part in core.split("-")):
            return False
        return _ROMAN_RE.fullmatch(core) is None

    def _is_plain_single(self, token: str, window: str) -> bool:
        """Whether a character ends the window: a stop does, and the second letter of a word."""
        if not UNSPACED_LETTER_RE.match(token):
            return True
        return (
            self._tokens.plain.match(token) is not None and UNSPACED_LETTER_RE.match(window[-1:]) is not None
        )


def _pieces(spoken: Iterator[str]) -> list[TextPiece]:
    text = join_texts(spoken)
    return [TextPiece(text)] if text else []
