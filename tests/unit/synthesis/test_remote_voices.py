"""The synthesizer with voices on remote servers."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import numpy as np
import pytest

from tests.support import scripted_http_server as scripted_http
from tests.support import scripted_server as wyoming
from tests.support.parts import join_chunks, running_parts
from tests.support.scripted_http_server import (
    ReceivedRequest,
    pcm_of,
    say,
    scripted_http_server,
    text_of,
    upstream,
)
from tests.support.scripted_server import ScriptedConnection, scripted_server
from tests.support.tones import LETTERS, TONES
from wyoming_tts.admission import Admission, AdmissionOptions
from wyoming_tts.assembly.parts import Parts
from wyoming_tts.engines.base import EngineOptions, RemoteOptions
from wyoming_tts.engines.model_cache import ModelCache
from wyoming_tts.engines.remote.engine import RemoteEngine
from wyoming_tts.errors import EngineFailed, VoiceUnavailable
from wyoming_tts.scheduler import Lookahead
from wyoming_tts.server.voice_upkeep import DescribeResponse
from wyoming_tts.speech import (
    AudioChunk,
    Outcome,
    Prosody,
    TextFormat,
    Utterance,
    UtteranceRecord,
    VoiceRequest,
)
from wyoming_tts.synthesis import SynthesisOptions, Synthesizer, rendering
from wyoming_tts.transports.wyoming.server import WyomingServer
from wyoming_tts.voices.library import DefaultVoice, VoiceLibrary

UNREACHABLE = "http://127.0.0.1:1"
REMOTE_VOICE = VoiceRequest("af_far")
DETERMINISTIC = Prosody(noise_scale=0, noise_w_scale=0)


@dataclass
class RemoteSetup:
    """A synthesizer with local and remote voices, its parts and the records."""

    parts: Parts
    engine: RemoteEngine
    loaded: ModelCache
    synthesizer: Synthesizer
    records: list[UtteranceRecord] = field(default_factory=list)

    async def decode_speech(self, text: str, **changes: object) -> str:
        return text_of(join_chunks(await self.speak(text, **changes)).astype("<i2").tobytes())

    async def speak(self, text: str, **changes: object) -> list[AudioChunk]:
        utterance = replace(Utterance.of(text, voice=REMOTE_VOICE), **changes)  # type: ignore[arg-type]
        async with self.synthesizer.speak(utterance) as stream:
            return [chunk async for chunk in stream]


@asynccontextmanager
async def remote_setup(
    *addresses: str,
    fallback: bool = False,
    default: str = LETTERS.name,
    lookahead: Lookahead | None = None,
    hops: int = 0,
    local: bool = True,
    clock: Callable[[], float] = time.monotonic,
) -> AsyncIterator[RemoteSetup]:
    async with running_parts(compute_threads=2, trailing_silence=0.0) as parts:
        options = RemoteOptions(
            addresses, voices=("af_far",), connect_timeout=1.0, first_byte_timeout=2.0, fallback=fallback
        )
        run = parts.workers.run_blocking
        engine = await run(lambda: RemoteEngine(EngineOptions(remote=options)))
        await engine.probe(run)
        library = VoiceLibrary(default=DefaultVoice(default))
        library.replace([*(parts.library.voices if local else ()), *engine.installed()])
        loaded = ModelCache({**parts.engines, "remote": engine}, run_blocking=run, capacity=1)
        records: list[UtteranceRecord] = []
        synthesizer = Synthesizer(
            library=library,
            loaded=loaded,
            workers=parts.workers,
            admission=Admission(AdmissionOptions(max_streams=64), parts.workers.scheduler),
            cache=parts.cache,
            options=SynthesisOptions(prosody=DETERMINISTIC),
            on_record=records.append,
            lookahead=lookahead,
            hops=lambda _: hops,
            clock=clock,
        )
        try:
            yield RemoteSetup(parts, engine, loaded, synthesizer, records)
        finally:
            loaded.close()
            await engine.aclose()


async def test_a_remote_voice_is_synthesized_by_segment_at_the_server_s_level() -> None:
    async with scripted_http_server(upstream()) as server, remote_setup(server.address, hops=1) as setup:
        assert await setup.decode_speech("One two. Three four!") == "One two.Three four!"
        assert [request.json["input"] for request in server.spoken] == ["One two.", "Three four!"]
        assert {request.headers["x-hops"] for request in server.spoken} == {"2"}
        [record] = setup.records
        assert (record.engine, record.voice, record.outcome) == ("remote", "af_far", Outcome.DONE)
        assert (record.segments, record.compute_seconds) == (2, 0.0)
        assert record.ttfa is not None


async def test_speed_is_sent_to_the_server_and_volume_applied_locally() -> None:
    async with scripted_http_server(upstream()) as server, remote_setup(server.address) as setup:
        chunks = await setup.speak("One two.", prosody=Prosody(speed=1.5, volume=2.0))
        assert server.spoken[0].json["speed"] == 1.5
        assert np.array_equal(join_chunks(chunks), 2 * np.frombuffer(pcm_of("One two."), "<i2"))


async def test_a_completed_utterance_is_repeated_from_the_cache_without_the_server() -> None:
    async with AsyncExitStack() as serving:
        server = await serving.enter_async_context(scripted_http_server(upstream()))
        async with remote_setup(server.address) as setup:
            assert await setup.decode_speech("Once more.") == "Once more."
            await serving.aclose()
            assert await setup.decode_speech("Once more.") == "Once more."


async def send_first_audio_then_stall(request: ReceivedRequest) -> None:
    """Send the first audio, then nothing until the client disconnects."""
    await request.head(Transfer_Encoding="chunked")
    await request.chunk(pcm_of("H"))
    await request.closed()
    request.writer.close()


@pytest.mark.parametrize("reason", ["leaves", "is cancelled"])
async def test_a_leaving_listener_closes_the_upstream_connection_within_a_second(reason: str) -> None:
    disconnected, first_audio = asyncio.Event(), asyncio.Event()

    async def speak(request: ReceivedRequest) -> None:
        await send_first_audio_then_stall(request)
        disconnected.set()

    async with scripted_http_server(upstream(speak=speak)) as server, remote_setup(server.address) as setup:

        async def listen() -> None:
            async with setup.synthesizer.speak(Utterance.of("Hello.", voice=REMOTE_VOICE)) as stream:
                await anext(stream)
                first_audio.set()
                if reason == "is cancelled":
                    await anext(stream)

        listening = asyncio.create_task(listen())
        await first_audio.wait()
        if reason == "is cancelled":
            listening.cancel()
        await disconnected.wait()
        await asyncio.wait([listening])
        assert [record.outcome for record in setup.records] == [Outcome.CANCELLED]
        assert setup.parts.cache.statistics().memory_entries == 0
        assert [one.in_flight for one in setup.engine._pool.upstreams] == [0]


async def test_words_of_a_server_that_tells_none_are_estimated_in_order() -> None:
    text = "One two, 3. Three four!"
    async with scripted_http_server(upstream()) as server, remote_setup(server.address) as setup:
        for _ in range(2):  # the second time from the cache
            chunks = await setup.speak(text)
            words = [word for chunk in chunks for word in chunk.words]
            assert [text[word.begin : word.end] for word in words] == ["One", "two", "3", "Three", "four"]
            assert all(word.estimated for word in words)
            assert [word.start_time for word in words] == sorted(word.start_time for word in words)
            assert words[-1].end_time <= sum(chunk.seconds for chunk in chunks) + 0.001


async def test_fifty_remote_streams_need_no_thread() -> None:
    all_arrived = asyncio.Barrier(50)

    async def speak(request: ReceivedRequest) -> None:
        await all_arrived.wait()  # no request is answered before all have arrived
        await say(request)

    async with scripted_http_server(upstream(speak=speak)) as server, remote_setup(server.address) as setup:
        threads = threading.active_count()
        texts = [f"{'aeiou'[tens]}{'bcdfghjklm'[ones]} it is." for tens in range(5) for ones in range(10)]
        async with asyncio.timeout(20):
            assert await asyncio.gather(*map(setup.decode_speech, texts)) == texts
        assert threading.active_count() == threads
        assert "running=0 waiting=0" in repr(setup.parts.workers)


async def test_remote_voices_do_not_evict_local_models() -> None:
    async with scripted_http_server(upstream()) as server, remote_setup(server.address) as setup:
        await setup.speak("One.", voice=VoiceRequest(LETTERS.name))
        before = setup.loaded.models
        assert len(before) == 1
        await setup.decode_speech("Two.")
        assert setup.loaded.models == before


async def test_another_server_speaks_when_one_fails() -> None:
    async def fail(request: ReceivedRequest) -> None:
        await request.answer(500)

    async with (
        scripted_http_server(upstream(speak=fail)) as one,
        scripted_http_server(upstream()) as two,
        remote_setup(one.address, two.address) as setup,
    ):
        assert await setup.decode_speech("One two. Three four! Five six?") == "One two.Three four!Five six?"
        assert len(two.spoken) == 3


def break_off_after(letters: int) -> scripted_http.Script:
    async def send_part(request: ReceivedRequest) -> None:
        await request.head(Transfer_Encoding="chunked")
        await request.chunk(pcm_of(request.json["input"][:letters]))
        request.writer.close()

    return send_part


def wyoming_server(*, breaks_off_after: int | None = None, pitch: int = 1) -> wyoming.Script:
    """Script of a Wyoming server with the voice "af_far" that is told to speak one segment a connection."""

    async def script(conversation: ScriptedConnection) -> None:
        event = await conversation.read()
        if event is None or event.type == "describe":
            await conversation.send(wyoming.info("af_far"))
            return
        pcm = (np.frombuffer(pcm_of(event.data["text"][:breaks_off_after]), "<i2") * pitch).tobytes()
        await conversation.send(wyoming.audio(pcm, rate=24_000))
        if breaks_off_after is None:
            await conversation.send(wyoming.STOP)

    return script


LONG = "One two three. Four five six seven!"


@pytest.mark.parametrize("letters", [1, 7, 11])
async def test_another_server_goes_on_in_the_middle_of_a_word(letters: int) -> None:
    async with (
        scripted_http_server(upstream(speak=break_off_after(letters))) as one,
        scripted_http_server(upstream()) as two,
        remote_setup(one.address, two.address, fallback=True) as setup,
    ):
        chunks = await setup.speak(LONG)
        words = [LONG[word.begin : word.end] for chunk in chunks for word in chunk.words]
        assert text_of(join_chunks(chunks).astype("<i2").tobytes()) == LONG.replace(". ", ".")
        assert words == ["One", "two", "three", "Four", "five", "six", "seven"]
        assert [len(one.spoken), len(two.spoken)] == [1, 2]
        assert [record.outcome for record in setup.records] == [Outcome.DONE]
        assert setup.parts.cache.statistics().memory_entries == 2
        assert [health.in_flight for health in setup.engine._pool.upstreams] == [0, 0]


async def test_a_server_over_another_protocol_goes_on_too() -> None:
    async with (
        scripted_http_server(upstream(speak=break_off_after(4))) as one,
        scripted_server(wyoming_server(breaks_off_after=9)) as two,
        scripted_server(wyoming_server()) as three,
        remote_setup(one.address, two.uri, three.uri) as setup,
    ):
        chunks = await setup.speak(LONG)
        assert text_of(join_chunks(chunks).astype("<i2").tobytes()) == LONG.replace(". ", ".")


async def test_audio_that_two_servers_spoke_differently_is_not_kept() -> None:
    async with (
        scripted_server(wyoming_server(breaks_off_after=5)) as one,
        scripted_server(wyoming_server(pitch=2)) as two,
        remote_setup(one.uri, two.uri) as setup,
    ):
        chunks = await setup.speak("One two three.")
        assert sum(chunk.seconds for chunk in chunks) == pytest.approx(14 * 240 / 22_050, abs=0.15)
        assert setup.parts.cache.statistics().memory_entries == 0


async def test_an_interrupted_server_response_fails_the_utterance_if_no_other_goes_on() -> None:
    async with (
        scripted_http_server(upstream(speak=break_off_after(3))) as server,
        remote_setup(server.address, fallback=True) as setup,
        setup.synthesizer.speak(Utterance.of("Hello.", voice=REMOTE_VOICE)) as stream,
    ):
        received: list[AudioChunk] = []
        with pytest.raises(EngineFailed, match="broke off"):
            received.extend([chunk async for chunk in stream])
        assert setup.parts.cache.statistics().memory_entries == 0
    assert [record.outcome for record in setup.records] == [Outcome.FAILED]


async def test_the_embedded_voice_takes_over_when_no_server_speaks(caplog: pytest.LogCaptureFixture) -> None:
    spoken = 0

    async def speak_once(request: ReceivedRequest) -> None:
        nonlocal spoken
        spoken += 1
        await (say(request) if spoken == 1 else request.answer(400))

    async with (
        scripted_http_server(upstream(speak=speak_once)) as server,
        remote_setup(server.address, fallback=True) as setup,
    ):
        async with setup.synthesizer.speak(
            Utterance.of("First. Then came another one. And one more.", voice=REMOTE_VOICE)
        ) as stream:
            assert stream.format.rate == 24_000
            chunks = [chunk async for chunk in stream]
        assert {chunk.format.rate for chunk in chunks} == {24_000}
        remote = len(pcm_of("First.")) // 2
        assert text_of(join_chunks(chunks)[:remote].tobytes()) == "First."
        assert (
            len(join_chunks(chunks)) - remote > 24_000
        )  # more than a second of espeak-ng, at the stream's rate
        assert len(server.spoken) == 2  # the remote voice is not tried again within the utterance
    messages = [message for message in caplog.messages if "speaks instead" in message]
    assert len(messages) == 1
    assert "espeak-en-us" in messages[0]


async def test_an_unavailable_markup_voice_is_replaced_but_the_main_voice_continues() -> None:
    async with remote_setup(UNREACHABLE, fallback=True) as setup:
        text = f'<speak>Ann.<voice name="{REMOTE_VOICE.name}">Somebody else.</voice>Bob.</speak>'
        utterance = Utterance.of(text, voice=VoiceRequest(LETTERS.name), text_format=TextFormat.SSML)
        async with setup.synthesizer.speak(utterance) as stream:
            chunks = [chunk async for chunk in stream]
        own = join_chunks([chunks[0]])
        assert LETTERS.said(own) == ["Ann."]
        assert len(join_chunks(chunks)) > 3 * len(own)


async def test_without_fallback_an_unreachable_voice_is_unavailable(caplog: pytest.LogCaptureFixture) -> None:
    async with remote_setup(UNREACHABLE) as setup:
        with pytest.raises(VoiceUnavailable, match="No remote server speaks as af_far"):
            await setup.decode_speech("Hello.")
    assert [record.error for record in setup.records] == ["voice_unavailable"]


class FakeClock:
    """A clock that advances only while something sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


