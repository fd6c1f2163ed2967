"""What a lane of a stream test keeps: when the simulated player plays, its gaps, words and events."""

from __future__ import annotations

from collections.abc import AsyncIterable
from itertools import pairwise

import pytest

from tests.page.stream_test_service import TEXT
from wyoming_tts.client import ClientError, OnAudio, OnWords
from wyoming_tts.page.stream_test import client as recorder
from wyoming_tts.page.stream_test.client import ClientRecorder, EvenSample, EventLog
from wyoming_tts.page.stream_test.gaps import Gap, GapCount, GapOwner
from wyoming_tts.page.stream_test.request import StreamTestLimits, StreamTestRequest
from wyoming_tts.page.stream_test.run import StreamTestRun
from wyoming_tts.speech import AudioFormat, SpokenWord


class Clock:
    """Stands for the module `time`."""

    now = 0.0

    def __call__(self) -> float:
        return self.now

    perf_counter = __call__


async def test_gaps_are_counted_by_whose_they_are_and_together_as_in_the_benchmark(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    monkeypatch.setattr("wyoming_tts.page.stream_test.run.time", clock)

    async def speaker(pieces: AsyncIterable[str], *, on_audio: OnAudio, on_words: OnWords) -> None:
        """Half a second of audio with one word."""
        position = 0.0

        async def say(word: str) -> None:
            nonlocal position
            begin = TEXT.index(word)
            end = begin + len(word)
            on_words((SpokenWord(word, begin, end, begin, end, position, position + 0.5),))
            await on_audio(AudioFormat(1000), bytes(1000))
            position += 0.5

        answers = iter(("One", "two", None, "three", "three", None))
        async for _ in pieces:  # one a second
            if answer := next(answers):
                await say(answer)
            clock.now += 1
        await say("six")

    request = StreamTestRequest(TEXT, words_per_second=200.0)
    run = StreamTestRun(request, "tcp://127.0.0.1:1", speaker, StreamTestLimits())
    run.start(on_over=lambda: None)
    assert await run.is_over_within(10.0)
    gaps = [(gap.at, gap.seconds, str(gap.owner)) for gap in run.frame().lanes[0].gaps]
    assert gaps == [
        (0.5, 0.5, "text"),
        (1.5, 1.5, "text"),  # what completes the sentence comes while the player is dry
        (3.5, 0.5, "server"),
        (4.5, 1.5, "text"),  # the text may go on
    ]
    summary = run.summary()
    assert (summary.gaps, summary.gaps_text, summary.gaps_server, summary.gaps_unknown) == (4, 3, 1, 0)
    assert (summary.silence, summary.silence_text, summary.silence_server) == (4.0, 3.5, 0.5)


async def test_the_simulated_player_records_an_underrun_and_resumes() -> None:
    clock, log = Clock(), EventLog()
    lane = ClientRecorder(1, log, clock, records=False)
    for at, seconds in ((1.0, 0.5), (1.2, 0.5), (2.5, 1.0)):
        clock.now = at
        await lane.on_audio(AudioFormat(1000), bytes(int(2000 * seconds)))
    snapshot = lane.snapshot()
    assert snapshot.buffer == ((1.0, 0.5), (1.2, 0.8), (2.5, 1.0))
    assert snapshot.gaps == (Gap(2.0, 0.5, GapOwner.UNKNOWN),)
    assert snapshot.gap_counts[GapOwner.UNKNOWN] == GapCount(1, 0.5)
    assert lane.result().played is not None
    assert lane.result().played.gaps == (0.5,)  # type: ignore[union-attr]
    assert [line.what for line in log.newest()] == ["first_audio", "chunk", "chunk", "underrun"]


def _word(text: str, start: float) -> SpokenWord:
    return SpokenWord(text, 0, 1, 0, 1, start, start + 0.1)


async def test_words_are_placed_where_the_player_plays_them_also_after_a_gap() -> None:
    clock = Clock()
    lane = ClientRecorder(1, EventLog(), clock, records=True)
    told = ((1.0, [("It", 0.0), ("is", 0.4)]), (1.2, [("now", 0.6)]), (2.5, [("late", 1.25)]))
    for at, words in told:
        clock.now = at
        lane.on_words(tuple(_word(*word) for word in words))
        await lane.on_audio(AudioFormat(1000), bytes(1000))
    assert lane.snapshot().words == ((1.0, "It"), (1.4, "is"), (1.6, "now"), (2.75, "late"))


async def test_words_are_kept_of_the_recorded_client_alone_and_not_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recorder, "MAX_WORDS", 3)
    kept, other = (ClientRecorder(1, EventLog(), Clock(), records=records) for records in (True, False))
    for lane in (kept, other):
        lane.on_words(tuple(_word("so", number / 10) for number in range(5)))
        await lane.on_audio(AudioFormat(1000), bytes(1000))
    assert (len(kept.snapshot().words), other.snapshot().words) == (3, ())


async def test_recorded_audio_chunks_and_events_of_a_client_are_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recorder, "MAX_RECORDED_SECONDS", 2.0)
    monkeypatch.setattr(recorder, "MAX_CHUNKS", 500)
    clock, log = Clock(), EventLog(100)
    lane = ClientRecorder(1, log, clock, records=True)
    for number in range(500):
        clock.now = number / 10
        lane.text_sent("word")
        await lane.on_audio(AudioFormat(1000), bytes(20))
    with pytest.raises(ClientError, match="more than 500"):
        await lane.on_audio(AudioFormat(1000), bytes(20))
    snapshot = lane.snapshot()
    assert snapshot.recorded == 2.0
    assert max(len(snapshot.text), len(snapshot.buffer), len(snapshot.gaps)) <= 60
    assert snapshot.chunks == 500
    assert (log.count, len(log.newest())) == (1499, 100)


def test_an_even_sample_keeps_items_at_equal_distances() -> None:
    thinned = EvenSample[int](8)
    for number in range(100):
        thinned.add(number)
    kept = list(thinned)
    assert kept[0] == 0
    assert len(kept) <= 8
    assert len({after - before for before, after in pairwise(kept)}) == 1
