"""Options of a load test. Every start of the program imports them, for the flags, so they import little."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Input(StrEnum):
    """How the text reaches the server."""

    PLAIN = "plain"
    """In one piece."""
    STREAM = "stream"
    """Word by word, as a language model writes."""


class RequestMode(StrEnum):
    """How much of a text one request covers."""

    SINGLE = "single"
    """All of it."""
    SENTENCES = "sentences"
    """One sentence, requested after the reply to the one before, as clients without streaming do. With
    streamed text a sentence is requested as soon as the word after it is there."""


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """What to measure, how often and on which servers."""

    uri: str
    compare: str | None = None
    """A second server, measured in turn with the first."""
    texts: tuple[str, ...] = ("short", "sentence", "paragraph")
    """Names of TEXTS."""
    inputs: tuple[Input, ...] = (Input.PLAIN, Input.STREAM)
    mode: RequestMode = RequestMode.SINGLE
    clients: tuple[int, ...] = (1, 2, 4, 8)
    """Numbers of concurrent listeners, measured one after the other."""
    rate: float | None = None
    """Listeners started per minute, however long earlier ones take (open loop); None starts all at once."""
    duration: float | None = None
    """Seconds for which each listener asks again as soon as it was answered (closed loop); None asks once."""
    rounds: int = 3
    warm_up: int = 1
    """Utterances spoken by each server before anything is measured."""
    words_per_second: float = 20.0
    """Pace of streamed text."""
    voice: str | None = None
    """None for each server's own."""
    api_key: str | None = None
    """For HTTP and WebSocket servers that require one."""
    timeout: float = 60.0
    """Seconds without a byte after which a request counts as hung."""
    read_ahead: float | None = None
    """Seconds of audio that a listener reads ahead of playing it, as a player does; None reads at once."""
    describe_every: float = 0.1
    """Seconds between two `describe` requests; 0 sends none."""
    vary: bool = True
    """Give every request a text of its own, so that no server answers from its cache."""
    pause: float = 0.2
    """Seconds of rest after each round, in which the server's threads stop spinning."""
