"""A real Redis server on a free loopback port, and one that answers as a test wants."""

from __future__ import annotations

import asyncio
import os
import shutil
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from tests.scenarios.ports import free_port

REDIS_SERVER = shutil.which("redis-server", path=f"/usr/sbin:/usr/bin:{os.environ.get('PATH', '')}")
needs_redis = pytest.mark.skipif(REDIS_SERVER is None, reason="redis-server is not installed")


class RedisServer:
    """The real one, whose process may be stopped, killed and started again."""

    def __init__(self, process: Process, port: int) -> None:
        self.process = process
        self.port = port

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    async def ask(self, *words: str | bytes) -> bytes:
        """Send a command without a password; return the beginning of what is answered."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            encoded = [word.encode() if isinstance(word, str) else word for word in words]
            writer.write(b"*%d\r\n" % len(encoded))
            writer.writelines(b"$%d\r\n%b\r\n" % (len(word), word) for word in encoded)
            return await reader.read(65_536)
        finally:
            writer.close()

    async def kill(self) -> None:
        """Kill it, as when its machine dies."""
        with suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()


@asynccontextmanager
async def redis_server(*options: str, port: int | None = None) -> AsyncIterator[RedisServer]:
    """Run a server that keeps nothing on disk until the block ends."""
    assert REDIS_SERVER is not None
    port = port or free_port()
    process = await asyncio.create_subprocess_exec(
        *(REDIS_SERVER, "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no"),
        *("--dir", "/tmp", *options),
        stdout=PIPE,
        stderr=DEVNULL,
    )
    server = RedisServer(process, port)
    try:
        assert process.stdout is not None
        while b"Ready to accept connections" not in (line := await process.stdout.readline()):
            assert line, "redis-server ended before it was ready"
        yield server
    finally:
        await server.kill()


class FakeRedisServer:
    """A server of which a test decides what it answers to each command, None for nothing at all."""

    def __init__(self, answer: Callable[[list[bytes]], bytes | None]) -> None:
        self.answer = answer
        self.received: list[list[bytes]] = []
        self.port = 0

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError, ValueError):
            while True:
                count = int((await reader.readuntil(b"\r\n"))[1:])
                command = [await _read_word(reader) for _ in range(count)]
                self.received.append(command)
                if (answer := self.answer(command)) is not None:
                    writer.write(answer)
                    await writer.drain()
        writer.close()


@asynccontextmanager
async def fake_redis_server(answer: Callable[[list[bytes]], bytes | None]) -> AsyncIterator[FakeRedisServer]:
    """Run a fake server on a free loopback port until the block ends."""
    fake = FakeRedisServer(answer)
    server = await asyncio.start_server(fake.serve, "127.0.0.1", 0, limit=2**22)
    fake.port = server.sockets[0].getsockname()[1]
    try:
        yield fake
    finally:
        server.close()


async def _read_word(reader: asyncio.StreamReader) -> bytes:
    size = int((await reader.readuntil(b"\r\n"))[1:])
    return (await reader.readexactly(size + 2))[:-2]


async def until(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds that other tasks or processes bring about."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - a cache sends no notification
            await asyncio.sleep(0.005)


def server_options_with_tls(certificate: Path, key: Path, port: int) -> tuple[str, ...]:
    """Options for TLS alone, on this port."""
    return (
        *("--port", "0", "--tls-port", str(port), "--tls-cert-file", str(certificate)),
        *("--tls-key-file", str(key), "--tls-auth-clients", "no"),
    )
