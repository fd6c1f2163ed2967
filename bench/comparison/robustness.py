"""Robustness sections: a client that does not read, one that disconnects, and overload."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from wyoming.tts import Synthesize

from bench.comparison.harness import (
    SENTENCE,
    BenchSetup,
    collect_ttfas,
    report_to_json,
    require_spoken,
    rounds_to_json,
    run_load,
    run_servers,
)
from bench.comparison.results import (
    ComparisonRow,
    SectionResult,
    compare_medians,
    format_megabytes,
    format_seconds,
)
from bench.comparison.server_process import MeasuredServer, add_flags
from wyoming_tts.bench.load_generator import run_round
from wyoming_tts.bench.options import BenchOptions, Input
from wyoming_tts.bench.percentiles import median
from wyoming_tts.bench.results import LoadCase, LoadRound
from wyoming_tts.bench.targets.listener import RequestOutcome
from wyoming_tts.bench.targets.skimmer import EventSkimmer, open_wyoming_connection
from wyoming_tts.bench.texts import TEXTS, vary_text
from wyoming_tts.wyoming_framing import encode_event

_UNREAD_SECONDS = 600.0
_MAX_MEMORY_GROWTH = 30e6
_MAX_SLOWDOWN = 1.2
_SAMPLE_SECONDS = 0.1
_LONGEST_STEP = 2.0
"""Seconds of audio in the largest piece that is computed in one go."""
_TEARDOWN = 0.05
"""Seconds of computing allowed for closing a connection."""
_CLIENTS = 20
_STREAMS = 4


async def measure_slow_reader(setup: BenchSetup) -> SectionResult:
    """Memory and latency beside a client that requests much speech and never reads (backpressure)."""
    async with run_servers(setup, setup.own) as (server,):
        fresh = server.memory().resident
        # Memory that two concurrent texts need anyway does not count as growth.
        require_spoken(server, await run_load(setup, server, LoadCase("llm", Input.PLAIN, 2)))
        before = await _sentences(setup, server, "unread, without")
        held = server.memory().resident
        text = _text_of(_UNREAD_SECONDS, before)
        async with _never_reading(server.uri, text):
            watching = asyncio.create_task(_max_memory(server))
            during = await _sentences(setup, server, "unread, beside it")
            watching.cancel()
            max_memory = await watching
    growth = max_memory - held
    return SectionResult(
        "unread",
        f"A client sends {len(text.split())} words, which make about ten minutes of audio, and never reads. "
        f"Memory is watched while {setup.rounds} sentences are spoken to another client; before, the server "
        "has spoken such a text to two at a time.",
        (
            ComparisonRow(
                "memory for a client that never reads",
                "",
                format_megabytes(growth),
                None,
                "under 30 MB",
                growth < _MAX_MEMORY_GROWTH,
            ),
            compare_medians(
                "TTFA of another listener beside it (left: without it)",
                collect_ttfas(before),
                collect_ttfas(during),
                at_most=_MAX_SLOWDOWN,
            ),
        ),
        rounds_to_json({"without": before, "beside": during})
        | {"fresh": fresh, "held": held, "most": max_memory},
    )


async def _sentences(setup: BenchSetup, server: MeasuredServer, what: str) -> list[LoadRound]:
    results: list[LoadRound] = []
    options = BenchOptions(server.uri, voice=setup.voice, describe_every=0.0)
    for number in range(setup.rounds):
        setup.report_progress(f"{what}: {number + 1} of {setup.rounds}")
        # Not `run_load`, which waits until the server is idle: it may be computing for the other client.
        results.append(
            require_spoken(server, await run_round(server.uri, SENTENCE, options, setup.texts.take(1)))
        )
        await asyncio.sleep(0.2)
    return results


def _text_of(duration: float, spoken_before: list[LoadRound]) -> str:
    """Make a text whose audio lasts about `duration` seconds, judged by what was spoken before."""
    audio = median(report.audio for each in spoken_before for report in each.heard) or 1.0
    words = math.ceil(duration / audio * len(TEXTS["sentence"].split()))
    times = math.ceil(words / len(TEXTS["llm"].split()))
    return " ".join(vary_text(TEXTS["llm"], number) for number in range(times))


class _NonReadingClient(asyncio.Protocol):
    """Never reads, so that data piles up in the sockets and then at the sender."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.pause_reading()


