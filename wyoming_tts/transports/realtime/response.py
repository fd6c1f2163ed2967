"""One response of a realtime client, between its request and the end of its audio."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from wyoming_tts.speech import Prosody, Utterance, VoiceRequest
from wyoming_tts.text.feed import TextFeed
from wyoming_tts.transports.backpressure import PendingRequest
from wyoming_tts.transports.realtime.answers import ResponseMessages
from wyoming_tts.transports.realtime.protocol import Frame, RealtimeLimits, RealtimeSession

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


class RealtimeResponse(PendingRequest):
    """A text between its request and the end of its audio."""

    def __init__(self, answer: ResponseMessages, options: RealtimeOptions, text: str | None = None) -> None:
        """Without a text it comes through the feed."""
        limit = options.limits.text_chars
        feed = TextFeed(high_mark=limit, low_mark=limit)  # `add` never waits: a barge may be behind it
        super().__init__(_utterance(answer.session, options, feed, text), feed, characters=len(text or ""))
        self.answer = answer

    def ending(self) -> list[Frame]:
        """How the client is told that it is over."""
        if self.failure is not None:
            return self.answer.failed(self.failure)
        return self.answer.canceled() if self.is_stopped else self.answer.completed()


def _utterance(
    session: RealtimeSession, options: RealtimeOptions, feed: TextFeed, text: str | None
) -> Utterance:
    utterance = Utterance(
        feed,
        VoiceRequest(name=session.voice, language=session.language),
        Prosody(speed=1.0 if session.speed is None else session.speed),
        transport=TRANSPORT,
        sample_rate=session.sample_rate,
    )
    if text is None:
        return replace(utterance, flush_idle=options.flush_idle)
    return replace(utterance, text=Utterance.of(text).text)
