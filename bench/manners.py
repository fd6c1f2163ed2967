"""What this server owes to everybody when one client misbehaves, or when too many come."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from wyoming.tts import Synthesize

from bench.outcome import Outcome, Row, compared, megabytes, seconds
from bench.sections import SENTENCE, Setup, load, raw, raw_heard, servers, spoken, ttfas
from bench.servers import Server, with_flags
from wyoming_tts.bench.load_generator import run_round
from wyoming_tts.bench.options import BenchOptions, Input
from wyoming_tts.bench.percentiles import median
from wyoming_tts.bench.results import LoadCase, LoadRound
from wyoming_tts.bench.targets.listener import RequestOutcome
from wyoming_tts.bench.targets.skimmer import EventSkimmer, open_wyoming_connection
from wyoming_tts.bench.texts import TEXTS, vary_text
from wyoming_tts.wyoming_framing import encode_event

_UNREAD_SECONDS = 600.0
_GROWTH = 30e6
_SLOWED = 1.2
_WATCHED = 0.1
_LONGEST_STEP = 2.0
"""Seconds of audio in the largest piece that is computed in one go."""
_TEARDOWN = 0.05
"""Seconds of computing allowed for closing a connection."""
_CROWD = 20
_STREAMS = 4


async def unread(setup: Setup) -> Outcome:
    """A client that asks for ten minutes of speech and never reads."""
    async with servers(setup, setup.own) as (server,):
        fresh = server.memory().resident
        # What two at a time need for sentences like those that are not read is no growth.
        spoken(server, await load(setup, server, LoadCase("llm", Input.PLAIN, 2)))
        before = await _sentences(setup, server, "unread, without")
        held = server.memory().resident
        text = _text_of(_UNREAD_SECONDS, before)
        async with _never_reading(server.uri, text):
            watching = asyncio.create_task(_most_memory(server))
            during = await _sentences(setup, server, "unread, beside it")
            watching.cancel()
            most = await watching
    growth = most - held
    return Outcome(
        "unread",
        f"A client sends {len(text.split())} words, which make about ten minutes of audio, and never reads. "
        f"Memory is watched while {setup.rounds} sentences are spoken to somebody else; before, the server "
        "has spoken such a text to two at a time.",
        (
            Row(
                "memory for a client that never reads",
                "",
                megabytes(growth),
                None,
                "under 30 MB",
                growth < _GROWTH,
            ),
            compared(
                "TTFA of another listener beside it (left: without it)",
                ttfas(before),
                ttfas(during),
                at_most=_SLOWED,
            ),
        ),
        raw({"without": before, "beside": during}) | {"fresh": fresh, "held": held, "most": most},
    )


async def _sentences(setup: Setup, server: Server, what: str) -> list[LoadRound]:
    given: list[LoadRound] = []
    options = BenchOptions(server.uri, voice=setup.voice, describe_every=0.0)
    for number in range(setup.rounds):
        setup.tell(f"{what}: {number + 1} of {setup.rounds}")
        # Not `load`, which waits for the server to rest: it may well compute for the other one.
        given.append(spoken(server, await run_round(server.uri, SENTENCE, options, setup.texts.take(1))))
        await asyncio.sleep(0.2)
    return given


def _text_of(duration: float, spoken_before: list[LoadRound]) -> str:
    """As many words as make that much audio at the pace of what was spoken."""
    audio = median(heard.audio for each in spoken_before for heard in each.heard) or 1.0
    words = math.ceil(duration / audio * len(TEXTS["sentence"].split()))
    times = math.ceil(words / len(TEXTS["llm"].split()))
    return " ".join(vary_text(TEXTS["llm"], number) for number in range(times))


class _Deaf(asyncio.Protocol):
    """Never reads, so that what is sent to it piles up in the sockets and then at the sender."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.pause_reading()


@asynccontextmanager
async def _never_reading(uri: str, text: str) -> AsyncIterator[None]:
    transport, _ = await open_wyoming_connection(uri, _Deaf)
    try:
        transport.write(encode_event(Synthesize(text).event()))
        yield
    finally:
        transport.abort()


async def _most_memory(server: Server) -> int:
    """The most it held until this was cancelled."""
    most = 0
    try:
        while True:
            most = max(most, server.memory().resident)
            await asyncio.sleep(_WATCHED)
    except asyncio.CancelledError:
        return max(most, server.memory().resident)


class _Leaver(asyncio.Protocol):
    """Hangs up as soon as the first audio has come."""

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


async def disconnect(setup: Setup) -> Outcome:
    """A client that hangs up in mid-sentence: how much is still computed for it."""
    async with servers(setup, setup.peer, setup.own) as among:
        wasted: dict[str, list[float]] = {server.name: [] for server in among}
        for number in range(setup.rounds):
            setup.tell(f"disconnect: round {number + 1} of {setup.rounds}")
            text = vary_text(TEXTS["llm"], setup.texts.take(1))
            for server in among if number % 2 == 0 else reversed(among):
                wasted[server.name].append(await _computed_after_leaving(server, text))
        price = await _price_of_audio(setup, among[1])
    theirs, ours = wasted.values()
    step = _LONGEST_STEP * price + _TEARDOWN
    return Outcome(
        "disconnect",
        "A client asks for 400 words and hangs up with the first audio event. Computed after that: processor "
        f"time of the server, all cores, until it rests. A second of audio costs {seconds(price)}; the "
        f"longest step makes {_LONGEST_STEP:g} s of it, and {seconds(_TEARDOWN)} are allowed for closing.",
        (compared("computed for a client that is gone", theirs, ours, at_most=None, limit=step),),
        {"wasted": wasted, "price": price},
    )


async def _computed_after_leaving(server: Server, text: str) -> float:
    _, leaver = await open_wyoming_connection(server.uri, lambda: _Leaver(text))
    async with asyncio.timeout(60.0):
        await leaver.gone.wait()
    before = server.processor_time()
    await server.until_idle(0.5)
    return server.processor_time() - before


async def _price_of_audio(setup: Setup, server: Server) -> float:
    """Processor time for a second of audio."""
    before = server.processor_time()
    given = spoken(server, await load(setup, server, LoadCase("paragraph", Input.PLAIN, 1)))
    return (server.processor_time() - before) / given.heard[0].audio


async def crowd(setup: Setup) -> Outcome:
    """Twenty clients for four streams: each is served or told that it is not."""
    flags = ("--max-streams", str(_STREAMS))
    async with servers(setup, with_flags(setup.own, "limited", flags)) as (server,):
        setup.tell("crowd")
        given = await load(setup, server, LoadCase("paragraph", Input.PLAIN, _CROWD))
    ended = Counter(f"{heard.outcome} {heard.error}".strip() for heard in given.heard)
    proper = ended[str(RequestOutcome.SPOKEN)] + ended[f"{RequestOutcome.REFUSED} busy"]
    told = ", ".join(f"{count} {how}" for how, count in ended.most_common())
    return Outcome(
        "crowd",
        f"{_CROWD} listeners ask for the paragraph in the same moment, with `--max-streams {_STREAMS}`.",
        (
            Row(
                f"{_CROWD} clients, {_STREAMS} streams",
                "",
                told,
                None,
                "all spoken or busy",
                proper == _CROWD,
            ),
        ),
        {"wall": given.wall, "listeners": [raw_heard(heard) for heard in given.heard]},
    )
