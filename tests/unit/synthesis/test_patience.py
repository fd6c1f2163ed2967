"""A listener with little patience hears something in time: another voice, or silence before the speech."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Generator
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from tests.support.parts import join_chunks, running_parts
from tests.support.tones import LETTERS
from tests.unit.synthesis.test_synthesizer import make_synthesizer, speak
from wyoming_tts.engines.espeak.engine import EspeakEngine
from wyoming_tts.engines.piper.engine import LoadedPiper, PiperEngine
from wyoming_tts.speech import (
    AudioChunk,
    Outcome,
    Segment,
    SpeakingVoice,
    Utterance,
    UtteranceRecord,
    Voice,
    VoiceReason,
    VoiceSpec,
)
from wyoming_tts.synthesis.background_loading import BackgroundLoading
from wyoming_tts.synthesis.rendering import SegmentRenderer
from wyoming_tts.text.lexicon.rules import LexiconResult

AT_ONCE = 0.001
"""Seconds of patience: it is over before anything can be loaded."""
LONG = 60.0


class Gate:
    """Keeps what is called through it waiting on its thread until it is opened."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.passed = 0

    def before(self, work: Callable[..., object]) -> Callable[..., object]:
        def wait(*given: object) -> object:
            assert self.opened.wait(LONG)
            self.passed += 1
            return work(*given)

        return wait


def is_other_voice(chunks: list[AudioChunk]) -> bool:
    """Whether it is no audio of the letter voice, whose letters are tones of one length."""
    with pytest.raises(AssertionError, match="no whole number of slots"):
        LETTERS.said(join_chunks(chunks))
    return bool(np.any(join_chunks(chunks)))


@pytest.fixture
def loading(monkeypatch: pytest.MonkeyPatch) -> Gate:
    """The loading of a Piper voice."""
    gate = Gate()
    monkeypatch.setattr(PiperEngine, "load", gate.before(PiperEngine.load))
    return gate


