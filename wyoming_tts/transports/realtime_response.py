"""One response of a realtime client, between its request and the end of its audio."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from wyoming_tts.errors import SpeechError
from wyoming_tts.speech import Prosody, Utterance, VoiceRequest
from wyoming_tts.text.feed import TextFeed
from wyoming_tts.transports.realtime_answers import Answer
from wyoming_tts.transports.realtime_protocol import Frame, RealtimeLimits

TRANSPORT = "realtime"


@dataclass(frozen=True, slots=True)
class RealtimeOptions:
    """How the server treats its realtime clients. Times are in seconds."""

    limits: RealtimeLimits = field(default_factory=RealtimeLimits)
    flush_idle: float = 0.16
    """Appended text is spoken when nothing has come for so long; 0 waits for its sentences to end."""
    queued: int = 16
    """Responses a client may have waiting, beside the one that plays."""
    queued_chars: int = 200_000
    """Characters of text in those, unless it is only one."""
    idle_timeout: float = 300.0
    """A connection without a message or audio for so long is closed."""
    send_timeout: float = 60.0
    """A client that takes nothing for so long is cut off."""
    connections: int = 128
    """Clients at the same time."""
    connections_per_peer: int = 32
    """Of these from one address."""


class Response:
    """A text between its request and the end of its audio."""

    def __init__(self, answer: Answer, options: RealtimeOptions, text: str | None = None) -> None:
        """Without a text it comes through the feed."""
        self.answer = answer
        limit = options.limits.text_chars
        self.feed = TextFeed(high_mark=limit, low_mark=limit)  # `put` never waits: a barge may be behind it
        self.characters = len(text or "")
        self.is_canceled = False
        self.failure: SpeechError | None = None
        self.is_over = False
        """Nobody will read more of its text."""
        self.playing: asyncio.Task[SpeechError | None] | None = None
        self.utterance = self._utterance(options, text)

    def _utterance(self, options: RealtimeOptions, text: str | None) -> Utterance:
        session = self.answer.session
        voice = VoiceRequest(name=session.voice, language=session.language)
        prosody = Prosody(speed=1.0 if session.speed is None else session.speed)
        rate = session.sample_rate
        if text is not None:
            return Utterance.of(text, voice=voice, prosody=prosody, transport=TRANSPORT, sample_rate=rate)
        return Utterance(
            self.feed,
            voice,
            prosody,
            transport=TRANSPORT,
            flush_idle=options.flush_idle,
            sample_rate=rate,
        )

    async def add(self, text: str) -> None:
        """Say this too."""
        self.characters += len(text)
        await self.feed.put(text)

    def cancel(self) -> None:
        """Stop it, because the client wants it."""
        self.is_canceled = True
        self._stop()

    def fail(self, error: SpeechError) -> None:
        """Stop it, for a reason that the client does not know yet. Of several the first counts."""
        self.failure = self.failure or error
        self._stop()

    @property
    def is_stopped(self) -> bool:
        """Whether it is not to be played, or not to its end."""
        return self.is_canceled or self.failure is not None

    def ending(self) -> list[Frame]:
        """How the client is told that it is over."""
        if self.is_canceled:
            return self.answer.canceled()
        if self.failure is not None:
            return self.answer.failed(self.failure)
        return self.answer.completed()

    def close(self) -> None:
        """Take no more text."""
        self.is_over = True
        self.feed.close()

    def _stop(self) -> None:
        self.close()
        if self.playing is not None:
            self.playing.cancel()
