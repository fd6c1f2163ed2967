"""Whose fault a gap is: cases by hand, and what holds for any order of text, audio and words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.manual_clock import ManualClock
from wyoming_tts.bench.playback import simulate_playback
from wyoming_tts.page.stream_test.client import ClientRecorder, EventLog
from wyoming_tts.page.stream_test.gaps import GapOwner, GapRecorder, SentText, count_gaps, sum_counts
from wyoming_tts.speech import AudioFormat, SpokenWord

TEXT, SERVER, UNKNOWN = GapOwner.TEXT, GapOwner.SERVER, GapOwner.UNKNOWN
WRITTEN = "One two. Three four. Five."


def word(text: str, start: float, end: float) -> SpokenWord:
    begin = WRITTEN.index(text)
    return SpokenWord(text, begin, begin + len(text), begin, begin + len(text), start, end)


def sent(*times: float, finished: float | None = None, text: str = WRITTEN) -> SentText:
    """What was sent, a word at each time."""
    made = SentText(text)
    for number, (piece, at) in enumerate(zip(text.split(), times, strict=False)):
        made.add(f" {piece}" if number else piece, at)
    if finished is not None:
        made.finish(finished)
    return made


RULE = json.loads((Path(__file__).parents[1] / "support" / "gap_owners.json").read_text("utf-8"))
"""Cases of the rule that the page's live typing follows too: a gap from 2 s to 3 s, after 2 s of audio."""


def owner_in(case: dict[str, Any]) -> GapOwner:
    text = SentText(WRITTEN, flush_idle=case["flush_idle"])
    for at, piece in case["sent"]:
        text.add(piece, at)
    if case["finished"] is not None:
        text.finish(case["finished"])
    gaps = GapRecorder(text)
    if told := case["word"]:
        gaps.expect_words((word(told["text"], told["start"], told["end"]),), told["told"])
    return gaps.add(2.0, 1.0, position=2.0).owner


@pytest.mark.parametrize("case", RULE, ids=[case["what"] for case in RULE])
def test_the_owner_of_a_gap(case: dict[str, Any]) -> None:
    assert owner_in(case) == case["owner"]


PARTS = {
    "words were sent until after the gap, in one part": (sent(0.1, 0.2, 2.5), 1, UNKNOWN),
    "the second part, whose sentence was complete": (sent(0.1, 0.2, 0.3, 0.4, 1.9), 2, SERVER),
    "the second part, whose sentence was complete too late": (sent(0.1, 0.2, 0.3, 0.4, 2.5), 2, TEXT),
    "more parts than sentences: they are something else": (sent(0.1, 0.2, 0.3), 3, UNKNOWN),
    "more parts than the text has sentences": (sent(0.1, 0.2, finished=2.5), 9, UNKNOWN),
}


@pytest.mark.parametrize(("text", "parts", "owner"), PARTS.values(), ids=PARTS)
def test_the_owner_of_a_gap_by_the_parts_of_another_server(
    text: SentText, parts: int, owner: GapOwner
) -> None:
    gaps = GapRecorder(text)
    for _ in range(parts):
        gaps.begin_part()
    assert gaps.add(2.0, 1.0, position=1.0).owner is owner


def test_a_gap_before_a_silence_gets_its_owner_with_the_next_word() -> None:
    gaps = GapRecorder(sent(0.1, 0.2, 0.3, 0.4, 2.5))
    gaps.expect_words((word("two", 0.5, 1.0),), 0.5)
    gaps.audio_arrived()
    gap = gaps.add(2.0, 1.0, position=1.0)
    assert gap.owner is UNKNOWN
    gaps.expect_words((word("Three", 1.2, 1.5), word("Five", 2.0, 2.5)), 3.1)
    assert gap.owner is TEXT
    gaps.expect_words((word("One", 3.0, 3.5),), 4.0)
    assert gap.owner is TEXT


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("", 1),
        ("no stop", 1),
        ("This is one. That is two! Are there three?", 3),
        ("Mr. Smith has 3.5 km to go. He runs.", 2),
        ("\n\n A line\nanother \n\nand a third. With more.\n", 4),
    ],
)
def test_sentences_end_at_stops_and_lines_and_are_complete_when_the_next_begins(
    text: str, sentences: int
) -> None:
    written = SentText(text)
    for at, char in enumerate(text):
        written.add(char, float(at))
    everything = float(len(text) + 1)
    assert not written.has_complete(sentences, everything)
    assert sentences == 1 or written.has_complete(sentences - 1, everything)
    written.finish(everything)
    assert written.has_complete(sentences, everything + 1)
    assert not written.has_complete(sentences + 1, everything + 1)


EVENTS = st.lists(
    st.tuples(
        st.floats(0.0, 0.5),
        st.one_of(
            st.sampled_from(["text", "part", "finish"]),
            st.floats(0.01, 0.6).map(lambda seconds: round(seconds, 2)),
        ),
        st.booleans(),
    ),
    max_size=40,
)


@given(events=EVENTS, text=st.text(alphabet="ab. \n", max_size=40))
async def test_every_gap_of_the_benchmark_has_one_owner_and_none_is_the_servers_before_text_was_sent(
    events: list[tuple[float, str | float, bool]], text: str
) -> None:
    clock = ManualClock()
    lane = ClientRecorder(1, EventLog(), clock, records=True, sends=SentText(text))
    arrivals, position, has_sent, left = [], 0.0, False, text
    for wait, event, tells in events:
        clock.now += wait
        if event == "text":
            lane.text_sent(left[:3])
            left = left[3:]
            has_sent = True
        elif event == "finish":
            lane.text_ended()
            has_sent = True
        elif event == "part":
            await lane.on_audio(AudioFormat(1000), b"")
        else:
            seconds = float(event)
            if tells:
                lane.on_words((SpokenWord("w", 5, 6, 5, 6, position, position + seconds),))
            await lane.on_audio(AudioFormat(1000), bytes(2 * int(seconds * 1000)))
            arrivals.append((clock.now, int(seconds * 1000) / 1000))
            position += arrivals[-1][1]
    counts = sum_counts([lane.gap_counts()])
    played = simulate_playback(arrivals)
    assert sum(each.count for each in counts.values()) == (played.underruns if played else 0)
    total = sum(each.seconds for each in counts.values())
    assert total == pytest.approx(played.silence if played else 0.0, abs=1e-3)
    assert has_sent or counts[SERVER].count == 0


@given(gaps=st.lists(st.floats(0.01, 1.0), max_size=5))
def test_with_all_of_the_text_there_at_once_every_gap_is_the_servers(gaps: list[float]) -> None:
    recorder = GapRecorder(sent(0.0, finished=0.0))
    for number, seconds in enumerate(gaps):
        recorder.expect_words((word("Five", number, number + 1),), number + 0.5)
        recorder.add(1.0 + number, seconds, position=float(number))
    assert count_gaps(recorder.gaps)[SERVER].count == len(gaps)
