"""Loudness normalization: one gain per voice, measured once after ITU-R BS.1770-4, to one target in LUFS.

A gain per voice keeps its sentences in relation to each other, which a gain per sentence would not, and is
known before the first sample of a sentence. It is measured on a short text that the voice speaks for nobody.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from wyoming_tts.engines.base import LoadedVoice, Rendered, samples_of
from wyoming_tts.scheduler import StreamClock
from wyoming_tts.speech import Prosody, Samples, VoiceSpec
from wyoming_tts.synthesis.costs import StepClocks
from wyoming_tts.synthesis.voice_cost import MeasuredSegment, StepTiming
from wyoming_tts.workers import StepwiseRender, Workers

_LOGGER = logging.getLogger(__name__)

MAX_GAIN_DB: Final = 30.0
"""A voice that needs more is broken or silent; amplifying its noise would not make it a voice."""

_CALIBRATION_PROSODY = Prosody(noise_scale=0.0, noise_w_scale=0.0)
"""Without noise the measured gain, and with it every sample, is the same after each start."""

_MAX_GAINS = 256
"""Gains kept: clients may ask for blend recipes without end."""

_BLOCK_SECONDS = 0.4
_BLOCK_OVERLAP = 4
_ABSOLUTE_GATE_LUFS = -70.0
_RELATIVE_GATE_LU = -10.0
_LUFS_OFFSET = -0.691

SpeakerKey: TypeAlias = tuple[str, str, int | None, str]
"""Voice, model, speaker and the fingerprint of the voice's files."""


@dataclass(slots=True)
class _Measurement:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    gain: float | None = None
    callers: int = 0


class VoiceLoudness:
    """The gain of each voice as its files are now; the least recently used gains are dropped."""

    def __init__(
        self,
        workers: Workers,
        target_lufs: float,
        *,
        max_gains: int = _MAX_GAINS,
        clocks: StepClocks | None = None,
        on_calibrated: Callable[[VoiceSpec, MeasuredSegment], None] = lambda _spec, _segment: None,
    ) -> None:
        self._workers = workers
        self._clocks = clocks or StepClocks()
        self._on_calibrated = on_calibrated
        self._target = target_lufs
        self._max_gains = max_gains
        self._measurements: dict[SpeakerKey, _Measurement] = {}  # the most recently used last

    def __repr__(self) -> str:
        return f"<VoiceLoudness gains={len(self._measurements)}>"

    def __len__(self) -> int:
        return len(self._measurements)

    def is_known(self, spec: VoiceSpec) -> bool:
        """Whether the voice's gain was measured."""
        measurement = self._measurements.get(speaker_key(spec))
        return measurement is not None and measurement.gain is not None

    async def gain(self, spec: VoiceSpec, loaded: LoadedVoice, stream: StreamClock) -> float:
        """Return the voice's linear gain; the first call measures it, in steps of the caller's stream.

        Raises:
            SpeechError: as for `LoadedVoice.render`.
        """
        key = speaker_key(spec)
        measurement = self._measurements.setdefault(key, _Measurement())
        self._measurements[key] = self._measurements.pop(key)
        measurement.callers += 1
        try:
            async with measurement.lock:
                if measurement.gain is None:
                    measurement.gain = await self._measure(spec, loaded, stream)
            return measurement.gain
        finally:
            measurement.callers -= 1
            self._evict()

    def _evict(self) -> None:
        for key, measurement in list(self._measurements.items()):
            if measurement.callers:
                continue  # it is being measured, and others may be waiting for that
            if measurement.gain is None or len(self._measurements) > self._max_gains:
                del self._measurements[key]

    async def _measure(self, spec: VoiceSpec, loaded: LoadedVoice, stream: StreamClock) -> float:
        segment = loaded.calibration_segment(spec)
        measured = MeasuredSegment(len(segment.text))
        render = _timed(loaded.render(segment, spec, _CALIBRATION_PROSODY), spec, stream, self._clocks)
        parts = []
        async with StepwiseRender(self._workers, stream, render) as steps:
            async for samples, timing in steps:
                parts.append(samples)
                measured.add(timing)
        self._on_calibrated(spec, measured)
        samples = np.concatenate(parts) if parts else np.zeros(0, np.float32)
        gain = await self._workers.run_step(
            stream, lambda: gain_for(self._target, samples, spec.voice.sample_rate)
        )
        _LOGGER.debug("Gain of %s, speaker %s: %.2f.", spec.voice.name, spec.speaker, gain)
        return gain


