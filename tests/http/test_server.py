from __future__ import annotations

import asyncio
import logging
import signal
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from fastapi import APIRouter, WebSocket
from websockets.asyncio.client import ClientConnection, connect

from tests.http.conftest import Served, serving
from tests.http.test_connections import raw, request, speak_without_end
from tests.support.certificates import write_certificate
from tests.support.fake_speech_service import FakeSpeechService
from tests.support.fake_synthesizer import run_in_thread, speech_pcm
from wyoming_tts.speech import Utterance
from wyoming_tts.transports.http.app import HttpOptions, HttpServer, HttpServerOptions, create_app


def make_server(port: int = 0, certificate: Path | None = None) -> HttpServer:
    app = create_app(FakeSpeechService(), HttpOptions(), run_blocking=run_in_thread)
    return HttpServer(app, HttpServerOptions(port=port, certificate=certificate), run_blocking=run_in_thread)


async def test_starting_on_an_address_in_use_raises_oserror(served: Served) -> None:
    async with make_server(served.address[1]) as second:
        with pytest.raises(OSError, match="in use"):
            await second.start()


async def test_a_server_that_was_started_but_never_served_closes_its_sockets() -> None:
    async with make_server() as server:
        await server.start()
        port = server.bound[0][1]
    assert server.bound == []
    with pytest.raises(OSError):
        await asyncio.open_connection("127.0.0.1", port)


async def test_serving_leaves_the_processes_signal_handlers_alone() -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    async with serving() as served:
        await served.client.get("/health")
        assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


async def test_waiting_for_the_next_date_does_not_delay_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wyoming_tts.transports.http.server._DATE_SECONDS", 1e6)
    async with serving() as served:
        assert "date" in (await served.client.get("/health")).headers
        await served.server.stop()
        await served.task


async def test_the_date_of_responses_is_refreshed(monkeypatch: pytest.MonkeyPatch) -> None:
    dates = iter(range(0, 10**9, 86_400))
    monkeypatch.setattr("uvicorn.server.time.time", lambda: next(dates))
    monkeypatch.setattr("wyoming_tts.transports.http.server._DATE_SECONDS", 0.0)
    async with serving() as served:
        seen = {(await served.client.get("/health")).headers["date"] for _ in range(3)}
    assert len(seen) == 3


