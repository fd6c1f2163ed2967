"""Segment rendering: a segment's PCM from the cache, from compute workers or from another server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import aclosing, closing
from dataclasses import dataclass, replace
from functools import partial

from wyoming_tts import audio
from wyoming_tts.cache import CacheKey, SegmentCache
from wyoming_tts.engines.base import (
    LoadedVoice,
    ReadyVoice,
    RemoteVoice,
    RemoteVoiceFailed,
    Rendered,
    Seam,
    samples_of,
)
from wyoming_tts.errors import EngineFailed, SpeechError
from wyoming_tts.messages import Message
from wyoming_tts.scheduler import Lookahead, StreamClock
from wyoming_tts.speech import Prosody, Segment, TimedSamples, Utterance, Voice, VoiceSpec, WordTimings
from wyoming_tts.synthesis.costs import CostModel, StepClocks
from wyoming_tts.synthesis.job import Job
from wyoming_tts.synthesis.options import SynthesisOptions
from wyoming_tts.synthesis.prosody import merge_prosody
from wyoming_tts.synthesis.resampling import StreamResampler
from wyoming_tts.synthesis.utterance_voices import UtteranceVoices, VoiceLease, VoiceNotReady
from wyoming_tts.synthesis.voice_cost import StepTiming
from wyoming_tts.synthesis.word_timeline import SegmentTimings
from wyoming_tts.text.lexicon.rules import Lexicon, LexiconResult
from wyoming_tts.text.pronunciation import DefaultPronunciations
from wyoming_tts.workers import StepwiseRender, Workers

_LOGGER = logging.getLogger(__name__)

Clock = Callable[[], float]
_Piece = bytes | WordTimings
"""A step's PCM, or when the words of the next steps sound."""
Pronunciations = Callable[[Voice], DefaultPronunciations | None]


@dataclass(frozen=True, slots=True)
class RenderTask:
    """A segment to be rendered, and how."""

    job: Job
    spec: VoiceSpec
    segment: Segment
    prosody: Prosody
    hops: int = 0
    """Servers that the utterance passed through before this one."""


class SegmentRenderer:
    """Renders segments of any utterance, by its voices and at the rate of its stream."""

    def __init__(
        self,
        *,
        workers: Workers,
        cache: SegmentCache,
        options: SynthesisOptions,
        lexicon: Callable[[], Lexicon],
        pronunciations: Pronunciations | None,
        content: Callable[[Voice], str | None],
        lookahead: Lookahead,
        hops: Callable[[Utterance], int],
        clock: Clock,
        costs: CostModel,
        step_clocks: StepClocks,
        on_voice_used: Callable[[VoiceSpec, ReadyVoice], None],
    ) -> None:
        """Share these among all utterances; their meaning is that of `Synthesizer`.

        `on_voice_used` is called for each segment that is rendered, with its voice and model.
        """
        self._workers = workers
        self._cache = cache
        self._options = options
        self._lexicon = lexicon
        self._pronunciations = pronunciations
        self._content = content
        self._lookahead = lookahead
        self._hops = hops
        self._clock = clock
        self._costs = costs
        self._step_clocks = step_clocks
        self._on_voice_used = on_voice_used

    async def render(
        self, job: Job, voices: UtteranceVoices, segment: Segment, resampler: StreamResampler
    ) -> AsyncGenerator[bytes, None]:
        """Yield a segment's 16-bit mono PCM at the rate of the stream.

        Where a remote voice fails before its first audio, or a voice is not loaded within the patience of the
        listener, the embedded voice speaks instead.

        Raises:
            SpeechError: anything that is reported to the client.
        """
        if not segment.text:  # markup may end with a pause
            return
        lease = await voices.find(segment.voice)
        try:
            async with aclosing(self._resampled(job, lease, segment, resampler)) as pieces:
                async for pcm in pieces:
                    yield pcm
        except (RemoteVoiceFailed, VoiceNotReady) as error:
            voices.substitute(lease, error)
            lease = await voices.find(segment.voice)
            async with aclosing(self._resampled(job, lease, segment, resampler)) as pieces:
                async for pcm in pieces:
                    yield pcm

    async def apply_lexicon(self, segment: Segment, voice: Voice) -> LexiconResult:
        """Apply the lexicon and the default pronunciations to a segment's text.

        On a worker: regular expressions may take their time, and the pronunciations are read from a file.
        """
        lexicon = self._lexicon()
        if not len(lexicon) and self._pronunciations is None:
            return LexiconResult(segment.text)
        return await self._workers.run_blocking(partial(self._apply, lexicon, segment.text, voice))

    def _apply(self, lexicon: Lexicon, text: str, voice: Voice) -> LexiconResult:
        defaults = self._pronunciations(voice) if self._pronunciations else None
        return lexicon.apply(text, language=voice.language, voice=voice.name, defaults=defaults)

    async def _resampled(
        self, job: Job, lease: VoiceLease, segment: Segment, resampler: StreamResampler
    ) -> AsyncGenerator[bytes, None]:
        voice = lease.spec.voice
        result = await self.apply_lexicon(segment, voice)
        segment = replace(segment, text=str(result.text))
        place_words = partial(_place_words, job, result.text, voice.sample_rate)
        async with (
            aclosing(self._cached_or_rendered(job, lease, segment, place_words)) as pieces,
            aclosing(resampler.resample(pieces, voice.sample_rate)) as resampled,
        ):
            async for pcm in resampled:
                yield pcm

    async def _cached_or_rendered(
        self, job: Job, lease: VoiceLease, segment: Segment, place_words: Callable[[WordTimings], None]
    ) -> AsyncGenerator[bytes, None]:
        """Yield a segment's PCM from the cache, else render it and cache it once it is complete."""
        key = self._cache_key(job, lease.spec, segment)
        cached = await self._cache.get(key)
        if cached is not None:
            job.cached_segments += 1
            if cached.timings is not None:
                place_words(cached.timings)
            for start in range(0, len(cached.pcm), audio.PIECE_BYTES):
                yield cached.pcm[start : start + audio.PIECE_BYTES]
            return
        with job.timing_load():
            loaded, gain = await lease.load_with_gain()
        key = self._cache_key(job, lease.spec, segment)  # the voice's content may be known by now
        recording = self._cache.record(key, lease.spec.voice.sample_rate)
        self._on_voice_used(lease.spec, loaded)
        task = RenderTask(job, lease.spec, segment, key.prosody, self._hops(job.utterance))
        rendered: aclosing[AsyncGenerator[_Piece, None]] | aclosing[AsyncGenerator[_Piece | Seam, None]]
        if isinstance(loaded, RemoteVoice):
            rendered = aclosing(relay_remote(task, loaded, lookahead=self._lookahead, clock=self._clock))
        else:
            rendered = aclosing(self._rendered(task, loaded, gain))
        with lease.quarantining():
            async with rendered as pieces:
                async for piece in pieces:
                    if isinstance(piece, WordTimings):
                        recording.add_timings(piece)
                        place_words(piece)
                    elif isinstance(piece, Seam):
                        recording.discard()
                    elif piece:
                        recording.add(piece)
                        yield piece
        recording.commit()

    async def _rendered(
        self, task: RenderTask, loaded: LoadedVoice, gain: float
    ) -> AsyncGenerator[_Piece, None]:
        """Yield what a voice renders on the workers, and learn from each step what it costs."""
        backlog = task.job.backlog
        backlog.render_with(self._costs.voice(task.spec), speed=task.prosody.speed)
        steps = render_steps(task, loaded, gain, clocks=self._step_clocks)
        async with StepwiseRender(self._workers, task.job.clock, steps) as rendered:
            async for pieces, timing in rendered:
                task.job.compute_seconds += timing.wall
                backlog.step(timing)
                for piece in pieces:
                    yield piece

    def _cache_key(self, job: Job, spec: VoiceSpec, segment: Segment) -> CacheKey:
        voice, content = spec.voice, self._content(spec.voice)
        return CacheKey(
            voice=voice.name,
            model_version=f"{voice.model}:{voice.fingerprint}:{self._options.renderer}",
            speaker=spec.speaker,
            prosody=merge_prosody(self._options.prosody, job.utterance.prosody, segment, rate=spec.rate),
            text=segment.text,
            level=self._options.loudness,
            content=content and f"{content}:{self._options.renderer}",
        )


