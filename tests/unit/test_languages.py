"""Language tags: normalization, comparison, lookup and the published form."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wyoming_tts.languages import (
    KOKORO_LETTERS,
    TAG_PATTERN,
    LanguageTag,
    fallbacks,
    is_tag,
    language_code,
    lookup,
    parse_accept_language,
    published_tag,
    split_subtags,
)
from wyoming_tts.voices.catalogue import load_catalogue

TEXTS = st.text(st.sampled_from("aAeEnNzZhHxX019-_ .@+\x00ßİK") | st.characters(), max_size=30)
TAGS = st.from_regex(
    r"([a-z]{2,3}|zh|nb|yue|iw|cmn)(-[A-Z][a-z]{3}|-Hant)?(-[A-Z]{2}|-UK|-HK|-419)?(-x-us)?", fullmatch=True
)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("en_US", "en-us"),
        ("en_US", "EN-us"),
        ("en_US", " en_US.UTF-8 "),
        ("en_US", "en-us+f3"),
        ("en_GB", "en-UK"),
        ("de_DE@euro", "de-DE"),
        ("deu-AT", "de_AT"),
        ("zh-Hans-CN", "zh_CN"),
        ("zh-Hans", "zh_CN"),
        ("zh-Hant-TW", "zh_TW"),
        ("cmn-CN", "zh_CN"),
        ("zh-cmn-Hans-CN", "zh_CN"),
        ("nb_NO", "no_NO"),
        ("nno-NO", "no_NO"),
        ("iw", "he"),
        ("fil", "tl"),
        ("sl-rozaj-IT", "sl_IT"),
        ("en-GB-x-us", "en_GB"),
        ("zh-yue-HK", "yue_HK"),
        ("zh_HK", "yue-HK"),
        ("es_419", "es-419"),
        ("x-klingon", "X_Klingon"),
    ],
)
def test_equivalent_spellings_parse_to_the_same_tag(one: str, other: str) -> None:
    assert LanguageTag.parse(one) == LanguageTag.parse(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("en", "en_US"),
        ("en_GB", "en_US"),
        ("zh_TW", "zh_CN"),
        ("sr", "hr"),
        ("es_419", "es_ES"),
        ("x-klingon", "x-elvish"),
        ("English", "en"),
    ],
)
def test_different_languages_scripts_or_regions_parse_to_different_tags(one: str, other: str) -> None:
    assert LanguageTag.parse(one) != LanguageTag.parse(other)


def test_cantonese_is_not_the_same_language_as_mandarin() -> None:
    assert not LanguageTag.parse("zh_HK").is_same_language(LanguageTag.parse("zh_CN"))


@pytest.mark.parametrize("available", ["en", "en_US", "en_GB", "en_029"])
def test_a_request_without_a_region_accepts_any_region(available: str) -> None:
    assert not LanguageTag.parse(available).differs_in_region(LanguageTag.parse("en"))


@pytest.mark.parametrize(
    ("available", "requested", "differs"),
    [("en_GB", "en_US", True), ("en", "en_US", False), ("en", "en_GB", True), ("fi", "fi_FI", False)],
)
def test_a_tag_without_a_region_has_the_likely_region(
    available: str, requested: str, *, differs: bool
) -> None:
    assert LanguageTag.parse(available).differs_in_region(LanguageTag.parse(requested)) is differs


@pytest.mark.parametrize("tag", ["de_DE", "en_US", "pt_BR", "zh_CN", "sv_SE", "fi"])
def test_the_likely_region_is_the_most_common_one(tag: str) -> None:
    assert LanguageTag.parse(tag).is_likely_region


@given(TEXTS)
def test_any_text_parses_to_a_tag_that_matches_itself(text: str) -> None:
    tag = LanguageTag.parse(text)
    assert tag.is_same_language(LanguageTag.parse(text))
    assert not tag.differs_in_region(tag)


@given(TAGS)
def test_case_and_separator_do_not_matter(tag: str) -> None:
    other = tag.upper().replace("-", "_")
    assert LanguageTag.parse(other) == LanguageTag.parse(tag.lower())
    assert list(fallbacks(other)) == list(fallbacks(tag.lower()))
    assert published_tag(other) == published_tag(tag.lower())


@given(TEXTS | TAGS, TEXTS | TAGS)
def test_is_same_language_is_symmetric(one: str, other: str) -> None:
    first, second = LanguageTag.parse(one), LanguageTag.parse(other)
    assert first.is_same_language(second) == second.is_same_language(first)


@given(TAGS)
def test_parsing_a_normalized_tag_is_idempotent(written: str) -> None:
    tag = LanguageTag.parse(written)
    assert LanguageTag.parse("_".join(filter(None, [tag.language, tag.region]))) == tag


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("en_US", "en"),
        ("EN-gb", "en"),
        ("deu", "de"),
        ("cmn", "zh"),
        ("zh-yue", "yue"),
        ("nb", "nb"),
        ("", ""),
    ],
)
def test_equivalent_language_subtags_have_one_code(written: str, code: str) -> None:
    assert language_code(written) == code


@given(TEXTS | TAGS)
@example("zh-zh-eng")
@example("x-eng")
def test_language_code_is_idempotent(written: str) -> None:
    code = language_code(written)
    if is_tag(code):
        assert language_code(code) == code


@pytest.mark.parametrize(
    ("written", "tags"),
    [
        ("zh_Hant_TW", ["zh-hant-tw", "zh-hant", "zh"]),
        ("en-US.UTF-8", ["en-us", "en"]),
        ("eng_UK", ["en-gb", "en"]),
        ("ca-valencia", ["ca-valencia", "ca"]),
        ("nb_NO", ["nb-no", "nb", "no"]),
        ("yue", ["yue", "zh"]),
        ("x-klingon", ["x-klingon"]),
        ("", []),
    ],
)
def test_fallbacks_go_from_the_most_specific_tag_to_the_language(written: str, tags: list[str]) -> None:
    assert list(fallbacks(written)) == tags


@given(TAGS)
def test_the_first_fallback_is_the_normalized_tag(written: str) -> None:
    first, *_ = fallbacks(written)
    assert next(fallbacks(first)) == first
    assert LanguageTag.parse(first) == LanguageTag.parse(written)


@given(TEXTS)
def test_lookup_accepts_any_text(text: str) -> None:
    assert lookup({}, text) is None


def test_lookup_returns_the_most_specific_entry() -> None:
    table = {"pt": "geral", "pt-br": "brasileiro"}

    assert [lookup(table, tag) for tag in ("pt_BR", "por-PT", "gl")] == ["brasileiro", "geral", None]


@pytest.mark.parametrize(
    ("written", "tag"),
    [
        ("en", "en"),
        ("en_US", "en_US"),
        ("en-us", "en_US"),
        ("EN_us", "en_US"),
        (" en-US ", "en_US"),
        ("en_UK", "en_GB"),
        ("en_US.UTF-8", "en_US"),
        ("en-us+f3", "en_US"),
        ("en-gb-x-rp", "en_GB"),
        ("eng", "en"),
        ("deu_AT", "de_AT"),
        ("es-419", "es_419"),
        ("cmn", "zh_CN"),
        ("zh", "zh_CN"),
        ("zh-Hant", "zh_TW"),
        ("zh_Hans_SG", "zh_SG"),
        ("zh_HK", "zh_HK"),
        ("nb_NO", "nb_NO"),
        ("sr-Latn", "sr_Latn"),
        ("sr_Latn_RS", "sr_RS"),
        ("yue", "yue"),
        ("iw", "he"),
        ("x-klingon", None),
        ("English", None),
        ("", None),
        ("e", None),
        (None, None),
        (7, None),
        ({"code": "en"}, None),
    ],
)
def test_a_tag_is_published_in_the_form_that_clients_match(written: object, tag: str | None) -> None:
    assert published_tag(written) == tag


def test_catalogue_tags_are_already_in_published_form() -> None:
    for voice in load_catalogue().voices:
        assert published_tag(voice.language) == voice.language


@given(TEXTS | TAGS)
def test_published_tag_is_idempotent(written: str) -> None:
    tag = published_tag(written)
    if tag is not None:
        assert re.fullmatch(r"[a-z]{2,3}(_([A-Z]{2}|[0-9]{3}|Latn))?", tag)
        assert published_tag(tag) == tag
        assert is_tag(tag)


@given(TAGS)
def test_the_published_tag_is_the_same_language_as_the_input(written: str) -> None:
    tag = published_tag(written)
    assert tag is not None
    assert LanguageTag.parse(tag).is_same_language(LanguageTag.parse(written))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("en", True),
        ("sr_Latn_RS", True),
        ("English", False),
        ("voice", False),
        ("en US", False),
        ("en_US.UTF-8", False),
        ("en-", False),
        ("", False),
    ],
)
def test_is_tag_rejects_text_that_is_not_a_language_tag(text: str, *, expected: bool) -> None:
    assert is_tag(text) is expected


@given(TAGS)
def test_tag_pattern_matches_any_tag(tag: str) -> None:
    assert re.fullmatch(TAG_PATTERN, tag)


@given(TEXTS)
def test_split_subtags_returns_at_least_one_subtag(text: str) -> None:
    assert split_subtags(text)


def test_accept_language_is_parsed_in_header_order() -> None:
    assert list(parse_accept_language("de-AT, de;q=0.9,*;q=0.1")) == ["de", "de", "*"]


def test_kokoro_letters_map_to_published_tags() -> None:
    assert [published_tag(tag) for tag in KOKORO_LETTERS.values()] == list(KOKORO_LETTERS.values())
