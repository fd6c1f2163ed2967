"""Silence without end, which costs its client nothing: hours of breaks in a request of 20 kB."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from wyoming.event import Event

from tests.breaking.conftest import OpenScene
from tests.breaking.connections import ATTACKER
from tests.breaking.server_under_attack import MIB, AttackedServer
from tests.support.tones import LOW
from wyoming_tts.transports.realtime.route import PATH
from wyoming_tts.wyoming_framing import encode_event

_BREAKS = 1_000
_SSML = "<speak>One." + '<break time="10s"/>' * _BREAKS + "</speak>"
_TAGS = "One. " + "[pause:10s]" * _BREAKS
_MOST_SECONDS = 4_500
"""Of audio, rather than the 10,000 of all breaks. Headers of events are counted as audio."""
_WITHIN = 120.0

Attack = Callable[[AttackedServer], Awaitable[float]]
"""Has the server speak, and returns the seconds of audio if they can be told."""


async def _over_http(server: AttackedServer, **fields: Any) -> float:
    transport = httpx.AsyncHTTPTransport(local_address=ATTACKER)
    body = {"input": _SSML, "input_type": "ssml", **fields}
    received = 0
    async with (
        httpx.AsyncClient(base_url=server.url, transport=transport, timeout=_WITHIN) as client,
        client.stream("POST", "/v1/audio/speech", json=body) as answer,
    ):
        answer.raise_for_status()
        async for piece in answer.aiter_raw():
            received += len(piece)
    return received / 2 / int(answer.headers["X-Sample-Rate"])


async def _over_wyoming(server: AttackedServer) -> float:
    reader, writer = await asyncio.open_connection(*server.wyoming, local_addr=(ATTACKER, 0), limit=2**20)
    try:
        writer.write(encode_event(Event("synthesize", {"text": _SSML, "text_format": "ssml"})))
        received, tail = 0, b""
        while b'"audio-stop"' not in tail:
            piece = await reader.read(2**18)
            assert piece, "the server closed the connection"
            received, tail = received + len(piece), tail[-100:] + piece
    finally:
        writer.close()
    return received / 2 / LOW.rate


async def _over_websocket(server: AttackedServer) -> float:
    url = f"ws://{server.http[0]}:{server.http[1]}{PATH}"
    received = 0
    async with connect(url, local_addr=(ATTACKER, 0), max_size=None) as socket:
        await socket.send(json.dumps({"type": "session.update", "session": {"audio": {"binary": True}}}))
        await socket.send(json.dumps({"type": "response.create", "input": _TAGS}))
        async for message in socket:
            if isinstance(message, bytes):
                received += len(message)
            elif "response.completed" in message:
                break
    return received / 2 / 24_000


_ATTACKS: dict[str, Attack] = {
    "pcm": partial(_over_http, response_format="pcm", sample_rate=48_000),
    "wav": partial(_over_http, response_format="wav"),
    "mp3": partial(_over_http, response_format="mp3"),
    "wyoming": _over_wyoming,
    "websocket": _over_websocket,
}


@pytest.mark.parametrize("path", _ATTACKS)
async def test_hours_of_silence_beside_listeners(path: str, open_scene: OpenScene) -> None:
    async with open_scene("--voice-tags") as scene:
        before = await scene.quiet()
        async with scene.phase(f"silence, {path}") as attack, asyncio.timeout(_WITHIN):
            seconds = await _ATTACKS[path](scene.server)
        assert seconds < _MOST_SECONDS
        attack.hearing.check_served(within=3.0, worst_gap=1.0)
        assert attack.peak.pss < before.after.pss + 40 * MIB
        await scene.recovers(before)
