"""Cost model: what speech of each voice takes to compute on this machine, learned from the steps that ran.

Two things are told apart. What a voice costs is CPU time: for each character of a segment before its first
audio, and for each second of audio. It hardly changes, so it is learned slowly and kept over a restart. How
fast the machine is now, beside other programs and when it is hot, is the ratio of wall time to CPU time. It
changes within seconds, so it is learned from the last few. Their product is what can be promised.

All of it is learned apart for steps on all cores and for steps on one core beside others.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from math import exp, isfinite, sqrt
from typing import Final

from wyoming_tts.demand import Capacity, Work
from wyoming_tts.speech import VoiceSpec

Clock = Callable[[], float]

MAX_VOICES: Final = 256
"""Voices whose costs are kept: clients may ask for blend recipes without end."""

_MEMORY_SEGMENTS: Final = 12.0
"""Segments after which what was learned of a voice has lost most of its weight."""
_STEPS_MEMORY_SEGMENTS: Final = 120.0
"""The same for the lengths of its steps, of which the longest counts: one after a dozen shorter ones must not
be a surprise."""
_OTHER_CUT: Final = 1 / 6
"""Of the first step of a voice's segments so far: a shorter one shows that they are cut otherwise from now
on, as those of a Kokoro voice once it is calibrated. What is cut in one way varies by less."""
_FINE_CUT: Final = 4.0
"""Length of a segment in one step, in first steps of others, from which on its length does not explain it:
Kokoro's batches are up to three times as long as the shortest that is cut off, its chunks much shorter."""
_CALIBRATION_WEIGHT: Final = 0.2
"""Of a segment that is rendered as a voice is loaded: a model's first runs take longer than later ones."""
_SPEED_MEMORY: Final = 3.0
"""Seconds of computing after which the machine's speed before them has lost most of its weight."""
_SPEED_IDLE_MEMORY: Final = 60.0
"""The same in seconds of the clock: what used the machine a minute ago may be gone."""
_SPEED_PRIOR: Final = 0.05
"""Seconds of computing at full speed that are assumed besides those measured."""
_UNKNOWN_SPREAD: Final = 0.15
_MIN_SPREAD: Final = 0.03


@dataclass(frozen=True, slots=True)
class StepTiming:
    """A step that ran."""

    audio: float
    """Seconds of audio that it made; 0 for one that only prepared some."""
    wall: float
    """Seconds from its begin to its end."""
    cpu: float
    """Seconds of CPU time of its thread."""
    has_cores: bool
    """Whether it ran on all cores, not on one beside others."""


@dataclass(frozen=True, slots=True)
class StepClocks:
    """Clocks of the thread that a step runs on, in seconds."""

    wall: Clock = time.perf_counter
    cpu: Clock = time.thread_time

    def read(self) -> tuple[float, float]:
        """Read both."""
        return self.wall(), self.cpu()

    def timing(self, started: tuple[float, float], audio: float, *, has_cores: bool) -> StepTiming:
        """Return the timing of a step that began when the clocks were read, and ends now."""
        wall, cpu = started
        return StepTiming(audio, self.wall() - wall, self.cpu() - cpu, has_cores)


@dataclass(slots=True)
class _Ratio:
    """A ratio of two sums in which older values weigh less."""

    above: float = 0.0
    below: float = 0.0

    def add(self, above: float, below: float, *, keeping: float = 1.0) -> None:
        self.above = self.above * keeping + above
        self.below = self.below * keeping + below

    @property
    def value(self) -> float | None:
        return self.above / self.below if self.below > 0 else None


@dataclass(slots=True)
class _ModeCost:
    """What a voice costs in steps of one kind, in seconds of CPU time."""

    per_character: _Ratio = field(default_factory=_Ratio)
    per_audio: _Ratio = field(default_factory=_Ratio)


