"""Cost model: what speech of each voice takes to compute on this machine, learned from the steps that ran.

Two things are told apart. What a voice costs is CPU time (`voice_cost`). How fast the machine is now, beside
other programs and when it is hot, is the ratio of wall time to CPU time. It changes within seconds, so it is
learned from the last few. Their product is what can be promised.

All of it is learned apart for steps on all cores and for steps on one core beside others.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import exp, sqrt
from typing import Final

from wyoming_tts.demand import Capacity, Work
from wyoming_tts.speech import VoiceSpec
from wyoming_tts.synthesis.voice_cost import (
    NO_COST,
    MeasuredSegment,
    Ratio,
    SegmentCost,
    StepTiming,
    VoiceCost,
    from_numbers,
    to_numbers,
)

Clock = Callable[[], float]

MAX_VOICES: Final = 256
"""Voices whose costs are kept: clients may ask for blend recipes without end."""

_CALIBRATION_WEIGHT: Final = 0.2
"""Of a segment that is rendered as a voice is loaded: a model's first runs take longer than later ones."""
_SPEED_MEMORY: Final = 3.0
"""Seconds of computing after which the machine's speed before them has lost most of its weight."""
_SPEED_IDLE_MEMORY: Final = 60.0
"""The same in seconds of the clock: what used the machine a minute ago may be gone."""
_SPEED_PRIOR: Final = 0.05
"""Seconds of computing at full speed that are assumed besides those measured."""


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


class MachineSpeed:
    """How much slower than its CPU time a step takes now, for steps of one kind."""

    def __init__(self) -> None:
        self._recent = Ratio()
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
        pieces = list(cost.step_lengths(audio, segment.last_step))
        alone, crowded = self._seconds(cost, segment.characters, now)
        setup, setup_crowded = (0.0, 0.0) if segment.audio else (alone.setup, crowded.setup)
        cost_variance, pace_variance = cost.cost_spread**2, (min(deviation, audio) / audio) ** 2
        total = alone.rates.seconds(audio, len(pieces))
        deficit = total**2 * cost_variance + (total - audio) ** 2 * pace_variance
        done = 0.0
        for piece in pieces:
            share = piece / audio
            seconds = setup + alone.rates.seconds(piece)
            yield Work(
                seconds,
                setup_crowded + crowded.rates.seconds(piece),
                piece,
                # Of several steps it is the last whose length depends on that of the text.
                seconds**2 * (cost_variance + share**2 * pace_variance),
                # Within a segment errors are the same for all steps, so they grow with the part that is done.
                deficit * ((done + share) ** 2 - done**2),
            )
            done += share
            setup = setup_crowded = 0.0

    def _seconds(self, cost: VoiceCost, characters: int, now: float) -> tuple[SegmentCost, SegmentCost]:
        """What a segment costs in wall seconds alone, and in seconds of the machine's time beside others."""
        alone = cost.cpu(characters, has_cores=True)
        on_one_core = cost.cpu(characters, has_cores=False)
        alone_factor = self.slowdown(now)
        one_core_factor = self.slowdown(now, has_cores=False)
        if alone is None:
            alone, alone_factor = on_one_core or NO_COST, one_core_factor
        alone = alone * alone_factor
        if on_one_core is None:
            return alone, alone * (1 / self._capacity.steps)
        return alone, on_one_core * (one_core_factor / self._slots)

    def to_json(self) -> dict[str, list[float]]:
        """Return what was learned of voices, to be stored."""
        return {key: to_numbers(cost) for key, cost in self._voices.items() if cost.is_known}

    def load_json(self, stored: Mapping[str, object]) -> None:
        """Take over what an earlier process stored; what cannot be understood is left out."""
        for key, numbers in list(stored.items())[-MAX_VOICES:]:
            cost = from_numbers(numbers)
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
