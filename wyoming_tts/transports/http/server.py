"""The HTTP server as a task of this process: uvicorn, with nothing of its own in signals, logs and stopping.

uvicorn's server is made for a process of its own. Here the process decides when to stop, and a client that
only sits there, says half a request, or never reads its answer is not waited for.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Generator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from wyoming_tts.blocking import RunBlocking
from wyoming_tts.transports.http.request_lifecycle import OpenRequests
from wyoming_tts.transports.listening import BACKLOG, ListenAddress, bind_tcp

SEND_BUFFER = 128 * 1024
"""Bytes the kernel holds for a client, so that speech is not made for minutes ahead of a listener."""
MAX_HEADERS = 32 * 1024
"""Bytes of a request's line and headers."""
CLOSING_TIME = 0.5
"""Seconds for the last bytes of answers to leave, once the server stops."""
_LOOK_EVERY = 0.02


def _is_news(record: logging.LogRecord) -> bool:
    # A body that is cut off is our doing, and logged where it is done.
    return "returned without completing response" not in record.getMessage()


_CONNECTIONS_LOGGER = logging.getLogger(f"{__name__}.connections")
_CONNECTIONS_LOGGER.addFilter(_is_news)


@dataclass(frozen=True, slots=True)
class HttpServerOptions:
    """Where to listen, and how."""

    host: str = "127.0.0.1"
    port: int = 8880
    certificate: Path | None = None
    """PEM; None speaks no TLS."""
    key: Path | None = None
    """PEM; None: it is in the certificate's file."""
    request_timeout: float = 30.0
    """Seconds in which the line and the headers of a request must have come."""
    max_message_bytes: int = 1024 * 1024
    """Of one WebSocket message."""


class _Connection(H11Protocol):
    """A client, for whom little is held and who has to say something in time."""

    request_timeout: float
    _overdue: asyncio.TimerHandle | None = None

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.logger = _CONNECTIONS_LOGGER

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        self.app_state = {**self.app_state, "abort": transport.abort}
        self._expect_request()

    def connection_lost(self, exc: Exception | None) -> None:
        self._expect_nothing()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        self._expect_request()
        super().on_response_complete()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        self._expect_nothing()
        super().handle_websocket_upgrade(event)

    def _expect_request(self) -> None:
        self._expect_nothing()
        self._overdue = self.loop.call_later(self.request_timeout, self._close_if_silent, self.cycle)

    def _expect_nothing(self) -> None:
        if self._overdue is not None:
            self._overdue.cancel()
            self._overdue = None

    def _close_if_silent(self, cycle: object) -> None:
        if self.cycle is cycle:
            self.transport.abort()


class _Server(uvicorn.Server):
    """uvicorn without its hands on the process's signals; `HttpTarget.stop` ends the connections."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for listener in self.servers:
            listener.close()
        for sock in sockets or ():
            sock.close()


class HttpServer:
    """Serves an app of `create_app` at one address. Leaving `async with` stops it at once."""

    def __init__(self, app: FastAPI, options: HttpServerOptions, *, run_blocking: RunBlocking) -> None:
        """`run_blocking` is for names that are looked up and certificates that are read."""
        self._options = options
        self._run_blocking = run_blocking
        self._requests: OpenRequests = app.state.requests
        self._sockets: list[socket.socket] = []
        self._server = _Server(_uvicorn_config(app, options))
        self._finished = asyncio.Event()
        self._is_serving = False

    def __repr__(self) -> str:
        return f"<HttpServer bound={self.bound} requests={len(self._requests)}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def bound(self) -> list[tuple[str, int]]:
        """The (host, port) of each socket that listens."""
        return [sock.getsockname()[:2] for sock in self._sockets if sock.fileno() != -1]

    @property
    def is_encrypted(self) -> bool:
        """Whether it speaks TLS."""
        return self._options.certificate is not None

    async def start(self) -> None:
        """Listen; `serve` answers.

        Raises:
            OSError: the address cannot be listened on, or the certificate cannot be used.
        """
        await self._run_blocking(self._server.config.load)
        address = ListenAddress("tcp", self._options.host, self._options.port)
        self._sockets = await self._run_blocking(partial(bind_tcp, address))

    async def serve(self) -> None:
        """Answer until `stop`."""
        self._is_serving = True
        try:
            await self._server.serve(self._sockets)
        finally:
            self._is_serving = False
            self._finished.set()

    async def stop(self, grace: float = 0.0) -> None:
        """Take nobody new, give what is being answered `grace` seconds, end it then; leave nothing open."""
        self._requests.stopping.set()
        listeners = getattr(self._server, "servers", [])
        for listener in listeners:
            listener.close()
        self._wind_down(_Connection)
        await self._requests.end(grace)
        await self._close_connections()
        self._server.should_exit = True
        if self._is_serving:
            await self._finished.wait()
        for sock in self._sockets:
            sock.close()

    def _wind_down(self, kind: type[object]) -> None:
        """Close those connections of a kind that have nothing to do, and the rest after their answer."""
        for connection in list(self._server.server_state.connections):
            if isinstance(connection, kind):
                # One that spoke no HTTP has been told so, and is closing already.
                with contextlib.suppress(h11.LocalProtocolError):
                    connection.shutdown()

    async def _close_connections(self) -> None:
        connections = self._server.server_state.connections
        self._wind_down(object)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSING_TIME):
                while connections:  # noqa: ASYNC110 - uvicorn tells nobody that the last one is closed
                    await asyncio.sleep(_LOOK_EVERY)
        for connection in list(connections):
            if connection.transport is not None:
                connection.transport.abort()


def _uvicorn_config(app: FastAPI, options: HttpServerOptions) -> uvicorn.Config:
    protocol = type("_TimedConnection", (_Connection,), {"request_timeout": options.request_timeout})
    return uvicorn.Config(
        app,
        loop="none",
        http=protocol,
        ws="websockets-sansio",
        ws_max_size=options.max_message_bytes,
        ws_per_message_deflate=False,  # audio does not shrink, and time matters
        lifespan="off",
        log_config=None,
        log_level=logging.WARNING,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        ssl_certfile=options.certificate,
        ssl_keyfile=options.key,
        h11_max_incomplete_event_size=MAX_HEADERS,
    )
