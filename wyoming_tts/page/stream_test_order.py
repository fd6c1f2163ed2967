"""What a stream test may be asked for, and whether it may."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from wyoming_tts.errors import BadRequest, TooLong
from wyoming_tts.transports.listening import host_in_uri

_DEFAULT_PORT = 10200
_MOST_ADDRESS = 260
_MOST_NAME = 200


@dataclass(frozen=True, slots=True)
class StreamTestLimits:
    """What one visitor, and all of them, may ask for."""

    characters: int = 5000
    clients: int = 16
    slowest: float = 0.5
    """Words per second."""
    fastest: float = 200.0
    seconds: float = 120.0
    """Of a run."""
    unwatched: float = 10.0
    """Seconds without anyone asking for a frame after which a run ends."""
    at_once: int = 3
    kept: int = 4
    """Runs that can be heard and saved."""


@dataclass(frozen=True, slots=True)
class StreamTestRequest:
    """What is to be tried."""

    text: str
    target: str = ""
    """Host, or host and port; empty for this server."""
    streaming: bool = True
    words_per_second: float = 20.0
    clients: int = 1
    voice: str = ""
    """Empty for the server's own."""
    vary: bool = False
    """Give each client other words, so that nothing comes from a cache."""
    recorded: int = 1
    """Which client can be heard afterwards."""


def checked_request(order: StreamTestRequest, limits: StreamTestLimits, own_uri: Callable[[], str]) -> str:
    """Return the address that the order means.

    Raises:
        BadRequest: something in it is missing or out of range.
    """
    if not order.text.strip():
        raise BadRequest("There is no text to speak.", hint="Write some.")
    if len(order.text) > limits.characters:
        raise TooLong(f"The text has {len(order.text)} characters; {limits.characters} are allowed.")
    _in_range("clients", order.clients, 1, limits.clients)
    _in_range("the client to hear", order.recorded, 1, limits.clients)
    _in_range("words per second", order.words_per_second, limits.slowest, limits.fastest)
    if len(order.voice) > _MOST_NAME:
        raise BadRequest(f"The name of a voice has at most {_MOST_NAME} characters.")
    return _address(order.target) if order.target.strip() else own_uri()


def _in_range(what: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:  # not a number is not either
        raise BadRequest(f"Got {value:g} for {what}; {least:g} to {most:g} is allowed.")


def _address(target: str) -> str:
    """The address that someone wrote: TCP alone, for a socket of this machine is not theirs to open."""
    written = target.strip().removeprefix("tcp://")
    try:
        address = urlsplit(f"tcp://{written}")
        host, port = address.hostname, address.port
    except ValueError:
        host = port = None
    if len(written) > _MOST_ADDRESS or not host or address.netloc != written or "@" in written:
        raise BadRequest(
            f"{target[:_MOST_ADDRESS]!r} is not an address.",
            hint="Give HOST or HOST:PORT, such as 192.168.1.5:10200.",
        )
    return f"tcp://{host_in_uri(host)}:{port or _DEFAULT_PORT}"
