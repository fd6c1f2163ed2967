"""Lanes of a stream test whose server refuses, fails or never finishes, and of a client that crashes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from wyoming.error import Error
from wyoming.tts import SynthesizeStopped

from tests.page.stream_test_service import TEXT, closed_port, last_frame, service_for
from tests.support.scripted_server import START, STOP, ScriptedConnection, audio, scripted_server
from wyoming_tts.page.stream_test.client import ClientState
from wyoming_tts.page.stream_test.request import ClientKind, StreamTestLimits, StreamTestRequest
from wyoming_tts.page.stream_test.run import StreamTestFrame

HALF_SECOND = bytes(22050)


async def run_against(
    script: Callable[[ScriptedConnection], Any], request: StreamTestRequest
) -> StreamTestFrame:
    async with scripted_server(script) as server, service_for(server.uri) as service:
        return await last_frame(service, request)


async def test_a_refused_connection_is_a_failed_lane() -> None:
    async with service_for(f"tcp://127.0.0.1:{closed_port()}") as service:
        frame = await last_frame(service, StreamTestRequest(TEXT, clients=2))
    assert [lane.state for lane in frame.lanes] == [ClientState.FAILED] * 2
    assert "No connection" in frame.lanes[0].error
    assert frame.summary is not None
    assert (frame.summary.spoken, frame.summary.ttfa_p50) == (0, None)


async def test_a_connection_closed_mid_stream_is_a_failed_lane_with_the_audio_received() -> None:
    async def script(connection: ScriptedConnection) -> None:
        await connection.read_until("synthesize-stop")
        await connection.send(START, audio(HALF_SECOND))

    lane = (await run_against(script, StreamTestRequest(TEXT, words_per_second=200.0))).lanes[0]
    assert lane.state is ClientState.FAILED
    assert "closed the connection" in lane.error
    assert lane.audio == 0.5


async def test_a_busy_error_is_a_refused_lane() -> None:
    async def script(connection: ScriptedConnection) -> None:
        await connection.read_until("synthesize-start")
        await connection.send(Error("Too many streams.", "busy"), SynthesizeStopped())
        await connection.closed()

    frame = await run_against(script, StreamTestRequest(TEXT, words_per_second=200.0))
    assert frame.lanes[0].state is ClientState.REFUSED
    assert "busy" in frame.lanes[0].error
    assert "busy" in frame.lines[-1].detail


async def test_a_server_that_never_finishes_is_a_timed_out_lane() -> None:
    async def script(connection: ScriptedConnection) -> None:
        await connection.read_until("synthesize")
        await connection.send(START, audio(HALF_SECOND))
        await connection.closed()

    limits = StreamTestLimits(seconds=0.5)
    async with scripted_server(script) as server, service_for(server.uri, limits=limits) as service:
        lane = (await last_frame(service, StreamTestRequest(TEXT, kind=ClientKind.WYOMING_PLAIN))).lanes[0]
    assert lane.state is ClientState.TIMED_OUT
    assert lane.audio == 0.5


async def test_speech_without_audio_and_a_server_of_another_protocol_are_failed_lanes() -> None:
    async def silent(connection: ScriptedConnection) -> None:
        await connection.read_until("synthesize")
        await connection.send(START, STOP)
        await connection.closed()

    async def other_protocol(connection: ScriptedConnection) -> None:
        await connection.send_bytes(b"SSH-2.0-OpenSSH\r\n")
        await connection.closed()

    for script, words in ((silent, "without any audio"), (other_protocol, "not Wyoming")):
        lane = (await run_against(script, StreamTestRequest(TEXT, kind=ClientKind.WYOMING_PLAIN))).lanes[0]
        assert lane.state is ClientState.FAILED
        assert words in lane.error


async def test_a_crashing_client_is_a_failed_lane_that_hides_internal_details(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("/secret/path")

    monkeypatch.setattr("wyoming_tts.page.stream_test.speakers.speak", broken)
    async with service_for("tcp://127.0.0.1:1") as service:
        lane = (await last_frame(service, StreamTestRequest(TEXT))).lanes[0]
    assert lane.state is ClientState.FAILED
    assert "ZeroDivisionError" in lane.error
    assert "secret" not in lane.error
    assert "/secret/path" in caplog.text
