"""The one path from a request to sound.

    text as it arrives -> segments -> steps of the engine on the workers -> level, limiter, int16

Every transport says `async with synthesizer.speak(utterance) as stream:` and iterates. The stream
does nothing ahead of its consumer: asking for the next chunk is the credit that lets the next step
run. Leaving the block cancels what is left, within one step.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np

from wyoming_tts import audio
from wyoming_tts.cache import CacheKey, SegmentCache
from wyoming_tts.engines.base import LoadedVoice
from wyoming_tts.engines.loaded import LoadedVoices
from wyoming_tts.errors import EngineFailed, SpeechError, told_to_client
from wyoming_tts.scheduler import Admission, StreamClock
from wyoming_tts.speech import (
    AudioChunk,
    AudioFormat,
    Outcome,
    Prosody,
    Segment,
    Utterance,
    UtteranceRecord,
    Voice,
    VoiceRequest,
    VoiceSpec,
)
from wyoming_tts.text.segments import Segmenter, SegmentOptions
from wyoming_tts.voices.library import VoiceLibrary
from wyoming_tts.workers import StepwiseRender, Workers

_LOGGER = logging.getLogger(__name__)

Clock = Callable[[], float]

_PIECE_CHARS = 1024
"""Text given to the segmenter in one go: about a millisecond of work on the event loop."""

PAUSE = ""
"""In place of a piece of text: none came for a while."""

_CACHED_PIECE_BYTES = 32_768
"""Less than a second of a kept segment in one go, so that a slow listener holds little."""

_TEXT_WAS_THERE = 0.001
"""Seconds; text that takes longer to get was not there yet, and its stream had nothing to do."""

_CALIBRATION_PROSODY = Prosody(noise_scale=0.0, noise_w_scale=0.0)
"""Without noise the measured gain, and with it every sample, is the same after each start."""


@dataclass(frozen=True, slots=True)
class SynthesisOptions:
    """What holds for every utterance that does not say otherwise."""

    prosody: Prosody = field(default_factory=Prosody)
    segments: SegmentOptions = field(default_factory=SegmentOptions)
    first_segment_max_words: int | None = None
    """None takes what the voice's engine wishes for."""
    flush_idle: float | None = None
    """Seconds without new text after which what is there is spoken; None waits for a sentence's end."""
    loudness: float = -20.0
    """LUFS that every voice is brought to."""
    renderer: str = ""
    """Tells one way of rendering from the next: audio kept by an older release is not replayed."""


_SpeakerKey = tuple[str, str, int | None]


class Levels:
    """The gain of each voice, measured once by a short text it speaks for nobody."""

    def __init__(self, workers: Workers, target_lufs: float) -> None:
        self._workers = workers
        self._target = target_lufs
        self._gains: dict[_SpeakerKey, float] = {}
        self._measuring: dict[_SpeakerKey, asyncio.Lock] = {}

    async def gain(self, spec: VoiceSpec, loaded: LoadedVoice, stream: StreamClock) -> float:
        """Return the linear gain for the voice; the first caller's turn is used to measure it."""
        key = (spec.voice.name, spec.voice.model, spec.speaker)
        async with self._measuring.setdefault(key, asyncio.Lock()):
            if key not in self._gains:
                self._gains[key] = await self._measure(spec, loaded, stream)
        return self._gains[key]

    async def _measure(self, spec: VoiceSpec, loaded: LoadedVoice, stream: StreamClock) -> float:
        render = loaded.render(loaded.calibration_segment(spec), spec, _CALIBRATION_PROSODY)
        async with StepwiseRender(self._workers, stream, render) as steps:
            parts = [samples async for samples in steps]
        samples = np.concatenate(parts) if parts else np.zeros(0, np.float32)
        gain = await self._workers.step(
            stream, lambda: audio.gain_to(self._target, samples, spec.voice.sample_rate)
        )
        _LOGGER.debug("Gain of %s, speaker %s: %.2f.", spec.voice.name, spec.speaker, gain)
        return gain


class Door:
    """Lets streams in as the admission decides; who has to wait, waits here."""

    def __init__(self, admission: Admission, clock: Clock) -> None:
        self._admission = admission
        self._clock = clock
        self._waiting: dict[StreamClock, asyncio.Future[None]] = {}

    @asynccontextmanager
    async def entered(self, stream: StreamClock) -> AsyncIterator[None]:
        """Hold a place among the streams that are being spoken.

        Raises:
            Busy: there is none, and none soon.
        """
        try:
            if not self._admission.enter(stream, self._clock()):
                self._waiting[stream] = asyncio.get_running_loop().create_future()
                await self._waiting[stream]
            yield
        finally:
            self._waiting.pop(stream, None)
            self._admission.leave(stream, self._clock())
            self._call_in()

    def _call_in(self) -> None:
        while (stream := self._admission.next_in_line(self._clock())) is not None:
            if not self._waiting[stream].done():
                self._waiting[stream].set_result(None)