async def test_idle_and_incomplete_connections_do_not_delay_the_shutdown(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with (
        serving() as served,
        raw(served),  # sends nothing
        raw(served) as (_, partial_head),
        raw(served) as (_, partial_body),
        raw(served) as (keepalive_reader, keepalive_writer),
    ):
        partial_head.write(b"GET /health HT")
        partial_body.write(request()[:-3])
        keepalive_writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        await keepalive_reader.readuntil(b"}")
        await served.server.stop(grace=1e6)  # a connection that counts as active would use up all of it
        await served.task
    assert "Traceback" not in caplog.text


async def test_a_response_in_progress_finishes_during_shutdown(served: Served) -> None:
    go_on = asyncio.Event()

    async def wait(*_: object) -> None:
        await go_on.wait()

    served.service.on_chunk = wait
    response = asyncio.create_task(
        served.client.post("/v1/audio/speech", json={"input": "hello", "response_format": "wav"})
    )
    await served.service.until(lambda: served.service.entered == 1)
    stopping = asyncio.create_task(served.server.stop(grace=20.0))
    await asyncio.sleep(0)
    go_on.set()
    answer = await response
    assert answer.content[44:] == speech_pcm("hello")
    await stopping


async def test_a_response_still_streaming_after_the_grace_period_is_truncated(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    served.service.on_enter = speak_without_end
    async with raw(served) as (reader, writer):
        writer.write(request())
        await reader.readuntil(b"RIFF")
        reading = asyncio.create_task(reader.read())
        await served.server.stop(grace=0.1)
        assert served.service.left == 1
        assert not (await reading).endswith(b"0\r\n\r\n")
    assert "Traceback" not in caplog.text


async def test_a_request_without_audio_yet_gets_a_503_at_shutdown(served: Served) -> None:
    async def never(*_: object) -> None:
        await asyncio.Event().wait()

    served.service.on_chunk = never
    response = asyncio.create_task(served.client.post("/v1/audio/speech", json={"input": "hello"}))
    await served.service.until(lambda: served.service.entered == 1)
    await served.server.stop(grace=0.05)
    answer = await response
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "shutting_down"


async def test_a_client_that_does_not_read_does_not_delay_the_shutdown(served: Served) -> None:
    served.service.on_enter = speak_without_end
    async with raw(served) as (_, writer):
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(request())
        await served.service.until(lambda: served.service.pulled > 20)
        await served.server.stop(grace=0.1)  # ends, though the rest can never be written


async def test_cancelling_the_serve_task_closes_the_listening_sockets() -> None:
    async with make_server() as server:
        await server.start()
        task = asyncio.create_task(server.serve())
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.wait([task])
    assert server.bound == []


@asynccontextmanager
async def websocket_of(router: APIRouter) -> AsyncIterator[tuple[HttpServer, ClientConnection]]:
    """A server with this route, to be stopped in the block, and a client of its `/socket`."""
    app = create_app(FakeSpeechService(), HttpOptions(), run_blocking=run_in_thread, routers=[router])
    async with HttpServer(app, HttpServerOptions(port=0), run_blocking=run_in_thread) as server:
        await server.start()
        task = asyncio.create_task(server.serve())
        host, port = server.bound[0]
        async with connect(f"ws://{host}:{port}/socket", proxy=None) as client:
            yield server, client
        await task


async def test_a_websocket_handler_can_await_the_shutdown_event() -> None:
    router = APIRouter()

    @router.websocket("/socket")
    async def handle(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text(socket.scope["state"]["request_id"])
        await socket.scope["state"]["stopping"].wait()
        await socket.close(1001)

    async with websocket_of(router) as (server, client):
        assert await client.recv()
        await server.stop(grace=20.0)
        await client.wait_closed()
        assert client.close_code == 1001


async def test_a_websocket_still_open_after_the_grace_period_is_closed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    router = APIRouter()
    left = asyncio.Event()

    @router.websocket("/socket")
    async def handle(socket: WebSocket) -> None:
        await socket.accept()
        try:
            await asyncio.Event().wait()
        finally:
            left.set()

    async with websocket_of(router) as (server, client):
        await server.stop(grace=0.1)
        await client.wait_closed()
    assert left.is_set()
    assert "Traceback" not in caplog.text


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_certificate(tmp_path_factory.mktemp("tls"))


async def test_a_certificate_and_key_enable_tls(certificate: tuple[Path, Path]) -> None:
    async with serving(certificate=certificate[0], key=certificate[1]) as served:
        answer = await served.client.post("/v1/audio/speech", json={"input": "hi", "response_format": "wav"})
        reader, writer = await asyncio.open_connection(
            *served.address, ssl=ssl.create_default_context(cafile=str(certificate[0]))
        )
        writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.close()
    assert answer.content[44:] == speech_pcm("hi")


async def test_an_unreadable_certificate_raises_oserror(tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_text("nothing")
    async with make_server(certificate=tmp_path / "cert.pem") as server:
        with pytest.raises(OSError):
            await server.start()
    async with make_server(certificate=tmp_path / "absent.pem") as server:
        with pytest.raises(OSError):
            await server.start()


async def test_nothing_is_logged_for_a_successful_request(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    async def do_nothing(_: Utterance) -> None:
        return

    served.service.on_enter = do_nothing
    with caplog.at_level(logging.INFO):
        await served.client.post("/v1/audio/speech", json={"input": "hi"})
    assert not [record for record in caplog.records if record.name.startswith(("uvicorn", "wyoming_tts"))]
