"""The messages that answer a client of the realtime WebSocket, in its dialect.

A response is `begun`, has some audio, and then exactly one ending. One that never began has an ending
alone.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field

from wyoming_tts.errors import ErrorCode, SpeechError
from wyoming_tts.transports.realtime.protocol import Frame, RealtimeSession, RefusedMessage

_TOLD_AS = {
    ErrorCode.TOO_LONG: "too_long",
    ErrorCode.BUSY: "busy",
    ErrorCode.UNKNOWN_VOICE: "unknown_voice",
    ErrorCode.VOICE_UNAVAILABLE: "unknown_voice",
    ErrorCode.BAD_REQUEST: "bad_request",
    ErrorCode.UNSUPPORTED: "bad_request",
    ErrorCode.BAD_MARKUP: "bad_request",
    ErrorCode.SHUTTING_DOWN: "shutting_down",
}


def session_event(kind: str, session: RealtimeSession) -> str:
    """`session.created` or `session.updated`."""
    return _event(kind, session=session.as_json())


def refusal(refused: RefusedMessage) -> str:
    """The message that tells of a message that was not obeyed."""
    if refused.short:
        return _event("error", segment_id=refused.response, **_told(refused.error))
    return _event(
        "response.error", response=refused.response, event_id=refused.event_id, **_told(refused.error)
    )


@dataclass(frozen=True, slots=True)
class ResponseMessages:
    """The messages that answer one response: begun, audio, and then one ending."""

    id: str
    session: RealtimeSession = field(repr=False)
    short: bool = False

    def begun(self) -> list[Frame]:
        """Its turn has come; the audio that follows is its."""
        if self.short:
            return [_event("start", segment_id=self.id, sample_rate=self.session.sample_rate)]
        return [_event("response.created", response=self.id, audio=self.session.audio)]

    def audio(self, pcm: bytes) -> Frame:
        """Some of its audio."""
        if self.short or self.session.binary:
            return pcm
        delta = base64.b64encode(pcm).decode("ascii")
        return _event("response.output_audio.delta", response=self.id, delta=delta)

    def completed(self) -> list[Frame]:
        """All of it was sent."""
        if self.short:
            return [_event("end", segment_id=self.id)]
        return [
            _event("response.output_audio.done", response=self.id),
            _event("response.completed", response=self.id),
        ]

    def canceled(self) -> list[Frame]:
        """It was stopped: nothing of it follows."""
        if self.short:
            return [_event("end", segment_id=self.id, canceled=True)]
        return [_event("response.canceled", response=self.id)]

    def failed(self, error: SpeechError) -> list[Frame]:
        """It ended early, or never began."""
        return [refusal(RefusedMessage(error, self.id, short=self.short))]


def _told(error: SpeechError) -> dict[str, str]:
    return {"code": _TOLD_AS.get(error.code, "internal"), "message": str(error)}


def _event(kind: str, **fields: object) -> str:
    return json.dumps({"type": kind} | {key: value for key, value in fields.items() if value is not None})
