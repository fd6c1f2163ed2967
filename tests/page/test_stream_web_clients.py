"""Stream tests over HTTP and the realtime WebSocket: of this server, and of others that misbehave."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support.certificates import write_certificate
from tests.support.page_site import Site, product
from tests.support.tones import LETTERS
from tests.unit.bench.targets.web_servers import (
    PCM_TYPE,
    TENTH,
    Answer,
    ReceivedHttpRequest,
    ScriptedSession,
    SessionScript,
    http_server,
    session_server,
)
from wyoming_tts.client import ClientError, ClientTimeouts, ConnectionLost, ServerError
from wyoming_tts.page.stream_test.client import ClientState
from wyoming_tts.page.stream_test.gaps import GapOwner
from wyoming_tts.page.stream_test.request import ClientKind, StreamTestRequest
from wyoming_tts.page.stream_test.run import StreamTestFrame
from wyoming_tts.page.stream_test.targets import StreamTestTarget
from wyoming_tts.page.stream_test.web_clients import speak_over_http, speak_over_realtime
from wyoming_tts.speech import AudioFormat, SpokenWord

TEXT = "One two three. Four five six."
TIMEOUTS = ClientTimeouts(connect=5.0, answer=5.0)
IMPATIENT = ClientTimeouts(connect=10.0, answer=0.05)


async def run_on(site: Site, kind: ClientKind, **changes: Any) -> StreamTestFrame:
    request = StreamTestRequest(TEXT, kind=kind, words_per_second=200.0, voice=LETTERS.name, **changes)
    return [frame async for frame in site.services.stream_test.run("me", request)][-1]


@pytest.mark.parametrize("kind", ClientKind)
async def test_this_server_speaks_to_every_kind_of_client_with_its_key(
    tmp_path: Path, kind: ClientKind
) -> None:
    async with product(tmp_path, api_keys=["secret-key-of-this-server"]) as site:
        frame = await run_on(site, kind, warm_up=True)
        [lane] = frame.lanes
        assert (lane.state, lane.error) == (ClientState.SPOKEN, "")
        assert len(lane.text) == (6 if kind.streams_text else 1)
        words = [] if kind is ClientKind.HTTP else TEXT.replace(".", "").split()
        assert [word for _, word in lane.words] == words
        assert lane.recorded == pytest.approx(lane.audio, abs=1e-3)
        assert lane.gap_counts[GapOwner.UNKNOWN].count == 0


async def test_this_server_is_reached_by_tls_without_the_name_of_its_certificate(tmp_path: Path) -> None:
    certificate, key = write_certificate(tmp_path)
    async with product(tmp_path, http_certificate=certificate, http_key=key) as site:
        for kind in (ClientKind.HTTP, ClientKind.REALTIME):
            assert (await run_on(site, kind)).lanes[0].state is ClientState.SPOKEN


@dataclass
class Heard:
    """What a client passes on."""

    pcm: bytearray = field(default_factory=bytearray)
    rates: set[int] = field(default_factory=set)
    words: list[SpokenWord] = field(default_factory=list)

    async def on_audio(self, audio_format: AudioFormat, pcm: bytes) -> None:
        assert len(pcm) % audio_format.frame_bytes == 0
        self.rates.add(audio_format.rate)
        self.pcm += pcm

    def on_words(self, words: tuple[SpokenWord, ...]) -> None:
        self.words += words


async def pieces() -> AsyncIterator[str]:
    for piece in ("One ", "two."):
        yield piece


async def hear(kind: ClientKind, uri: str, timeouts: ClientTimeouts = TIMEOUTS) -> Heard:
    heard = Heard()
    by_web = speak_over_http if kind is ClientKind.HTTP else speak_over_realtime
    target = StreamTestTarget(uri.replace("ws:", "http:"), api_key="secret")
    await by_web(
        target,
        pieces(),
        on_audio=heard.on_audio,
        on_words=heard.on_words,
        voice="tone",
        timeouts=timeouts,
    )
    return heard


async def hear_http(answer: Answer, timeouts: ClientTimeouts = TIMEOUTS) -> Heard:
    async with http_server(answer) as server:
        return await hear(ClientKind.HTTP, server.uri, timeouts)


async def hear_session(script: SessionScript, timeouts: ClientTimeouts = TIMEOUTS) -> Heard:
    async with session_server(script) as server:
        return await hear(ClientKind.REALTIME, server.uri, timeouts)


async def test_http_sends_all_of_the_text_and_takes_pcm_however_it_is_cut() -> None:
    async def answer(request: ReceivedHttpRequest) -> None:
        assert request.body["input"] == "One two."
        assert (request.body["voice"], request.headers["authorization"]) == ("tone", "Bearer secret")
        await request.begin(PCM_TYPE, "X-Sample-Rate: 16000")
        for part in (TENTH[:1], TENTH[1:1000], TENTH[1000:]):
            await request.chunk(part)
        await request.end()

    heard = await hear_http(answer)
    assert (bytes(heard.pcm), heard.rates) == (TENTH, {16000})


async def _refuse(request: ReceivedHttpRequest) -> None:
    await request.reply("503 Unavailable", b'{"error": {"message": "Too many.", "code": "busy"}}')


async def _refuse_without_reason(request: ReceivedHttpRequest) -> None:
    await request.reply("500 Oops", b"<html>")


async def _send_mp3(request: ReceivedHttpRequest) -> None:
    await request.begin("Content-Type: audio/mpeg")


async def _break_off(request: ReceivedHttpRequest) -> None:
    await request.begin(PCM_TYPE)
    await request.chunk(TENTH)


async def _speak_wyoming(request: ReceivedHttpRequest) -> None:
    await request.send(b'{"type": "error"}\n')


async def _hang(request: ReceivedHttpRequest) -> None:
    await request.begin(PCM_TYPE)
    await request.closed()


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        (_refuse, ServerError, "busy.*Too many"),
        (_refuse_without_reason, ServerError, "http 500"),
        (_send_mp3, ClientError, "audio/mpeg"),
        (_break_off, ConnectionLost, "before the end"),
        (_speak_wyoming, ClientError, "not HTTP"),
    ],
)
async def test_what_goes_wrong_over_http_is_said(
    answer: Answer, error: type[ClientError], message: str
) -> None:
    with pytest.raises(error, match=message):
        await hear_http(answer)


async def test_a_server_that_is_silent_over_http_is_given_up() -> None:
    with pytest.raises(ClientError, match="sent nothing"):
        await hear_http(_hang, IMPATIENT)


WORD = {
    "word": "two",
    "start_ms": 100,
    "end_ms": 250,
    "begin": 4,
    "end": 7,
    "utf16_begin": 4,
    "utf16_end": 7,
    "estimated": True,
}


async def test_realtime_sends_each_piece_and_takes_audio_and_words_in_both_forms() -> None:
    async def script(session: ScriptedSession) -> None:
        await session.open(rate=16000)
        assert (await session.read_until("input.append"))["text"] == "One "
        await session.read_until("input.commit")
        delta = base64.b64encode(TENTH).decode()
        await session.send(
            {"type": "response.created"},
            {"type": "response.output_audio.words", "words": [WORD]},
            TENTH,
            {"type": "response.output_audio.delta", "delta": delta},
            {"type": "response.completed"},
        )

    async with session_server(script) as server:
        heard = await hear(ClientKind.REALTIME, server.uri)
        [handshake] = server.handshakes
        [session] = server.sessions
    assert (bytes(heard.pcm), heard.rates) == (TENTH * 2, {16000})
    assert heard.words == [SpokenWord("two", 4, 7, 4, 7, 0.1, 0.25, estimated=True)]
    assert session.received[0]["session"]["voice"] == "tone"
    assert handshake.headers["Authorization"] == "Bearer secret"


@pytest.mark.parametrize(
    ("event", "error", "message"),
    [
        ({"type": "error", "code": "busy", "message": "Too many."}, ServerError, "busy.*Too many"),
        ({"type": "error", "error": {"code": "bad", "message": "No."}}, ServerError, "bad.*No"),
        ({"type": "response.canceled"}, ClientError, "cancelled"),
        ({"type": "response.output_audio.words", "words": [{}]}, ClientError, "malformed"),
        ({"what": "type"}, ClientError, "malformed"),
        (b"\0", ClientError, "malformed"),
    ],
)
async def test_what_goes_wrong_over_realtime_is_said(
    event: dict[str, Any] | bytes, error: type[ClientError], message: str
) -> None:
    async def script(session: ScriptedSession) -> None:
        await session.open()
        await session.read_until("input.append")
        await session.send(event)
        await session.connection.wait_closed()

    with pytest.raises(error, match=message):
        await hear_session(script)


async def test_a_realtime_server_that_leaves_or_is_silent_is_given_up() -> None:
    async def leaves(session: ScriptedSession) -> None:
        await session.open()
        await session.read_until("input.commit")

    async def is_silent(session: ScriptedSession) -> None:
        await session.open()
        await session.connection.wait_closed()

    with pytest.raises(ConnectionLost, match="was lost"):
        await hear_session(leaves)
    with pytest.raises(ClientError, match="sent nothing"):
        await hear_session(is_silent, ClientTimeouts(connect=5.0, answer=0.2))


@pytest.mark.parametrize("kind", [ClientKind.HTTP, ClientKind.REALTIME])
async def test_a_server_that_is_not_there_or_speaks_something_else_is_said(kind: ClientKind) -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH\r\n")
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    uri = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    with pytest.raises(ClientError, match=uri):
        await hear(kind, uri)
    server.close()
    await server.wait_closed()
    with pytest.raises(ClientError, match="No connection"):
        await hear(kind, uri)


async def test_a_redirect_leads_to_no_other_server() -> None:
    async def never(_: ScriptedSession) -> None:
        raise AssertionError("It was reached.")

    async with session_server(never) as other:
        location = f"{other.uri}/anything"

        async def redirect(_: object, writer: asyncio.StreamWriter) -> None:
            writer.write(f"HTTP/1.1 302 Found\r\nLocation: {location}\r\n\r\n".encode())
            writer.close()

        async with await asyncio.start_server(redirect, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(ConnectionLost, match="302"):
                await hear(ClientKind.REALTIME, f"ws://127.0.0.1:{port}")
        assert not other.handshakes
