from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from starlette.middleware import Middleware

from tests.http.conftest import Served, serving
from tests.support.fake_synthesizer import FakeSynthesizer, speech_pcm
from tests.support.realtime_server import realtime_client, realtime_server
from wyoming_tts.errors import EngineFailed
from wyoming_tts.speech import Utterance
from wyoming_tts.transports.connection_limits import ConnectionLimits
from wyoming_tts.transports.http.access_rules import GuardOptions
from wyoming_tts.transports.http.app import HttpOptions
from wyoming_tts.transports.http.connection import SEND_BUFFER
from wyoming_tts.transports.http.guard import Guard


async def endless_text(piece: str = "on and on ") -> AsyncIterator[str]:
    while True:
        yield piece
        await asyncio.sleep(0)


async def speak_without_end(utterance: Utterance) -> None:
    object.__setattr__(utterance, "text", endless_text())


def request(path: str = "/v1/audio/speech", **fields: Any) -> bytes:
    body = json.dumps({"input": "hello", "response_format": "wav", **fields}).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


@asynccontextmanager
async def raw(served: Served) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(*served.address)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


@pytest.mark.parametrize("encoding", ["wav", "pcm", "mp3", "opus"])
async def test_a_client_disconnect_during_the_body_closes_the_speech_stream(
    served: Served, encoding: str
) -> None:
    served.service.on_enter = speak_without_end
    async with raw(served) as (reader, writer):
        writer.write(request(response_format=encoding))
        await reader.readuntil(b"\r\n\r\n")
        await reader.read(1000)
        writer.transport.abort()
        async with asyncio.timeout(5):
            await served.service.until(lambda: served.service.left == 1)


async def test_a_client_disconnect_before_the_first_audio_closes_the_speech_stream(served: Served) -> None:
    async def never(*_: object) -> None:
        await asyncio.Event().wait()

    served.service.on_chunk = never
    async with raw(served) as (_, writer):
        writer.write(request())
        await served.service.until(lambda: served.service.entered == 1)
        writer.close()
        async with asyncio.timeout(5):
            await served.service.until(lambda: served.service.left == 1)


async def test_a_failure_after_the_first_byte_truncates_the_chunked_body(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    served.service.on_enter, served.service.on_chunk = _speak_two_pieces, _fail_at_the_second
    async with raw(served) as (reader, writer):
        writer.write(request())
        async with asyncio.timeout(5):
            received = await reader.read()
    assert received.startswith(b"HTTP/1.1 200")
    assert speech_pcm("one") in received
    assert not received.endswith(b"0\r\n\r\n")
    assert "The voice broke." in caplog.text
    assert "Traceback" not in caplog.text


async def test_an_sse_stream_sends_an_error_event_before_its_body_is_truncated(served: Served) -> None:
    served.service.on_enter, served.service.on_chunk = _speak_two_pieces, _fail_at_the_second
    async with raw(served) as (reader, writer):
        writer.write(request(stream_format="sse"))
        async with asyncio.timeout(5):
            received = await reader.read()
    assert b'data: {"type": "error", "error": {"message": "The voice broke.' in received
    assert b"speech.audio.done" not in received
    assert not received.endswith(b"0\r\n\r\n")


async def _speak_two_pieces(utterance: Utterance) -> None:
    object.__setattr__(utterance, "text", _two_pieces())


async def _fail_at_the_second(_: Utterance, number: int) -> None:
    if number:
        raise EngineFailed("The voice broke.")


async def _two_pieces() -> AsyncIterator[str]:
    yield "one"
    yield "two"


async def test_a_client_that_does_not_read_is_disconnected_after_the_send_timeout() -> None:
    async with serving(HttpOptions(send_timeout=0.2)) as served:
        served.service.on_enter = speak_without_end
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.setblocking(False)
            await asyncio.get_running_loop().sock_connect(sock, served.address)
            await asyncio.get_running_loop().sock_sendall(sock, request())
            async with asyncio.timeout(10):
                await served.service.until(lambda: served.service.left == 1)
            assert served.service.pulled < 300


async def test_a_client_that_does_not_read_stops_synthesis_by_backpressure(served: Served) -> None:
    served.service.on_enter = speak_without_end
    async with raw(served) as (reader, writer):
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(request())
        pulled = -1
        while pulled != served.service.pulled:
            pulled = served.service.pulled
            await asyncio.sleep(0.2)
        assert 0 < pulled < 1500
        del reader


async def test_a_connection_without_a_request_is_closed_after_the_timeout() -> None:
    async with serving(request_timeout=0.2) as served, raw(served) as (reader, _):
        async with asyncio.timeout(5):
            assert await reader.read() == b""


async def test_slow_headers_close_the_connection() -> None:
    async with serving(request_timeout=0.3) as served, raw(served) as (reader, writer):
        async with asyncio.timeout(5):
            writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\n")
            sending = asyncio.create_task(_send_headers_slowly(writer))
            assert await reader.read() == b""
            sending.cancel()


async def _send_headers_slowly(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"X-A: b\r\n")
        await asyncio.sleep(0.05)


async def test_an_incomplete_request_body_times_out_with_408() -> None:
    async with serving(HttpOptions(request_timeout=0.2)) as served, raw(served) as (reader, writer):
        writer.write(request()[:-3])
        async with asyncio.timeout(5):
            assert (await reader.readline()).startswith(b"HTTP/1.1 408")
        assert not served.service.utterances


async def test_headers_over_the_limit_are_refused(served: Served) -> None:
    async with raw(served) as (reader, writer):
        writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 100_000)
        async with asyncio.timeout(5):
            assert (await reader.readline()).startswith(b"HTTP/1.1 4")


