"""Request lifecycle: the outermost middleware gives each request an id, timeouts and an end at shutdown.

Routes inside it may raise anything. A failure before the first byte becomes an error response; after it the
body is truncated, which HTTP clients detect, and the reason is logged.
"""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.types import Message as AsgiMessage

from wyoming_tts.errors import ShuttingDown, SpeechError, to_speech_error
from wyoming_tts.messages import Message
from wyoming_tts.transports.access_log import AccessEntry, log_access
from wyoming_tts.transports.backpressure import ClientStalled, send_under_backpressure
from wyoming_tts.transports.http.errors import error_response, framework_error_response

REQUEST_ID = "X-Request-ID"

_USABLE_ID = re.compile(r"[\x21-\x7e]{1,128}")
_BODY_TIMEOUT = (408, "The request body did not arrive in time.")

_LOGGER = logging.getLogger(__name__)


@dataclass(slots=True)
class _Exchange:
    """State of one request and its response."""

    id: str
    is_received: bool = False
    has_started: bool = False
    is_canceled: bool = False
    """The server cancelled it."""
    status: int | None = None
    """Of its response; None before it starts."""
    is_complete: bool = False
    """Its response was sent to its end."""
    sent_bytes: int = 0
    began_at: float = field(default_factory=time.perf_counter)

    def note_sent(self, message: AsgiMessage) -> None:
        """Note what is sent, for the access log."""
        kind = message["type"]
        if kind in {"http.response.start", "websocket.http.response.start"}:
            self.status = message["status"]
        elif kind == "websocket.accept":
            self.status = HTTPStatus.SWITCHING_PROTOCOLS
        elif kind == "websocket.close":
            self.status, self.is_complete = self.status or HTTPStatus.FORBIDDEN, True
        elif kind == "websocket.send":
            self.sent_bytes += len(message.get("bytes") or (message.get("text") or "").encode())
        else:
            self.sent_bytes += len(message.get("body", b""))
            self.is_complete = not message.get("more_body", False)

    def entry(self, scope: Scope) -> AccessEntry:
        """Return its line of the access log."""
        is_socket = scope["type"] == "websocket"
        client = scope.get("client")
        return AccessEntry(
            client=client[0] if client else "",
            transport=scope["type"],
            method="GET" if is_socket else scope["method"],
            path=scope["path"],
            status="-" if self.status is None else str(int(self.status)),
            sent_bytes=self.sent_bytes,
            seconds=time.perf_counter() - self.began_at,
            id=self.id,
            is_complete=self.is_complete,
        )


class OpenRequests:
    """The open requests, and their graceful shutdown."""

    def __init__(self) -> None:
        self.stopping = asyncio.Event()
        """Set once new requests are refused; long-lived ones may wait for it."""
        self._open: dict[asyncio.Task[Any], _Exchange] = {}

    def __len__(self) -> int:
        return len(self._open)

    def check_open(self) -> None:
        """Check that new requests are accepted.

        Raises:
            ShuttingDown: the server is shutting down.
        """
        if self.stopping.is_set():
            raise ShuttingDown(
                Message("shutting_down", "The server is shutting down."),
                hint=Message("try_when_running", "Try again once it is running again."),
            )

    def add(self, exchange: _Exchange) -> Callable[[], object]:
        """Register a request of the current task; returns a function that removes it again."""
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = exchange
        return lambda: self._open.pop(task, None)

    async def drain(self, grace: float) -> None:
        """Give open requests `grace` seconds to finish; those not received in full are cancelled at once."""
        self.stopping.set()
        self._cancel(lambda exchange: not exchange.is_received)
        if self._open:
            await asyncio.wait(self._open, timeout=grace)
        self._cancel(lambda _: True)
        if self._open:
            await asyncio.wait(self._open)

    def _cancel(self, matches: Callable[[_Exchange], bool]) -> None:
        for task, exchange in self._open.items():
            if matches(exchange):
                exchange.is_canceled = True
                task.cancel()


