"""Text normalizer: applies the rules of a language to a window of text, each once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Self

import regex  # type: ignore[import-untyped]

from wyoming_tts.languages import LanguageTag
from wyoming_tts.offset_text import join_texts, replace_words, with_offsets_of
from wyoming_tts.text.normalization.abbreviations import AbbreviationRules
from wyoming_tts.text.normalization.addresses import AddressRules
from wyoming_tts.text.normalization.agreement import AgreementRules
from wyoming_tts.text.normalization.contexts import ContextRules
from wyoming_tts.text.normalization.dates import DateRules
from wyoming_tts.text.normalization.identifiers import IdentifierRules
from wyoming_tts.text.normalization.language_data import (
    LanguageData,
    differs_by_region,
    load_language_data,
    spoken_language,
)
from wyoming_tts.text.normalization.measures import MeasureRules
from wyoming_tts.text.normalization.numerals import Numerals
from wyoming_tts.text.normalization.plain_numbers import PlainNumberRules
from wyoming_tts.text.normalization.roman_numerals import RomanNumeralRules
from wyoming_tts.text.normalization.rules import Rule, with_endings
from wyoming_tts.text.normalization.times import TimeRules
from wyoming_tts.text.normalization.tokens import Tokens
from wyoming_tts.text.normalization.unspaced import for_unspaced_script, joint_rules, splice

_DIGIT_RE = regex.compile(r"\d")
_TOKEN_RE = regex.compile(r"\S+")
_SENTENCE_OVER_RE = regex.compile(r"(?:[.!?…][\"'”’»)]?\s|\n)[\"'“‘«(]?$")
_QUOTES = ".,;:!?…\"'“”‘’«»()[]{}"


def protect_nothing(_token: str) -> bool:
    """Protect no token."""
    return False


@dataclass(frozen=True, slots=True)
class LanguageRules:
    """The normalization rules of one language."""

    language: LanguageData
    numerals: Numerals
    dates: DateRules
    measures: MeasureRules
    plain_numbers: PlainNumberRules
    rules: tuple[Rule, ...]
    """In order of precedence."""
    tokens: Tokens

    @classmethod
    def of(cls, language: LanguageData) -> Self:
        """Compile the rules, which takes some milliseconds."""
        numerals = Numerals(language)
        times = TimeRules(language, numerals)
        dates = DateRules(language, times)
        addresses = AddressRules(language, numerals)
        abbreviations = AbbreviationRules(language, numerals)
        identifiers = IdentifierRules(language, numerals)
        contexts = ContextRules(language, numerals)
        measures = MeasureRules(language, numerals)
        plain_numbers = PlainNumberRules(language, numerals)
        special = [
            *addresses.rules(),
            *abbreviations.rules(),
            *identifiers.hash_rules(),
            *identifiers.group_rules(),
            *times.duration_rules(),
            *dates.decade_rules(),
            *dates.short_date_rules(),
            *dates.iso_rules(),
            *contexts.rules(),
            *plain_numbers.ordinal_rules(),
            *AgreementRules(language, numerals).rules(),
            *measures.rules(),
            *contexts.power_rules(),
        ]
        rules = [
            *special,
            *times.rules(),
            *dates.rules(),
            *identifiers.named_telephone_rules(),
            *identifiers.telephone_rules(),
            *addresses.ip_address_rules(),
            *identifiers.version_rules(),
            *RomanNumeralRules(language).rules(),
            *plain_numbers.rules(),
        ]
        if capitals := language.section("capitals"):
            rules = [replace(each, capitals=capitals) for each in rules]
        if endings := language.section("numbers").get("endings"):
            rules = [with_endings(each, endings) for each in rules]
        if language.is_attached:
            rules = [for_unspaced_script(rule) for rule in [*joint_rules(language), *rules]]
        return cls(language, numerals, dates, measures, plain_numbers, tuple(rules), Tokens.of(language))


class TextNormalizer:
    """Verbalizes text of one language; text in a language without data stays as it is.

    Rules match the text as it was written, the special ones first, and no rule changes what another has
    replaced. So they do not depend on each other.
    """

    def __init__(
        self,
        language: str,
        *,
        extra: Mapping[str, Any] | None = None,
        protected: Callable[[str], bool] = protect_nothing,
    ) -> None:
        """Load the language's data.

        Args:
            language: A tag such as "en", "en-us" or "en_US", on whose territory the reading may depend.
            extra: Entries in the format of `data/en.yaml` that override those.
            protected: Whether a token, without the punctuation around it, must not be changed.

        Raises:
            ValueError: `extra` is not in that format.
        """
        code, region = spoken_language(language), LanguageTag.parse(language).region or ""
        self._protected = protected
        self.language_rules: LanguageRules | None = None
        if code:
            region = region if differs_by_region(code, region) else ""
            self.language_rules = (
                _compile_rules(code, region, extra) if extra else _standard_rules(code, region)
            )

    @property
    def language(self) -> LanguageData | None:
        """The data of the language; None where there is none."""
        return self.language_rules.language if self.language_rules else None

    def protecting(self, protected: Callable[[str], bool]) -> TextNormalizer:
        """Return the same normalizer with other protected tokens."""
        other = copy(self)
        other._protected = protected  # noqa: SLF001 - it is one of these
        return other

    def normalize(self, window: str, before: str = "") -> str:
        """Verbalize a window of text; `before` is the text before it, for lookbehind."""
        if self.language_rules is None or not window:
            return window
        text = self.language_rules.numerals.with_ascii_marks(str(before) + str(window))
        start = len(before)
        found = sorted(self._replacements(self.language_rules.rules, text, start))
        written = with_offsets_of(text[start:], window)
        if not found:
            return written
        if not self.language_rules.language.is_spaced:
            return splice(with_offsets_of(text, before + window), start, found)
        parts = []
        at = start
        for begin, end, words in found:
            parts += [
                written[at - start : begin - start],
                replace_words(words, written[begin - start : end - start]),
            ]
            at = end
        return join_texts([*parts, written[at - start :]])

    def _replacements(self, rules: Sequence[Rule], text: str, start: int) -> list[tuple[int, int, str]]:
        taken = bytearray(len(text))
        found: list[tuple[int, int, str]] = []
        self._protect(text, start, taken)
        has_digit = _DIGIT_RE.search(text, start) is not None
        for each in rules:
            if has_digit or not each.needs_digit:
                _apply(each, text, start, taken, found)
        return found

    def _protect(self, text: str, start: int, taken: bytearray) -> None:
        if self._protected is protect_nothing:
            return
        for token in _TOKEN_RE.finditer(text, start):
            if self._protected(token.group()) or self._protected(token.group().strip(_QUOTES)):
                taken[token.start() : token.end()] = b"\1" * len(token.group())


def _apply(each: Rule, text: str, start: int, taken: bytearray, found: list[tuple[int, int, str]]) -> None:
    """Add the replacements of one rule, where the text has not been replaced yet."""
    at = start
    while match := each.pattern.search(text, at):
        begin, end = match.span()
        clash = taken.rfind(1, begin, end)
        if clash >= 0:
            at = clash + 1
            continue
        at = max(end, begin + 1)
        words = each.verbalize(match)
        if words is not None and end > begin:
            found.append(
                (
                    begin,
                    end,
                    words
                    if _follows_replacement(text, begin, taken)
                    else _capitalize_at_start(text, begin, words, each.capitals),
                )
            )
            taken[begin:end] = b"\1" * (end - begin)


def _follows_replacement(text: str, begin: int, taken: bytearray) -> bool:
    """Whether the full stop before has been replaced with its abbreviation."""
    last = len(text[:begin].rstrip()) - 1
    return last >= 0 and bool(taken[last])


def _capitalize_at_start(text: str, begin: int, words: str, capitals: Mapping[str, str]) -> str:
    """The words with a capital at the start of a sentence, which sentence detection relies on."""
    begins = not text[:begin].strip() or _SENTENCE_OVER_RE.search(text, max(0, begin - 4), begin)
    first = words[:1]
    # Georgian letters have a capital, but not at the start of a word: `title` knows
    return capitals.get(first, first.title()) + words[1:] if begins else words


@cache
def _standard_rules(code: str, region: str) -> LanguageRules:
    return _compile_rules(code, region, None)


def _compile_rules(code: str, region: str, extra: Mapping[str, Any] | None) -> LanguageRules:
    language = load_language_data(code, extra, region=region)
    try:
        return LanguageRules.of(language)
    except (KeyError, TypeError, AttributeError, regex.error) as error:
        raise ValueError(
            f"The spoken forms for {code!r} do not follow the format of en.yaml: {error!r}."
        ) from error
