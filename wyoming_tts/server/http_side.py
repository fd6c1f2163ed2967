"""Composition of the HTTP side: the API, the realtime WebSocket and the web page behind one guard.

None of it is imported before the Wyoming port is open, and none of its failures ends the server.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING

from wyoming_tts.blocking import RunBlocking
from wyoming_tts.engines.onnx import trim_heap
from wyoming_tts.server.access_policy import AccessPolicy
from wyoming_tts.settings import Settings
from wyoming_tts.transports.input_pace import LoopBudget
from wyoming_tts.transports.interfaces import SpeechService
from wyoming_tts.transports.listening import host_in_uri

if TYPE_CHECKING:
    from fastapi import APIRouter

    from wyoming_tts.page import PageServices
    from wyoming_tts.transports.http.app import HttpServer
    from wyoming_tts.transports.http.page_mount import PageMount

_PAGE_PACKAGE = "gradio"
"""Smaller installations leave it out."""
_POLL_SECONDS = 0.5
"""Between checks whether the server is ready."""
_TRIM_SECONDS = 15.0
"""From the first body of a flood that is given up to returning its memory: most have ended by then, and the
flood costs a few milliseconds of a worker now and then."""

_LOGGER = logging.getLogger(__name__)


class HttpSide:
    """The HTTP API, the realtime WebSocket and the web page of a running server."""

    def __init__(
        self,
        settings: Settings,
        speech: SpeechService,
        access: AccessPolicy,
        *,
        run_blocking: RunBlocking,
        input_budget: LoopBudget | None = None,
        make_page_services: Callable[[], PageServices] | None = None,
        on_response: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Store what is needed; `serve` opens the port.

        Args:
            settings: All settings.
            speech: The server as HTTP sees it.
            access: Which clients are served.
            run_blocking: Runs what would block the event loop.
            input_budget: What reading from all clients may cost; None for a budget of HTTP's own.
            make_page_services: Called on a worker if the settings enable the page.
            on_response: Called with the status of each HTTP response.
        """
        self._settings = settings
        self._speech = speech
        self._access = access
        self._run_blocking = run_blocking
        self._input_budget = input_budget
        self._make_page_services = make_page_services
        self._on_response = on_response
        self._server: HttpServer | None = None
        self._page: PageMount | None = None
        self.page_services: PageServices | None = None
        """None until `serve` has made them, and without a page."""
        self._is_stopping = False

    def __repr__(self) -> str:
        return f"<HttpSide {self._server or 'closed'}>"

    @property
    def bound(self) -> list[tuple[str, int]]:
        """The (host, port) of each listening socket; empty while the port is not open."""
        return self._server.bound if self._server is not None else []

    @property
    def is_encrypted(self) -> bool:
        """Whether it serves TLS."""
        return self._server is not None and self._server.is_encrypted

    async def serve(self) -> None:
        """Open the port and serve until `stop`; a failure is logged, and the server goes on without HTTP."""
        if not self._settings.http or self._settings.uri == "stdio://":
            return
        try:
            server = await self._run_blocking(self._make_server)
            await server.start()
        except OSError as error:
            self._log_unavailable(error)
            return
        except Exception:  # whatever it is, Wyoming goes on
            _LOGGER.exception("The HTTP API is unavailable.")
            return
        async with server:
            if self._is_stopping:
                return
            self._server = server
            _LOGGER.info("The HTTP API listens on %s.", _addresses(server))
            async with asyncio.TaskGroup() as tasks:
                works = (self._run_page(), self._start_page(), self._return_memory())
                beside = [tasks.create_task(work) for work in works]
                await server.serve()
                for task in beside:
                    task.cancel()

    async def _run_page(self) -> None:
        if self._page is not None:
            await self._page.run()

    async def _start_page(self) -> None:
        """Build the page once the server is ready, if it is to be, or if somebody looks at it here."""
        if self._page is None:
            return
        from wyoming_tts.page.prerendered import was_visited  # noqa: PLC0415

        settings = self._settings
        is_wanted = settings.ui_start == "ready"
        if is_wanted or await was_visited(settings.state_dir, run_blocking=self._run_blocking):
            while self._speech.health().not_ready:  # noqa: ASYNC110 - readiness has no event
                await asyncio.sleep(_POLL_SECONDS)
            self._page.start()

    async def _return_memory(self) -> None:
        """Return the memory of bodies that were given up to the system, some time after a flood of them."""
        given_up = self._access.guard.bodies.given_up
        while await given_up.wait():
            await asyncio.sleep(_TRIM_SECONDS)
            given_up.clear()
            await self._run_blocking(trim_heap)

    async def stop(self, grace: float) -> None:
        """Accept no new clients and give running requests `grace` seconds to finish."""
        self._is_stopping = True
        if self.page_services is not None:
            await self.page_services.stream_test.close()
        if self._server is not None:
            await self._server.stop(grace)

    def _make_server(self) -> HttpServer:
        # Importing these takes half a second: on a worker.
        from starlette.middleware import Middleware  # noqa: PLC0415

        from wyoming_tts.assembly import http_options  # noqa: PLC0415
        from wyoming_tts.transports.http.app import HttpServer, create_app  # noqa: PLC0415
        from wyoming_tts.transports.http.compression import CompressionMiddleware  # noqa: PLC0415
        from wyoming_tts.transports.http.ingress import IngressMiddleware  # noqa: PLC0415
        from wyoming_tts.transports.http.page_mount import PageMount  # noqa: PLC0415
        from wyoming_tts.transports.realtime.route import realtime_router  # noqa: PLC0415

        settings, guard = self._settings, self._access.guard
        page_services = self.page_services = self._page_services_if_enabled()
        realtime = realtime_router(
            self._speech, http_options.realtime_options(settings), run_blocking=self._run_blocking
        )
        app = create_app(
            self._speech,
            http_options.http_options(settings),
            run_blocking=self._run_blocking,
            routers=[realtime, *_page_routers(page_services)],
            middleware=[
                Middleware(guard.wrap),
                Middleware(IngressMiddleware, peer=guard.ingress),
                Middleware(CompressionMiddleware, run_blocking=self._run_blocking),
            ],
            on_response=self._on_response,
        )
        if page_services is not None:
            from wyoming_tts.page.prerendered import make_page  # noqa: PLC0415

            self._page = PageMount(partial(make_page, settings.state_dir, run_blocking=self._run_blocking))
            app.router.routes.append(self._page)
        return HttpServer(
            app,
            http_options.server_options(settings),
            run_blocking=self._run_blocking,
            input_budget=self._input_budget,
        )

    def _page_services_if_enabled(self) -> PageServices | None:
        if not self._settings.ui or self._make_page_services is None:
            return None
        if find_spec(_PAGE_PACKAGE) is None:
            _LOGGER.warning(
                "The web page is unavailable: the package %s is not installed. Install it, or disable the "
                "page with --no-ui.",
                _PAGE_PACKAGE,
            )
            return None
        try:
            return self._make_page_services()
        except Exception:  # the API works without the page
            _LOGGER.exception("The web page is unavailable.")
            return None

    def _log_unavailable(self, error: OSError) -> None:
        _LOGGER.error(
            "The HTTP API is unavailable: port %s cannot be opened, or the certificate cannot be used (%s). "
            "Stop the program that uses the port, choose another one with --http-port, or disable HTTP with "
            "--no-http.",
            self._settings.http_port,
            error.strerror or error,
        )


def _page_routers(services: PageServices | None) -> list[APIRouter]:
    if services is None:
        return []
    from wyoming_tts.page.services import page_routers  # noqa: PLC0415

    return page_routers(services)


def _addresses(server: HttpServer) -> str:
    scheme = "https" if server.is_encrypted else "http"
    return ", ".join(f"{scheme}://{host_in_uri(host)}:{port}" for host, port in server.bound)
