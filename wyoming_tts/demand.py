"""Processor demand: compute time that streams still need, against the audio that their listeners have left.

A stream plays without a gap if each stretch of its speech is computed before its listener gets there. With
the stretches of all streams ordered by when they are due, that holds if for each due time the work due by
then fits into the time until then. This is the processor demand criterion of earliest-deadline-first
scheduling (Baruah, Rosier and Howell, "Algorithms and complexity concerning the preemptive scheduling of
periodic, real-time tasks on one processor", 1990).

There is no clock here: times are seconds from now. `scheduler` orders the work, `admission` decides by it who
may compute, and when a stream's start will hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import inf, sqrt
from typing import Final, Protocol

NEGLIGIBLE: Final = 0.25
"""Seconds of predicted lateness that are none: just after a start, when little is ahead, a step that cannot
be interrupted is predicted to be late by as much."""

_RESOLUTION = 0.05
"""Seconds between starts that are not told apart: less than a listener notices."""

DEVIATIONS: Final = 2.5
"""Standard deviations of the margin. In the scheduling simulator a lone listener of a slow machine hears one
gap in 1,000 texts; with 2.0 it was one in 100, and the start came a tenth earlier."""

COMMON_ERROR: Final = 0.015
"""Share of all compute time that is added to the margin: a mean that was learned from a dozen segments is
wrong by as much, and for every segment in the same direction."""


@dataclass(frozen=True, slots=True)
class Work:
    """A stretch of speech that is still to be computed: none of it is heard before all of it is done."""

    alone: float
    """Seconds that it takes when nothing else computes."""
    crowded: float
    """Its share of the whole machine's time, in seconds, when others compute as well."""
    audio: float
    """Seconds of speech that it makes."""
    cost_variance: float = 0.0
    """Of `alone`, in seconds squared."""
    deficit_variance: float = 0.0
    """Of what it adds to the lead that later work needs, `alone` less `audio`: where a voice computes as long
    as it speaks, a text that is longer than expected brings the time for it along."""


class Backlog(Protocol):
    """The work of a stream that is known by now."""

    def works(self) -> Sequence[Work]:
        """The work that is left, in the order in which it is heard."""
        ...


class NoBacklog:
    """Of a stream whose work is not known, or done."""

    def works(self) -> Sequence[Work]:
        """As `Backlog.works`."""
        return ()


NO_BACKLOG: Final = NoBacklog()


