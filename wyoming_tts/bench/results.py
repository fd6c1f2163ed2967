"""Results of a load test: percentiles, underruns and failures computed from its rounds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from wyoming_tts.bench.options import Input, RequestMode
from wyoming_tts.bench.percentiles import Percentiles, median, percentiles, ratio
from wyoming_tts.bench.targets.listener import ListenerReport, RequestOutcome

_MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class LoadCase:
    """A load: which text, how it is sent, and how many clients send it."""

    text: str
    input: Input
    clients: int
    mode: RequestMode = RequestMode.SINGLE
    rate: float | None = None
    """Clients started per minute; None starts all at once."""
    duration: float | None = None
    """Seconds for which each client asks again and again; None asks once."""

    def __str__(self) -> str:
        clients = f"{self.clients} client{'s' if self.clients > 1 else ''}"
        more = [self.mode.value] if self.mode is not RequestMode.SINGLE else []
        more += [f"{self.rate:g} a minute"] if self.rate is not None else []
        more += [f"{self.duration:g} s"] if self.duration is not None else []
        return ", ".join([self.text, self.input.value, clients, *more])


@dataclass(frozen=True, slots=True)
class LoadRound:
    """One round of a load case on one server."""

    heard: tuple[ListenerReport, ...]
    wall: float
    """Seconds from sending the texts to the end of the last reply."""
    described: tuple[float | None, ...]
    """Latency of each `describe`; None if it was not answered."""
    in_time: int = 0
    """Texts spoken to their end before the duration of the load was over."""


@dataclass(frozen=True, slots=True)
class LoadFigures:
    """Figures of a load case on one server, over all rounds; times in seconds."""

    case: LoadCase
    server: str
    rounds: tuple[LoadRound, ...]

    @property
    def heard(self) -> list[ListenerReport]:
        """Reports of all listeners."""
        return [heard for each in self.rounds for heard in each.heard]

    @property
    def ttfa(self) -> Percentiles | None:
        """Time from the first text to the first audio."""
        return percentiles(_ttfas(self.heard))

    @property
    def after_sentence(self) -> Percentiles | None:
        """Time from the end of the first streamed sentence to the first audio."""
        return percentiles(each.after_sentence for each in self.heard if each.after_sentence is not None)

    @property
    def described(self) -> Percentiles | None:
        """Latency of `describe` during the load."""
        return percentiles(_answered(self.rounds))

    @property
    def unanswered(self) -> int:
        """Number of `describe` requests without an answer."""
        return sum(latency is None for each in self.rounds for latency in each.described)

    @property
    def real_time_factor(self) -> float | None:
        """Median over the listeners of the time to the end of the reply, divided by playing time."""
        return median(each.real_time_factor for each in self.heard)

    @property
    def total(self) -> float | None:
        """Median time from the text to the end of the reply."""
        return median(each.total for each in self.heard if each.outcome is RequestOutcome.SPOKEN)

    @property
    def wall(self) -> float | None:
        """Median over the rounds of the time until all listeners were served."""
        return median(each.wall for each in self.rounds)

    @property
    def per_minute(self) -> float | None:
        """Texts spoken to their end in a minute (transactions per minute); None without a duration."""
        duration = self.case.duration
        if duration is None:
            return None
        return sum(each.in_time for each in self.rounds) * _MINUTE / (duration * len(self.rounds))

    @property
    def audio(self) -> float:
        """Total playing time."""
        return sum(each.audio for each in self.heard)

    @property
    def underruns(self) -> int:
        """Number of gaps in all players that start at once."""
        return sum(each.played.underruns for each in self.heard if each.played)

    @property
    def worst_gap(self) -> float:
        """The longest of these gaps."""
        return max((each.played.worst_gap for each in self.heard if each.played), default=0.0)

    @property
    def silence(self) -> float:
        """Total length of these gaps."""
        return sum(each.played.silence for each in self.heard if each.played)

    @property
    def later_underruns(self) -> int:
        """Number of gaps in all players that prebuffer."""
        return sum(each.played_later.underruns for each in self.heard if each.played_later)

    @property
    def later_worst_gap(self) -> float:
        """The longest gap of the players that prebuffer."""
        return max((each.played_later.worst_gap for each in self.heard if each.played_later), default=0.0)

    @property
    def outcomes(self) -> Counter[RequestOutcome]:
        """Number of requests by outcome."""
        return Counter(each.outcome for each in self.heard)

    @property
    def errors(self) -> Counter[str]:
        """Number of requests by error: the server's code, or our own reason."""
        return Counter(each.error for each in self.heard if each.error)

    def each_round(self, figure: Callable[[Percentiles], float]) -> list[float]:
        """A percentile of the TTFA of each round."""
        spread = (percentiles(_ttfas(each.heard)) for each in self.rounds)
        return [figure(each) for each in spread if each is not None]


@dataclass(frozen=True, slots=True)
class LoadRatios:
    """Figures of the first server divided by those of the second; below 1 the first is better.

    For TTFA and wall time these are ratios of medians over the rounds, for `describe` of 95th percentiles.
    """

    ttfa_p50: float | None
    ttfa_p95: float | None
    wall: float | None
    described_p95: float | None


def compare_figures(ours: LoadFigures, theirs: LoadFigures) -> LoadRatios:
    """Divide the figures of one server by those of another, for the same load case."""
    return LoadRatios(
        ttfa_p50=ratio(median(ours.each_round(_p50)), median(theirs.each_round(_p50))),
        ttfa_p95=ratio(median(ours.each_round(_p95)), median(theirs.each_round(_p95))),
        wall=ratio(ours.wall, theirs.wall),
        described_p95=_described_ratio(ours.described, theirs.described),
    )


def _described_ratio(ours: Percentiles | None, theirs: Percentiles | None) -> float | None:
    return ratio(ours.p95, theirs.p95) if ours and theirs else None


def _ttfas(heard: Iterable[ListenerReport]) -> Iterator[float]:
    return (each.ttfa for each in heard if each.ttfa is not None)


def _answered(rounds: Iterable[LoadRound]) -> Iterator[float]:
    return (latency for each in rounds for latency in each.described if latency is not None)


def _p50(spread: Percentiles) -> float:
    return spread.p50


def _p95(spread: Percentiles) -> float:
    return spread.p95
