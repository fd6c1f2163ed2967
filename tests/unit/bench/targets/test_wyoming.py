from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from wyoming.error import Error
from wyoming.tts import SynthesizeStopped

from tests.support import hostile_servers as hostile
from tests.support.scripted_server import (
    START,
    STOP,
    Script,
    ScriptedConnection,
    answer_describe,
    audio,
    info,
    scripted_server,
)
from tests.unit.bench.targets.driven_listener import ManualClock, RecordingTransport, report_of
from wyoming_tts.bench.options import Input
from wyoming_tts.bench.targets.listener import ListenerReport, ListenerRequest, RequestOutcome
from wyoming_tts.bench.targets.wyoming import WyomingListener, make_request, measure_describe_latency
from wyoming_tts.wyoming_framing import encode_event

TENTH = bytes(4410)
"""A tenth of a second at 22,050 Hz."""
TEXT = "One two. Three four five."


def plain_request(text: str = TEXT) -> ListenerRequest:
    return make_request(text, Input.PLAIN, words_per_second=1000.0)


async def listen_to(
    script: Script, request: ListenerRequest | None = None, *, idle_timeout: float = 5.0
) -> ListenerReport:
    async with scripted_server(script) as server:
        listener = await WyomingListener.connect(server.uri, request or plain_request())
        return (await listener.listen(idle_timeout)).report()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> ManualClock:
    clock = ManualClock()
    monkeypatch.setattr("wyoming_tts.bench.targets.listener.time", clock)
    return clock


async def test_a_reply_is_timed_and_counted(clock: ManualClock) -> None:
    report = await report_of(
        WyomingListener(plain_request()),
        clock,
        (0.05, encode_event(START.event()) + encode_event(audio(TENTH).event())),
        (0.2, encode_event(audio(TENTH).event()) * 2 + encode_event(STOP.event())),
    )
    assert (report.outcome, report.error) == (RequestOutcome.SPOKEN, "")
    assert report.audio == pytest.approx(0.3)
    assert (report.ttfa, report.total) == pytest.approx((0.05, 0.2))
    assert report.after_sentence is None
    assert report.played is not None
    assert report.played.gaps == pytest.approx((0.05,))
    assert report.real_time_factor == pytest.approx(report.total / 0.3)


async def test_a_listener_with_a_small_buffer_reads_no_further_ahead_of_its_player(
    clock: ManualClock,
) -> None:
    listener = WyomingListener(replace(plain_request(), read_ahead=0.25))
    transport = RecordingTransport()
    listener.connection_made(transport)
    listener.data_received(encode_event(START.event()) + encode_event(audio(TENTH).event()) * 2)
    assert not transport.is_paused
    listener.data_received(encode_event(audio(TENTH).event()))
    assert transport.is_paused
    await transport.resumed.wait()
    clock.now += 0.2
    listener.data_received(encode_event(audio(TENTH).event()))
    assert not transport.is_paused


async def test_the_whole_text_and_the_voice_are_sent_in_one_request() -> None:
    async def script(conversation: ScriptedConnection) -> None:
        await conversation.read_until("synthesize")
        await conversation.send(START, audio(TENTH), STOP)

    request = make_request(TEXT, Input.PLAIN, words_per_second=1.0, voice="tone")
    async with scripted_server(script) as server:
        await (await WyomingListener.connect(server.uri, request)).listen(5.0)
        [event] = server.received
    assert (event.data["text"], event.data["voice"]) == (TEXT, {"name": "tone"})


async def test_streamed_text_is_sent_word_by_word_at_its_pace() -> None:
    async def script(conversation: ScriptedConnection) -> None:
        while (event := await conversation.read()) is not None:
            if event.type == "synthesize-stop":
                await conversation.send(START, audio(TENTH), STOP, SynthesizeStopped())

    request = make_request(TEXT, Input.STREAM, words_per_second=50.0)
    async with scripted_server(script) as server:
        report = (await (await WyomingListener.connect(server.uri, request)).listen(5.0)).report()
        events = server.received
    assert server.types == ["synthesize-start", *["synthesize-chunk"] * 5, "synthesize", "synthesize-stop"]
    assert "".join(event.data["text"] for event in events[1:6]) == TEXT == events[6].data["text"]
    assert report.outcome is RequestOutcome.SPOKEN
    assert report.ttfa is not None
    assert report.ttfa >= 0.08


async def test_speech_before_the_end_of_the_sentence_has_a_negative_latency() -> None:
    async def script(conversation: ScriptedConnection) -> None:
        await conversation.read_until("synthesize-chunk")
        await conversation.send(START, audio(TENTH))
        await conversation.read_until("synthesize-stop")
        await conversation.send(STOP, SynthesizeStopped())

    report = await listen_to(script, make_request(TEXT, Input.STREAM, words_per_second=10.0))
    assert report.ttfa is not None
    assert report.after_sentence is not None
    # "Three" is the third word: it comes after 200 ms.
    assert report.ttfa - report.after_sentence == pytest.approx(0.2, abs=0.05)
    assert report.after_sentence < 0.0


