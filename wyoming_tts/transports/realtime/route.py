"""The realtime WebSocket's route, and its limits on concurrent connections."""

from __future__ import annotations

import asyncio
from collections import Counter

from fastapi import APIRouter, WebSocket
from starlette.responses import PlainTextResponse

from wyoming_tts.blocking import RunBlocking
from wyoming_tts.transports.interfaces import SpeechSynthesis
from wyoming_tts.transports.realtime.connection import RealtimeConnection, RealtimeOptions
from wyoming_tts.transports.realtime.protocol import RealtimeLimits

__all__ = ["PATH", "RealtimeLimits", "RealtimeOptions", "realtime_router"]

PATH = "/v1/audio/speech/stream/ws"


def realtime_router(
    synthesizer: SpeechSynthesis, options: RealtimeOptions, *, run_blocking: RunBlocking
) -> APIRouter:
    """Make the router with the realtime WebSocket at `PATH`.

    Access control comes before it. The scope's state may hold `stopping`, an event after which connections
    close as soon as they have nothing left to play, and `abort`, which drops a connection. When its task is
    cancelled, a connection tells its client that the server is shutting down, and closes.

    `run_blocking` parses large messages.
    """
    router = APIRouter()
    peers: Counter[str] = Counter()

    @router.websocket(PATH)
    async def realtime(socket: WebSocket) -> None:
        peer = socket.client.host if socket.client else ""
        stopping = socket.scope.get("state", {}).get("stopping") or asyncio.Event()
        is_full = peers.total() >= options.connections or peers[peer] >= options.connections_per_peer
        if is_full or stopping.is_set():
            await _reject(socket)
            return
        connection = RealtimeConnection(
            socket, synthesizer=synthesizer, options=options, run_blocking=run_blocking, stopping=stopping
        )
        peers[peer] += 1
        try:
            await connection.run()
        finally:
            peers[peer] -= 1
            if not peers[peer]:
                del peers[peer]

    return router


async def _reject(socket: WebSocket) -> None:
    reason = "The server accepts no more connections."
    await socket.send_denial_response(PlainTextResponse(reason, 503, {"Retry-After": "5"}))