@dataclass(frozen=True, slots=True)
class Demand:
    """The work of one stream, and how much its listener has left to hear before it is needed."""

    works: Sequence[Work]
    ahead: float = 0.0
    """Seconds of audio that were made and not played."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """How much a machine computes at the same time."""

    steps: int = 1
    """Steps on several cores that run side by side; more streams than that get a core each."""
    cores: int = 1
    """Cores that they share then."""

    def is_crowded(self, streams: int) -> bool:
        """Whether so many streams share cores."""
        return streams > self.steps


def lead_needed(works: Iterable[Work]) -> float:
    """Return by how many seconds of audio a stream has to be ahead so that its work, alone, is never late.

    That is with a margin: errors of single segments partly cancel each other out, so their variances add up.
    """
    return _lead((work, work.alone) for work in works)


def lead_needed_on_one_core(works: Iterable[Work], capacity: Capacity) -> float:
    """As `lead_needed`, of a stream that gets one core while others use the rest."""
    return _lead((work, work.crowded * capacity.cores) for work in works)


def _lead(costs: Iterable[tuple[Work, float]]) -> float:
    """Return the lead that work needs, each with the seconds that it takes."""
    lead = total = audio = variance = 0.0
    for work, cost in costs:
        total += cost
        lead = max(lead, total - audio + _margin(total, variance + work.cost_variance))
        audio += work.audio
        variance += work.deficit_variance
    return lead


def expected_lead(works: Iterable[Work]) -> float:
    """As `lead_needed`, without a margin."""
    return lead_needed(replace(work, cost_variance=0.0, deficit_variance=0.0) for work in works)


def _margin(cost: float, variance: float) -> float:
    return COMMON_ERROR * cost + DEVIATIONS * sqrt(variance) if variance else 0.0


def machine_seconds(works: Iterable[Work], *, capacity: Capacity, streams: int) -> float:
    """Return for how long the work occupies the whole machine, beside others if there are several streams."""
    if capacity.is_crowded(streams):
        return sum(work.crowded for work in works)
    return sum(work.alone for work in works) / capacity.steps


def lateness(demands: Sequence[Demand], capacity: Capacity, *, in_turns: bool = False) -> float:
    """Return by how many seconds some work of some stream will be late; negative if all of it is in time.

    That is by the demand of all streams together; what a stream needs by itself is `lead_needed`.

    Args:
        demands: The streams.
        capacity: Of the machine.
        in_turns: Whether their steps get all cores one after the other, however many streams there are.
    """
    streams = sum(bool(demand.works) for demand in demands)
    is_crowded = capacity.is_crowded(streams) and not in_turns
    due = sorted(_due_times(demands, is_crowded=is_crowded, steps=capacity.steps))
    late, total, variance = -inf, 0.0, 0.0
    for time, cost, cost_variance in due:
        total += cost
        variance += cost_variance
        late = max(late, total - time + _margin(total, variance))
    return late


class _NewStart:
    """The start of a stream beside others, at a time that is tried."""

    def __init__(
        self, newcomer: Sequence[Work], playing: Sequence[Demand], held: Sequence[Demand], capacity: Capacity
    ) -> None:
        self._playing = playing
        self._capacity = capacity
        self._late = min(max(0.0, lateness(playing, capacity)), NEGLIGIBLE)
        self.first = lead_needed(newcomer)
        """As early as its own work allows."""
        others = [*playing, *held]
        self.last = self.first + sum(
            machine_seconds(other.works, capacity=capacity, streams=len(others) + 1) for other in others
        )
        """When all other work is done."""
        leads = [(demand, lead_needed(demand.works)) for demand in held]
        self._starting = [(Demand(newcomer), self.first), *leads]
        """Those that start then, or once their own work allows it."""

    def makes_late(self, start: float) -> bool:
        """Whether more would be late than is already if it started so many seconds from now."""
        starting = (Demand(demand.works, max(demand.ahead + start, lead)) for demand, lead in self._starting)
        return lateness([*self._playing, *starting], self._capacity) > self._late


def earliest_start(
    newcomer: Sequence[Work], playing: Sequence[Demand], held: Sequence[Demand], capacity: Capacity
) -> float:
    """Return after how many seconds a stream without audio yet can start, so that nobody is late for it.

    If those who play are late already, it is when all other work is done, unless they are late by so little
    that it may as well be the prediction.

    Args:
        newcomer: Its work.
        playing: The streams that are heard, which nothing may delay.
        held: Those that have not started yet either: they start as late as it does, if they have to.
        capacity: Of the machine.
    """
    start = _NewStart(newcomer, playing, held, capacity)
    if not start.makes_late(start.first):
        return start.first
    first, last = start.first, start.last
    while last - first > _RESOLUTION:
        middle = (first + last) / 2
        if start.makes_late(middle):
            first = middle
        else:
            last = middle
    return last


def can_start_within(
    seconds: float,
    newcomer: Sequence[Work],
    playing: Sequence[Demand],
    held: Sequence[Demand],
    capacity: Capacity,
) -> bool:
    """Return whether `earliest_start` is within so many seconds, for a fraction of what that takes."""
    start = _NewStart(newcomer, playing, held, capacity)
    if seconds < start.first:
        return False
    return seconds >= start.last or not start.makes_late(seconds)


def _due_times(
    demands: Sequence[Demand], *, is_crowded: bool, steps: int
) -> Iterable[tuple[float, float, float]]:
    """Yield when work is due, the seconds that it takes of the machine, and their variance."""
    for demand in demands:
        due = demand.ahead
        for work in demand.works:
            cost = work.crowded if is_crowded else work.alone / steps
            scale = cost / work.alone if work.alone else 0.0
            yield due, cost, work.cost_variance * scale * scale
            due += work.audio
