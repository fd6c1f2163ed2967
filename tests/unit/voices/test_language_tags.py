"""Language tags compare by what they mean."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wyoming_tts.voices.language_tags import LanguageTag


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("en_US", "en-us"),
        ("en_US", "EN-us"),
        ("en_US", " en_US.UTF-8 "),
        ("de_DE@euro", "de-DE"),
        ("zh-Hans-CN", "zh_CN"),
        ("zh-Hans", "zh_CN"),
        ("zh-Hant-TW", "zh_TW"),
        ("cmn-CN", "zh_CN"),
        ("nb_NO", "no_NO"),
        ("iw", "he"),
        ("sl-rozaj-IT", "sl_IT"),
        ("en-GB-x-us", "en_GB"),
        ("zh-yue-HK", "yue_HK"),
        ("zh_HK", "yue-HK"),
        ("es_419", "es-419"),
    ],
)
def test_two_ways_to_write_a_tag_are_one(one: str, other: str) -> None:
    assert LanguageTag.parse(one) == LanguageTag.parse(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("en", "en_US"), ("en_GB", "en_US"), ("zh_TW", "zh_CN"), ("sr", "hr"), ("es_419", "es_ES")],
)
def test_tags_that_mean_different_things_differ(one: str, other: str) -> None:
    assert LanguageTag.parse(one) != LanguageTag.parse(other)


def test_whoever_reads_cantonese_is_not_given_mandarin() -> None:
    assert not LanguageTag.parse("zh_HK").speaks(LanguageTag.parse("zh_CN"))


@pytest.mark.parametrize("have", ["en", "en_US", "en_GB", "en_029"])
def test_any_region_will_do_for_one_who_asks_for_none(have: str) -> None:
    assert not LanguageTag.parse(have).is_elsewhere(LanguageTag.parse("en"))


@pytest.mark.parametrize(
    ("have", "wanted", "elsewhere"),
    [("en_GB", "en_US", True), ("en", "en_US", False), ("en", "en_GB", True), ("fi", "fi_FI", False)],
)
def test_a_voice_without_a_region_is_of_the_usual_one(have: str, wanted: str, *, elsewhere: bool) -> None:
    assert LanguageTag.parse(have).is_elsewhere(LanguageTag.parse(wanted)) is elsewhere


@pytest.mark.parametrize("tag", ["de_DE", "en_US", "pt_BR", "zh_CN", "sv_SE", "fi"])
def test_the_usual_region_is_what_most_mean(tag: str) -> None:
    assert LanguageTag.parse(tag).is_usual


@given(st.text(max_size=30))
def test_any_text_can_be_read_as_a_tag_in_any_case(text: str) -> None:
    assert LanguageTag.parse(text).speaks(LanguageTag.parse(text))


@given(st.from_regex(r"[a-z]{2,3}(-[A-Z][a-z]{3})?(-[A-Z]{2})?", fullmatch=True))
def test_case_and_separator_change_nothing(tag: str) -> None:
    assert LanguageTag.parse(tag.upper().replace("-", "_")) == LanguageTag.parse(tag.lower())
