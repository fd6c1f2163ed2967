"""The messages of the realtime WebSocket that the server sends, without I/O.

A response is answered in the dialect of its request.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from wyoming_tts.errors import ErrorCode, SpeechError
from wyoming_tts.messages import said_parts
from wyoming_tts.speech import SpeakingVoice, VoiceReason
from wyoming_tts.transports.realtime.protocol import ITEM_TRUNCATE, Frame, RefusedMessage
from wyoming_tts.transports.realtime.session import RealtimeSession
from wyoming_tts.transports.realtime.transcript import HeardText, TimedWord

_WORDS_EVENT: Final = "response.output_audio.words"

_ERROR_CODES = {
    ErrorCode.TOO_LONG: "too_long",
    ErrorCode.BUSY: "busy",
    ErrorCode.RATE_LIMITED: "rate_limit_exceeded",
    ErrorCode.UNKNOWN_VOICE: "unknown_voice",
    ErrorCode.VOICE_UNAVAILABLE: "unknown_voice",
    ErrorCode.BAD_REQUEST: "bad_request",
    ErrorCode.UNSUPPORTED: "bad_request",
    ErrorCode.BAD_MARKUP: "bad_request",
    ErrorCode.SHUTTING_DOWN: "shutting_down",
    ErrorCode.TOKEN_EXPIRED: "token_expired",
    ErrorCode.TOKEN_USED_UP: "token_used_up",
    ErrorCode.VOICE_NOT_ALLOWED: "voice_not_allowed",
}


def session_event(kind: str, session: RealtimeSession) -> str:
    """Build `session.created` or `session.updated`, which carry the complete session."""
    return _event(kind, session=session.as_json())


def truncated_event(response: str, heard: HeardText, *, is_item: bool = False) -> str:
    """Build the reply to a truncation: what was heard of the response."""
    if is_item:
        played = {"content_index": 0, "audio_end_ms": heard.played_ms}
        return _event(f"{ITEM_TRUNCATE}d", item_id=response, **played, heard=_heard_json(heard))
    return _event("response.truncated", response=response, heard=_heard_json(heard))


def _heard_json(heard: HeardText) -> dict[str, Any]:
    utf16_end = None if heard.text is None else len(heard.text.encode("utf-16-le")) // 2
    return {
        "played_ms": heard.played_ms,
        "text": heard.text,
        "end": None if heard.text is None else len(heard.text),
        "utf16_end": utf16_end,
        "words": [word._asdict() for word in heard.words],
    }


def refusal_message(refused: RefusedMessage) -> str:
    """Build the error for a client message that was refused."""
    if refused.short:
        return _event("error", segment_id=refused.response, **_error_fields(refused.error))
    return _event(
        "response.error", response=refused.response, event_id=refused.event_id, **_error_fields(refused.error)
    )


@dataclass(frozen=True, slots=True)
class ResponseMessages:
    """Builds the messages of one response, in the dialect of its request.

    They go out as `started`, any number of `words` and `audio`, then exactly one of `completed`, `canceled`
    and `failed`. A response that never started has only the last.
    """

    id: str
    session: RealtimeSession = field(repr=False)
    short: bool = False

    def started(self) -> list[Frame]:
        """Announce the response; the audio that follows belongs to it."""
        if self.short:
            audio = self.session.audio if self.session.opus else {"sample_rate": self.session.sample_rate}
            return [_event("start", segment_id=self.id, **audio)]
        return [_event("response.created", response=self.id, audio=self.session.audio)]

    def audio(self, data: bytes) -> Frame:
        """Build one frame of audio from 16-bit PCM or an Opus packet."""
        if self.short or self.session.binary:
            return data
        delta = base64.b64encode(data).decode("ascii")
        return _event("response.output_audio.delta", response=self.id, delta=delta)

    def voice(self, voice: SpeakingVoice) -> list[Frame]:
        """Tell that another voice speaks than the one that was asked for by name."""
        if self.short or voice.reason in {VoiceReason.REQUESTED, VoiceReason.DEFAULT}:
            return []
        told = {"voice": voice.name, "reason": str(voice.reason), "requested": voice.requested or None}
        return [_event("response.voice", response=self.id, **told)]

    def words(self, words: Sequence[TimedWord]) -> list[Frame]:
        """Tell words, before the audio in which they begin; nothing if the client does not want them."""
        if self.short or not self.session.words or not words:
            return []
        return [_event(_WORDS_EVENT, response=self.id, words=[word._asdict() for word in words])]

    def completed(self, samples: int, voice: SpeakingVoice | None = None) -> list[Frame]:
        """End the response after all its audio, `samples` of it: what more Opus decodes to is padding."""
        length = samples if self.session.opus else None
        if self.short:
            return [_event("end", segment_id=self.id, samples=length)]
        return [
            _event("response.output_audio.done", response=self.id, samples=length),
            _event("response.completed", response=self.id, voice=None if voice is None else voice.name),
        ]

    def canceled(self, heard: HeardText) -> list[Frame]:
        """End the response that was cancelled with what was heard; no more of it follows."""
        if self.short:
            return [_event("end", segment_id=self.id, canceled=True)]
        return [_event("response.canceled", response=self.id, heard=_heard_json(heard))]

    def failed(self, error: SpeechError) -> list[Frame]:
        """End the response with an error, before or after it started."""
        return [refusal_message(RefusedMessage(error, self.id, short=self.short))]


def _error_fields(error: SpeechError) -> dict[str, object]:
    told: dict[str, object] = {"code": _ERROR_CODES.get(error.code, "internal"), "message": str(error)}
    if said := said_parts(error.message, error.hint):
        told["said"] = said
    return told


def _event(kind: str, **fields: object) -> str:
    return json.dumps({"type": kind} | {key: value for key, value in fields.items() if value is not None})
