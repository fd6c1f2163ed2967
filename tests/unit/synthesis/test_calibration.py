"""Calibration of voices while nobody else wants to compute, with a model that needs three sentences."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable, Generator, Sequence
from contextlib import asynccontextmanager

import pytest

from tests.support.silent_voice import SilentVoice
from wyoming_tts.admission import Admission, AdmissionOptions, Place
from wyoming_tts.engines.base import FirstCut
from wyoming_tts.engines.model_cache import ModelCache
from wyoming_tts.errors import EngineFailed
from wyoming_tts.scheduler import Scheduler, StreamClock
from wyoming_tts.speech import Attribution, Prosody, Voice, VoiceSpec
from wyoming_tts.synthesis.calibration import QUIET_SECONDS, VoiceCalibration
from wyoming_tts.workers import Workers

SENTENCES = 3


def spec(name: str) -> VoiceSpec:
    return VoiceSpec(Voice(name, "fake", "en_US", name, 16_000, name, Attribution("nobody", "")))


class Clock:
    """Invented time, which passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


class LearningModel(SilentVoice):
    """A model in memory that learns a voice from three sentences, a step for each."""

    def __init__(self) -> None:
        self.learned: dict[str, int] = {}
        self.on_sentence: Callable[[str], None] = lambda _: None
        self.is_closed = False
        self.open = 0
        """Calibrations that have begun and not ended."""

    def is_calibrated(self, spec: VoiceSpec) -> bool:
        return self.learned.get(spec.voice.name, 0) >= SENTENCES

    def calibrate(self, spec: VoiceSpec) -> Generator[int, None, None]:
        name = spec.voice.name
        self.open += 1
        try:
            for number in range(self.learned.get(name, 0), SENTENCES):
                self.on_sentence(name)
                self.learned[name] = number + 1
                yield number + 1
        finally:
            self.open -= 1

    def close(self) -> None:
        self.is_closed = True


class OrdinaryModel(LearningModel):
    """A model that has nothing to learn."""

    calibrate = None  # type: ignore[assignment]


class FakeEngine:
    name = "fake"

    def __init__(self) -> None:
        self.made: list[LearningModel] = []

    def first_cut(self, voice: Voice, prosody: Prosody) -> FirstCut:
        return FirstCut.AFTER_CLAUSE

    def installed(self) -> Sequence[Voice]:
        return ()

    def load(self, voice: Voice) -> LearningModel:
        self.made.append(LearningModel())
        return self.made[-1]


class Scene:
    """A calibration at work, with what it works on."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.workers = Workers(Scheduler(slots=1), clock=self.clock)
        self.engine = FakeEngine()
        self.loaded = ModelCache({"fake": self.engine}, run_blocking=self.workers.run_blocking, capacity=1)
        self.calibration = VoiceCalibration(
            self.loaded, self.workers, clock=self.clock, sleep=self.clock.sleep
        )
        self.running: asyncio.Task[None] | None = None

    async def speak_with(self, name: str) -> LearningModel:
        """Do what the synthesizer does when a voice is spoken with; return its model."""
        async with self.loaded.lease(spec(name).voice) as model:
            assert isinstance(model, LearningModel)
            self.calibration.request(spec(name), model)
            return model

    async def listen(self) -> None:
        """Compute a step for a listener."""
        await self.workers.run_step(StreamClock(self.clock()), lambda: None)

    def start(self) -> None:
        self.running = asyncio.create_task(self.calibration.run())

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Let everything run on until something is so."""
        async with asyncio.timeout(10):
            while not is_so():  # noqa: ASYNC110 - what is awaited happens in other code
                await asyncio.sleep(0.001)


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    scene = Scene()
    yield scene
    if scene.running is not None:
        scene.running.cancel()
        await asyncio.wait({scene.running})
    scene.loaded.close()
    assert await scene.workers.close()


@asynccontextmanager
async def held_up(scene: Scene, model: LearningModel) -> AsyncIterator[None]:
    """Hold calibration up in its first sentence, which only an interruption ends, during the block."""
    loop, begun = asyncio.get_running_loop(), asyncio.Event()

    def wait_for_interruption(_: str) -> None:
        interrupted = threading.Event()
        with scene.workers.interruptible(interrupted.set):
            loop.call_soon_threadsafe(begun.set)
            assert interrupted.wait(10)
        raise EngineFailed("The model failed: terminated.")

    model.on_sentence = wait_for_interruption
    scene.start()
    await begun.wait()
    model.on_sentence = lambda _: None
    yield


