"""Invented voices: what they cost and how long they speak, in the steps of the engines they stand for.

Samples are silent, a thousand a second: what matters of them is how many there are and when.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from math import exp
from random import Random

import numpy as np

from bench.scheduling_simulator.listening import SPOKEN_FOR
from bench.scheduling_simulator.machine import Machine, speedup
from wyoming_tts.engines.base import FirstCut
from wyoming_tts.engines.chunked_inference import chunk_ends
from wyoming_tts.engines.kokoro.batches import cut_batches
from wyoming_tts.speech import Attribution, Prosody, Samples, Segment, Voice, VoiceSpec

RATE = 1_000
"""Samples per second."""

PIPER = "piper"
KOKORO = "kokoro"

_CALIBRATION = "The quick brown fox jumps over the lazy dog."
"""Its loudness is measured when a voice is loaded: nobody hears it."""
_NO_SAMPLES = np.zeros(0, dtype=np.float32)
_PHONEMIZING = 0.001
"""Seconds for a segment."""
_ENCODING = 0.03
"""Cost of the text encoder, for the text of a second of audio, in units of that of the second."""
_EDGES = 0.15
"""Seconds of audio whose cost each chunk adds: the receptive field on both sides."""
_FIRST_CHUNK = 250
"""Samples of the first chunk; those after it double, up to:"""
_MAX_DOUBLINGS, _CROWDED_MAX_DOUBLINGS = 3, 2
_LATER_DOUBLINGS, _CROWDED_DOUBLINGS = 2, 1
_STEP_SECONDS = 0.2
"""These six as in `engines.piper.model`."""
_KOKORO_ENCODING = 0.12
"""Cost of text, source and decoder blocks of a Kokoro voice in chunks, as `_ENCODING`."""
_KOKORO_EDGES = 0.1
_KOKORO_FIRST_CHUNK = 300
_KOKORO_DOUBLINGS = 2
_KOKORO_WHOLE = 2_500
"""Samples up to which a segment is made in one step. These three as in `engines.kokoro`."""
SECONDS_PER_CHARACTER = 0.065
"""Speech, on average."""


@dataclass(frozen=True, slots=True)
class InventedVoice:
    """A voice and what it costs."""

    rtf: float
    """Seconds of computing per second of audio, on all cores that a step may have; of a Piper voice in its
    largest chunks, text included."""
    engine: str = PIPER
    """Whose steps it has: PIPER's chunks that grow, or KOKORO's whole batches."""
    is_calibrated: bool = False
    """Whether a voice of KOKORO's has chunks too."""
    pace_spread: float = 0.1
    """How much its segments differ in length from what their text lets expect (sigma of the logarithm)."""
    cost_spread: float = 0.1
    """The same of the cost of its steps."""
    number: int = 0
    """Tells voices apart that cost the same."""
    load_seconds: float = 0.0
    """Time to load its model, on one core."""

    @property
    def name(self) -> str:
        """Its name, which tells what it is like."""
        number = f"_{self.number}" if self.number else ""
        return f"en_US-{self._kind}{number}-medium"

    @property
    def model(self) -> str:
        """What is loaded for it: Kokoro's voices share a model."""
        return self.name if self.engine == PIPER else self._kind

    @property
    def _kind(self) -> str:
        return f"{self.engine}{'_in_chunks' * self.is_calibrated}{self.rtf:g}"

    @property
    def first_cut(self) -> FirstCut:
        """Where its first sentences are cut."""
        if self.engine == PIPER:
            return FirstCut.AFTER_CLAUSE
        return FirstCut.WHILE_ARRIVING if self.is_calibrated else FirstCut.AFTER_WORDS

    def installed(self) -> Voice:
        """Return what the library knows of it."""
        return Voice(
            self.name,
            self.engine,
            "en_US",
            "Invented",
            RATE,
            self.model,
            Attribution("nobody", "http://x.invalid"),
        )


class SimulatedEngine:
    """The engine of the invented voices of one kind."""

    def __init__(
        self,
        name: str,
        voices: Sequence[InventedVoice],
        *,
        machine: Machine,
        has_cores: Callable[[], bool],
        random: Random,
    ) -> None:
        self.name = name
        self._voices = {voice.name: voice for voice in voices if voice.engine == name}
        self._machine = machine
        self._has_cores = has_cores
        self._random = random

    def first_cut(self, voice: Voice, prosody: Prosody) -> FirstCut:
        """As `Engine.first_cut`."""
        del prosody
        return self._voices[voice.name].first_cut

    def installed(self) -> list[Voice]:
        """Return its voices."""
        return [voice.installed() for voice in self._voices.values()]

    def load(self, voice: Voice) -> SimulatedVoice:
        """Return the voice, once its loading time is spent."""
        invented = self._voices[voice.name]
        if invented.load_seconds:
            self._machine.spend(invented.load_seconds, has_cores=False)
        return SimulatedVoice(invented, self._machine, self._has_cores, self._random)