@dataclass(slots=True)
class VoiceCost:
    """What speech of one voice costs, and how long its texts are spoken."""

    pace: _Ratio = field(default_factory=_Ratio)
    """Seconds of audio at normal speed for each character."""
    first_step: float = 0.0
    """Seconds of audio of the first step that makes any, of segments in several steps: the longest lately."""
    longest_step: float = 0.0
    """The same of their longest step."""
    whole_step: float = 0.0
    """The same of segments in one step."""
    is_cut: bool = False
    """Whether any segment took more than one step: until then each is expected to be made in one."""
    alone: _ModeCost = field(default_factory=_ModeCost)
    on_one_core: _ModeCost = field(default_factory=_ModeCost)
    cost_variance: _Ratio = field(default_factory=_Ratio)
    """Of the cost of a segment, relative to what its audio was expected to cost."""
    pace_variance: _Ratio = field(default_factory=_Ratio)
    """Of the audio of a segment, relative to what its text was expected to last."""

    @property
    def is_known(self) -> bool:
        """Whether anything was learned of it yet."""
        return self.pace.value is not None

    @property
    def cost_spread(self) -> float:
        """Standard deviation of the cost of a segment, relative to what its audio is expected to cost."""
        return _spread(self.cost_variance)

    @property
    def pace_spread(self) -> float:
        """Standard deviation of the audio of a segment, relative to what its text is expected to last."""
        return _spread(self.pace_variance)

    def audio(self, characters: int, speed: float) -> float:
        """Return for how long a text is expected to be spoken, in seconds."""
        return characters * (self.pace.value or 0.0) / speed

    def cpu(self, characters: int, audio: float, *, has_cores: bool) -> tuple[float, float] | None:
        """Return the expected CPU seconds of a segment before its first audio, and of its audio.

        None if no step of that kind was seen yet.
        """
        mode = self.alone if has_cores else self.on_one_core
        per_audio = mode.per_audio.value
        if per_audio is None:
            return None
        return characters * (mode.per_character.value or 0.0), audio * per_audio

    def learn(self, segment: MeasuredSegment, *, weight: float = 1.0) -> None:
        """Learn from a segment that was rendered as a whole."""
        if segment.audio <= 0 or not segment.characters:
            return
        keeping = exp(-weight / _MEMORY_SEGMENTS)
        self._learn_spread(segment, keeping)
        self.pace.add(weight * segment.audio * segment.speed, weight * segment.characters, keeping=keeping)
        self._learn_steps(segment, weight)
        for mode, cpu in ((self.alone, segment.alone), (self.on_one_core, segment.on_one_core)):
            if cpu.audio > 0:
                share = cpu.audio / segment.audio
                mode.per_audio.add(weight * cpu.streaming, weight * cpu.audio, keeping=keeping**share)
            if cpu.setup > 0:
                mode.per_character.add(weight * cpu.setup, weight * segment.characters, keeping=keeping)

    def _learn_steps(self, segment: MeasuredSegment, weight: float) -> None:
        if segment.first_step >= segment.audio:  # it shows nothing of how a longer one is cut
            self.whole_step = max(segment.audio, self.whole_step)
            return
        keeping = keeping_whole = exp(-weight / _STEPS_MEMORY_SEGMENTS)
        if self.is_cut and segment.first_step < self.first_step * _OTHER_CUT:
            keeping = keeping_whole = 0.0
        elif self.is_cut_finely and segment.audio < self.whole_step:
            keeping_whole = exp(-weight / _MEMORY_SEGMENTS)
        self.is_cut = True
        self.first_step = max(segment.first_step, self.first_step * keeping)
        self.longest_step = max(segment.longest_step, self.longest_step * keeping)
        self.whole_step *= keeping_whole

    @property
    def is_cut_finely(self) -> bool:
        """Whether steps are so short that what is made in one step was not too short for several."""
        return self.is_cut and self.whole_step > self.first_step * _FINE_CUT

    def step_lengths(self, audio: float, last_step: float) -> Iterator[float]:
        """Divide audio as an engine will: in steps that at most double, up to the longest.

        Args:
            audio: Seconds of a segment that are left.
            last_step: Seconds of the step before; 0 before the first one.
        """
        is_fine = self.is_cut_finely
        is_whole = not self.is_cut or (is_fine and audio <= self.whole_step * (1 + 2 * self.pace_spread))
        if is_whole and not last_step:
            yield audio
            return
        least = 0.0 if is_fine else self.whole_step
        size, longest = 2 * last_step or max(self.first_step, least), max(self.longest_step, least)
        while audio > 0:
            size = min(size, longest)
            if audio < 1.5 * size:
                size = audio
            yield size
            audio -= size
            size *= 2

    def _learn_spread(self, segment: MeasuredSegment, keeping: float) -> None:
        expected = self._expected_cpu(segment)
        if expected:
            cpu = segment.alone.total + segment.on_one_core.total
            self.cost_variance.add(_squared_error(cpu, expected), 1.0, keeping=keeping)
        audio = self.audio(segment.characters, segment.speed)
        if audio:
            self.pace_variance.add(_squared_error(segment.audio, audio), 1.0, keeping=keeping)

    def _expected_cpu(self, segment: MeasuredSegment) -> float | None:
        """What a segment should have cost; None if it ran partly in one way and partly in the other."""
        if segment.alone.total and segment.on_one_core.total:
            return None
        cpu = self.cpu(segment.characters, segment.audio, has_cores=bool(segment.alone.total))
        return sum(cpu) if cpu else None