async def test_a_voice_that_was_spoken_with_is_calibrated(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    model = await scene.speak_with("amy")
    scene.start()
    await scene.until(lambda: "Calibrated amy with 3 sentences in 0.0 s." in caplog.messages)
    assert model.learned == {"amy": SENTENCES}


async def test_it_begins_once_nobody_has_computed_for_a_while(scene: Scene) -> None:
    model = await scene.speak_with("amy")
    await scene.listen()
    learned_at: list[float] = []
    model.on_sentence = lambda _: learned_at.append(scene.clock())
    left_at = scene.clock()
    scene.start()
    await scene.until(lambda: len(learned_at) == SENTENCES)
    assert learned_at == [left_at + QUIET_SECONDS] * SENTENCES


async def test_a_listener_interrupts_it_and_it_goes_on_later(scene: Scene) -> None:
    model = await scene.speak_with("amy")
    async with held_up(scene, model):
        await scene.listen()
    left_at = scene.clock()
    await scene.until(lambda: model.is_calibrated(spec("amy")))
    assert scene.clock() == left_at + QUIET_SECONDS


async def test_what_was_learned_before_an_interruption_stays(scene: Scene) -> None:
    model = await scene.speak_with("amy")
    sentences: list[int] = []

    def note(_: str) -> None:
        sentences.append(model.learned.get("amy", 0))
        if len(sentences) == 2:
            scene.clock.now += 5.0
            scene.workers.make_way()  # as a listener would while the step goes on, too late to interrupt it

    model.on_sentence = note
    scene.start()
    await scene.until(lambda: model.is_calibrated(spec("amy")))
    assert sentences == [0, 1, 2]
    assert scene.clock.slept[-1] == QUIET_SECONDS


async def test_a_voice_is_calibrated_once_however_often_it_speaks(scene: Scene) -> None:
    for _ in range(3):
        model = await scene.speak_with("amy")
    asked: list[str] = []
    model.on_sentence = asked.append
    scene.start()
    await scene.until(lambda: model.is_calibrated(spec("amy")) and not model.open)
    await scene.speak_with("amy")
    assert repr(scene.calibration) == "<VoiceCalibration queued=0>"
    assert asked == ["amy"] * SENTENCES


async def test_a_model_with_nothing_to_learn_is_not_queued(scene: Scene) -> None:
    scene.calibration.request(spec("amy"), OrdinaryModel())
    assert repr(scene.calibration) == "<VoiceCalibration queued=0>"


async def test_a_voice_whose_model_was_freed_is_calibrated_when_it_speaks_again(scene: Scene) -> None:
    await scene.speak_with("amy")
    bob = await scene.speak_with("bob")  # there is room for one model
    scene.start()
    await scene.until(lambda: bob.is_calibrated(spec("bob")))
    assert [model.learned for model in scene.engine.made] == [{}, {"bob": SENTENCES}]
    amy = await scene.speak_with("amy")
    await scene.until(lambda: amy.is_calibrated(spec("amy")))


async def test_a_model_is_freed_although_its_calibration_is_not_over(scene: Scene) -> None:
    amy = await scene.speak_with("amy")
    async with held_up(scene, amy):
        await scene.speak_with("bob")
        assert not amy.is_closed  # a step of it still runs
        await scene.listen()
    await scene.until(lambda: amy.is_closed)


async def test_a_voice_that_fails_does_not_end_it(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    amy = await scene.speak_with("amy")

    def fail(_: str) -> None:
        raise EngineFailed("The model failed.")

    amy.on_sentence = fail
    scene.start()
    await scene.until(lambda: "amy could not be calibrated: The model failed." in caplog.messages)
    bob = await scene.speak_with("bob")
    await scene.until(lambda: bob.is_calibrated(spec("bob")))


async def test_an_unforeseen_failure_does_not_end_it(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    amy = await scene.speak_with("amy")

    def fail(_: str) -> None:
        raise ZeroDivisionError

    amy.on_sentence = fail
    scene.start()
    await scene.until(lambda: "amy could not be calibrated." in caplog.messages)
    bob = await scene.speak_with("bob")
    await scene.until(lambda: bob.is_calibrated(spec("bob")))


async def test_stopping_the_server_interrupts_it_at_once(scene: Scene) -> None:
    model = await scene.speak_with("amy")
    async with held_up(scene, model):
        assert scene.running is not None
        scene.running.cancel()
        await asyncio.wait({scene.running})
    assert not model.open
    assert model.learned == {}


async def test_nobody_is_expected_to_wait_for_it(scene: Scene) -> None:
    model = await scene.speak_with("amy")
    admission = Admission(AdmissionOptions(max_streams=1), scene.workers.scheduler)
    async with held_up(scene, model):
        now, listener = scene.clock(), Place(StreamClock(scene.clock()))
        assert scene.workers.scheduler.busy_for(listener.stream, now) == 0.0
        assert admission.predict_wait(now) == 0.0
        assert admission.admit(listener, now)
        assert admission.will_hold(listener, now)
        scene.workers.make_way()