async def _next_or_none(pieces: AsyncIterator[str]) -> str | None:
    return await anext(pieces, None)


class SpeechStream:
    """An utterance on its way to a listener: iterate it for the audio."""

    def __init__(self, spec: VoiceSpec, chunks: AsyncGenerator[AudioChunk, None]) -> None:
        self.spec = spec
        """The voice that speaks."""
        self.format = AudioFormat(rate=spec.voice.sample_rate)
        """The format of every chunk, known before the first."""
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
        on_record: Callable[[UtteranceRecord], None] = lambda _: None,
        clock: Clock = time.monotonic,
    ) -> None:
        self._library = library
        self._loaded = loaded
        self._workers = workers
        self._admission = admission
        self._cache = cache
        self._door = Door(admission, clock)
        self._options = options
        self._on_record = on_record
        self._clock = clock
        self._levels = Levels(workers, options.loudness)

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
        job = _Job(utterance, self._clock)
        job.clock.in_background = in_background
        try:
            async with AsyncExitStack() as stack:
                with job.watched():
                    spec = await self._library.resolve(utterance.voice)
                    job.resolved(spec)
                    await stack.enter_async_context(self._door.entered(job.clock))
                chunks = await stack.enter_async_context(aclosing(self._chunks(job, spec)))
                yield SpeechStream(spec, chunks)
        finally:
            self._on_record(job.record())

    async def warm_up(self) -> VoiceSpec:
        """Load the default voice, measure its level and run it once; return which voice that is.

        Raises:
            SpeechError: as for `speak`.
        """
        spec = self._library.resolve_now(VoiceRequest())
        async with self._loaded.lease(spec.voice) as loaded:
            stream = StreamClock(work_since=self._clock(), in_background=True)
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

    async def _chunks(self, job: _Job, spec: VoiceSpec) -> AsyncGenerator[AudioChunk, None]:
        with job.watched():
            async with (
                _Speaker(self._loaded, self._levels, spec, job.clock) as speaker,
                aclosing(self._segments(job)) as segments,
            ):
                async for segment in segments:
                    if segment.pause_before:
                        yield job.chunk(audio.silence(segment.pause_before, spec.voice.sample_rate))
                    async with aclosing(self._spoken(job, speaker, segment)) as pieces:
                        async for pcm in pieces:
                            yield self._first_noted(job, job.chunk(pcm))
            job.done()

    async def _spoken(self, job: _Job, speaker: _Speaker, segment: Segment) -> AsyncGenerator[bytes, None]:
        """Give a segment's PCM: the one kept from before, else rendered and kept once it is whole."""
        key = self._cache_key(job, segment)
        known = await self._cache.get(key)
        if known is not None:
            for start in range(0, len(known.pcm), _CACHED_PIECE_BYTES):
                yield known.pcm[start : start + _CACHED_PIECE_BYTES]
            return
        recording = self._cache.record(key, job.spec.voice.sample_rate)
        loaded, gain = await speaker.ready()
        steps = self._steps(job, loaded, segment, gain)
        async with StepwiseRender(self._workers, job.clock, steps) as pieces:
            async for pcm in pieces:
                recording.add(pcm)
                if pcm:
                    yield pcm
        recording.commit()

    def _cache_key(self, job: _Job, segment: Segment) -> CacheKey:
        voice = job.spec.voice
        return CacheKey(
            voice=voice.name,
            model_version=f"{voice.model}:{voice.fingerprint}:{self._options.renderer}",
            speaker=job.spec.speaker,
            prosody=job.utterance.prosody or self._options.prosody,
            text=segment.text,
            text_format=segment.text_format,
            level=self._options.loudness,
            sentence=segment.sentence,
        )

    def _first_noted(self, job: _Job, chunk: AudioChunk) -> AudioChunk:
        if chunk.first_sample == 0 and job.compute_seconds:  # from the cache it says nothing of the machine
            self._admission.first_audio(job.compute_seconds)
        return chunk

    def _steps(
        self, job: _Job, loaded: LoadedVoice, segment: Segment, gain: float
    ) -> Generator[bytes, None, None]:
        """Render a segment on a worker, each step up to finished PCM."""
        started = time.perf_counter()
        try:
            prosody = job.utterance.prosody or self._options.prosody
            with closing(loaded.render(segment, job.spec, prosody)) as render:
                for samples in render:
                    pcm = audio.to_pcm(samples, gain * prosody.volume)
                    job.compute_seconds += time.perf_counter() - started
                    yield pcm
                    started = time.perf_counter()
        except SpeechError:
            raise
        except Exception as error:
            _LOGGER.exception("%s broke in utterance %s.", job.spec.voice.name, job.utterance.id)
            raise EngineFailed(
                f"The voice {job.spec.voice.name} failed with {type(error).__name__}.",
                hint="The server's log has the details.",
            ) from error

    async def _segments(self, job: _Job) -> AsyncGenerator[Segment, None]:
        segmenter = Segmenter(self._segment_options(job.spec.voice), text_format=job.utterance.text_format)
        async with aclosing(job.text(self._options.flush_idle)) as pieces:
            async for text in pieces:
                if text == PAUSE:
                    for segment in segmenter.flush():
                        yield job.segment_ready(segment)
                for start in range(0, len(text), _PIECE_CHARS):
                    for segment in segmenter.feed(text[start : start + _PIECE_CHARS]):
                        yield job.segment_ready(segment)
                    await asyncio.sleep(0)  # a long text must not hold the loop
        for segment in segmenter.finish():
            yield job.segment_ready(segment)

    def _segment_options(self, voice: Voice) -> SegmentOptions:
        max_words = self._options.first_segment_max_words
        if max_words is None:
            max_words = self._loaded.first_segment_max_words(voice)
        segments = self._options.segments
        return replace(segments, first_segment=replace(segments.first_segment, max_words=max_words))


