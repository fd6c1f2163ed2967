"""A response of a realtime client: its utterance, its audio, what was sent of it and how it ended."""

from __future__ import annotations

from dataclasses import replace

from wyoming_tts.speech import Prosody, SpeakingVoice, SpokenWord, Utterance, VoiceRequest
from wyoming_tts.text.feed import TextFeed
from wyoming_tts.text.text_limits import TextMeter
from wyoming_tts.transports.realtime.options import RealtimeOptions
from wyoming_tts.transports.realtime.protocol import Frame
from wyoming_tts.transports.realtime.response_audio import AudioPiece, ResponseAudio
from wyoming_tts.transports.realtime.server_messages import ResponseMessages
from wyoming_tts.transports.realtime.session import RealtimeSession
from wyoming_tts.transports.realtime.transcript import TimedWord, Transcript
from wyoming_tts.transports.request_queue import PendingRequest, RequestCanceled
from wyoming_tts.transports.tokens import TokenGrant

TRANSPORT = "realtime"


class RealtimeResponse(PendingRequest):
    """A response of a realtime client, from its request to the end of its audio."""

    def __init__(
        self,
        messages: ResponseMessages,
        options: RealtimeOptions,
        text: str | None = None,
        *,
        audio: ResponseAudio,
        peer: str = "",
        grant: TokenGrant | None = None,
    ) -> None:
        """With `text` None the text arrives through the feed."""
        limit = options.limits.text_chars
        feed = TextFeed(
            high_mark=limit, low_mark=limit
        )  # never full, so `add` never blocks the reader: a barge may be next
        utterance = _make_utterance(messages.session, options, feed, text)
        if grant is not None:
            utterance = grant.restrict(utterance)
        super().__init__(replace(utterance, peer=peer), feed, characters=len(text or ""))
        self.messages = messages
        self.audio = audio
        self.meter = TextMeter(options.limits.text)
        """Measures the text that is appended."""
        self.transcript = Transcript(text or "", rate=messages.session.sample_rate)
        self.voice: SpeakingVoice | None = None
        """The voice that speaks, once it is known."""
        self.primer = _primer(messages.session, options)
        """Silence before its first audio."""
        self._played_ms: float | None = None

    def timed(self, word: SpokenWord) -> TimedWord:
        """Return a word as its client is told it, behind the silence before the first audio."""
        if self.primer is None:
            return TimedWord.of(word)
        later = self.primer.samples / self.messages.session.sample_rate
        return TimedWord.of(replace(word, start_time=word.start_time + later, end_time=word.end_time + later))

    async def add(self, text: str) -> None:
        """Append text, as much of it as is within the limits; never waits."""
        if taken := self.meter.take(text):
            self.transcript.add_text(taken)
            await super().add(taken)

    def cancel(self, played_ms: float | None = None) -> None:
        """Stop it for its client, who has played so much of it; None stands for all that was sent."""
        if not self.is_stopped:
            self._played_ms = played_ms
        self.stop(RequestCanceled())

    def ending(self) -> list[Frame]:
        """Build the messages that end the response, by how it ended."""
        if self.error is not None:
            return self.messages.failed(self.error)
        if self.is_stopped:
            return self.messages.canceled(self.transcript.heard(self._played_ms))
        return self.messages.completed(self.transcript.samples, self.voice)


def _primer(session: RealtimeSession, options: RealtimeOptions) -> AudioPiece | None:
    """Return the silence that fills a proxy's buffer; none of Opus, whose silence is too small for that."""
    if session.opus or not options.prime_bytes:
        return None
    return AudioPiece(bytes(options.prime_bytes), options.prime_bytes // 2, has_sound=False)


def _make_utterance(
    session: RealtimeSession, options: RealtimeOptions, feed: TextFeed, text: str | None
) -> Utterance:
    utterance = Utterance(
        feed,
        VoiceRequest(name=session.voice, language=session.language),
        Prosody(speed=1.0 if session.speed is None else session.speed),
        transport=TRANSPORT,
        sample_rate=session.sample_rate,
        start=session.start,
        leading_silence=session.leading_silence,
        patience=session.patience,
        keeps_alive=True,
    )
    if text is None:
        return replace(utterance, flush_idle=options.flush_idle)
    return replace(utterance, text=Utterance.of(text).text, is_complete=True)
