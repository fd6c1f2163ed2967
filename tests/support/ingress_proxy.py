"""Fake of Home Assistant's ingress: a reverse proxy that strips a path prefix and adds forwarding headers.

WebSockets pass through it, too.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import httpx
import uvicorn
import websockets
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.asyncio.client import ClientConnection, connect

PREFIX = "/api/hassio_ingress/0a1b2c3d4e5f-token_of-a-session"
_HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "host", "content-length"})

_OF_HANDSHAKES = frozenset(
    {"upgrade", "sec-websocket-key", "sec-websocket-version", "sec-websocket-extensions"}
)


@contextmanager
def run_ingress_proxy(target: str, peer: str = "127.0.0.1", *, user: str = "") -> Iterator[str]:
    """Run a proxy in front of a server, which sees `peer` as its client; yields the URL of the page.

    `user` is the ID of who is signed in.
    """
    config = uvicorn.Config(
        _app(target, peer, user),
        host="127.0.0.1",
        port=0,
        lifespan="on",
        log_config=None,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()), name="ingress")
    thread.start()
    while not server.started:
        assert thread.is_alive()
        thread.join(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}{PREFIX}/"
    finally:
        server.should_exit = True
        thread.join(10)


def _app(target: str, peer: str, user: str) -> Starlette:
    transport = httpx.AsyncHTTPTransport(local_address=peer)
    client = httpx.AsyncClient(base_url=target, timeout=30, transport=transport)

    async def forward(request: Request) -> Response:
        headers = _forwarded(request, user)
        path = request.url.path.removeprefix(PREFIX)
        url = httpx.URL(path=path, query=request.url.query.encode())
        upstream_request = client.build_request(
            request.method, url, headers=headers, content=await request.body()
        )
        answer = await client.send(upstream_request, stream=True)
        kept = {name: value for name, value in answer.headers.items() if name not in _HOP_BY_HOP}
        return StreamingResponse(
            _raw_body(answer), answer.status_code, kept, background=BackgroundTask(answer.aclose)
        )

    async def forward_socket(socket: WebSocket) -> None:
        url = f"ws{target.removeprefix('http')}{socket.url.path.removeprefix(PREFIX).lstrip('/')}"
        async with connect(
            url,
            additional_headers=_forwarded(socket, user),
            local_addr=(peer, 0),
            user_agent_header=None,
            proxy=None,
        ) as upstream:
            await socket.accept()
            await _relay(socket, upstream)

    async def not_found(_: Request) -> Response:
        return PlainTextResponse("Home Assistant has nothing at this path.", 404)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with client:
            yield

    methods = ["GET", "HEAD", "POST", "PUT", "DELETE"]
    return Starlette(
        routes=[
            Route(PREFIX + "/{path:path}", forward, methods=methods),
            WebSocketRoute(PREFIX + "/{path:path}", forward_socket),
            Route("/{path:path}", not_found, methods=methods),
        ],
        lifespan=lifespan,
    )


def _forwarded(request: HTTPConnection, user: str) -> dict[str, str]:
    """The headers that the ingress sends on."""
    kept = {
        name: value
        for name, value in request.headers.items()
        if name not in _HOP_BY_HOP and name not in _OF_HANDSHAKES
    }
    return kept | {
        "X-Ingress-Path": PREFIX,
        "X-Forwarded-Host": request.headers["host"],
        "X-Forwarded-Proto": "http",
        "X-Forwarded-For": "192.168.1.20",
        **({"X-Remote-User-Id": user} if user else {}),
    }


async def _relay(socket: WebSocket, upstream: ClientConnection) -> None:
    """Pass messages both ways until either side closes."""

    async def to_server() -> None:
        with contextlib.suppress(WebSocketDisconnect, websockets.ConnectionClosed):
            while True:
                await upstream.send(await socket.receive_text())

    async def to_page() -> None:
        async for message in upstream:
            if isinstance(message, str):
                await socket.send_text(message)
            else:
                await socket.send_bytes(message)

    ways = [asyncio.create_task(to_server()), asyncio.create_task(to_page())]
    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    for way in ways:
        way.cancel()
    await asyncio.gather(*ways, return_exceptions=True)


async def _raw_body(answer: httpx.Response) -> AsyncIterator[bytes]:
    async for piece in answer.aiter_raw():
        yield piece
