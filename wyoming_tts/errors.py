"""Error taxonomy: every failure a client can see, with a stable code, a message and a hint.

Code raises the narrowest class below. `to_speech_error` is the one place that turns any other exception into
one of them, so that no transport words an error itself.

    SpeechError
    +-- BadRequest            the request is malformed or out of range
    |   +-- TooLong           the text, or one message, is over a limit
    |   +-- Unsupported       well formed, but this voice or this server cannot do it
    |   +-- MalformedMarkup   the text is not well-formed SSML
    +-- UnknownVoice          no voice, or no speaker of it, has that name
    +-- VoiceNotAllowed       the client's token is for other voices
    +-- VoiceUnavailable      the voice is known, but its files cannot be used now
    +-- Busy                  the server has no room for another stream
    +-- RateLimited           the client has made too many requests in the last minute
    +-- InvalidToken          the client's token is not one that this server takes
    |   +-- TokenExpired      its time is over
    +-- TokenForbidden        the token is for other paths or other web pages
    +-- TokenUsedUp           what the token allows has been spoken
    +-- ShuttingDown          the server is shutting down
    +-- EngineFailed          the engine failed while rendering
        +-- StepTimedOut      a step of it did not end in time
"""

from __future__ import annotations

import json
from enum import StrEnum
from typing import ClassVar

from wyoming_tts.messages import Message, with_hint


class ErrorCode(StrEnum):
    """Stable, machine-readable error codes; clients compare them, so they are never renamed."""

    BAD_REQUEST = "bad_request"
    TOO_LONG = "too_long"
    UNSUPPORTED = "unsupported"
    BAD_MARKUP = "bad_markup"
    UNKNOWN_VOICE = "unknown_voice"
    VOICE_UNAVAILABLE = "voice_unavailable"
    BUSY = "busy"
    RATE_LIMITED = "rate_limit_exceeded"
    """As in OpenAI's APIs."""
    TOKEN_INVALID = "token_invalid"  # noqa: S105
    TOKEN_EXPIRED = "token_expired"  # noqa: S105
    TOKEN_FORBIDDEN = "token_forbidden"  # noqa: S105
    TOKEN_USED_UP = "token_used_up"  # noqa: S105
    VOICE_NOT_ALLOWED = "voice_not_allowed"
    SHUTTING_DOWN = "shutting_down"
    INTERNAL = "internal"


class SpeechError(Exception):
    """A failure that is reported to the client; `message` says what happened, `hint` what to do about it."""

    code: ClassVar[ErrorCode] = ErrorCode.INTERNAL

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return with_hint(self.message, self.hint)


class BadRequest(SpeechError):
    """The request is malformed or a value is out of range."""

    code = ErrorCode.BAD_REQUEST


class TooLong(BadRequest):
    """The text, or one message, is over a limit."""

    code = ErrorCode.TOO_LONG


class Unsupported(BadRequest):
    """The request is well formed, but this voice or this server cannot do it."""

    code = ErrorCode.UNSUPPORTED


class MalformedMarkup(BadRequest):
    """The text is not well-formed SSML; `line` and `column`, both from 1, are where it stops being that."""

    code = ErrorCode.BAD_MARKUP

    def __init__(self, problem: str, *, line: int, column: int, hint: str = "") -> None:
        super().__init__(f"The SSML is malformed at line {line}, column {column}: {problem}", hint=hint)


class UnknownVoice(SpeechError):
    """No voice, or no speaker of the voice, has that name."""

    code = ErrorCode.UNKNOWN_VOICE


class VoiceUnavailable(SpeechError):
    """The voice is known, but its files are missing or cannot be loaded."""

    code = ErrorCode.VOICE_UNAVAILABLE


class Busy(SpeechError):
    """The server has no room for another stream."""

    code = ErrorCode.BUSY


class RateLimited(SpeechError):
    """The client has made too many requests in the last minute; `retry_after` is in seconds."""

    code = ErrorCode.RATE_LIMITED

    def __init__(self, per_minute: int, *, retry_after: int) -> None:
        super().__init__(
            Message(
                "over_rate_limit", "Over the limit of {count} speech requests a minute.", count=per_minute
            ),
            hint=Message("try_again_in", "Try again in {seconds} s.", seconds=retry_after),
        )
        self.retry_after = retry_after


class InvalidToken(SpeechError):
    """The client's access token is not one that this server takes."""

    code = ErrorCode.TOKEN_INVALID


class TokenExpired(InvalidToken):
    """The time of the client's access token is over."""

    code = ErrorCode.TOKEN_EXPIRED


class TokenForbidden(SpeechError):
    """The client's access token does not open this path, or was made for another web page."""

    code = ErrorCode.TOKEN_FORBIDDEN


class TokenUsedUp(SpeechError):
    """What the client's access token allows has been spoken."""

    code = ErrorCode.TOKEN_USED_UP


class VoiceNotAllowed(SpeechError):
    """The client's access token is for other voices."""

    code = ErrorCode.VOICE_NOT_ALLOWED


class ShuttingDown(SpeechError):
    """The server is shutting down and ends its streams."""

    code = ErrorCode.SHUTTING_DOWN


class EngineFailed(SpeechError):
    """The engine failed while rendering; the utterance cannot continue."""

    code = ErrorCode.INTERNAL


def describe_value(value: object) -> str:
    """Describe a value that a client sent, for a message; never its text, as messages are logged."""
    match value:
        case str():
            return Message("a_string_of", "a string of {count} characters", count=len(value))
        case list():
            return Message("an_array_of", "an array of {count}", count=len(value))
        case dict():
            return Message("an_object", "an object")
        case None | bool():
            return str(json.dumps(value))
    return str(value)


class StepTimedOut(EngineFailed):
    """A step did not end within its limit, and was stopped; or abandoned, if it could not be stopped."""

    def __init__(self, seconds: float, *, is_abandoned: bool) -> None:
        super().__init__(
            Message(
                "step_timed_out",
                "A step of computing did not end within {seconds} s.",
                seconds=f"{seconds:g}",
            ),
            hint=Message(
                "raise_step_timeout",
                "On a very slow machine raise step_timeout; otherwise the voice's model may be broken.",
            ),
        )
        self.is_abandoned = is_abandoned


def to_speech_error(error: BaseException) -> SpeechError:
    """Return the error as a client may see it; an unexpected one without its text, which may hold paths."""
    if isinstance(error, SpeechError):
        return error
    return SpeechError(
        Message(
            "unexpected_failure", "The server failed with an unexpected {kind}.", kind=type(error).__name__
        ),
        hint=Message("see_its_log", "Its log has the details."),
    )