@asynccontextmanager
async def _never_reading(uri: str, text: str) -> AsyncIterator[None]:
    transport, _ = await open_wyoming_connection(uri, _NonReadingClient)
    try:
        transport.write(encode_event(Synthesize(text).event()))
        yield
    finally:
        transport.abort()


async def _max_memory(server: MeasuredServer) -> int:
    """Sample the resident memory until cancelled; returns the maximum."""
    max_memory = 0
    try:
        while True:
            max_memory = max(max_memory, server.memory().resident)
            await asyncio.sleep(_SAMPLE_SECONDS)
    except asyncio.CancelledError:
        return max(max_memory, server.memory().resident)


class _DisconnectingClient(asyncio.Protocol):
    """Disconnects as soon as the first audio arrives."""

    def __init__(self, text: str) -> None:
        self._request = encode_event(Synthesize(text).event())
        self._skimmer = EventSkimmer()
        self._transport: asyncio.Transport | None = None
        self.gone = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if any(event.type == "audio-chunk" for event in self._skimmer.feed(data)) and self._transport:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.gone.set()


async def measure_disconnect(setup: BenchSetup) -> SectionResult:
    """Processor time still spent on a client that disconnected in mid-sentence (cancellation)."""
    async with run_servers(setup, setup.peer, setup.own) as servers:
        wasted: dict[str, list[float]] = {server.name: [] for server in servers}
        for number in range(setup.rounds):
            setup.report_progress(f"disconnect: round {number + 1} of {setup.rounds}")
            text = vary_text(TEXTS["llm"], setup.texts.take(1))
            for server in servers if number % 2 == 0 else reversed(servers):
                wasted[server.name].append(await _computed_after_leaving(server, text))
        price = await _cost_of_audio(setup, servers[1])
    theirs, ours = wasted.values()
    step = _LONGEST_STEP * price + _TEARDOWN
    return SectionResult(
        "disconnect",
        "A client requests 400 words and disconnects at the first audio event. Computed after that: "
        "processor time of the server, all cores, until it is idle. A second of audio costs "
        f"{format_seconds(price)}; the longest step makes {_LONGEST_STEP:g} s of it, and "
        f"{format_seconds(_TEARDOWN)} are allowed for closing.",
        (compare_medians("computed for a disconnected client", theirs, ours, at_most=None, limit=step),),
        {"wasted": wasted, "price": price},
    )


async def _computed_after_leaving(server: MeasuredServer, text: str) -> float:
    _, client = await open_wyoming_connection(server.uri, lambda: _DisconnectingClient(text))
    async with asyncio.timeout(60.0):
        await client.gone.wait()
    before = server.processor_time()
    await server.wait_until_idle(0.5)
    return server.processor_time() - before


async def _cost_of_audio(setup: BenchSetup, server: MeasuredServer) -> float:
    """Processor time per second of audio."""
    before = server.processor_time()
    results = require_spoken(server, await run_load(setup, server, LoadCase("paragraph", Input.PLAIN, 1)))
    return (server.processor_time() - before) / results.heard[0].audio


async def measure_overload(setup: BenchSetup) -> SectionResult:
    """Twenty clients for four streams: each is served, or refused as `busy` (admission control)."""
    flags = ("--max-streams", str(_STREAMS))
    async with run_servers(setup, add_flags(setup.own, "limited", flags)) as (server,):
        setup.report_progress("crowd")
        results = await run_load(setup, server, LoadCase("paragraph", Input.PLAIN, _CLIENTS))
    ended = Counter(f"{report.outcome} {report.error}".strip() for report in results.heard)
    proper = ended[str(RequestOutcome.SPOKEN)] + ended[f"{RequestOutcome.REFUSED} busy"]
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in ended.most_common())
    return SectionResult(
        "crowd",
        f"{_CLIENTS} listeners request the paragraph at the same moment, with `--max-streams {_STREAMS}`.",
        (
            ComparisonRow(
                f"{_CLIENTS} clients, {_STREAMS} streams",
                "",
                outcomes,
                None,
                "all spoken or busy",
                proper == _CLIENTS,
            ),
        ),
        {"wall": results.wall, "listeners": [report_to_json(report) for report in results.heard]},
    )