@pytest.mark.parametrize("garbage", [b"\x00\x01\x02\r\n\r\n", b"GET\r\n\r\n", b"\x16\x03\x01\x02\x00" * 50])
async def test_bytes_that_are_not_http_do_not_affect_other_connections(
    served: Served, garbage: bytes
) -> None:
    async with raw(served) as (reader, writer):
        writer.write(garbage)
        writer.write_eof()
        async with asyncio.timeout(5):
            await reader.read()
    assert (await served.client.get("/health")).status_code == 200


async def test_pipelined_requests_are_answered_in_order(served: Served) -> None:
    async with raw(served) as (reader, writer):
        writer.write(request(input="one") + request(input="two"))
        first = await reader.readuntil(b"0\r\n\r\n")
        second = await reader.readuntil(b"0\r\n\r\n")
    assert speech_pcm("one") in first
    assert speech_pcm("two") in second


@pytest.mark.parametrize("sent", ["a b", "x" * 129, "ümlaut", ""])
async def test_an_unusable_request_id_is_replaced(served: Served, sent: str) -> None:
    answer = await served.client.get("/health", headers=[(b"X-Request-ID", sent.encode())])
    assert answer.headers["x-request-id"] not in {sent, ""}


async def test_an_unexpected_exception_is_logged_with_the_request_id_and_hidden_from_the_client(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    served.service.failing_status = RuntimeError("secret /path")
    with caplog.at_level(logging.ERROR):
        answer = await served.client.get("/status", headers={"X-Request-ID": "mine"})
    assert answer.status_code == 500
    assert answer.headers["x-request-id"] == "mine"
    assert "mine" in answer.json()["error"]["message"]
    assert "secret" not in answer.text
    assert "mine" in caplog.text
    assert "secret /path" in caplog.text


async def test_connections_have_tcp_nodelay_and_a_small_send_buffer(served: Served) -> None:
    async with raw(served) as (reader, writer):
        writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"}")
        (connection,) = served.server._server.server_state.connections
        sock = connection.transport.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) <= 2 * SEND_BUFFER


