"""The joining of the library, the voices in memory and the workers into speech."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import replace
from functools import partial

from wyoming_tts import audio
from wyoming_tts.admission import Admission
from wyoming_tts.cache import CacheKey, SegmentCache
from wyoming_tts.engines.base import RemoteVoice, RemoteVoiceFailed
from wyoming_tts.engines.loaded import LoadedVoices
from wyoming_tts.scheduler import Lookahead, StreamClock
from wyoming_tts.speech import (
    AudioChunk,
    AudioFormat,
    Segment,
    Utterance,
    UtteranceRecord,
    Voice,
    VoiceRequest,
    VoiceSpec,
)
from wyoming_tts.synthesis.admission_queue import AdmissionQueue
from wyoming_tts.synthesis.explanation import Explanation
from wyoming_tts.synthesis.job import PAUSE, Job
from wyoming_tts.synthesis.options import SynthesisOptions
from wyoming_tts.synthesis.prosody import merge_prosody
from wyoming_tts.synthesis.rendering import RenderTask, relay_remote, render_steps
from wyoming_tts.synthesis.resampling import StreamResampler
from wyoming_tts.synthesis.speakers import Speaker, Speakers, VoiceLoudness
from wyoming_tts.text.lexicon.rules import EMPTY_LEXICON, Lexicon, LexiconHit, LexiconResult
from wyoming_tts.text.normalization import NormalizerRegistry, TextNormalizer, protect_nothing
from wyoming_tts.text.segments import Segmenter, SegmentOptions, TextTrace
from wyoming_tts.voices.library import VoiceLibrary
from wyoming_tts.workers import StepwiseRender, Workers

_LOGGER = logging.getLogger(__name__)

Clock = Callable[[], float]

_PIECE_CHARS = 256
"""Text given to the segmenter in one go: mostly less than a millisecond of work on the event loop."""

_CACHED_PIECE_BYTES = 32_768
"""Less than a second of a kept segment in one go, so that a slow listener holds little."""


class SpeechStream:
    """An utterance on its way to a listener: iterate it for the audio."""

    def __init__(self, rate: int, chunks: AsyncGenerator[AudioChunk, None]) -> None:
        self.format = AudioFormat(rate=rate)
        """The format of every chunk, known before the first; its rate is the one asked for."""
        self._chunks = chunks

    def __aiter__(self) -> SpeechStream:
        return self

    async def __anext__(self) -> AudioChunk:
        return await anext(self._chunks)


class Synthesizer:
    """Joins the library, the voices in memory and the workers into speech."""

    def __init__(
        self,
        *,
        library: VoiceLibrary,
        loaded: LoadedVoices,
        workers: Workers,
        admission: Admission,
        cache: SegmentCache,
        options: SynthesisOptions,
        languages: NormalizerRegistry | None = None,
        lexicon: Callable[[], Lexicon] = lambda: EMPTY_LEXICON,
        on_record: Callable[[UtteranceRecord], None] = lambda _: None,
        lookahead: Lookahead | None = None,
        hops: Callable[[Utterance], int] = lambda _: 0,
        clock: Clock = time.monotonic,
    ) -> None:
        """Join the parts.

        Args:
            library: What can be spoken with.
            loaded: The voices that are ready.
            workers: Where local voices compute.
            admission: Who is let in.
            cache: Segments that were spoken before.
            options: What holds for every utterance.
            languages: How numbers and the like are said; None leaves them as they are written.
            lexicon: How words are said.
            on_record: Told of every utterance once it is over.
            lookahead: How far ahead of its listener a remote voice is read; that of a local one is the
                scheduler's affair.
            hops: Servers that an utterance came through before this one.
            clock: Seconds.
        """
        self._library = library
        self._loaded = loaded
        self._workers = workers
        self._admission = admission
        self._cache = cache
        self._door = AdmissionQueue(admission, clock)
        self._options = options
        self._languages = languages
        self._lexicon = lexicon
        self._on_record = on_record
        self._lookahead = lookahead or Lookahead()
        self._hops = hops
        self._clock = clock
        self._levels = VoiceLoudness(workers, options.loudness)

    @property
    def voices(self) -> tuple[Voice, ...]:
        """The installed voices, sorted by name."""
        return self._library.voices

    @asynccontextmanager
    async def speak(self, utterance: Utterance) -> AsyncIterator[SpeechStream]:
        """Open the stream of an utterance; its audio is made as it is asked for.

        Raises:
            Busy: too many are being served; the client may try again later.
            UnknownVoice: the request names a voice, language or speaker that is not here.
            VoiceUnavailable: the voice's files are missing or broken.
            SpeechError: anything else a client is to be told, also while iterating.
        """
        async with self._speak(utterance) as stream:
            yield stream

    @asynccontextmanager
    async def _speak(
        self, utterance: Utterance, *, in_background: bool = False
    ) -> AsyncIterator[SpeechStream]:
        job = Job(utterance, self._clock)
        job.clock.in_background = in_background
        try:
            async with AsyncExitStack() as stack:
                with job.watched():
                    spec = await self._library.resolve(utterance.voice)
                    job.resolved(spec)
                    await stack.enter_async_context(self._door.entered(job.clock))
                    job.let_in()
                chunks = await stack.enter_async_context(aclosing(self._chunks(job, spec)))
                yield SpeechStream(job.rate, chunks)
        finally:
            self._on_record(job.record())

    async def warm_up(self, spec: VoiceSpec | None = None) -> VoiceSpec:
        """Load a voice, by default the default one, and run it once for its level; return which voice it is.

        Raises:
            SpeechError: as for `speak`.
        """
        spec = spec or self._library.resolve_now(VoiceRequest())
        await self._read_language(spec.voice.language)
        async with self._loaded.lease(spec.voice) as loaded:
            if isinstance(loaded, RemoteVoice):
                return spec  # its server's affair
            stream = StreamClock(
                work_since=self._clock(), in_background=True, shares_cores=loaded.shares_cores
            )
            await self._levels.gain(spec, loaded, stream)
        return spec

    async def prepare(self, text: str) -> None:
        """Speak a text with the default voice into the cache, after all that has listeners.

        Raises:
            SpeechError: as for `speak`.
        """
        async with self._speak(Utterance.of(text, transport="preparing"), in_background=True) as stream:
            async for _ in stream:
                pass

    async def explain(self, utterance: Utterance) -> Explanation:
        """Return what an utterance would sound like, stage by stage, without making its sound.

        Raises:
            SpeechError: as for `speak`.
        """
        spec = await self._library.resolve(utterance.voice)
        clock = StreamClock(work_since=self._clock())
        trace, hits, texts, phonemes = TextTrace(), list[LexiconHit](), list[str](), list[str]()
        job = Job(utterance, self._clock)
        job.resolved(spec)
        async with (
            Speakers(self._library, self._loaded, self._levels, spec, clock) as cast,
            aclosing(self._segments(job, trace)) as segments,
        ):
            async for segment in segments:
                speaker = await cast.speaker(segment.voice)
                said = await self._in_words_of_lexicon(segment, speaker.spec.voice)
                hits += said.hits
                texts.append(said.text)
                loaded = await speaker.voice()
                if isinstance(loaded, RemoteVoice):
                    phonemes.append(said.text)  # what its server makes of it, nobody tells
                    continue
                work = partial(loaded.phonemes, replace(segment, text=said.text), speaker.spec)
                phonemes.append(await self._workers.run_step(clock, work))
        return Explanation(
            voice=spec.voice.name,
            cleaned="".join(trace.cleaned),
            spoken="".join(trace.normalized),
            lexicon=tuple(hits),
            segments=tuple(texts),
            phonemes=tuple(phonemes),
        )

    async def _chunks(self, job: Job, spec: VoiceSpec) -> AsyncGenerator[AudioChunk, None]:
        resampler = StreamResampler(job.rate, self._workers.run_blocking)
        with job.watched():
            async with (
                Speakers(self._library, self._loaded, self._levels, spec, job.clock) as cast,
                aclosing(self._segments(job)) as segments,
            ):
                async for segment in segments:
                    if segment.pause_before:
                        yield job.chunk(audio.silence(segment.pause_before, job.rate))
                        job.asked()
                    async with aclosing(self._performed(job, cast, segment, resampler)) as pieces:
                        async for pcm in pieces:
                            yield self._first_noted(job, job.chunk(pcm))
                            job.asked()
            if self._options.trailing_silence and job.was_heard:
                yield job.chunk(audio.silence(self._options.trailing_silence, job.rate))
            job.done()

    async def _performed(
        self, job: Job, cast: Speakers, segment: Segment, resampler: StreamResampler
    ) -> AsyncGenerator[bytes, None]:
        """Give a segment's PCM at the rate of its stream, whoever speaks it."""
        if not segment.text:  # markup may end with a pause
            return
        speaker = await cast.speaker(segment.voice)
        try:
            async with aclosing(self._at_rate(job, speaker, segment, resampler)) as pieces:
                async for pcm in pieces:
                    yield pcm
        except RemoteVoiceFailed as error:
            stand_in = cast.replace(speaker)
            _LOGGER.warning("%s %s speaks instead in utterance %s.", error, stand_in.name, job.utterance.id)
            speaker = await cast.speaker(segment.voice)
            async with aclosing(self._at_rate(job, speaker, segment, resampler)) as pieces:
                async for pcm in pieces:
                    yield pcm

    async def _at_rate(
        self, job: Job, speaker: Speaker, segment: Segment, resampler: StreamResampler
    ) -> AsyncGenerator[bytes, None]:
        voice = speaker.spec.voice
        said = await self._in_words_of_lexicon(segment, voice)
        segment = replace(segment, text=said.text)
        async with (
            aclosing(self._spoken(job, speaker, segment)) as pieces,
            aclosing(resampler.resampled(pieces, voice.sample_rate)) as resampled,
        ):
            async for pcm in resampled:
                yield pcm

    async def _spoken(self, job: Job, speaker: Speaker, segment: Segment) -> AsyncGenerator[bytes, None]:
        """Give a segment's PCM: the one kept from before, else rendered and kept once it is whole."""
        key = self._cache_key(job, speaker.spec, segment)
        known = await self._cache.get(key)
        if known is not None:
            job.cached_segments += 1
            for start in range(0, len(known.pcm), _CACHED_PIECE_BYTES):
                yield known.pcm[start : start + _CACHED_PIECE_BYTES]
            return
        recording = self._cache.record(key, speaker.spec.voice.sample_rate)
        with job.loading():
            loaded, gain = await speaker.ready()
        task = RenderTask(job, speaker.spec, segment, key.prosody, self._hops(job.utterance))
        rendered: AbstractAsyncContextManager[AsyncIterator[bytes]]
        if isinstance(loaded, RemoteVoice):
            rendered = aclosing(relay_remote(task, loaded, lookahead=self._lookahead, clock=self._clock))
        else:
            rendered = StepwiseRender(self._workers, job.clock, render_steps(task, loaded, gain))
        async with rendered as pieces:
            async for pcm in pieces:
                recording.add(pcm)
                if pcm:
                    yield pcm
        recording.commit()

    async def _in_words_of_lexicon(self, segment: Segment, voice: Voice) -> LexiconResult:
        """Apply the lexicon, on a worker: it may hold regular expressions that take their time."""
        lexicon = self._lexicon()
        if not len(lexicon):
            return LexiconResult(segment.text)
        work = partial(lexicon.apply, segment.text, language=voice.language, voice=voice.name)
        return await self._workers.run_blocking(work)

    def _cache_key(self, job: Job, spec: VoiceSpec, segment: Segment) -> CacheKey:
        voice = spec.voice
        return CacheKey(
            voice=voice.name,
            model_version=f"{voice.model}:{voice.fingerprint}:{self._options.renderer}",
            speaker=spec.speaker,
            prosody=merge_prosody(self._options.prosody, job.utterance.prosody, segment),
            text=segment.text,
            level=self._options.loudness,
        )

    def _first_noted(self, job: Job, chunk: AudioChunk) -> AudioChunk:
        if chunk.first_sample == 0 and job.compute_seconds:  # from the cache it says nothing of the machine
            self._admission.record_first_audio(job.compute_seconds)
        return chunk

    async def _segments(self, job: Job, trace: TextTrace | None = None) -> AsyncGenerator[Segment, None]:
        await self._read_language(job.spec.voice.language)
        segmenter = self._segmenter(job, trace)
        idle = job.utterance.flush_idle
        async with aclosing(job.text(self._options.flush_idle if idle is None else idle or None)) as pieces:
            async for text in pieces:
                if text == PAUSE:
                    for segment in segmenter.flush():
                        yield job.segment_ready(segment)
                for start in range(0, len(text), _PIECE_CHARS):
                    for segment in segmenter.feed(text[start : start + _PIECE_CHARS]):
                        yield job.segment_ready(segment)
                    await asyncio.sleep(0)  # a long text must not hold the loop
        while left := segmenter.finish():  # what is left is said before an error is told
            for segment in left:
                yield job.segment_ready(segment)

    async def _read_language(self, language: str) -> None:
        if self._languages and not self._languages.is_loaded(language):
            await self._workers.run_blocking(partial(self._languages.load, language))

    def _segmenter(self, job: Job, trace: TextTrace | None) -> Segmenter:
        voice, lexicon, languages = job.spec.voice, self._lexicon(), self._languages

        def is_in_lexicon(token: str) -> bool:
            return lexicon.contains(token, voice.language, voice.name)

        def normalizer(language: str) -> TextNormalizer:
            if languages is None:
                return TextNormalizer("")
            return languages.normalizer(language, is_in_lexicon if len(lexicon) else protect_nothing)

        return Segmenter(
            self._segment_options(voice),
            text_format=job.utterance.text_format,
            language=voice.language,
            normalizers=normalizer,
            trace=trace,
        )

    def _segment_options(self, voice: Voice) -> SegmentOptions:
        max_words = self._options.first_segment_max_words
        if max_words is None:
            max_words = self._loaded.first_segment_max_words(voice)
        segments = self._options.segments
        return replace(segments, first_segment=replace(segments.first_segment, max_words=max_words))
