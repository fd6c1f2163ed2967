"""A server that speaks with the voices of others, over HTTP: what happens when one of those is killed."""

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
HUNG = 20.0


@dataclass
class Tally:
    """What became of requests; an outcome is the code of an error, or that it was spoken."""

    outcomes: list[str] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)

    def counted(self) -> Counter[str]:
        return Counter(self.outcomes)


@asynccontextmanager
async def upstream() -> AsyncIterator[tuple[RunningServer, int]]:
    """A server that has the voice, and the port of its HTTP API."""
    async with server_process("--http", "--http-port", "0", *SPEAKS_LETTERS) as server:
        found = await server.read_until(r"HTTP API listens on http://127\.0\.0\.1:(\d+)")
        yield server, int(found[1])


@asynccontextmanager
async def front(directory: Path, *ports: int) -> AsyncIterator[RunningServer]:
    """A server that has no voice but those of the others."""
    remotes = [word for port in ports for word in ("--remote", f"http://127.0.0.1:{port}")]
    flags = ("--data-dir", str(directory), "--voice", LETTERS.name, "--offline", "--auto-punctuation", "none")
    async with server_process(*remotes, *flags) as server:
        for _ in ports:
            await server.read_until(r"The remote server .* has \d+ voices")
        yield server


async def ask(server: RunningServer, tally: Tally, text: str = SENTENCE) -> None:
    """Have a text spoken to its end, on a connection of its own."""
    async with asyncio.timeout(HUNG), WyomingTestClient.connect("127.0.0.1", server.port) as client:
        await client.send(Event("synthesize", {"text": text, **VOICE}))
        events = await client.until("audio-stop")
    told = [str(event.data["code"]) for event in events if event.type == "error"]
    tally.outcomes.append(told[0] if told else "spoken")
    tally.lengths.append(len(pcm_of(events)))


async def keep_asking(server: RunningServer, tally: Tally, until: asyncio.Event, number: int) -> None:
    turn = 0
    while not until.is_set():
        turn += 1
        # Each says something else, so that nothing comes from the cache.
        await ask(server, tally, f"{SENTENCE} {number} {turn} abcdefghijklmnop {'q' * (number + turn)}.")


async def test_killing_one_upstream_server_fails_only_the_utterances_it_was_synthesizing(
    tmp_path: Path,
) -> None:
    async with asyncio.TaskGroup() as logs, AsyncExitStack() as stack:
        first, first_port = await stack.enter_async_context(upstream())
        second, second_port = await stack.enter_async_context(upstream())
        server = await stack.enter_async_context(front(tmp_path, first_port, second_port))
        for each in (first, second, server):
            logs.create_task(each.read_rest())  # or it would wait for somebody to read its log

        before, tally, enough = Tally(), Tally(), asyncio.Event()
        await asyncio.gather(*(keep_first(server, before, number) for number in range(CLIENTS)))
        assert before.counted() == {"spoken": CLIENTS}

        async with asyncio.TaskGroup() as tasks:
            for number in range(CLIENTS):
                tasks.create_task(keep_asking(server, tally, enough, number))
            await _until(tally, 2 * CLIENTS)
            first.process.kill()
            await _until(tally, len(tally.outcomes) + 3 * CLIENTS)
            enough.set()
        counted = tally.counted()
        print(f"killed in mid-load: {dict(counted)}")
        assert set(counted) <= {"spoken", "internal"}
        # At most those that were being said by the killed one.
        assert counted["internal"] <= CLIENTS
        assert counted["spoken"] >= 4 * CLIENTS

        after = Tally()
        await asyncio.gather(*(keep_first(server, after, 100 + number) for number in range(CLIENTS)))
        assert after.counted() == {"spoken": CLIENTS}

        second.process.kill()
        await second.process.wait()
        alone = Tally()
        await ask(server, alone, "Nobody else is left.")
        assert alone.counted() == {"spoken": 1}, "the embedded voice stands in"
        assert alone.lengths[0] > 0


async def keep_first(server: RunningServer, tally: Tally, number: int) -> None:
    await ask(server, tally, f"{SENTENCE} {'r' * (number + 1)}.")


async def _until(tally: Tally, count: int) -> None:
    async with asyncio.timeout(HUNG):
        while len(tally.outcomes) < count:  # noqa: ASYNC110 - the askers have nobody to tell
            await asyncio.sleep(0.01)
