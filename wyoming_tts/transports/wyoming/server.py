"""Where Wyoming clients are met: tcp, unix and stdio listeners, and how many may come.

Each client is a `WyomingConnection` in a task that the server owns. Stopping happens in steps: nobody
new, what plays may finish, what still plays is ended with an error, what still hangs is cut.
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
from wyoming_tts.transports.listening import BACKLOG, ListenAddress, bind_tcp
from wyoming_tts.transports.ports import AudioStream, SpeechSynthesis
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
"""Seconds to tell clients that the server ends; a second is what stopping may take as a whole."""
SEND_BUFFER = 128 * 1024
"""Bytes the kernel holds for a client. Left alone it grows to megabytes: minutes of speech that are
made for nobody if the client leaves."""
MOST_TURNED_AWAY = 32
"""Clients over the limit that are told so at the same time; more than these are cut without a word."""
_LATER = "Try again later."

_LOGGER = logging.getLogger(__name__)


class WyomingServer:
    """Serves any number of addresses with one synthesizer.

    Leaving `async with` stops it at once; `stop` gives what plays some time.
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
        """Make it ready.

        Args:
            synthesizer: Speaks.
            describe: Gives the info event.
            run_blocking: For standard input and output that are files, and for the socket's file.
            options: How clients are treated.
            allow: Whether the machine with an IP address is served, asked for each connection.
        """
        self._synthesizer = synthesizer
        self._describe = describe
        self._options = options or WyomingOptions()
        self._run_blocking = run_blocking
        self._allow = allow
        self._listeners: list[asyncio.Server] = []
        self._socket_files: dict[Path, int] = {}
        """Their inodes: a file that somebody else has put in the same place is not ours to remove."""
        self._connections: dict[asyncio.Task[None], WyomingConnection] = {}
        self._turned_away: set[asyncio.Task[None]] = set()
        self._peers: Counter[str] = Counter()
        self._stopping = False
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
        """The (host, port) of each tcp socket that listens."""
        names = [sock.getsockname() for listener in self._listeners for sock in listener.sockets]
        return [(name[0], name[1]) for name in names if isinstance(name, tuple)]

    @property
    def connections(self) -> int:
        """Clients that are connected, those being turned away included."""
        return len(self._connections) + len(self._turned_away)

    async def start(self, uri: str) -> None:
        """Listen on an address; `stdio://` serves its one client from now on.

        Raises:
            ValueError: the address is malformed.
            OSError: it cannot be listened on, as because another process does.
        """
        address = ListenAddress.parse(uri)
        if address.scheme == "stdio":
            await self._start_stdio()
        elif address.scheme == "unix":
            await self._start_unix(address.path)
        else:
            await self.adopt(await self._run_blocking(partial(bind_tcp, address)))

    async def wait_finished(self) -> None:
        """Wait until the server was stopped, or the client on stdio has been served."""
        await self._finished.wait()

    async def stop(self, grace: float = 0.0) -> None:
        """Stop listening, give what plays `grace` seconds to finish, end it then; leave nothing open."""
        self._stopping = True
        for listener in self._listeners:
            listener.close()
        for connection in self._connections.values():
            connection.wind_down()
        await self._ended(grace)
        for connection in self._connections.values():
            connection.end(ShuttingDown("The server is going down.", hint="Try again when it is back."))
        await self._ended(CLOSING_TIME)
        tasks = [*self._connections, *self._turned_away]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._close_listeners()
        self._finished.set()

    async def _ended(self, timeout: float) -> None:  # noqa: ASYNC109  # running out is no error here
        if self._connections:
            await asyncio.wait(self._connections, timeout=timeout)

    async def _close_listeners(self) -> None:
        for listener in self._listeners:
            await listener.wait_closed()
        self._listeners.clear()
        for path, inode in self._socket_files.items():
            await self._run_blocking(partial(_remove_socket_file, path, inode))
        self._socket_files.clear()

    async def adopt(self, sockets: Iterable[socket.socket]) -> None:
        """Serve tcp sockets that listen already."""
        for sock in sockets:
            self._listeners.append(await asyncio.start_server(self._accept, sock=sock, backlog=BACKLOG))

    async def _start_unix(self, path: Path) -> None:
        sock, inode = await self._run_blocking(partial(_bind_socket_file, path))
        self._socket_files[path] = inode
        self._listeners.append(await asyncio.start_unix_server(self._accept, sock=sock))

    async def _start_stdio(self) -> None:
        opened = contextlib.AsyncExitStack()
        wire = await opened.enter_async_context(
            open_stdio(
                run_blocking=self._run_blocking,
                write_buffer=self._options.write_buffer,
                send_timeout=self._options.send_timeout,
            )
        )
        self._serve(wire, None, opened).add_done_callback(lambda _: self._finished.set())

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._stopping:
            writer.transport.abort()
            return
        writer.transport.set_write_buffer_limits(high=self._options.write_buffer)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        host, name = _peer(writer)
        timeout = self._options.send_timeout
        wire = WyomingStream(reader, writer, abort=writer.transport.abort, peer=name, send_timeout=timeout)
        refusal = self._refusal(host)
        if refusal is None:
            self._serve(wire, host)
        else:
            _LOGGER.warning("%s: turned away: %s", name, refusal)
            self._turn_away(wire, refusal)

    def _refusal(self, host: str | None) -> SpeechError | None:
        options = self._options
        if host is not None and not self._allow(host):
            return BadRequest(f"{host} is not served here.", hint="The server's settings list its networks.")
        if len(self._connections) >= options.connections:
            return Busy(f"The server has {options.connections} clients and takes no more.", hint=_LATER)
        if host is not None and self._peers[host] >= options.connections_per_peer:
            return Busy(
                f"The server takes {options.connections_per_peer} connections from {host}.", hint=_LATER
            )
        return None

    def _serve(
        self, wire: WyomingStream, host: str | None, opened: contextlib.AsyncExitStack | None = None
    ) -> asyncio.Task[None]:
        connection = WyomingConnection(
            wire, synthesizer=self._synthesizer, describe=self._describe, options=self._options
        )
        task = asyncio.create_task(_run(connection, opened), name=f"wyoming {wire.peer}")
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

    def _turn_away(self, wire: WyomingStream, refusal: SpeechError) -> None:
        told = len(self._turned_away) < MOST_TURNED_AWAY
        task = asyncio.create_task(_refuse(wire, refusal) if told else wire.abort())
        self._turned_away.add(task)
        task.add_done_callback(self._turned_away.discard)


async def _run(connection: WyomingConnection, opened: contextlib.AsyncExitStack | None) -> None:
    async with opened or contextlib.AsyncExitStack():
        await connection.run()


async def _refuse(wire: WyomingStream, refusal: SpeechError) -> None:
    try:
        with contextlib.suppress(WyomingClientGone):
            await wire.send(encode_event(error_event(refusal)))
        await wire.close(linger=LINGER)
    finally:
        await wire.abort()


def _peer(writer: asyncio.StreamWriter) -> tuple[str | None, str]:
    """The client's address, which it may share with others, and its name for logs."""
    name = writer.get_extra_info("peername")
    # A unix socket has no address; a client that left at once has none any more.
    if not isinstance(name, tuple):
        return None, "unix"
    return name[0], f"{name[0]}:{name[1]}"


def _bind_socket_file(path: Path) -> tuple[socket.socket, int]:
    _remove_stale_socket_file(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(str(path))
        # Connecting takes the right to write: give it to the group, before anybody is listened to.
        path.chmod(0o660)
    except BaseException:
        sock.close()
        raise
    return sock, path.stat().st_ino


def _remove_stale_socket_file(path: Path) -> None:
    """Remove what a process left that ended without cleaning up."""
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
