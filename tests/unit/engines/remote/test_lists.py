"""Parsing of voice lists in the formats that servers use."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wyoming_tts.engines.remote.lists import (
    ATTRIBUTION_PREFIX,
    NoVoiceList,
    make_unlisted_voice,
    parse_http_list,
    parse_voice_settings,
    parse_wyoming_info,
)
from wyoming_tts.speech import Attribution, Voice
from wyoming_tts.transports.wyoming.protocol import info_event

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["voices", "tts", "name", "id", "speakers", "languages"]), inner)
    ),
    max_leaves=20,
)


def http(answer: object) -> dict[str, str]:
    return {voice.name: voice.language for voice in parse_http_list(json.dumps(answer).encode())}


@pytest.mark.parametrize(
    "answer",
    [
        {"voices": ["af_far", "bm_near"]},
        {"voices": [{"id": "af_far", "name": "Far"}, {"name": "bm_near"}]},
        {"voices": {"af_far": {}, "bm_near": {"language": "en-gb"}}},
        {"object": "list", "data": [{"id": "af_far"}, {"id": "bm_near"}]},
        ["af_far", "bm_near", "af_far"],
    ],
)
def test_every_response_format_parses_to_the_same_voice_list(answer: object) -> None:
    assert http(answer) == {"af_far": "en_US", "bm_near": "en_GB"}


def test_the_language_comes_from_the_server_else_the_name_else_is_english() -> None:
    voices = [{"name": "x", "language": "de-de"}, "de_DE-thorsten-low", "jf_alpha", "alloy"]
    assert http({"voices": voices}) == {
        "x": "de_DE",
        "de_DE-thorsten-low": "de_DE",
        "jf_alpha": "ja_JP",
        "alloy": "en_US",
    }


def test_uninstalled_embedded_and_remote_voices_and_malformed_entries_are_skipped() -> None:
    voices: list[object] = [
        {"name": "absent", "installed": False},
        {"name": "robot", "engine": "espeak"},
        "espeak-de",
        {"name": "further", "engine": "remote"},
        {"name": "line\nbreak"},
        {"name": ""},
        7,
    ]
    assert http({"voices": voices}) == {}


def test_metadata_listed_by_another_wyoming_tts_server_is_kept() -> None:
    listing = {
        "name": "v",
        "engine": "piper",
        "sample_rate": 16000,
        "speakers": ["ann", "bob"],
        "language": "nl_NL",
    }
    [voice] = parse_http_list(json.dumps({"voices": [listing]}).encode())
    assert (voice.rate, voice.speakers, voice.reads_phonemes) == (16000, ("ann", "bob"), True)


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"status":"ok"}', b'"voices"', b"[" * 100_000, b"\xff"])
def test_a_response_that_is_no_voice_list_is_rejected(body: bytes) -> None:
    with pytest.raises(NoVoiceList):
        parse_http_list(body)
    with pytest.raises(NoVoiceList):
        parse_wyoming_info(body)


@given(answer=JSON)
def test_any_json_parses_as_a_voice_list_or_is_rejected(answer: object) -> None:
    for read in (parse_http_list, parse_wyoming_info):
        try:
            read(json.dumps(answer).encode())
        except NoVoiceList:
            continue


def test_a_wyoming_tts_server_is_listed_with_only_its_own_voices() -> None:
    def voice(name: str, credit: str, *speakers: str) -> Voice:
        return Voice(
            name=name,
            engine="x",
            language="de_DE",
            description=name,
            sample_rate=22_050,
            model=name,
            attribution=Attribution(credit, ""),
            speakers={speaker: number for number, speaker in enumerate(speakers)},
        )

    voices = [
        voice("a", "b", "ann", "bob"),
        voice("far", f"{ATTRIBUTION_PREFIX}c"),
        voice("espeak-de", "e"),
        voice("c", ""),
    ]
    info = info_event(voices, version="1", supports_streaming=True)
    listed = parse_wyoming_info(json.dumps(info.data).encode())
    assert [(each.name, each.language, each.speakers) for each in listed] == [
        ("a", "de_DE", ("ann", "bob")),
        ("c", "de_DE", ()),
    ]


def test_configured_voices_may_omit_their_language() -> None:
    named = parse_voice_settings(["alloy", "dora=es-es", "bm_x", " = de", "x=nonsense!"])
    assert named == {"alloy": None, "dora": "es_ES", "bm_x": None, "x": None}
    assert [make_unlisted_voice(name, language).language for name, language in named.items()] == [
        "en_US",
        "es_ES",
        "en_GB",
        "en_US",
    ]
