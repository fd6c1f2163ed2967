"""What the rounds gave, as the figures a reader wants."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from wyoming_tts.bench.listener import Heard, RequestOutcome
from wyoming_tts.bench.options import Input, Mode
from wyoming_tts.bench.statistics import Percentiles, median, percentiles, ratio


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of load."""

    text: str
    input: Input
    clients: int
    mode: Mode = Mode.SINGLE
    rate: float | None = None
    """Clients that start in a minute; None: all at once."""

    def __str__(self) -> str:
        clients = f"{self.clients} client{'s' if self.clients > 1 else ''}"
        more = [self.mode.value] if self.mode is not Mode.SINGLE else []
        more += [f"{self.rate:g} a minute"] if self.rate is not None else []
        return ", ".join([self.text, self.input.value, clients, *more])


@dataclass(frozen=True, slots=True)
class Round:
    """What one load on one server gave."""

    heard: tuple[Heard, ...]
    wall: float
    """Seconds from sending the texts to the end of the last reply."""
    described: tuple[float | None, ...]
    """Latency of every `describe`; None for one that was not answered."""


@dataclass(frozen=True, slots=True)
class LoadFigures:
    """One kind of load on one server, all rounds together; times in seconds."""

    case: Case
    server: str
    rounds: tuple[Round, ...]

    @property
    def heard(self) -> list[Heard]:
        """What all listeners got."""
        return [heard for each in self.rounds for heard in each.heard]

    @property
    def ttfa(self) -> Percentiles | None:
        """First text to first audio."""
        return percentiles(_ttfas(self.heard))

    @property
    def after_sentence(self) -> Percentiles | None:
        """End of the first streamed sentence to first audio."""
        return percentiles(each.after_sentence for each in self.heard if each.after_sentence is not None)

    @property
    def described(self) -> Percentiles | None:
        """Latency of `describe` during the load."""
        return percentiles(_answered(self.rounds))

    @property
    def unanswered(self) -> int:
        """How many `describe` got no answer."""
        return sum(latency is None for each in self.rounds for latency in each.described)

    @property
    def real_time_factor(self) -> float | None:
        """Of a listener: time from the text to the end of the reply, by playing time; the median."""
        return median(each.real_time_factor for each in self.heard)

    @property
    def total(self) -> float | None:
        """Time from the text to the end of the reply; the median."""
        return median(each.total for each in self.heard if each.outcome is RequestOutcome.SPOKEN)

    @property
    def wall(self) -> float | None:
        """Until all listeners were served; the median of the rounds."""
        return median(each.wall for each in self.rounds)

    @property
    def audio(self) -> float:
        """Playing time of everything."""
        return sum(each.audio for each in self.heard)

    @property
    def underruns(self) -> int:
        """Gaps in all players that start at once."""
        return sum(each.played.underruns for each in self.heard if each.played)

    @property
    def worst_gap(self) -> float:
        """The longest of them."""
        return max((each.played.worst_gap for each in self.heard if each.played), default=0.0)

    @property
    def silence(self) -> float:
        """All of them together."""
        return sum(each.played.silence for each in self.heard if each.played)

    @property
    def later_underruns(self) -> int:
        """Gaps in all players that hold a little first."""
        return sum(each.played_later.underruns for each in self.heard if each.played_later)

    @property
    def later_worst_gap(self) -> float:
        """The longest of those."""
        return max((each.played_later.worst_gap for each in self.heard if each.played_later), default=0.0)

    @property
    def outcomes(self) -> Counter[RequestOutcome]:
        """How the requests ended."""
        return Counter(each.outcome for each in self.heard)

    @property
    def errors(self) -> Counter[str]:
        """Why requests were refused or cut off: codes of the server, or our words."""
        return Counter(each.error for each in self.heard if each.error)

    def each_round(self, figure: Callable[[Percentiles], float]) -> list[float]:
        """A percentile of the TTFA, round by round."""
        spread = (percentiles(_ttfas(each.heard)) for each in self.rounds)
        return [figure(each) for each in spread if each is not None]


@dataclass(frozen=True, slots=True)
class Ratios:
    """The first server's figures divided by the second's; below 1 the first is better.

    Of TTFA and wall the medians over the rounds are divided, of `describe` the 95th percentiles.
    """

    ttfa_p50: float | None
    ttfa_p95: float | None
    wall: float | None
    described_p95: float | None


def compared(ours: LoadFigures, theirs: LoadFigures) -> Ratios:
    """How the first compares to the second."""
    return Ratios(
        ttfa_p50=ratio(median(ours.each_round(_p50)), median(theirs.each_round(_p50))),
        ttfa_p95=ratio(median(ours.each_round(_p95)), median(theirs.each_round(_p95))),
        wall=ratio(ours.wall, theirs.wall),
        described_p95=_described_ratio(ours.described, theirs.described),
    )


def _described_ratio(ours: Percentiles | None, theirs: Percentiles | None) -> float | None:
    return ratio(ours.p95, theirs.p95) if ours and theirs else None


def _ttfas(heard: Iterable[Heard]) -> Iterator[float]:
    return (each.ttfa for each in heard if each.ttfa is not None)


def _answered(rounds: Iterable[Round]) -> Iterator[float]:
    return (latency for each in rounds for latency in each.described if latency is not None)


def _p50(spread: Percentiles) -> float:
    return spread.p50


def _p95(spread: Percentiles) -> float:
    return spread.p95
