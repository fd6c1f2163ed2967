"""Rules in scripts without spaces between words: a letter of such a script is no part of a figure beside it.

The rules of normalization take a figure for one where no word character touches it. In Chinese or Japanese
text letters do, `今天-5°C`, and in Korean, which has spaces, nouns and particles are attached to figures. So
the patterns are compiled for these languages with borders of their own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import regex  # type: ignore[import-untyped]

from wyoming_tts.offset_text import join_texts, replace_words
from wyoming_tts.text.normalization.language_data import LanguageData, any_of
from wyoming_tts.text.normalization.rules import Rule, make_rule
from wyoming_tts.text.unspaced_scripts import UNSPACED_LETTERS

_WORD = rf"[\w--[{UNSPACED_LETTERS}\p{{Hangul}}]]"
"""A word character of a script in which no letters are attached to figures; inside brackets too."""
_LETTER = rf"[{UNSPACED_LETTERS}\p{{Hangul}}]"
_BORDER = rf"(?:(?<={_WORD})(?!{_WORD})|(?<!{_WORD})(?={_WORD}))"
_ESCAPE_RE = regex.compile(r"\\(.)")
_SPACE_RE = regex.compile(rf"(?<=[{UNSPACED_LETTERS}])\ (?=[{UNSPACED_LETTERS}])")
_WRITTEN_SPACE_RE = regex.compile(
    r"(?<=[\p{Han}\p{Hiragana}\p{Katakana}ー])\ (?=[\p{Han}\p{Hiragana}\p{Katakana}])"
)
"""A space that is written around figures alone; in Thai and its neighbours it parts phrases."""


def for_unspaced_script(rule: Rule) -> Rule:
    """The same rule, with letters of such scripts as borders."""
    words = {"w": _WORD, "b": _BORDER}
    pattern = _ESCAPE_RE.sub(lambda match: words.get(match[1], match.group()), rule.pattern.pattern)
    return replace(rule, pattern=regex.compile(pattern, rule.pattern.flags & ~regex.V0 | regex.V1))


def splice(text: str, start: int, replaced: Iterable[tuple[int, int, str]]) -> str:
    """The text from `start` with words in place of spans, and no spaces between letters where they meet."""
    plain, parts, at = str(text), [], start
    for begin, end, spoken in replaced:
        words = _SPACE_RE.sub("", spoken.strip())
        spaced = begin > at and _WRITTEN_SPACE_RE.match(plain[begin - 2 : begin] + words[:1], 1)
        parts += [text[at : begin - 1 if spaced else begin], replace_words(words, text[begin:end])]
        at = end + 1 if _WRITTEN_SPACE_RE.match(words[-1:] + plain[end : end + 2], 1) else end
    return join_texts([*parts, text[at:]])


def joint_rules(language: LanguageData) -> list[Rule]:
    """Marks between nouns of such a script, `3日〜5日`, `公里/小时`, and a currency said twice, `¥5元`."""
    to, per = language.word("range"), language.word("slash_per")
    gap = " " if language.is_spaced else ""
    found = []
    if to:
        found.append(make_rule(rf"(?<=\d\ ?{_LETTER}{{1,2}})[~〜～](?=\d)", lambda _match: to + gap))
    if per:
        nouns = any_of(list(language.section("per_words") or []))
        found.append(make_rule(rf"(?<={_LETTER})/(?={nouns})", lambda _match: per, needs_digit=False))
    sign = rf"(?P<sign>{any_of(language.currencies)})"
    names = any_of([noun.one for noun in language.currencies.values()])
    found.append(
        make_rule(
            rf"(?<={sign}\ ?\d[\d,.]{{0,15}}\p{{Han}}{{0,2}})(?P<name>{names})",
            lambda match: "" if language.currencies[match["sign"]].one == match["name"] else None,
        )
    )
    return found