def render_steps(
    task: RenderTask, loaded: LoadedVoice, gain: float, *, clocks: StepClocks
) -> Generator[tuple[tuple[_Piece, ...], StepTiming], None, None]:
    """Render a segment on a worker, each step up to finished PCM, with the time that it took.

    A step may tell when words sound instead, or before its PCM.

    Raises:
        SpeechError: as for `LoadedVoice.render`; any other failure becomes an EngineFailed.
    """
    rate, clock = task.spec.voice.sample_rate, task.job.clock
    started = clocks.read()
    try:
        with closing(loaded.render(task.segment, task.spec, task.prosody)) as render:
            for rendered in render:
                pieces = _to_pieces(rendered, gain * task.prosody.volume)
                seconds = len(samples_of(rendered)) / rate
                yield pieces, clocks.timing(started, seconds, has_cores=clock.has_cores)
                started = clocks.read()
    except SpeechError:
        raise
    except Exception as error:
        raise _engine_failure(task, error) from error


async def relay_remote(
    task: RenderTask, voice: RemoteVoice, *, lookahead: Lookahead, clock: Clock
) -> AsyncGenerator[_Piece | Seam, None]:
    """Relay a segment that another server speaks, reading no further ahead of the listener than allowed.

    Raises:
        SpeechError: as for `RemoteVoice.stream`; any other failure becomes an EngineFailed.
    """
    pieces = voice.stream(task.segment, task.spec, task.prosody, hops=task.hops)
    try:
        async with aclosing(pieces):
            async for rendered in pieces:
                if isinstance(rendered, Seam):
                    yield rendered
                    continue
                for piece in _to_pieces(rendered, task.prosody.volume):
                    yield piece
                await _wait_for_listener(task.job.clock, lookahead.alone, clock)
    except SpeechError:
        raise
    except Exception as error:
        raise _engine_failure(task, error) from error


def _to_pieces(rendered: Rendered, gain: float) -> tuple[_Piece, ...]:
    if isinstance(rendered, WordTimings):
        return (rendered,)
    pcm = audio.to_pcm(samples_of(rendered), gain)
    return (rendered.timings, pcm) if isinstance(rendered, TimedSamples) else (pcm,)


def _place_words(job: Job, text: str, rate: int, timings: WordTimings) -> None:
    job.words.add(SegmentTimings(text, rate, timings))


async def _wait_for_listener(stream: StreamClock, max_ahead: float, clock: Clock) -> None:
    too_far_ahead = stream.deadline() - clock() - max_ahead
    if too_far_ahead > 0 and not stream.in_background:
        await asyncio.sleep(too_far_ahead)


def _engine_failure(task: RenderTask, error: Exception) -> EngineFailed:
    name = task.spec.voice.name
    _LOGGER.error("%s failed in utterance %s.", name, task.job.utterance.id, exc_info=error)
    return EngineFailed(
        Message("voice_failed", "The voice {name} failed with {kind}.", name=name, kind=type(error).__name__),
        hint=Message("see_server_log", "The server's log has the details."),
    )