class RequestLifecycleMiddleware:
    """Middleware around the whole app: ids, timeouts, errors and cancellation of each request."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        requests: OpenRequests,
        send_timeout: float,
        request_timeout: float,
        busy_status: int = HTTPStatus.TOO_MANY_REQUESTS,
        on_response: Callable[[int], None] = lambda _: None,
        log_requests: bool = False,
    ) -> None:
        self._log_requests = log_requests
        self._on_response = on_response
        self._app = app
        self._requests = requests
        self._send_timeout = send_timeout
        self._request_timeout = request_timeout
        self._busy_status = busy_status

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(_request_id(Headers(scope=scope)))
        state = scope.setdefault("state", {})
        state["request_id"], state["stopping"] = exchange.id, self._requests.stopping
        remove = self._requests.add(exchange)
        try:
            if scope["type"] == "http":
                await self._http(exchange, scope, receive, send)
            else:
                await self._websocket(exchange, scope, receive, send)
        finally:
            remove()
            if self._log_requests:
                log_access(exchange.entry(scope))

    async def _websocket(self, exchange: _Exchange, scope: Scope, receive: Receive, send: Send) -> None:
        exchange.is_received = True

        async def send_noted(message: AsgiMessage) -> None:
            exchange.note_sent(message)
            await send(message)

        try:
            await self._app(scope, receive, send_noted if self._log_requests else send)
        except asyncio.CancelledError:
            if not exchange.is_canceled:
                raise
            _uncancel()

    async def _http(self, exchange: _Exchange, scope: Scope, receive: Receive, send: Send) -> None:
        answer = self._wrap_send(exchange, send)
        try:
            self._requests.check_open()
            await self._app(_as_get(scope), self._wrap_receive(exchange, receive), answer)
        except asyncio.CancelledError:
            if not exchange.is_canceled:
                raise
            _uncancel()
            await _answer_failure(
                exchange, ShuttingDown(Message("has_shut_down", "The server shut down.")), scope, answer
            )
        except ClientStalled as stalled:
            _LOGGER.info("Request %s: aborted. %s", exchange.id, stalled)
            _abort(scope)
        except HTTPException as refused:  # by middleware between this one and the routes
            await framework_error_response(refused, scope["method"], exchange.id)(scope, receive, answer)
        except Exception as error:  # noqa: BLE001 - the client gets an error, whatever failed
            await _answer_failure(exchange, error, scope, answer, busy_status=self._busy_status)

    def _wrap_receive(self, exchange: _Exchange, receive: Receive) -> Receive:
        async def receive_in_time() -> AsgiMessage:
            if exchange.is_received:
                return await receive()
            try:
                async with asyncio.timeout(self._request_timeout):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(*_BODY_TIMEOUT) from None
            exchange.is_received = not message.get("more_body", False)
            return message

        return receive_in_time

    def _wrap_send(self, exchange: _Exchange, send: Send) -> Send:
        async def answer(message: AsgiMessage) -> None:
            if message["type"] == "http.response.start":
                exchange.has_started = True
                self._on_response(message["status"])
                MutableHeaders(scope=message)[REQUEST_ID] = exchange.id
            await send_under_backpressure(send(message), send_timeout=self._send_timeout)
            exchange.note_sent(message)

        return answer


def _request_id(headers: Headers) -> str:
    sent = headers.get(REQUEST_ID, "")
    return sent if _USABLE_ID.fullmatch(sent) else secrets.token_hex(8)


def _as_get(scope: Scope) -> Scope:
    """Treat HEAD as GET; uvicorn leaves the body out."""
    is_head = scope["method"] == "HEAD"
    scope["state"]["is_head"] = is_head
    return {**scope, "method": "GET"} if is_head else scope


def _uncancel() -> None:
    """Undo the cancellation of this task, so that it can still send its last messages."""
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()


async def _answer_failure(
    exchange: _Exchange,
    error: Exception,
    scope: Scope,
    answer: Send,
    *,
    busy_status: int = HTTPStatus.TOO_MANY_REQUESTS,
) -> None:
    cause = error.__cause__ if isinstance(error.__cause__, SpeechError) else error
    reported = to_speech_error(cause)
    if reported is not cause:
        _LOGGER.error("Request %s failed unexpectedly.", exchange.id, exc_info=error)
    if exchange.has_started:
        # Returning before the body has ended makes uvicorn close the connection: the client notices.
        _LOGGER.warning("Request %s: truncated after its first byte. %s", exchange.id, reported)
        return
    try:
        response = error_response(reported, exchange.id, busy_status=busy_status)
        await response(scope, _receive_nothing, answer)
    except ClientStalled:
        _abort(scope)


async def _receive_nothing() -> AsgiMessage:
    return {"type": "http.disconnect"}


def _abort(scope: Scope) -> None:
    abort: Callable[[], None] | None = scope["state"].get("abort")
    if abort is not None:
        abort()
