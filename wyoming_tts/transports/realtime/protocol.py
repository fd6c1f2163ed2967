"""The realtime WebSocket protocol without I/O: parses what clients send into commands.

Clients use one of two dialects, chosen per message: events with a `type`, named as in OpenAI's Realtime API
where it has a name for them, and the short dialect of other streaming servers, which sends segments with
`continue` and no type. A response is answered in the dialect of its request. Nothing here waits, reads a
clock or opens a socket.
"""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias, TypeVar

from wyoming_tts.bounded_json import InvalidJson, JsonOverLimit, parse_json
from wyoming_tts.encoders.libopus import OPUS_RATES
from wyoming_tts.errors import BadRequest, SpeechError, TooLong, Unsupported, describe_value
from wyoming_tts.speech import (
    LEADING_SILENCE_RANGE,
    PATIENCE_RANGE,
    SAMPLE_RATE_RANGE,
    SPEED_RANGE,
    Start,
)
from wyoming_tts.transports.realtime.session import OPUS, PCM, OpusFormat, RealtimeLimits, RealtimeSession

T = TypeVar("T")
Frame: TypeAlias = str | bytes
"""One WebSocket message: text or binary."""

_FORMATS: Final = {"pcm": PCM, "pcm16": PCM, "audio/pcm": PCM, "opus": OPUS, "audio/opus": OPUS}
"""Names of the formats, with those of OpenAI's Realtime API."""
MAX_ID_CHARS = 128
_RESPONSE_KEYS: Final = ("response", "response_id", "item_id")
_PLAYED_RANGE: Final = (0.0, 1e9)
"""Milliseconds of a response that can have been played; what is beyond counts as the nearest of them."""
ITEM_TRUNCATE: Final = "conversation.item.truncate"
"""What OpenAI's clients send in place of `response.truncate`; its response is called an item there."""


@dataclass(frozen=True, slots=True)
class ReportSession:
    """Reply with the session, which has just changed."""

    session: RealtimeSession


@dataclass(frozen=True, slots=True)
class SpeakText:
    """Queue a response whose text is complete."""

    id: str | None
    text: str
    session: RealtimeSession
    """The session with the response's own voice, language, speed, start and leading silence."""
    short: bool = False
    """The request came in the short dialect, so the reply uses it too."""


@dataclass(frozen=True, slots=True)
class AppendText:
    """Append text to the open response, or open one with its first text."""

    id: str | None
    text: str
    session: RealtimeSession


@dataclass(frozen=True, slots=True)
class CommitText:
    """Close the text of the open response: it is complete."""


@dataclass(frozen=True, slots=True)
class CancelResponse:
    """Cancel one response; `id` None means the one that is playing."""

    id: str | None
    played_ms: float | None = None
    """Milliseconds of it that the client has played; None stands for all that was sent."""


@dataclass(frozen=True, slots=True)
class TruncateResponse:
    """Report what was heard of a response, and cancel it if it is not complete.

    `id` None means the one that is playing, else the last one.
    """

    id: str | None
    played_ms: float | None = None
    is_item: bool = False
    """The request came by OpenAI's name, so the reply does too."""


@dataclass(frozen=True, slots=True)
class BargeIn:
    """Cancel every response that is playing, queued or still open."""

    id: str | None = None
    """The response that the client was playing, which may be complete; None as for `TruncateResponse`."""
    played_ms: float | None = None
    """Milliseconds of that response that the client has played."""


@dataclass(frozen=True, slots=True)
class EndSession:
    """Accept no more responses; close once all queued ones have played."""


Command: TypeAlias = (
    ReportSession
    | SpeakText
    | AppendText
    | CommitText
    | CancelResponse
    | TruncateResponse
    | BargeIn
    | EndSession
)


class RefusedMessage(Exception):
    """A client message that is answered with an error instead of being carried out."""

    def __init__(self, error: SpeechError, response: str | None = None, *, short: bool = False) -> None:
        super().__init__(error)
        self.error = error
        self.response = response
        """Id of the response that was rejected, if the message requested one."""
        self.short = short
        self.event_id: str | None = None
        """The id that the client gave the message."""


JsonObject: TypeAlias = dict[str, Any]


def parse_message(received: Frame, limits: RealtimeLimits) -> JsonObject:
    """Parse a message as a JSON object; a binary message is taken as UTF-8 text.

    Raises:
        RefusedMessage: it is too long or not a JSON object.
    """
    try:
        return _parse_json(received, limits)
    except SpeechError as error:
        raise RefusedMessage(error) from error


def _parse_json(received: Frame, limits: RealtimeLimits) -> JsonObject:
    if _size(received) > limits.message_bytes:
        raise TooLong(f"Got a message of {_size(received)} bytes, expected at most {limits.message_bytes}.")
    try:
        message = parse_json(received, limits.json)
    except JsonOverLimit as error:
        raise TooLong(f"Got a message that is over a limit: {error}.") from None
    except InvalidJson as error:
        raise BadRequest(f"Got a message that is not JSON: {error}.") from None
    if not isinstance(message, dict):
        raise BadRequest(f"Got {describe_value(message)}, expected a JSON object.")
    return message