class _Speaker:
    """A voice made ready when it is first needed: what is in the cache needs none in memory."""

    def __init__(self, loaded: LoadedVoices, levels: Levels, spec: VoiceSpec, stream: StreamClock) -> None:
        self._loaded = loaded
        self._levels = levels
        self._spec = spec
        self._stream = stream
        self._held = AsyncExitStack()
        self._ready: tuple[LoadedVoice, float] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._held.aclose()

    async def ready(self) -> tuple[LoadedVoice, float]:
        """Return the voice in memory and its gain."""
        if self._ready is None:
            loaded = await self._held.enter_async_context(self._loaded.lease(self._spec.voice))
            self._ready = loaded, await self._levels.gain(self._spec, loaded, self._stream)
        return self._ready


class _Job:
    """The state of one utterance: its clock for the scheduler, its counts for the record."""

    def __init__(self, utterance: Utterance, now: Clock) -> None:
        self.utterance = utterance
        self.clock = StreamClock(work_since=now())
        self.characters = 0
        self.compute_seconds = 0.0
        self._now = now
        self._spec: VoiceSpec | None = None
        self._samples = 0
        self._segments = 0
        self._first_segment_at: float | None = None
        self._first_audio_at: float | None = None
        self._outcome = Outcome.CANCELLED
        self._error = ""

    @property
    def spec(self) -> VoiceSpec:
        if self._spec is None:
            raise AssertionError("The voice is resolved before anything is rendered.")
        return self._spec

    def resolved(self, spec: VoiceSpec) -> None:
        self._spec = spec

    async def text(self, idle: float | None) -> AsyncGenerator[str, None]:
        """Hand on the text, and PAUSE each time none came for `idle` seconds."""
        pieces = aiter(self.utterance.text)
        while True:
            asked_at = self._now()
            # A task, because waiting with a timeout must not cancel an iterator in the middle.
            coming = asyncio.ensure_future(_next_or_none(pieces))
            try:
                if not (await asyncio.wait({coming}, timeout=idle))[0]:
                    yield PAUSE
                piece = await coming
            finally:
                coming.cancel()
            if piece is None:
                return
            if self._now() - asked_at > _TEXT_WAS_THERE:
                self.clock.work_arrived(self._now())  # it had to be waited for
            if piece:  # an empty one would be taken for PAUSE
                self.characters += len(piece)
                yield piece

    def segment_ready(self, segment: Segment) -> Segment:
        self._segments += 1
        self._first_segment_at = self._first_segment_at or self._now()
        return replace(segment, is_first=self._segments == 1)

    def chunk(self, pcm: bytes) -> AudioChunk:
        chunk = AudioChunk(AudioFormat(rate=self.spec.voice.sample_rate), pcm, self._samples)
        now = self._now()
        self.clock.delivered(chunk.seconds, now)
        self._samples += chunk.samples
        self._first_audio_at = self._first_audio_at or now
        return chunk

    def done(self) -> None:
        self._outcome = Outcome.DONE

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Note a failure of ours; what the listener does, leaving included, is none."""
        try:
            yield
        except Exception as error:
            self._outcome = Outcome.FAILED
            self._error = told_to_client(error).code
            raise

    def record(self) -> UtteranceRecord:
        voice = self._spec.voice if self._spec else None
        return UtteranceRecord(
            id=self.utterance.id,
            transport=self.utterance.transport,
            voice=voice.name if voice else "",
            engine=voice.engine if voice else "",
            characters=self.characters,
            segments=self._segments,
            ttfa=self._ttfa(),
            audio_seconds=self._samples / voice.sample_rate if voice else 0.0,
            compute_seconds=self.compute_seconds,
            outcome=self._outcome,
            error=self._error,
        )

    def _ttfa(self) -> float | None:
        if self._first_audio_at is None or self._first_segment_at is None:
            return None
        return self._first_audio_at - self._first_segment_at
