"""Upstream Wyoming servers, scripted and real."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace

import pytest
from wyoming.audio import AudioChunk
from wyoming.error import Error
from wyoming.event import Eventable
from wyoming.ping import Pong

from tests.support import hostile_servers as hostile
from tests.support import scripted_server as scripted
from tests.support.fake_synthesizer import RATE, FakeSynthesizer, run_in_thread, speech_pcm, spoken_words
from tests.support.scripted_http_server import as_pcm, pcm_of, text_of
from tests.support.scripted_server import Script, ScriptedConnection, scripted_server
from wyoming_tts.engines.base import RemoteOptions, samples_of
from wyoming_tts.engines.remote.lists import ListedVoice
from wyoming_tts.engines.remote.upstream import UpstreamFault, UpstreamFaultKind, UpstreamRequest
from wyoming_tts.engines.remote.wyoming import WyomingUpstream
from wyoming_tts.speech import TimedSamples, WordTiming
from wyoming_tts.transports.wyoming.protocol import info_event
from wyoming_tts.transports.wyoming.server import WyomingServer
from wyoming_tts.wyoming_framing import encode_event

OPTIONS = RemoteOptions((), connect_timeout=0.5, first_byte_timeout=5.0)
LISTED = ListedVoice("tone", "en_US", "Tone", rate=22_050)
REQUEST = UpstreamRequest("tone", "Hello", rate=22_050)


async def synthesize(uri: str, request: UpstreamRequest = REQUEST) -> bytes:
    async with aclosing(WyomingUpstream(uri, OPTIONS).speak(request, LISTED)) as pieces:
        return as_pcm([samples_of(rendered) async for rendered in pieces])


def replying(*events: Eventable, then: bytes = b"") -> Script:
    async def script(conversation: ScriptedConnection) -> None:
        await conversation.read()
        await conversation.send(*events)
        await conversation.send_bytes(then)

    return script


async def test_each_segment_uses_its_own_connection() -> None:
    audio = [scripted.audio(pcm_of("He")), Pong(), scripted.audio(pcm_of("llo"))]
    async with scripted_server(replying(scripted.START, *audio, scripted.STOP)) as server:
        assert text_of(await synthesize(server.uri, replace(REQUEST, speaker="ann"))) == "Hello"
    [event] = server.received
    assert event.type == "synthesize"
    assert event.data["text"] == "Hello"
    assert event.data["voice"] == {"name": "tone", "speaker": "ann"}


async def test_another_wyoming_tts_server_can_be_used_as_upstream() -> None:
    def describe() -> bytes:
        return encode_event(info_event([], version="1", supports_streaming=True))

    async with WyomingServer(FakeSynthesizer(), describe=describe, run_blocking=run_in_thread) as server:
        await server.start("tcp://127.0.0.1:0")
        uri = f"tcp://127.0.0.1:{server.bound[0][1]}"
        assert await WyomingUpstream(uri, OPTIONS).list_voices(run_in_thread) == ()
        assert await synthesize(uri, replace(REQUEST, text="Hi there.", rate=RATE)) == speech_pcm("Hi there.")
        resampled = await synthesize(uri, replace(REQUEST, text="Hi there.", rate=2 * RATE))
        assert len(resampled) == pytest.approx(2 * len(speech_pcm("Hi there.")), abs=200)


@pytest.mark.parametrize("rate", [RATE, 2 * RATE])
async def test_words_that_a_server_of_this_kind_tells_come_with_the_audio_in_which_they_begin(
    rate: int,
) -> None:
    text, synthesizer = "Hi there, you.", FakeSynthesizer()
    synthesizer.tells_words = True

    async with WyomingServer(synthesizer, describe=bytes, run_blocking=run_in_thread) as server:
        await server.start("tcp://127.0.0.1:0")
        upstream = WyomingUpstream(f"tcp://127.0.0.1:{server.bound[0][1]}", OPTIONS)
        request = replace(REQUEST, text=text, rate=rate)
        async with aclosing(upstream.speak(request, LISTED)) as pieces:
            heard = [rendered async for rendered in pieces]

    told = [rendered.timings for rendered in heard if isinstance(rendered, TimedSamples)]
    assert not any(timings.estimated for timings in told)
    assert [word for timings in told for word in timings.words] == [
        WordTiming(word.begin, word.end, round(word.start_time * rate), round(word.end_time * rate))
        for word in spoken_words(text)
    ]
    before = 0
    for rendered in heard:
        if isinstance(rendered, TimedSamples):
            assert all(word.first_sample >= before for word in rendered.timings.words)
        before += len(samples_of(rendered))


async def test_the_voice_list_has_installed_voices_and_their_rate_once_it_was_observed() -> None:
    async def script(conversation: ScriptedConnection) -> None:
        event = await conversation.read()
        assert event is not None
        if event.type == "describe":
            await conversation.send(Pong(), scripted.info())
        else:
            await conversation.send(scripted.audio(pcm_of("a"), rate=16_000), scripted.STOP)

    async with scripted_server(script) as server:
        one = WyomingUpstream(server.uri, OPTIONS)
        tone = ListedVoice("tone", "en_US", "Tone", rate=22_050, reads_phonemes=True)
        assert await one.list_voices(run_in_thread) == (tone,)
        async with aclosing(one.speak(REQUEST, tone)) as pieces:
            assert [samples async for samples in pieces]
        assert await one.list_voices(run_in_thread) == (replace(tone, rate=16_000),)


async def test_a_voice_not_installed_on_the_server_is_not_listed() -> None:
    async with scripted_server(scripted.answer_describe(scripted.info(installed=False))) as server:
        assert await WyomingUpstream(server.uri, OPTIONS).list_voices(run_in_thread) == ()


async def test_cancelling_closes_the_connection_at_once() -> None:
    gone = asyncio.Event()

    async def script(conversation: ScriptedConnection) -> None:
        await conversation.read()
        await conversation.send(scripted.START, scripted.audio(pcm_of("a")))
        await conversation.closed()
        gone.set()

    async with scripted_server(script) as server:
        async with aclosing(WyomingUpstream(server.uri, OPTIONS).speak(REQUEST, LISTED)) as pieces:
            await anext(pieces)
        await gone.wait()


def header(**fields: object) -> bytes:
    return json.dumps({"type": "audio-chunk"} | fields).encode() + b"\n"


STEREO = AudioChunk(rate=22_050, width=2, channels=2, audio=bytes(4))


@pytest.mark.parametrize(
    ("script", "kind", "expected_message"),
    [
        (replying(), UpstreamFaultKind.DOWN, "too early"),
        (replying(scripted.START, scripted.audio(b"ab")), UpstreamFaultKind.DOWN, "too early"),
        (replying(then=b"HTTP/1.1 400 Bad Request\r\n"), UpstreamFaultKind.FAILED, "not Wyoming"),
        (replying(then=b"[1]\n"), UpstreamFaultKind.FAILED, "not Wyoming"),
        (replying(then=b"[" * 60_000 + b"\n"), UpstreamFaultKind.FAILED, "not Wyoming"),
        (replying(then=b'{"a":' + b"[" * 60_000 + b"\n"), UpstreamFaultKind.FAILED, "more than 1000 values"),
        (replying(then=b"{" * 200_000), UpstreamFaultKind.FAILED, "at most 65536"),
        (replying(then=header(payload_length=10**12)), UpstreamFaultKind.FAILED, "payload_length"),
        (replying(then=header(data_length=-1)), UpstreamFaultKind.FAILED, "data_length"),
        (replying(then=header(data_length="x")), UpstreamFaultKind.FAILED, "data_length"),
        (replying(then=header(data={"rate": "x"})), UpstreamFaultKind.FAILED, "audio of"),
        (replying(STEREO), UpstreamFaultKind.FAILED, "2 channels"),
        (
            replying(scripted.audio(b"ab"), scripted.audio(b"ab", rate=16_000)),
            UpstreamFaultKind.FAILED,
            "went from",
        ),
        (replying(Error("Full.", "busy")), UpstreamFaultKind.BUSY, "Full"),
        (replying(Error("What?", "unknown_voice")), UpstreamFaultKind.REFUSED, "What?"),
        (replying(Error("Bye.", "shutting_down")), UpstreamFaultKind.DOWN, "Bye"),
        (replying(Error("Oh\nno.")), UpstreamFaultKind.FAILED, "Oh no"),
    ],
)
async def test_each_failure_maps_to_its_fault_kind(
    script: Script, kind: UpstreamFaultKind, expected_message: str
) -> None:
    async with scripted_server(script) as server:
        with pytest.raises(UpstreamFault) as caught:
            await synthesize(server.uri)
    assert caught.value.kind is kind, str(caught.value)
    assert expected_message in str(caught.value)


@pytest.mark.parametrize("what", hostile.NOT_WYOMING)
async def test_a_hostile_server_causes_only_a_fault(what: str) -> None:
    async with asyncio.timeout(10), scripted_server(hostile.NOT_WYOMING[what]) as server:
        with pytest.raises(UpstreamFault, match="not Wyoming") as caught:
            await synthesize(server.uri)
        assert caught.value.kind is UpstreamFaultKind.FAILED


@pytest.mark.parametrize("what", hostile.NOT_WYOMING)
async def test_listing_the_voices_of_a_hostile_server_causes_only_a_fault(what: str) -> None:
    async with asyncio.timeout(10), scripted_server(hostile.NOT_WYOMING[what]) as server:
        with pytest.raises(UpstreamFault, match=r"not (Wyoming|JSON)") as caught:
            await WyomingUpstream(server.uri, OPTIONS).list_voices(run_in_thread)
        assert caught.value.kind is UpstreamFaultKind.FAILED


@pytest.mark.parametrize("what", hostile.CUT_OFF)
async def test_a_server_that_closes_the_connection_counts_as_down(what: str) -> None:
    async with asyncio.timeout(10), scripted_server(hostile.CUT_OFF[what]) as server:
        for ask in (synthesize(server.uri), WyomingUpstream(server.uri, OPTIONS).list_voices(run_in_thread)):
            with pytest.raises(UpstreamFault, match="too early") as caught:
                await ask
            assert caught.value.kind is UpstreamFaultKind.DOWN


@pytest.mark.parametrize("answer", [b"", b"{}\n", b'{"type":"info","data":{"tts":7}}\n', b"\xff\n"])
async def test_an_unreadable_voice_list_is_a_fault(answer: bytes) -> None:
    async with scripted_server(replying(then=answer)) as server:
        with pytest.raises(UpstreamFault):
            await WyomingUpstream(server.uri, OPTIONS).list_voices(run_in_thread)


async def test_a_refused_connection_is_reported_at_once() -> None:
    async with scripted_server(replying()) as server:
        pass
    with pytest.raises(UpstreamFault, match="no connection") as caught:
        await synthesize(server.uri)
    assert caught.value.kind is UpstreamFaultKind.DOWN


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("tcp://a.local", "tcp://a.local:10200"),
        ("tcp://[::1]:7", "tcp://[::1]:7"),
        ("tcp://me:x@b:1", "tcp://b:1"),
    ],
)
def test_an_address_is_displayed_without_its_redundant_parts(given: str, shown: str) -> None:
    make: Callable[[str, RemoteOptions], WyomingUpstream] = WyomingUpstream
    assert make(given, OPTIONS).address == shown