class TestLimits:
    async def test_a_connection_over_the_limit_reads_503_and_when_to_try_again(self) -> None:
        async with (
            serving(connections=ConnectionLimits(1)) as served,
            raw(served) as (_, first),
            raw(served) as (reader, second),
        ):
            first.write(b"GET /health HTTP/1.1\r\n")  # too young to make room
            second.write(request())
            async with asyncio.timeout(5):
                head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        assert {b"Retry-After: 5", b"Connection: close", b"Content-Length: %d" % len(body)} <= set(
            head.split(b"\r\n")
        )
        assert json.loads(body)["error"]["code"] == "busy"

    async def test_a_silent_connection_makes_room_and_one_that_is_answered_does_not(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("wyoming_tts.transports.connection_limits.MIN_IDLE", 0.0)
        async with serving(connections=ConnectionLimits(2)) as served:
            served.service.on_enter = speak_without_end
            async with raw(served) as (speech, speaking), raw(served) as (silence, _):
                speaking.write(request())
                await speech.readuntil(b"\r\n\r\n")
                async with raw(served) as (reader, third), asyncio.timeout(5):
                    assert await silence.read() == b""
                    third.write(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
                    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
                    assert len(await speech.read(1000)) == 1000

    async def test_an_idle_websocket_makes_room(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("wyoming_tts.transports.connection_limits.MIN_IDLE", 0.0)
        limits = ConnectionLimits(1)
        async with (
            realtime_server(FakeSynthesizer(), connections=limits) as server,
            realtime_client(server.url) as client,
            realtime_client(server.url),
        ):
            assert (await client.closed())[0] == 1006


class TestEndOfARequest:
    async def test_a_client_that_sends_all_of_a_body_reads_that_it_is_too_large(self) -> None:
        guard = Middleware(Guard, options=GuardOptions(max_body_bytes=1000))
        async with serving(middleware=[guard]) as served, raw(served) as (reader, writer):
            writer.write(b"POST /v1/audio/speech HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n")
            await _write_megabytes(writer, 10)
            async with asyncio.timeout(5):
                assert (await reader.read()).startswith(b"HTTP/1.1 413")

    async def test_what_is_read_after_the_last_response_is_bounded(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("wyoming_tts.transports.http.connection.LINGER_BYTES", 1_000_000)
        guard = Middleware(Guard, options=GuardOptions(max_body_bytes=1000))
        async with serving(middleware=[guard]) as served, raw(served) as (_, writer):
            writer.write(b"POST /v1/audio/speech HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000000\r\n\r\n")
            with pytest.raises(ConnectionError):
                await _write_megabytes(writer, 100)

    @pytest.mark.parametrize(
        ("head", "status"),
        [
            (b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 431),
            (b"GET /health HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 40_000 + b"\r\n\r\n", 431),
            (b"GET /health HTTP/1.1\r\nHost: x\r\n" + b"X: a\r\n" * 10_000 + b"\r\n", 431),
            (b"GET /" + b"a" * 200_000, 431),
            (b"GET /health\r\n\r\n", 400),
            (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"a" * 500 + b"\n", 400),
            (b"POST /v1/audio/speech HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        ],
        ids=["line", "header", "headers", "endless line", "no version", "TLS", "chunk"],
    )
    async def test_what_is_no_request_or_too_long_is_answered_and_closed(
        self, served: Served, head: bytes, status: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        async with raw(served) as (reader, writer):
            writer.write(head)
            async with asyncio.timeout(5):
                received, _, body = (await reader.read()).partition(b"\r\n\r\n")
        assert received.startswith(b"HTTP/1.1 %d " % status)
        assert json.loads(body)["error"]["code"] == "bad_request"
        assert [record.levelname for record in caplog.records] == ["INFO"]

    async def test_garbage_in_a_body_while_its_response_plays_ends_the_connection_alone(
        self, served: Served, caplog: pytest.LogCaptureFixture
    ) -> None:
        app = APIRouter()

        @app.post("/early")
        async def answer_early() -> StreamingResponse:
            return StreamingResponse(_forever())

        served.server._server.config.loaded_app.router.routes.extend(app.routes)
        async with raw(served) as (reader, writer):
            writer.write(b"POST /early HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"zz\r\n")
            async with asyncio.timeout(5):
                await reader.read()
        assert "Traceback" not in caplog.text


async def _write_megabytes(writer: asyncio.StreamWriter, count: int) -> None:
    async with asyncio.timeout(20):
        for _ in range(10 * count):
            writer.write(b"x" * 100_000)
            await writer.drain()


async def _forever() -> AsyncIterator[bytes]:
    while True:
        yield b"sound"
        await asyncio.sleep(0.001)


async def test_a_head_request_spends_no_rate_token() -> None:
    guard = Middleware(Guard, options=GuardOptions(requests_per_minute=1))
    async with serving(middleware=[guard]) as served:
        for _ in range(3):
            assert (await served.client.head("/synthesize-stream?text=hi")).status_code == 200
        assert (await served.client.get("/synthesize-stream?text=hi")).status_code == 200
        assert (await served.client.get("/synthesize-stream?text=hi")).status_code == 429
