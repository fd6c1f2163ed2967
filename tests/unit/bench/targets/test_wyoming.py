from __future__ import annotations

import asyncio

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
from tests.unit.bench.targets.driven_listener import ManualClock, report_of
from wyoming_tts.bench.options import Input
from wyoming_tts.bench.targets.listener import ListenerReport, ListenerRequest, RequestOutcome
from wyoming_tts.bench.targets.wyoming import WyomingListener, make_request, measure_describe_latency
from wyoming_tts.wyoming_framing import encode_event

TENTH = bytes(4410)
"""A tenth of a second at 22,050 Hz."""
TEXT = "One two. Three four five."


def plain(text: str = TEXT) -> ListenerRequest:
    return make_request(text, Input.PLAIN, words_per_second=1000.0)


async def heard_from(
    script: Script, wanted: ListenerRequest | None = None, *, idle_timeout: float = 5.0
) -> ListenerReport:
    async with scripted_server(script) as server:
        listener = await WyomingListener.connect(server.uri, wanted or plain())
        return (await listener.listen(idle_timeout)).report()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> ManualClock:
    clock = ManualClock()
    monkeypatch.setattr("wyoming_tts.bench.targets.listener.time", clock)
    return clock


async def test_a_reply_is_timed_and_counted(clock: ManualClock) -> None:
    heard = await report_of(
        WyomingListener(plain()),
        clock,
        (0.05, encode_event(START.event()) + encode_event(audio(TENTH).event())),
        (0.2, encode_event(audio(TENTH).event()) * 2 + encode_event(STOP.event())),
    )
    assert (heard.outcome, heard.error) == (RequestOutcome.SPOKEN, "")
    assert heard.audio == pytest.approx(0.3)
    assert (heard.ttfa, heard.total) == pytest.approx((0.05, 0.2))
    assert heard.after_sentence is None
    assert heard.played is not None
    assert heard.played.gaps == pytest.approx((0.05,))
    assert heard.real_time_factor == pytest.approx(heard.total / 0.3)


async def test_the_whole_text_and_the_voice_are_sent_in_one_request() -> None:
    async def script(conversation: ScriptedConnection) -> None:
        await conversation.read_until("synthesize")
        await conversation.send(START, audio(TENTH), STOP)

    wanted = make_request(TEXT, Input.PLAIN, words_per_second=1.0, voice="tone")
    async with scripted_server(script) as server:
        await (await WyomingListener.connect(server.uri, wanted)).listen(5.0)
        [event] = server.received
    assert (event.data["text"], event.data["voice"]) == (TEXT, {"name": "tone"})


async def test_streamed_text_goes_out_word_by_word_at_its_pace() -> None:
    async def script(conversation: ScriptedConnection) -> None:
        while (event := await conversation.read()) is not None:
            if event.type == "synthesize-stop":
                await conversation.send(START, audio(TENTH), STOP, SynthesizeStopped())

    wanted = make_request(TEXT, Input.STREAM, words_per_second=50.0)
    async with scripted_server(script) as server:
        heard = (await (await WyomingListener.connect(server.uri, wanted)).listen(5.0)).report()
        events = server.received
    assert server.types == ["synthesize-start", *["synthesize-chunk"] * 5, "synthesize", "synthesize-stop"]
    assert "".join(event.data["text"] for event in events[1:6]) == TEXT == events[6].data["text"]
    assert heard.outcome is RequestOutcome.SPOKEN
    assert heard.ttfa is not None
    assert heard.ttfa >= 0.08


async def test_streamed_text_that_is_spoken_early_counts_below_zero_from_the_sentence() -> None:
    async def script(conversation: ScriptedConnection) -> None:
        await conversation.read_until("synthesize-chunk")
        await conversation.send(START, audio(TENTH))
        await conversation.read_until("synthesize-stop")
        await conversation.send(STOP, SynthesizeStopped())

    heard = await heard_from(script, make_request(TEXT, Input.STREAM, words_per_second=10.0))
    assert heard.ttfa is not None
    assert heard.after_sentence is not None
    # "Three" is the third word: it comes after 200 ms.
    assert heard.ttfa - heard.after_sentence == pytest.approx(0.2, abs=0.05)
    assert heard.after_sentence < 0.0


