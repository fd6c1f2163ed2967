"""Stream tests of servers that send words, errors and JSON without end, as fast as they are read."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeAlias

import pytest

from tests.support.parts import running_parts
from tests.support.scripted_server import ScriptedConnection, scripted_server
from tests.unit.bench.targets.web_servers import (
    ReceivedHttpRequest,
    ScriptedSession,
    http_server,
    session_server,
)
from wyoming_tts.page.stream_test.client import ClientRecorder, ClientState, EventLog
from wyoming_tts.page.stream_test.request import ClientKind, StreamTestRequest
from wyoming_tts.page.stream_test.run import StreamTestFrame, as_translatable_json
from wyoming_tts.page.stream_test.service import StreamTestService
from wyoming_tts.page.stream_test.targets import OwnAddresses
from wyoming_tts.speech import AudioFormat, SpokenWord

SMALL = 20_000
"""Characters of a frame that holds nothing that a server made long."""
LONG = "x" * 900_000
NESTED = b"[" * 60_000
MANY = b'{"type": "x", "of": [' + b"[]," * 300_000 + b"[]]}"
SPOKEN = {"begin": 0, "end": 1, "utf16_begin": 0, "utf16_end": 1}

Server: TypeAlias = Callable[[], AbstractAsyncContextManager[str]]


def wyoming(*, repeated: bytes, count: int = 1) -> Server:
    """A Wyoming server that sends this so often."""

    async def script(connection: ScriptedConnection) -> None:
        await connection.read_until("synthesize")
        try:
            for _ in range(count):
                await connection.send_bytes(repeated)
        except ConnectionError:
            return
        await connection.closed()

    @asynccontextmanager
    async def run() -> AsyncIterator[str]:
        async with scripted_server(script) as server:
            yield server.uri

    return run


def wyoming_event(kind: str, data: dict[str, object]) -> bytes:
    block = json.dumps(data).encode()
    return json.dumps({"type": kind, "data_length": len(block)}).encode() + b"\n" + block


def realtime(*, repeated: str, count: int = 1) -> Server:
    """A realtime server that sends this so often once its session is open."""

    async def script(session: ScriptedSession) -> None:
        await session.open()
        for _ in range(count):
            await session.connection.send(repeated)
        await session.connection.wait_closed()

    @asynccontextmanager
    async def run() -> AsyncIterator[str]:
        async with session_server(script) as server:
            yield server.uri.replace("ws:", "http:")

    return run


def http(body: bytes) -> Server:
    """A server that refuses with this as its reason."""

    async def answer(request: ReceivedHttpRequest) -> None:
        await request.reply("500 No", body)

    @asynccontextmanager
    async def run() -> AsyncIterator[str]:
        async with http_server(answer) as server:
            yield server.uri

    return run


async def speak_with(kind: ClientKind, server: Server) -> StreamTestFrame:
    async with server() as uri, running_parts() as parts:
        service = StreamTestService(parts, lambda: OwnAddresses(uri, uri))
        return [frame async for frame in service.run("me", StreamTestRequest("One.", kind=kind))][-1]


WYOMING_WORD = SPOKEN | {"text": "a", "start_time": 0, "end_time": 0}
WYOMING_WORDS = wyoming_event(
    "audio-chunk",
    {"rate": 22050, "width": 2, "channels": 1, "wyoming_tts_words": [WYOMING_WORD] * 1000},
)
REALTIME_WORD = SPOKEN | {"word": "a", "start_ms": 0, "end_ms": 0}
REALTIME_WORDS = json.dumps({"type": "response.output_audio.words", "words": [REALTIME_WORD] * 1000})


@pytest.mark.parametrize(
    ("kind", "server", "said"),
    [
        (ClientKind.WYOMING_PLAIN, wyoming(repeated=WYOMING_WORDS, count=20), "more than 10000 words"),
        (ClientKind.REALTIME, realtime(repeated=REALTIME_WORDS, count=20), "more than 10000 words"),
        (
            ClientKind.WYOMING_PLAIN,
            wyoming(repeated=wyoming_event("audio-start", {"rate": LONG, "width": 2, "channels": 1})),
            "sends audio of 2 bytes, 1 channels, 'xxx",
        ),
        (
            ClientKind.WYOMING_PLAIN,
            wyoming(repeated=b'{"type": "audio-stop", "data_length": 2000000}\n'),
            "not Wyoming",
        ),
        (ClientKind.WYOMING_PLAIN, wyoming(repeated=b'{"type": "' + b"x" * 70_000), "not Wyoming"),
        (ClientKind.REALTIME, realtime(repeated=MANY.decode()), "more than 10000 values"),
        (ClientKind.REALTIME, realtime(repeated=NESTED.decode()), "malformed"),
        (ClientKind.REALTIME, realtime(repeated=json.dumps({"type": "x", "long": LONG + LONG})), "lost"),
        (
            ClientKind.REALTIME,
            realtime(repeated=REALTIME_WORDS.replace('"start_ms": 0', '"start_ms": 1e999')),
            "malformed",
        ),
    ],
    ids=[
        *("wyoming-words", "realtime-words", "long-rate", "long-data", "long-header", "many-values"),
        *("nested", "long-message", "infinite-time"),
    ],
)
async def test_what_a_server_sends_without_end_fails_the_client_and_fills_no_frame(
    kind: ClientKind, server: Server, said: str
) -> None:
    frame = await speak_with(kind, server)
    assert frame.lanes[0].state is ClientState.FAILED
    assert said in frame.lanes[0].error
    assert len(as_translatable_json(frame)) < SMALL


@pytest.mark.parametrize(
    ("kind", "server", "said"),
    [
        (
            ClientKind.WYOMING_PLAIN,
            wyoming(
                repeated=wyoming_event("error", {"text": LONG, "code": LONG[:50_000]})
                + wyoming_event("audio-stop", {})
            ),
            "server_refused_code",
        ),
        (
            ClientKind.REALTIME,
            realtime(repeated=json.dumps({"type": "error", "message": LONG, "code": "c"})),
            "server_refused_code",
        ),
        (
            ClientKind.HTTP,
            http(json.dumps({"error": {"message": LONG[:60_000]}}).encode()),
            "server_refused_code",
        ),
        (ClientKind.HTTP, http(NESTED), "http 500"),
    ],
    ids=["wyoming", "realtime", "http", "http-nested"],
)
async def test_a_reason_without_end_is_cut_and_still_a_message_that_can_be_translated(
    kind: ClientKind, server: Server, said: str
) -> None:
    frame = await speak_with(kind, server)
    assert frame.lanes[0].state is ClientState.REFUSED
    encoded = as_translatable_json(frame)
    assert said in encoded
    assert len(encoded) < SMALL


async def test_a_word_without_end_is_cut_where_it_is_shown() -> None:
    lane = ClientRecorder(1, EventLog(), lambda: 1.0, records=True)
    lane.on_words((SpokenWord(LONG, 0, 1, 0, 1, 0.0, 0.1),))
    await lane.on_audio(AudioFormat(1000), bytes(1000))
    [(_, word)] = lane.snapshot().words
    assert len(word) < 40
