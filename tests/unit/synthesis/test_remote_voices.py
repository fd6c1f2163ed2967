"""The one path to sound where another server makes it."""

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

from tests.support.parts import join_chunks, running_parts
from tests.support.scripted_http_server import (
    ReceivedRequest,
    pcm_of,
    say,
    scripted_http_server,
    text_of,
    upstream,
)
from tests.support.tones import LETTERS, TONES
from wyoming_tts.admission import Admission, AdmissionOptions
from wyoming_tts.assembly.parts import Parts
from wyoming_tts.engines.base import EngineOptions, RemoteOptions
from wyoming_tts.engines.loaded import LoadedVoices
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

NOBODY = "http://127.0.0.1:1"
FAR = VoiceRequest("af_far")
AUDIBLE = Prosody(noise_scale=0, noise_w_scale=0)


@dataclass
class Fronting:
    """A product whose voices are partly elsewhere."""

    parts: Parts
    engine: RemoteEngine
    loaded: LoadedVoices
    synthesizer: Synthesizer
    records: list[UtteranceRecord] = field(default_factory=list)

    async def said(self, text: str, **changes: object) -> str:
        return text_of(join_chunks(await self.chunks(text, **changes)).astype("<i2").tobytes())

    async def chunks(self, text: str, **changes: object) -> list[AudioChunk]:
        utterance = replace(Utterance.of(text, voice=FAR), **changes)  # type: ignore[arg-type]
        async with self.synthesizer.speak(utterance) as stream:
            return [chunk async for chunk in stream]


@asynccontextmanager
async def fronting(
    *addresses: str,
    fallback: bool = False,
    default: str = LETTERS.name,
    lookahead: Lookahead | None = None,
    hops: int = 0,
    local: bool = True,
    clock: Callable[[], float] = time.monotonic,
) -> AsyncIterator[Fronting]:
    async with running_parts(compute_threads=2, trailing_silence=0.0) as parts:
        options = RemoteOptions(
            addresses, voices=("af_far",), connect_timeout=1.0, first_byte_timeout=2.0, fallback=fallback
        )
        run = parts.workers.run_blocking
        engine = await run(lambda: RemoteEngine(EngineOptions(remote=options)))
        await engine.probe(run)
        library = VoiceLibrary(default=DefaultVoice(default))
        library.replace([*(parts.library.voices if local else ()), *engine.installed()])
        loaded = LoadedVoices({**parts.engines, "remote": engine}, run_blocking=run, capacity=1)
        records: list[UtteranceRecord] = []
        synthesizer = Synthesizer(
            library=library,
            loaded=loaded,
            workers=parts.workers,
            admission=Admission(AdmissionOptions(max_streams=64), parts.workers.scheduler),
            cache=parts.cache,
            options=SynthesisOptions(prosody=AUDIBLE),
            on_record=records.append,
            lookahead=lookahead,
            hops=lambda _: hops,
            clock=clock,
        )
        try:
            yield Fronting(parts, engine, loaded, synthesizer, records)
        finally:
            loaded.close()
            await engine.aclose()


async def test_a_remote_voice_speaks_segment_by_segment_at_its_servers_level() -> None:
    async with scripted_http_server(upstream()) as server, fronting(server.address, hops=1) as front:
        assert await front.said("One two. Three four!") == "One two.Three four!"
        assert [asked.json["input"] for asked in server.spoken] == ["One two.", "Three four!"]
        assert {asked.headers["x-hops"] for asked in server.spoken} == {"2"}
        [record] = front.records
        assert (record.engine, record.voice, record.outcome) == ("remote", "af_far", Outcome.DONE)
        assert (record.segments, record.compute_seconds) == (2, 0.0)
        assert record.ttfa is not None


async def test_pace_goes_to_the_server_and_volume_is_made_here() -> None:
    async with scripted_http_server(upstream()) as server, fronting(server.address) as front:
        chunks = await front.chunks("One two.", prosody=Prosody(speed=1.5, volume=2.0))
        assert server.spoken[0].json["speed"] == 1.5
        assert np.array_equal(join_chunks(chunks), 2 * np.frombuffer(pcm_of("One two."), "<i2"))


async def test_what_was_heard_to_its_end_is_said_again_without_the_server() -> None:
    async with AsyncExitStack() as serving:
        server = await serving.enter_async_context(scripted_http_server(upstream()))
        async with fronting(server.address) as front:
            assert await front.said("Once more.") == "Once more."
            await serving.aclose()
            assert await front.said("Once more.") == "Once more."


