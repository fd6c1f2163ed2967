"""Voice loudness: the gain of each voice, measured once for its files, and the measurement itself."""

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


class HummingVoice:
    """A loaded voice that hums half a second at one level, and records each call."""

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
        """There is nothing to release."""


def make_spec(name: str = "hum", fingerprint: str = "1", speaker: int | None = None) -> VoiceSpec:
    attribution = Attribution("nobody", "")
    voice = Voice(name, "hums", "en_US", name, RATE, "model", attribution, fingerprint=fingerprint)
    return VoiceSpec(voice, speaker)


def make_stream() -> StreamClock:
    return StreamClock(0.0)


@pytest.fixture
async def workers() -> AsyncIterator[Workers]:
    workers = Workers(Scheduler(slots=2, multicore_slots=1))
    yield workers
    assert await workers.close()


async def test_a_voice_is_measured_once(workers: Workers) -> None:
    loudness, voice = VoiceLoudness(workers, TARGET), HummingVoice()
    gains = {await loudness.gain(make_spec(), voice, make_stream()) for _ in range(3)}
    assert len(gains) == len(voice.calls) == 1


async def test_the_gain_brings_the_voice_to_the_target(workers: Workers) -> None:
    voice = HummingVoice()
    gain = await VoiceLoudness(workers, TARGET).gain(make_spec(), voice, make_stream())
    (hum,) = voice.render(Segment(""), make_spec(), Prosody())
    assert measure_loudness(hum * np.float32(gain), RATE) == pytest.approx(TARGET, abs=0.01)


async def test_a_voice_whose_files_changed_is_measured_again(workers: Workers) -> None:
    loudness = VoiceLoudness(workers, TARGET)
    quiet = await loudness.gain(make_spec(fingerprint="old"), HummingVoice(0.05), make_stream())
    loud = await loudness.gain(make_spec(fingerprint="new"), HummingVoice(0.1), make_stream())
    assert quiet == pytest.approx(2 * loud, rel=0.01)


async def test_each_speaker_is_measured_separately(workers: Workers) -> None:
    loudness, voice = VoiceLoudness(workers, TARGET), HummingVoice()
    for speaker in (None, 0, 1, 1):
        await loudness.gain(make_spec(speaker=speaker), voice, make_stream())
    assert len(voice.calls) == len(loudness) == 3


async def test_the_least_recently_used_gain_is_evicted(workers: Workers) -> None:
    loudness, voice = VoiceLoudness(workers, TARGET, max_gains=2), HummingVoice()
    for name in ("a", "b", "a", "c", "a", "b"):
        await loudness.gain(make_spec(name), voice, make_stream())
        assert len(loudness) <= 2
    assert voice.calls == ["a", "b", "c", "b"]


async def test_concurrent_requests_share_one_measurement_despite_eviction(
    workers: Workers,
) -> None:
    loudness, voice = VoiceLoudness(workers, TARGET, max_gains=1), HummingVoice()
    began, go_on = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def hold() -> None:
        voice.before = lambda: None
        loop.call_soon_threadsafe(began.set)
        asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result(10)

    voice.before = hold
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(loudness.gain(make_spec("slow"), voice, make_stream()))
        await began.wait()
        second = tasks.create_task(loudness.gain(make_spec("slow"), voice, make_stream()))
        for name in ("a", "b", "c"):
            await loudness.gain(make_spec(name), voice, make_stream())
        go_on.set()
    assert first.result() == second.result()
    assert voice.calls.count("slow") == 1
    assert len(loudness) == 1


async def test_a_failed_or_cancelled_measurement_is_not_remembered(workers: Workers) -> None:
    loudness, voice = VoiceLoudness(workers, TARGET), HummingVoice()

    def fail() -> None:
        raise EngineFailed("It hums no more.")

    voice.before = fail
    with pytest.raises(EngineFailed):
        await loudness.gain(make_spec(), voice, make_stream())
    assert len(loudness) == 0
    leaving = asyncio.create_task(loudness.gain(make_spec(), voice, make_stream()))
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.wait([leaving])
    assert len(loudness) == 0
    voice.before = lambda: None
    assert await loudness.gain(make_spec(), voice, make_stream()) > 0


async def test_cancelling_one_request_does_not_cancel_the_measurement_of_the_others(workers: Workers) -> None:
    loudness, voice = VoiceLoudness(workers, TARGET), HummingVoice()
    leaving, staying = (
        asyncio.create_task(loudness.gain(make_spec(), voice, make_stream())) for _ in range(2)
    )
    await asyncio.sleep(0)
    leaving.cancel()
    assert await staying > 0
    assert len(loudness) == 1


def test_a_full_scale_997_hz_sine_measures_as_the_standard_specifies() -> None:
    assert measure_loudness(sine(997, 1.0), HIGH_RATE) == pytest.approx(-3.01, abs=0.05)


@pytest.mark.parametrize("rate", [16_000, 22_050, 24_000, 48_000])
def test_loudness_does_not_depend_on_the_sample_rate(rate: int) -> None:
    assert measure_loudness(sine(997, 0.1, rate=rate), rate) == pytest.approx(-23.01, abs=0.15)


def test_low_frequency_rumble_counts_less_than_speech() -> None:
    assert measure_loudness(sine(30, 0.5), HIGH_RATE) < measure_loudness(sine(500, 0.5), HIGH_RATE) - 6


def test_pauses_between_words_are_gated_out() -> None:
    word = sine(500, 0.2, 1.0)
    with_pause = np.concatenate([word, np.zeros(3 * HIGH_RATE, np.float32), word])
    assert measure_loudness(with_pause, HIGH_RATE) == pytest.approx(
        measure_loudness(word, HIGH_RATE), abs=1.0
    )


@pytest.mark.parametrize("samples", [np.zeros(0, np.float32), np.zeros(HIGH_RATE, np.float32)])
def test_silence_has_no_loudness_and_is_not_amplified(samples: Samples) -> None:
    assert measure_loudness(samples, HIGH_RATE) == float("-inf")
    assert gain_for(-20, samples, HIGH_RATE) == 1.0


@given(st.floats(0.01, 0.9))
def test_the_gain_brings_any_level_to_the_target(amplitude: float) -> None:
    samples = sine(500, amplitude, 1.0)
    assert measure_loudness(samples * gain_for(-20, samples, HIGH_RATE), HIGH_RATE) == pytest.approx(
        -20, abs=0.01
    )


def test_the_gain_of_a_nearly_silent_voice_is_bounded() -> None:
    assert gain_for(-20, sine(500, 0.0005, 1.0), HIGH_RATE) == pytest.approx(10**1.5)
