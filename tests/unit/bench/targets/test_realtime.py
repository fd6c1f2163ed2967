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


async def heard_at(
    uri: str, options: BenchOptions | None = None, *, input_: Input = Input.PLAIN, idle_timeout: float = 5.0
) -> ListenerReport:
    server = RealtimeTarget(uri, options or BenchOptions(uri, words_per_second=1000.0))
    listener = await server.connect(server.make_request(TEXT, input_))
    return (await listener.listen(idle_timeout)).report()


async def heard_from(
    script: SessionScript, *, input_: Input = Input.PLAIN, idle_timeout: float = 5.0
) -> ListenerReport:
    async with session_server(script) as server:
        return await heard_at(server.uri, input_=input_, idle_timeout=idle_timeout)


def answering(*events: dict[str, Any] | bytes, rate: int | None = None) -> SessionScript:
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

    heard = await heard_from(script)
    assert (heard.outcome, heard.error) == (RequestOutcome.SPOKEN, "")
    assert heard.audio == pytest.approx(0.2)
    assert heard.ttfa is not None
    assert heard.ttfa >= 0.05
    assert heard.total >= 0.2


async def test_a_session_asks_for_binary_pcm_and_the_voice_before_the_text() -> None:
    async with session_server(answering(TENTH, COMPLETED)) as server:
        await heard_at(server.uri, BenchOptions(server.uri, voice="tone", api_key="secret"))
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


async def test_the_rate_is_that_of_the_session() -> None:
    assert (await heard_from(answering(TENTH, COMPLETED, rate=48_000))).audio == pytest.approx(0.05)


async def test_audio_in_base64_counts_as_well() -> None:
    deltas = [
        {"type": "response.output_audio.delta", "delta": base64.b64encode(pcm).decode()}
        for pcm in (TENTH[:2], TENTH[:4], TENTH[6:])
    ]
    assert (await heard_from(answering(*deltas, COMPLETED))).audio == pytest.approx(0.1)


async def test_messages_in_fragments_are_put_together() -> None:
    async def script(session: ScriptedSession) -> None:
        await session.open()
        await session.read_until("response.create")
        await session.connection.send([TENTH[:1000], TENTH[1000:3000], TENTH[3000:]])
        await session.connection.send(['{"type": "response.', 'completed"}'])

    heard = await heard_from(script)
    assert (heard.outcome, round(heard.audio, 6)) == (RequestOutcome.SPOKEN, 0.1)


async def test_streamed_text_goes_out_word_by_word_and_ends_with_a_commit() -> None:
    async def script(session: ScriptedSession) -> None:
        await session.open()
        await session.read_until("input.commit")
        await session.send(TENTH, COMPLETED)

    async with session_server(script) as server:
        heard = await heard_at(
            server.uri, BenchOptions(server.uri, words_per_second=50.0), input_=Input.STREAM
        )
        [session] = server.sessions
    assert server.types == ["session.update", *["input.append"] * 5, "input.commit"]
    assert "".join(event.get("text", "") for event in session.received) == TEXT
    assert heard.ttfa is not None
    assert heard.after_sentence is not None
    assert heard.after_sentence < heard.ttfa
    assert heard.ttfa >= 0.08  # four times the pause between two words


async def test_what_is_completed_while_text_is_still_coming_does_not_end_the_reply() -> None:
    async def script(session: ScriptedSession) -> None:
        await session.open()
        await session.read_until("input.append")
        await session.send(TENTH, COMPLETED)
        await session.read_until("input.commit")
        await session.send(TENTH, COMPLETED)

    async with session_server(script) as server:
        heard = await heard_at(
            server.uri, BenchOptions(server.uri, words_per_second=50.0), input_=Input.STREAM
        )
    assert heard.audio == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("event", "outcome", "told"),
    [
        ({"type": "response.error", "code": "busy"}, RequestOutcome.REFUSED, "busy"),
        ({"type": "error", "error": {"code": "bad_request"}}, RequestOutcome.REFUSED, "bad_request"),
        ({"type": "response.error"}, RequestOutcome.REFUSED, "error"),
        ({"type": "response.canceled"}, RequestOutcome.CUT_OFF, "canceled"),
        (COMPLETED, RequestOutcome.CUT_OFF, "no audio"),
        ({"kind": "unknown"}, RequestOutcome.CUT_OFF, "not realtime"),
    ],
)
async def test_a_reply_without_a_proper_end_is_told(
    event: dict[str, Any], outcome: RequestOutcome, told: str
) -> None:
    heard = await heard_from(answering(event))
    assert (heard.outcome, heard.error) == (outcome, told)


async def test_a_connection_that_is_closed_is_cut_off() -> None:
    async def script(session: ScriptedSession) -> None:
        await session.open()
        await session.send(TENTH)

    heard = await heard_from(script)
    assert (heard.outcome, heard.error, round(heard.audio, 6)) == (RequestOutcome.CUT_OFF, "closed", 0.1)


async def test_silence_for_too_long_is_a_hang() -> None:
    heard = await heard_from(answering(TENTH), idle_timeout=0.1)
    assert (heard.outcome, round(heard.audio, 6)) == (RequestOutcome.HUNG, 0.1)


async def test_pings_are_answered() -> None:
    async def script(session: ScriptedSession) -> None:
        await session.open()
        await session.read_until("response.create")
        await asyncio.wait_for(await session.connection.ping(), 2.0)
        await session.send(TENTH, COMPLETED)

    assert (await heard_from(script)).outcome is RequestOutcome.SPOKEN


async def test_the_server_is_greeted_by_opening_a_session() -> None:
    async with session_server(answering()) as server:
        name = await RealtimeTarget(server.uri, BenchOptions(server.uri)).identify(streams=True)
    assert name == "realtime"
    assert server.types == ["session.update"]


async def test_a_handshake_that_is_refused_is_told() -> None:
    async with session_server(answering(), refuses=403) as server:
        with pytest.raises(ClientError, match=r"opened no session: .*403"):
            await RealtimeTarget(server.uri, BenchOptions(server.uri)).identify(streams=True)


async def test_a_session_that_is_refused_is_told() -> None:
    async def script(session: ScriptedSession) -> None:
        await session.send({"type": "error", "code": "busy"})
        await session.connection.wait_closed()

    async with session_server(script) as server:
        with pytest.raises(ClientError, match="refused, busy"):
            await RealtimeTarget(server.uri, BenchOptions(server.uri)).identify(streams=True)


async def test_describe_is_the_list_of_voices() -> None:
    async with session_server(answering()) as server:
        latency = await RealtimeTarget(server.uri, BenchOptions(server.uri)).measure_describe_latency(5.0)
    assert latency is not None
    assert [handshake.path for handshake in server.handshakes] == ["/v1/audio/voices"]
