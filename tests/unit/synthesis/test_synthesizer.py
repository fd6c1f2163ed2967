"""The synthesizer end to end, with real engines on real workers."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Generator
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from tests.support.parts import join_chunks, running_parts
from tests.support.tones import KOKORO, LETTERS, TONES, silences
from wyoming_tts.assembly.parts import Parts
from wyoming_tts.audio import PIECE_BYTES
from wyoming_tts.engines.base import LoadedVoice
from wyoming_tts.engines.piper.engine import LoadedPiper
from wyoming_tts.errors import Busy, EngineFailed, TooLong, UnknownVoice
from wyoming_tts.speech import (
    AudioChunk,
    Outcome,
    Prosody,
    Samples,
    Segment,
    TextFormat,
    Utterance,
    UtteranceRecord,
    VoiceRequest,
    VoiceSpec,
)
from wyoming_tts.synthesis import SynthesisOptions, Synthesizer
from wyoming_tts.synthesis.loudness import measure_loudness
from wyoming_tts.text.feed import TextFeed
from wyoming_tts.text.normalization.number_words import NumberSpeller


@pytest.fixture
async def parts() -> AsyncIterator[Parts]:
    async with running_parts() as parts:
        yield parts


def make_synthesizer(parts: Parts, records: list[UtteranceRecord], *, max_words: int = 0) -> Synthesizer:
    return Synthesizer(
        library=parts.library,
        loaded=parts.loaded,
        workers=parts.workers,
        admission=parts.admission,
        cache=parts.cache,
        options=SynthesisOptions(prosody=Prosody(noise_scale=0, noise_w_scale=0), max_words=max_words),
        on_record=records.append,
    )


async def speak(synthesizer: Synthesizer, utterance: Utterance) -> list[AudioChunk]:
    async with synthesizer.speak(utterance) as stream:
        return [chunk async for chunk in stream]


async def test_every_sentence_is_spoken_in_order(parts: Parts) -> None:
    chunks = await speak(parts.synthesizer, Utterance.of("One two. Three four! Five?"))
    assert LETTERS.said(join_chunks(chunks)) == ["One two.", "Three four!", "Five?"]


async def test_text_in_pieces_is_spoken_like_the_whole_text(parts: Parts) -> None:
    async def pieces() -> AsyncIterator[str]:
        for letter in "One two. Three four! Five?":
            yield letter

    whole = await speak(parts.synthesizer, Utterance.of("One two. Three four! Five?"))
    pieced = await speak(parts.synthesizer, Utterance(pieces()))
    assert np.array_equal(join_chunks(whole), join_chunks(pieced))


async def test_a_sentence_is_spoken_before_the_next_is_complete(parts: Parts) -> None:
    feed = TextFeed()
    async with parts.synthesizer.speak(Utterance(feed)) as stream:
        await feed.put("It is open. And")
        first = await anext(stream)
        assert LETTERS.said(join_chunks([first])) == ["It is open."]
        feed.close()
        assert LETTERS.said(join_chunks([first] + [chunk async for chunk in stream])) == [
            "It is open.",
            "And",
        ]


async def test_sentence_silence_is_inserted_only_between_sentences() -> None:
    async with running_parts(sentence_silence=0.5) as parts:
        chunks = await speak(parts.synthesizer, Utterance.of("First. Second. Third."))
    rate = LETTERS.rate
    assert silences(join_chunks(chunks)) == pytest.approx([0, rate / 2, rate / 2, 0], abs=2)


async def test_a_break_is_pulled_in_pieces_like_any_sound() -> None:
    text = '<speak>One.<break time="10s"/>Two.<break time="10s"/></speak>'
    ssml = Utterance.of(text, text_format=TextFormat.SSML, sample_rate=48_000)
    async with running_parts(trailing_silence=10.0) as parts:
        sizes, ends = [], []
        async with parts.synthesizer.speak(ssml) as stream:
            async for chunk in stream:
                sizes.append(len(chunk.pcm))
                ends.append(chunk.first_sample * 2 + len(chunk.pcm))
    assert max(sizes) <= PIECE_BYTES
    assert ends == list(itertools.accumulate(sizes))
    assert sum(sizes) > 3 * 10 * 48_000 * 2


async def test_a_listener_that_leaves_during_a_break_ends_it() -> None:
    records: list[UtteranceRecord] = []
    text = "<speak>" + '<break time="10s"/>' * 300 + "</speak>"
    async with running_parts() as parts:
        synthesizer = make_synthesizer(parts, records)
        async with synthesizer.speak(Utterance.of(text, text_format=TextFormat.SSML)) as stream:
            heard = [await anext(stream) for _ in range(3)]
    assert records[0].outcome is Outcome.CANCELLED
    assert records[0].audio_seconds == pytest.approx(sum(chunk.seconds for chunk in heard))


@pytest.mark.parametrize("text", ["", "   \n", "\0\x07", "\u200b\u2060\ufeff", "...", "🎉 *** 🎉"])
async def test_text_without_anything_to_say_gives_a_format_and_no_audio(parts: Parts, text: str) -> None:
    async with parts.synthesizer.speak(Utterance.of(text)) as stream:
        assert stream.format.rate == LETTERS.rate
        assert [chunk async for chunk in stream] == []


async def test_the_requested_voice_and_speaker_are_used(parts: Parts) -> None:
    request = VoiceRequest(TONES.name, speaker="bert")
    chunks = await speak(parts.synthesizer, Utterance.of("Ja.", voice=request))
    assert TONES.speakers_of(join_chunks(chunks)) == {"bert"}


async def test_a_kokoro_voice_speaks_through_the_same_synthesizer(parts: Parts) -> None:
    chunks = await speak(parts.synthesizer, Utterance.of("Hello.", voice=VoiceRequest("bf_test")))
    assert chunks[0].format.rate == KOKORO.rate
    assert KOKORO.said(join_chunks(chunks))


async def test_every_voice_is_normalized_to_the_target_loudness() -> None:
    text = "This is a sentence long enough to be measured, and then some more."
    async with running_parts(loudness=-23) as parts:
        for name in (LETTERS.name, TONES.name, "af_test", "espeak-en-us"):
            chunks = await speak(parts.synthesizer, Utterance.of(text, voice=VoiceRequest(name)))
            samples = (join_chunks(chunks) / 32767).astype(np.float32)
            assert measure_loudness(samples, chunks[0].format.rate) == pytest.approx(-23, abs=3), name


async def test_volume_scales_one_utterance(parts: Parts) -> None:
    half = Prosody(volume=0.5, noise_scale=0, noise_w_scale=0)
    loud = join_chunks(await speak(parts.synthesizer, Utterance.of("One.")))
    quiet = join_chunks(await speak(parts.synthesizer, Utterance.of("One.", prosody=half)))
    assert np.allclose(quiet, loud / 2, atol=1)


async def test_speed_changes_the_duration_but_not_the_words(parts: Parts) -> None:
    fast = Prosody(speed=1.25, noise_scale=0, noise_w_scale=0)
    chunks = await speak(parts.synthesizer, Utterance.of("One two.", prosody=fast))
    assert LETTERS.said(join_chunks(chunks), speed=1.25) == ["One two."]


async def test_twenty_concurrent_listeners_each_hear_their_own_text(parts: Parts) -> None:
    names = [NumberSpeller("en").cardinal(number) for number in range(20)]
    texts = [f"Number {name}. And again {name}." for name in names]
    results = await asyncio.gather(*(speak(parts.synthesizer, Utterance.of(text)) for text in texts))
    for name, chunks in zip(names, results, strict=True):
        assert LETTERS.said(join_chunks(chunks)) == [f"Number {name}.", f"And again {name}."]


async def test_leaving_a_stream_early_stops_its_work_and_is_recorded_as_cancelled(parts: Parts) -> None:
    records: list[UtteranceRecord] = []
    async with make_synthesizer(parts, records).speak(Utterance.of("First. Second. Third.")) as stream:
        await anext(stream)
    assert [(record.outcome, record.segments) for record in records] == [(Outcome.CANCELLED, 1)]
    assert "running=0 waiting=0" in repr(parts.workers)


async def test_cancelling_a_listener_stops_its_work(parts: Parts) -> None:
    records: list[UtteranceRecord] = []
    feed = TextFeed()  # never completed

    first_heard = asyncio.Event()

    async def listen() -> None:
        async with make_synthesizer(parts, records).speak(Utterance(feed)) as stream:
            async for _ in stream:
                first_heard.set()

    listener = asyncio.create_task(listen())
    await feed.put("First. Second")
    await first_heard.wait()
    listener.cancel()
    await asyncio.wait([listener])
    assert listener.cancelled()
    assert records[0].outcome is Outcome.CANCELLED
    assert "running=0 waiting=0" in repr(parts.workers)


async def test_the_record_counts_characters_segments_and_seconds(parts: Parts) -> None:
    records: list[UtteranceRecord] = []
    chunks = await speak(make_synthesizer(parts, records), Utterance.of("First. Second.", transport="test"))
    (record,) = records
    assert (record.outcome, record.characters, record.segments) == (Outcome.DONE, 14, 2)
    assert (record.voice, record.engine, record.transport) == (LETTERS.name, "piper", "test")
    assert record.audio_seconds == pytest.approx(sum(chunk.seconds for chunk in chunks))
    assert record.ttfa is not None
    assert record.ttfa > 0
    assert record.compute_seconds > 0


async def test_an_unknown_voice_is_raised_on_entry_and_recorded(parts: Parts) -> None:
    records: list[UtteranceRecord] = []
    with pytest.raises(UnknownVoice):
        await speak(make_synthesizer(parts, records), Utterance.of("One.", voice=VoiceRequest("nobody")))
    assert (records[0].outcome, records[0].error) == (Outcome.FAILED, "unknown_voice")


async def test_text_over_the_limit_is_refused_and_the_limit_named() -> None:
    async with running_parts(max_text_chars=100) as parts:
        with pytest.raises(TooLong, match="100"):
            await speak(parts.synthesizer, Utterance.of("One two. " * 20))


async def test_of_a_text_that_is_being_written_all_up_to_the_limit_is_spoken(parts: Parts) -> None:
    async def written() -> AsyncIterator[str]:
        for piece in ("One two. Thr", "ee four fi", "ve. Six."):
            yield piece

    records: list[UtteranceRecord] = []
    synthesizer = make_synthesizer(parts, records, max_words=4)
    with pytest.raises(TooLong, match="expected at most 4"):
        await speak(synthesizer, Utterance(written()))
    with pytest.raises(TooLong, match="Got a text of 6 words"):
        await speak(synthesizer, Utterance.of("One two. Three four. Five six."))
    written_record, whole = records
    assert (written_record.segments, written_record.error) == (2, "too_long")
    assert (whole.segments, whole.audio_seconds, whole.error) == (0, 0.0, "too_long")


async def test_an_engine_failure_is_reported_without_internal_details(
    parts: Parts, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail_on_second(
        _: LoadedVoice, segment: Segment, spec: VoiceSpec, prosody: Prosody
    ) -> Generator[Samples, None, None]:
        if segment.text == "Second.":
            raise RuntimeError("/secret/path")
        yield np.full(100, 0.1, np.float32)

    monkeypatch.setattr(LoadedPiper, "render", fail_on_second)
    records: list[UtteranceRecord] = []
    with pytest.raises(EngineFailed, match="RuntimeError") as raised:
        await speak(make_synthesizer(parts, records), Utterance.of("First. Second. Third."))
    assert "/secret" not in str(raised.value)
    assert records[0].outcome is Outcome.FAILED
    assert "/secret/path" in caplog.text


async def test_warm_up_loads_and_measures_the_default_voice(parts: Parts) -> None:
    spec = await parts.synthesizer.warm_up()
    assert spec.voice.name == LETTERS.name
    assert len(parts.loaded.models) == 1


async def test_streams_over_the_limit_wait_for_admission_and_are_served_in_order() -> None:
    async with running_parts(max_streams=1, max_queue=5, max_wait=600) as parts:
        texts = [f"Number {number}." for number in ("one", "two", "three", "four")]
        results = await asyncio.gather(*(speak(parts.synthesizer, Utterance.of(text)) for text in texts))
    assert [LETTERS.said(join_chunks(chunks)) for chunks in results] == [[text] for text in texts]


async def test_streams_beyond_the_admission_queue_are_refused_as_busy() -> None:
    async with running_parts(max_streams=1, max_queue=1, max_wait=600) as parts:
        listeners = [speak(parts.synthesizer, Utterance.of(f"Number {number}.")) for number in range(4)]
        results = await asyncio.gather(*listeners, return_exceptions=True)
    assert [type(each) for each in results] == [list, list, Busy, Busy]


async def test_a_long_first_sentence_is_spoken_from_its_first_clause(parts: Parts) -> None:
    feed = TextFeed()
    async with parts.synthesizer.speak(Utterance(feed)) as stream:
        await feed.put("The door is open, and the w")
        first = await anext(stream)
        assert LETTERS.said(join_chunks([first])) == ["The door is open,"]
        feed.close()
        rest = [chunk async for chunk in stream]
    assert LETTERS.said(join_chunks([first, *rest])) == ["The door is open,", "and the w"]


async def test_stalled_text_is_flushed_after_the_configured_pause() -> None:
    async with running_parts(flush_idle_ms=10) as parts:
        feed = TextFeed()
        async with parts.synthesizer.speak(Utterance(feed)) as stream:
            await feed.put("It is open now ")
            results = [await anext(stream)]  # although neither the sentence nor the text has ended
            feed.close()
            results += [chunk async for chunk in stream]
    assert "".join(LETTERS.said(join_chunks(results))) == "It is open now"


@pytest.mark.parametrize("text", ["Hello there!", "Hello there,", "Hello there"])
async def test_the_last_word_of_stalled_text_is_spoken_whatever_it_ends_with(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wyoming_tts.synthesis.job.LONG_IDLE", 0.05)
    async with running_parts(flush_idle_ms=10) as parts:
        feed = TextFeed()
        async with parts.synthesizer.speak(Utterance(feed)) as stream:
            await feed.put(text)
            said = ""
            while text not in said:  # although the text has not ended
                said += "".join(LETTERS.said(join_chunks([await anext(stream)])))
            feed.close()


async def test_repeated_text_comes_from_the_cache_with_identical_samples(parts: Parts) -> None:
    first = join_chunks(await speak(parts.synthesizer, Utterance.of("The door is open.")))
    parts.loaded.close()
    again = join_chunks(await speak(parts.synthesizer, Utterance.of("The door is open.")))
    assert np.array_equal(first, again)
    assert parts.loaded.models == ()  # no model was loaded for it
    assert parts.cache.statistics().memory_hits == 1


async def test_one_cached_segment_serves_every_sample_rate(parts: Parts) -> None:
    rates = (16_000, None, 24_000, 16_000)
    results: dict[int | None, list[npt.NDArray[np.int16]]] = {}
    for rate in rates:
        utterance = Utterance.of("The door is open.", sample_rate=rate)
        chunks = await speak(parts.synthesizer, utterance)
        assert {chunk.format.rate for chunk in chunks} == {rate or LETTERS.rate}
        results.setdefault(rate, []).append(join_chunks(chunks))
    assert parts.cache.statistics().memory_entries == 1
    assert parts.cache.statistics().memory_hits == len(rates) - 1
    assert LETTERS.said(results[None][0]) == ["The door is open."]
    fresh, cached = results[16_000]
    assert np.allclose(fresh, cached, atol=2)
    for rate in (16_000, 24_000):
        assert len(results[rate][0]) / rate == pytest.approx(len(results[None][0]) / LETTERS.rate, abs=0.001)


async def test_pauses_and_the_record_use_the_requested_sample_rate() -> None:
    async with running_parts(sentence_silence=0.5, trailing_silence=0.25) as parts:
        records: list[UtteranceRecord] = []
        synthesizer = make_synthesizer(parts, records)
        own = await speak(parts.synthesizer, Utterance.of("First. Second."))
        slow = await speak(parts.synthesizer, Utterance.of("First. Second.", sample_rate=8_000))
        seconds = [sum(chunk.seconds for chunk in chunks) for chunks in (own, slow)]
        assert seconds[0] == pytest.approx(seconds[1], abs=0.001)
        chunks = await speak(synthesizer, Utterance.of("First. Second.", sample_rate=8_000))
    assert records[0].audio_seconds == pytest.approx(sum(chunk.seconds for chunk in chunks))


async def test_a_request_may_have_its_own_leading_silence() -> None:
    async with running_parts(leading_silence=0.5) as parts:
        usual = await speak(parts.synthesizer, Utterance.of("One."))
        seconds = {}
        for own in (0.0, 0.125, 2.0):
            utterance = replace(Utterance.of("One.", sample_rate=8_000), leading_silence=own)
            seconds[own] = sum(chunk.seconds for chunk in await speak(parts.synthesizer, utterance))
    spoken = sum(chunk.seconds for chunk in usual) - 0.5
    assert seconds == {own: pytest.approx(spoken + own, abs=0.001) for own in seconds}


async def test_leading_silence_is_handed_over_with_the_first_audio_and_not_before_it() -> None:
    """It is no audio by which the time to the first one is measured, and none after which nothing follows."""
    async with running_parts(leading_silence=2.0) as parts:
        records: list[UtteranceRecord] = []
        synthesizer = make_synthesizer(parts, records)
        with pytest.raises(UnknownVoice):
            await speak(synthesizer, Utterance.of("One.", voice=VoiceRequest("nobody")))
        assert records[0].ttfa is None
        await speak(synthesizer, Utterance.of("One."))
    spoken = records[1]
    assert spoken.ttfa is not None
    assert spoken.compute_seconds <= spoken.ttfa
    assert (spoken.underruns, spoken.held_seconds) == (0, 0.0)


async def test_equal_effective_speeds_share_a_cached_segment() -> None:
    async with running_parts(speed=2.0) as parts:
        await speak(parts.synthesizer, Utterance.of("One.", prosody=Prosody(speed=2.0)))
        await speak(parts.synthesizer, Utterance.of("One.", prosody=Prosody(speed=4.0)))
        assert parts.cache.statistics().memory_hits == 1


async def test_a_partially_rendered_segment_is_not_cached(parts: Parts) -> None:
    text = "The first sentence. " * 3
    async with parts.synthesizer.speak(Utterance.of(text)) as stream:
        await anext(stream)
    whole = join_chunks(await speak(parts.synthesizer, Utterance.of(text)))
    assert LETTERS.said(whole) == ["The first sentence."] * 3


async def test_prepared_phrases_are_spoken_from_the_cache() -> None:
    async with running_parts() as parts:
        await parts.synthesizer.prepare("Dinner is ready.")
        parts.loaded.close()
        chunks = await speak(parts.synthesizer, Utterance.of("Dinner is ready."))
        assert parts.loaded.models == ()
    assert LETTERS.said(join_chunks(chunks)) == ["Dinner is ready."]


async def test_an_empty_piece_of_text_adds_no_pause(parts: Parts) -> None:
    async def pieces() -> AsyncIterator[str]:
        for piece in ("The door", "", " is", "", " open."):
            yield piece

    chunks = await speak(parts.synthesizer, Utterance(pieces()))
    assert LETTERS.said(join_chunks(chunks)) == ["The door is open."]


async def test_a_voice_that_has_spoken_is_known_by_its_cost(parts: Parts) -> None:
    await speak(parts.synthesizer, Utterance.of("The door is open."))
    cost = parts.costs.voice(parts.library.resolve_now(VoiceRequest()))
    seconds = cost.audio(len("The door is open."), speed=1.0)
    computed = cost.cpu(len("The door is open."), has_cores=True)
    assert computed is not None
    assert 0 < computed.setup + computed.rates.seconds(seconds) < seconds


async def test_a_cache_hit_does_not_change_what_a_voice_costs(parts: Parts) -> None:
    await speak(parts.synthesizer, Utterance.of("The door is open."))
    before = parts.costs.to_json()
    await speak(parts.synthesizer, Utterance.of("The door is open."))
    assert parts.costs.to_json() == before != {}
