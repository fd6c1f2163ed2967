"""The web page's place in the HTTP app: it is made when somebody first wants it, and may fail for itself.

What makes it takes seconds, so it runs elsewhere, and whoever came early sees that the page is on its way.
Nothing here knows what the page is made with: it is an ASGI application that somebody builds.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.datastructures import Headers, URLPath
from starlette.routing import BaseRoute, Match, NoMatchFound
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wyoming_tts.blocking import RunBlocking
from wyoming_tts.transports.http.errors import ApiError, error_response
from wyoming_tts.transports.http.gradio_filter import GradioFilter, is_allowed, is_page_path
from wyoming_tts.transports.http.login import send_page
from wyoming_tts.transports.http.plain_pages import failed_page, loading_page
from wyoming_tts.transports.http.precomputed_routes import precompute_routes

SHORT_TURN = 0.0005
"""Seconds after which the thread that imports has to let others run; Python's own 5 ms add up on the loop."""
_END_PATIENCE = 2.0
"""Seconds that the page has to put its things away."""
_LASTING = ("/gradio_api/queue/data", "/gradio_api/heartbeat/")
"""Beginnings of the paths whose answers last as long as the browser is there."""

_LOGGER = logging.getLogger(__name__)


class PageMount(BaseRoute):
    """A route for the paths of the page; the last of its app, it leaves all others alone."""

    def __init__(self, build: Callable[[], ASGIApp], *, run_blocking: RunBlocking) -> None:
        """`build` blocks for seconds, and may raise whatever it likes."""
        self._build = build
        self._run_blocking = run_blocking
        self._wanted = asyncio.Event()
        self._app: ASGIApp | None = None
        self._has_failed = False

    def __repr__(self) -> str:
        state = "failed" if self._has_failed else "ready" if self._app else "not made"
        return f"<PageMount {state}>"

    @property
    def is_ready(self) -> bool:
        """Whether the page is there."""
        return self._app is not None

    def start(self) -> None:
        """Have the page made now; who visits it does the same."""
        self._wanted.set()

    async def run(self) -> None:
        """Make the page when it is wanted, and keep it until this is cancelled; a failure is logged."""
        await self._wanted.wait()
        started = time.perf_counter()
        try:
            app = await self._run_blocking(self._built)
            async with run_lifespan(app):
                _LOGGER.info("The page is there (%.1f s).", time.perf_counter() - started)
                self._app = GradioFilter(app)
                await asyncio.Event().wait()
        except Exception:  # whatever it is: the server does more than show a page
            self._has_failed = True
            _LOGGER.exception("There is no page.")
        finally:
            self._app = None

    def _built(self) -> ASGIApp:
        with limit_stalls():
            app = self._build()
            precompute_routes(app)
            return app

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Take what is the page's."""
        is_ours = scope["type"] == "http" and is_page_path(_path(scope))
        return (Match.FULL if is_ours else Match.NONE), {}

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        """Nothing here has a name."""
        raise NoMatchFound(name, path_params)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with the page, or with what there is of it."""
        path = _path(scope)
        if not is_allowed(scope["method"], path):
            await _refuse(404, "There is nothing at this path.", "not_found")(scope, receive, send)
        elif self._app is not None:
            await _until_stopped(self._app, path, scope, receive, send)
        elif path == "/":
            await self._plain(scope, send)
        else:
            await _refuse(503, "The page is not there yet.", "not_ready")(scope, receive, send)

    async def _plain(self, scope: Scope, send: Send) -> None:
        self.start()
        accepted = Headers(scope=scope).get("accept-language", "")
        await send_page(failed_page(accepted) if self._has_failed else loading_page(accepted), send)


def _path(scope: Scope) -> str:
    return str(scope["path"]).removeprefix(str(scope.get("root_path", "")))


def _refuse(status: int, message: str, code: str) -> ASGIApp:
    return error_response(ApiError(status, message, code=code), "")


async def _until_stopped(app: ASGIApp, path: str, scope: Scope, receive: Receive, send: Send) -> None:
    """Serve a request; an answer that would last ends when the server does."""
    stopping: asyncio.Event | None = scope["state"].get("stopping")
    if stopping is None or not path.startswith(_LASTING):
        await app(scope, receive, send)
        return
    async with asyncio.TaskGroup() as tasks:
        ends = [tasks.create_task(way) for way in (_served(app, scope, receive, send), stopping.wait())]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for end in ends:
            end.cancel()


async def _served(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    await app(scope, receive, send)


@contextlib.contextmanager
def limit_stalls() -> Iterator[None]:
    """Have what is heavy keep the other threads of this process waiting as little as can be.

    They take turns more often. Nothing collects garbage meanwhile: to look through all that was imported
    takes more than 100 ms, in which no other thread runs; it is never looked through afterwards either.
    """
    before, collects = sys.getswitchinterval(), gc.isenabled()
    sys.setswitchinterval(min(SHORT_TURN, before))
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if collects:
            gc.enable()
        sys.setswitchinterval(before)


@asynccontextmanager
async def run_lifespan(app: ASGIApp) -> AsyncIterator[None]:
    """Start an application and stop it again, as ASGI's lifespan protocol has it.

    Raises:
        RuntimeError: it did not start.
    """
    asked: asyncio.Queue[Message] = asyncio.Queue()
    answers: asyncio.Queue[Message] = asyncio.Queue()
    scope: Scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_lived(app, scope, asked, answers))
        asked.put_nowait({"type": "lifespan.startup"})
        answer = await answers.get()
        if answer["type"] != "lifespan.startup.complete":
            raise RuntimeError(f"The page did not start: {answer.get('message') or 'it ended'}")
        try:
            yield
        finally:
            asked.put_nowait({"type": "lifespan.shutdown"})
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_END_PATIENCE):
                    await answers.get()


async def _lived(
    app: ASGIApp, scope: Scope, asked: asyncio.Queue[Message], answers: asyncio.Queue[Message]
) -> None:
    await app(scope, asked.get, answers.put)
    answers.put_nowait({"type": "lifespan.over"})