def _spread(variance: _Ratio) -> float:
    return _UNKNOWN_SPREAD if variance.value is None else max(_MIN_SPREAD, sqrt(variance.value))


def _squared_error(value: float, expected: float) -> float:
    return min((value / expected - 1.0) ** 2, 1.0)


@dataclass(slots=True)
class _MeasuredCpu:
    setup: float = 0.0
    streaming: float = 0.0
    audio: float = 0.0

    @property
    def total(self) -> float:
        return self.setup + self.streaming


@dataclass(slots=True)
class MeasuredSegment:
    """The steps of a segment while it is rendered."""

    characters: int
    speed: float = 1.0
    audio: float = 0.0
    """Seconds of audio made so far."""
    first_step: float = 0.0
    """Seconds of audio of the first step that made any."""
    last_step: float = 0.0
    longest_step: float = 0.0
    alone: _MeasuredCpu = field(default_factory=_MeasuredCpu)
    on_one_core: _MeasuredCpu = field(default_factory=_MeasuredCpu)

    def add(self, step: StepTiming) -> None:
        """Add a step."""
        cpu = self.alone if step.has_cores else self.on_one_core
        if step.audio:
            self.audio += step.audio
            self.first_step = self.first_step or step.audio
            self.last_step = step.audio
            self.longest_step = max(self.longest_step, step.audio)
            cpu.streaming += step.cpu
            cpu.audio += step.audio
        else:
            cpu.setup += step.cpu


class MachineSpeed:
    """How much slower than its CPU time a step takes now, for steps of one kind."""

    def __init__(self) -> None:
        self._recent = _Ratio()
        self._updated = 0.0

    def slowdown(self, now: float) -> float:
        """Return the ratio of wall time to CPU time, at least 1."""
        keeping = exp(-max(0.0, now - self._updated) / _SPEED_IDLE_MEMORY)
        wall, cpu = self._recent.above * keeping, self._recent.below * keeping
        return max(1.0, (wall + _SPEED_PRIOR) / (cpu + _SPEED_PRIOR))

    def learn(self, step: StepTiming, now: float) -> None:
        """Learn from a step."""
        idle = max(0.0, now - self._updated)
        self._recent.add(
            step.wall, step.cpu, keeping=exp(-step.cpu / _SPEED_MEMORY - idle / _SPEED_IDLE_MEMORY)
        )
        self._updated = now