async def test_the_embedded_voice_speaks_for_one_that_is_not_loaded_in_time_and_the_load_goes_on(
    loading: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    async with running_parts() as parts:
        records: list[UtteranceRecord] = []
        synthesizer = make_synthesizer(parts, records)
        async with synthesizer.loading:
            texts = ["One.", "Two."]
            heard = [
                await speak(synthesizer, replace(Utterance.of(text), patience=AT_ONCE)) for text in texts
            ]
            loading.opened.set()
            last = await speak(synthesizer, replace(Utterance.of(texts[0]), patience=LONG))
    for text, chunks in zip(texts, heard, strict=True):
        assert {chunk.format.rate for chunk in chunks} == {LETTERS.rate}
        assert is_other_voice(chunks), text
    assert LETTERS.said(join_chunks(last)) == texts[:1]  # not from the cache
    assert [record.outcome for record in records] == [Outcome.DONE] * 3
    assert caplog.text.count("is still being loaded: espeak-en-us speaks instead") == 2
    assert loading.passed == 1


async def test_the_embedded_voice_itself_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate()
    monkeypatch.setattr(EspeakEngine, "load", gate.before(EspeakEngine.load))
    async with running_parts(voice="espeak-en_US", patience=AT_ONCE) as parts, asyncio.TaskGroup() as group:
        spoken = group.create_task(speak(parts.synthesizer, Utterance.of("One.")))
        await asyncio.sleep(0)
        gate.opened.set()
        assert np.any(join_chunks(await spoken))


async def test_silence_is_sent_until_there_is_speech_and_words_are_told_when_they_sound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It has no part in the record: the time to the first audio is that of speech, and there is no gap."""
    gate = Gate()
    render = LoadedPiper.render

    def held(*given: object) -> Generator[object, None, None]:
        assert gate.opened.wait(LONG)
        yield from render(*given)  # type: ignore[arg-type]

    async with running_parts() as parts:
        records: list[UtteranceRecord] = []
        synthesizer = make_synthesizer(parts, records)
        await synthesizer.warm_up()
        monkeypatch.setattr(LoadedPiper, "render", held)
        chunks = list[AudioChunk]()
        utterance = replace(Utterance.of("Three four."), keeps_alive=True, patience=AT_ONCE)
        async with synthesizer.loading, synthesizer.speak(utterance) as stream:
            async for chunk in stream:
                chunks.append(chunk)
                if len(chunks) == 3:
                    assert not np.any(join_chunks(chunks))
                    gate.opened.set()
        again = await speak(synthesizer, Utterance.of("Three four."))

    silent = sum(chunk.samples for chunk in chunks) - sum(chunk.samples for chunk in again)
    assert np.array_equal(join_chunks(chunks)[silent:], join_chunks(again))
    assert not np.any(join_chunks(chunks)[:silent])
    words = [word for chunk in chunks for word in chunk.words]
    usual = [word for chunk in again for word in chunk.words]
    seconds = silent / LETTERS.rate
    assert [word.start_time for word in words] == pytest.approx([word.start_time + seconds for word in usual])
    assert all(left.start_time <= right.start_time for left, right in pairwise(words))
    assert records[0].audio_seconds == pytest.approx(sum(chunk.seconds for chunk in again))
    assert (records[0].underruns, records[0].outcome) == (0, Outcome.DONE)


async def test_the_voice_that_is_told_with_the_silence_is_the_one_that_speaks(
    loading: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A load that ends after the first silence was sent comes too late for the utterance."""
    embedded = Gate()
    monkeypatch.setattr(EspeakEngine, "load", embedded.before(EspeakEngine.load))
    async with running_parts() as parts:
        records: list[UtteranceRecord] = []
        synthesizer = make_synthesizer(parts, records)
        utterance = replace(Utterance.of("One."), keeps_alive=True, patience=AT_ONCE)
        async with synthesizer.loading, synthesizer.speak(utterance) as stream:
            chunks = [await anext(stream)]
            assert not np.any(join_chunks(chunks))
            told = stream.voice
            loading.opened.set()
            await synthesizer.warm_up()
            embedded.opened.set()
            chunks += [chunk async for chunk in stream]
            assert stream.voice == told
    assert told == SpeakingVoice("espeak-en-us", VoiceReason.FALLBACK, "")
    assert is_other_voice(chunks)
    assert (records[0].voice, records[0].voice_reason) == ("espeak-en-us", "fallback")


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Keeps segments from their voice until it is set, as a full machine does."""
    may_go_on = asyncio.Event()
    apply_lexicon = SegmentRenderer.apply_lexicon

    async def wait(renderer: SegmentRenderer, segment: Segment, voice: Voice) -> LexiconResult:
        await may_go_on.wait()
        return await apply_lexicon(renderer, segment, voice)

    monkeypatch.setattr(SegmentRenderer, "apply_lexicon", wait)
    return may_go_on


async def test_a_voice_that_was_ready_when_the_silence_began_speaks_although_its_model_is_gone(
    waiting: asyncio.Event, loading: Gate
) -> None:
    loading.opened.set()
    async with running_parts() as parts:
        synthesizer = make_synthesizer(parts, [])
        await synthesizer.warm_up()
        utterance = replace(Utterance.of("One."), keeps_alive=True, patience=AT_ONCE)
        async with synthesizer.loading, synthesizer.speak(utterance) as stream:
            silence = await anext(stream)
            assert (told := stream.voice).name == LETTERS.name
            await parts.loaded.unload()
            waiting.set()
            spoken = [chunk async for chunk in stream if np.any(np.frombuffer(chunk.pcm, "<i2"))]
            assert stream.voice == told
    assert not np.any(np.frombuffer(silence.pcm, "<i2"))
    assert LETTERS.said(np.frombuffer(b"".join(chunk.pcm for chunk in spoken), "<i2")) == ["One."]
    assert loading.passed == 2


async def test_a_voice_that_waited_for_the_machine_and_not_for_its_model_is_replaced_at_once(
    waiting: asyncio.Event, caplog: pytest.LogCaptureFixture
) -> None:
    """It would be later, and its listener was told otherwise by then."""
    async with running_parts() as parts:
        synthesizer = make_synthesizer(parts, [])
        utterance = replace(Utterance.of("One."), keeps_alive=True, patience=AT_ONCE)
        async with synthesizer.loading, synthesizer.speak(utterance) as stream:
            chunks = [await anext(stream)]
            assert (told := stream.voice).name == "espeak-en-us"
            await synthesizer.warm_up()
            waiting.set()
            chunks += [chunk async for chunk in stream]
            assert stream.voice == told
    assert is_other_voice(chunks)
    assert caplog.text.count("speaks instead") == 1


async def test_a_voice_that_is_loaded_speaks_although_many_others_are_being_loaded(loading: Gate) -> None:
    loading.opened.set()
    async with running_parts() as parts:
        synthesizer = make_synthesizer(parts, [])
        spec = await synthesizer.warm_up()
        loading.opened.clear()
        async with synthesizer.loading:
            others = [VoiceSpec(replace(spec.voice, name=name, model=name)) for name in "abcd"]
            for other in others:
                assert not await synthesizer.loading.wait(other, 0.0)
            chunks = await speak(synthesizer, replace(Utterance.of("One."), patience=LONG))
            loading.opened.set()
    assert LETTERS.said(join_chunks(chunks)) == ["One."]


async def test_loads_beyond_a_number_are_not_begun() -> None:
    begun, may_end = list[int | None](), asyncio.Event()

    async def load(spec: VoiceSpec) -> None:
        begun.append(spec.speaker)
        await may_end.wait()

    async with running_parts() as parts, BackgroundLoading(load) as loading:
        voice = parts.library.voices[0]
        for number in range(6):
            assert not await loading.wait(VoiceSpec(voice, number), 0.0)
        may_end.set()
        assert await loading.wait(VoiceSpec(voice, 0), LONG)
        assert begun == [0, 1, 2, 3]


async def test_loads_end_with_their_owner() -> None:
    ended = asyncio.Event()

    async def load(_: VoiceSpec) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with running_parts() as parts, BackgroundLoading(load) as loading:
        assert not await loading.wait(VoiceSpec(parts.library.voices[0]), 0.01)
    assert ended.is_set()
