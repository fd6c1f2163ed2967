"""The gain of each voice: measured once for its files' content, kept within a bound; and the measure
itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Generator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wyoming_tts.errors import EngineFailed
from wyoming_tts.scheduler import Scheduler, StreamClock
from wyoming_tts.speech import (
    Attribution,
    Prosody,
    Samples,
    Segment,
    Voice,
    VoiceSpec,
)
from wyoming_tts.synthesis.loudness import VoiceLoudness, gain_for, measure_loudness
from wyoming_tts.workers import Workers

RATE = 16_000
HIGH_RATE = 48_000
TARGET = -20.0


def sine(hertz: float, amplitude: float, seconds: float = 3.0, rate: int = HIGH_RATE) -> Samples:
    time = np.arange(int(seconds * rate)) / rate
    return (amplitude * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


class Humming:
    """A voice in memory that hums half a second at one level, and notes each time it does."""

    shares_cores = False

    def __init__(self, level: float = 0.1) -> None:
        self.level = level
        self.calls = list[str]()
        self.before: Callable[[], None] = lambda: None

    def render(self, segment: Segment, spec: VoiceSpec, prosody: Prosody) -> Generator[Samples, None, None]:
        del segment, prosody
        self.calls.append(spec.voice.name)
        self.before()
        times = np.arange(RATE // 2, dtype=np.float32) / RATE
        yield (self.level * np.sin(2 * np.pi * 440 * times)).astype(np.float32)

    def phonemes(self, segment: Segment, spec: VoiceSpec) -> str:
        del spec
        return segment.text

    def calibration_segment(self, spec: VoiceSpec) -> Segment:
        del spec
        return Segment("hm")

    def close(self) -> None:
        """Nothing is held."""


def spec(name: str = "hum", fingerprint: str = "1", speaker: int | None = None) -> VoiceSpec:
    attribution = Attribution("nobody", "")
    voice = Voice(name, "hums", "en_US", name, RATE, "model", attribution, fingerprint=fingerprint)
    return VoiceSpec(voice, speaker)


def a_stream() -> StreamClock:
    return StreamClock(0.0)


@pytest.fixture
async def workers() -> AsyncIterator[Workers]:
    workers = Workers(Scheduler(slots=2, multicore_slots=1))
    yield workers
    assert await workers.close()


async def test_a_voice_is_measured_once(workers: Workers) -> None:
    loudness, voice = VoiceLoudness(workers, TARGET), Humming()
    gains = {await loudness.gain(spec(), voice, a_stream()) for _ in range(3)}
    assert len(gains) == len(voice.calls) == 1


async def test_the_gain_brings_the_voice_to_the_target(workers: Workers) -> None:
    voice = Humming()
    gain = await VoiceLoudness(workers, TARGET).gain(spec(), voice, a_stream())
    (hum,) = voice.render(Segment(""), spec(), Prosody())
    assert measure_loudness(hum * np.float32(gain), RATE) == pytest.approx(TARGET, abs=0.01)


async def test_a_voice_whose_files_have_changed_is_measured_anew(workers: Workers) -> None:
    loudness = VoiceLoudness(workers, TARGET)
    quiet = await loudness.gain(spec(fingerprint="old"), Humming(0.05), a_stream())
    loud = await loudness.gain(spec(fingerprint="new"), Humming(0.1), a_stream())
    assert quiet == pytest.approx(2 * loud, rel=0.01)


async def test_each_speaker_has_a_level(workers: Workers) -> None:
    loudness, voice = VoiceLoudness(workers, TARGET), Humming()
    for speaker in (None, 0, 1, 1):
        await loudness.gain(spec(speaker=speaker), voice, a_stream())
    assert len(voice.calls) == len(loudness) == 3


async def test_of_more_voices_than_are_kept_the_least_recently_used_goes(workers: Workers) -> None:
    loudness, voice = VoiceLoudness(workers, TARGET, max_gains=2), Humming()
    for name in ("a", "b", "a", "c", "a", "b"):
        await loudness.gain(spec(name), voice, a_stream())
        assert len(loudness) <= 2
    assert voice.calls == ["a", "b", "c", "b"]


async def test_all_who_ask_while_a_voice_is_measured_get_that_gain_though_others_come(
    workers: Workers,
) -> None:
    loudness, voice = VoiceLoudness(workers, TARGET, max_gains=1), Humming()
    began, go_on = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def hold() -> None:
        voice.before = lambda: None
        loop.call_soon_threadsafe(began.set)
        asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result(10)

    voice.before = hold
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(loudness.gain(spec("slow"), voice, a_stream()))
        await began.wait()
        second = tasks.create_task(loudness.gain(spec("slow"), voice, a_stream()))
        for name in ("a", "b", "c"):
            await loudness.gain(spec(name), voice, a_stream())
        go_on.set()
    assert first.result() == second.result()
    assert voice.calls.count("slow") == 1
    assert len(loudness) == 1


async def test_a_measurement_that_fails_or_is_left_leaves_nothing_behind(workers: Workers) -> None:
    loudness, voice = VoiceLoudness(workers, TARGET), Humming()

    def fail() -> None:
        raise EngineFailed("It hums no more.")

    voice.before = fail
    with pytest.raises(EngineFailed):
        await loudness.gain(spec(), voice, a_stream())
    assert len(loudness) == 0
    leaving = asyncio.create_task(loudness.gain(spec(), voice, a_stream()))
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.wait([leaving])
    assert len(loudness) == 0
    voice.before = lambda: None
    assert await loudness.gain(spec(), voice, a_stream()) > 0


async def test_one_who_leaves_while_measuring_does_not_keep_the_others_from_it(workers: Workers) -> None:
    loudness, voice = VoiceLoudness(workers, TARGET), Humming()
    leaving, staying = (asyncio.create_task(loudness.gain(spec(), voice, a_stream())) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    assert await staying > 0
    assert len(loudness) == 1


def test_a_full_scale_997_hz_sine_measures_as_the_standard_says() -> None:
    assert measure_loudness(sine(997, 1.0), HIGH_RATE) == pytest.approx(-3.01, abs=0.05)


@pytest.mark.parametrize("rate", [16_000, 22_050, 24_000, 48_000])
def test_loudness_does_not_depend_on_the_sample_rate(rate: int) -> None:
    assert measure_loudness(sine(997, 0.1, rate=rate), rate) == pytest.approx(-23.01, abs=0.15)


def test_low_rumble_counts_less_than_speech_frequencies() -> None:
    assert measure_loudness(sine(30, 0.5), HIGH_RATE) < measure_loudness(sine(500, 0.5), HIGH_RATE) - 6


def test_silence_between_words_is_gated_out() -> None:
    word = sine(500, 0.2, 1.0)
    with_pause = np.concatenate([word, np.zeros(3 * HIGH_RATE, np.float32), word])
    assert measure_loudness(with_pause, HIGH_RATE) == pytest.approx(
        measure_loudness(word, HIGH_RATE), abs=1.0
    )


@pytest.mark.parametrize("samples", [np.zeros(0, np.float32), np.zeros(HIGH_RATE, np.float32)])
def test_silence_has_no_loudness_and_is_left_alone(samples: Samples) -> None:
    assert measure_loudness(samples, HIGH_RATE) == float("-inf")
    assert gain_for(-20, samples, HIGH_RATE) == 1.0


@given(st.floats(0.01, 0.9))
def test_the_gain_brings_any_level_to_the_target(amplitude: float) -> None:
    samples = sine(500, amplitude, 1.0)
    assert measure_loudness(samples * gain_for(-20, samples, HIGH_RATE), HIGH_RATE) == pytest.approx(
        -20, abs=0.01
    )


def test_a_nearly_silent_voice_is_not_raised_without_bound() -> None:
    assert gain_for(-20, sine(500, 0.0005, 1.0), HIGH_RATE) == pytest.approx(10**1.5)
