"""The Wyoming server: TCP, Unix and stdio listeners, connection limits and graceful shutdown.

Each client is a `WyomingConnection` in a task that the server owns. Shutdown happens in steps: new clients
are refused, playing utterances may finish, the rest end with an error, and whatever still hangs is aborted.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import socket
import stat
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from wyoming_tts.blocking import RunBlocking
from wyoming_tts.errors import ShuttingDown, SpeechError
from wyoming_tts.transports.accepting import Acceptor
from wyoming_tts.transports.connection_limits import ConnectionSlot
from wyoming_tts.transports.damped_log import DampedLog
from wyoming_tts.transports.input_pace import RECEIVE_BUFFER, InputPace, LoopBudget
from wyoming_tts.transports.interfaces import AudioStream, SpeechSynthesis
from wyoming_tts.transports.listening import BACKLOG, ListenAddress, bind_tcp
from wyoming_tts.transports.wyoming.connection import (
    Describe,
    WyomingConnection,
    WyomingOptions,
)
from wyoming_tts.transports.wyoming.protocol import error_event
from wyoming_tts.transports.wyoming.stream import WyomingStream, open_stdio
from wyoming_tts.wyoming_framing import encode_event

__all__ = ["AudioStream", "ListenAddress", "SpeechSynthesis", "WyomingOptions", "WyomingServer"]

CLOSING_TIME = 0.8
"""Seconds to tell clients that the server is shutting down; shutdown as a whole may take one second."""
SEND_BUFFER = 128 * 1024
"""Bytes in the kernel's send buffer of a client. By default it grows to megabytes: minutes of speech that are
wasted if the client disconnects."""

_LOGGER = logging.getLogger(__name__)


class WyomingServer:
    """Serves Wyoming clients on any number of addresses with one synthesizer.

    Leaving `async with` stops it at once; `stop` can give playing utterances time to finish.
    """

    def __init__(
        self,
        synthesizer: SpeechSynthesis,
        *,
        describe: Describe,
        run_blocking: RunBlocking,
        options: WyomingOptions | None = None,
        allow: Callable[[str], bool] = lambda _: True,
        input_budget: LoopBudget | None = None,
    ) -> None:
        """Create a server that does not listen yet.

        Args:
            synthesizer: Speaks the utterances.
            describe: Returns the info event.
            run_blocking: Runs blocking calls: stdio on files, name resolution, the socket file.
            options: Limits and timeouts.
            allow: Whether an IP address may connect, called for each connection.
            input_budget: What reading from all clients may cost; None for one of this server's own.
        """
        self._synthesizer = synthesizer
        self._describe = describe
        self._options = options or WyomingOptions()
        self._malformed = DampedLog(_LOGGER)
        self._run_blocking = run_blocking
        self._acceptor = Acceptor(
            self._options.connections, serve=self._accept, refusal=_encode_refusal, allow=allow
        )
        self._socket_files: dict[Path, int] = {}
        """Inodes by path: a file that another process has put in its place must not be removed."""
        self._connections: dict[asyncio.Task[None], WyomingConnection] = {}
        self._is_stopping = False
        self._finished = asyncio.Event()
        self._input_budget = input_budget or LoopBudget()

    def __repr__(self) -> str:
        return f"<WyomingServer bound={self.bound} connections={self.connections}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def bound(self) -> list[tuple[str, int]]:
        """The (host, port) of each listening TCP socket."""
        names = [sock.getsockname() for sock in self._acceptor.sockets]
        return [(name[0], name[1]) for name in names if isinstance(name, tuple)]

    @property
    def connections(self) -> int:
        """The number of connected clients, including those being rejected."""
        return len(self._connections) + self._acceptor.refusing

    async def start(self, uri: str) -> None:
        """Listen on an address; `stdio://` starts to serve its one client.

        Raises:
            ValueError: the address is malformed.
            OSError: it cannot be listened on, for example because another process does.
        """
        address = ListenAddress.parse(uri)
        if address.scheme == "stdio":
            await self._start_stdio()
        elif address.scheme == "unix":
            await self._start_unix(address.path)
        else:
            await self.serve_sockets(await self._run_blocking(partial(bind_tcp, address)))

    async def wait_finished(self) -> None:
        """Wait until the server is stopped, or the client on stdio has been served."""
        await self._finished.wait()

    async def stop(self, grace: float = 0.0) -> None:
        """Stop listening, give utterances `grace` seconds to finish, end the rest; nothing stays open."""
        self._is_stopping = True
        for connection in self._connections.values():
            connection.drain()
        await self._acceptor.close()
        await self._wait_for_connections(grace)
        for connection in self._connections.values():
            connection.end(
                ShuttingDown("The server is shutting down.", hint="Try again once it is running again.")
            )
        await self._wait_for_connections(CLOSING_TIME)
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._remove_socket_files()
        self._finished.set()

    async def _wait_for_connections(self, timeout: float) -> None:  # noqa: ASYNC109  # a timeout is not an error here
        if self._connections:
            await asyncio.wait(self._connections, timeout=timeout)

    async def _remove_socket_files(self) -> None:
        for path, inode in self._socket_files.items():
            await self._run_blocking(partial(_remove_socket_file, path, inode))
        self._socket_files.clear()

    async def serve_sockets(self, sockets: Iterable[socket.socket]) -> None:
        """Serve on TCP sockets that are listening already."""
        self._acceptor.listen(sockets)

    async def _start_unix(self, path: Path) -> None:
        sock, inode = await self._run_blocking(partial(_bind_socket_file, path))
        self._socket_files[path] = inode
        self._acceptor.listen([sock])

    async def _start_stdio(self) -> None:
        opened = contextlib.AsyncExitStack()
        stream = await opened.enter_async_context(
            open_stdio(
                run_blocking=self._run_blocking,
                write_buffer=self._options.write_buffer,
                send_timeout=self._options.send_timeout,
            )
        )
        self._serve(stream, opened=opened)

    async def _accept(self, sock: socket.socket, slot: ConnectionSlot) -> None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader, partial(self._on_connected, slot))
        await asyncio.get_running_loop().connect_accepted_socket(lambda: protocol, sock)

    def _on_connected(
        self, slot: ConnectionSlot, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if self._is_stopping:
            writer.transport.abort()
            return
        writer.transport.set_write_buffer_limits(high=self._options.write_buffer)
        stream = WyomingStream(
            reader,
            writer,
            abort=writer.transport.abort,
            peer=_name_of_peer(writer),
            send_timeout=self._options.send_timeout,
        )
        connection = self._serve(stream, slot.peer or "")
        slot.idle_since, slot.abort = connection.idle_since, writer.transport.abort

    def _serve(
        self, stream: WyomingStream, address: str = "", opened: contextlib.AsyncExitStack | None = None
    ) -> WyomingConnection:
        connection = WyomingConnection(
            stream,
            synthesizer=self._synthesizer,
            describe=self._describe,
            options=self._options,
            malformed=self._malformed,
            address=address,
            pace=InputPace(self._input_budget),
        )
        task = asyncio.create_task(_run(connection, opened), name=f"wyoming {stream.peer}")
        self._connections[task] = connection
        task.add_done_callback(self._connections.pop)
        if opened is not None:
            task.add_done_callback(lambda _: self._finished.set())
        return connection


async def _run(connection: WyomingConnection, opened: contextlib.AsyncExitStack | None) -> None:
    async with opened or contextlib.AsyncExitStack():
        await connection.run()


def _encode_refusal(reason: SpeechError) -> bytes:
    return encode_event(error_event(reason))


def _name_of_peer(writer: asyncio.StreamWriter) -> str:
    name = writer.get_extra_info("peername")
    # A Unix socket has no address, and a client that disconnected at once has none any more.
    return f"{name[0]}:{name[1]}" if isinstance(name, tuple) else "unix"


def _bind_socket_file(path: Path) -> tuple[socket.socket, int]:
    _remove_stale_socket_file(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(str(path))
        # Connecting needs write permission: grant it to the group before the socket listens.
        path.chmod(0o660)
        sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock, path.stat().st_ino


def _remove_stale_socket_file(path: Path) -> None:
    """Remove a socket file that a process left behind without cleaning up."""
    with contextlib.suppress(FileNotFoundError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            return
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE), str(path))


def _remove_socket_file(path: Path, inode: int) -> None:
    with contextlib.suppress(FileNotFoundError):
        if path.lstat().st_ino == inode:
            path.unlink()
