"""Waits and underruns in an utterance's record, on a simulated clock."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator
from math import inf

import pytest

from tests.support.manual_clock import ManualClock
from tests.support.parts import running_parts
from wyoming_tts.admission import Admission, AdmissionOptions
from wyoming_tts.demand import Capacity
from wyoming_tts.offset_text import OffsetText
from wyoming_tts.speech import (
    Attribution,
    Segment,
    Utterance,
    UtteranceRecord,
    Voice,
    VoiceSpec,
    WordTiming,
    WordTimings,
)
from wyoming_tts.synthesis import Synthesizer
from wyoming_tts.synthesis.costs import CostModel
from wyoming_tts.synthesis.job import Job
from wyoming_tts.synthesis.options import SynthesisOptions
from wyoming_tts.synthesis.prefetch import Prefetch
from wyoming_tts.synthesis.word_timeline import SegmentTimings

RATE = 1000
VOICE = Voice("tone", "piper", "en_US", "A tone.", RATE, "tone", Attribution("nobody", ""))


def make_costs() -> CostModel:
    return CostModel(slots=1, capacity=Capacity())


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(100.0)


@pytest.fixture
def job(clock: ManualClock) -> Job:
    job = Job(Utterance.of("Hello."), clock, make_costs())
    job.on_voice_resolved(VoiceSpec(VOICE))
    return job


def play(job: Job, seconds: float) -> None:
    job.make_chunk(bytes(2 * round(seconds * RATE)))
    job.on_chunk_requested()


def test_the_wait_is_the_time_in_the_admission_queue(clock: ManualClock) -> None:
    job = Job(Utterance.of("Hello."), clock, make_costs())
    clock.now += 5  # downloading the voice
    job.on_voice_resolved(VoiceSpec(VOICE))
    for _ in range(2):
        with job.timing_wait():
            clock.now += 2
        clock.now += 9
    assert job.record().wait == pytest.approx(4.0)


def test_the_wall_time_is_that_from_the_request_to_the_end(job: Job, clock: ManualClock) -> None:
    clock.now += 1
    play(job, 3.0)
    clock.now += 1
    record = job.record()
    assert (record.wall_seconds, record.xrt) == pytest.approx((2.0, 1.5))
    assert record.kbps == pytest.approx(1.5 * RATE * 16 / 1000)


def test_an_utterance_without_audio_has_no_rates(clock: ManualClock) -> None:
    record = Job(Utterance.of("Hello."), clock, make_costs()).record()
    assert (record.wall_seconds, record.rtf, record.xrt, record.kbps) == (0.0, None, None, None)


def test_the_wait_in_the_admission_queue_does_not_count_as_time_to_first_audio(
    job: Job, clock: ManualClock
) -> None:
    job.add_segment(Segment("Hello."))
    with job.timing_wait():
        clock.now += 8
    clock.now += 0.5
    play(job, 1.0)
    with job.timing_wait():
        clock.now += 8
    assert job.record().ttfa == pytest.approx(0.5)


def test_an_utterance_whose_voice_was_not_resolved_has_no_wait(clock: ManualClock) -> None:
    job = Job(Utterance.of("Hello."), clock, make_costs())
    clock.now += 5
    assert job.record().wait == 0.0


def test_a_listener_that_runs_dry_is_an_underrun(job: Job, clock: ManualClock) -> None:
    play(job, 1.0)
    clock.now += 1.5
    play(job, 1.0)
    clock.now += 0.9
    play(job, 0.1)
    assert job.record().underruns == 1
    assert job.record().underrun_seconds == pytest.approx(0.5)


def test_late_first_audio_is_not_an_underrun(job: Job, clock: ManualClock) -> None:
    clock.now += 30
    play(job, 1.0)
    assert job.record().underruns == 0


def test_an_inaudibly_short_gap_is_not_an_underrun(job: Job, clock: ManualClock) -> None:
    play(job, 1.0)
    clock.now += 1.015
    play(job, 1.0)
    assert job.record().underruns == 0


def test_a_listener_that_pauses_is_not_an_underrun(job: Job, clock: ManualClock) -> None:
    job.make_chunk(bytes(2 * RATE))
    clock.now += 60
    job.on_chunk_requested()
    play(job, 1.0)
    assert job.record().underruns == 0


async def test_a_gap_while_waiting_for_text_is_not_an_underrun(job: Job, clock: ManualClock) -> None:
    more = asyncio.Event()

    async def segments() -> AsyncGenerator[Segment, None]:
        yield Segment("One.")
        await more.wait()
        yield Segment("Two.")

    async with Prefetch(segments(), room_in=lambda: inf) as known:
        assert await job.next_segment(known) == Segment("One.")
        play(job, 1.0)
        coming = asyncio.ensure_future(job.next_segment(known))
        await asyncio.sleep(0)
        clock.now += 10
        more.set()
        assert await coming == Segment("Two.")
    play(job, 1.0)
    assert job.record().underruns == 0
    clock.now += 2
    play(job, 1.0)
    assert job.record().underruns == 1


async def test_a_gap_before_the_end_of_the_text_is_not_an_underrun(job: Job, clock: ManualClock) -> None:
    more = asyncio.Event()

    async def segments() -> AsyncGenerator[Segment, None]:
        yield Segment("One.")
        await more.wait()

    async with Prefetch(segments(), room_in=lambda: inf) as known:
        await job.next_segment(known)
        play(job, 1.0)
        ending = asyncio.ensure_future(job.next_segment(known))
        await asyncio.sleep(0)
        clock.now += 10
        more.set()
        assert await ending is None
    play(job, 1.0)
    assert job.record().underruns == 0


def test_model_load_times_are_summed(job: Job, clock: ManualClock) -> None:
    for _ in range(2):
        with job.timing_load():
            clock.now += 1.5
    job.cached_segments += 1
    assert job.record().model_load_seconds == pytest.approx(3.0)
    assert job.record().cached_segments == 1


async def test_records_include_cache_hits_model_loads_and_the_admission_wait() -> None:
    records: list[UtteranceRecord] = []
    async with running_parts() as parts:
        synthesizer = Synthesizer(
            library=parts.library,
            loaded=parts.loaded,
            workers=parts.workers,
            admission=Admission(AdmissionOptions(max_streams=1), parts.workers.scheduler),
            cache=parts.cache,
            options=SynthesisOptions(),
            on_record=records.append,
            clock=itertools.count(0.0, 0.001).__next__,  # advances by 1 ms with every reading
        )

        async def speak() -> None:
            async with synthesizer.speak(Utterance.of("One two. Three.")) as stream:
                async for _ in stream:
                    pass

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(speak())
            tasks.create_task(speak())
    first, second = records
    assert (first.cached_segments, second.cached_segments) == (0, 2)
    assert first.model_load_seconds > second.model_load_seconds == 0.0
    assert second.wait > first.wait + first.model_load_seconds


async def test_no_word_is_told_with_the_silence_before_all_of_them(job: Job) -> None:
    [text] = [OffsetText.written(str(piece)) async for piece in job.read_text(None)]
    job.words.begin_segment(text, 0)
    job.words.add(SegmentTimings(text, RATE, WordTimings((WordTiming(0, 5, 20, 80),))))

    silence = job.make_chunk(bytes(2 * RATE))
    job.begin_playing()
    audio = job.make_chunk(bytes(2 * RATE))

    assert silence.words == ()
    [word] = audio.words
    assert word.text == "Hello"
    assert [word.start_time, word.end_time] == pytest.approx([1.02, 1.08])
