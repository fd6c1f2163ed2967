"""One client's HTTP/1.1 connection: timeouts, header limits, and closing so that the last response is read.

uvicorn's protocol on h11, with what it leaves open: a request has to begin in time, whatever its headers hold
is bounded also if they arrive at once, what is not HTTP is refused in this server's own words, and a client
that is still sending when its response ends can finish and read that.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from http import HTTPStatus
from typing import Any, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from wyoming_tts.errors import SpeechError
from wyoming_tts.transports.connection_limits import ConnectionSlot
from wyoming_tts.transports.http.bounded_websocket import BoundedWebSocket
from wyoming_tts.transports.http.paced_transport import PacedTransport
from wyoming_tts.transports.input_pace import InputPace, LoopBudget

SEND_BUFFER = 128 * 1024
"""Bytes in the kernel's send buffer of a client, so that speech is not computed minutes ahead."""
MAX_HEADERS = 32 * 1024
"""Maximum bytes of a request line and headers."""
LINGER = 10.0
"""Seconds for which the rest of a request is discarded after its response: closing over unread bytes would
reset the connection, and the client would never read that its body is too large."""
LINGER_BYTES = 32 * 1024 * 1024
"""Most bytes that are discarded so."""
_HEADER_OVERHEAD = len(b": \r\n")
_TOO_LARGE = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
_RETRY_AFTER = b"5"
_LOGGED_ELSEWHERE = (
    "returned without completing response.",
    "returned without completing handshake.",
    "Invalid HTTP request received.",
)

_LOGGER = logging.getLogger(__name__)


def _is_relevant(record: logging.LogRecord) -> bool:
    # Truncated bodies and refused requests are so on purpose, and logged by whoever does it.
    return not record.getMessage().endswith(_LOGGED_ELSEWHERE)


_UVICORN_LOGGER = logging.getLogger(f"{__name__}.uvicorn")
_UVICORN_LOGGER.addFilter(_is_relevant)
_UVICORN_LOGGER.setLevel(logging.WARNING)  # below it there is a line for each WebSocket


class BoundedH11Connection(h11.Connection):
    """h11's connection; it bounds complete headers as well, and keeps why a request was refused."""

    refusal: tuple[HTTPStatus, str] | None = None
    """Status and message for what is not HTTP; None as long as all of it was."""

    def next_event(self) -> Any:
        """As in h11, also for a request line with headers over `MAX_HEADERS`.

        Raises:
            h11.RemoteProtocolError: the client sent something else than HTTP.
        """
        try:
            event = super().next_event()
            _check_size(event)
        except h11.RemoteProtocolError as error:
            self.refusal = HTTPStatus.BAD_REQUEST, "Got what is not a request of HTTP/1.1."
            if error.error_status_hint == _TOO_LARGE:
                self.refusal = _TOO_LARGE, f"Got more than {MAX_HEADERS} bytes of request line and headers."
            raise
        return event


def _check_size(event: object) -> None:
    if isinstance(event, h11.Request):
        headers = sum(len(name) + len(value) + _HEADER_OVERHEAD for name, value in event.headers)
        if len(event.method) + len(event.target) + headers > MAX_HEADERS:
            raise h11.RemoteProtocolError("The headers are too long.", error_status_hint=_TOO_LARGE)


def encode_refusal(reason: SpeechError) -> bytes:
    """Encode a complete response for a client whose connection is not accepted."""
    body = _error_body(str(reason), kind="server_error", code=reason.code)
    headers = [*_body_headers(body), (b"Retry-After", _RETRY_AFTER), (b"Connection", b"close")]
    lines = b"".join(b"%s: %s\r\n" % header for header in headers)
    return b"HTTP/1.1 503 Service Unavailable\r\n%s\r\n%s" % (lines, body)


def _error_body(message: str, *, kind: str, code: str) -> bytes:
    return json.dumps({"error": {"message": message, "type": kind, "param": None, "code": code}}).encode()


def _body_headers(body: bytes) -> list[tuple[bytes, bytes]]:
    return [(b"Content-Type", b"application/json"), (b"Content-Length", str(len(body)).encode())]


class _LingeringTransport:
    """A transport that its connection closes, which may have to read on first."""

    def __init__(self, transport: PacedTransport, connection: HttpConnection) -> None:
        self._transport = transport
        self._connection: HttpConnection | None = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        is_lingering = self._connection is not None and self._connection.is_lingering
        return is_lingering or self._transport.is_closing()

    def close(self) -> None:
        if self._connection is None:
            self._transport.close()
        else:
            self._connection.close(self._transport)

    def release(self) -> None:
        """Let go of the connection."""
        self._connection = None


