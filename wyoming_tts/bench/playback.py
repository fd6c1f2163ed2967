"""A player that is only imagined: what a listener would have heard of audio that came at certain times.

It starts as soon as there is enough, plays in real time, and stands still while it has nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_SHORTEST_GAP = 1e-5
"""Seconds: a fourth of a sample at 22,050 Hz. Anything shorter is the rounding of a float."""


@dataclass(frozen=True, slots=True)
class Playback:
    """How the playing went; all in seconds."""

    started_at: float
    """When the first sample was played, on the clock of the arrivals."""
    ended_at: float
    """When the last sample had been played."""
    gaps: tuple[float, ...]
    """Each silence in the middle, in order: its length."""

    @property
    def underruns(self) -> int:
        """How often it ran dry before the end."""
        return len(self.gaps)

    @property
    def silence(self) -> float:
        """All gaps together."""
        return sum(self.gaps)

    @property
    def worst_gap(self) -> float:
        """The longest gap; 0 without one."""
        return max(self.gaps, default=0.0)


def play(arrivals: Sequence[tuple[float, float]], *, prebuffer: float = 0.0) -> Playback | None:
    """Play audio that arrived as (time, seconds of audio), times in order; None if there was none.

    Playing starts when `prebuffer` seconds have arrived, or everything. After a gap it goes on with
    whatever comes next, without filling the buffer again.
    """
    heard = [(at, seconds) for at, seconds in arrivals if seconds > 0.0]
    if not heard:
        return None
    started_at = runs_dry_at = _start(heard, prebuffer)
    gaps: list[float] = []
    for at, seconds in heard:
        gap = at - runs_dry_at
        if gap > _SHORTEST_GAP:
            gaps.append(gap)
            runs_dry_at = at
        runs_dry_at += seconds
    return Playback(started_at, runs_dry_at, tuple(gaps))


def _start(heard: Sequence[tuple[float, float]], prebuffer: float) -> float:
    held = 0.0
    for at, seconds in heard:
        held += seconds
        if held >= prebuffer:
            return at
    return heard[-1][0]
