"""Rounds of equal load on one server, or on two in turn.

All listeners of a round connect first, then send their text in the same moment; at a rate each connects
and sends at a time of its own, however long those before take. Meanwhile `describe`
is asked on new connections at a fixed pace, whether or not the last one was answered: a server that
is stuck is asked as often as one that is not. Two servers are asked round by round, each first in
every other round, so that what the machine does besides falls on both. They get the same texts.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeAlias

from wyoming_tts.bench.listener import Heard, RequestOutcome
from wyoming_tts.bench.options import BenchOptions, Input, Mode
from wyoming_tts.bench.result import Case, LoadFigures, Round
from wyoming_tts.bench.servers import BenchTarget, server_at
from wyoming_tts.bench.speech import SpeechPlan
from wyoming_tts.bench.texts import TEXTS, VARIANTS, varied
from wyoming_tts.client import ClientError

_MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class BenchResult:
    """Everything that was measured."""

    options: BenchOptions
    servers: tuple[str, ...]
    """What each server calls itself."""
    figures: tuple[LoadFigures, ...]
    """Case by case; with two servers, theirs lie next to each other."""

    def by_case(self) -> Iterator[tuple[LoadFigures, ...]]:
        """The figures of each case: one per server."""
        for start in range(0, len(self.figures), len(self.servers)):
            yield self.figures[start : start + len(self.servers)]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is."""

    done: int
    total: int
    """In rounds."""
    now: str
    """What was measured last."""


OnProgress: TypeAlias = Callable[[Progress], None]

_Latencies: TypeAlias = list[asyncio.Task[float | None]]


async def run_bench(options: BenchOptions, *, progress: OnProgress) -> BenchResult:
    """Measure everything that the options say; `progress` is told after every round.

    Raises:
        ClientError: a server cannot be reached, or cannot do what is to be measured.
    """
    uris = (options.uri,) if options.compare is None else (options.uri, options.compare)
    names = [await _greeted(uri, options) for uri in uris]
    servers = _distinct(names, uris)
    cases = [
        Case(text, input_, clients, options.mode, options.rate)
        for text in options.texts
        for input_ in options.inputs
        for clients in options.clients
    ]
    total = len(cases) * options.rounds * len(uris)
    figures: list[LoadFigures] = []
    done = 0
    # The server may have been measured before.
    spoken = secrets.randbelow(VARIANTS)
    for uri in uris:
        await _warm_up(uri, options, spoken)
    spoken += options.warm_up
    for case in cases:
        rounds: list[list[Round]] = [[] for _ in uris]
        for number in range(options.rounds):
            for server in _order(number, len(uris)):
                rounds[server].append(await run_round(uris[server], case, options, spoken))
                done += 1
                progress(Progress(done, total, f"{servers[server]}: {case}"))
                await asyncio.sleep(options.pause)
            spoken += case.clients
        figures += [LoadFigures(case, name, tuple(each)) for name, each in zip(servers, rounds, strict=True)]
    return BenchResult(options, servers, tuple(figures))


def _order(number: int, servers: int) -> Iterable[int]:
    return range(servers) if number % 2 == 0 else reversed(range(servers))


async def _greeted(uri: str, options: BenchOptions) -> str:
    streams = Input.STREAM in options.inputs and options.mode is Mode.SINGLE
    return await server_at(uri, options).greeted(streams=streams)


def _distinct(names: list[str], uris: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) == len(names):
        return tuple(names)
    return tuple(f"{name} at {uri}" for name, uri in zip(names, uris, strict=True))


async def _warm_up(uri: str, options: BenchOptions, first: int) -> None:
    server = server_at(uri, options)
    for number in range(options.warm_up):
        speech = _speech(server, Case("sentence", Input.PLAIN, 1), options, first + number)
        heard = await speech.listen(options.timeout, asyncio.Barrier(1))
        if heard.outcome is not RequestOutcome.SPOKEN:
            raise ClientError(
                f"{uri} did not speak: the request was {heard.outcome} {heard.error}".strip() + ".",
                hint="Its log may tell why.",
            )


def _speech(server: BenchTarget, case: Case, options: BenchOptions, number: int) -> SpeechPlan:
    text = TEXTS[case.text]
    return SpeechPlan.of(
        varied(text, number) if options.vary else text,
        server,
        case.input,
        mode=case.mode,
        words_per_second=options.words_per_second,
    )


async def run_round(uri: str, case: Case, options: BenchOptions, first: int = 0) -> Round:
    """Put one load on one server and take what comes of it; the texts are variants from `first` on."""
    server = server_at(uri, options)
    speeches = [_speech(server, case, options, first + number) for number in range(case.clients)]
    barrier = asyncio.Barrier(case.clients + 1 if case.rate is None else 1)
    async with asyncio.TaskGroup() as tasks:
        async with _describing(server, options, tasks) as latencies:
            listeners = [
                tasks.create_task(_listen(each, options.timeout, barrier, after=_start(case, number)))
                for number, each in enumerate(speeches)
            ]
            await barrier.wait()
            started_at = time.perf_counter()
            heard = await asyncio.gather(*listeners)
            wall = time.perf_counter() - started_at
        described = tuple([await latency for latency in latencies])
    return Round(tuple(heard), wall, described)


def _start(case: Case, number: int) -> float:
    return 0.0 if case.rate is None else number * _MINUTE / case.rate


async def _listen(speech: SpeechPlan, patience: float, barrier: asyncio.Barrier, *, after: float) -> Heard:
    await asyncio.sleep(after)
    return await speech.listen(patience, barrier)


@asynccontextmanager
async def _describing(
    server: BenchTarget, options: BenchOptions, tasks: asyncio.TaskGroup
) -> AsyncIterator[_Latencies]:
    """Ask at a fixed pace while the block runs; what was asked is answered in its own time."""
    asked: _Latencies = []
    if not options.describe_every:
        yield asked
        return

    async def keep_asking() -> None:
        started_at = time.perf_counter()
        while True:
            due = started_at + (len(asked) + 1) * options.describe_every
            await asyncio.sleep(due - time.perf_counter())
            asked.append(tasks.create_task(server.describe_latency(options.timeout)))

    asking = tasks.create_task(keep_asking())
    try:
        yield asked
    finally:
        asking.cancel()
