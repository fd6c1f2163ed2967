"""The realtime WebSocket as a route, and how many clients may come."""

from __future__ import annotations

import asyncio
from collections import Counter

from fastapi import APIRouter, WebSocket
from starlette.responses import PlainTextResponse

from wyoming_tts.blocking import RunBlocking
from wyoming_tts.transports.ports import SpeechSynthesis
from wyoming_tts.transports.realtime.connection import RealtimeConnection
from wyoming_tts.transports.realtime.protocol import RealtimeLimits
from wyoming_tts.transports.realtime.response import RealtimeOptions

__all__ = ["PATH", "RealtimeLimits", "RealtimeOptions", "realtime_router"]

PATH = "/v1/audio/speech/stream/ws"


def realtime_router(
    synthesizer: SpeechSynthesis, options: RealtimeOptions, *, run_blocking: RunBlocking
) -> APIRouter:
    """Make the route of the realtime WebSocket.

    Who may come in is decided before. Two things are looked for in the scope's state: `stopping`, an
    event after which connections close as soon as they have nothing left to play, and `abort`, which
    cuts a connection. A connection whose task is cancelled tells its client so, and closes.

    `run_blocking` is for large messages.
    """
    router = APIRouter()
    peers: Counter[str] = Counter()

    @router.websocket(PATH)
    async def realtime(socket: WebSocket) -> None:
        peer = socket.client.host if socket.client else ""
        stopping = socket.scope.get("state", {}).get("stopping") or asyncio.Event()
        is_full = peers.total() >= options.connections or peers[peer] >= options.connections_per_peer
        if is_full or stopping.is_set():
            await _turn_away(socket)
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


async def _turn_away(socket: WebSocket) -> None:
    reason = "The server has no room for another connection."
    await socket.send_denial_response(PlainTextResponse(reason, 503, {"Retry-After": "5"}))
