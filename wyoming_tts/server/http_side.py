"""The HTTP side of a running server: who may come in, and an API that comes up beside everything else.

Nothing of it is imported before the Wyoming port is open, and nothing that it fails at ends the server.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING

from wyoming_tts.assembly.options import guard_options
from wyoming_tts.blocking import RunBlocking
from wyoming_tts.settings import Settings
from wyoming_tts.transports.http.guard import AllowedNetworks, Guard
from wyoming_tts.transports.listening import host_in_uri
from wyoming_tts.transports.ports import SpeechService

if TYPE_CHECKING:
    from fastapi import APIRouter, FastAPI

    from wyoming_tts.page import PageServices
    from wyoming_tts.transports.http.app import HttpServer
    from wyoming_tts.transports.http.page_mount import PageMount

_PAGE_NEEDS = "gradio"
"""The package, which smaller installations leave out."""
_LOOK_EVERY = 0.5
"""Seconds between looks whether the server is ready."""

_LOGGER = logging.getLogger(__name__)


class AccessPolicy:
    """Who may come in, by Wyoming and by HTTP; other rules may be given while the server runs."""

    def __init__(self, settings: Settings) -> None:
        self._networks = AllowedNetworks(settings.allow_networks)
        self._names = (socket.gethostname(),)
        self.guard = Guard(None, guard_options(settings, self._names))

    def allows(self, address: str) -> bool:
        """Whether the machine of that address is served."""
        return self._networks.allows(address)

    def replace(self, settings: Settings) -> None:
        """Go by these from the next client on.

        Raises:
            ValueError: they make no sense; those before stay.
        """
        networks = AllowedNetworks(settings.allow_networks)
        self.guard.reconfigure(guard_options(settings, self._names))
        self._networks = networks


class HttpSide:
    """The HTTP API, the realtime WebSocket and the web page of a running server."""

    def __init__(
        self,
        settings: Settings,
        house: SpeechService,
        doorkeeper: AccessPolicy,
        *,
        run_blocking: RunBlocking,
        desks: Callable[[], PageServices] | None = None,
    ) -> None:
        """Open nothing yet.

        Args:
            settings: All of them.
            house: What speaks.
            doorkeeper: Who may come in.
            run_blocking: For what would hold the event loop up.
            desks: Makes what does the page's work; called on a worker, where the settings want a page.
        """
        self._settings = settings
        self._house = house
        self._doorkeeper = doorkeeper
        self._run_blocking = run_blocking
        self._make_desks = desks
        self._server: HttpServer | None = None
        self._page: PageMount | None = None
        self._desks: PageServices | None = None
        self._is_stopping = False

    def __repr__(self) -> str:
        return f"<HttpDoor {self._server or 'closed'}>"

    @property
    def bound(self) -> list[tuple[str, int]]:
        """The (host, port) of each socket that listens; none while it is not open."""
        return self._server.bound if self._server is not None else []

    @property
    def is_encrypted(self) -> bool:
        """Whether it speaks TLS."""
        return self._server is not None and self._server.is_encrypted

    async def serve(self) -> None:
        """Open it, and answer until `stop`; a failure is logged, and the server goes on without."""
        if not self._settings.http or self._settings.uri == "stdio://":
            return
        try:
            server = await self._run_blocking(self._made)
            await server.start()
        except OSError as error:
            self._complain(error)
            return
        except Exception:  # whatever it is: those who speak Wyoming are served
            _LOGGER.exception("There is no HTTP API.")
            return
        async with server:
            if self._is_stopping:
                return
            self._server = server
            _LOGGER.info("The HTTP API listens on %s.", _addresses(server))
            async with asyncio.TaskGroup() as tasks:
                page = tasks.create_task(self._keep_page())
                await server.serve()
                page.cancel()

    async def _keep_page(self) -> None:
        if self._page is None:
            return
        if self._settings.ui_start == "ready":
            while not self._house.is_ready():  # noqa: ASYNC110 - whatever makes it so tells nobody
                await asyncio.sleep(_LOOK_EVERY)
            self._page.start()
        await self._page.run()

    async def stop(self, grace: float) -> None:
        """Take nobody new, and give what is spoken `grace` seconds to end."""
        self._is_stopping = True
        if self._desks is not None:
            await self._desks.stream_test.close()
        if self._server is not None:
            await self._server.stop(grace)

    def _made(self) -> HttpServer:
        # What takes half a second to import, on a worker.
        from starlette.middleware import Middleware  # noqa: PLC0415

        from wyoming_tts.assembly import http_options as web_options  # noqa: PLC0415
        from wyoming_tts.transports.http.app import HttpServer, create_app  # noqa: PLC0415
        from wyoming_tts.transports.http.ingress import IngressMiddleware  # noqa: PLC0415
        from wyoming_tts.transports.http.page_mount import PageMount  # noqa: PLC0415
        from wyoming_tts.transports.realtime.route import realtime_router  # noqa: PLC0415

        settings, guard = self._settings, self._doorkeeper.guard
        desks = self._desks = self._desks_if_wanted()
        realtime = realtime_router(
            self._house, web_options.realtime_options(settings), run_blocking=self._run_blocking
        )
        app = create_app(
            self._house,
            web_options.http_options(settings),
            run_blocking=self._run_blocking,
            routers=[realtime, *_routers(desks)],
            middleware=[Middleware(guard.wrap), Middleware(IngressMiddleware, peer=guard.ingress)],
        )
        if desks is not None:
            self._page = PageMount(partial(_page, desks), run_blocking=self._run_blocking)
            app.router.routes.append(self._page)
        return HttpServer(app, web_options.server_options(settings), run_blocking=self._run_blocking)

    def _desks_if_wanted(self) -> PageServices | None:
        if not self._settings.ui or self._make_desks is None:
            return None
        if find_spec(_PAGE_NEEDS) is None:
            _LOGGER.warning(
                "There is no page: the package %s is not installed. Install it, or switch the page off with "
                "--no-ui.",
                _PAGE_NEEDS,
            )
            return None
        try:
            return self._make_desks()
        except Exception:  # the API is there all the same
            _LOGGER.exception("There is no page.")
            return None

    def _complain(self, error: OSError) -> None:
        _LOGGER.error(
            "There is no HTTP API: port %s cannot be listened on, or the certificate cannot be used (%s). "
            "Stop what listens there, choose another port with --http-port, or switch it off with --no-http.",
            self._settings.http_port,
            error.strerror or error,
        )


def _routers(desks: PageServices | None) -> list[APIRouter]:
    if desks is None:
        return []
    from wyoming_tts.page.services import page_routers  # noqa: PLC0415

    return page_routers(desks)


def _page(desks: PageServices) -> FastAPI:
    """Make the page. Imports Gradio, which takes seconds and much memory."""
    from ui.mounted import mounted  # noqa: PLC0415

    return mounted(desks)


def _addresses(server: HttpServer) -> str:
    scheme = "https" if server.is_encrypted else "http"
    return ", ".join(f"{scheme}://{host_in_uri(host)}:{port}" for host, port in server.bound)
