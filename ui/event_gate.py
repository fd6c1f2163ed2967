"""Event gate: what may reach Gradio's event queue, checked before Gradio sees it.

Gradio 6.31.0 answers an event that its page would never send with a traceback, often with the values in it,
and makes a session for every name that a client invents. Behind this middleware events are those of the page,
with as many flat values as their handler takes, and sessions are limited in number and time.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import QueryParams
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ui import failure_log
from ui.event_driven_queue import EventDrivenQueue
from ui.sessions import Sessions, TooManySessions
from wyoming_tts.bounded_json import InvalidJson, JsonLimits, parse_json

PREFIX = "/gradio_api"
MAX_EVENTS_PER_ADDRESS = 16
"""Half of what the queue takes: somebody else's page still gets its events in."""
_LIMITS = JsonLimits(values=1000, depth=8)
_SESSION = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MAX_ID = 2**31
_HEARTBEAT = f"{PREFIX}/heartbeat/"
_RELOAD = "Reload the page."


class EventRefused(Exception):
    """A request that Gradio does not get to see."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


class PageFailed(Exception):
    """Gradio failed; the log says where."""


@dataclass(frozen=True, slots=True)
class PageEvent:
    """An event as the page sends it."""

    session_hash: str
    fn_index: int
    data: list[Any]
    trigger_id: int | None = None
    event_data: Any = None

    def to_body(self) -> bytes:
        """Return the body of the request to Gradio's queue."""
        return json.dumps({name: getattr(self, name) for name in self.__slots__}).encode()


def parse_event(body: bytes, handlers: Mapping[int, int]) -> PageEvent:
    """Parse the body of a request to join the queue.

    Args:
        body: JSON.
        handlers: How many values each handler on the server takes, by its number.

    Raises:
        EventRefused: the page would not send it.
    """
    given = _parse_object(body)
    number, data = given.get("fn_index"), given.get("data")
    if not isinstance(number, int) or isinstance(number, bool) or number not in handlers:
        raise EventRefused(f"The page has no such event. {_RELOAD}", 404)
    if not isinstance(data, list) or len(data) != handlers[number]:
        raise EventRefused(f"Expected a list of {handlers[number]} values as `data`. {_RELOAD}")
    if not all(map(_is_flat, data)):
        raise EventRefused("Expected text, numbers, true, false, null or a list of those as each value.")
    return PageEvent(
        _session(given.get("session_hash")),
        number,
        data,
        _number(given, "trigger_id"),
        given.get("event_data"),
    )


def parse_ids(body: bytes, names: Iterable[str]) -> bytes:
    """Check a request that names events, and return it without anything else.

    Raises:
        EventRefused: a name is malformed.
    """
    given = _parse_object(body)
    checked = {name: given.get(name) for name in names}
    if "fn_index" in checked and _number(given, "fn_index") is None:
        raise EventRefused("Expected a number as `fn_index`.")
    for name in checked.keys() - {"fn_index"}:
        _session(checked[name], name)
    return json.dumps(checked).encode()


def _parse_object(body: bytes) -> dict[str, Any]:
    try:
        given = parse_json(body, _LIMITS)
    except InvalidJson as error:
        raise EventRefused(f"The body is not usable JSON: {error}.") from None
    if not isinstance(given, dict):
        raise EventRefused("Expected a JSON object.")
    return given


def _session(value: object, name: str = "session_hash") -> str:
    if not isinstance(value, str) or not _SESSION.fullmatch(value):
        raise EventRefused(f"Expected 1 to 64 letters or digits as `{name}`.")
    return value


def _number(given: Mapping[str, Any], name: str) -> int | None:
    value = given.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < _MAX_ID:
        raise EventRefused(f"Expected a number as `{name}`.")
    return value


def _is_flat(value: object) -> bool:
    return all(map(_is_scalar, value)) if isinstance(value, list) else _is_scalar(value)


def _is_scalar(value: object) -> bool:
    if isinstance(value, str):
        return value.isascii() or not any("\ud800" <= sign <= "\udfff" for sign in value)
    return value is None or (isinstance(value, int | float) and math.isfinite(value))