def _timed(
    render: Generator[Rendered, None, None], spec: VoiceSpec, stream: StreamClock, clocks: StepClocks
) -> Generator[tuple[Samples, StepTiming], None, None]:
    with closing(render):
        started = clocks.read()
        for rendered in render:
            samples = samples_of(rendered)
            audio = len(samples) / spec.voice.sample_rate
            yield samples, clocks.timing(started, audio, has_cores=stream.has_cores)
            started = clocks.read()


def speaker_key(spec: VoiceSpec) -> SpeakerKey:
    """Identify what a voice sounds like: another content of its files is another key."""
    return spec.voice.name, spec.voice.model, spec.speaker, spec.voice.fingerprint


def gain_for(target_lufs: float, samples: Samples, rate: int) -> float:
    """Return the linear gain that brings `samples` to `target_lufs`; 1.0 for silence."""
    measured = measure_loudness(samples, rate)
    if not np.isfinite(measured):
        return 1.0
    gain_db = float(np.clip(target_lufs - measured, -MAX_GAIN_DB, MAX_GAIN_DB))
    return float(10.0 ** (gain_db / 20.0))


def measure_loudness(samples: Samples, rate: int) -> float:
    """Integrated loudness of mono audio in LUFS, after ITU-R BS.1770-4; -inf for silence.

    The K weighting is applied in the frequency domain: magnitudes are all that the measure needs.
    Audio shorter than one 400 ms block is measured as a single block.
    """
    weighted = _k_weighted(samples, rate)
    block = min(len(weighted), int(_BLOCK_SECONDS * rate))
    if block == 0:
        return float("-inf")
    blocks = np.lib.stride_tricks.sliding_window_view(weighted, block)[:: max(1, block // _BLOCK_OVERLAP)]
    powers = np.mean(np.square(blocks), axis=1)
    powers = powers[powers > _power(_ABSOLUTE_GATE_LUFS)]
    if not powers.size:
        return float("-inf")
    gate = _power(_lufs(float(powers.mean())) + _RELATIVE_GATE_LU)
    return _lufs(float(powers[powers > gate].mean()))


def _lufs(power: float) -> float:
    return float(_LUFS_OFFSET + 10.0 * np.log10(power))


def _power(lufs: float) -> float:
    return float(10.0 ** ((lufs - _LUFS_OFFSET) / 10.0))


def _k_weighted(samples: Samples, rate: int) -> npt.NDArray[np.float64]:
    # Zero padding to twice the length keeps the circular convolution from wrapping round.
    size = 2 * len(samples)
    if size == 0:
        return np.zeros(0)
    z = np.exp(2j * np.pi * np.fft.rfftfreq(size))
    response = _high_shelf(z, rate) * _high_pass(z, rate)
    return np.fft.irfft(np.fft.rfft(samples, size) * response, size)[: len(samples)]


def _high_shelf(z: npt.NDArray[np.complex128], rate: int) -> npt.NDArray[np.complex128]:
    # First stage of BS.1770: analogue prototype whose 48 kHz version gives the published numbers.
    k = np.tan(np.pi * 1681.974450955533 / rate)
    quality = 0.7071752369554196
    high = 10.0 ** (3.999843853973347 / 20.0)
    band = high**0.4996667741545416
    a0 = 1.0 + k / quality + k * k
    b = (high + band * k / quality + k * k, 2.0 * (k * k - high), high - band * k / quality + k * k)
    a = (a0, 2.0 * (k * k - 1.0), 1.0 - k / quality + k * k)
    response: npt.NDArray[np.complex128] = (b[0] + b[1] / z + b[2] / z**2) / (a[0] + a[1] / z + a[2] / z**2)
    return response


def _high_pass(z: npt.NDArray[np.complex128], rate: int) -> npt.NDArray[np.complex128]:
    # Second stage of BS.1770 (RLB weighting).
    k = np.tan(np.pi * 38.13547087602444 / rate)
    quality = 0.5003270373238773
    a0 = 1.0 + k / quality + k * k
    a = (2.0 * (k * k - 1.0) / a0, (1.0 - k / quality + k * k) / a0)
    response: npt.NDArray[np.complex128] = (1.0 - 2.0 / z + 1.0 / z**2) / (1.0 + a[0] / z + a[1] / z**2)
    return response
