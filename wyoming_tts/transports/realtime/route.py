"""The realtime WebSocket's route. Its connections count among those of the HTTP port."""

from __future__ import annotations

import asyncio
import logging

from fastapi import APIRouter, WebSocket
from starlette.responses import PlainTextResponse

from wyoming_tts.blocking import RunBlocking
from wyoming_tts.http_paths import REALTIME_PATH
from wyoming_tts.transports.damped_log import DampedLog
from wyoming_tts.transports.interfaces import SpeechSynthesis
from wyoming_tts.transports.realtime.connection import RealtimeConnection
from wyoming_tts.transports.realtime.options import RealtimeOptions
from wyoming_tts.transports.realtime.session import RealtimeLimits

__all__ = ["PATH", "RealtimeLimits", "RealtimeOptions", "realtime_router"]

PATH = REALTIME_PATH

_LOGGER = logging.getLogger(__name__)


def realtime_router(
    synthesizer: SpeechSynthesis, options: RealtimeOptions, *, run_blocking: RunBlocking
) -> APIRouter:
    """Make the router with the realtime WebSocket at `PATH`.

    Access control comes before it. The scope's state may hold `stopping`, an event after which connections
    close as soon as they have nothing left to play, `abort`, which drops a connection, `slot`, its place
    among the connections of the port, `pace`, at which its input is read, `count_speech`, which counts a
    response toward its client's rate limit, and `grant`, what its token permits. When its task is cancelled,
    a connection tells its client that the server is shutting down, and closes.

    `run_blocking` parses large messages.
    """
    router = APIRouter()
    slow_sends = DampedLog(_LOGGER)

    @router.websocket(PATH)
    async def realtime(socket: WebSocket) -> None:
        state = socket.scope.get("state", {})
        stopping = state.get("stopping") or asyncio.Event()
        if stopping.is_set():
            await _reject(socket)
            return
        connection = RealtimeConnection(
            socket,
            synthesizer=synthesizer,
            options=options,
            run_blocking=run_blocking,
            stopping=stopping,
            pace=pace.another_reader() if (pace := state.get("pace")) is not None else None,
            count_speech=state.get("count_speech"),
            grant=state.get("grant"),
            slow_sends=slow_sends,
        )
        if (slot := state.get("slot")) is not None:
            slot.idle_since = connection.idle_since
        await connection.run()

    return router


async def _reject(socket: WebSocket) -> None:
    reason = "The server is shutting down."
    await socket.send_denial_response(PlainTextResponse(reason, 503, {"Retry-After": "5"}))
