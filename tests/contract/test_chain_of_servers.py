"""Failover between upstream servers over HTTP: what happens when one of them is killed under load."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from wyoming.event import Event

from tests.support.server_process import SPEAKS_LETTERS, RunningServer, server_process
from tests.support.tones import LETTERS
from tests.support.wyoming_client import WyomingTestClient, pcm_of

VOICE = {"voice": {"name": LETTERS.name}}
SENTENCE = "abcdefgh ijklmnop qrstuvwx yzabcdef."
CLIENTS = 8
TIMEOUT = 20.0


@dataclass
class Tally:
    """Outcomes of requests, each an error code or `spoken`, and the lengths of their audio."""

    outcomes: list[str] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)

    def count(self) -> Counter[str]:
        return Counter(self.outcomes)


@asynccontextmanager
async def upstream_server() -> AsyncIterator[tuple[RunningServer, int]]:
    """Run a server that has the voice installed; yields it with the port of its HTTP API."""
    async with server_process("--http", "--http-port", "0", *SPEAKS_LETTERS) as server:
        found = await server.read_until(r"HTTP API listens on http://127\.0\.0\.1:(\d+)")
        yield server, int(found[1])


@asynccontextmanager
async def relay_server(directory: Path, *ports: int) -> AsyncIterator[RunningServer]:
    """Run a server whose only voices are those of the upstream servers."""
    remotes = [word for port in ports for word in ("--remote", f"http://127.0.0.1:{port}")]
    flags = ("--data-dir", str(directory), "--voice", LETTERS.name, "--offline", "--auto-punctuation", "none")
    async with server_process(*remotes, *flags) as server:
        for _ in ports:
            await server.read_until(r"The remote server .* has \d+ voices")
        yield server


async def synthesize(server: RunningServer, tally: Tally, text: str = SENTENCE) -> None:
    """Synthesize a text completely on a new connection and record the outcome."""
    async with asyncio.timeout(TIMEOUT), WyomingTestClient.connect("127.0.0.1", server.port) as client:
        await client.send(Event("synthesize", {"text": text, **VOICE}))
        events = await client.until("audio-stop")
    error_codes = [str(event.data["code"]) for event in events if event.type == "error"]
    tally.outcomes.append(error_codes[0] if error_codes else "spoken")
    tally.lengths.append(len(pcm_of(events)))


async def synthesize_repeatedly(
    server: RunningServer, tally: Tally, until: asyncio.Event, number: int
) -> None:
    turn = 0
    while not until.is_set():
        turn += 1
        # Every text is different, so that nothing comes from the cache.
        await synthesize(
            server, tally, f"{SENTENCE} {number} {turn} abcdefghijklmnop {'q' * (number + turn)}."
        )


async def test_killing_one_upstream_server_fails_no_utterance(
    tmp_path: Path,
) -> None:
    async with asyncio.TaskGroup() as logs, AsyncExitStack() as stack:
        first, first_port = await stack.enter_async_context(upstream_server())
        second, second_port = await stack.enter_async_context(upstream_server())
        server = await stack.enter_async_context(relay_server(tmp_path, first_port, second_port))
        for each in (first, second, server):
            logs.create_task(each.read_rest())  # or the server blocks on a full log pipe

        before, tally, enough = Tally(), Tally(), asyncio.Event()
        await asyncio.gather(*(synthesize_unique_text(server, before, number) for number in range(CLIENTS)))
        assert before.count() == {"spoken": CLIENTS}

        async with asyncio.TaskGroup() as tasks:
            for number in range(CLIENTS):
                tasks.create_task(synthesize_repeatedly(server, tally, enough, number))
            await _until(tally, 2 * CLIENTS)
            first.process.kill()
            await _until(tally, len(tally.outcomes) + 3 * CLIENTS)
            enough.set()
        counted = tally.count()
        print(f"killed in mid-load: {dict(counted)}")
        assert set(counted) == {"spoken"}, "the other server goes on with what the killed one was speaking"
        assert counted["spoken"] >= 5 * CLIENTS

        after = Tally()
        await asyncio.gather(
            *(synthesize_unique_text(server, after, 100 + number) for number in range(CLIENTS))
        )
        assert after.count() == {"spoken": CLIENTS}

        second.process.kill()
        await second.process.wait()
        alone = Tally()
        await synthesize(server, alone, "Nobody else is left.")
        assert alone.count() == {"spoken": 1}, "the embedded voice stands in"
        assert alone.lengths[0] > 0


async def synthesize_unique_text(server: RunningServer, tally: Tally, number: int) -> None:
    await synthesize(server, tally, f"{SENTENCE} {'r' * (number + 1)}.")


async def _until(tally: Tally, count: int) -> None:
    async with asyncio.timeout(TIMEOUT):
        while len(tally.outcomes) < count:  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.01)