class EventGate:
    """Middleware around Gradio's app."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        handlers: Mapping[int, int],
        queue: EventDrivenQueue,
        forget: Callable[[str], None],
        sessions: Sessions | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Store what is needed.

        Args:
            app: Gradio's.
            handlers: How many values each handler on the server takes, by its number.
            queue: Gradio's.
            forget: Drops everything that Gradio keeps of a session.
            sessions: The sessions, empty.
            clock: The time in seconds.
        """
        self._app = app
        self._handlers = handlers
        self._queue = queue
        self._forget = forget
        self._sessions = Sessions() if sessions is None else sessions
        self._clock = clock
        self._timer: asyncio.TimerHandle | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = str(scope["path"]).removeprefix(str(scope.get("root_path", ""))).removesuffix("/")
        try:
            await self._serve(path, scope, receive, send)
        except EventRefused as refused:
            await JSONResponse({"detail": refused.message}, refused.status)(scope, receive, send)
        except Exception:  # noqa: BLE001 - whatever it is, its message may quote what a user wrote
            failure_log.print_exc()
            raise PageFailed from None

    async def _serve(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "POST" and path == f"{PREFIX}/queue/join":
            receive = await self._admit(scope, receive)
        elif scope["method"] == "POST" and path == f"{PREFIX}/cancel":
            receive = _replay(
                parse_ids(await _read(receive), ("session_hash", "fn_index", "event_id")), receive
            )
        elif scope["method"] == "POST" and path == f"{PREFIX}/reset":
            receive = _replay(parse_ids(await _read(receive), ("event_id",)), receive)
        elif path.startswith(_HEARTBEAT):
            await self._hear(path.removeprefix(_HEARTBEAT), scope, receive, send)
            return
        elif path == f"{PREFIX}/queue/data":
            session = QueryParams(scope["query_string"]).get("session_hash")
            if session is None or session not in self._queue.pending_messages_per_session:
                raise EventRefused("There is no such session.", 404)
            await self._hear(session, scope, receive, send)
            return
        await self._app(scope, receive, send)

    async def _admit(self, scope: Scope, receive: Receive) -> Receive:
        """Check an event, note its session, and return its request for Gradio."""
        event = parse_event(await _read(receive), self._handlers)
        address = _address(scope)
        if not self._queue.is_read(event.session_hash):
            raise EventRefused(f"Nobody reads the events of this session. {_RELOAD}", 429)
        if self._queue.pending_of(address) >= MAX_EVENTS_PER_ADDRESS:
            raise EventRefused("The last events of your address are still being processed. Try again.", 429)
        self._note(self._sessions.use, event.session_hash, address)
        return _replay(event.to_body(), receive)

    async def _hear(self, session: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a connection that lasts as long as the browser hears its session."""
        self._note(self._sessions.connect, _session(session), _address(scope))
        try:
            await self._app(scope, receive, send)
        finally:
            self._sessions.disconnect(session, self._clock())
            self._set_timer()

    def _note(self, note: Callable[[str, str, float], list[str]], session: str, address: str) -> None:
        self._expire()
        try:
            dropped = note(session, address, self._clock())
        except TooManySessions:
            raise EventRefused("Too many pages are open. Close one and try again.", 429) from None
        for name in dropped:
            self._forget(name)
        self._set_timer()

    def _expire(self) -> None:
        for name in self._sessions.expire(self._clock()):
            self._forget(name)
        self._set_timer()

    def _set_timer(self) -> None:
        """Wake up for the next session that expires; without one, never."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        at = self._sessions.next_expiry()
        if at is not None:
            delay = max(0.0, at - self._clock())
            self._timer = asyncio.get_running_loop().call_later(delay, self._expire)


def _address(scope: Scope) -> str:
    return str(scope["client"][0]) if scope.get("client") else ""


async def _read(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise EventRefused("The body did not arrive.")
        body += message.get("body", b"")
        if not message.get("more_body", False):
            return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that yields this body, and then whatever follows."""
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return pending.pop() if pending else await receive()

    return replay
