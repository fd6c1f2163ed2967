"""An utterance while it is spoken: its clock for the scheduler, its counts for the record."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from wyoming_tts.errors import to_speech_error
from wyoming_tts.scheduler import StreamClock
from wyoming_tts.speech import (
    AudioChunk,
    AudioFormat,
    Outcome,
    Segment,
    Utterance,
    UtteranceRecord,
    VoiceSpec,
)

Clock = Callable[[], float]

PAUSE = ""
"""In place of a piece of text: none came for a while."""

_TEXT_WAS_THERE = 0.001
"""Seconds; text that takes longer to get was not there yet, and its stream had nothing to do."""

_AUDIBLE = 0.02
"""Seconds without audio that no player has in hand; less than that is no underrun."""


async def _next_or_none(pieces: AsyncIterator[str]) -> str | None:
    return await anext(pieces, None)


class Job:
    """The state of one utterance: its clock for the scheduler, its counts for the record."""

    def __init__(self, utterance: Utterance, now: Clock) -> None:
        self.utterance = utterance
        self.clock = StreamClock(work_since=now())
        self.characters = 0
        self.compute_seconds = 0.0
        self.cached_segments = 0
        self._now = now
        self._spec: VoiceSpec | None = None
        self._samples = 0
        self._segments = 0
        self._first_segment_at: float | None = None
        self._first_audio_at: float | None = None
        self._outcome = Outcome.CANCELLED
        self._error = ""
        self._resolved_at: float | None = None
        self._let_in_at: float | None = None
        self._asked_at = self._text_came_at = self.clock.work_since
        self._underruns = 0
        self._underrun_seconds = 0.0
        self._load_seconds = 0.0

    @property
    def spec(self) -> VoiceSpec:
        """The voice of the utterance."""
        if self._spec is None:
            raise AssertionError("The voice is resolved before anything is rendered.")
        return self._spec

    @property
    def rate(self) -> int:
        """Hz of its audio: as asked for, else the voice's own."""
        wanted = self.utterance.sample_rate
        return self.spec.voice.sample_rate if wanted is None else wanted

    @property
    def was_heard(self) -> bool:
        """Whether there was any audio."""
        return self._samples > 0

    def resolved(self, spec: VoiceSpec) -> None:
        """Note which voice speaks."""
        self._spec = spec
        self._resolved_at = self._now()

    def let_in(self) -> None:
        """Note that the wait at the door is over."""
        self._let_in_at = self._now()

    def asked(self) -> None:
        """Note that the listener has room for the next chunk."""
        self._asked_at = self._now()

    @contextmanager
    def loading(self) -> Iterator[None]:
        """Count the time until a model is in memory."""
        started = self._now()
        try:
            yield
        finally:
            self._load_seconds += self._now() - started

    async def text(self, idle: float | None) -> AsyncGenerator[str, None]:
        """Hand on the text, and PAUSE each time none came for `idle` seconds."""
        pieces = aiter(self.utterance.text)
        while True:
            asked_at = self._now()
            # A task, because waiting with a timeout must not cancel an iterator in the middle.
            coming = asyncio.ensure_future(_next_or_none(pieces))
            try:
                if not (await asyncio.wait({coming}, timeout=idle))[0]:
                    self._text_came_at = self._now()  # until now there was nothing to speak
                    yield PAUSE
                piece = await coming
            finally:
                coming.cancel()
            has_waited = self._now() - asked_at > _TEXT_WAS_THERE
            if has_waited:
                self._text_came_at = self._now()
            if piece is None:
                return
            if has_waited:
                self.clock.work_arrived(self._now())
            if piece:  # an empty one would be taken for PAUSE
                self.characters += len(piece)
                yield piece

    def segment_ready(self, segment: Segment) -> Segment:
        """Note a segment, and tell it whether it is the first."""
        self._segments += 1
        self._first_segment_at = self._first_segment_at or self._now()
        return replace(segment, is_first=self._segments == 1)

    def chunk(self, pcm: bytes) -> AudioChunk:
        """Make the next chunk, which is the listener's from now on."""
        chunk = AudioChunk(AudioFormat(rate=self.rate), pcm, self._samples)
        now = self._now()
        self._count_underrun(now)
        self.clock.delivered(chunk.seconds, now)
        self._samples += chunk.samples
        self._first_audio_at = self._first_audio_at or now
        return chunk

    def done(self) -> None:
        """Note that all was spoken."""
        self._outcome = Outcome.DONE

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Note a failure of ours; what the listener does, leaving included, is none."""
        try:
            yield
        except Exception as error:
            self._outcome = Outcome.FAILED
            self._error = to_speech_error(error).code
            raise

    def record(self) -> UtteranceRecord:
        """Return what is known of the utterance by now."""
        voice = self._spec.voice if self._spec else None
        return UtteranceRecord(
            id=self.utterance.id,
            transport=self.utterance.transport,
            voice=voice.name if voice else "",
            engine=voice.engine if voice else "",
            characters=self.characters,
            segments=self._segments,
            ttfa=self._ttfa(),
            audio_seconds=self._samples / self.rate if voice else 0.0,
            compute_seconds=self.compute_seconds,
            outcome=self._outcome,
            error=self._error,
            wait=self._wait(),
            underruns=self._underruns,
            underrun_seconds=self._underrun_seconds,
            cached_segments=self.cached_segments,
            model_load_seconds=self._load_seconds,
        )

    def _wait(self) -> float:
        if self._resolved_at is None:
            return 0.0
        return (self._now() if self._let_in_at is None else self._let_in_at) - self._resolved_at

    def _count_underrun(self, now: float) -> None:
        """Count it if the listener ran dry while it had room and there was text to speak."""
        if self.clock.playing_since is None:
            return
        dry_since = self.clock.playing_since + self.clock.audio_seconds
        if dry_since > max(self._text_came_at, self._asked_at) and now - dry_since >= _AUDIBLE:
            self._underruns += 1
            self._underrun_seconds += now - dry_since

    def _ttfa(self) -> float | None:
        if self._first_audio_at is None or self._first_segment_at is None:
            return None
        return self._first_audio_at - self._first_segment_at
