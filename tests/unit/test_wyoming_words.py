"""Words in the data of Wyoming's audio events."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wyoming.audio import AudioChunk
from wyoming.event import Event

from wyoming_tts.speech import SpokenWord
from wyoming_tts.wyoming_framing import REPLY_LIMITS, EventReader, encode_event
from wyoming_tts.wyoming_words import WORDS, parse_words, words_data

DEGREES = SpokenWord("25 °C", 7, 12, 8, 13, 0.5, 1.25)
GUESS = SpokenWord("😀ok", 0, 3, 0, 4, 0.0, 0.5, estimated=True)
TOLD: dict[str, Any] = words_data([DEGREES])[WORDS][0]


def test_words_arrive_as_they_were_told() -> None:
    event = AudioChunk(22_050, 2, 1, b"\x01\x02", timestamp=0).event()
    event.data |= words_data([GUESS, DEGREES])

    reader = EventReader(REPLY_LIMITS)
    (received,) = reader.feed(encode_event(event))

    assert parse_words(received.data) == (GUESS, DEGREES)
    assert AudioChunk.from_event(received).audio == b"\x01\x02"


def test_no_words_add_nothing_to_an_event() -> None:
    assert words_data([]) == {}
    assert parse_words(Event("audio-chunk", {"rate": 22_050}).data) == ()


@pytest.mark.parametrize(
    "changed",
    [
        {"text": None},
        {"begin": -1},
        {"begin": 13},
        {"end": 12.5},
        {"utf16_end": 1 << 80},
        {"start_time": math.nan},
        {"end_time": math.inf},
        {"end_time": 0.25},
        {"start_time": "0.5"},
        {"start_time": 10**400, "end_time": 10**400},
    ],
)
def test_malformed_words_are_none(changed: dict[str, Any]) -> None:
    assert parse_words({WORDS: [TOLD, TOLD | changed]}) == ()


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(list(TOLD)), inner),
        max_leaves=5,
    )
)
def test_a_peer_may_send_anything_in_their_place(value: Any) -> None:
    assert isinstance(parse_words({WORDS: value}), tuple)
    assert isinstance(parse_words({WORDS: [value]}), tuple)
    assert isinstance(parse_words({WORDS: [TOLD | {"begin": value}]}), tuple)
