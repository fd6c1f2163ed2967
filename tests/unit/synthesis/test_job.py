"""What an utterance's record says of waits and underruns, by an invented clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.support.parts import running_parts
from wyoming_tts.admission import Admission, AdmissionOptions
from wyoming_tts.speech import Attribution, Utterance, UtteranceRecord, Voice, VoiceSpec
from wyoming_tts.synthesis import Synthesizer
from wyoming_tts.synthesis.job import PAUSE, Job
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
    job.resolved(VoiceSpec(VOICE))
    job.let_in()
    return job


def play(job: Job, seconds: float) -> None:
    job.chunk(bytes(2 * round(seconds * RATE)))
    job.asked()


def test_the_wait_is_the_time_at_the_door(now: Now) -> None:
    job = Job(Utterance.of("Hello."), now)
    now.seconds += 5  # the voice is fetched
    job.resolved(VoiceSpec(VOICE))
    now.seconds += 2
    assert job.record().wait == pytest.approx(2.0)  # who leaves now has waited so long
    job.let_in()
    now.seconds += 9
    assert job.record().wait == pytest.approx(2.0)


def test_who_never_came_to_the_door_has_not_waited(now: Now) -> None:
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


def test_a_listener_that_takes_nothing_has_itself_to_blame(job: Job, now: Now) -> None:
    job.chunk(bytes(2 * RATE))
    now.seconds += 60
    job.asked()
    play(job, 1.0)
    assert job.record().underruns == 0


async def test_a_pause_of_the_text_is_no_underrun(now: Now) -> None:
    more = asyncio.Event()

    async def text() -> AsyncIterator[str]:
        yield "One."
        await more.wait()
        yield "Two."

    job = Job(Utterance(text()), now)
    job.resolved(VoiceSpec(VOICE))
    pieces = job.text(None)
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


async def test_neither_is_what_was_spoken_because_no_more_came(now: Now) -> None:
    async def text() -> AsyncIterator[str]:
        yield "One. And"
        await asyncio.Event().wait()

    job = Job(Utterance(text()), now)
    job.resolved(VoiceSpec(VOICE))
    pieces = job.text(0.001)
    await anext(pieces)
    play(job, 1.0)
    now.seconds += 3
    assert await anext(pieces) == PAUSE
    play(job, 1.0)
    assert job.record().underruns == 0
    await pieces.aclose()


async def test_neither_is_the_rest_that_waited_for_the_end(now: Now) -> None:
    more = asyncio.Event()

    async def text() -> AsyncIterator[str]:
        yield "One. And"
        await more.wait()

    job = Job(Utterance(text()), now)
    job.resolved(VoiceSpec(VOICE))
    pieces = job.text(None)
    await anext(pieces)
    play(job, 1.0)
    ending = asyncio.ensure_future(anext(pieces, None))
    await asyncio.sleep(0)
    now.seconds += 10
    more.set()
    assert await ending is None
    play(job, 1.0)
    assert job.record().underruns == 0


def test_waiting_for_models_is_added_up(job: Job, now: Now) -> None:
    for _ in range(2):
        with job.loading():
            now.seconds += 1.5
    job.cached_segments += 1
    assert job.record().model_load_seconds == pytest.approx(3.0)
    assert job.record().cached_segments == 1


async def test_a_product_tells_of_its_cache_its_models_and_its_door() -> None:
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
    assert second.wait > 10 * first.wait >= 0.0
    assert second.wait > first.model_load_seconds
