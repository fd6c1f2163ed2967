"""The byte stream of one Wyoming client: a socket, or standard input and output as pipes or files.

asyncio's streams handle sockets and pipes. Standard input and output may also be regular files or /dev/null,
which no event loop can wait for: those are read and written by blocking calls, on the worker that
`run_blocking` provides.
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
from wyoming_tts.transports.accepting import DISCARD_INTERVAL
from wyoming_tts.transports.backpressure import ClientStalled, send_under_backpressure
from wyoming_tts.wyoming_framing import ByteReader, ByteWriter

READ_SIZE = 64 * 1024


class WyomingClientGone(Exception):
    """The Wyoming client has disconnected or does not read: nothing more can be sent to it."""


class ClosableWriter(ByteWriter, Protocol):
    """The sending half of a stream: asyncio.StreamWriter, or a file."""

    def can_write_eof(self) -> bool:
        """Whether the writing end can be closed on its own."""
        ...

    def write_eof(self) -> None:
        """Close the writing end after the buffered bytes."""
        ...

    def is_closing(self) -> bool:
        """Whether it is closing or closed."""
        ...

    def close(self) -> None:
        """Close after the buffered bytes have gone out."""
        ...

    async def wait_closed(self) -> None:
        """Wait until either side has closed it."""
        ...


class WyomingStream:
    """Encoded events to a client and bytes from it, with a send timeout. Its one task ends with it."""

    def __init__(
        self,
        reader: ByteReader,
        writer: ClosableWriter,
        *,
        abort: Callable[[], None],
        peer: str,
        send_timeout: float,
    ) -> None:
        """Wrap a reader and a writer; `abort` closes the writer at once, `send_timeout` is in seconds."""
        self.peer = peer
        """The client's name in logs."""
        self._reader = reader
        self._writer = writer
        self._abort = abort
        self._send_timeout = send_timeout
        self._closed = asyncio.ensure_future(writer.wait_closed())

    @property
    def is_gone(self) -> bool:
        """Whether the connection is lost or closing: nothing more can be sent."""
        return self._closed.done() or self._writer.is_closing()

    async def receive(self) -> bytes:
        """Return received bytes; none once the client has sent its last byte.

        Raises:
            WyomingClientGone: the connection broke.
        """
        try:
            return await self._reader.read(READ_SIZE)
        except OSError as error:
            raise WyomingClientGone(str(error)) from error

    async def send(self, event: bytes) -> None:
        """Send an event; waits under backpressure, until the client has read enough of the earlier ones.

        Raises:
            WyomingClientGone: the connection broke, or the client read nothing for `send_timeout`.
        """
        if self.is_gone:
            raise WyomingClientGone("The connection is closed.")
        self._writer.write(event)
        try:
            await send_under_backpressure(self._writer.drain(), send_timeout=self._send_timeout)
        except ClientStalled as error:
            self._abort()
            raise WyomingClientGone(str(error)) from None
        except OSError as error:
            raise WyomingClientGone(str(error)) from error

    async def wait_lost(self) -> NoReturn:
        """Wait until the connection is lost, then raise `WyomingClientGone`."""
        await asyncio.wait({self._closed})
        raise WyomingClientGone("The connection was lost.")

    async def close(self, *, linger: float = 0.0) -> None:
        """Close once everything has gone out, after discarding input for `linger` seconds."""
        if linger and not self.is_gone:
            await self._discard_input(linger)
        self._writer.close()
        await asyncio.wait({self._closed}, timeout=self._send_timeout)

    async def abort(self) -> None:
        """Close at once and drop what is still buffered. A closed stream stays as it is."""
        self._abort()
        await asyncio.wait({self._closed})
        # Reading and writing have raised the error already.
        self._closed.exception()

    async def _discard_input(self, seconds: float) -> None:
        with contextlib.suppress(OSError):  # TimeoutError is one
            async with asyncio.timeout(seconds):
                if self._writer.can_write_eof():
                    self._writer.write_eof()
                while await self._reader.read(READ_SIZE):  # noqa: ASYNC110  # it paces, and waits for nothing
                    await asyncio.sleep(DISCARD_INTERVAL)


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
        self._buffer = bytearray()
        self._writing = asyncio.Lock()
        self._closed = asyncio.Event()

    def write(self, data: bytes, /) -> None:
        self._buffer += data

    async def drain(self) -> None:
        async with self._writing:
            data, self._buffer = bytes(self._buffer), bytearray()
            await self._run_blocking(partial(_write_all, self._descriptor, data))

    def can_write_eof(self) -> bool:
        return False

    def write_eof(self) -> None:
        raise NotImplementedError("A file has no end to close separately.")

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
    """Open the stream of a client on two file descriptors of this process.

    On leaving, they stay open and are blocking or not as before.

    Raises:
        OSError: a descriptor is closed.
    """
    async with contextlib.AsyncExitStack() as opened:
        reader = await _open_reader(stdin, run_blocking, opened)
        writer, abort = await _open_writer(stdout, run_blocking, write_buffer, opened)
        stream = WyomingStream(reader, writer, abort=abort, peer="stdio", send_timeout=send_timeout)
        try:
            yield stream
        finally:
            await stream.abort()


async def _open_reader(
    descriptor: int, run_blocking: RunBlocking, opened: contextlib.AsyncExitStack
) -> ByteReader:
    if not _is_pollable(descriptor):
        return _FileReader(descriptor, run_blocking)
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), _duplicate(descriptor, "rb", opened)
    )
    opened.push_async_callback(_close, transport)
    return reader


async def _open_writer(
    descriptor: int, run_blocking: RunBlocking, write_buffer: int, opened: contextlib.AsyncExitStack
) -> tuple[ClosableWriter, Callable[[], None]]:
    if not _is_pollable(descriptor):
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
    await asyncio.sleep(0)  # the file is closed in the loop's next iteration


def _is_pollable(descriptor: int) -> bool:
    mode = os.fstat(descriptor).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(descriptor)


def _duplicate(descriptor: int, mode: str, opened: contextlib.AsyncExitStack) -> BinaryIO:
    # asyncio makes it non-blocking, a flag that it shares with the original descriptor.
    opened.callback(os.set_blocking, descriptor, os.get_blocking(descriptor))
    return cast(BinaryIO, os.fdopen(os.dup(descriptor), mode, buffering=0))