class HttpConnection(H11Protocol):
    """A client's connection with a small send buffer, paced input and a timeout for its next request."""

    request_timeout: float
    input_budget: LoopBudget
    slot: ConnectionSlot
    _request_timer: asyncio.TimerHandle | None = None
    _discarded: int | None = None
    """Bytes discarded since the last response; None before."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.logger = _UVICORN_LOGGER
        self.conn: BoundedH11Connection = BoundedH11Connection(h11.SERVER, MAX_HEADERS)
        self._idle_since: float = self.loop.time()

    @property
    def is_lingering(self) -> bool:
        """Whether it is over, but for the rest of a request."""
        return self._discarded is not None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Set timeouts and buffers of a new connection."""
        pace = InputPace(self.input_budget)
        self._paced = PacedTransport(transport, self._handle, pace=pace)
        self._lingering = _LingeringTransport(self._paced, self)
        super().connection_made(cast(asyncio.Transport, self._lingering))
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        self.slot.idle_since, self.slot.abort = self._idle_time, transport.abort
        self.app_state = {**self.app_state, "abort": transport.abort, "slot": self.slot, "pace": pace}
        self._start_request_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """End what is left of it."""
        self._stop_request_timer()
        self._paced.discard_input()
        super().connection_lost(exc)
        # Reference cycles would keep what was received until they are collected, which may take minutes.
        self._unset_keepalive_if_required()
        self._lingering.release()
        self.slot.forget_connection()

    def data_received(self, data: bytes) -> None:
        """Take what was received, at the connection's pace."""
        self._paced.receive(data)

    def _handle(self, data: bytes) -> None:
        """Handle bytes of a request, or discard them after the last response."""
        if self._discarded is None:
            super().data_received(data)
            self._paced.is_body = self.conn.their_state is h11.SEND_BODY and self._is_length_known()
            return
        self._discarded += len(data)
        if self._discarded > LINGER_BYTES:
            self.transport.abort()

    def _is_length_known(self) -> bool:
        return any(name == b"content-length" for name, _ in self.headers)

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        self._idle_since = self.loop.time()
        self._start_request_timer()
        super().on_response_complete()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Leave the connection to uvicorn's WebSocket protocol."""
        self._stop_request_timer()
        self._lingering.release()
        self.transport = cast(asyncio.Transport, self._paced)  # its closing handshake is its own
        super().handle_websocket_upgrade(event)

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP; uvicorn's message does not say what was expected."""
        status, message = self.conn.refusal or (HTTPStatus.BAD_REQUEST, msg)
        _LOGGER.info("%s: refused: %s", self.slot.peer or "unix", message)
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            body = _error_body(message, kind="invalid_request_error", code="bad_request")
            headers = [*_body_headers(body), (b"Connection", b"close")]
            response = h11.Response(status_code=status, headers=headers, reason=status.phrase.encode())
            for part in (response, h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(part) or b"")
        if self.cycle is not None:  # its request ends in garbage, so nobody must answer it any more
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.close()

    def close(self, transport: PacedTransport) -> None:
        """Close after the last response; a client that is still sending gets time to finish and to read."""
        is_sending = self.conn.their_state is h11.SEND_BODY or self.conn.refusal is not None
        if self._discarded is not None or transport.is_closing() or not is_sending:
            transport.close()
            return
        self._discarded = 0
        self.flow.resume_reading()
        if transport.can_write_eof():
            transport.write_eof()
        self.loop.call_later(LINGER, transport.abort)

    def _idle_time(self) -> float | None:
        is_idle = (
            self.is_lingering
            or self.cycle is None  # type: ignore[redundant-expr]  # uvicorn's: before the first request it is
            or self.cycle.response_complete
        )
        return self._idle_since if is_idle else None

    def _start_request_timer(self) -> None:
        self._stop_request_timer()
        self._request_timer = self.loop.call_later(self.request_timeout, self._abort_if_idle, self.cycle)

    def _stop_request_timer(self) -> None:
        if self._request_timer is not None:
            self._request_timer.cancel()
            self._request_timer = None

    def _abort_if_idle(self, cycle: object) -> None:
        if self.cycle is cycle:
            self.transport.abort()


class WebSocketConnection(BoundedWebSocket):
    """A WebSocket whose errors go to this server's log."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.logger = _UVICORN_LOGGER
