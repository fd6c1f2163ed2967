"""A loop that accepts connections on loopback for scripted servers, and tells what their scripts raised."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

Serve: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def accepting(serve: Serve, *, unix_path: Path | None = None) -> AsyncIterator[int]:
    """Serve each connection, and close it; the value is the port on 127.0.0.1, or 0 on a unix socket.

    Leaving waits for all connections, and raises what was raised while serving them.
    """
    served: list[asyncio.Task[None]] = []

    async def serve_and_close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(asyncio.create_task(serve_and_close(reader, writer)))

    if unix_path is None:
        server = await asyncio.start_server(accept, "127.0.0.1", 0)
    else:
        server = await asyncio.start_unix_server(accept, unix_path)
    try:
        yield 0 if unix_path else server.sockets[0].getsockname()[1]
        await asyncio.gather(*served)
    finally:
        server.close()
        for task in served:
            task.cancel()
        await asyncio.gather(*served, return_exceptions=True)