class CostModel:
    """The costs of all voices on this machine; the least recently used are dropped."""

    def __init__(self, *, slots: int, capacity: Capacity) -> None:
        """Start with nothing known.

        Args:
            slots: How many steps on one core run at the same time.
            capacity: How many steps on several cores do.
        """
        self._slots = slots
        self._capacity = capacity
        self._voices: dict[str, VoiceCost] = {}  # the most recently used last
        self._speed = {True: MachineSpeed(), False: MachineSpeed()}

    def __repr__(self) -> str:
        return f"<CostModel voices={len(self._voices)}>"

    def voice(self, spec: VoiceSpec) -> VoiceCost:
        """Return the costs of a voice, to be read and learned."""
        key = cost_key(spec)
        cost = self._voices.pop(key, None) or VoiceCost()
        self._voices[key] = cost
        if len(self._voices) > MAX_VOICES:
            del self._voices[next(iter(self._voices))]
        return cost

    def slowdown(self, now: float, *, has_cores: bool = True) -> float:
        """Return how much slower than its CPU time a step takes now."""
        return self._speed[has_cores].slowdown(now)

    def learn_step(self, step: StepTiming, now: float) -> None:
        """Learn the machine's speed from a step that ended now."""
        self._speed[step.has_cores].learn(step, now)

    def learn_calibration(self, spec: VoiceSpec, segment: MeasuredSegment) -> None:
        """Learn from a segment that was rendered as its voice was loaded."""
        self.voice(spec).learn(segment, weight=_CALIBRATION_WEIGHT)

    def works(self, cost: VoiceCost, segment: MeasuredSegment, now: float) -> Iterator[Work]:
        """Yield the work that is left of a segment, with what it may vary by.

        Nothing is yielded for a voice of which nothing is known.
        """
        whole = cost.audio(segment.characters, segment.speed)
        if whole <= 0:
            return
        deviation = whole * cost.pace_spread
        audio = _mean_rest(whole - segment.audio, deviation) if segment.audio else whole
        setup, alone, setup_crowded, crowded = self._seconds(cost, segment.characters, audio, now)
        if segment.audio:
            setup = setup_crowded = 0.0
        cost_variance, pace_variance = cost.cost_spread**2, (min(deviation, audio) / audio) ** 2
        deficit = alone**2 * cost_variance + (alone - audio) ** 2 * pace_variance
        done = 0.0
        for piece in cost.step_lengths(audio, segment.last_step):
            share = piece / audio
            seconds = setup + alone * share
            yield Work(
                seconds,
                setup_crowded + crowded * share,
                piece,
                # Of several steps it is the last whose length depends on that of the text.
                seconds**2 * (cost_variance + share**2 * pace_variance),
                # Within a segment errors are the same for all steps, so they grow with the part that is done.
                deficit * ((done + share) ** 2 - done**2),
            )
            done += share
            setup = setup_crowded = 0.0

    def _seconds(
        self, cost: VoiceCost, characters: int, audio: float, now: float
    ) -> tuple[float, float, float, float]:
        """Wall seconds alone before the first audio and for all of it, and the same of the machine's time."""
        alone = cost.cpu(characters, audio, has_cores=True)
        on_one_core = cost.cpu(characters, audio, has_cores=False)
        alone_factor = self.slowdown(now)
        one_core_factor = self.slowdown(now, has_cores=False)
        if alone is None:
            alone, alone_factor = on_one_core or (0.0, 0.0), one_core_factor
        setup, stream = (alone_factor * seconds for seconds in alone)
        if on_one_core is None:
            return setup, stream, setup / self._capacity.steps, stream / self._capacity.steps
        crowded = [one_core_factor * seconds / self._slots for seconds in on_one_core]
        return setup, stream, crowded[0], crowded[1]

    def to_json(self) -> dict[str, list[float]]:
        """Return what was learned of voices, to be stored."""
        return {key: _to_numbers(cost) for key, cost in self._voices.items() if cost.is_known}

    def load_json(self, stored: Mapping[str, object]) -> None:
        """Take over what an earlier process stored; what cannot be understood is left out."""
        for key, numbers in list(stored.items())[-MAX_VOICES:]:
            cost = _from_numbers(numbers)
            if cost is not None:
                self._voices.setdefault(key, cost)


def _mean_rest(rest: float, deviation: float) -> float:
    """Return how much of a segment is left if it goes on, of which `rest` is left on average at its begin.

    Nearly the mean residual of a normal distribution: a segment that is longer than expected is not over.
    """
    return (rest + sqrt(rest**2 + (1.6 * deviation) ** 2)) / 2


def cost_key(spec: VoiceSpec) -> str:
    """Identify what a voice costs: another content of its files is another key."""
    return f"{spec.voice.name}:{spec.voice.fingerprint}"


def _ratios(cost: VoiceCost) -> tuple[_Ratio, ...]:
    modes = (cost.alone, cost.on_one_core)
    return (
        cost.pace,
        cost.cost_variance,
        cost.pace_variance,
        *(ratio for mode in modes for ratio in (mode.per_character, mode.per_audio)),
    )


def _to_numbers(cost: VoiceCost) -> list[float]:
    numbers = [value for ratio in _ratios(cost) for value in (ratio.above, ratio.below)]
    steps = (cost.is_cut, cost.first_step, cost.longest_step, cost.whole_step)
    return [round(number, 6) for number in (*steps, *numbers)]


def _from_numbers(numbers: object) -> VoiceCost | None:
    cost = VoiceCost()
    ratios = _ratios(cost)
    if not isinstance(numbers, list) or len(numbers) != 4 + 2 * len(ratios):
        return None
    if not all(isinstance(number, int | float) and isfinite(number) and number >= 0 for number in numbers):
        return None
    is_cut, cost.first_step, cost.longest_step, cost.whole_step, *values = map(float, numbers)
    cost.is_cut = bool(is_cut)
    for ratio, above, below in zip(ratios, values[::2], values[1::2], strict=True):
        ratio.above, ratio.below = above, below
    return cost
