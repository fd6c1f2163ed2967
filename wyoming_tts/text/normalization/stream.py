"""Streaming text normalization: text that is still arriving is normalized window by window.

Most words concern no rule and pass as soon as they are complete. A token that may (a digit, a sign,
an abbreviation, a month ...) opens a window, which ends after the first plain word behind it: no rule
looks further ahead, and for lookbehind every window is given the text before it. So where a window
ends depends only on the words, never on the pieces that the text arrives in.

In scripts without spaces each letter is a token, and two of them are as much as a word.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import regex  # type: ignore[import-untyped]

from wyoming_tts.offset_text import OffsetBuffer, join_texts
from wyoming_tts.text.normalization.foreign_figures import to_ascii_figures
from wyoming_tts.text.normalization.language_data import LanguageData
from wyoming_tts.text.normalization.normalizer import TextNormalizer
from wyoming_tts.text.plain_text import TextPiece
from wyoming_tts.text.unspaced_scripts import UNSPACED_LETTERS

MAX_WINDOW_CHARS = 200
MAX_TOKEN_CHARS = 300
"""No rule matches longer tokens."""
_BEFORE_CHARS = 48


@dataclass(frozen=True, slots=True)
class _Tokens:
    """Patterns of tokens, which spaces separate; where none are written, letters and stops are tokens too."""

    complete: regex.Pattern[str]
    """A token behind which no more of it can follow."""
    last: regex.Pattern[str]
    """One at the end of a text."""
    over: regex.Pattern[str]
    """What a token ends at."""
    single: regex.Pattern[str]
    """A token of one character."""
    plain: regex.Pattern[str]
    """A run of those that concern no rule."""


_SPACED = _Tokens(
    complete=regex.compile(r"\s*+(\S++)(?=\s)"),
    last=regex.compile(r"\s*+(\S++)"),
    over=regex.compile(r"\s"),
    single=regex.compile(r"(?!)"),
    plain=regex.compile(r"(?!)"),
)
_SINGLE = UNSPACED_LETTERS + "。，、；！？（）「」『』【】《》〈〉〔〕“”"


def _unspaced_tokens(special: str) -> _Tokens:
    """The tokens of scripts without spaces; the special letters concern a rule."""
    others = rf"[^\s{_SINGLE}]++"
    return _Tokens(
        complete=regex.compile(rf"\s*+(?|([{_SINGLE}])|({others})(?=[\s{_SINGLE}]))"),
        last=regex.compile(rf"\s*+(?|([{_SINGLE}])|({others}))"),
        over=regex.compile(rf"[\s{_SINGLE}]"),
        single=regex.compile(f"[{_SINGLE}]"),
        plain=regex.compile(rf"(?:\s*+[[{_SINGLE}]--[\0{special}]])++", regex.V1),
    )


_LETTER_RE = regex.compile(f"[{UNSPACED_LETTERS}]")
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
        self._special = _special_words(normalizer.language) if normalizer.language else frozenset[str]()
        self._units = self._normalizer.language.units if self._normalizer.language else {}
        self._half_day_re = _half_day(normalizer.language)
        self._tokens = _tokens(normalizer.language)
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
        if window and (core in self._units or self._half_day_re.fullmatch(core)):
            return False  # the noun that it describes may follow, "a 5 km run", or "AM – 5 PM"
        if core in self._special or (word["stop"] and f"{core}." in self._special):
            return False
        if "-" in core and any(part in self._special for part in core.split("-")):
            return False
        return _ROMAN_RE.fullmatch(core) is None

    def _is_plain_single(self, token: str, window: str) -> bool:
        """Whether a character ends the window: a stop does, and the second letter of a word."""
        if not _LETTER_RE.match(token):
            return True
        return self._tokens.plain.match(token) is not None and _LETTER_RE.match(window[-1:]) is not None


def _pieces(spoken: Iterator[str]) -> list[TextPiece]:
    text = join_texts(spoken)
    return [TextPiece(text)] if text else []


def _tokens(language: LanguageData | None) -> _Tokens:
    if language is None or language.is_spaced:
        return _SPACED
    spellings = [*language.section("abbreviations"), *language.section("phrases")]
    special = "".join(each for each in spellings if _LETTER_RE.match(each))
    return _unspaced_tokens("".join(sorted(set(_LETTER_RE.findall(special)))))


def _half_day(language: LanguageData | None) -> regex.Pattern[str]:
    halves = (language.section("times").get("half_days") or {}) if language else {}
    return regex.compile("|".join(halves) or "(?!)", regex.IGNORECASE)


def _special_words(language: LanguageData) -> frozenset[str]:
    """Words, with their own full stop but no other punctuation, that a rule may change or continue from."""
    dates, times = language.section("dates"), language.section("times")
    found = {unit for unit, noun in language.units.items() if noun.alone}
    found.update(*(unit.split()[:-1] for unit in language.units))
    found.update(f"{unit.rstrip('.')}." for unit in language.units if unit.rstrip(".").isalpha())
    found.update(language.currencies, language.scales, "x")
    if language.data.get("compass_before"):
        found.update(point for point in language.section("compass") if len(point) > 1)
    for key in [*language.section("abbreviations"), *language.section("phrases")]:
        found.update(key.replace(" | ", " ").split())
    names = [*language.months, *language.weekdays, *(dates.get("month_forms") or [])]
    found.update(name for spellings in names for name in spellings)
    found.update(name for names in dates.get("month_names") or [] for name in names.split(" | "))
    year_ends = [
        {"suffix": dates.get("year_suffix")},
        {"suffix": (dates.get("year_first") or {}).get("between")},
    ]
    for entry in (*year_ends, *(language.section("numbers").get("ordinals") or [])):
        found.update(f"{word}." for word in regex.findall(r"(?<!\\)(\p{L}+)\\\.", entry.get("suffix") or ""))
    for pattern in (dates.get("between"), times.get("suffix"), times.get("before")):
        found.update(regex.findall(r"(?<!\\)\p{L}+", pattern or ""))
    return frozenset(found)
