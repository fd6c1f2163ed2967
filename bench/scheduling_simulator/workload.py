"""Who speaks with the server, when, and what: clients with one text after the other."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random

from bench.scheduling_simulator.texts import make_text
from bench.scheduling_simulator.voices import InventedVoice

Length = Callable[[Random], int]
"""Chooses the words of a text."""


def between(fewest: int, most: int) -> Length:
    """Texts of any length within bounds, short ones as often as long ones twice their length."""

    def choose(random: Random) -> int:
        return round(fewest * math.pow(most / fewest, random.random()))

    return choose


REPLY = between(1, 12)
SENTENCE = between(20, 35)
ANSWER = between(30, 160)
"""Up to a minute of speech."""
ANY = between(1, 160)


@dataclass(frozen=True, slots=True)
class Request:
    """A text to be spoken."""

    text: str
    voice: InventedVoice
    words_per_second: float | None = None
    """How fast the text arrives; None: whole."""
    is_paced: bool = False
    """Whether the listener reads at playing speed, and not everything at once."""


@dataclass(frozen=True, slots=True)
class Client:
    """A listener at an address, who asks for one text after the other."""

    arrives_at: float
    peer: str
    requests: tuple[Request, ...]
    pause: float = 1.0
    """Seconds between the end of one text, as it is heard, and the next."""


@dataclass(frozen=True, slots=True)
class Habits:
    """What the clients of a scenario have in common."""

    voices: Sequence[InventedVoice]
    """Each request has one of them by chance."""
    words: Length = ANY
    words_per_second: float | None = None
    is_paced: bool = False
    pause: float = 1.0

    def request(self, random: Random) -> Request:
        """Make one of their requests."""
        text = make_text(self.words(random), random)
        return Request(text, random.choice(self.voices), self.words_per_second, self.is_paced)

    def client(self, random: Random, *, at: float, peer: str, texts: int = 1) -> Client:
        """Make one of the clients."""
        return Client(at, peer, tuple(self.request(random) for _ in range(texts)), self.pause)

    def but(self, **changes: object) -> Habits:
        """Return the same habits with some changed."""
        return replace(self, **changes)  # type: ignore[arg-type]


Arrivals = Callable[[Habits, Random], Iterator[Client]]
"""Makes the clients of a scenario."""


def together(listeners: int, *, texts: int) -> Arrivals:
    """Make listeners who come at the same time, each at an address of its own, and go on for some texts."""

    def clients(habits: Habits, random: Random) -> Iterator[Client]:
        for number in range(listeners):
            yield habits.client(random, at=0.0, peer=f"10.0.0.{number}", texts=texts)

    return clients


def at_random(texts: int, *, per_minute: float, peers: int = 50) -> Arrivals:
    """Make a Poisson process of single texts, each from one of some addresses."""

    def clients(habits: Habits, random: Random) -> Iterator[Client]:
        at = 0.0
        for _ in range(texts):
            at += random.expovariate(per_minute / 60)
            yield habits.client(random, at=at, peer=f"10.0.0.{random.randrange(peers)}")

    return clients


def in_bursts(bursts: int, *, size: int, every: float, peers: int = 50) -> Arrivals:
    """Make bursts of texts that arrive at the same time."""

    def clients(habits: Habits, random: Random) -> Iterator[Client]:
        for burst in range(bursts):
            for number in range(size):
                yield habits.client(random, at=burst * every, peer=f"10.0.0.{number % peers}")

    return clients
