"""Streaming text normalization: text that is still arriving is normalized window by window.

Most words concern no rule and pass as soon as they are complete. A token that may (a digit, a sign,
an abbreviation, a month ...) opens a window, which ends after the first plain word behind it: no rule
looks further ahead, and for lookbehind every window is given the text before it. So where a window
ends depends only on the words, never on the pieces that the text arrives in.
"""

from __future__ import annotations

from collections.abc import Iterator

import regex  # type: ignore[import-untyped]

from wyoming_tts.text.normalization.language_data import LanguageData
from wyoming_tts.text.normalization.normalizer import TextNormalizer
from wyoming_tts.text.normalization.rules import UNSPACED
from wyoming_tts.text.plain_text import TextPiece

MAX_WINDOW_CHARS = 200
MAX_TOKEN_CHARS = 300
"""No rule matches longer tokens."""
_BEFORE_CHARS = 48

_TOKEN_RE = regex.compile(r"\s*+(\S++)(?=\s)")
_LAST_TOKEN_RE = regex.compile(r"\s*+(\S++)")
_UNSPACED = UNSPACED + "、。，！？：；"
_UNSPACED_RUN = rf"[{_UNSPACED}]{{1,12}}+"
_UNSPACED_TOKEN_RE = regex.compile(rf"\s*+({_UNSPACED_RUN}|[^\s{_UNSPACED}]++)(?=.)", regex.DOTALL)
"""In a language without spaces, where a token is a run of its letters or of anything else."""
_UNSPACED_LAST_TOKEN_RE = regex.compile(rf"\s*+({_UNSPACED_RUN}|[^\s{_UNSPACED}]++)")
_UNSPACED_WORD_RE = regex.compile(rf"[{UNSPACED}]*+[、。，！？：；].*+|[{UNSPACED}]{{3,}}+")
_UNSPACED_LETTERS_RE = regex.compile(_UNSPACED_RUN)
_WORD_RE = regex.compile(
    r"[\"'“”„‘«»‹›(\[¿¡]*+(?P<core>\p{L}[\p{L}\p{M}'’]*+(?:-[\p{L}\p{M}'’]++)*+)"
    r"(?P<stop>\.?)[.,;:!?…\"'“”’»«›)\]]*+"
)
_ROMAN_RE = regex.compile(r"[IVXLCDM]+")
_SPACE_RE = regex.compile(r"\s")
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
        self._is_spaced = normalizer.language is None or normalizer.language.is_spaced
        self._held = ""
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
        self._held += piece.text
        if (
            self._is_spaced
            and not self._passing
            and len(self._held) - self._scanned <= MAX_TOKEN_CHARS
            and not _SPACE_RE.search(piece.text)
        ):
            return []
        return _pieces(self._scan(_TOKEN_RE if self._is_spaced else _UNSPACED_TOKEN_RE))

    @property
    def begun(self) -> str:
        """The word that has begun, with the space before it; empty if a window is open."""
        return self._held if not self._scanned and _LETTERS_RE.fullmatch(self._held) else ""

    def flush(self) -> list[TextPiece]:
        """Return what is held back although more text may follow, as it has been held for long enough."""
        last = _LAST_TOKEN_RE if self._is_spaced else _UNSPACED_LAST_TOKEN_RE
        spoken = [*self._scan(last), self._close(), self._pass(len(self._held))]
        return _pieces(iter(spoken))

    def finish(self) -> list[TextPiece]:
        """End the text, or this part of it; return what was held back."""
        spoken = self.flush()
        self._passing = False
        return spoken

    def _scan(self, token_re: regex.Pattern[str]) -> Iterator[str]:
        if self._passing:
            yield self._pass_rest_of_token()
        at, start = self._scanned, 0
        text = self._held
        while match := token_re.match(text, at):
            begin, end = match.start(), match.end()
            token = match[1]
            too_long = len(token) > MAX_TOKEN_CHARS
            if at > start and (
                too_long or end - start > MAX_WINDOW_CHARS or "\n" in text[begin : match.start(1)]
            ):
                yield self._normalize(text[start:at])
                start = at
            plain = too_long or self._is_plain(token, inside=start < begin)
            at = end
            if plain:
                yield self._normalize(text[start:end]) if start < begin else self._skip(text[start:end])
                start = end
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
        space = _SPACE_RE.search(self._held)
        self._passing = space is None
        return self._pass(space.start() if space else len(self._held))

    def _close(self) -> str:
        window, self._held = self._held[: self._scanned], self._held[self._scanned :]
        self._scanned = 0
        return self._normalize(window)

    def _pass(self, chars: int) -> str:
        passed, self._held = self._held[:chars], self._held[chars:]
        return self._skip(passed)

    def _normalize(self, window: str) -> str:
        spoken = self._normalizer.normalize(window, self._before)
        self._skip(window)
        return spoken

    def _skip(self, text: str) -> str:
        self._before = (self._before + text)[-_BEFORE_CHARS:]
        return text

    def _is_plain(self, token: str, *, inside: bool) -> bool:
        if not self._is_spaced and _UNSPACED_LETTERS_RE.fullmatch(token):
            # A short run inside may stand between two numbers, as in a date.
            return not inside or _UNSPACED_WORD_RE.fullmatch(token) is not None
        word = _WORD_RE.fullmatch(token)
        if word is None:
            return False
        core = word["core"]
        if inside and (core in self._units or self._half_day_re.fullmatch(core)):
            return False  # the noun that it describes may follow, "a 5 km run", or "AM – 5 PM"
        if core in self._special or (word["stop"] and f"{core}." in self._special):
            return False
        if "-" in core and any(part in self._special for part in core.split("-")):
            return False
        return _ROMAN_RE.fullmatch(core) is None


def _pieces(spoken: Iterator[str]) -> list[TextPiece]:
    text = "".join(spoken)
    return [TextPiece(text)] if text else []


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
