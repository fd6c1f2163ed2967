"""A server for the demonstrations of voice agents: on loopback, with a voice whose audio comes late."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import re
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

LATE_VOICE = "late"
LATE_SECONDS = 5.0
"""After which the audio of that voice comes: longer than Pipecat waits."""


class CheckFailed(Exception):
    """A check failed."""


def hold(holds: bool, what: str, got: object = None) -> None:  # noqa: FBT001 -- the condition itself
    """Print that something holds; raise CheckFailed if it does not."""
    if not holds:
        raise CheckFailed(f"{what}: it does not hold" + (f": {got}" if got is not None else "."))
    print(f"ok     {what}", flush=True)


def arguments(description: str | None) -> argparse.Namespace:
    """Parse the arguments that all demonstrations have."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--server", required=True, help="the program wyoming-tts")
    parser.add_argument("--voice", default="espeak-en-us")
    parser.add_argument("--data-dir", default=None, help="directory of the voice")
    return parser.parse_args()


@dataclass(frozen=True)
class AgentServer:
    """A running server."""

    port: int

    @property
    def api(self) -> str:
        """What OpenAI's clients take as `base_url`."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def socket(self) -> str:
        """The address of the WebSocket."""
        return f"ws://127.0.0.1:{self.port}/v1/audio/speech/stream/ws"

    async def streams(self) -> int:
        """How many utterances are spoken or wait, as `/status` tells."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(b"GET /status HTTP/1.0\r\nHost: localhost\r\n\r\n")
        answer = (await reader.read()).partition(b"\r\n\r\n")[2]
        writer.close()
        load: dict[str, Any] = json.loads(answer)["load"]
        return int(load["streams"]) + int(load["queue"])

    async def is_idle(self, within: float) -> bool:
        """Whether it speaks nothing any more, after at most so many seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                while await self.streams():  # noqa: ASYNC110 -- of another process
                    await asyncio.sleep(0.02)
                return True
        return False


@contextlib.asynccontextmanager
async def running_server(asked: argparse.Namespace, *options: str) -> AsyncIterator[AgentServer]:
    """Run a server on a free port of loopback, which has a further server's voice that is late."""
    voices = ("--data-dir", asked.data_dir) if asked.data_dir else ()
    async with _late_server() as late:
        server = await asyncio.create_subprocess_exec(
            *(
                asked.server,
                "serve",
                "--uri",
                "tcp://127.0.0.1:0",
                "--http-host",
                "127.0.0.1",
                "--http-port",
                "0",
            ),
            *("--no-zeroconf", "--no-ui", "--no-metrics", "--offline", "--voice", asked.voice, *voices),
            *("--remote", late, "--remote-voices", f"{LATE_VOICE}=en"),
            *options,
            stdin=DEVNULL,
            stderr=PIPE,
        )
        try:
            async with asyncio.timeout(120):
                port = await _http_port(server)
            reading = asyncio.create_task(_drain(server))
            yield AgentServer(port)
            reading.cancel()
        finally:
            server.terminate()
            await server.wait()


async def _http_port(server: asyncio.subprocess.Process) -> int:
    assert server.stderr is not None
    port, is_ready = 0, False
    while line := (await server.stderr.readline()).decode():
        if found := re.search(r"HTTP API listens on http://\S+:(\d+)", line):
            port = int(found[1])
        is_ready = is_ready or ": Ready: " in line
        if port and is_ready:
            return port
    raise CheckFailed("The server ended before it listened.")


async def _drain(server: asyncio.subprocess.Process) -> None:
    assert server.stderr is not None
    while await server.stderr.readline():
        pass


@contextlib.asynccontextmanager
async def _late_server() -> AsyncIterator[str]:
    """Run a speech server whose audio, a second of a tone, comes late; gives its address."""
    server = await asyncio.start_server(_answer_late, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def _answer_late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        status, body = "404 Not Found", b"{}"  # it lists no voices
        if head.startswith("POST"):
            await asyncio.sleep(LATE_SECONDS)
            status, body = "200 OK", (b"\x00\x10" * 20 + b"\x00\xf0" * 20) * 600
        writer.write(
            f"HTTP/1.1 {status}\r\nContent-Type: audio/pcm\r\nContent-Length: {len(body)}\r\n"
            "Connection: close\r\n\r\n".encode()
        )
        writer.write(body)
        await writer.drain()
        writer.close()
