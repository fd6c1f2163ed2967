"""What a server that speaks for this one is asked, and how it fails: what each protocol implements."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from wyoming_tts.blocking import RunBlocking
from wyoming_tts.engines.base import Rendered
from wyoming_tts.engines.remote.lists import ListedVoice

RETRY_SOON = 0.1
"""Seconds after which a failed request is retried once: the server may just have restarted."""
_MAX_QUOTED = 200
"""Characters of another server's message that are quoted in ours."""


class UpstreamFaultKind(Enum):
    """What a fault means for the server's health."""

    DOWN = auto()
    """It cannot be reached, or stopped sending."""
    FAILED = auto()
    """It answered with an error, or with something other than audio."""
    BUSY = auto()
    """It is overloaded."""
    REFUSED = auto()
    """It will not speak this text; others may, and it may speak other texts."""


class UpstreamFault(Exception):
    """A server did not speak as it should; the message says what it did instead."""

    def __init__(self, kind: UpstreamFaultKind, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.retry_after = retry_after
        """Seconds after which to ask it again; None if that is pointless."""


@dataclass(frozen=True, slots=True)
class UpstreamRequest:
    """What a server shall speak."""

    voice: str
    text: str
    speaker: str | None = None
    speed: float = 1.0
    rate: int = 24_000
    """Sample rate, in Hz, of the audio to return."""
    hops: int = 0
    """Servers that it has passed through, this one included."""


class Upstream(Protocol):
    """A server, over any protocol."""

    @property
    def address(self) -> str:
        """As in the settings, without user and password."""
        ...

    @property
    def may_tell_words(self) -> bool | None:
        """False if it never tells when words sound; else None, as only its audio shows that."""
        ...

    async def list_voices(self, run_blocking: RunBlocking) -> tuple[ListedVoice, ...] | None:
        """Return its voices; None if it answers but has no list.

        Raises:
            UpstreamFault: it does not answer, or its answer is malformed.
        """
        ...

    def speak(self, request: UpstreamRequest, listed: ListedVoice) -> AsyncGenerator[Rendered, None]:
        """Yield the audio as it arrives, in pieces that are never empty, with the words that it is told.

        Raises:
            UpstreamFault: anything went wrong.
        """
        ...

    async def aclose(self) -> None:
        """Close the connections that are kept open between requests."""
        ...


def quote(text: str) -> str:
    """Another server's text for a message of ours: one short printable line, without its full stop."""
    line = "".join(character if character.isprintable() else " " for character in text[:_MAX_QUOTED])
    return " ".join(line.split()).rstrip(".")
