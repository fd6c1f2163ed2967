"""Cases: fleets and their traffic, by name as the tables of docs/scaling.md have them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from bench.fleet_simulator.autoscaling import ScalingRule
from bench.fleet_simulator.balancing import POLICIES
from bench.fleet_simulator.costs import Costs
from bench.fleet_simulator.fleet import Event, FleetOptions, Happening
from bench.fleet_simulator.replicas import ReplicaOptions
from bench.fleet_simulator.traffic import Shape, Traffic


@dataclass(frozen=True, slots=True)
class Case:
    """A fleet, who comes, and what happens."""

    name: str
    options: FleetOptions
    traffic: Traffic
    events: Sequence[Event] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseMaker:
    """What cases are made of; the fields are what is usual."""

    costs: Costs
    replicas: int = 4
    cores: int = 4
    per_core: float = 6.5
    """Listeners a core, on average."""
    voice: str = "piper"
    audio_format: str = "pcm"
    voices: int = 1
    models: int = 3
    policy: str = "eight choices"
    agent_poll: float | None = 1.0
    seconds: float = 30.0
    sample: int = 8
    repeated: float = 0.0
    cache_seconds: float = 0.0
    has_shared_cache: bool = False
    retries_refused: bool = False
    per_machine: int = 1
    burst_listeners: int = 0
    is_same_burst: bool = False
    is_paced: bool = False
    shape: Shape = Shape.STEADY
    rule: ScalingRule | None = None
    events: Sequence[Event] = ()

    def make(self, name: str) -> Case:
        """Return the case."""
        voices = self.costs.invented(
            self.voice, number=self.voices, cores=self.cores, audio_format=self.audio_format
        )
        options = FleetOptions(
            self.replicas,
            ReplicaOptions(self.cores, voices, self.models, self.cache_seconds),
            policy=self.policy,
            agent_poll=self.agent_poll,
            sample=self.sample,
            shared_cache=self.costs.shared_cache_seconds if self.has_shared_cache else None,
            per_machine=self.per_machine,
            retries_refused=self.retries_refused,
            rule=self.rule,
        )
        traffic = Traffic(
            self.per_core * self.replicas * self.cores / self.per_machine,
            self.seconds,
            voices,
            shape=self.shape,
            repeated=self.repeated,
            burst_listeners=self.burst_listeners,
            is_same_burst=self.is_same_burst,
            is_paced=self.is_paced,
        )
        return Case(name, options, traffic, self.events)


def _law(costs: Costs) -> Iterator[Case]:
    """How many listeners a core carries, by the cores of a process."""
    for cores in (1, 2, 4, 8):
        for per_core in (5.0, 7.0, 8.0, 9.0):
            made = CaseMaker(costs=costs, replicas=8 // cores, cores=cores, per_core=per_core, seconds=45.0)
            yield made.make(f"{per_core:g} listeners a core came")


def _fleets(costs: Costs) -> Iterator[Case]:
    """The same load on fleets of every size: in turn, so that the sample gets its share to the listener."""
    for replicas, seconds in ((1, 60.0), (4, 30.0), (16, 30.0), (64, 30.0), (360, 30.0), (2_000, 15.0)):
        made = CaseMaker(costs=costs, replicas=replicas, per_core=7.0, seconds=seconds, policy="round robin")
        yield made.make(f"{7 * 4 * replicas:,} listeners")


def _policies(costs: Costs) -> Iterator[Case]:
    """16 voices, of which a replica keeps six in memory, under each policy."""
    hashed = POLICIES[-2:]
    told = ((policy, 1.0) for policy in POLICIES if policy != hashed[-1])
    for policy, agent_poll in (*told, *((policy, None) for policy in hashed)):
        made = CaseMaker(
            costs=costs,
            per_core=4.0,
            voices=16,
            models=6,
            seconds=60.0,
            policy=policy,
            agent_poll=agent_poll,
        )
        yield made.make(policy if agent_poll else f"{policy}, no agents")


def _caches(costs: Costs) -> Iterator[Case]:
    """Half of the texts are among a hundred known ones."""
    for name, kept, is_shared in (
        ("no cache", 0.0, False),
        ("memory", 1_500.0, False),
        ("shared", 1_500.0, True),
    ):
        made = CaseMaker(
            costs=costs, per_core=6.0, repeated=0.5, cache_seconds=kept, has_shared_cache=is_shared
        )
        yield made.make(name)


def _troubles(costs: Costs) -> Iterator[Case]:
    """A replica is killed or told to stop; an announcement goes to 200 at once; a day with autoscaling."""
    usual = CaseMaker
    yield usual(costs=costs, replicas=8, events=[Event(15.0, Happening.KILLED, 0)]).make("one of 8 killed")
    yield usual(costs=costs, replicas=8, events=[Event(15.0, Happening.DRAINED, 0)]).make("one of 8 drained")
    for listeners in (200, 1_000):
        made = usual(costs=costs, replicas=8, per_core=4.0, burst_listeners=listeners)
        yield made.make(f"{listeners:,} get an announcement")
    made = usual(
        costs=costs, replicas=8, per_core=4.0, burst_listeners=200, is_same_burst=True, cache_seconds=1_500.0
    )
    yield made.make("200 get one that was heard before")
    rule = ScalingRule(least=2, most=8, start_seconds=costs.start_seconds)
    yield usual(costs=costs, replicas=2, per_core=6.5, shape=Shape.DAY, seconds=600.0, rule=rule).make(
        "a day in ten minutes, autoscaled"
    )


def _one_machine(costs: Costs) -> Iterator[Case]:
    """Four cores, as one server or divided among several that know nothing of each other."""
    for per_core in (5.0, 8.0):
        for replicas in (1, 2, 4):
            made = CaseMaker(
                costs=costs, replicas=replicas, per_machine=replicas, per_core=per_core, seconds=60.0
            )
            yield made.make(f"{replicas} server{'s' * (replicas > 1)} on one machine")


def _kokoro(costs: Costs) -> Iterator[Case]:
    """Kokoro on processors."""
    for cores in (4, 8):
        for per_core in (0.1, 0.2, 0.4, 0.6):
            made = CaseMaker(
                costs=costs,
                replicas=32 // cores,
                cores=cores,
                per_core=per_core,
                voice="kokoro",
                seconds=60.0,
            )
            yield made.make(f"{per_core:g} listeners a core came")


def _opus(costs: Costs) -> Iterator[Case]:
    """Piper, encoded."""
    for audio_format in costs.formats:
        yield CaseMaker(costs=costs, replicas=4, per_core=7.0, audio_format=audio_format).make(audio_format)


TABLES: Final[dict[str, Callable[[Costs], Iterator[Case]]]] = {
    "law": _law,
    "fleets": _fleets,
    "policies": _policies,
    "caches": _caches,
    "troubles": _troubles,
    "one-machine": _one_machine,
    "kokoro": _kokoro,
    "formats": _opus,
}
