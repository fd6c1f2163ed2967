"""Traffic: when listeners come, what they want to hear and by which voice.

Texts and voices follow Zipf's law: the second most frequent is asked for half as often as the first, the
third a third as often. Announcements and greetings come again; what a language model writes does not.
"""

from __future__ import annotations

import math
from bisect import bisect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import partial
from itertools import accumulate, count
from random import Random

from bench.scheduling_simulator.texts import make_text
from bench.scheduling_simulator.voices import InventedVoice
from bench.scheduling_simulator.workload import Length, Request, between

SECONDS_PER_WORD = 0.327
"""Mean speech of an invented word with its space: 5 characters of 65 ms."""
ORDINARY = between(3, 60)
"""Words of a text: from a confirmation to an answer of 20 seconds."""
_BURST_SECONDS = 0.2
"""Within which an announcement reaches its listeners."""
_ANNOUNCED_WORDS = 30
"""Of an announcement that comes again."""
_SAMPLED = 2_000


@dataclass(frozen=True, slots=True)
class Arrival:
    """A listener who comes."""

    at: float
    """Seconds from the beginning of the traffic."""
    voice: InventedVoice
    seconds: float
    """About how long the text is to hear."""
    text: int
    """The same for the same text."""
    make_request: Callable[[], Request]
    """Makes the text, which takes longer than everything else here."""
    peer: str = ""
    """Address: of the balancer, for all of them."""


class Shape(Enum):
    """How the traffic changes with time."""

    STEADY = auto()
    DAY = auto()
    """From a fifth of the mean at night to nearly twice as much, over the time that is simulated."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """Listeners who come by chance, and announcements that many get at once."""

    listeners: float
    """Who hear something at the same time, on average."""
    seconds: float
    voices: Sequence[InventedVoice]
    words: Length = ORDINARY
    shape: Shape = Shape.STEADY
    repeated: float = 0.0
    """Share of the texts that are among the known ones."""
    known_texts: int = 100
    burst_listeners: int = 0
    """Who get each announcement."""
    burst_every: float = 10.0
    is_same_burst: bool = False
    """Whether each announcement is the same text."""
    is_paced: bool = False
    """Whether listeners read at playing speed, and not everything at once."""
    _voice_shares: Sequence[float] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_voice_shares", zipf_shares(len(self.voices)))

    def arrivals(self, seed: int) -> Iterator[Arrival]:
        """Yield who comes, in order of time; the same for the same seed."""
        random = Random(f"traffic {seed}")  # noqa: S311 - a simulation
        known = [self.words(random) for _ in range(self.known_texts)]
        shares = zipf_shares(self.known_texts)
        numbers = count(self.known_texts)
        for at, is_announcement in self._times(random):
            if is_announcement:
                yield from self._announcement(at, next(numbers), seed, random)
            elif random.random() < self.repeated:
                text = bisect(shares, random.random())
                yield self._arrival(at, known[text], text, seed, self._voice(random))
            else:
                yield self._arrival(at, self.words(random), next(numbers), seed, self._voice(random))

    def _times(self, random: Random) -> Iterator[tuple[float, bool]]:
        """Yield when somebody comes, or an announcement is made (True)."""
        mean = self.listeners / self.mean_seconds()
        most = mean * (1 + _DAY_SWING if self.shape is Shape.DAY else 1)
        at, burst_at = 0.0, self.burst_every / 2 if self.burst_listeners else math.inf
        while True:
            at += random.expovariate(most) if most else math.inf
            while burst_at < min(at, self.seconds):
                yield burst_at, True
                burst_at += self.burst_every
            if at >= self.seconds:
                return
            if random.random() * most < mean * self._share_at(at):
                yield at, False

    def _share_at(self, at: float) -> float:
        if self.shape is Shape.STEADY:
            return 1.0
        return 1 - _DAY_SWING * math.cos(2 * math.pi * at / self.seconds)

    def mean_seconds(self) -> float:
        """Return how long a text is to hear, on average."""
        random = Random("mean")  # noqa: S311 - a simulation
        return SECONDS_PER_WORD * sum(self.words(random) for _ in range(_SAMPLED)) / _SAMPLED

    def _announcement(self, at: float, text: int, seed: int, random: Random) -> Iterator[Arrival]:
        words, voice = self.words(random), self._voice(random)
        if self.is_same_burst:
            words, text, voice = _ANNOUNCED_WORDS, -1, self.voices[0]
        for number in range(self.burst_listeners):
            later = _BURST_SECONDS * number / self.burst_listeners
            yield self._arrival(at + later, words, text, seed, voice)

    def _voice(self, random: Random) -> InventedVoice:
        return self.voices[bisect(self._voice_shares, random.random())]

    def _arrival(self, at: float, words: int, text: int, seed: int, voice: InventedVoice) -> Arrival:
        make_request = partial(self._request, words, f"{seed} {text}", voice)
        return Arrival(at, voice, words * SECONDS_PER_WORD, text, make_request)

    def _request(self, words: int, seed: str, voice: InventedVoice) -> Request:
        return Request(make_text(words, Random(seed)), voice, is_paced=self.is_paced)  # noqa: S311


_DAY_SWING = 0.8


def zipf_shares(number: int) -> list[float]:
    """Return the cumulative shares of things of which the n-th is asked for 1/n as often as the first."""
    weights = [1 / rank for rank in range(1, number + 1)]
    total = sum(weights)
    shares = [each / total for each in accumulate(weights)]
    shares[-1] = 1.0
    return shares
