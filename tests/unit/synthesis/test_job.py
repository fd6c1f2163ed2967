"""Waits and underruns in an utterance's record, by an invented clock."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator

import pytest

from tests.support.parts import running_parts
from wyoming_tts.admission import Admission, AdmissionOptions
from wyoming_tts.speech import Attribution, Utterance, UtteranceRecord, Voice, VoiceSpec
from wyoming_tts.synthesis import Synthesizer
from wyoming_tts.synthesis.job import IDLE, Job
from wyoming_tts.synthesis.options import SynthesisOptions

RATE = 1000
VOICE = Voice("tone", "piper", "en_US", "A tone.", RATE, "tone", Attribution("nobody", ""))


class Now:
    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def now() -> Now:
    return Now()


@pytest.fixture
def job(now: Now) -> Job:
    job = Job(Utterance.of("Hello."), now)
    job.on_voice_resolved(VoiceSpec(VOICE))
    job.on_admitted()
    return job


def play(job: Job, seconds: float) -> None:
    job.make_chunk(bytes(2 * round(seconds * RATE)))
    job.on_chunk_requested()


def test_the_wait_is_the_time_in_the_admission_queue(now: Now) -> None:
    job = Job(Utterance.of("Hello."), now)
    now.seconds += 5  # the voice is fetched
    job.on_voice_resolved(VoiceSpec(VOICE))
    now.seconds += 2
    assert job.record().wait == pytest.approx(2.0)  # as recorded if the client left now
    job.on_admitted()
    now.seconds += 9
    assert job.record().wait == pytest.approx(2.0)


def test_an_utterance_whose_voice_was_never_resolved_has_not_waited(now: Now) -> None:
    job = Job(Utterance.of("Hello."), now)
    now.seconds += 5
    assert job.record().wait == 0.0


def test_a_listener_that_runs_dry_while_there_is_text_is_an_underrun(job: Job, now: Now) -> None:
    play(job, 1.0)
    now.seconds += 1.5
    play(job, 1.0)
    now.seconds += 0.9
    play(job, 0.1)
    assert job.record().underruns == 1
    assert job.record().underrun_seconds == pytest.approx(0.5)


def test_the_first_audio_is_no_underrun_however_late(job: Job, now: Now) -> None:
    now.seconds += 30
    play(job, 1.0)
    assert job.record().underruns == 0


def test_a_gap_that_nobody_hears_is_no_underrun(job: Job, now: Now) -> None:
    play(job, 1.0)
    now.seconds += 1.015
    play(job, 1.0)
    assert job.record().underruns == 0


def test_a_gap_of_a_listener_that_requested_nothing_is_no_underrun(job: Job, now: Now) -> None:
    job.make_chunk(bytes(2 * RATE))
    now.seconds += 60
    job.on_chunk_requested()
    play(job, 1.0)
    assert job.record().underruns == 0


async def test_a_pause_of_the_text_is_no_underrun(now: Now) -> None:
    more = asyncio.Event()

    async def text() -> AsyncIterator[str]:
        yield "One."
        await more.wait()
        yield "Two."

    job = Job(Utterance(text()), now)
    job.on_voice_resolved(VoiceSpec(VOICE))
    pieces = job.read_text(None)
    assert await anext(pieces) == "One."
    play(job, 1.0)
    coming = asyncio.ensure_future(anext(pieces))
    await asyncio.sleep(0)
    now.seconds += 10
    more.set()
    assert await coming == "Two."
    play(job, 1.0)
    assert job.record().underruns == 0
    now.seconds += 2
    play(job, 1.0)
    assert job.record().underruns == 1


async def test_nor_is_text_that_was_flushed_because_no_more_came(now: Now) -> None:
    async def text() -> AsyncIterator[str]:
        yield "One. And"
        await asyncio.Event().wait()

    job = Job(Utterance(text()), now)
    job.on_voice_resolved(VoiceSpec(VOICE))
    pieces = job.read_text(0.001)
    await anext(pieces)
    play(job, 1.0)
    now.seconds += 3
    assert await anext(pieces) == IDLE
    play(job, 1.0)
    assert job.record().underruns == 0
    await pieces.aclose()


async def test_nor_is_the_rest_that_waited_for_the_end(now: Now) -> None:
    more = asyncio.Event()

    async def text() -> AsyncIterator[str]:
        yield "One. And"
        await more.wait()

    job = Job(Utterance(text()), now)
    job.on_voice_resolved(VoiceSpec(VOICE))
    pieces = job.read_text(None)
    await anext(pieces)
    play(job, 1.0)
    ending = asyncio.ensure_future(anext(pieces, None))
    await asyncio.sleep(0)
    now.seconds += 10
    more.set()
    assert await ending is None
    play(job, 1.0)
    assert job.record().underruns == 0


def test_the_time_to_load_models_is_added_up(job: Job, now: Now) -> None:
    for _ in range(2):
        with job.timing_load():
            now.seconds += 1.5
    job.cached_segments += 1
    assert job.record().model_load_seconds == pytest.approx(3.0)
    assert job.record().cached_segments == 1


async def test_records_tell_of_the_cache_the_models_and_the_admission_queue() -> None:
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
            clock=map(float, itertools.count()).__next__,  # ticks with every reading
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
