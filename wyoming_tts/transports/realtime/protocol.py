"""What the messages of the realtime WebSocket mean.

A client speaks one of two dialects, message by message: events with a `type`, named as in OpenAI's
Realtime API where that has a name for it, and the short dialect of other streaming servers, segments
with `continue` and no type. Nothing here waits, reads a clock or opens a socket.
"""

from __future__ import annotations

import json
import reprlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, NoReturn, TypeAlias

from wyoming_tts.errors import BadRequest, SpeechError, TooLong, Unsupported
from wyoming_tts.speech import SAMPLE_RATE_RANGE, SPEED_RANGE

Frame: TypeAlias = str | bytes
"""One message: text, or binary."""

PCM: Final = "pcm"
DEFAULT_RATE = 24_000
"""Hz: what clients of OpenAI's interfaces assume."""
MOST_ID_CHARS = 128


@dataclass(frozen=True, slots=True)
class RealtimeLimits:
    """How long things may be."""

    message_bytes: int = 1_000_000
    """Of one message, in UTF-8."""
    text_chars: int = 100_000
    """Of the text of one response."""


@dataclass(frozen=True, slots=True)
class RealtimeSession:
    """What holds for responses that do not say otherwise."""

    id: str
    voice: str | None = None
    language: str | None = None
    speed: float | None = None
    """Relative to the server's setting; None is 1."""
    sample_rate: int = DEFAULT_RATE
    binary: bool = False
    """Audio in binary messages in place of base64 within events."""

    def as_json(self) -> dict[str, Any]:
        """The session as clients see it, whole."""
        return {
            "id": self.id,
            "voice": self.voice,
            "language": self.language,
            "speed": self.speed,
            "audio": self.audio,
        }

    @property
    def audio(self) -> dict[str, Any]:
        """The format of the audio as clients see it."""
        return {"format": PCM, "sample_rate": self.sample_rate, "binary": self.binary}


@dataclass(frozen=True, slots=True)
class ReportSession:
    """The session has changed: answer with what holds now."""

    session: RealtimeSession


@dataclass(frozen=True, slots=True)
class SpeakText:
    """Speak a text that is known, after all that was asked for before."""

    id: str | None
    text: str
    session: RealtimeSession
    """With the response's own voice and speed."""
    short: bool = False
    """Asked for in the short dialect, and answered in it."""


@dataclass(frozen=True, slots=True)
class AppendText:
    """More text of the response that is being written, or the first of the next."""

    id: str | None
    text: str
    session: RealtimeSession


@dataclass(frozen=True, slots=True)
class CommitText:
    """The text that is being written is complete."""


@dataclass(frozen=True, slots=True)
class CancelResponse:
    """Stop one response; None is the one that plays."""

    id: str | None


@dataclass(frozen=True, slots=True)
class BargeIn:
    """Stop everything that plays, waits or is being written."""


@dataclass(frozen=True, slots=True)
class EndSession:
    """Nothing more is asked for: close when everything has been spoken."""


Command: TypeAlias = (
    ReportSession | SpeakText | AppendText | CommitText | CancelResponse | BargeIn | EndSession
)


class RefusedMessage(Exception):
    """A message cannot be obeyed."""

    def __init__(self, error: SpeechError, response: str | None = None, *, short: bool = False) -> None:
        super().__init__(error)
        self.error = error
        self.response = response
        """The response that will not be, if the message asked for one."""
        self.short = short
        self.event_id: str | None = None
        """The client's name for the message."""


Message: TypeAlias = dict[str, Any]


def parse_message(received: Frame, limits: RealtimeLimits) -> Message:
    """Read a message; a binary one is taken for text in UTF-8.

    Raises:
        Refused: it is too long, or no JSON object.
    """
    try:
        return _parsed(received, limits)
    except SpeechError as error:
        raise RefusedMessage(error) from error


def _parsed(received: Frame, limits: RealtimeLimits) -> Message:
    if _bytes(received) > limits.message_bytes:
        raise TooLong(f"Got a message of {_bytes(received)} bytes, expected {limits.message_bytes} at most.")
    try:
        text = received if isinstance(received, str) else received.decode()
        message = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:  # both JSON's and Unicode's errors are ValueErrors
        raise BadRequest(f"Got a message that is no JSON ({type(error).__name__}).") from error
    if not isinstance(message, dict):
        raise BadRequest(f"Got {reprlib.repr(message)}, expected a JSON object.")
    return message


def _bytes(received: Frame) -> int:
    return len(received) if isinstance(received, bytes) else len(received.encode(errors="surrogatepass"))


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


