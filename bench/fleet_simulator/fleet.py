"""A fleet: arrivals, a balancer, replicas, and what happens to these while they speak.

Each listener ends as heard, refused or lost. One whose replica is killed before the first audio, or refuses
the connection, is sent to another one, as by HAProxy (`retry-on conn-failure empty-response`).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import partial
from math import ceil
from random import Random

from bench.fleet_simulator.autoscaling import Autoscaler, ScalingRule
from bench.fleet_simulator.balancing import make_balancer
from bench.fleet_simulator.replicas import Ending, EstimatedReplica, Replica, ReplicaOptions, ServerReplica
from bench.fleet_simulator.segment_caches import SharedSegments
from bench.fleet_simulator.traffic import Arrival
from bench.scheduling_simulator.listening import Listening
from bench.scheduling_simulator.machine import Machine
from bench.scheduling_simulator.simulation import read_text_rules
from bench.scheduling_simulator.virtual_time import run_in_virtual_time

_TRIES = 4
"""Replicas that a listener is sent to, one after the other: HAProxy's `retries 3`, and the first."""
_POLL_TURNS = 10
"""Agents are asked one after the other, a tenth of them at a time."""


class Outcome(Enum):
    """What became of a listener."""

    HEARD = auto()
    REFUSED = auto()
    LOST = auto()


class Happening(Enum):
    """What happens to a replica."""

    KILLED = auto()
    DRAINED = auto()
    """Told to stop: its agent says so, it ends what it speaks and goes."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happens to a replica."""

    at: float
    happening: Happening
    replica: int


@dataclass(frozen=True, slots=True)
class FleetOptions:
    """A fleet, and the policy of its balancer."""

    replicas: int
    replica: ReplicaOptions
    policy: str = "eight choices"
    agent_poll: float | None = 1.0
    """Seconds between two questions to each agent; None asks none, and all weigh the same."""
    sample: int = 16
    """Replicas that are the product's own code; the others are estimated."""
    per_machine: int = 1
    """Replicas that share the cores of a machine, where each plans as if they were its own."""
    shared_cache: float | None = None
    """Seconds that an answer of the shared cache takes; None: there is none."""
    retries_refused: bool = False
    """Whether a listener that is refused is sent to another (`busy_status: 503` and `retry-on 503`)."""
    rule: ScalingRule | None = None
    """By which the fleet grows and shrinks; None: it does not."""


@dataclass(slots=True)
class Heard:
    """A listener of the sample, from arrival to end."""

    at: float
    arrived: float
    """On the clock of `listening`."""
    replica: int
    outcome: Outcome
    listening: Listening

    @property
    def start(self) -> float:
        """Seconds from arrival to first audio, at whichever replica."""
        return self.listening.deliveries[0].at - self.arrived


@dataclass(slots=True)
class Run:
    """What happened in a simulation."""

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    """Of all listeners."""
    heard: list[Heard] = field(default_factory=list)
    """Listeners of the sample."""
    sent: Counter[int] = field(default_factory=Counter)
    """Listeners that each replica was sent."""
    sent_at: dict[int, float] = field(default_factory=dict)
    """When each replica was sent its last."""
    sizes: list[tuple[float, int]] = field(default_factory=list)
    """Replicas that can be sent somebody, from a time on."""
    sample: list[ServerReplica] = field(default_factory=list)
    estimated: int = 0
    """Replicas beside the sample."""
    core_seconds: float = 0.0
    """That the sample computed, without getting ready."""
    stream_seconds: float = 0.0
    """The time that connections were open, of all listeners."""
    step_seconds: float = 0.0
    """The sum of all counters of seconds computed."""


def run_fleet(
    options: FleetOptions, arrivals: Iterable[Arrival], *, events: Sequence[Event] = (), seed: int = 1
) -> Run:
    """Return what happened to all who came; the same for the same seed."""
    read_text_rules()
    return run_in_virtual_time(_run(options, arrivals, events, seed))


