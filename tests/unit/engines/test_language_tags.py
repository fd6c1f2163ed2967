from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wyoming_tts.engines.language_tags import published_tag
from wyoming_tts.voices.catalogue import load_catalogue


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
        ("sr-Latn", "sr_Latn"),
        ("sr_Latn_RS", "sr_RS"),
        ("yue", "yue"),
        ("iw", "he"),
        ("English", None),
        ("", None),
        ("e", None),
        (None, None),
        (7, None),
        ({"code": "en"}, None),
    ],
)
def test_a_language_is_brought_to_the_form_that_clients_match(written: object, tag: str | None) -> None:
    assert published_tag(written) == tag


def test_the_tags_of_the_catalogue_stay_as_they_were_published() -> None:
    for voice in load_catalogue().voices:
        if voice.engine == "piper":
            assert published_tag(voice.language) == voice.language


@given(st.text(max_size=12))
def test_a_tag_once_published_stays_itself(written: str) -> None:
    tag = published_tag(written)
    if tag is not None:
        assert re.fullmatch(r"[a-z]{2,3}(_([A-Z]{2}|[0-9]{3}|Latn))?", tag)
        assert published_tag(tag) == tag