async def test_audio_stops_between_sentences_do_not_end_a_streamed_reply() -> None:
    async def script(conversation: ScriptedConnection) -> None:
        await conversation.read_until("synthesize-stop")
        await conversation.send(START, audio(TENTH), STOP, START, audio(TENTH), STOP, SynthesizeStopped())

    heard = await heard_from(script, make_request(TEXT, Input.STREAM, words_per_second=1000.0))
    assert heard.audio == pytest.approx(0.2)


def busy(code: str | None) -> Script:
    async def script(conversation: ScriptedConnection) -> None:
        await conversation.read_until("synthesize")
        await conversation.send(Error("full", code))
        await conversation.closed()

    return script


@pytest.mark.parametrize(("code", "told"), [("busy", "busy"), (None, "error")])
async def test_a_refusal_is_told_by_its_code_and_ends_at_once(code: str | None, told: str) -> None:
    heard = await heard_from(busy(code))
    assert (heard.outcome, heard.error) == (RequestOutcome.REFUSED, told)
    assert (heard.ttfa, heard.audio, heard.played) == (None, 0.0, None)


def sends(*events: object, raw: bytes = b"") -> Script:
    async def script(conversation: ScriptedConnection) -> None:
        await conversation.read_until("synthesize")
        await conversation.send(*events)  # type: ignore[arg-type]
        if raw:
            await conversation.send_bytes(raw)

    return script


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (sends(START, audio(TENTH)), "closed"),
        (sends(START, STOP), "no audio"),
        (sends(raw=b"SSH-2.0\n"), "not Wyoming"),
        (sends(raw=b'{"type": "audio-chunk", "payload_length": 2}\n\0\0'), "not Wyoming"),
    ],
)
async def test_a_reply_without_a_proper_end_is_cut_off(script: Script, why: str) -> None:
    heard = await heard_from(script)
    assert (heard.outcome, heard.error) == (RequestOutcome.CUT_OFF, why)


@pytest.mark.parametrize("what", [what for what in hostile.NOT_WYOMING if not what.startswith("data ")])
async def test_a_hostile_server_ends_its_listener_and_nothing_more(what: str) -> None:
    async with asyncio.timeout(10):
        heard = await heard_from(hostile.NOT_WYOMING[what])
    assert (heard.outcome, heard.error) == (RequestOutcome.CUT_OFF, "not Wyoming")


@pytest.mark.parametrize("what", hostile.CUT_OFF)
async def test_a_connection_that_is_cut_ends_its_listener(what: str) -> None:
    heard = await heard_from(hostile.CUT_OFF[what])
    assert (heard.outcome, heard.error) == (RequestOutcome.CUT_OFF, "closed")


async def test_silence_for_too_long_is_a_hang() -> None:
    async def script(conversation: ScriptedConnection) -> None:
        await conversation.read_until("synthesize")
        await conversation.send(START, audio(TENTH))
        await conversation.closed()

    heard = await heard_from(script, idle_timeout=0.1)
    assert heard.outcome is RequestOutcome.HUNG
    assert heard.audio == pytest.approx(0.1)
    assert heard.total >= 0.1


async def test_a_slow_reply_is_no_hang_while_something_comes() -> None:
    async def script(conversation: ScriptedConnection) -> None:
        await conversation.read_until("synthesize")
        await conversation.send(START)
        for _ in range(30):
            await asyncio.sleep(0.02)
            await conversation.send(audio(TENTH))
        await conversation.send(STOP)

    assert (await heard_from(script, idle_timeout=0.5)).outcome is RequestOutcome.SPOKEN


async def test_a_cancelled_listener_closes_its_connection() -> None:
    closed = asyncio.Event()
    asked = asyncio.Event()

    async def script(conversation: ScriptedConnection) -> None:
        await conversation.read_until("synthesize")
        asked.set()
        await conversation.closed()
        closed.set()

    async with scripted_server(script) as server:
        listener = await WyomingListener.connect(server.uri, plain())
        listening = asyncio.create_task(listener.listen(60.0))
        await asked.wait()
        listening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await listening
        await closed.wait()


async def test_describe_is_timed_from_the_connection_to_the_whole_answer() -> None:
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
    assert await measure_describe_latency(server.uri, 5.0) is None  # nobody is there any more


async def test_describe_is_not_waited_for_without_end() -> None:
    async with scripted_server(lambda conversation: conversation.closed()) as server:
        assert await measure_describe_latency(server.uri, 0.05) is None
