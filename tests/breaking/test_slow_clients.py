"""Clients that send a byte now and then, or ask for much and read nothing."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Sequence

from wyoming.tts import Synthesize, SynthesizeChunk, SynthesizeStart

from tests.breaking.conftest import OpenScene
from tests.breaking.connections import flood
from tests.breaking.server_under_attack import MIB
from wyoming_tts.wyoming_framing import encode_event

SLOW = 40
GREEDY = 24
SECONDS = 5
TEXT = "Nobody hears this sentence, which goes on and on. " * 400
_JSON = "Content-Type: application/json"
_BODY = json.dumps({"input": TEXT, "response_format": "pcm"}).encode()


def request_head(line: str, *headers: str, length: int = 0) -> bytes:
    """The head of a HTTP request."""
    fields = (f"{line} HTTP/1.1", "Host: 127.0.0.1", *headers, f"Content-Length: {length}")
    return "\r\n".join((*fields, "", "")).encode()


_WEBSOCKET = (
    "GET /v1/audio/speech/stream/ws HTTP/1.1",
    "Host: 127.0.0.1",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)
_LONG_MESSAGE = b"\x81\xff" + (900_000).to_bytes(8, "big") + bytes(4)
"""Head of a masked text message."""

UNFINISHED = {
    "wyoming": (b'{"type": "synthesize", "data_length": 900000}\n', b"{"),
    "http headers": (b"POST /v1/audio/speech HTTP/1.1\r\n", b"X-Slow: x\r\n"),
    "http body": (request_head("POST /v1/audio/speech", _JSON, length=900_000), b" "),
    "upload": (request_head("POST /page/voices/upload/x.onnx.json", length=900_000), b" "),
    "websocket": ("\r\n".join((*_WEBSOCKET, "", "")).encode() + _LONG_MESSAGE, b"{"),
}
"""What a slow client begins with, and what it then sends bit by bit."""

UNREAD = {
    "wyoming": encode_event(Synthesize(TEXT).event()),
    "wyoming stream": encode_event(SynthesizeStart().event()) + encode_event(SynthesizeChunk(TEXT).event()),
    "http": request_head("POST /v1/audio/speech", _JSON, length=len(_BODY)) + _BODY,
    "player": request_head(f"GET /synthesize-stream?text={'Nobody%20hears%20this.%20' * 100}"),
}


async def drip(sockets: Sequence[socket.socket], piece: bytes, *, seconds: float) -> None:
    """Send a piece on each connection every half second."""
    loop = asyncio.get_running_loop()
    for _ in range(round(seconds * 2)):
        await asyncio.gather(*(loop.sock_sendall(sock, piece) for sock in sockets), return_exceptions=True)
        await asyncio.sleep(0.5)


async def test_requests_that_never_end_beside_listeners(open_scene: OpenScene) -> None:
    async with open_scene() as scene:
        before = await scene.quiet()
        for kind, (start, piece) in UNFINISHED.items():
            address = scene.server.wyoming if kind == "wyoming" else scene.server.http
            async with (
                scene.phase(f"{SLOW} slow, {kind}") as attack,
                flood(address, start, count=SLOW) as sockets,
            ):
                await drip(sockets, piece, seconds=SECONDS)
            attack.hearing.check_served()
            assert attack.peak.pss < before.after.pss + 80 * MIB
        await scene.recovers(before)


async def test_replies_that_nobody_reads_beside_listeners(open_scene: OpenScene) -> None:
    async with open_scene() as scene:
        before = await scene.quiet()
        for kind, request in UNREAD.items():
            address = scene.server.wyoming if "wyoming" in kind else scene.server.http
            async with (
                scene.phase(f"{GREEDY} unread, {kind}") as attack,
                flood(address, request, count=GREEDY),
            ):
                await asyncio.sleep(SECONDS)
            attack.hearing.check_served(within=15.0)
            assert attack.peak.pss < before.after.pss + 150 * MIB
        await scene.recovers(before)
