"""Balancer policies: who serves the next listener, as HAProxy chooses.

A balancer knows of each replica how many connections it has there and which weight the replica told
(`agent_check`), no more. All choose in logarithmic time, as fleets of thousands are simulated.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from heapq import heapify, heappop, heappush
from itertools import count
from math import ceil
from random import Random
from typing import Final

FULL_WEIGHT: Final = 100
"""Percent."""
_POINTS = 40
"""Of a replica of full weight on the hash ring."""
_TRIES = 200
NOBODY: Final = frozenset[int]()


@dataclass(slots=True)
class Server:
    """A replica, as the balancer knows it."""

    weight: int = FULL_WEIGHT
    connections: int = 0

    @property
    def load(self) -> float:
        """Connections for its weight, with one more."""
        return (self.connections + 1) / self.weight


class Balancer(ABC):
    """Chooses among the servers that it knows of."""

    def __init__(self) -> None:
        self.servers: dict[int, Server] = {}

    def add(self, number: int) -> None:
        """Begin to send to a replica."""
        self.servers[number] = Server()

    def remove(self, number: int) -> None:
        """Send nobody to a replica any more."""
        self.servers.pop(number, None)

    def set_weight(self, number: int, weight: int) -> None:
        """Note what a replica told, in percent."""
        if number in self.servers:
            self.servers[number].weight = weight

    def opened(self, number: int) -> None:
        """Note a connection to a replica."""
        if number in self.servers:
            self.servers[number].connections += 1

    def closed(self, number: int) -> None:
        """Note the end of a connection."""
        if number in self.servers:
            self.servers[number].connections -= 1

    @abstractmethod
    def choose(self, voice: str, without: Collection[int] = NOBODY) -> int | None:
        """Return the replica for the next listener of a voice; None if there is none but those left out."""


class _Ordered(Balancer):
    """Takes the server with the least of something: a heap, of which outdated entries are skipped."""

    def __init__(self) -> None:
        super().__init__()
        self._heap: list[tuple[float, int, int]] = []
        self._current: dict[int, tuple[float, int, int]] = {}
        self._ticks = count()

    @abstractmethod
    def _key(self, number: int) -> float:
        """Return what a server is chosen by."""

    def _changed(self, number: int) -> None:
        # Those that are equal take turns, as each change puts its server behind them.
        entry = (self._key(number), next(self._ticks), number)
        self._current[number] = entry
        heappush(self._heap, entry)
        if len(self._heap) > 8 * len(self._current) + 64:
            self._heap = list(self._current.values())
            heapify(self._heap)

    def add(self, number: int) -> None:
        """As `Balancer.add`."""
        super().add(number)
        self._changed(number)

    def remove(self, number: int) -> None:
        """As `Balancer.remove`."""
        super().remove(number)
        self._current.pop(number, None)

    def choose(self, voice: str, without: Collection[int] = NOBODY) -> int | None:
        """As `Balancer.choose`."""
        del voice
        passed = []
        chosen = None
        while self._heap:
            entry = self._heap[0]
            number = entry[2]
            if self._current.get(number) == entry:
                if number not in without:
                    chosen = number
                    break
                passed.append(entry)
            heappop(self._heap)
        for entry in passed:
            heappush(self._heap, entry)
        return chosen


class RoundRobin(_Ordered):
    """In turn, as often as their weights say."""

    def __init__(self) -> None:
        super().__init__()
        self._turns: dict[int, float] = {}

    def _key(self, number: int) -> float:
        return self._turns[number]

    def add(self, number: int) -> None:
        """As `Balancer.add`."""
        self._turns[number] = min(self._turns.values(), default=0.0)
        super().add(number)

    def remove(self, number: int) -> None:
        """As `Balancer.remove`."""
        super().remove(number)
        self._turns.pop(number, None)

    def choose(self, voice: str, without: Collection[int] = NOBODY) -> int | None:
        """As `Balancer.choose`."""
        chosen = super().choose(voice, without)
        if chosen is not None:
            self._turns[chosen] += 1 / self.servers[chosen].weight
            self._changed(chosen)
        return chosen


class LeastConnections(_Ordered):
    """The fewest connections for its weight; as in HAProxy, all are alike who have none."""

    def _key(self, number: int) -> float:
        server = self.servers[number]
        return server.load if server.connections else 0.0

    def set_weight(self, number: int, weight: int) -> None:
        """As `Balancer.set_weight`."""
        if number in self.servers and self.servers[number].weight != weight:
            super().set_weight(number, weight)
            self._changed(number)

    def opened(self, number: int) -> None:
        """As `Balancer.opened`."""
        super().opened(number)
        if number in self.servers:
            self._changed(number)

    def closed(self, number: int) -> None:
        """As `Balancer.closed`."""
        super().closed(number)
        if number in self.servers:
            self._changed(number)


class RandomChoices(Balancer):
    """Some by chance, by their weights, and of them the one with fewest connections (`balance random(8)`)."""

    def __init__(self, random: Random, draws: int) -> None:
        super().__init__()
        self._random = random
        self._draws = draws
        self._numbers: list[int] = []

    def add(self, number: int) -> None:
        """As `Balancer.add`."""
        super().add(number)
        self._numbers.append(number)

    def remove(self, number: int) -> None:
        """As `Balancer.remove`."""
        super().remove(number)
        if number in self._numbers:
            self._numbers.remove(number)

    def choose(self, voice: str, without: Collection[int] = NOBODY) -> int | None:
        """As `Balancer.choose`."""
        del voice
        draws = (self._draw(without) for _ in range(self._draws))
        drawn = [each for each in draws if each is not None]
        return min(drawn, key=lambda number: self.servers[number].load, default=None)

    def _draw(self, without: Collection[int]) -> int | None:
        fit = self._numbers if not without else [each for each in self._numbers if each not in without]
        for _ in range(_TRIES if fit else 0):
            number = self._random.choice(fit)
            if self._random.random() * FULL_WEIGHT < self.servers[number].weight:
                return number
        return fit[0] if fit else None


class VoiceHash(Balancer):
    """By the voice, on a ring (`hash-type consistent`); the next one's turn if a server has too much.

    That is more than its share of all connections times a factor (`hash-balance-factor`). A server has points
    on the ring for its weight, so one that is busy gives some of its voices away.
    """

    def __init__(self, factor: float) -> None:
        super().__init__()
        self._factor = factor
        self._ring: list[tuple[int, int, int]] = []
        """Place, replica, number of the point among its own."""
        self._connections = self._weights = 0

    def add(self, number: int) -> None:
        """As `Balancer.add`."""
        super().add(number)
        self._weights += FULL_WEIGHT
        self._ring.extend((_place(f"{number} {point}"), number, point) for point in range(_POINTS))
        self._ring.sort()

    def remove(self, number: int) -> None:
        """As `Balancer.remove`."""
        server = self.servers.get(number)
        if server is not None:
            self._weights -= server.weight
            self._connections -= server.connections
            self._ring = [each for each in self._ring if each[1] != number]
        super().remove(number)

    def set_weight(self, number: int, weight: int) -> None:
        """As `Balancer.set_weight`."""
        if number in self.servers:
            self._weights += weight - self.servers[number].weight
        super().set_weight(number, weight)

    def opened(self, number: int) -> None:
        """As `Balancer.opened`."""
        self._connections += number in self.servers
        super().opened(number)

    def closed(self, number: int) -> None:
        """As `Balancer.closed`."""
        self._connections -= number in self.servers
        super().closed(number)

    def choose(self, voice: str, without: Collection[int] = NOBODY) -> int | None:
        """As `Balancer.choose`."""
        fallback = None
        for number in self._from(_place(voice)):
            if number in without:
                continue
            fallback = number if fallback is None else fallback
            if self._has_room(self.servers[number]):
                return number
        return fallback

    def _has_room(self, server: Server) -> bool:
        share = self._factor * (self._connections + 1) * server.weight / self._weights
        return server.connections < ceil(share)

    def _from(self, place: int) -> Iterator[int]:
        first = bisect(self._ring, (place, 0, 0))
        for offset in range(len(self._ring)):
            _, number, point = self._ring[(first + offset) % len(self._ring)]
            if point * FULL_WEIGHT < self.servers[number].weight * _POINTS:
                yield number


def _place(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")


_FACTORS = {"voice hash": 1.25, "voice hash, factor 2": 2.0}
POLICIES: Final = ("round robin", "least connections", "two choices", "eight choices", *_FACTORS)
_DRAWS = {"two choices": 2, "eight choices": 8}


def make_balancer(policy: str, seed: int) -> Balancer:
    """Return the balancer of a policy's name."""
    match policy:
        case "round robin":
            return RoundRobin()
        case "least connections":
            return LeastConnections()
        case "two choices" | "eight choices":
            return RandomChoices(Random(f"balancer {seed}"), _DRAWS[policy])  # noqa: S311 - a simulation
        case "voice hash" | "voice hash, factor 2":
            return VoiceHash(_FACTORS[policy])
        case _:
            raise ValueError(f"Got the policy {policy!r}, expected one of: {', '.join(POLICIES)}.")
