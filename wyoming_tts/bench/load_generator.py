"""Load generator: rounds of concurrent listeners on one server, or on two in turn.

All listeners of a round connect first and send their text at the same moment; with a rate each connects and
sends at its own time, however long earlier ones take; for a duration each asks again once it was answered.
Meanwhile `describe` is sent on new connections at a fixed interval, whether or not the last one was answered,
so that a stuck server gets as many as a healthy one. Two servers alternate round by round, each first in
every other round, so that other work on the machine affects both alike. They get the same texts.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from typing import TypeAlias

from wyoming_tts.bench.options import BenchOptions, Input, RequestMode
from wyoming_tts.bench.results import LoadCase, LoadFigures, LoadRound
from wyoming_tts.bench.speech_plan import SpeechPlan
from wyoming_tts.bench.targets.listener import ListenerReport, RequestOutcome
from wyoming_tts.bench.targets.target import BenchTarget, make_target
from wyoming_tts.bench.texts import LOAD_TEXTS, VARIANTS, vary_text
from wyoming_tts.client import ClientError

_MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class BenchResult:
    """All measurements of a load test."""

    options: BenchOptions
    servers: tuple[str, ...]
    """Names of the servers, as they identify themselves."""
    figures: tuple[LoadFigures, ...]
    """Grouped by load case; with two servers, one after the other in each case."""

    def by_case(self) -> Iterator[tuple[LoadFigures, ...]]:
        """Figures of each load case: one item per server."""
        for start in range(0, len(self.figures), len(self.servers)):
            yield self.figures[start : start + len(self.servers)]


@dataclass(frozen=True, slots=True)
class BenchProgress:
    """Progress of a load test."""

    done: int
    total: int
    """Rounds."""
    now: str
    """Description of the round measured last."""


OnBenchProgress: TypeAlias = Callable[[BenchProgress], None]

_Latencies: TypeAlias = list[asyncio.Task[float | None]]


async def run_bench(options: BenchOptions, *, progress: OnBenchProgress) -> BenchResult:
    """Run the load test that the options describe; `progress` is called after every round.

    Raises:
        ClientError: a server cannot be reached, or lacks what is to be measured.
    """
    uris = (options.uri,) if options.compare is None else (options.uri, options.compare)
    names = [await _identify(uri, options) for uri in uris]
    servers = _unique_names(names, uris)
    cases = [
        LoadCase(text, input_, clients, options.mode, options.rate, options.duration)
        for text in options.texts
        for input_ in options.inputs
        for clients in options.clients
    ]
    total = len(cases) * options.rounds * len(uris)
    figures: list[LoadFigures] = []
    done = 0
    # A random first variant: the server may have cached the texts of an earlier measurement.
    spoken = secrets.randbelow(VARIANTS)
    for uri in uris:
        await _warm_up(uri, options, spoken)
    spoken += options.warm_up
    for case in cases:
        rounds: list[list[LoadRound]] = [[] for _ in uris]
        for number in range(options.rounds):
            for server in _server_order(number, len(uris)):
                rounds[server].append(await run_round(uris[server], case, options, spoken))
                done += 1
                progress(BenchProgress(done, total, f"{servers[server]}: {case}"))
                await asyncio.sleep(options.pause)
            spoken += max(len(each[-1].heard) for each in rounds)
        figures += [LoadFigures(case, name, tuple(each)) for name, each in zip(servers, rounds, strict=True)]
    return BenchResult(options, servers, tuple(figures))


def _server_order(number: int, servers: int) -> Iterable[int]:
    return range(servers) if number % 2 == 0 else reversed(range(servers))


async def _identify(uri: str, options: BenchOptions) -> str:
    streams = Input.STREAM in options.inputs and options.mode is RequestMode.SINGLE
    return await make_target(uri, options).identify(streams=streams)


def _unique_names(names: list[str], uris: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) == len(names):
        return tuple(names)
    return tuple(f"{name} at {uri}" for name, uri in zip(names, uris, strict=True))


async def _warm_up(uri: str, options: BenchOptions, first: int) -> None:
    server = make_target(uri, options)
    for number in range(options.warm_up):
        speech = _speech(server, LoadCase("sentence", Input.PLAIN, 1), options, first + number)
        heard = await speech.listen(options.timeout, asyncio.Barrier(1))
        if heard.outcome is not RequestOutcome.SPOKEN:
            raise ClientError(
                f"{uri} did not speak: the request was {heard.outcome} {heard.error}".strip() + ".",
                hint="The server's log may say why.",
            )


def _speech(server: BenchTarget, case: LoadCase, options: BenchOptions, number: int) -> SpeechPlan:
    text = LOAD_TEXTS[case.text]
    return SpeechPlan.for_text(
        vary_text(text, number) if options.vary else text,
        server,
        case.input,
        mode=case.mode,
        words_per_second=options.words_per_second,
        read_ahead=options.read_ahead,
    )


async def run_round(uri: str, case: LoadCase, options: BenchOptions, first: int = 0) -> LoadRound:
    """Run one round of a load case on one server; texts are variants `first` and the following."""
    server = make_target(uri, options)
    speeches = (_speech(server, case, options, number) for number in count(first))
    barrier = asyncio.Barrier(case.clients + 1 if case.rate is None else 1)
    async with asyncio.TaskGroup() as tasks:
        async with _describe_repeatedly(server, options, tasks) as latencies:
            first_ones = [(next(speeches), _start(case, number)) for number in range(case.clients)]
            listeners = [
                tasks.create_task(_listen(each, options.timeout, barrier, after=after))
                for each, after in first_ones
            ]
            await barrier.wait()
            started_at = time.perf_counter()
            if case.duration is None:
                heard, in_time = await asyncio.gather(*listeners), 0
            else:
                heard, in_time = await _repeat(listeners, speeches, options, started_at + case.duration)
            wall = time.perf_counter() - started_at
        described = tuple([await latency for latency in latencies])
    return LoadRound(tuple(heard), wall, described, in_time)


async def _repeat(
    listeners: Iterable[Awaitable[ListenerReport]],
    speeches: Iterator[SpeechPlan],
    options: BenchOptions,
    end: float,
) -> tuple[list[ListenerReport], int]:
    """Let each listener ask again once it was answered, until `end`; return also how many were in time."""
    heard: list[ListenerReport] = []
    in_time = 0

    async def keep_asking(answer: Awaitable[ListenerReport]) -> None:
        nonlocal in_time
        while True:
            heard.append(await answer)
            is_spoken = heard[-1].outcome is RequestOutcome.SPOKEN
            if not is_spoken:
                await asyncio.sleep(options.pause)  # who refuses at once is not to be flooded
            if time.perf_counter() >= end:
                return
            in_time += is_spoken
            answer = next(speeches).listen(options.timeout, asyncio.Barrier(1))

    await asyncio.gather(*map(keep_asking, listeners))
    return heard, in_time


def _start(case: LoadCase, number: int) -> float:
    return 0.0 if case.rate is None else number * _MINUTE / case.rate


async def _listen(
    speech: SpeechPlan, idle_timeout: float, barrier: asyncio.Barrier, *, after: float
) -> ListenerReport:
    await asyncio.sleep(after)
    return await speech.listen(idle_timeout, barrier)


@asynccontextmanager
async def _describe_repeatedly(
    server: BenchTarget, options: BenchOptions, tasks: asyncio.TaskGroup
) -> AsyncIterator[_Latencies]:
    """Send `describe` at a fixed interval while the block runs, without waiting for the answers."""
    asked: _Latencies = []
    if not options.describe_every:
        yield asked
        return

    async def send_describes() -> None:
        started_at = time.perf_counter()
        while True:
            due = started_at + (len(asked) + 1) * options.describe_every
            await asyncio.sleep(due - time.perf_counter())
            asked.append(tasks.create_task(server.measure_describe_latency(options.timeout)))

    sending = tasks.create_task(send_describes())
    try:
        yield asked
    finally:
        sending.cancel()
