"""Playback simulation: the underruns a listener would have heard, computed from when audio arrived.

The simulated player starts once its prebuffer is full, plays in real time, and pauses while it has no audio.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_SHORTEST_GAP = 1e-5
"""Seconds: a fourth of a sample at 22,050 Hz. Anything shorter is the rounding of a float."""


@dataclass(frozen=True, slots=True)
class Playback:
    """A simulated playback; all times in seconds."""

    started_at: float
    """Time of the first sample, on the clock of the arrivals."""
    ended_at: float
    """Time after the last sample."""
    gaps: tuple[float, ...]
    """Length of each underrun, in order."""

    @property
    def underruns(self) -> int:
        """Number of gaps."""
        return len(self.gaps)

    @property
    def silence(self) -> float:
        """Total length of the gaps."""
        return sum(self.gaps)

    @property
    def worst_gap(self) -> float:
        """The longest gap; 0 without one."""
        return max(self.gaps, default=0.0)


def simulate_playback(arrivals: Sequence[tuple[float, float]], *, prebuffer: float = 0.0) -> Playback | None:
    """Simulate playing audio that arrived as (time, seconds of audio), in order; None without audio.

    Playback starts when `prebuffer` seconds have arrived, or all audio. After an underrun it resumes with
    whatever arrives next, without filling the prebuffer again.
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