def _size(received: Frame) -> int:
    return len(received) if isinstance(received, bytes) else len(received.encode(errors="surrogatepass"))


class RealtimeProtocol:
    """Protocol state of one client: turns its messages into commands and keeps its session."""

    def __init__(
        self, session: RealtimeSession, limits: RealtimeLimits, *, opus: OpusFormat | None = None
    ) -> None:
        """Begin with a session; without `opus` the server cannot encode it."""
        self.session = session
        """The current session."""
        self._limits = limits
        self._opus = opus
        self._events: dict[str, Callable[[JsonObject], Command]] = {
            "session.update": self._on_update,
            "response.create": self._on_create,
            "input.append": self._on_append,
            "input.commit": lambda _: CommitText(),
            "response.cancel": lambda message: CancelResponse(*_get_stopped(message)),
            "response.truncate": lambda message: TruncateResponse(*_get_played(message)),
            ITEM_TRUNCATE: lambda message: TruncateResponse(*_get_played(message), is_item=True),
            "barge": lambda message: BargeIn(*_get_interrupted(message)),
            "session.end": lambda _: EndSession(),
        }

    def receive(self, message: JsonObject) -> list[Command]:
        """Return the commands that a message stands for.

        Raises:
            RefusedMessage: it is invalid; the session is unchanged.
        """
        short = "type" not in message and not message.keys().isdisjoint(("continue", "segment_id", "input"))
        try:
            return list(self._on_segment(message)) if short else [self._on_event(message)]
        except SpeechError as error:
            raise _make_refusal(message, error, short=short) from error

    def _on_event(self, message: JsonObject) -> Command:
        kind = message.get("type")
        known = self._events.get(kind) if isinstance(kind, str) else None
        if known is None:
            expected = ", ".join(self._events)
            raise BadRequest(f"Got a message of type {reprlib.repr(kind)}, expected one of {expected}.")
        return known(message)

    def _on_update(self, message: JsonObject) -> Command:
        changes = _get_object(message, "session")
        if changes is None:
            raise BadRequest("Got session.update without 'session', expected an object.")
        session = _with_overrides(self.session, changes)
        audio = _get_audio(changes)
        if changes.get("words") is not None:
            session = replace(session, words=_get_bool(changes, "words"))
        if audio.get("sample_rate") is not None:
            session = replace(session, sample_rate=_parse_rate(audio["sample_rate"]))
        if audio.get("binary") is not None:
            session = replace(session, binary=_get_bool(audio, "binary"))
        self.session = session = self._with_format(session, audio)
        return ReportSession(session)

    def _on_create(self, message: JsonObject) -> Command:
        text = self._whole_text(message, "input")
        return SpeakText(_get_id(message, "response_id"), text, _with_overrides(self.session, message))

    def _on_append(self, message: JsonObject) -> Command:
        text = _get_text(message, "text")  # of one that is still being written, the beginning is spoken
        return AppendText(_get_id(message, "response_id"), text, _with_overrides(self.session, message))

    def _on_segment(self, message: JsonObject) -> Iterator[Command]:
        formatted = self._with_format(self.session, message)
        continues = _get_bool(message, "continue") if message.get("continue") is not None else True
        if continues or message.get("input"):
            session = _with_overrides(formatted, message)
            yield SpeakText(
                _get_id(message, "segment_id"), self._whole_text(message, "input"), session, short=True
            )
        if not continues:
            yield EndSession()

    def _with_format(self, session: RealtimeSession, fields: Mapping[str, Any]) -> RealtimeSession:
        """Apply the format that a message names, if any."""
        if (name := _get_format(fields)) is not None:
            session = replace(session, opus=self._opus if name == OPUS else None)
        if name == OPUS and self._opus is None:
            raise Unsupported(
                "This server cannot encode Opus: libopus is not installed.",
                hint=f"Install it (Debian: libopus0), or ask for {PCM!r}.",
            )
        if session.opus and session.sample_rate not in OPUS_RATES:
            rates = ", ".join(map(str, OPUS_RATES))
            raise Unsupported(f"Got a sample rate of {session.sample_rate} Hz, Opus has {rates}.")
        return session

    def _whole_text(self, message: JsonObject, key: str) -> str:
        text = _get_text(message, key)
        self._limits.text.check(text)
        return text


def get_event_id(message: JsonObject) -> str | None:
    """The message's `event_id`; None if it has no valid one."""
    return _get_id_or_none(message, "event_id")


def _make_refusal(message: JsonObject, error: SpeechError, *, short: bool) -> RefusedMessage:
    creates = message.get("type") == "response.create"
    id_key = "segment_id" if short else "response_id" if creates else None
    return RefusedMessage(error, _get_id_or_none(message, id_key), short=short)


def _get_id_or_none(message: JsonObject, key: str | None) -> str | None:
    return _get_or_none(_get_id, message, key) if key else None


def _get_or_none(get: Callable[..., T], fields: Mapping[str, Any], *keys: str) -> T | None:
    try:
        return get(fields, *keys)
    except BadRequest:
        return None


