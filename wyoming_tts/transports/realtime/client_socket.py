"""The WebSocket of a realtime client, with timeouts."""

from __future__ import annotations

import asyncio
import logging

from starlette.websockets import WebSocket, WebSocketDisconnect

from wyoming_tts.transports.backpressure import ClientStalled, send_under_backpressure
from wyoming_tts.transports.damped_log import DampedLog
from wyoming_tts.transports.realtime.protocol import Frame

SUBPROTOCOL = "realtime"
"""As in OpenAI's Realtime API. A browser that offers subprotocols, to send a key, insists on one of them."""
FAILED = 1011
"""WebSocket close code 1011, internal error."""
CLOSING_TIME = 0.8
"""Seconds that the closing handshake may take."""

_LOGGER = logging.getLogger(__name__)


class RealtimeClientGone(Exception):
    """The realtime client has disconnected."""


class CloseConnection(Exception):
    """Ends the connection with a close code and a reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class RealtimeSocket:
    """A Starlette WebSocket with timeouts and two exceptions; several tasks may send on it."""

    def __init__(
        self,
        socket: WebSocket,
        *,
        send_timeout: float,
        slow_send: float = 0.0,
        slow_sends: DampedLog | None = None,
    ) -> None:
        """Wrap a socket that is not accepted yet; times as in `RealtimeOptions`."""
        self._socket = socket
        self._slow_send = slow_send
        self._slow_sends = slow_sends or DampedLog(_LOGGER)
        self._send_timeout = send_timeout
        self._sending = asyncio.Lock()

    async def accept(self) -> None:
        """Accept the WebSocket handshake.

        Raises:
            RealtimeClientGone: the client has disconnected already.
        """
        try:
            offered = self._socket.scope.get("subprotocols") or ()
            await self._socket.accept(SUBPROTOCOL if SUBPROTOCOL in offered else None)
        except (WebSocketDisconnect, RuntimeError) as error:
            raise RealtimeClientGone("It disconnected during the handshake.") from error

    async def receive(self) -> Frame:
        """Wait for the next message.

        Raises:
            RealtimeClientGone: the connection is closed.
        """
        try:
            message = await self._socket.receive()
        except RuntimeError as error:  # closed by the other task
            raise RealtimeClientGone(str(error)) from error
        if message["type"] == "websocket.disconnect":
            raise RealtimeClientGone(f"It closed with code {message.get('code')}.")
        received: Frame = message["bytes"] if message.get("text") is None else message["text"]
        return received

    async def send(self, frame: Frame) -> None:
        """Send a message; waits under backpressure, until the client has read enough of the earlier ones.

        Raises:
            RealtimeClientGone: the client has disconnected.
            CloseConnection: the client read nothing for `send_timeout`.
        """
        try:
            await send_under_backpressure(self._write(frame), send_timeout=self._send_timeout)
        except ClientStalled as error:
            raise CloseConnection(FAILED, str(error)) from None
        except (WebSocketDisconnect, RuntimeError) as error:
            raise RealtimeClientGone("It disconnected while a message was being sent.") from error

    async def _write(self, frame: Frame) -> None:
        kind = "text" if isinstance(frame, str) else "bytes"
        async with self._sending:
            began = asyncio.get_running_loop().time()
            await self._socket.send({"type": "websocket.send", kind: frame})
            self._log_if_slow(asyncio.get_running_loop().time() - began)

    def _log_if_slow(self, seconds: float) -> None:
        if 0 < self._slow_send < seconds:
            peer = self._socket.client.host if self._socket.client else "unix"
            self._slow_sends.log("%s: a message took %.1f s to send: the client reads slowly.", peer, seconds)

    async def close(self, code: int, reason: str) -> None:
        """Close with a code; abort if the handshake takes longer than `CLOSING_TIME`."""
        try:
            async with asyncio.timeout(CLOSING_TIME):
                await self._socket.close(code, reason)
        except TimeoutError:
            self.abort()
        except (WebSocketDisconnect, RuntimeError):
            pass

    def abort(self) -> None:
        """Drop the connection and what is buffered, if the server put an `abort` into the scope's state.

        On its own uvicorn closes after the last byte is read: never, if nobody reads.
        """
        abort = self._socket.scope.get("state", {}).get("abort")
        if abort is not None:
            abort()
