"""Mounts the web page in the HTTP app: built lazily on the first visit, and isolated when it fails.

Building may take seconds, and early visitors see a loading page. A visit is one of the user: what another
site's page requests, or what the browser only prefetches, builds nothing. The page is any ASGI app that a
coroutine function builds; this module does not import it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from starlette.datastructures import Headers, URLPath
from starlette.routing import BaseRoute, Match, NoMatchFound
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wyoming_tts.transports.http.errors import ApiError, error_response
from wyoming_tts.transports.http.initiator import Initiator
from wyoming_tts.transports.http.login import send_page
from wyoming_tts.transports.http.page_filter import PageFilter, is_allowed, is_page_path
from wyoming_tts.transports.http.plain_pages import failed_page, loading_page, visit_page

_BUILD_TIMEOUT = 30.0
"""Seconds that a script of a page that is open already waits for it to be built again."""
_SCRIPTS = "/static/"
_SHUTDOWN_TIMEOUT = 2.0
"""Seconds that the page may take to shut down."""
_LOGGER = logging.getLogger(__name__)


class PageMount(BaseRoute):
    """A catch-all route for the page's paths; it has to be the last route of its app."""

    def __init__(self, build: Callable[[], Awaitable[ASGIApp]]) -> None:
        """`build` may take seconds and raise anything."""
        self._build = build
        self._requested = asyncio.Event()
        self._settled = asyncio.Event()
        """Set once it is built, or cannot be."""
        self._app: ASGIApp | None = None
        self._has_failed = False

    def __repr__(self) -> str:
        state = "failed" if self._has_failed else "ready" if self._app else "not built"
        return f"<PageMount {state}>"

    @property
    def is_ready(self) -> bool:
        """Whether the page is built and served."""
        return self._app is not None

    @property
    def is_requested(self) -> bool:
        """Whether it is being built, or has been."""
        return self._requested.is_set()

    def start(self) -> None:
        """Start building the page now; otherwise the first visit does."""
        self._requested.set()

    async def run(self) -> None:
        """Build the page on request and serve it until cancelled; a failure is logged."""
        await self._requested.wait()
        started = time.perf_counter()
        try:
            app = await self._build()
            async with run_lifespan(app):
                _LOGGER.info("The web page is ready (%.1f s).", time.perf_counter() - started)
                self._app = PageFilter(app)
                self._settled.set()
                await asyncio.Event().wait()
        except Exception:  # whatever it is: the server does more than serve the page
            self._has_failed = True
            _LOGGER.exception("The web page failed to load.")
        finally:
            self._app = None
            self._settled.set()

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match the page's paths."""
        is_ours = scope["type"] == "http" and is_page_path(_path(scope))
        return (Match.FULL if is_ours else Match.NONE), {}

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        """Raise: nothing here has a name."""
        raise NoMatchFound(name, path_params)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the page, or the loading or failure page in its place."""
        path = _path(scope)
        if not is_allowed(scope["method"], path):
            await _refuse(404, "There is nothing at this path.", "not_found")(scope, receive, send)
        elif self._app is not None or await self._is_built_for(scope, path):
            assert self._app is not None
            await self._app(scope, receive, send)
        elif path == "/":
            await self._send_plain_page(scope, send)
        else:
            await _refuse(503, "The web page is still loading.", "not_ready")(scope, receive, send)

    async def _is_built_for(self, scope: Scope, path: str) -> bool:
        """Build the page for one that outlived a restart of the server, and has scripts still to come."""
        if not path.startswith(_SCRIPTS) or _initiator(scope) is not Initiator.SAME_ORIGIN:
            return False
        self.start()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_BUILD_TIMEOUT):
                await self._settled.wait()
        return self._app is not None

    async def _send_plain_page(self, scope: Scope, send: Send) -> None:
        accepted = Headers(scope=scope).get("accept-language", "")
        initiator = _initiator(scope)
        if initiator not in {Initiator.UNKNOWN, Initiator.CROSS_ORIGIN}:
            self.start()
        if self._has_failed:
            page = failed_page(accepted)
        elif initiator is Initiator.CROSS_ORIGIN and not self.is_requested:
            page = visit_page(accepted)
        else:
            page = loading_page(accepted)  # its script visits as a page of this server
        await send_page(page, send)


def _initiator(scope: Scope) -> Initiator | None:
    found: Initiator | None = scope.get("state", {}).get("initiator")
    return found


def _path(scope: Scope) -> str:
    return str(scope["path"]).removeprefix(str(scope.get("root_path", "")))


def _refuse(status: int, message: str, code: str) -> ASGIApp:
    return error_response(ApiError(status, message, code=code), "")


@asynccontextmanager
async def run_lifespan(app: ASGIApp) -> AsyncIterator[None]:
    """Run an app's startup and shutdown, by ASGI's lifespan protocol.

    Raises:
        RuntimeError: the startup failed.
    """
    events: asyncio.Queue[Message] = asyncio.Queue()
    answers: asyncio.Queue[Message] = asyncio.Queue()
    scope: Scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_run_app(app, scope, events, answers))
        events.put_nowait({"type": "lifespan.startup"})
        answer = await answers.get()
        if answer["type"] != "lifespan.startup.complete":
            raise RuntimeError(f"The web page did not start: {answer.get('message') or 'it ended early'}")
        try:
            yield
        finally:
            events.put_nowait({"type": "lifespan.shutdown"})
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_SHUTDOWN_TIMEOUT):
                    await answers.get()


async def _run_app(
    app: ASGIApp, scope: Scope, events: asyncio.Queue[Message], answers: asyncio.Queue[Message]
) -> None:
    await app(scope, events.get, answers.put)
    answers.put_nowait({"type": "lifespan.over"})