async def test_audio_stops_between_sentences_do_not_end_a_streamed_reply() -> None:
    async def script(conversation: ScriptedConnection) -> None:
        await conversation.read_until("synthesize-stop")
        await conversation.send(START, audio(TENTH), STOP, START, audio(TENTH), STOP, SynthesizeStopped())

    report = await listen_to(script, make_request(TEXT, Input.STREAM, words_per_second=1000.0))
    assert report.audio == pytest.approx(0.2)


def refuse_with(code: str | None) -> Script:
    async def script(conversation: ScriptedConnection) -> None:
        await conversation.read_until("synthesize")
        await conversation.send(Error("full", code))
        await conversation.closed()

    return script


@pytest.mark.parametrize(("code", "error"), [("busy", "busy"), (None, "error")])
async def test_a_refusal_is_reported_by_its_error_code_and_ends_the_request(
    code: str | None, error: str
) -> None:
    report = await listen_to(refuse_with(code))
    assert (report.outcome, report.error) == (RequestOutcome.REFUSED, error)
    assert (report.ttfa, report.audio, report.played) == (None, 0.0, None)


def reply_with(*events: object, raw: bytes = b"") -> Script:
    async def script(conversation: ScriptedConnection) -> None:
        await conversation.read_until("synthesize")
        await conversation.send(*events)  # type: ignore[arg-type]
        if raw:
            await conversation.send_bytes(raw)

    return script


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (reply_with(START, audio(TENTH)), "closed"),
        (reply_with(START, STOP), "no audio"),
        (reply_with(raw=b"SSH-2.0\n"), "not Wyoming"),
        (reply_with(raw=b'{"type": "audio-chunk", "payload_length": 2}\n\0\0'), "not Wyoming"),
    ],
)
async def test_a_reply_without_a_proper_end_is_cut_off(script: Script, why: str) -> None:
    report = await listen_to(script)
    assert (report.outcome, report.error) == (RequestOutcome.CUT_OFF, why)


@pytest.mark.parametrize("what", [what for what in hostile.NOT_WYOMING if not what.startswith("data ")])
async def test_a_hostile_server_ends_only_its_listener(what: str) -> None:
    async with asyncio.timeout(10):
        report = await listen_to(hostile.NOT_WYOMING[what])
    assert (report.outcome, report.error) == (RequestOutcome.CUT_OFF, "not Wyoming")


@pytest.mark.parametrize("what", hostile.CUT_OFF)
async def test_a_truncated_reply_ends_its_listener(what: str) -> None:
    report = await listen_to(hostile.CUT_OFF[what])
    assert (report.outcome, report.error) == (RequestOutcome.CUT_OFF, "closed")


async def test_a_stalled_reply_is_hung_after_the_idle_timeout() -> None:
    async def script(conversation: ScriptedConnection) -> None:
        await conversation.read_until("synthesize")
        await conversation.send(START, audio(TENTH))
        await conversation.closed()

    report = await listen_to(script, idle_timeout=0.1)
    assert report.outcome is RequestOutcome.HUNG
    assert report.audio == pytest.approx(0.1)
    assert report.total >= 0.1


async def test_a_slow_reply_is_not_hung_while_audio_arrives() -> None:
    async def script(conversation: ScriptedConnection) -> None:
        await conversation.read_until("synthesize")
        await conversation.send(START)
        for _ in range(30):
            await asyncio.sleep(0.02)
            await conversation.send(audio(TENTH))
        await conversation.send(STOP)

    assert (await listen_to(script, idle_timeout=0.5)).outcome is RequestOutcome.SPOKEN


async def test_a_cancelled_listener_closes_its_connection() -> None:
    closed = asyncio.Event()
    requested = asyncio.Event()

    async def script(conversation: ScriptedConnection) -> None:
        await conversation.read_until("synthesize")
        requested.set()
        await conversation.closed()
        closed.set()

    async with scripted_server(script) as server:
        listener = await WyomingListener.connect(server.uri, plain_request())
        listening = asyncio.create_task(listener.listen(60.0))
        await requested.wait()
        listening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await listening
        await closed.wait()


async def test_describe_is_timed_from_the_connection_to_the_complete_answer() -> None:
    async with scripted_server(answer_describe(info())) as server:
        latency = await measure_describe_latency(server.uri, 5.0)
    assert latency is not None
    assert latency > 0.0


@pytest.mark.parametrize("raw", [b"", b"nonsense\n"])
async def test_describe_without_an_answer_has_no_latency(raw: bytes) -> None:
    async def script(conversation: ScriptedConnection) -> None:
        await conversation.read_until("describe")
        await conversation.send_bytes(raw)

    async with scripted_server(script) as server:
        assert await measure_describe_latency(server.uri, 5.0) is None
    assert await measure_describe_latency(server.uri, 5.0) is None  # the server is gone


async def test_describe_times_out() -> None:
    async with scripted_server(lambda conversation: conversation.closed()) as server:
        assert await measure_describe_latency(server.uri, 0.05) is None