async def slow(asked: ReceivedRequest) -> None:
    """A first sound, and then nothing until the listener is gone."""
    await asked.head(Transfer_Encoding="chunked")
    await asked.chunk(pcm_of("H"))
    await asked.closed()
    asked.writer.close()


@pytest.mark.parametrize("how", ["leaves", "is cancelled"])
async def test_a_listener_that_goes_closes_the_connection_within_a_second(how: str) -> None:
    gone, heard = asyncio.Event(), asyncio.Event()

    async def speak(asked: ReceivedRequest) -> None:
        await slow(asked)
        gone.set()

    async with scripted_http_server(upstream(speak=speak)) as server, fronting(server.address) as front:

        async def listen() -> None:
            async with front.synthesizer.speak(Utterance.of("Hello.", voice=FAR)) as stream:
                await anext(stream)
                heard.set()
                if how == "is cancelled":
                    await anext(stream)

        listening = asyncio.create_task(listen())
        await heard.wait()
        if how == "is cancelled":
            listening.cancel()
        await gone.wait()
        await asyncio.wait([listening])
        assert [record.outcome for record in front.records] == [Outcome.CANCELLED]
        assert front.parts.cache.statistics().memory_entries == 0
        assert [one.in_flight for one in front.engine._pool.upstreams] == [0]


async def test_fifty_remote_streams_need_no_thread() -> None:
    together = asyncio.Barrier(50)

    async def speak(asked: ReceivedRequest) -> None:
        await together.wait()  # none is answered before all are asked
        await say(asked)

    async with scripted_http_server(upstream(speak=speak)) as server, fronting(server.address) as front:
        threads = threading.active_count()
        texts = [f"{'aeiou'[tens]}{'bcdfghjklm'[ones]} it is." for tens in range(5) for ones in range(10)]
        async with asyncio.timeout(20):
            assert await asyncio.gather(*map(front.said, texts)) == texts
        assert threading.active_count() == threads
        assert "running=0 waiting=0" in repr(front.parts.workers)


async def test_local_voices_keep_their_places_and_remote_ones_take_none() -> None:
    async with scripted_http_server(upstream()) as server, fronting(server.address) as front:
        await front.chunks("One.", voice=VoiceRequest(LETTERS.name))
        before = front.loaded.models
        assert len(before) == 1
        await front.said("Two.")
        assert front.loaded.models == before


async def test_another_server_speaks_where_one_does_not() -> None:
    async def broken(asked: ReceivedRequest) -> None:
        await asked.answer(500)

    async with (
        scripted_http_server(upstream(speak=broken)) as one,
        scripted_http_server(upstream()) as two,
        fronting(one.address, two.address) as front,
    ):
        assert await front.said("One two. Three four! Five six?") == "One two.Three four!Five six?"
        assert len(two.spoken) == 3


async def test_a_server_that_breaks_off_ends_the_utterance_with_an_error() -> None:
    async def cut(asked: ReceivedRequest) -> None:
        await asked.head(Transfer_Encoding="chunked")
        await asked.chunk(pcm_of("Hel"))
        asked.writer.close()

    async with (
        scripted_http_server(upstream(speak=cut)) as server,
        fronting(server.address, fallback=True) as front,
        front.synthesizer.speak(Utterance.of("Hello.", voice=FAR)) as stream,
    ):
        heard: list[AudioChunk] = []
        with pytest.raises(EngineFailed, match="broke off"):
            heard.extend([chunk async for chunk in stream])
        assert front.parts.cache.statistics().memory_entries == 0
    assert [record.outcome for record in front.records] == [Outcome.FAILED]


async def test_the_embedded_voice_speaks_on_where_no_server_does(caplog: pytest.LogCaptureFixture) -> None:
    spoken = 0

    async def once(asked: ReceivedRequest) -> None:
        nonlocal spoken
        spoken += 1
        await (say(asked) if spoken == 1 else asked.answer(400))

    async with (
        scripted_http_server(upstream(speak=once)) as server,
        fronting(server.address, fallback=True) as front,
    ):
        async with front.synthesizer.speak(
            Utterance.of("First. Then came another one. And one more.", voice=FAR)
        ) as stream:
            assert stream.format.rate == 24_000
            chunks = [chunk async for chunk in stream]
        assert {chunk.format.rate for chunk in chunks} == {24_000}
        remote = len(pcm_of("First.")) // 2
        assert text_of(join_chunks(chunks)[:remote].tobytes()) == "First."
        assert (
            len(join_chunks(chunks)) - remote > 24_000
        )  # a second and more of espeak-ng, at the stream's rate
        assert len(server.spoken) == 2  # the voice does not come back in the middle
    told = [message for message in caplog.messages if "speaks instead" in message]
    assert len(told) == 1
    assert "espeak-en-us" in told[0]


