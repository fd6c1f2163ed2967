"""What is measured of both servers: each section is one question and answers it with rows.

Only one server is loaded at a time, and each has come to rest before the next one's turn. The order
changes from round to round.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.outcome import Failed, Outcome, Row, compared, megabytes
from bench.servers import Command, Server, running, with_flags
from wyoming_tts.bench.load_generator import run_round
from wyoming_tts.bench.options import BenchOptions, Input
from wyoming_tts.bench.percentiles import percentile
from wyoming_tts.bench.results import LoadCase, LoadFigures, LoadRound
from wyoming_tts.bench.targets.listener import ListenerReport
from wyoming_tts.bench.targets.listener import RequestOutcome as Ended

LISTENERS = 8
SENTENCE = LoadCase("sentence", Input.PLAIN, 1)
_PARAGRAPHS = LoadCase("paragraph", Input.PLAIN, LISTENERS)
_TIMEOUT = 120.0
_UNCUT = ("--first-segment-max-words", "0", "--first-segment-boundaries", "")


class NotSpoken(Failed):
    """A server did not speak where the comparison needs it to."""


class Numbers:
    """Hands out numbers that were not handed out before."""

    def __init__(self) -> None:
        self._next = 0

    def take(self, count: int) -> int:
        """The first of `count` new ones."""
        self._next += count
        return self._next - count


@dataclass(frozen=True, slots=True)
class Setup:
    """What every section is given."""

    peer: Command
    own: Command
    voice: str
    """Asked for by name: a server without it shall not speak with another."""
    rounds: int
    logs: Path
    tell: Callable[[str], None]
    """Takes a line on how far it is."""
    texts: Numbers = field(default_factory=Numbers)
    """No server shall get a text twice."""


@asynccontextmanager
async def servers(setup: Setup, *commands: Command, warm_up: int = 2) -> AsyncIterator[tuple[Server, ...]]:
    """All of them running, warm and at rest."""
    async with AsyncExitStack() as stack:
        started = [await stack.enter_async_context(running(command, setup.logs)) for command in commands]
        for server in started:
            for _ in range(warm_up):
                spoken(server, await load(setup, server, SENTENCE))
        yield tuple(started)


async def load(
    setup: Setup, server: Server, case: LoadCase, *, first: int | None = None, describe_every: float = 0.0
) -> LoadRound:
    """One load on a server, which comes to rest afterwards; with texts of its own unless told which."""
    number = setup.texts.take(case.clients) if first is None else first
    options = BenchOptions(server.uri, voice=setup.voice, timeout=_TIMEOUT, describe_every=describe_every)
    given = await run_round(server.uri, case, options, number)
    await server.until_idle()
    return given


def spoken(server: Server, given: LoadRound) -> LoadRound:
    """The same.

    Raises:
        NotSpoken: a listener was not served.
    """
    for heard in given.heard:
        if heard.outcome is not Ended.SPOKEN:
            raise NotSpoken(f"{server.name}: a request was {heard.outcome} {heard.error}".strip())
    return given


async def interleaved(
    setup: Setup, section: str, among: Sequence[Server], case: LoadCase, *, describe_every: float = 0.0
) -> dict[str, list[LoadRound]]:
    """All rounds of one load, by server: same texts for all in a round, each first in its share of them."""
    rounds: dict[str, list[LoadRound]] = {server.name: [] for server in among}
    for number in range(setup.rounds):
        setup.tell(f"{section}: round {number + 1} of {setup.rounds}")
        texts = setup.texts.take(case.clients)
        first = number % len(among)
        for server in (*among[first:], *among[:first]):
            given = await load(setup, server, case, first=texts, describe_every=describe_every)
            rounds[server.name].append(spoken(server, given))
    return rounds


async def sentence(setup: Setup) -> Outcome:
    """First audio of a sentence for a single listener, as set by default and with no text cut."""
    uncut = with_flags(setup.own, "uncut", _UNCUT)
    async with servers(setup, setup.peer, setup.own, uncut) as among:
        rounds = await interleaved(setup, "sentence", among, SENTENCE)
    theirs, ours, whole = (ttfas(rounds[server.name]) for server in among)
    return Outcome(
        "sentence",
        "One listener, plain input; the time from writing the request to the first audio event.",
        (
            compared("TTFA, 29-word sentence, default settings", theirs, ours, at_most=1 / 5),
            compared("the same with no text cut", theirs, whole, at_most=1 / 2.5),
        ),
        raw(rounds),
    )


async def high(setup: Setup) -> Outcome:
    """First audio of a sentence with a larger voice."""
    async with servers(setup, setup.peer, setup.own) as among:
        rounds = await interleaved(setup, "high", among, SENTENCE)
    theirs, ours = (ttfas(rounds[server.name]) for server in among)
    row = compared('TTFA, 29-word sentence, a "high" voice', theirs, ours, at_most=1 / 7)
    return Outcome("high", "As `sentence`, both servers on the larger voice.", (row,), raw(rounds))


async def listeners(setup: Setup) -> Outcome:
    """Eight listeners at once: first audio, gaps, `describe` meanwhile, time and memory."""
    async with servers(setup, setup.peer, setup.own) as among:
        quiet = await interleaved(setup, "listeners", among, _PARAGRAPHS)
        asked = await interleaved(setup, "listeners, describe", among, _PARAGRAPHS, describe_every=0.1)
        memory = [server.memory() for server in among]
    peer, own = (server.name for server in among)
    sizes = {server.name: asdict(size) for server, size in zip(among, memory, strict=True)}
    return Outcome(
        "listeners",
        f"{LISTENERS} listeners connect, then ask for the paragraph in the same moment. `describe` is asked "
        "every 100 ms on a new connection, in rounds of their own, because what a server computes for its "
        "answers shall not count as time for speech. Memory is read after all these rounds; "
        "PSS divides what processes share.",
        (
            *_listening_rows(quiet[peer], quiet[own]),
            compared(
                "`describe` p95 under that load",
                _described_p95(asked[peer]),
                _described_p95(asked[own]),
                at_most=1 / 50,
                limit=0.05,
            ),
            compared(
                "resident memory after that load",
                [memory[0].resident],
                [memory[1].resident],
                at_most=1.1,
                form=megabytes,
            ),
            compared(
                "the same, PSS",
                [memory[0].proportional],
                [memory[1].proportional],
                at_most=None,
                form=megabytes,
            ),
        ),
        {"quiet": raw(quiet), "with describe": raw(asked), "memory": sizes},
    )


def _listening_rows(theirs: list[LoadRound], ours: list[LoadRound]) -> tuple[Row, ...]:
    load_name = f"{LISTENERS} listeners, paragraph"
    their_gaps, our_gaps = (LoadFigures(_PARAGRAPHS, "", tuple(rounds)) for rounds in (theirs, ours))
    return (
        compared(f"TTFA p95, {load_name}", _ttfa_p95(theirs), _ttfa_p95(ours), at_most=1 / 8),
        Row(
            "underruns of those listeners",
            _gaps(their_gaps),
            _gaps(our_gaps),
            None,
            "0",
            our_gaps.underruns == 0,
        ),
        compared(
            f"total wall time, {load_name}",
            [each.wall for each in theirs],
            [each.wall for each in ours],
            at_most=1.1,
        ),
    )


def _gaps(figures: LoadFigures) -> str:
    worst = f", worst {figures.worst_gap * 1000:.0f} ms" if figures.underruns else ""
    return f"{figures.underruns}{worst}"


async def start(setup: Setup) -> Outcome:
    """How long a process takes until it listens."""
    opened: dict[str, list[float]] = {setup.peer.name: [], setup.own.name: []}
    pair = [setup.peer, setup.own]
    for number in range(setup.rounds + 1):
        setup.tell(f"start: round {number} of {setup.rounds}")
        for command in pair if number % 2 == 0 else reversed(pair):
            async with running(command, setup.logs) as server:
                if number:  # the first start of each is there to have it compiled and cached
                    opened[command.name].append(server.opened_after)
    theirs, ours = opened.values()
    return Outcome(
        "start",
        "From starting the process to the first connection that it accepts, byte code and files cached.",
        (compared("start to open port", theirs, ours, at_most=1.5),),
        {"opened_after": opened},
    )


def ttfas(rounds: list[LoadRound]) -> list[float]:
    """Of all listeners that heard something, in seconds."""
    return [heard.ttfa for each in rounds for heard in each.heard if heard.ttfa is not None]


def _ttfa_p95(rounds: list[LoadRound]) -> list[float]:
    return [percentile(ttfas([each]), 95.0) for each in rounds]


def _described_p95(rounds: list[LoadRound]) -> list[float]:
    # One that was never answered counts as the longest that anybody waits.
    return [
        percentile([latency if latency is not None else _TIMEOUT for latency in each.described], 95.0)
        for each in rounds
        if each.described
    ]


def raw(rounds: dict[str, list[LoadRound]]) -> dict[str, object]:
    """All rounds, for JSON."""
    return {name: [_round(each) for each in given] for name, given in rounds.items()}


def _round(given: LoadRound) -> dict[str, object]:
    return {
        "wall": round(given.wall, 4),
        "listeners": [raw_heard(heard) for heard in given.heard],
        "describe": [None if latency is None else round(latency, 4) for latency in given.described],
    }


def raw_heard(heard: ListenerReport) -> dict[str, object]:
    """What one listener got, for JSON."""
    return {
        "outcome": heard.outcome,
        "ttfa": heard.ttfa and round(heard.ttfa, 4),
        "total": round(heard.total, 4),
        "audio": round(heard.audio, 3),
        "gaps": [round(gap, 4) for gap in heard.played.gaps] if heard.played else [],
    }
