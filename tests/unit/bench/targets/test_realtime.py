from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from tests.unit.bench.targets.web_servers import TENTH, ScriptedSession, SessionScript, session_server
from wyoming_tts.bench.options import BenchOptions, Input
from wyoming_tts.bench.targets.listener import ListenerReport, RequestOutcome
from wyoming_tts.bench.targets.realtime import RealtimeTarget
from wyoming_tts.client import ClientError

TEXT = "One two. Three four five."
COMPLETED: dict[str, Any] = {"type": "response.completed", "response": {"id": "bench"}}
DONE: dict[str, Any] = {"type": "response.output_audio.done", "response": {"id": "bench"}}


async def listen_to(
    uri: str, options: BenchOptions | None = None, *, input_: Input = Input.PLAIN, idle_timeout: float = 5.0
) -> ListenerReport:
    server = RealtimeTarget(uri, options or BenchOptions(uri, words_per_second=1000.0))
    listener = await server.connect(server.make_request(TEXT, input_))
    return (await listener.listen(idle_timeout)).report()


async def listen_to_script(
    script: SessionScript, *, input_: Input = Input.PLAIN, idle_timeout: float = 5.0
) -> ListenerReport:
    async with session_server(script) as server:
        return await listen_to(server.uri, input_=input_, idle_timeout=idle_timeout)


def answer_with(*events: dict[str, Any] | bytes, rate: int | None = None) -> SessionScript:
    async def script(session: ScriptedSession) -> None:
        await session.open(rate=rate)
        await session.read_until("response.create")
        await session.send(*events)
        await session.connection.wait_closed()

    return script


async def test_binary_audio_is_timed_and_counted() -> None:
    async def script(session: ScriptedSession) -> None:
        await session.open()
        await session.read_until("response.create")
        await session.send({"type": "response.created"})
        await asyncio.sleep(0.05)
        await session.send(TENTH)
        await asyncio.sleep(0.15)
        await session.send(TENTH, DONE, COMPLETED)

    report = await listen_to_script(script)
    assert (report.outcome, report.error) == (RequestOutcome.SPOKEN, "")
    assert report.audio == pytest.approx(0.2)
    assert report.ttfa is not None
    assert report.ttfa >= 0.05
    assert report.total >= 0.2


async def test_the_session_requests_binary_pcm_and_the_voice_before_the_text() -> None:
    async with session_server(answer_with(TENTH, COMPLETED)) as server:
        await listen_to(server.uri, BenchOptions(server.uri, voice="tone", api_key="secret"))
        [session] = server.sessions
        [handshake] = server.handshakes
    assert session.received == [
        {
            "type": "session.update",
            "session": {"audio": {"format": "pcm", "binary": True}, "voice": "tone"},
        },
        {"type": "response.create", "response_id": "bench", "input": TEXT},
    ]
    assert handshake.path == "/v1/audio/speech/stream/ws"
    assert handshake.headers["Authorization"] == "Bearer secret"


async def test_the_sample_rate_of_the_session_is_used() -> None:
    assert (await listen_to_script(answer_with(TENTH, COMPLETED, rate=48_000))).audio == pytest.approx(0.05)


async def test_base64_audio_is_counted() -> None:
    deltas = [
        {"type": "response.output_audio.delta", "delta": base64.b64encode(pcm).decode()}
        for pcm in (TENTH[:2], TENTH[:4], TENTH[6:])
    ]
    assert (await listen_to_script(answer_with(*deltas, COMPLETED))).audio == pytest.approx(0.1)


async def test_fragmented_messages_are_reassembled() -> None:
    async def script(session: ScriptedSession) -> None:
        await session.open()
        await session.read_until("response.create")
        await session.connection.send([TENTH[:1000], TENTH[1000:3000], TENTH[3000:]])
        await session.connection.send(['{"type": "response.', 'completed"}'])

    report = await listen_to_script(script)
    assert (report.outcome, round(report.audio, 6)) == (RequestOutcome.SPOKEN, 0.1)


