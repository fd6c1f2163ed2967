"""What speech of one voice costs in CPU time, learned from the segments that were rendered.

That is for each character of a segment before its first audio, and for each step and each second of audio. It
hardly changes, so it is learned slowly and kept over a restart.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from math import exp, isfinite, sqrt
from typing import Final

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
_SAME_LENGTH: Final = 0.1
"""Relative variance of the lengths of steps below which these hardly tell what a step costs besides audio."""
_MOST_PER_STEP: Final = 0.5
"""Of what an average step costs: more is not its edges, but an error."""
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


@dataclass(slots=True)
class Ratio:
    """A ratio of two sums in which older values weigh less."""

    above: float = 0.0
    below: float = 0.0

    def add(self, above: float, below: float, *, keeping: float = 1.0) -> None:
        """Add to the sums, and let what they are so far weigh less."""
        self.above = self.above * keeping + above
        self.below = self.below * keeping + below

    @property
    def value(self) -> float | None:
        """The ratio; None while nothing was added."""
        return self.above / self.below if self.below > 0 else None


@dataclass(slots=True)
class StepSums:
    """CPU time of steps against the audio that they made: the sums of a weighted linear regression."""

    steps: float = 0.0
    audio: float = 0.0
    cpu: float = 0.0
    inverse_audio: float = 0.0
    """Of `1 / audio`, in seconds to the power of -1."""
    rate: float = 0.0
    """Of `cpu / audio`."""

    def add_step(self, audio: float, cpu: float) -> None:
        """Add a step that made some audio."""
        self.add(StepSums(1.0, audio, cpu, 1 / audio, cpu / audio))

    def add(self, other: StepSums, *, weight: float = 1.0, keeping: float = 1.0) -> None:
        """Add the sums of other steps, and let those so far weigh less."""
        for name in ("steps", "audio", "cpu", "inverse_audio", "rate"):
            setattr(self, name, keeping * getattr(self, name) + weight * getattr(other, name))


@dataclass(frozen=True, slots=True)
class StepRates:
    """What steps of a voice cost."""

    per_step: float
    """Seconds for each step besides those for its audio: the edges of its chunk."""
    per_audio: float
    """Seconds for each second of audio."""

    def seconds(self, audio: float, steps: float = 1.0) -> float:
        """Return what audio that is made in so many steps costs."""
        return self.per_step * steps + self.per_audio * audio

    def __mul__(self, factor: float) -> StepRates:
        return StepRates(self.per_step * factor, self.per_audio * factor)


def fit_rates(sums: StepSums) -> StepRates | None:
    """Fit `cpu = per_step + per_audio * audio` by weighted least squares; None without steps.

    A step's error is taken to grow with the square root of its audio, so that all steps together cost by the
    fit what they did cost. Where all are of one length nothing tells the two apart, and all is for the audio.
    """
    if sums.audio <= 0 or sums.steps <= 0:
        return None
    determinant = sums.inverse_audio * sums.audio - sums.steps**2 * (1 - _SAME_LENGTH)
    per_step = (sums.rate * sums.audio - sums.steps * sums.cpu) / determinant
    per_step = min(max(0.0, per_step), _MOST_PER_STEP * sums.cpu / sums.steps)
    return StepRates(per_step, (sums.cpu - per_step * sums.steps) / sums.audio)


@dataclass(slots=True)
class _ModeCost:
    """What a voice costs in steps of one kind, in seconds of CPU time."""

    per_character: Ratio = field(default_factory=Ratio)
    steps: StepSums = field(default_factory=StepSums)


@dataclass(frozen=True, slots=True)
class SegmentCost:
    """What a segment is expected to cost, in seconds of CPU time."""

    setup: float
    """Before its first audio."""
    rates: StepRates

    def __mul__(self, factor: float) -> SegmentCost:
        return SegmentCost(self.setup * factor, self.rates * factor)


NO_COST: Final = SegmentCost(0.0, StepRates(0.0, 0.0))
"""Of a voice of which nothing is known."""


@dataclass(slots=True)
class VoiceCost:
    """What speech of one voice costs, and how long its texts are spoken."""

    pace: Ratio = field(default_factory=Ratio)
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
    cost_variance: Ratio = field(default_factory=Ratio)
    """Of the cost of a segment, relative to what its audio was expected to cost."""
    pace_variance: Ratio = field(default_factory=Ratio)
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

    def cpu(self, characters: int, *, has_cores: bool) -> SegmentCost | None:
        """Return what a segment is expected to cost; None if no step of that kind was seen yet."""
        mode = self.alone if has_cores else self.on_one_core
        rates = fit_rates(mode.steps)
        if rates is None:
            return None
        return SegmentCost(characters * (mode.per_character.value or 0.0), rates)

    def learn(self, segment: MeasuredSegment, *, weight: float = 1.0) -> None:
        """Learn from a segment that was rendered as a whole."""
        if segment.audio <= 0 or not segment.characters:
            return
        keeping = exp(-weight / _MEMORY_SEGMENTS)
        self._learn_spread(segment, keeping)
        self.pace.add(weight * segment.audio * segment.speed, weight * segment.characters, keeping=keeping)
        self._learn_steps(segment, weight)
        for mode, cpu in ((self.alone, segment.alone), (self.on_one_core, segment.on_one_core)):
            if cpu.streaming.audio > 0:
                share = cpu.streaming.audio / segment.audio
                mode.steps.add(cpu.streaming, weight=weight, keeping=keeping**share)
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
        has_cores = bool(segment.alone.total)
        cost = self.cpu(segment.characters, has_cores=has_cores)
        if cost is None:
            return None
        made = (segment.alone if has_cores else segment.on_one_core).streaming
        return cost.setup + cost.rates.seconds(made.audio, made.steps)


def _spread(variance: Ratio) -> float:
    return _UNKNOWN_SPREAD if variance.value is None else max(_MIN_SPREAD, sqrt(variance.value))


def _squared_error(value: float, expected: float) -> float:
    return min((value / expected - 1.0) ** 2, 1.0)


@dataclass(slots=True)
class _MeasuredCpu:
    setup: float = 0.0
    streaming: StepSums = field(default_factory=StepSums)

    @property
    def total(self) -> float:
        return self.setup + self.streaming.cpu


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
            cpu.streaming.add_step(step.audio, step.cpu)
        else:
            cpu.setup += step.cpu


def _learned(cost: VoiceCost) -> tuple[Ratio | StepSums, ...]:
    modes = (cost.alone, cost.on_one_core)
    return (
        cost.pace,
        cost.cost_variance,
        cost.pace_variance,
        *(learned for mode in modes for learned in (mode.per_character, mode.steps)),
    )


def to_numbers(cost: VoiceCost) -> list[float]:
    """Return what was learned, to be stored."""
    numbers = [getattr(learned, each.name) for learned in _learned(cost) for each in fields(learned)]
    steps = (cost.is_cut, cost.first_step, cost.longest_step, cost.whole_step)
    return [round(number, 6) for number in (*steps, *numbers)]


def from_numbers(numbers: object) -> VoiceCost | None:
    """Return what was stored; None if it is something else."""
    cost = VoiceCost()
    places = [(learned, each.name) for learned in _learned(cost) for each in fields(learned)]
    if not isinstance(numbers, list) or len(numbers) != 4 + len(places):
        return None
    if not all(isinstance(number, int | float) and isfinite(number) and number >= 0 for number in numbers):
        return None
    is_cut, cost.first_step, cost.longest_step, cost.whole_step, *values = map(float, numbers)
    cost.is_cut = bool(is_cut)
    for (learned, name), value in zip(places, values, strict=True):
        setattr(learned, name, value)
    return cost