async def _run(options: FleetOptions, arrivals: Iterable[Arrival], events: Sequence[Event], seed: int) -> Run:
    async with asyncio.TaskGroup() as tasks:
        fleet = _Fleet(options, seed, tasks)
        await fleet.start()
        async with fleet.maintained(events):
            for arrival in arrivals:
                await fleet.sleep_until(arrival.at)
                fleet.send(arrival)
            await fleet.until_all_have_ended()
    return fleet.end()


class _Fleet:
    def __init__(self, options: FleetOptions, seed: int, tasks: asyncio.TaskGroup) -> None:
        self._tasks = tasks
        self._options = options
        self._seed = seed
        self._run = Run()
        self._shared = None if options.shared_cache is None else SharedSegments(options.shared_cache)
        self._balancer = make_balancer(options.policy, seed)
        self._replicas: dict[int, Replica] = {}
        self._machines: dict[int, Machine] = {}
        self._dead: set[int] = set()
        """Killed, which the balancer has not noticed."""
        self._draining: set[int] = set()
        self._next_number = self._starting = 0
        self._under_way = 0
        self._all_ended = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._began_at = 0.0
        self._computed_before = 0.0
        self._computed_by_gone = 0.0

    @property
    def now(self) -> float:
        """Seconds since the traffic began."""
        return self._loop.time() - self._began_at

    async def start(self) -> None:
        """Get the first replicas ready."""
        for _ in range(self._options.replicas):
            await self._start_replica()
        self._began_at = self._loop.time()
        self._run.sizes = [(0.0, len(self._replicas))]
        self._computed_before = self._core_seconds()

    def _make_replica(self) -> Replica:
        number, options = self._next_number, self._options
        self._next_number += 1
        every = ceil(options.replicas / options.sample) if options.sample else 0
        if not every or number % every:
            self._run.estimated += 1
            return EstimatedReplica(number, options.replica, self._shared)
        random = Random(self._seed + 7_919 * number)  # noqa: S311 - a simulation
        place = number // options.per_machine
        replica = ServerReplica(
            number,
            options.replica,
            machine=self._machines.setdefault(place, Machine(options.replica.cores)),
            random=random,
            shared=self._shared,
            tasks=self._tasks,
        )
        self._run.sample.append(replica)
        return replica

    async def _start_replica(self) -> None:
        replica = self._make_replica()
        await replica.start()
        self._replicas[replica.number] = replica
        self._balancer.add(replica.number)

    async def sleep_until(self, at: float) -> None:
        """Wait until so many seconds after the beginning."""
        if at > self.now:
            await asyncio.sleep(at - self.now)

    def send(self, arrival: Arrival) -> None:
        """Send a listener to a replica."""
        self._under_way += 1
        self._all_ended.clear()
        self._send(arrival, self._loop.time(), frozenset())

    def _send(self, arrival: Arrival, arrived: float, tried: frozenset[int]) -> None:
        number = self._choose(arrival, tried)
        if number is None or len(tried) >= _TRIES:
            self._end(Outcome.LOST)
            return
        self._balancer.opened(number)
        self._run.sent[number] += 1
        self._run.sent_at[number] = self.now
        self._replicas[number].speak(
            arrival, partial(self._on_end, arrival, arrived, tried | {number}, number)
        )

    def _choose(self, arrival: Arrival, tried: frozenset[int]) -> int | None:
        """Return who is next; one that refuses the connection is marked down, and another one chosen."""
        while True:
            number = self._balancer.choose(arrival.voice.model, tried)
            if number is None or number not in self._dead:
                return number
            self._forget(number)

    def _on_end(  # noqa: PLR0917 - the first four are bound
        self,
        arrival: Arrival,
        arrived: float,
        tried: frozenset[int],
        number: int,
        ending: Ending,
        listening: Listening | None,
    ) -> None:
        self._balancer.closed(number)
        self._run.stream_seconds += self._loop.time() - arrived
        if ending is Ending.NOT_BEGUN or (ending is Ending.REFUSED and self._may_retry(tried)):
            self._send(arrival, arrived, tried)
            return
        outcome = _OUTCOMES[ending]
        if listening is not None:
            self._run.heard.append(Heard(arrival.at, arrived, number, outcome, listening))
        self._end(outcome)

    def _may_retry(self, tried: frozenset[int]) -> bool:
        return self._options.retries_refused and len(tried) < min(_TRIES, len(self._balancer.servers))

    def _end(self, outcome: Outcome) -> None:
        self._run.outcomes[outcome] += 1
        self._under_way -= 1
        if not self._under_way:
            self._all_ended.set()

    async def until_all_have_ended(self) -> None:
        """Wait for the last listener."""
        while self._under_way:
            await self._all_ended.wait()

    @asynccontextmanager
    async def maintained(self, events: Sequence[Event]) -> AsyncIterator[None]:
        """Ask the agents, scale, and let things happen, while the block runs."""
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(each) for each in self._duties(events)]
            yield
            for task in running:
                task.cancel()

    def _duties(self, events: Sequence[Event]) -> Iterator[Coroutine[None, None, None]]:
        yield self._let_happen(events)
        yield self._poll_agents()
        if self._options.rule is not None:
            yield self._scale(self._options.rule)

    async def _let_happen(self, events: Sequence[Event]) -> None:
        for event in sorted(events, key=lambda each: each.at):
            await self.sleep_until(event.at)
            if event.happening is Happening.KILLED:
                await self._kill(event.replica)
            else:
                self._draining.add(event.replica)

    async def _kill(self, number: int) -> None:
        replica = self._replicas.pop(number)
        self._computed_by_gone += replica.step_seconds()
        self._dead.add(number)
        await replica.kill()

    def _forget(self, number: int) -> None:
        """Let the balancer send nobody to a replica any more."""
        self._balancer.remove(number)
        self._run.sizes.append((self.now, len(self._balancer.servers)))

    async def _poll_agents(self) -> None:
        """Ask each replica for its weight, and whether it stops; notice those that are dead."""
        poll = self._options.agent_poll
        while True:
            for turn in range(_POLL_TURNS):
                for number in [each for each in self._balancer.servers if each % _POLL_TURNS == turn]:
                    self._poll_agent(number, tells_weight=poll is not None)
                await asyncio.sleep((poll or 1.0) / _POLL_TURNS)
            self._let_drained_go()

    def _poll_agent(self, number: int, *, tells_weight: bool) -> None:
        if number in self._dead or number in self._draining:
            self._forget(number)
        elif tells_weight:
            self._balancer.set_weight(number, self._replicas[number].weight())

    def _let_drained_go(self) -> None:
        """End the replicas that were told to stop, once nobody listens to them."""
        for number in [each for each in self._draining if each not in self._balancer.servers]:
            if number in self._replicas and not self._replicas[number].streams:
                self._computed_by_gone += self._replicas.pop(number).step_seconds()

    async def _scale(self, rule: ScalingRule) -> None:
        scaler = Autoscaler(rule)
        async with asyncio.TaskGroup() as starting:
            while True:
                await asyncio.sleep(rule.poll)
                here = [each for each in self._replicas.values() if each.number not in self._draining]
                change = scaler.change(
                    self.now,
                    replicas=len(here) + self._starting,
                    computed=self._step_seconds(),
                    queued=sum(each.queued for each in here),
                )
                for _ in range(change):
                    starting.create_task(self._add_replica(rule.start_seconds))
                self._draining.update(each.number for each in here[len(here) + min(0, change) :])

    def _core_seconds(self) -> float:
        return sum(machine.core_seconds for machine in self._machines.values())

    def _step_seconds(self) -> float:
        return self._computed_by_gone + sum(each.step_seconds() for each in self._replicas.values())

    async def _add_replica(self, after: float) -> None:
        self._starting += 1
        await asyncio.sleep(after)
        await self._start_replica()
        self._starting -= 1
        self._run.sizes.append((self.now, len(self._balancer.servers)))

    def end(self) -> Run:
        """Return what happened."""
        self._run.core_seconds = self._core_seconds() - self._computed_before
        self._run.step_seconds = self._step_seconds()
        return self._run


_OUTCOMES = {
    Ending.HEARD: Outcome.HEARD,
    Ending.REFUSED: Outcome.REFUSED,
    Ending.BROKEN_OFF: Outcome.LOST,
    Ending.NOT_BEGUN: Outcome.LOST,
}
