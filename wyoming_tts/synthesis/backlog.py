"""Backlog of a stream: the text that is known and not spoken yet, as compute time and audio."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from math import inf
from typing import Final

from wyoming_tts.demand import Work
from wyoming_tts.synthesis.costs import CostModel
from wyoming_tts.synthesis.voice_cost import MeasuredSegment, StepTiming, VoiceCost

Clock = Callable[[], float]

_EXPECTED_SECONDS: Final = 20.0
"""Expected length of an utterance whose text is still arriving: answers of assistants seldom are longer."""

_VALID_SECONDS: Final = 0.25
"""For which a list of work is used: the machine's speed does not change sooner, and schedulers ask often."""


class StreamBacklog:
    """The segments of a stream that are known by now, with the progress of the one being rendered."""

    def __init__(self, costs: CostModel, cost: VoiceCost, *, speed: float, clock: Clock) -> None:
        """Start empty.

        Args:
            costs: What speech costs.
            cost: That of the stream's voice.
            speed: At which it speaks.
            clock: Monotonic time in seconds.
        """
        self._costs = costs
        self._cost = self._rendering_cost = cost
        self._speed = speed
        self._clock = clock
        self._known: deque[int] = deque()
        """Characters of the segments after the one being rendered."""
        self._current: MeasuredSegment | None = None
        self._begun = 0
        """How many segments were rendered or are."""
        self._spoken = 0.0
        self._is_complete = False
        self._works: Sequence[Work] = ()
        self._valid_until = -inf

    def add(self, characters: int) -> None:
        """Note that a segment is known."""
        self._known.append(characters)
        self._valid_until = -inf

    def complete(self) -> None:
        """Note that all of the stream's text is known."""
        self._is_complete = True
        self._valid_until = -inf

    def begin(self) -> None:
        """Note that the next segment is being rendered."""
        self._rendering_cost = self._cost
        self._current = MeasuredSegment(self._known.popleft(), self._speed)
        self._begun += 1
        self._valid_until = -inf

    def render_with(self, cost: VoiceCost, *, speed: float) -> None:
        """Note the voice of the segment that is being rendered: markup may change it."""
        self._rendering_cost = cost
        if self._current is not None:
            self._current.speed = speed

    def step(self, step: StepTiming) -> None:
        """Note a step of the segment that is being rendered."""
        self._costs.learn_step(step, self._clock())
        if self._current is not None:
            self._current.add(step)
        self._valid_until = -inf

    def end(self) -> None:
        """Note that all of the segment was rendered."""
        if self._current is not None:
            self._rendering_cost.learn(self._current)
            self._spoken += self._current.audio
        self._current = None
        self._valid_until = -inf

    def works_of(self, segment: int) -> Sequence[Work]:
        """The work that is left of a segment, by its number; none of one that was rendered."""
        return self._current_works() if segment == self._begun - 1 else ()

    def _current_works(self) -> Sequence[Work]:
        if self._current is None:
            return ()
        return tuple(self._costs.works(self._rendering_cost, self._current, self._clock()))

    @property
    def is_known(self) -> bool:
        """Whether there is text to speak, other than what is expected to follow."""
        return self._current is not None or bool(self._known)

    def works(self) -> Sequence[Work]:
        """As `demand.Backlog.works`; while text arrives, with what is expected to follow."""
        now = self._clock()
        if now > self._valid_until:
            self._works, self._valid_until = self._list_works(now), now + _VALID_SECONDS
        return self._works

    def _list_works(self, now: float) -> Sequence[Work]:
        works = list(self._current_works())
        for characters in self._known:
            works.extend(self._costs.works(self._cost, MeasuredSegment(characters, self._speed), now))
        if not self._is_complete:
            works.extend(self._expected(works, now))
        return works

    def _expected(self, works: Sequence[Work], now: float) -> Sequence[Work]:
        """The work of the text that will follow: as much as is known, at least to the usual length."""
        known = self._spoken + sum(work.audio for work in works)
        pace = self._cost.audio(1, self._speed)
        if not pace:
            return ()
        rest = MeasuredSegment(round(max(_EXPECTED_SECONDS - known, known) / pace), self._speed)
        return tuple(self._costs.works(self._cost, rest, now))