def _with_overrides(session: RealtimeSession, fields: Mapping[str, Any]) -> RealtimeSession:
    """Apply what a message sets itself, such as its own voice; null resets to the server's default."""
    if "voice" in fields:
        session = replace(session, voice=_get_string(fields, "voice") or None)
    if "language" in fields:
        session = replace(session, language=_get_string(fields, "language") or None)
    if "speed" in fields:
        session = replace(session, speed=_parse_number(fields, "speed", SPEED_RANGE))
    if "start" in fields:
        session = replace(session, start=None if fields["start"] is None else _parse_start(fields["start"]))
    if "leading_silence" in fields:
        silence = _parse_number(fields, "leading_silence", LEADING_SILENCE_RANGE)
        session = replace(session, leading_silence=silence)
    if "patience" in fields:
        session = replace(session, patience=_parse_number(fields, "patience", PATIENCE_RANGE))
    return session


def _get_audio(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an update says about the audio; what our own fields leave out, OpenAI's may tell."""
    audio = _get_object(changes, "audio") or {}
    told = (_get_object(audio, "output") or {}).get("format", changes.get("output_audio_format"))
    if not isinstance(told, dict):
        told = {"type": told}
    theirs = {"format": told.get("type"), "sample_rate": told.get("rate")}
    return theirs | {key: value for key, value in audio.items() if value is not None}


def _get_format(fields: Mapping[str, Any]) -> str | None:
    requested = fields.get("format")
    known = _FORMATS.get(requested) if isinstance(requested, str) else None
    if requested is not None and known is None:
        raise Unsupported(f"Got the audio format {reprlib.repr(requested)}, expected {PCM!r} or {OPUS!r}.")
    return known


def _parse_rate(value: object) -> int:
    low, high = SAMPLE_RATE_RANGE
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise BadRequest(
            f"Got {describe_value(value)} as 'sample_rate', expected a whole number from {low} to {high}."
        )
    return value


def _parse_number(fields: Mapping[str, Any], key: str, bounds: tuple[float, float]) -> float | None:
    value, (low, high) = fields[key], bounds
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise BadRequest(
            f"Got {describe_value(value)} as {key!r}, expected a number from {low:g} to {high:g}."
        )
    return float(value)


def _get_played(fields: Mapping[str, Any]) -> tuple[str | None, float | None]:
    """Return the id of a response, and how many milliseconds of it were played."""
    return _get_id(fields, *_RESPONSE_KEYS), _parse_played(fields)


def _get_stopped(fields: Mapping[str, Any]) -> tuple[str | None, float | None]:
    """Return the same of a response that is to stop: a position that is none does not keep it from that."""
    return _get_id(fields, *_RESPONSE_KEYS), _get_or_none(_parse_played, fields)


def _get_interrupted(fields: Mapping[str, Any]) -> tuple[str | None, float | None]:
    """Return the same where all is to stop, whatever else the message says."""
    return _get_or_none(_get_id, fields, *_RESPONSE_KEYS), _get_or_none(_parse_played, fields)


def _parse_played(fields: Mapping[str, Any]) -> float | None:
    """Return a position in the audio; players round, and count from a start of their own."""
    key = "played_ms" if "played_ms" in fields else "audio_end_ms"
    value = fields.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadRequest(f"Got {describe_value(value)} as {key!r}, expected a number.")
    low, high = _PLAYED_RANGE
    return float(min(max(value, low), high))


def _parse_start(value: object) -> Start:
    try:
        return Start(str(value))
    except ValueError:
        known = " or ".join(repr(start.value) for start in Start)
        raise BadRequest(f"Got {describe_value(value)} as 'start', expected {known}.") from None


def _get_bool(fields: Mapping[str, Any], key: str) -> bool:
    value = fields[key]
    if not isinstance(value, bool):
        raise BadRequest(f"Got {describe_value(value)} as {key!r}, expected true or false.")
    return value


def _get_object(fields: Mapping[str, Any], key: str) -> dict[str, Any] | None:
    value = fields.get(key)
    if value is not None and not isinstance(value, dict):
        raise BadRequest(f"Got {describe_value(value)} as {key!r}, expected an object.")
    return value


def _get_string(fields: Mapping[str, Any], key: str) -> str | None:
    value = fields.get(key)
    if value is None:
        return None
    if not isinstance(value, str):
        raise BadRequest(f"Got {describe_value(value)} as {key!r}, expected a string.")
    # JSON can hold a lone surrogate, which cannot be spoken and cannot be encoded in a reply.
    return value.encode(errors="ignore").decode()


def _get_text(fields: Mapping[str, Any], key: str) -> str:
    text = _get_string(fields, key)
    if text is None:
        raise BadRequest(f"Got a message without {key!r}, expected a string.")
    return text


def _get_id(fields: Mapping[str, Any], *keys: str) -> str | None:
    for key in keys:
        value = _get_string(fields, key)
        if value is not None and not 1 <= len(value) <= MAX_ID_CHARS:
            raise BadRequest(f"Got {len(value)} characters as {key!r}, expected 1 to {MAX_ID_CHARS}.")
        if value is not None:
            return value
    return None