async def test_streamed_text_is_sent_word_by_word_and_ends_with_a_commit() -> None:
    async def script(session: ScriptedSession) -> None:
        await session.open()
        await session.read_until("input.commit")
        await session.send(TENTH, COMPLETED)

    async with session_server(script) as server:
        report = await listen_to(
            server.uri, BenchOptions(server.uri, words_per_second=50.0), input_=Input.STREAM
        )
        [session] = server.sessions
    assert server.types == ["session.update", *["input.append"] * 5, "input.commit"]
    assert "".join(event.get("text", "") for event in session.received) == TEXT
    assert report.ttfa is not None
    assert report.after_sentence is not None
    assert report.after_sentence < report.ttfa
    assert report.ttfa >= 0.08  # four times the pause between two words


async def test_a_completion_before_the_end_of_the_text_does_not_end_the_reply() -> None:
    async def script(session: ScriptedSession) -> None:
        await session.open()
        await session.read_until("input.append")
        await session.send(TENTH, COMPLETED)
        await session.read_until("input.commit")
        await session.send(TENTH, COMPLETED)

    async with session_server(script) as server:
        report = await listen_to(
            server.uri, BenchOptions(server.uri, words_per_second=50.0), input_=Input.STREAM
        )
    assert report.audio == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("event", "outcome", "error"),
    [
        ({"type": "response.error", "code": "busy"}, RequestOutcome.REFUSED, "busy"),
        ({"type": "error", "error": {"code": "bad_request"}}, RequestOutcome.REFUSED, "bad_request"),
        ({"type": "response.error"}, RequestOutcome.REFUSED, "error"),
        ({"type": "response.canceled"}, RequestOutcome.CUT_OFF, "canceled"),
        (COMPLETED, RequestOutcome.CUT_OFF, "no audio"),
        ({"kind": "unknown"}, RequestOutcome.CUT_OFF, "not realtime"),
    ],
)
async def test_an_abnormal_end_of_the_reply_is_reported(
    event: dict[str, Any], outcome: RequestOutcome, error: str
) -> None:
    report = await listen_to_script(answer_with(event))
    assert (report.outcome, report.error) == (outcome, error)


async def test_a_closed_connection_is_cut_off() -> None:
    async def script(session: ScriptedSession) -> None:
        await session.open()
        await session.send(TENTH)

    report = await listen_to_script(script)
    assert (report.outcome, report.error, round(report.audio, 6)) == (RequestOutcome.CUT_OFF, "closed", 0.1)


async def test_a_stalled_reply_is_hung_after_the_idle_timeout() -> None:
    report = await listen_to_script(answer_with(TENTH), idle_timeout=0.1)
    assert (report.outcome, round(report.audio, 6)) == (RequestOutcome.HUNG, 0.1)


async def test_pings_are_answered() -> None:
    async def script(session: ScriptedSession) -> None:
        await session.open()
        await session.read_until("response.create")
        await asyncio.wait_for(await session.connection.ping(), 2.0)
        await session.send(TENTH, COMPLETED)

    assert (await listen_to_script(script)).outcome is RequestOutcome.SPOKEN


async def test_identification_opens_a_session() -> None:
    async with session_server(answer_with()) as server:
        name = await RealtimeTarget(server.uri, BenchOptions(server.uri)).identify(streams=True)
    assert name == "realtime"
    assert server.types == ["session.update"]


async def test_a_refused_handshake_is_an_error() -> None:
    async with session_server(answer_with(), refuses=403) as server:
        with pytest.raises(ClientError, match=r"opened no session: .*403"):
            await RealtimeTarget(server.uri, BenchOptions(server.uri)).identify(streams=True)


async def test_a_refused_session_is_an_error() -> None:
    async def script(session: ScriptedSession) -> None:
        await session.send({"type": "error", "code": "busy"})
        await session.connection.wait_closed()

    async with session_server(script) as server:
        with pytest.raises(ClientError, match="refused, busy"):
            await RealtimeTarget(server.uri, BenchOptions(server.uri)).identify(streams=True)


async def test_the_voice_list_serves_as_describe() -> None:
    async with session_server(answer_with()) as server:
        latency = await RealtimeTarget(server.uri, BenchOptions(server.uri)).measure_describe_latency(5.0)
    assert latency is not None
    assert [handshake.path for handshake in server.handshakes] == ["/v1/audio/voices"]
