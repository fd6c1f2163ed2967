"""Measuring harness: runs the servers, loads one at a time, and lets each become idle before the next.

The order of the servers changes from round to round, and no server gets a text twice.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.comparison.results import MeasurementFailed
from bench.comparison.server_process import MeasuredServer, ServerCommand, run_server
from wyoming_tts.bench.load_generator import run_round
from wyoming_tts.bench.options import BenchOptions, Input
from wyoming_tts.bench.results import LoadCase, LoadRound
from wyoming_tts.bench.targets.listener import ListenerReport, RequestOutcome

SENTENCE = LoadCase("sentence", Input.PLAIN, 1)
CLAUSE = LoadCase("clause", Input.PLAIN, 1)
TIMEOUT = 120.0
"""Seconds without a byte after which a request counts as hung."""


class SpeechFailed(MeasurementFailed):
    """A server did not speak although the comparison requires it."""


class TextVariants:
    """Allocates numbers of text variants, none of them twice."""

    def __init__(self) -> None:
        self._next = 0

    def take(self, count: int) -> int:
        """Allocate `count` consecutive variants; returns the first."""
        self._next += count
        return self._next - count


@dataclass(frozen=True, slots=True)
class BenchSetup:
    """The environment of every section."""

    peer: ServerCommand
    own: ServerCommand
    voice: str
    """Requested by name, so that a server without it fails instead of speaking with another."""
    rounds: int
    logs: Path
    report_progress: Callable[[str], None]
    """Takes a line of text."""
    texts: TextVariants = field(default_factory=TextVariants)


@asynccontextmanager
async def run_servers(
    setup: BenchSetup, *commands: ServerCommand, warm_up: int = 2
) -> AsyncIterator[tuple[MeasuredServer, ...]]:
    """Run servers for the duration of the block, warmed up and idle at its start."""
    async with AsyncExitStack() as stack:
        started = [await stack.enter_async_context(run_server(command, setup.logs)) for command in commands]
        for server in started:
            for _ in range(warm_up):
                require_spoken(server, await run_load(setup, server, SENTENCE))
        yield tuple(started)


async def run_load(
    setup: BenchSetup,
    server: MeasuredServer,
    case: LoadCase,
    *,
    first: int | None = None,
    describe_every: float = 0.0,
) -> LoadRound:
    """Run a load on a server and wait until it is idle; texts are new, or variants from `first` on."""
    number = setup.texts.take(case.clients) if first is None else first
    options = BenchOptions(server.uri, voice=setup.voice, timeout=TIMEOUT, describe_every=describe_every)
    result = await run_round(server.uri, case, options, number)
    await server.wait_until_idle()
    return result


def require_spoken(server: MeasuredServer, result: LoadRound) -> LoadRound:
    """Return the round if every listener received its speech.

    Raises:
        SpeechFailed: a listener was not served.
    """
    for report in result.heard:
        if report.outcome is not RequestOutcome.SPOKEN:
            raise SpeechFailed(f"{server.name}: a request was {report.outcome} {report.error}".strip())
    return result


async def run_interleaved(
    setup: BenchSetup,
    section: str,
    servers: Sequence[MeasuredServer],
    case: LoadCase,
    *,
    describe_every: float = 0.0,
) -> dict[str, list[LoadRound]]:
    """Run all rounds of a load case on several servers; returns the rounds by the server's name.

    All servers get the same texts in a round, and each is the first in its share of the rounds.
    """
    rounds: dict[str, list[LoadRound]] = {server.name: [] for server in servers}
    for number in range(setup.rounds):
        setup.report_progress(f"{section}: round {number + 1} of {setup.rounds}")
        texts = setup.texts.take(case.clients)
        first = number % len(servers)
        for server in (*servers[first:], *servers[:first]):
            result = await run_load(setup, server, case, first=texts, describe_every=describe_every)
            rounds[server.name].append(require_spoken(server, result))
    return rounds


def collect_ttfas(rounds: list[LoadRound]) -> list[float]:
    """Seconds to first audio of all listeners that received audio."""
    return [report.ttfa for each in rounds for report in each.heard if report.ttfa is not None]


def rounds_to_json(rounds: dict[str, list[LoadRound]]) -> dict[str, object]:
    """Convert rounds, by the server's name, to JSON values."""
    return {name: [_round_to_json(each) for each in results] for name, results in rounds.items()}


def _round_to_json(result: LoadRound) -> dict[str, object]:
    return {
        "wall": round(result.wall, 4),
        "listeners": [report_to_json(report) for report in result.heard],
        "describe": [None if latency is None else round(latency, 4) for latency in result.described],
    }


def report_to_json(report: ListenerReport) -> dict[str, object]:
    """Convert one listener's figures to JSON values."""
    return {
        "outcome": report.outcome,
        "ttfa": report.ttfa and round(report.ttfa, 4),
        "total": round(report.total, 4),
        "audio": round(report.audio, 3),
        "gaps": [round(gap, 4) for gap in report.played.gaps] if report.played else [],
    }
