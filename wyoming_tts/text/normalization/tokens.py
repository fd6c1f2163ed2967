"""Tokens of a language: where each ends, and which concern a rule."""

from __future__ import annotations

from dataclasses import dataclass, replace

import regex  # type: ignore[import-untyped]

from wyoming_tts.text.normalization.language_data import LanguageData
from wyoming_tts.text.unspaced_scripts import UNSPACED_LETTERS

UNSPACED_LETTER_RE = regex.compile(f"[{UNSPACED_LETTERS}]")
_SINGLE = UNSPACED_LETTERS + "。，、；！？（）「」『』【】《》〈〉〔〕“”"
_NEVER = regex.compile(r"(?!)")


@dataclass(frozen=True, slots=True)
class Tokens:
    """Patterns of tokens, which spaces separate; where none are written, letters and stops are tokens too."""

    complete: regex.Pattern[str]
    """A token behind which no more of it can follow."""
    last: regex.Pattern[str]
    """One at the end of a text."""
    over: regex.Pattern[str]
    """What a token ends at."""
    single: regex.Pattern[str] = _NEVER
    """A token of one character."""
    plain: regex.Pattern[str] = _NEVER
    """A run of those that concern no rule."""
    special: frozenset[str] = frozenset()
    """Words that a rule may change or continue from, with their own full stop but no other punctuation."""
    half_day: regex.Pattern[str] = _NEVER
    """A word for a half of the day."""

    @classmethod
    def of(cls, language: LanguageData) -> Tokens:
        """Compile the tokens of a language, which takes some milliseconds."""
        halves = language.section("times").get("half_days") or {}
        return replace(
            PLAIN_TOKENS if language.is_spaced else _unspaced_tokens(language),
            special=_special_words(language),
            half_day=regex.compile("|".join(halves) or "(?!)", regex.IGNORECASE),
        )


PLAIN_TOKENS = Tokens(
    complete=regex.compile(r"\s*+(\S++)(?=\s)"),
    last=regex.compile(r"\s*+(\S++)"),
    over=regex.compile(r"\s"),
)
"""Between spaces, none of which concerns a rule."""


def _unspaced_tokens(language: LanguageData) -> Tokens:
    spellings = [*language.section("abbreviations"), *language.section("phrases")]
    written = "".join(each for each in spellings if UNSPACED_LETTER_RE.match(each))
    special = "".join(sorted(set(UNSPACED_LETTER_RE.findall(written))))
    others = rf"[^\s{_SINGLE}]++"
    return Tokens(
        complete=regex.compile(rf"\s*+(?|([{_SINGLE}])|({others})(?=[\s{_SINGLE}]))"),
        last=regex.compile(rf"\s*+(?|([{_SINGLE}])|({others}))"),
        over=regex.compile(rf"[\s{_SINGLE}]"),
        single=regex.compile(f"[{_SINGLE}]"),
        plain=regex.compile(rf"(?:\s*+[[{_SINGLE}]--[\0{special}]])++", regex.V1),
    )


def _special_words(language: LanguageData) -> frozenset[str]:
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
