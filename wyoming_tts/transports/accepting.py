"""Accepting connections on listening sockets, for every transport: limits, refusals, and lack of descriptors.

asyncio's own servers accept without a limit, and answer a lack of descriptors with a hundred tracebacks a
second. Here a connection takes a slot before anything is made for it and holds it until its socket is closed,
whatever becomes of it meanwhile: a TLS handshake that stalls, a WebSocket, a response that nobody reads.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import struct
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from typing import Any

from wyoming_tts.errors import BadRequest, SpeechError
from wyoming_tts.transports.connection_limits import ConnectionLimits, ConnectionSlot, ConnectionSlots
from wyoming_tts.transports.damped_log import DampedLog

LINGER = 1.0
"""Seconds for which input of a refused client is discarded before closing. Closing over unread bytes would
reset the connection, and the reset can overtake the refusal that the client should read."""
DISCARD_INTERVAL = 0.005
"""Seconds between two reads of input that is discarded, as a client may go on sending: 13 MB/s."""
MAX_REFUSING = 32
"""Refused clients that are told why at the same time; any more are closed at once."""
ACCEPT_PAUSE = 1.0
"""Seconds until the next try when the system cannot accept, as in asyncio."""
_ACCEPTS_AT_ONCE = 16
"""Connections accepted before others have their turn on the event loop."""
_READ_SIZE = 64 * 1024
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER: close without waiting for anything to be sent."""
_BROKEN_CONNECTION = frozenset(
    {
        *(errno.ECONNABORTED, errno.EPROTO, errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTDOWN),
        *(errno.EHOSTUNREACH, errno.EOPNOTSUPP, errno.ENOPROTOOPT, errno.EPERM),
    }
)
"""Errors that accept(2) reports for the one connection that it would have returned."""

_LOGGER = logging.getLogger(__name__)


class _SlottedSocket(socket.socket):
    """An accepted socket that tells when it is closed."""

    on_close: Callable[[], None] | None = None

    def close(self) -> None:
        super().close()
        on_close, self.on_close = self.on_close, None
        if on_close is not None:
            on_close()


class Acceptor:
    """Accepts the clients of one transport on any number of listening sockets, and owns what serves them."""

    def __init__(
        self,
        limits: ConnectionLimits,
        *,
        serve: Callable[[socket.socket, ConnectionSlot], Coroutine[Any, Any, None]],
        refusal: Callable[[SpeechError], bytes],
        allow: Callable[[str], bool] = lambda _: True,
    ) -> None:
        """Listen nowhere yet.

        Args:
            limits: How many connections are accepted.
            serve: Serves an accepted socket, or hands it to a transport of asyncio, which closes it.
            refusal: Encodes the reason that a refused client is sent; empty to close without one.
            allow: Whether an IP address may connect.
        """
        self._slots = ConnectionSlots(limits)
        self._serve = serve
        self._refusal = refusal
        self._allow = allow
        self._listeners: dict[asyncio.Task[None], socket.socket] = {}
        self._serving: set[asyncio.Task[None]] = set()
        self._refusing: set[asyncio.Task[None]] = set()
        self._refused = DampedLog(_LOGGER)
        self._exhausted = DampedLog(_LOGGER, logging.ERROR)

    def __repr__(self) -> str:
        return f"<Acceptor open={len(self._slots)} refusing={len(self._refusing)}>"

    @property
    def sockets(self) -> list[socket.socket]:
        """The listening sockets."""
        return list(self._listeners.values())

    @property
    def refusing(self) -> int:
        """The number of refused clients that are being told why."""
        return len(self._refusing)

    def listen(self, sockets: Iterable[socket.socket]) -> None:
        """Accept clients on sockets that are listening already, until `close`."""
        for listener in sockets:
            listener.setblocking(False)
            self._listeners[asyncio.create_task(self._accept_all(listener))] = listener

    async def close(self) -> None:
        """Stop listening; connections that a transport serves are left to it, all others are closed."""
        tasks = [*self._listeners, *self._serving, *self._refusing]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for listener in self._listeners.values():
            listener.close()
        self._listeners.clear()

    async def _accept_all(self, listener: socket.socket) -> None:
        loop, accepted = asyncio.get_running_loop(), 0
        while True:
            try:
                sock, address = await loop.sock_accept(listener)
            except OSError as error:
                if error.errno not in _BROKEN_CONNECTION:
                    self._exhausted.log("No client can be accepted: %s.", error.strerror or error)
                    await asyncio.sleep(ACCEPT_PAUSE)
                continue
            self._on_client(sock, address[0] if isinstance(address, tuple) else None)
            accepted += 1
            if accepted % _ACCEPTS_AT_ONCE == 0:
                await asyncio.sleep(0)

    def _on_client(self, accepted: socket.socket, peer: str | None) -> None:
        sock = _SlottedSocket(accepted.family, accepted.type, accepted.proto, fileno=accepted.detach())
        sock.setblocking(False)
        try:
            slot = self._slot_for(peer, sock)
        except SpeechError as reason:
            self._refused.log("%s: refused: %s", peer or "unix", reason)
            self._refuse(sock, reason)
            return
        sock.on_close = partial(self._on_closed, slot)
        task = asyncio.create_task(self._serve(sock, slot))
        slot.abort = partial(_cancel, task)
        self._serving.add(task)
        task.add_done_callback(partial(self._on_handed_over, sock, slot))

    def _slot_for(self, peer: str | None, sock: socket.socket) -> ConnectionSlot:
        if peer is not None and not self._allow(peer):
            raise BadRequest(f"{peer} is not allowed to connect.", hint="Add its network to allow_networks.")
        return self._slots.take(peer, asyncio.get_running_loop().time(), sock.close)

    def _on_closed(self, slot: ConnectionSlot) -> None:
        self._slots.release(slot)
        slot.forget_connection()

    def _on_handed_over(self, sock: socket.socket, slot: ConnectionSlot, task: asyncio.Task[None]) -> None:
        """Close a socket that no transport has taken, perhaps because the task never began."""
        self._serving.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is None and not task.cancelled():
            return
        sock.close()
        # Or the buffers of its TLS would be in a reference cycle, and kept until that is collected.
        slot.abort = sock.close
        if isinstance(error, OSError):  # the client has gone, or its TLS handshake failed
            _LOGGER.debug("A client is not served: %s", error)
            error.__traceback__ = None  # its frames refer to the error: likewise
        elif error is not None:
            _LOGGER.error("A client cannot be served.", exc_info=error)

    def _refuse(self, sock: socket.socket, reason: SpeechError) -> None:
        message = self._refusal(reason)
        if not message or len(self._refusing) >= MAX_REFUSING:
            _reset(sock)
            return
        task = asyncio.create_task(_send_last(sock, message))
        self._refusing.add(task)
        task.add_done_callback(partial(self._on_refused, sock))

    def _on_refused(self, sock: socket.socket, task: asyncio.Task[None]) -> None:
        self._refusing.discard(task)
        sock.close()


def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()


def _reset(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    sock.close()


async def _send_last(sock: socket.socket, message: bytes) -> None:
    """Send a last message, and wait until the client has closed or `LINGER` is over."""
    loop = asyncio.get_running_loop()
    with contextlib.suppress(OSError):  # TimeoutError is one
        async with asyncio.timeout(LINGER):
            await loop.sock_sendall(sock, message)
            sock.shutdown(socket.SHUT_WR)
            while await loop.sock_recv(sock, _READ_SIZE):  # noqa: ASYNC110  # it paces, and waits for nothing
                await asyncio.sleep(DISCARD_INTERVAL)
