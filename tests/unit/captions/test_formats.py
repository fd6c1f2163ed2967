from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.timed_words import ParsedCue, parse_srt, parse_vtt, timed_words, vtt_word_times
from wyoming_tts.captions import CaptionFormat, CaptionWriter, word_fields

SENTENCES = "The door is open. R&D <closed> it, at 4 °C."
TEXT = st.text(alphabet="ab ,.!?<>&-\n😀é天", max_size=100)


def captions(text: str, form: CaptionFormat, *, word_times: bool = False, together: int = 1000) -> str:
    words = timed_words(text)
    writer = CaptionWriter(form, text, word_times=word_times)
    groups = [words[first : first + together] for first in range(0, len(words), together)]
    told = "".join(map(writer.add_words, groups))
    return told + writer.finish(words[-1].end_time + 1.0 if words else 0.5)


def test_srt_is_numbered_with_commas_in_its_times() -> None:
    assert captions("The door is open. Come in.", CaptionFormat.SRT) == (
        "1\n00:00:00,000 --> 00:00:01,000\nThe door is open.\n\n"
        "2\n00:00:01,267 --> 00:00:02,100\nCome in.\n\n"
    )


def test_vtt_has_a_header_and_escapes() -> None:
    assert captions(SENTENCES, CaptionFormat.VTT).splitlines() == [
        "WEBVTT",
        "",
        "00:00:00.000 --> 00:00:01.000",
        "The door is open.",
        "",
        "00:00:01.267 --> 00:00:02.737",
        "R&amp;D &lt;closed&gt; it, at 4 °C.",
        "",
    ]


def test_vtt_tells_the_time_of_each_word_if_asked_to() -> None:
    written = captions("The door is open, now.", CaptionFormat.VTT, word_times=True)
    assert "The <00:00:00.200>door <00:00:00.467>is <00:00:00.600>open, <00:00:01.067>now." in written


def test_json_has_the_words_of_each_caption_and_the_duration() -> None:
    answer = json.loads(captions("Hi 😀 there. It is 4 °C.", CaptionFormat.JSON))
    assert answer["duration"] == 2.4
    assert [caption["text"] for caption in answer["captions"]] == ["Hi 😀 there.", "It is 4 °C."]
    there = answer["captions"][0]["words"][-1]
    assert (there["text"], there["begin"], there["utf16_begin"], there["utf16_end"]) == ("there", 5, 6, 11)
    assert "estimated" not in there


def test_estimated_times_are_marked() -> None:
    (word,) = timed_words("Hi")
    assert word_fields(replace(word, estimated=True))["estimated"] is True


@pytest.mark.parametrize("form", CaptionFormat)
def test_captions_of_nothing_are_valid(form: CaptionFormat) -> None:
    written = captions("", form)
    if form is CaptionFormat.JSON:
        assert json.loads(written) == {"captions": [], "duration": 0.5}
    else:
        assert (parse_srt if form is CaptionFormat.SRT else parse_vtt)(written) == []


@pytest.mark.parametrize("form", CaptionFormat)
@given(text=TEXT, together=st.integers(1, 9))
def test_captions_are_the_same_however_words_arrive(form: CaptionFormat, text: str, together: int) -> None:
    assert captions(text, form, together=together) == captions(text, form)


@given(TEXT)
def test_srt_vtt_and_json_tell_the_same(text: str) -> None:
    srt = parse_srt(captions(text, CaptionFormat.SRT))
    vtt = parse_vtt(captions(text, CaptionFormat.VTT))
    assert parse_vtt(captions(text, CaptionFormat.VTT, word_times=True)) == vtt
    told = json.loads(captions(text, CaptionFormat.JSON))["captions"]
    from_json = [
        ParsedCue(round(cue["start_time"] * 1000), round(cue["end_time"] * 1000), cue["text"]) for cue in told
    ]
    assert vtt == from_json
    assert srt == [replace(cue, text=cue.text.replace("-->", "→")) for cue in from_json]


@given(st.text(max_size=80))
def test_any_text_makes_captions_that_parse(text: str) -> None:
    parse_srt(captions(text, CaptionFormat.SRT))
    parse_vtt(captions(text, CaptionFormat.VTT, word_times=True))
    assert json.loads(captions(text, CaptionFormat.JSON))["duration"] > 0


def test_word_times_of_words_without_a_length_are_left_out() -> None:
    """They would not grow, as WebVTT wants it."""
    first, second, third = timed_words("a b c")
    second = replace(second, start_time=first.start_time)
    writer = CaptionWriter(CaptionFormat.VTT, "a b c", word_times=True)
    written = writer.add_words([first, second, third]) + writer.finish(2.0)
    assert vtt_word_times(written) == [round(third.start_time * 1000)]


def test_hours_of_audio_have_times() -> None:
    (word,) = timed_words("Hi")
    late = replace(word, start_time=360_000.0, end_time=360_001.5)
    writer = CaptionWriter(CaptionFormat.SRT, "Hi")
    assert "100:00:00,000 --> 100:00:01,500" in writer.add_words([late]) + writer.finish(360_001.6)
