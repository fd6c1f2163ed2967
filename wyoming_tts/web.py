"""The HTTP side of a running server: who may come in, and an API that comes up beside everything else.

Nothing of it is imported before the Wyoming port is open, and nothing that it fails at ends the server.
"""

from __future__ import annotations

import logging
import socket
from typing import TYPE_CHECKING

from wyoming_tts.blocking import RunBlocking
from wyoming_tts.options import guard_options
from wyoming_tts.settings import Settings
from wyoming_tts.transports.guard import Guard, Networks
from wyoming_tts.transports.house import House

if TYPE_CHECKING:
    from wyoming_tts.transports.http import HttpServer

_LOGGER = logging.getLogger(__name__)


class Doorkeeper:
    """Who may come in, by Wyoming and by HTTP; other rules may be given while the server runs."""

    def __init__(self, settings: Settings) -> None:
        self._networks = Networks(settings.allow_networks)
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
        networks = Networks(settings.allow_networks)
        self.guard.replace(guard_options(settings, self._names))
        self._networks = networks


class HttpDoor:
    """The HTTP API and the realtime WebSocket of a running server."""

    def __init__(
        self, settings: Settings, house: House, doorkeeper: Doorkeeper, *, run_blocking: RunBlocking
    ) -> None:
        self._settings = settings
        self._house = house
        self._doorkeeper = doorkeeper
        self._run_blocking = run_blocking
        self._server: HttpServer | None = None
        self._is_stopping = False

    def __repr__(self) -> str:
        return f"<HttpDoor {self._server or 'closed'}>"

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
            await server.serve()

    async def stop(self, grace: float) -> None:
        """Take nobody new, and give what is spoken `grace` seconds to end."""
        self._is_stopping = True
        if self._server is not None:
            await self._server.stop(grace)

    def _made(self) -> HttpServer:
        # What takes half a second to import, on a worker.
        from starlette.middleware import Middleware  # noqa: PLC0415

        from wyoming_tts import web_options  # noqa: PLC0415
        from wyoming_tts.transports.http import HttpServer, create_app  # noqa: PLC0415
        from wyoming_tts.transports.realtime_api import realtime_router  # noqa: PLC0415

        settings = self._settings
        realtime = realtime_router(
            self._house, web_options.realtime_options(settings), run_blocking=self._run_blocking
        )
        app = create_app(
            self._house,
            web_options.http_options(settings),
            run_blocking=self._run_blocking,
            routers=[realtime],
            middleware=[Middleware(self._doorkeeper.guard.around)],
        )
        return HttpServer(app, web_options.server_options(settings), run_blocking=self._run_blocking)

    def _complain(self, error: OSError) -> None:
        _LOGGER.error(
            "There is no HTTP API: port %s cannot be listened on, or the certificate cannot be used (%s). "
            "Stop what listens there, choose another port with --http-port, or switch it off with --no-http.",
            self._settings.http_port,
            error.strerror or error,
        )


def _addresses(server: HttpServer) -> str:
    scheme = "https" if server.is_encrypted else "http"
    hosts = (f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in server.bound)
    return ", ".join(f"{scheme}://{where}" for where in hosts)