class RealtimeProtocol:
    """Turns one client's messages into commands; remembers the session."""

    def __init__(self, session: RealtimeSession, limits: RealtimeLimits) -> None:
        self.session = session
        """What holds now."""
        self._limits = limits
        self._events: dict[str, Callable[[Message], Command]] = {
            "session.update": self._on_update,
            "response.create": self._on_create,
            "input.append": self._on_append,
            "input.commit": lambda _: CommitText(),
            "response.cancel": lambda message: CancelResponse(_id(message, "response", "response_id")),
            "barge": lambda _: BargeIn(),
            "session.end": lambda _: EndSession(),
        }

    def receive(self, message: Message) -> list[Command]:
        """Return what is to be done about a message.

        Raises:
            Refused: nothing; the session is as it was.
        """
        short = "type" not in message and not message.keys().isdisjoint(("continue", "segment_id", "input"))
        try:
            return list(self._on_segment(message)) if short else [self._on_event(message)]
        except SpeechError as error:
            raise _refused(message, error, short=short) from error

    def _on_event(self, message: Message) -> Command:
        kind = message.get("type")
        known = self._events.get(kind) if isinstance(kind, str) else None
        if known is None:
            expected = ", ".join(self._events)
            raise BadRequest(f"Got a message of type {reprlib.repr(kind)}, expected one of {expected}.")
        return known(message)

    def _on_update(self, message: Message) -> Command:
        changes = _object(message, "session")
        if changes is None:
            raise BadRequest("Got session.update without 'session', expected an object.")
        session = _with_manner(self.session, changes)
        audio = _object(changes, "audio") or {}
        _check_format(audio)
        if audio.get("sample_rate") is not None:
            session = replace(session, sample_rate=_rate(audio["sample_rate"]))
        if audio.get("binary") is not None:
            session = replace(session, binary=_switch(audio, "binary"))
        self.session = session
        return ReportSession(session)

    def _on_create(self, message: Message) -> Command:
        text = self._text(message, "input")
        return SpeakText(_id(message, "response_id"), text, _with_manner(self.session, message))

    def _on_append(self, message: Message) -> Command:
        text = self._text(message, "text")
        return AppendText(_id(message, "response_id"), text, _with_manner(self.session, message))

    def _on_segment(self, message: Message) -> Iterator[Command]:
        _check_format(message)
        goes_on = _switch(message, "continue") if message.get("continue") is not None else True
        if goes_on or message.get("input"):
            session = _with_manner(self.session, message)
            yield SpeakText(_id(message, "segment_id"), self._text(message, "input"), session, short=True)
        if not goes_on:
            yield EndSession()

    def _text(self, message: Message, key: str) -> str:
        text = _string(message, key)
        if text is None:
            raise BadRequest(f"Got a message without {key!r}, expected a string.")
        if len(text) > self._limits.text_chars:
            raise too_long_error(len(text), self._limits)
        return text


def too_long_error(chars: int, limits: RealtimeLimits) -> TooLong:
    """The error for a text over the limit."""
    return TooLong(
        f"Got a text of {chars} characters, expected {limits.text_chars} at most.", hint="Send it in parts."
    )


def get_event_id(message: Message) -> str | None:
    """The client's name for a message, if it gave it one."""
    return _id_or_none(message, "event_id")


def _refused(message: Message, error: SpeechError, *, short: bool) -> RefusedMessage:
    creates = message.get("type") == "response.create"
    named_by = "segment_id" if short else "response_id" if creates else None
    return RefusedMessage(error, _id_or_none(message, named_by), short=short)


def _id_or_none(message: Message, key: str | None) -> str | None:
    try:
        return _id(message, key) if key else None
    except BadRequest:
        return None


def _with_manner(session: RealtimeSession, said: Mapping[str, Any]) -> RealtimeSession:
    """Change how the session speaks by what is said; null is the server's own choice."""
    if "voice" in said:
        session = replace(session, voice=_string(said, "voice") or None)
    if "language" in said:
        session = replace(session, language=_string(said, "language") or None)
    if "speed" in said:
        session = replace(session, speed=None if said["speed"] is None else _speed(said["speed"]))
    return session


def _check_format(said: Mapping[str, Any]) -> None:
    wanted = said.get("format")
    if wanted not in (None, PCM):
        raise Unsupported(f"Got the audio format {reprlib.repr(wanted)}, expected {PCM!r}.")


def _rate(value: object) -> int:
    low, high = SAMPLE_RATE_RANGE
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise BadRequest(
            f"Got {reprlib.repr(value)} as 'sample_rate', expected a whole number from {low} to {high}."
        )
    return value


def _speed(value: object) -> float:
    low, high = SPEED_RANGE
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise BadRequest(f"Got {reprlib.repr(value)} as 'speed', expected a number from {low:g} to {high:g}.")
    return float(value)


def _switch(said: Mapping[str, Any], key: str) -> bool:
    value = said[key]
    if not isinstance(value, bool):
        raise BadRequest(f"Got {reprlib.repr(value)} as {key!r}, expected true or false.")
    return value


def _object(said: Mapping[str, Any], key: str) -> dict[str, Any] | None:
    value = said.get(key)
    if value is not None and not isinstance(value, dict):
        raise BadRequest(f"Got {reprlib.repr(value)} as {key!r}, expected an object.")
    return value


def _string(said: Mapping[str, Any], key: str) -> str | None:
    value = said.get(key)
    if value is None:
        return None
    if not isinstance(value, str):
        raise BadRequest(f"Got {reprlib.repr(value)} as {key!r}, expected a string.")
    # JSON can carry half of a surrogate pair: it has no sound, and no encoding to be sent back in.
    return value.encode(errors="ignore").decode()


def _id(said: Mapping[str, Any], *keys: str) -> str | None:
    for key in keys:
        value = _string(said, key)
        if value is not None and not 1 <= len(value) <= MOST_ID_CHARS:
            raise BadRequest(f"Got {len(value)} characters as {key!r}, expected 1 to {MOST_ID_CHARS}.")
        if value is not None:
            return value
    return None