class SimulatedVoice:
    """A `LoadedVoice` whose steps spend invented time."""

    shares_cores = True

    def __init__(
        self, voice: InventedVoice, machine: Machine, has_cores: Callable[[], bool], random: Random
    ) -> None:
        self._voice = voice
        self._machine = machine
        self._has_cores = has_cores
        self._random = random
        self._most_doublings = _doublings(voice)
        self._cost = _bare_rtf(voice) * speedup(machine.cores_per_step)
        """Seconds of one core per second of audio, without edges and text."""

    def render(self, segment: Segment, spec: VoiceSpec, prosody: Prosody) -> Generator[Samples, None, None]:
        """As `LoadedVoice.render`."""
        del spec, prosody
        listening = None if segment.text == _CALIBRATION else SPOKEN_FOR.get()
        if listening is not None:
            listening.begin_segment()
        self._machine.spend(_PHONEMIZING, has_cores=False)
        yield _NO_SAMPLES
        for samples, cost in self._steps(segment):
            self._machine.spend(cost * self._spread(self._voice.cost_spread), has_cores=self._has_cores())
            if samples and listening is not None:
                self._machine.when_done(listening.add_piece(samples).complete)
            yield np.zeros(samples, dtype=np.float32)

    def phonemes(self, segment: Segment, spec: VoiceSpec) -> str:
        """As `LoadedVoice.phonemes`: a letter is a phoneme."""
        del spec
        return segment.text

    def calibration_segment(self, spec: VoiceSpec) -> Segment:
        """As `LoadedVoice.calibration_segment`."""
        del spec
        return Segment(_CALIBRATION)

    def close(self) -> None:
        """Free nothing."""

    def _steps(self, segment: Segment) -> Iterator[tuple[int, float]]:
        if self._voice.engine == PIPER:
            return self._chunks(segment)
        return self._kokoro_chunks(segment) if self._voice.is_calibrated else self._batches(segment)

    def _kokoro_chunks(self, segment: Segment) -> Iterator[tuple[int, float]]:
        """Yield samples and cost of each step, as `engines.kokoro.model.CutModel` makes them."""
        total = self._samples(segment.text)
        yield 0, total / RATE * _KOKORO_ENCODING * self._cost
        if total < _KOKORO_WHOLE:
            yield total, total / RATE * self._cost
            return
        done = 0
        for end in chunk_ends(total, _KOKORO_FIRST_CHUNK, _KOKORO_DOUBLINGS, twice=True):
            yield end - done, ((end - done) / RATE + _KOKORO_EDGES) * self._cost
            done = end

    def _chunks(self, segment: Segment) -> Iterator[tuple[int, float]]:
        """Yield samples and cost of each step, as `engines.piper.model.CutModel` makes them."""
        is_crowded = not self._has_cores()
        most = min(self._most_doublings, _CROWDED_MAX_DOUBLINGS if is_crowded else _MAX_DOUBLINGS)
        early = _CROWDED_DOUBLINGS if is_crowded else 0
        larger = min(early if segment.is_first else _LATER_DOUBLINGS, most)
        total = self._samples(segment.text)
        yield 0, total / RATE * _ENCODING * self._cost
        twice = segment.is_first and is_crowded
        done = 0
        for end in chunk_ends(total, _FIRST_CHUNK << larger, most - larger, twice=twice):
            yield end - done, ((end - done) / RATE + _EDGES) * self._cost
            done = end

    def _batches(self, segment: Segment) -> Iterator[tuple[int, float]]:
        """Yield samples and cost of each step, as `engines.kokoro` makes them."""
        for batch in cut_batches(segment.text):
            samples = self._samples(batch)
            yield samples, samples / RATE * self._cost

    def _samples(self, text: str) -> int:
        pace = SECONDS_PER_CHARACTER * self._spread(self._voice.pace_spread)
        return max(1, round(len(text) * pace * RATE))

    def _spread(self, sigma: float) -> float:
        """Return a random factor whose mean is 1."""
        return exp(self._random.gauss(-sigma * sigma / 2, sigma))


def _doublings(voice: InventedVoice) -> int:
    fitting = (
        doublings
        for doublings in range(_MAX_DOUBLINGS, 0, -1)
        if (_FIRST_CHUNK << doublings) / RATE * voice.rtf <= _STEP_SECONDS
    )
    return next(fitting, 0)


def _bare_rtf(voice: InventedVoice) -> float:
    if voice.engine == KOKORO and voice.is_calibrated:
        largest = (_KOKORO_FIRST_CHUNK << _KOKORO_DOUBLINGS) / RATE
        return voice.rtf / (1 + _KOKORO_EDGES / largest + _KOKORO_ENCODING)
    if voice.engine == KOKORO:
        return voice.rtf
    largest = (_FIRST_CHUNK << _doublings(voice)) / RATE
    return voice.rtf / (1 + _EDGES / largest + _ENCODING)
