"""The state of one utterance while it is spoken: playback clock, timings and the counts of its record."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from enum import Enum, auto
from math import inf
from typing import Final

from wyoming_tts.errors import to_speech_error
from wyoming_tts.scheduler import StreamClock
from wyoming_tts.speech import (
    AudioChunk,
    AudioFormat,
    Outcome,
    Segment,
    SpeakingVoice,
    Utterance,
    UtteranceRecord,
    Voice,
    VoiceReason,
    VoiceSpec,
)
from wyoming_tts.synthesis.backlog import StreamBacklog
from wyoming_tts.synthesis.costs import CostModel
from wyoming_tts.synthesis.prefetch import Prefetch
from wyoming_tts.synthesis.word_timeline import WordTimeline, WrittenText

_LOGGER = logging.getLogger(__name__)

Clock = Callable[[], float]

LONG_IDLE: Final = 1.0
"""Seconds without text after which even a word that may go on is spoken: no language model that is fast
enough to be listened to pauses for as long within a word."""

_TEXT_WAS_WAITING = 0.001
"""Seconds; text that takes longer to get had not arrived yet, and its stream had nothing to do."""

_AUDIBLE_GAP = 0.02
"""Seconds without audio that no player has buffered; a shorter gap is no underrun."""


LONG_WAIT = 30.0
"""Seconds without text after which a stream keeps nothing in memory for what may follow: longer than an agent
thinks between two sentences."""


async def do_nothing() -> None:
    """Do nothing: what happens on a long wait unless something is to be freed."""


async def _arrives(coming: asyncio.Task[str | None], timeout: float) -> bool:  # noqa: ASYNC109 - not an error
    """Wait for a piece of text; return whether it arrived in time."""
    return coming.done() or bool((await asyncio.wait({coming}, timeout=timeout))[0])


async def _next_or_none(pieces: AsyncIterator[str]) -> str | None:
    return await anext(pieces, None)


class Pause(Enum):
    """In place of a piece of text: none arrived for a time."""

    IDLE = auto()
    """The idle time: what is certain by now is spoken."""
    LONG = auto()
    """`LONG_IDLE`, if that is more: all text is spoken."""


class Job:
    """One utterance from its request to its record.

    The `on_…` methods note what happened, with the time at which they are called.
    """

    def __init__(self, utterance: Utterance, now: Clock, costs: CostModel) -> None:
        self.utterance = utterance
        self.clock = StreamClock(work_since=now())
        self._started_at = self.clock.work_since
        self.characters = 0
        self.compute_seconds = 0.0
        self.cached_segments = 0
        self.held_seconds = 0.0
        """For how long audio was held back while its listener heard nothing."""
        self.predicted_start: float | None = None
        """Seconds to the first audio, as expected when it asked for a place."""
        self.is_queued = False
        """Whether it waits for a place now."""
        self._now = now
        self._costs = costs
        self._backlog: StreamBacklog | None = None
        self._words: WordTimeline | None = None
        self._written = WrittenText()
        self._spec: VoiceSpec | None = None
        self._substitute: Voice | None = None
        self._samples = 0
        self._silent_samples = 0
        self._is_playing = False
        self._segments = 0
        self._first_segment_at: float | None = None
        self._first_segment_known_at: float | None = None
        """Other than `_first_segment_at` it is not moved by a wait for its turn."""
        self._first_audio_at: float | None = None
        self._outcome = Outcome.CANCELLED
        self._error = ""
        self._wait_seconds = 0.0
        self._began_at = self._requested_at = self._text_arrived_at = self.clock.work_since
        self._underruns = 0
        self._underrun_seconds = 0.0
        self._load_seconds = 0.0

    @property
    def spec(self) -> VoiceSpec:
        """The voice of the utterance; set by `on_voice_resolved`."""
        if self._spec is None:
            raise AssertionError("The voice is resolved before anything is rendered.")
        return self._spec

    @property
    def backlog(self) -> StreamBacklog:
        """The work that is left of it; set by `on_voice_resolved`."""
        if self._backlog is None:
            raise AssertionError("The voice is resolved before anything is rendered.")
        return self._backlog

    @property
    def words(self) -> WordTimeline:
        """Its words that are known and not delivered; set by `on_voice_resolved`."""
        if self._words is None:
            raise AssertionError("The voice is resolved before anything is rendered.")
        return self._words

    @property
    def rate(self) -> int:
        """Sample rate of its audio in Hz: the one requested, else the voice's own."""
        requested = self.utterance.sample_rate
        return self.spec.voice.sample_rate if requested is None else requested

    @property
    def has_audio(self) -> bool:
        """Whether any audio was made, other than by `keep_alive`."""
        return self._first_audio_at is not None

    def on_voice_resolved(self, spec: VoiceSpec, *, speed: float = 1.0) -> None:
        """Note which voice speaks, and how fast unless the utterance says more."""
        self._spec = spec
        speed *= self.utterance.prosody.speed * spec.rate
        self._backlog = StreamBacklog(self._costs, self._costs.voice(spec), speed=speed, clock=self._now)
        self.clock.backlog = self._backlog
        self._words = WordTimeline(self.rate, self._written)

    def on_voice_substituted(self, spec: VoiceSpec, voice: Voice, reason: Exception) -> None:
        """Note that another voice speaks from now on, as one of the utterance's failed or is not ready."""
        if spec == self._spec:
            self._substitute = voice
        _LOGGER.warning("%s %s speaks instead in utterance %s.", reason, voice.name, self.utterance.id)

    @property
    def speaking(self) -> SpeakingVoice:
        """The voice that speaks now, and why."""
        request = self.utterance.voice
        requested = request.name or request.language or ""
        if self._substitute is not None:
            return SpeakingVoice(self._substitute.name, VoiceReason.FALLBACK, requested)
        return SpeakingVoice(self.spec.voice.name, self.spec.reason, requested)

    @property
    def speaking_or_none(self) -> SpeakingVoice | None:
        """The same; None while it is not resolved."""
        return None if self._spec is None else self.speaking

    @property
    def lacks_text(self) -> bool:
        """Whether all text that is known is spoken, and more may follow."""
        return self._backlog is not None and not (self._backlog.is_known or self.utterance.is_complete)

    @property
    def began_at(self) -> float:
        """When it was requested."""
        return self._began_at

    @property
    def outcome(self) -> Outcome:
        """How it ended, or would if it ended now."""
        return self._outcome

    def on_chunk_requested(self) -> None:
        """Note that the listener has room for the next chunk."""
        self._requested_at = self._now()

    def on_done(self) -> None:
        """Note that everything was spoken."""
        self._outcome = Outcome.DONE

    @contextmanager
    def timing_wait(self) -> Iterator[None]:
        """Add the time of the block to that spent in the admission queue; it does not count as TTFA."""
        started, self.is_queued = self._now(), True
        try:
            yield
        finally:
            self.is_queued = False
            self._wait_seconds += self._now() - started
            if self._first_audio_at is None:
                self._first_segment_at = self._now()

    @contextmanager
    def timing_load(self) -> Iterator[None]:
        """Add the time of the block to that spent on loading models."""
        started = self._now()
        try:
            yield
        finally:
            self._load_seconds += self._now() - started

    @contextmanager
    def recording_failure(self) -> Iterator[None]:
        """Note an exception of the block as the utterance's failure; cancellation by the listener is none."""
        try:
            yield
        except Exception as error:
            self._outcome = Outcome.FAILED
            self._error = to_speech_error(error).code
            raise

    async def read_text(self, idle: float | None) -> AsyncGenerator[str | Pause, None]:
        """Yield the utterance's text as it arrives, and the pauses, the first after `idle` seconds."""
        pieces = aiter(self.utterance.text)
        while True:
            # A task, because waiting with a timeout must not cancel an iterator in the middle.
            coming = asyncio.ensure_future(_next_or_none(pieces))
            try:
                if idle is not None and not await _arrives(coming, idle):
                    yield Pause.IDLE
                    if not await _arrives(coming, max(0.0, LONG_IDLE - idle)):
                        yield Pause.LONG
                piece = await coming
            finally:
                coming.cancel()
            if piece is None:
                return
            if piece:
                self.characters += len(piece)
                self._written.add(piece)
                yield piece

    async def next_segment(
        self, segments: Prefetch[Segment], on_long_wait: Callable[[], Awaitable[None]] = do_nothing
    ) -> Segment | None:
        """Return the next segment once its text is known; None after the last one.

        `on_long_wait` is awaited if none arrives for long.
        """
        asked_at = self._now()
        while not segments and not segments.is_exhausted:
            if not await segments.wait(LONG_WAIT):
                await on_long_wait()
        if self._now() - asked_at > _TEXT_WAS_WAITING:
            self._text_arrived_at = self._now()  # until now there was nothing to speak
            self.clock.work_arrived(self._now())
        if segments:
            return segments.take()
        segments.raise_error()
        return None

    def add_segment(self, segment: Segment) -> Segment:
        """Note that a segment is known; return it with `is_first` set."""
        is_first = self._first_segment_at is None
        self.backlog.add(len(segment.text))
        self._first_segment_at = self._first_segment_at or self._now()
        self._first_segment_known_at = self._first_segment_known_at or self._now()
        return replace(segment, is_first=is_first)

    def begin_segment(self) -> None:
        """Count the next segment as one that is spoken."""
        self._segments += 1
        self.backlog.begin()

    def begin_playing(self) -> None:
        """Note that what was delivered so far is silence, and that the rendered audio follows."""
        self._is_playing = True
        self.words.delay(self._samples)

    def make_chunk(self, pcm: bytes) -> AudioChunk:
        """Make the next chunk of the stream and count it as delivered to the listener."""
        chunk = AudioChunk(AudioFormat(rate=self.rate), pcm, self._samples)
        if self._is_playing and (words := self.words.take(before=self._samples + chunk.samples)):
            chunk = replace(chunk, words=words)
        now = self._now()
        self._count_underrun(now)
        self.clock.delivered(chunk.seconds, now)
        self._samples += chunk.samples
        self._first_audio_at = self._first_audio_at or now
        return chunk

    def keep_alive(self, pcm: bytes) -> AudioChunk:
        """Make a chunk of silence while there is no audio; it has no part in how the stream is scheduled."""
        chunk = AudioChunk(AudioFormat(rate=self.rate), pcm, self._samples)
        self._samples += chunk.samples
        self._silent_samples += chunk.samples
        return chunk

    def patience_left(self, patience: float) -> float:
        """Return the seconds until a listener has heard nothing for as long as it waits; inf without text."""
        if self.has_audio:
            return patience
        since = self._started_at if self.utterance.is_complete else self._first_segment_known_at
        return inf if since is None else since + patience - self._now()

    def record(self) -> UtteranceRecord:
        """Return what is known of the utterance by now."""
        voice = self._substitute or (self._spec.voice if self._spec else None)
        request = self.utterance.voice
        return UtteranceRecord(
            id=self.utterance.id,
            transport=self.utterance.transport,
            voice=voice.name if voice else "",
            engine=voice.engine if voice else "",
            characters=self.characters,
            segments=self._segments,
            ttfa=self._ttfa(),
            audio_seconds=(self._samples - self._silent_samples) / self.rate if voice else 0.0,
            compute_seconds=self.compute_seconds,
            outcome=self._outcome,
            error=self._error,
            wait=self._wait_seconds,
            underruns=self._underruns,
            underrun_seconds=self._underrun_seconds,
            cached_segments=self.cached_segments,
            model_load_seconds=self._load_seconds,
            held_seconds=self.held_seconds,
            predicted_start=self.predicted_start,
            wall_seconds=self._now() - self._began_at,
            audio_bytes=self._samples * AudioFormat(rate=self.rate).frame_bytes if voice else 0,
            requested_voice=request.name or request.language or "",
            voice_reason=str(self.speaking.reason) if voice else "",
        )

    def _count_underrun(self, now: float) -> None:
        """Count a gap during which the listener had room and there was text to speak."""
        if self.clock.playing_since is None:
            return
        dry_since = self.clock.playing_since + self.clock.audio_seconds
        has_work_since = max(self._text_arrived_at, self._requested_at)
        if dry_since > has_work_since and now - dry_since >= _AUDIBLE_GAP:
            self._underruns += 1
            self._underrun_seconds += now - dry_since

    def _ttfa(self) -> float | None:
        if self._first_audio_at is None or self._first_segment_at is None:
            return None
        return self._first_audio_at - self._first_segment_at
