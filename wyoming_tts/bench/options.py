"""What is to be measured. Imported by every start of the program, for its flags: so it imports little."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Input(StrEnum):
    """How the text is given."""

    PLAIN = "plain"
    """All of it in one request."""
    STREAM = "stream"
    """Word by word, as a language model writes."""


class Mode(StrEnum):
    """How much of a text is asked for at a time."""

    SINGLE = "single"
    """All of it."""
    SENTENCES = "sentences"
    """A request for each sentence after the reply to the one before, as clients without streaming do. Of
    streamed text a sentence is asked for when the word after it is there."""


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """What is measured, how often and on which servers."""

    uri: str
    compare: str | None = None
    """A second server, asked in turn with the first."""
    texts: tuple[str, ...] = ("short", "sentence", "paragraph")
    """Names of TEXTS."""
    inputs: tuple[Input, ...] = (Input.PLAIN, Input.STREAM)
    mode: Mode = Mode.SINGLE
    clients: tuple[int, ...] = (1, 2, 4, 8)
    """How many listen at the same time; one load after the other."""
    rate: float | None = None
    """Listeners of a round that start in a minute, however long those before take; None: all at once."""
    rounds: int = 3
    warm_up: int = 1
    """Utterances of each server before anything is measured."""
    words_per_second: float = 20.0
    """Pace of streamed text."""
    voice: str | None = None
    """None for each server's own."""
    api_key: str | None = None
    """For HTTP and WebSocket servers that want one."""
    timeout: float = 60.0
    """Seconds without a byte after which a request counts as hung."""
    describe_every: float = 0.1
    """Seconds between two questions; 0 asks none."""
    vary: bool = True
    """Give each request a text of its own, so that nothing is answered from a server's memory."""
    pause: float = 0.2
    """Seconds of rest after each round: threads of the last one may still spin."""
