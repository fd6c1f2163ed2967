"""Figures of a simulated fleet: listeners for each core, gaps, starts, refusals, losses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.fleet_simulator.fleet import FleetOptions, Heard, Outcome, Run
from bench.fleet_simulator.traffic import Traffic
from bench.scheduling_simulator.voices import RATE
from wyoming_tts.bench.percentiles import percentile

HEAD = (
    "| case | replicas × cores | listeners a core | listeners | with a gap | gaps | refused | lost | "
    "start: median, 95 %, 99 % | computed | loads |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
)
_SETTLED = 0.2
"""Share of the time after which listeners count: at first the fleet is empty."""


@dataclass(frozen=True, slots=True)
class FleetFigures:
    """What the listeners of the sample heard, counted."""

    listeners: int
    """Who came to the sample once the fleet was settled."""
    refused: int
    lost: int
    gaps: int
    with_gaps: int
    starts: Sequence[float]
    """Seconds to the first audio, of those who heard something."""
    listeners_per_core: float
    """Who heard something at the same time, on average."""
    computed: float
    """Seconds that cores computed for a second of audio, from the beginning."""
    loads: int
    """Models loaded after the start, on the whole sample."""
    replicas: float
    """Replicas that could be sent somebody, on average."""

    @property
    def gap_share(self) -> float:
        """Share of the listeners who heard a gap."""
        return self.with_gaps / len(self.starts) if self.starts else 0.0

    def start(self, percent: float) -> float:
        """Return a percentile of the starts."""
        return percentile(self.starts, percent)


def figures_of(options: FleetOptions, traffic: Traffic, run: Run) -> FleetFigures:
    """Count what was heard."""
    settled = _SETTLED * traffic.seconds
    counted = [heard for heard in run.heard if heard.at >= settled]
    begun = [heard for heard in counted if heard.listening.deliveries]
    gaps = [heard.listening.gaps() for heard in begun]
    audio = _seconds_heard(begun)
    replicas = _mean_size(run, since=settled, until=traffic.seconds)
    share = len(run.sample) / max(1, len(run.sample) + run.estimated)
    cores = share * replicas * options.replica.cores / options.per_machine
    return FleetFigures(
        listeners=len(counted),
        refused=sum(heard.outcome is Outcome.REFUSED for heard in counted),
        lost=sum(heard.outcome is Outcome.LOST for heard in counted),
        gaps=sum(map(len, gaps)),
        with_gaps=sum(map(bool, gaps)),
        starts=tuple(heard.start for heard in begun),
        listeners_per_core=audio / (traffic.seconds - settled) / cores,
        computed=run.core_seconds / max(1.0, _seconds_heard(run.heard)),
        loads=sum(each.server.loads - 1 for each in run.sample),
        replicas=replicas,
    )


def _seconds_heard(heard: Iterable[Heard]) -> float:
    return sum(piece.samples for each in heard for piece in each.listening.deliveries) / RATE


def _mean_size(run: Run, *, since: float, until: float) -> float:
    total = 0.0
    ends = [at for at, _ in run.sizes[1:]] + [until]
    for (at, size), end in zip(run.sizes, ends, strict=True):
        total += size * max(0.0, min(end, until) - max(at, since))
    return total / (until - since)


def render_row(case: str, options: FleetOptions, figures: FleetFigures) -> str:
    """Return a row of the table."""
    starts = ", ".join(f"{figures.start(percent):.2f}" for percent in (50, 95, 99)) if figures.starts else "-"
    cells = (
        case,
        f"{figures.replicas:.0f} × {options.replica.cores}",
        f"{figures.listeners_per_core:.2f}",
        f"{figures.listeners:,}",
        f"{100 * figures.gap_share:.2f} %",
        figures.gaps,
        figures.refused,
        figures.lost,
        f"{starts} s",
        f"{1000 * figures.computed:.0f} ms",
        figures.loads,
    )
    return "| " + " | ".join(map(str, cells)) + " |"
