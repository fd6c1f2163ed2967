"""The figures of a scenario under a policy: gaps, starts, refusals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.scheduling_simulator.listening import Listening
from bench.scheduling_simulator.simulation import Policy, Scenario
from wyoming_tts.bench.percentiles import percentile


@dataclass(frozen=True, slots=True)
class Figures:
    """What the listeners of a scenario heard, counted."""

    scenario: str
    policy: str
    utterances: int
    refused: int
    gaps: int
    gap_seconds: float
    with_gaps: int
    """Utterances with at least one gap."""
    starts: tuple[float, ...]
    """Seconds from the first text to the first audio, of each utterance that was heard."""
    ratios: tuple[float, ...]
    """Each of them against the clairvoyant start."""

    @property
    def gap_share(self) -> float:
        """Share of the utterances that were heard with a gap."""
        return self.with_gaps / len(self.starts) if self.starts else 0.0

    def start(self, percent: float) -> float:
        """Return a percentile of the starts."""
        return percentile(self.starts, percent)

    def ratio(self, percent: float) -> float:
        """Return a percentile of the starts against the clairvoyant ones."""
        return percentile(self.ratios, percent)


def figures_of(scenario: Scenario, policy: Policy, listenings: Sequence[Listening]) -> Figures:
    """Count what was heard."""
    heard = [listening for listening in listenings if listening.deliveries]
    gaps = [listening.gaps() for listening in heard]
    return Figures(
        scenario=scenario.name,
        policy=policy.name,
        utterances=len(listenings),
        refused=sum(listening.is_refused for listening in listenings),
        gaps=sum(map(len, gaps)),
        gap_seconds=sum(map(sum, gaps)),
        with_gaps=sum(map(bool, gaps)),
        starts=tuple(listening.start for listening in heard),
        ratios=tuple(listening.start / listening.clairvoyant_start for listening in heard),
    )
