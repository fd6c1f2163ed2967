"""The byte stream of one Wyoming client of the server: a socket, a pipe or a file.

asyncio's streams carry sockets and pipes. Standard input and output may also be regular files or
/dev/null, which no event loop can wait for: those are read and written by blocking calls, on the
worker that `run_blocking` gives.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import BinaryIO, NoReturn, Protocol, cast

from wyoming_tts.blocking import RunBlocking

READ_SIZE = 64 * 1024
LINGER = 1.0
"""Seconds in which what a refused client still sends is thrown away. Closing over unread bytes
would reset the connection, and the reset can overtake the error that the client is to read."""


class WyomingClientGone(Exception):
    """The client is not there any more, or does not read: nothing more can be told to it."""


class ByteReader(Protocol):
    """The receiving half of a wire: asyncio.StreamReader, or a file."""

    async def read(self, n: int, /) -> bytes:
        """Up to n bytes; none at the end."""
        ...


class ByteWriter(Protocol):
    """The sending half of a wire: asyncio.StreamWriter, or a file."""

    def write(self, data: bytes, /) -> None:
        """Take bytes to be sent."""
        ...

    async def drain(self) -> None:
        """Wait while too many bytes are held."""
        ...

    def can_write_eof(self) -> bool:
        """Whether the other side can be told that nothing more comes."""
        ...

    def write_eof(self) -> None:
        """Tell it so, after what was written."""
        ...

    def is_closing(self) -> bool:
        """Whether writing is of no use any more."""
        ...

    def close(self) -> None:
        """Close after what was written has gone out."""
        ...

    async def wait_closed(self) -> None:
        """Wait until it is closed, by either side."""
        ...


class WyomingStream:
    """Events to a client and bytes from it. It owns one task, which ends as it is closed."""

    def __init__(
        self,
        reader: ByteReader,
        writer: ByteWriter,
        *,
        abort: Callable[[], None],
        peer: str,
        send_timeout: float,
    ) -> None:
        """Abort closes the writer at once; send_timeout is in seconds."""
        self.peer = peer
        """Who is at the other end, for logs."""
        self._reader = reader
        self._writer = writer
        self._abort = abort
        self._send_timeout = send_timeout
        self._closed = asyncio.ensure_future(writer.wait_closed())

    @property
    def is_gone(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._closed.done() or self._writer.is_closing()

    async def receive(self) -> bytes:
        """What came, or nothing once the client has sent its last byte.

        Raises:
            Gone: the connection broke.
        """
        try:
            return await self._reader.read(READ_SIZE)
        except OSError as error:
            raise WyomingClientGone(str(error)) from error

    async def send(self, event: bytes) -> None:
        """Send an event; wait while the client has not taken enough of those before.

        Raises:
            Gone: the connection broke, or the client took nothing for too long.
        """
        if self.is_gone:
            raise WyomingClientGone("The connection is closed.")
        self._writer.write(event)
        try:
            async with asyncio.timeout(self._send_timeout):
                await self._writer.drain()
        except TimeoutError:
            self._abort()
            raise WyomingClientGone(f"It has read nothing for {self._send_timeout:g} s.") from None
        except OSError as error:
            raise WyomingClientGone(str(error)) from error
        # drain does not wait while there is room: without this a fast engine with a fast client
        # would keep everybody else from the loop.
        await asyncio.sleep(0)

    async def lost(self) -> NoReturn:
        """Wait until the connection breaks, then raise Gone."""
        await asyncio.wait({self._closed})
        raise WyomingClientGone("The connection was lost.")

    async def close(self, *, linger: float = 0.0) -> None:
        """Close when everything has gone out, after throwing away input for `linger` seconds."""
        if linger and not self.is_gone:
            await self._discard_input(linger)
        self._writer.close()
        await asyncio.wait({self._closed}, timeout=self._send_timeout)

    async def abort(self) -> None:
        """Close without regard to what has not gone out. A closed wire stays as it is."""
        self._abort()
        await asyncio.wait({self._closed})
        # How it broke has met whoever was reading or writing.
        self._closed.exception()

    async def _discard_input(self, seconds: float) -> None:
        with contextlib.suppress(OSError):  # TimeoutError is one
            async with asyncio.timeout(seconds):
                if self._writer.can_write_eof():
                    self._writer.write_eof()
                while await self._reader.read(READ_SIZE):
                    pass


class _FileReader:
    def __init__(self, descriptor: int, run_blocking: RunBlocking) -> None:
        self._descriptor = descriptor
        self._run_blocking = run_blocking

    async def read(self, n: int, /) -> bytes:
        return await self._run_blocking(partial(os.read, self._descriptor, n))


class _FileWriter:
    def __init__(self, descriptor: int, run_blocking: RunBlocking) -> None:
        self._descriptor = descriptor
        self._run_blocking = run_blocking
        self._held = bytearray()
        self._writing = asyncio.Lock()
        self._closed = asyncio.Event()

    def write(self, data: bytes, /) -> None:
        self._held += data

    async def drain(self) -> None:
        async with self._writing:
            held, self._held = bytes(self._held), bytearray()
            await self._run_blocking(partial(_write_all, self._descriptor, held))

    def can_write_eof(self) -> bool:
        return False

    def write_eof(self) -> None:
        raise NotImplementedError("A file ends where its writer stops.")

    def is_closing(self) -> bool:
        return self._closed.is_set()

    def close(self) -> None:
        self._closed.set()

    async def wait_closed(self) -> None:
        await self._closed.wait()


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


@contextlib.asynccontextmanager
async def open_stdio(
    *, stdin: int = 0, stdout: int = 1, run_blocking: RunBlocking, write_buffer: int, send_timeout: float
) -> AsyncIterator[WyomingStream]:
    """The wire of a process that is driven through two of its file descriptors.

    They stay open, and block as before, when it is left.

    Raises:
        OSError: a descriptor is closed.
    """
    async with contextlib.AsyncExitStack() as opened:
        reader = await _open_reader(stdin, run_blocking, opened)
        writer, abort = await _open_writer(stdout, run_blocking, write_buffer, opened)
        wire = WyomingStream(reader, writer, abort=abort, peer="stdio", send_timeout=send_timeout)
        try:
            yield wire
        finally:
            await wire.abort()


async def _open_reader(
    descriptor: int, run_blocking: RunBlocking, opened: contextlib.AsyncExitStack
) -> ByteReader:
    if not _can_be_awaited(descriptor):
        return _FileReader(descriptor, run_blocking)
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), _duplicate(descriptor, "rb", opened)
    )
    opened.push_async_callback(_close, transport)
    return reader


async def _open_writer(
    descriptor: int, run_blocking: RunBlocking, write_buffer: int, opened: contextlib.AsyncExitStack
) -> tuple[ByteWriter, Callable[[], None]]:
    if not _can_be_awaited(descriptor):
        file = _FileWriter(descriptor, run_blocking)
        return file, file.close
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.connect_write_pipe(
        lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader()), _duplicate(descriptor, "wb", opened)
    )
    transport.set_write_buffer_limits(high=write_buffer)

    def abort() -> None:
        # asyncio's pipes, unlike its sockets, cannot be aborted once they are closed.
        (transport.abort if transport.get_write_buffer_size() else transport.close)()

    return asyncio.StreamWriter(transport, protocol, None, loop), abort


async def _close(transport: asyncio.ReadTransport) -> None:
    transport.close()
    await asyncio.sleep(0)  # it closes the file in the loop's next turn


def _can_be_awaited(descriptor: int) -> bool:
    mode = os.fstat(descriptor).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(descriptor)


def _duplicate(descriptor: int, mode: str, opened: contextlib.AsyncExitStack) -> BinaryIO:
    # asyncio makes it non-blocking, and that is shared with the original.
    opened.callback(os.set_blocking, descriptor, os.get_blocking(descriptor))
    return cast(BinaryIO, os.fdopen(os.dup(descriptor), mode, buffering=0))
