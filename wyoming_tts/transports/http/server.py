"""The HTTP server: uvicorn as a task of this process, with request timeouts and graceful shutdown.

uvicorn expects to own its process. Here its signal handling and logging are off, the process decides when to
stop, and shutdown does not wait for clients that are idle, send half a request or never read their response.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Generator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

import h11
import uvicorn
from fastapi import FastAPI

from wyoming_tts.blocking import RunBlocking
from wyoming_tts.errors import SpeechError
from wyoming_tts.transports.accepting import Acceptor
from wyoming_tts.transports.connection_limits import ConnectionLimits, ConnectionSlot
from wyoming_tts.transports.http.connection import HttpConnection, WebSocketConnection, encode_refusal
from wyoming_tts.transports.http.request_lifecycle import OpenRequests
from wyoming_tts.transports.input_pace import LoopBudget
from wyoming_tts.transports.listening import BACKLOG, ListenAddress, bind_tcp

HANDSHAKE_TIMEOUT = 10.0
"""Seconds that a TLS handshake may take, and closing TLS."""
CLOSING_TIME = 0.5
"""Seconds for the last bytes of responses to be sent once the server stops."""
_POLL_INTERVAL = 0.02
_DATE_SECONDS = 1.0
"""Precision of the `Date` header."""


@dataclass(frozen=True, slots=True)
class HttpServerOptions:
    """Where the HTTP server listens, and its limits."""

    host: str = "127.0.0.1"
    port: int = 8880
    certificate: Path | None = None
    """PEM file; None: no TLS."""
    key: Path | None = None
    """PEM file; None: the key is in the certificate's file."""
    request_timeout: float = 30.0
    """Seconds within which a request's line and headers must arrive."""
    max_message_bytes: int = 1024 * 1024
    """Bytes of one WebSocket message."""
    connections: ConnectionLimits = field(default_factory=ConnectionLimits)
    """Concurrent connections, those of WebSockets included."""


def _no_refusal(_: SpeechError) -> bytes:
    return b""  # before the TLS handshake nothing can be told


class _Server(uvicorn.Server):
    """uvicorn's server on an `Acceptor`, without signal handlers; `HttpServer.stop` closes connections."""

    def __init__(self, config: uvicorn.Config, limits: ConnectionLimits) -> None:
        super().__init__(config)
        self.ended = asyncio.Event()
        """Set together with `should_exit`."""
        self.acceptor = Acceptor(
            limits, serve=self._serve_socket, refusal=_no_refusal if config.is_ssl else encode_refusal
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await self.lifespan.startup()
        self.acceptor.listen(sockets or ())
        self.started = True

    async def _serve_socket(self, sock: socket.socket, slot: ConnectionSlot) -> None:
        config = self.config

        def make_protocol() -> asyncio.Protocol:
            connection: HttpConnection = config.http_protocol_class(  # type: ignore[call-arg, assignment]
                config=config, server_state=self.server_state, app_state=self.lifespan.state
            )
            connection.slot = slot
            return connection

        timeout = HANDSHAKE_TIMEOUT if config.ssl else None
        await asyncio.get_running_loop().connect_accepted_socket(
            make_protocol,
            sock,
            ssl=config.ssl,
            ssl_handshake_timeout=timeout,
            ssl_shutdown_timeout=timeout,
        )

    async def main_loop(self) -> None:
        """Refresh the `Date` of responses once a second; uvicorn wakes up ten times to look for its end."""
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_DATE_SECONDS):
                    await self.ended.wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        del sockets  # the acceptor's
        await self.acceptor.close()


class HttpServer:
    """Serves an app of `create_app` on one address. Leaving `async with` stops it at once."""

    def __init__(
        self,
        app: FastAPI,
        options: HttpServerOptions,
        *,
        run_blocking: RunBlocking,
        input_budget: LoopBudget | None = None,
    ) -> None:
        """Listen nowhere yet.

        Args:
            app: Made by `create_app`.
            options: Where to listen, and limits.
            run_blocking: Runs name resolution and reads certificates.
            input_budget: What reading from all clients may cost; None for one of this server's own.
        """
        self._options = options
        self._run_blocking = run_blocking
        self._requests: OpenRequests = app.state.requests
        self._sockets: list[socket.socket] = []
        self._server = _Server(
            _uvicorn_config(app, options, input_budget or LoopBudget()), options.connections
        )
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
        """The (host, port) of each listening socket."""
        return [sock.getsockname()[:2] for sock in self._sockets if sock.fileno() != -1]

    @property
    def is_encrypted(self) -> bool:
        """Whether it serves TLS."""
        return self._options.certificate is not None

    async def start(self) -> None:
        """Bind and listen; `serve` accepts connections.

        Raises:
            OSError: the address cannot be listened on, or the certificate is unusable.
        """
        await self._run_blocking(self._server.config.load)
        address = ListenAddress("tcp", self._options.host, self._options.port)
        self._sockets = await self._run_blocking(partial(bind_tcp, address))

    async def serve(self) -> None:
        """Serve requests until `stop`."""
        self._is_serving = True
        try:
            await self._server.serve(self._sockets)
        finally:
            self._is_serving = False
            self._finished.set()

    async def stop(self, grace: float = 0.0) -> None:
        """Refuse new requests, give open ones `grace` seconds to finish, end the rest; nothing stays open."""
        self._requests.stopping.set()
        self._drain(HttpConnection)
        await self._server.acceptor.close()
        await self._requests.drain(grace)
        await self._close_connections()
        self._server.should_exit = True
        self._server.ended.set()
        if self._is_serving:
            await self._finished.wait()
        for sock in self._sockets:
            sock.close()

    def _drain(self, kind: type[object]) -> None:
        """Close the idle connections of a kind, and the others after their current response."""
        for connection in list(self._server.server_state.connections):
            if isinstance(connection, kind):
                # A client that spoke no HTTP has had its error, and is being closed already.
                with contextlib.suppress(h11.LocalProtocolError):
                    connection.shutdown()

    async def _close_connections(self) -> None:
        connections = self._server.server_state.connections
        self._drain(object)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSING_TIME):
                while connections:  # noqa: ASYNC110 - uvicorn has no event for it
                    await asyncio.sleep(_POLL_INTERVAL)
        for connection in list(connections):
            if connection.transport is not None:
                connection.transport.abort()


def _uvicorn_config(app: FastAPI, options: HttpServerOptions, input_budget: LoopBudget) -> uvicorn.Config:
    made_for_server = {"request_timeout": options.request_timeout, "input_budget": input_budget}
    protocol = type("_TimedConnection", (HttpConnection,), made_for_server)
    return uvicorn.Config(
        app,
        loop="none",
        http=protocol,
        ws=WebSocketConnection,
        ws_max_size=options.max_message_bytes,
        ws_per_message_deflate=False,  # audio does not compress, and latency matters
        lifespan="off",
        log_config=None,
        log_level=logging.WARNING,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        ssl_certfile=options.certificate,
        ssl_keyfile=options.key,
    )
