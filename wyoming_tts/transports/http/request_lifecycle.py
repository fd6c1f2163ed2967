"""What holds for every request, whatever it asks for: an id, limits of time, and an end when the server ends.

The outermost layer of the app. Inside it a route may fail as it likes: before the first byte the client gets
an answer, after it the body is cut off, which HTTP clients notice, and the log has the reason.
"""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wyoming_tts.errors import ShuttingDown, SpeechError, to_speech_error
from wyoming_tts.transports.http.errors import error_response, framework_error_response

REQUEST_ID = "X-Request-ID"

_USABLE_ID = re.compile(r"[\x21-\x7e]{1,128}")
_NOT_TAKEN = (408, "The body did not come in time.")

_LOGGER = logging.getLogger(__name__)


class ClientStalled(Exception):
    """The client takes nothing any more."""


@dataclass(slots=True)
class _Exchange:
    """One request and its answer."""

    id: str
    is_received: bool = False
    has_started: bool = False
    is_ended: bool = False
    """The server ended it."""


class OpenRequests:
    """The requests that are being answered, and how they come to an end."""

    def __init__(self) -> None:
        self.stopping = asyncio.Event()
        """Set once no new requests are taken; long-lived ones may watch it."""
        self._open: dict[asyncio.Task[Any], _Exchange] = {}

    def __len__(self) -> int:
        return len(self._open)

    def check_open(self) -> None:
        """Let a new request in.

        Raises:
            ShuttingDown: none is taken any more.
        """
        if self.stopping.is_set():
            raise ShuttingDown("The server is going down.", hint="Try again when it is back.")

    def add(self, exchange: _Exchange) -> Callable[[], object]:
        """Note a request that the current task answers; call what is returned when it is over."""
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = exchange
        return lambda: self._open.pop(task, None)

    async def end(self, grace: float) -> None:
        """Give what is being answered `grace` seconds; what is not even asked whole ends at once."""
        self.stopping.set()
        self._cancel(lambda exchange: not exchange.is_received)
        if self._open:
            await asyncio.wait(self._open, timeout=grace)
        self._cancel(lambda _: True)
        if self._open:
            await asyncio.wait(self._open)

    def _cancel(self, chosen: Callable[[_Exchange], bool]) -> None:
        for task, exchange in self._open.items():
            if chosen(exchange):
                exchange.is_ended = True
                task.cancel()


class RequestLifecycleMiddleware:
    """Middleware around the whole app."""

    def __init__(
        self, app: ASGIApp, *, requests: OpenRequests, send_timeout: float, request_timeout: float
    ) -> None:
        self._app = app
        self._requests = requests
        self._send_timeout = send_timeout
        self._request_timeout = request_timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(_request_id(Headers(scope=scope)))
        state = scope.setdefault("state", {})
        state["request_id"], state["stopping"] = exchange.id, self._requests.stopping
        over = self._requests.add(exchange)
        try:
            if scope["type"] == "http":
                await self._http(exchange, scope, receive, send)
            else:
                await self._websocket(exchange, scope, receive, send)
        finally:
            over()

    async def _websocket(self, exchange: _Exchange, scope: Scope, receive: Receive, send: Send) -> None:
        exchange.is_received = True
        try:
            await self._app(scope, receive, send)
        except asyncio.CancelledError:
            if not exchange.is_ended:
                raise
            _go_on()

    async def _http(self, exchange: _Exchange, scope: Scope, receive: Receive, send: Send) -> None:
        answer = self._answering(exchange, send)
        try:
            self._requests.check_open()
            await self._app(_as_get(scope), self._receiving(exchange, receive), answer)
        except asyncio.CancelledError:
            if not exchange.is_ended:
                raise
            _go_on()
            await _end(exchange, ShuttingDown("The server went down."), scope, answer)
        except ClientStalled:
            _LOGGER.info("Request %s: given up, the client took nothing for too long.", exchange.id)
            _abort(scope)
        except HTTPException as refused:  # by a layer between this one and the routes
            await framework_error_response(refused, scope["method"], exchange.id)(scope, receive, answer)
        except Exception as error:  # noqa: BLE001 - whatever broke, the client is told
            await _end(exchange, error, scope, answer)

    def _receiving(self, exchange: _Exchange, receive: Receive) -> Receive:
        async def received() -> Message:
            if exchange.is_received:
                return await receive()
            try:
                async with asyncio.timeout_at(until):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(*_NOT_TAKEN) from None
            exchange.is_received = not message.get("more_body", False)
            return message

        until = asyncio.get_running_loop().time() + self._request_timeout
        return received

    def _answering(self, exchange: _Exchange, send: Send) -> Send:
        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.has_started = True
                MutableHeaders(scope=message)[REQUEST_ID] = exchange.id
            try:
                async with asyncio.timeout(self._send_timeout):
                    await send(message)
            except TimeoutError:
                raise ClientStalled from None

        return answer


def _request_id(headers: Headers) -> str:
    wanted = headers.get(REQUEST_ID, "")
    return wanted if _USABLE_ID.fullmatch(wanted) else secrets.token_hex(8)


def _as_get(scope: Scope) -> Scope:
    """HEAD is answered as GET; the server below leaves the body out."""
    is_head = scope["method"] == "HEAD"
    scope["state"]["is_head"] = is_head
    return {**scope, "method": "GET"} if is_head else scope


def _go_on() -> None:
    """Take back the cancellation of this task, which is left to end in peace."""
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()


async def _end(exchange: _Exchange, error: Exception, scope: Scope, answer: Send) -> None:
    cause = error.__cause__ if isinstance(error.__cause__, SpeechError) else error
    told = to_speech_error(cause)
    if told is not cause:
        _LOGGER.error("Request %s broke.", exchange.id, exc_info=error)
    if exchange.has_started:
        # Returning without an end makes the server below close the connection: the client sees a cut body.
        _LOGGER.warning("Request %s: cut off after its first byte. %s", exchange.id, told)
        return
    try:
        await error_response(told, exchange.id)(scope, _nothing_comes, answer)
    except ClientStalled:
        _abort(scope)


async def _nothing_comes() -> Message:
    return {"type": "http.disconnect"}


def _abort(scope: Scope) -> None:
    abort: Callable[[], None] | None = scope["state"].get("abort")
    if abort is not None:
        abort()