async def test_a_server_is_read_no_further_ahead_than_the_lookahead(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()
    monkeypatch.setattr(rendering, "asyncio", SimpleNamespace(sleep=clock.sleep))

    async def speak_ten_seconds(request: ReceivedRequest) -> None:
        await request.chunked([pcm_of("a" * 1000)])  # ten seconds

    async with (
        scripted_http_server(upstream(speak=speak_ten_seconds)) as server,
        remote_setup(server.address, lookahead=Lookahead(alone=2.0), clock=clock) as setup,
        setup.synthesizer.speak(Utterance.of("Hello.", voice=REMOTE_VOICE)) as stream,
    ):
        received_seconds = 0.0
        async for chunk in stream:
            assert received_seconds <= clock.now + 2.0 + 1e-6
            received_seconds += chunk.seconds
        assert received_seconds > 5.0


async def test_warm_up_sends_no_request_and_prepare_fills_the_cache() -> None:
    async with (
        scripted_http_server(upstream()) as server,
        remote_setup(server.address, default="af_far") as setup,
    ):
        spec = await setup.synthesizer.warm_up()
        assert spec.voice.name == "af_far"
        assert not server.spoken
        await setup.synthesizer.prepare("Ready.")
        assert len(server.spoken) == 1
        assert await setup.decode_speech("Ready.") == "Ready."
        assert len(server.spoken) == 1


async def test_an_explanation_shows_the_text_sent_to_the_server() -> None:
    async with scripted_http_server(upstream()) as server, remote_setup(server.address) as setup:
        explained = await setup.synthesizer.explain(Utterance.of("One two. Three four!", voice=REMOTE_VOICE))
        assert explained.phonemes == ("One two.", "Three four!")
        assert not server.spoken


async def test_a_server_of_this_product_works_as_a_remote_server() -> None:
    async with (
        running_parts() as upstream_parts,
        WyomingServer(
            upstream_parts.synthesizer,
            describe=DescribeResponse(upstream_parts),
            run_blocking=upstream_parts.workers.run_blocking,
        ) as server,
    ):
        await server.start("tcp://127.0.0.1:0")
        async with remote_setup(f"tcp://127.0.0.1:{server.bound[0][1]}", local=False) as setup:
            names = {voice.name for voice in setup.engine.installed()}
            assert names == {
                voice.name for voice in upstream_parts.library.voices if not voice.name.startswith("espeak-")
            }
            request = VoiceRequest(LETTERS.name)
            local = await setup.speak("One two. Three four!", voice=request)
            async with upstream_parts.synthesizer.speak(
                Utterance.of("One two. Three four!", voice=request)
            ) as stream:
                original = [chunk async for chunk in stream]
            ratio = local[0].format.rate / original[0].format.rate
            assert len(join_chunks(local)) == pytest.approx(ratio * len(join_chunks(original)), rel=0.02)
            bert = await setup.speak("Ja.", voice=VoiceRequest(TONES.name, speaker="bert"))
            anna = await setup.speak("Ja.", voice=VoiceRequest(TONES.name, speaker="anna"))
            assert len(join_chunks(bert))
            assert not np.array_equal(join_chunks(bert), join_chunks(anna))


async def test_the_record_names_the_voice_that_spoke_in_place_of_a_remote_one() -> None:
    async with remote_setup(UNREACHABLE, fallback=True) as setup:
        utterance = Utterance.of("One two.", voice=VoiceRequest(REMOTE_VOICE.name))
        async with setup.synthesizer.speak(utterance) as stream:
            async for _ in stream:
                told = stream.voice
        [record] = setup.records
    assert (told.name, told.reason, told.requested) == ("espeak-en-us", "fallback", REMOTE_VOICE.name)
    assert (record.voice, record.engine) == ("espeak-en-us", "espeak")
    assert (record.requested_voice, record.voice_reason) == (REMOTE_VOICE.name, "fallback")