async def test_a_guest_that_is_silent_is_replaced_and_the_own_voice_is_not() -> None:
    async with fronting(NOBODY, fallback=True) as front:
        text = f'<speak>Ann.<voice name="{FAR.name}">Somebody else.</voice>Bob.</speak>'
        utterance = Utterance.of(text, voice=VoiceRequest(LETTERS.name), text_format=TextFormat.SSML)
        async with front.synthesizer.speak(utterance) as stream:
            chunks = [chunk async for chunk in stream]
        own = join_chunks([chunks[0]])
        assert LETTERS.said(own) == ["Ann."]
        assert len(join_chunks(chunks)) > 3 * len(own)


async def test_without_fallback_it_is_told_that_nobody_speaks(caplog: pytest.LogCaptureFixture) -> None:
    async with fronting(NOBODY) as front:
        with pytest.raises(VoiceUnavailable, match="No remote server speaks as af_far"):
            await front.said("Hello.")
    assert [record.error for record in front.records] == ["voice_unavailable"]


class RestedClock:
    """Time that passes while something sleeps, and not otherwise."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


async def test_a_server_is_read_no_further_ahead_than_the_lookahead(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = RestedClock()
    monkeypatch.setattr(rendering, "asyncio", SimpleNamespace(sleep=clock.sleep))

    async def long(asked: ReceivedRequest) -> None:
        await asked.chunked([pcm_of("a" * 1000)])  # ten seconds

    async with (
        scripted_http_server(upstream(speak=long)) as server,
        fronting(server.address, lookahead=Lookahead(alone=2.0), clock=clock) as front,
        front.synthesizer.speak(Utterance.of("Hello.", voice=FAR)) as stream,
    ):
        heard = 0.0
        async for chunk in stream:
            assert heard <= clock.now + 2.0 + 1e-6
            heard += chunk.seconds
        assert heard > 5.0


async def test_preparing_and_warming_up_ask_for_what_they_need() -> None:
    async with (
        scripted_http_server(upstream()) as server,
        fronting(server.address, default="af_far") as front,
    ):
        spec = await front.synthesizer.warm_up()
        assert spec.voice.name == "af_far"
        assert not server.spoken
        await front.synthesizer.prepare("Ready.")
        assert len(server.spoken) == 1
        assert await front.said("Ready.") == "Ready."
        assert len(server.spoken) == 1


async def test_an_explanation_shows_what_the_server_is_sent() -> None:
    async with scripted_http_server(upstream()) as server, fronting(server.address) as front:
        explained = await front.synthesizer.explain(Utterance.of("One two. Three four!", voice=FAR))
        assert explained.phonemes == ("One two.", "Three four!")
        assert not server.spoken


async def test_one_of_this_kind_speaks_with_the_voices_of_another() -> None:
    async with (
        running_parts() as there,
        WyomingServer(
            there.synthesizer, describe=DescribeResponse(there), run_blocking=there.workers.run_blocking
        ) as server,
    ):
        await server.start("tcp://127.0.0.1:0")
        async with fronting(f"tcp://127.0.0.1:{server.bound[0][1]}", local=False) as front:
            names = {voice.name for voice in front.engine.installed()}
            assert names == {
                voice.name for voice in there.library.voices if not voice.name.startswith("espeak-")
            }
            request = VoiceRequest(LETTERS.name)
            near = await front.chunks("One two. Three four!", voice=request)
            async with there.synthesizer.speak(Utterance.of("One two. Three four!", voice=request)) as stream:
                far = [chunk async for chunk in stream]
            ratio = near[0].format.rate / far[0].format.rate
            assert len(join_chunks(near)) == pytest.approx(ratio * len(join_chunks(far)), rel=0.02)
            bert = await front.chunks("Ja.", voice=VoiceRequest(TONES.name, speaker="bert"))
            anna = await front.chunks("Ja.", voice=VoiceRequest(TONES.name, speaker="anna"))
            assert len(join_chunks(bert))
            assert not np.array_equal(join_chunks(bert), join_chunks(anna))
