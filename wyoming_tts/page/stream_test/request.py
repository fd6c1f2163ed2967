"""Stream test requests, validated against the limits, and the addresses of servers to test."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from wyoming_tts.bench.texts import TEXTS
from wyoming_tts.errors import BadRequest, TooLong
from wyoming_tts.messages import Message
from wyoming_tts.text.plain_text import has_visible_character
from wyoming_tts.transports.listening import host_in_uri

__all__ = ["TEXTS", "ClientKind", "StreamTestLimits", "StreamTestRequest", "check_request", "parse_address"]

_WYOMING_PORT = 10200
_HTTP_PORT = 8880
_MAX_ADDRESS_CHARS = 260
_MAX_VOICE_CHARS = 200


class ClientKind(StrEnum):
    """By which protocol a client asks, and how it sends its text."""

    WYOMING_STREAM = "wyoming_stream"
    """Wyoming, word by word."""
    WYOMING_PLAIN = "wyoming_plain"
    """Wyoming, all of the text at once."""
    HTTP = "http"
    """OpenAI's `/v1/audio/speech`, all of the text at once."""
    REALTIME = "realtime"
    """The realtime WebSocket, word by word."""

    @property
    def streams_text(self) -> bool:
        """Whether the text is sent word by word."""
        return self in {ClientKind.WYOMING_STREAM, ClientKind.REALTIME}

    @property
    def is_web(self) -> bool:
        """Whether the server is reached over HTTP."""
        return self in {ClientKind.HTTP, ClientKind.REALTIME}

    @property
    def default_port(self) -> int:
        """The port of a target that names none."""
        return _HTTP_PORT if self.is_web else _WYOMING_PORT


@dataclass(frozen=True, slots=True)
class StreamTestLimits:
    """Limits per run and for all runs together."""

    characters: int = 5000
    clients: int = 16
    slowest: float = 0.5
    """Words per second."""
    fastest: float = 200.0
    seconds: float = 120.0
    """Time limit of a run."""
    unwatched: float = 10.0
    """Seconds without a request for a frame after which a run ends."""
    at_once: int = 3
    """Runs of all sessions."""
    kept: int = 4
    """Finished runs whose audio and report can be downloaded."""


@dataclass(frozen=True, slots=True)
class StreamTestRequest:
    """The parameters of a run."""

    text: str
    target: str = ""
    """Host, or host and port; empty for this server."""
    kind: ClientKind = ClientKind.WYOMING_STREAM
    words_per_second: float = 20.0
    clients: int = 1
    voice: str = ""
    """Empty for the server's default."""
    vary: bool = False
    """Give each client a different text, so that nothing comes from a cache."""
    recorded: int = 1
    """The client whose audio is recorded."""
    warm_up: bool = False
    """Speak something first that is not measured, so that loading a voice is not."""


def check_request(request: StreamTestRequest, limits: StreamTestLimits) -> None:
    """Check everything about a request but its target.

    Raises:
        BadRequest: a value is missing or out of range.
    """
    if not has_visible_character(request.text):
        raise BadRequest(
            Message("text_empty", "The text is empty."),
            hint=Message("write_something", "Write something to speak."),
        )
    if len(request.text) > limits.characters:
        raise TooLong(
            Message(
                "text_too_long",
                "The text has {length} characters, expected at most {most}.",
                length=len(request.text),
                most=limits.characters,
            )
        )
    _require_range(Message("clients", "clients"), request.clients, 1, limits.clients)
    _require_range(Message("recorded", "the client to record"), request.recorded, 1, limits.clients)
    _require_range(
        Message("pace", "words per second"), request.words_per_second, limits.slowest, limits.fastest
    )
    if len(request.voice) > _MAX_VOICE_CHARS:
        raise BadRequest(
            Message(
                "voice_too_long",
                "The name of the voice has {length} characters, expected at most {most}.",
                length=len(request.voice),
                most=_MAX_VOICE_CHARS,
            )
        )


def _require_range(what: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:  # false for NaN, too
        raise BadRequest(
            Message(
                "out_of_range",
                "Got {value} for {what}, expected {least} to {most}.",
                value=f"{value:g}",
                what=what,
                least=f"{least:g}",
                most=f"{most:g}",
            )
        )


def parse_address(target: str, default_port: int = _WYOMING_PORT) -> str:
    """Parse HOST[:PORT] to a URI; TCP only: visitors must not reach Unix sockets of this machine.

    Raises:
        BadRequest: it is not an address.
    """
    written = target.strip().removeprefix("tcp://")
    try:
        address = urlsplit(f"tcp://{written}")
        host, port = address.hostname, address.port
    except ValueError:
        host = port = None
    if len(written) > _MAX_ADDRESS_CHARS or not host or address.netloc != written or "@" in written:
        raise BadRequest(
            Message(
                "bad_address",
                "Got {address} as the address of a server.",
                address=repr(target[:_MAX_ADDRESS_CHARS]),
            ),
            hint=Message("give_host", "Give HOST or HOST:PORT, such as 192.168.1.5:10200."),
        )
    return f"tcp://{host_in_uri(host)}:{port or default_port}"
