"""The messages of one realtime client, in and out, with what can go wrong as two exceptions."""

from __future__ import annotations

import asyncio

from starlette.websockets import WebSocket, WebSocketDisconnect

from wyoming_tts.transports.realtime.protocol import Frame

FAILED = 1011
GOING_AWAY = 1012
"""The close code of a server that restarts."""
CLOSING_TIME = 0.8
"""Seconds to tell a client that its connection ends."""


class RealtimeClientGone(Exception):
    """The client is not there any more."""


class CloseConnection(Exception):
    """The connection is to be closed."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class RealtimeSocket:
    """Several tasks may send on it; each message goes as a whole."""

    def __init__(self, socket: WebSocket, *, send_timeout: float) -> None:
        """Not accepted yet; `send_timeout` is in seconds."""
        self._socket = socket
        self._send_timeout = send_timeout
        self._sending = asyncio.Lock()

    async def accept(self) -> None:
        """Let the client in.

        Raises:
            Gone: it has left already.
        """
        try:
            await self._socket.accept()
        except (WebSocketDisconnect, RuntimeError) as error:
            raise RealtimeClientGone("It left before it came in.") from error

    async def receive(self) -> Frame:
        """Wait for a message.

        Raises:
            Gone: none will come.
        """
        try:
            message = await self._socket.receive()
        except RuntimeError as error:  # it was closed by the other task
            raise RealtimeClientGone(str(error)) from error
        if message["type"] == "websocket.disconnect":
            raise RealtimeClientGone(f"It closed with {message.get('code')}.")
        received: Frame = message["bytes"] if message.get("text") is None else message["text"]
        return received

    async def send(self, frame: Frame) -> None:
        """Send a message; wait while the client has not taken enough of those before.

        Raises:
            Gone: it has left.
            Leave: it took nothing for too long.
        """
        kind = "text" if isinstance(frame, str) else "bytes"
        try:
            async with asyncio.timeout(self._send_timeout), self._sending:
                await self._socket.send({"type": "websocket.send", kind: frame})
        except TimeoutError:
            raise CloseConnection(FAILED, f"Nothing was read for {self._send_timeout:g} s.") from None
        except (WebSocketDisconnect, RuntimeError) as error:
            raise RealtimeClientGone("It closed while it was sent to.") from error
        # Sending does not wait while there is room: without this a fast engine with a fast client
        # would keep everybody else from the loop.
        await asyncio.sleep(0)

    async def close(self, code: int, reason: str) -> None:
        """Say farewell; a client that does not read it is cut off."""
        try:
            async with asyncio.timeout(CLOSING_TIME):
                await self._socket.close(code, reason)
        except TimeoutError:
            self.abort()
        except (WebSocketDisconnect, RuntimeError):
            pass

    def abort(self) -> None:
        """Cut the connection, whatever has not gone out, where the server's `abort` is in its state.

        Left alone uvicorn closes once the last byte was taken: never, if nobody reads.
        """
        abort = self._socket.scope.get("state", {}).get("abort")
        if abort is not None:
            abort()
