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
from contextlib import aclosing, asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field

import numpy as np

from wyoming_tts import audio
from wyoming_tts.engines.base import LoadedVoice
from wyoming_tts.engines.loaded import LoadedVoices
from wyoming_tts.errors import EngineFailed, SpeechError, told_to_client
from wyoming_tts.scheduler import Scheduler, StreamClock
from wyoming_tts.speech import (
    AudioChunk,
    AudioFormat,
    Outcome,
    Prosody,
    Segment,
    Utterance,
    UtteranceRecord,
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

_CALIBRATION_PROSODY = Prosody(noise_scale=0.0, noise_w_scale=0.0)
"""Without noise the measured gain, and with it every sample, is the same after each start."""


@dataclass(frozen=True, slots=True)
class SynthesisOptions:
    """What holds for every utterance that does not say otherwise."""

    prosody: Prosody = field(default_factory=Prosody)
    segments: SegmentOptions = field(default_factory=SegmentOptions)
    loudness: float = -20.0
    """LUFS that every voice is brought to."""


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
        options: SynthesisOptions,
        on_record: Callable[[UtteranceRecord], None] = lambda _: None,
        clock: Clock = time.monotonic,
    ) -> None:
        self._library = library
        self._loaded = loaded
        self._workers = workers
        self._options = options
        self._on_record = on_record
        self._clock = clock
        self._levels = Levels(workers, options.loudness)

    @asynccontextmanager
    async def speak(self, utterance: Utterance) -> AsyncIterator[SpeechStream]:
        """Open the stream of an utterance; its audio is made as it is asked for.

        Raises:
            UnknownVoice: the request names a voice, language or speaker that is not here.
            VoiceUnavailable: the voice's files are missing or broken.
            SpeechError: anything else a client is to be told, also while iterating.
        """
        job = _Job(utterance, self._clock)
        try:
            with job.watched():
                spec = await self._library.resolve(utterance.voice)
            job.resolved(spec)
            async with aclosing(self._chunks(job, spec)) as chunks:
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
            await self._levels.gain(spec, loaded, StreamClock(work_since=self._clock()))
        return spec

    async def _chunks(self, job: _Job, spec: VoiceSpec) -> AsyncGenerator[AudioChunk, None]:
        with job.watched():
            async with self._loaded.lease(spec.voice) as loaded:
                gain = await self._levels.gain(spec, loaded, job.clock)
                async with aclosing(self._segments(job)) as segments:
                    async for segment in segments:
                        if segment.pause_before:
                            yield job.chunk(audio.silence(segment.pause_before, spec.voice.sample_rate))
                        steps = self._steps(job, loaded, segment, gain)
                        async with StepwiseRender(self._workers, job.clock, steps) as pcm_pieces:
                            async for pcm in pcm_pieces:
                                if pcm:
                                    yield job.chunk(pcm)
            job.done()

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
        segmenter = Segmenter(self._options.segments, text_format=job.utterance.text_format)
        async for text in job.utterance.text:
            job.characters += len(text)
            for start in range(0, len(text), _PIECE_CHARS):
                for segment in segmenter.feed(text[start : start + _PIECE_CHARS]):
                    yield job.segment_ready(segment)
                await asyncio.sleep(0)  # a long text must not hold the loop
        for segment in segmenter.finish():
            yield job.segment_ready(segment)


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

    def segment_ready(self, segment: Segment) -> Segment:
        now = self._now()
        Scheduler.work_arrived(self.clock, now)
        self._segments += 1
        self._first_segment_at = self._first_segment_at or now
        return segment

    def chunk(self, pcm: bytes) -> AudioChunk:
        chunk = AudioChunk(AudioFormat(rate=self.spec.voice.sample_rate), pcm, self._samples)
        now = self._now()
        Scheduler.delivered(self.clock, chunk.seconds, now)
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
