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
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from wyoming_tts.blocking import RunBlocking
from wyoming_tts.errors import BadRequest, Busy, ShuttingDown, SpeechError
from wyoming_tts.transports.interfaces import AudioStream, SpeechSynthesis
from wyoming_tts.transports.listening import BACKLOG, ListenAddress, bind_tcp
from wyoming_tts.transports.wyoming.connection import (
    Describe,
    WyomingConnection,
    WyomingOptions,
)
from wyoming_tts.transports.wyoming.protocol import error_event
from wyoming_tts.transports.wyoming.stream import LINGER, WyomingClientGone, WyomingStream, open_stdio
from wyoming_tts.wyoming_framing import encode_event

__all__ = ["AudioStream", "ListenAddress", "SpeechSynthesis", "WyomingOptions", "WyomingServer"]

CLOSING_TIME = 0.8
"""Seconds to tell clients that the server is shutting down; shutdown as a whole may take one second."""
SEND_BUFFER = 128 * 1024
"""Bytes in the kernel's send buffer of a client. By default it grows to megabytes: minutes of speech that are
wasted if the client disconnects."""
MAX_REJECTING = 32
"""Rejected clients that are sent an error at the same time; any more are aborted without one."""
_LATER = "Try again later."

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
    ) -> None:
        """Create a server that does not listen yet.

        Args:
            synthesizer: Speaks the utterances.
            describe: Returns the info event.
            run_blocking: Runs blocking calls: stdio on files, name resolution, the socket file.
            options: Limits and timeouts.
            allow: Whether an IP address may connect, called for each connection.
        """
        self._synthesizer = synthesizer
        self._describe = describe
        self._options = options or WyomingOptions()
        self._run_blocking = run_blocking
        self._allow = allow
        self._listeners: list[asyncio.Server] = []
        self._socket_files: dict[Path, int] = {}
        """Inodes by path: a file that another process has put in its place must not be removed."""
        self._connections: dict[asyncio.Task[None], WyomingConnection] = {}
        self._rejecting: set[asyncio.Task[None]] = set()
        self._peers: Counter[str] = Counter()
        self._is_stopping = False
        self._finished = asyncio.Event()

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
        names = [sock.getsockname() for listener in self._listeners for sock in listener.sockets]
        return [(name[0], name[1]) for name in names if isinstance(name, tuple)]

    @property
    def connections(self) -> int:
        """The number of connected clients, including those being rejected."""
        return len(self._connections) + len(self._rejecting)

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
        for listener in self._listeners:
            listener.close()
        for connection in self._connections.values():
            connection.drain()
        await self._wait_for_connections(grace)
        for connection in self._connections.values():
            connection.end(
                ShuttingDown("The server is shutting down.", hint="Try again once it is running again.")
            )
        await self._wait_for_connections(CLOSING_TIME)
        tasks = [*self._connections, *self._rejecting]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._close_listeners()
        self._finished.set()

    async def _wait_for_connections(self, timeout: float) -> None:  # noqa: ASYNC109  # a timeout is not an error here
        if self._connections:
            await asyncio.wait(self._connections, timeout=timeout)

    async def _close_listeners(self) -> None:
        for listener in self._listeners:
            await listener.wait_closed()
        self._listeners.clear()
        for path, inode in self._socket_files.items():
            await self._run_blocking(partial(_remove_socket_file, path, inode))
        self._socket_files.clear()

    async def serve_sockets(self, sockets: Iterable[socket.socket]) -> None:
        """Serve on TCP sockets that are listening already."""
        for sock in sockets:
            self._listeners.append(await asyncio.start_server(self._accept, sock=sock, backlog=BACKLOG))

    async def _start_unix(self, path: Path) -> None:
        sock, inode = await self._run_blocking(partial(_bind_socket_file, path))
        self._socket_files[path] = inode
        self._listeners.append(await asyncio.start_unix_server(self._accept, sock=sock))

    async def _start_stdio(self) -> None:
        opened = contextlib.AsyncExitStack()
        stream = await opened.enter_async_context(
            open_stdio(
                run_blocking=self._run_blocking,
                write_buffer=self._options.write_buffer,
                send_timeout=self._options.send_timeout,
            )
        )
        self._serve(stream, None, opened).add_done_callback(lambda _: self._finished.set())

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_stopping:
            writer.transport.abort()
            return
        writer.transport.set_write_buffer_limits(high=self._options.write_buffer)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        host, name = _identify_peer(writer)
        timeout = self._options.send_timeout
        stream = WyomingStream(reader, writer, abort=writer.transport.abort, peer=name, send_timeout=timeout)
        refusal = self._reason_to_reject(host)
        if refusal is None:
            self._serve(stream, host)
        else:
            _LOGGER.warning("%s: rejected: %s", name, refusal)
            self._reject(stream, refusal)

    def _reason_to_reject(self, host: str | None) -> SpeechError | None:
        options = self._options
        if host is not None and not self._allow(host):
            return BadRequest(f"{host} is not allowed to connect.", hint="Add its network to allow_networks.")
        if len(self._connections) >= options.connections:
            return Busy(f"The server accepts at most {options.connections} connections.", hint=_LATER)
        if host is not None and self._peers[host] >= options.connections_per_peer:
            return Busy(
                f"The server accepts at most {options.connections_per_peer} connections from {host}.",
                hint=_LATER,
            )
        return None

    def _serve(
        self, stream: WyomingStream, host: str | None, opened: contextlib.AsyncExitStack | None = None
    ) -> asyncio.Task[None]:
        connection = WyomingConnection(
            stream,
            synthesizer=self._synthesizer,
            describe=self._describe,
            options=self._options,
            address=host or "",
        )
        task = asyncio.create_task(_run(connection, opened), name=f"wyoming {stream.peer}")
        self._connections[task] = connection
        if host is not None:
            self._peers[host] += 1
        task.add_done_callback(partial(self._forget, host))
        return task

    def _forget(self, host: str | None, task: asyncio.Task[None]) -> None:
        del self._connections[task]
        if host is None:
            return
        self._peers[host] -= 1
        if not self._peers[host]:
            del self._peers[host]

    def _reject(self, stream: WyomingStream, refusal: SpeechError) -> None:
        is_informed = len(self._rejecting) < MAX_REJECTING
        task = asyncio.create_task(_send_refusal(stream, refusal) if is_informed else stream.abort())
        self._rejecting.add(task)
        task.add_done_callback(self._rejecting.discard)


async def _run(connection: WyomingConnection, opened: contextlib.AsyncExitStack | None) -> None:
    async with opened or contextlib.AsyncExitStack():
        await connection.run()


async def _send_refusal(stream: WyomingStream, refusal: SpeechError) -> None:
    try:
        with contextlib.suppress(WyomingClientGone):
            await stream.send(encode_event(error_event(refusal)))
        await stream.close(linger=LINGER)
    finally:
        await stream.abort()


def _identify_peer(writer: asyncio.StreamWriter) -> tuple[str | None, str]:
    """The client's address (None without one) and its name in logs."""
    name = writer.get_extra_info("peername")
    # A Unix socket has no address, and a client that disconnected at once has none any more.
    if not isinstance(name, tuple):
        return None, "unix"
    return name[0], f"{name[0]}:{name[1]}"


def _bind_socket_file(path: Path) -> tuple[socket.socket, int]:
    _remove_stale_socket_file(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(str(path))
        # Connecting needs write permission: grant it to the group before the socket listens.
        path.chmod(0o660)
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
