"""uvicorn's WebSocket protocol with bounds on what a client can make it hold or compute."""

from __future__ import annotations

import asyncio
import socket
from typing import cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode, Frame, Opcode

from wyoming_tts.transports.http.paced_transport import PacedTransport
from wyoming_tts.transports.input_pace import RECEIVE_BUFFER

MAX_FRAGMENTS = 4096
"""Frames of one message, which may be empty and then count for nothing in its size."""
_OPCODE = 0x0F


class BoundedWebSocket(WebSocketsSansIOProtocol):
    """A WebSocket whose input is paced by its `PacedTransport`, and whose pongs do not pile up."""

    _pong: bytes | None = None
    """The answer to the last ping, held back while the client does not read."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take over the connection on which the handshake was received."""
        super().connection_made(transport)
        if isinstance(transport, PacedTransport):
            transport.handle = super().data_received
            sock = transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
            transport.is_body = False

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget what was received."""
        if isinstance(self.transport, PacedTransport):
            self.transport.discard_input()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Handle what was received: the handshake at once, frames at the connection's pace."""
        transport = cast(object, self.transport)
        if self.handshake_initiated and isinstance(transport, PacedTransport):
            transport.receive(data)
        else:
            super().data_received(data)

    def handle_cont(self, event: Frame) -> None:
        """Take a fragment of a message."""
        if len(self.frames) < MAX_FRAGMENTS:
            super().handle_cont(event)
            return
        self.conn.fail(CloseCode.MESSAGE_TOO_BIG, f"more than {MAX_FRAGMENTS} fragments")
        self.handle_parser_exception()

    def handle_ping(self) -> None:
        """Answer a ping; of those that come while the client does not read, the last (RFC 6455, 5.5.3)."""
        if self.writable.is_set():
            super().handle_ping()
            return
        for frame in self.conn.data_to_send():
            if frame and frame[0] & _OPCODE == Opcode.PONG:
                self._pong = frame
            else:
                self.transport.write(frame)

    def resume_writing(self) -> None:
        """Continue, with the answer that was held back first."""
        super().resume_writing()
        if self._pong is not None and not self.transport.is_closing():
            self.transport.write(self._pong)
        self._pong = None
