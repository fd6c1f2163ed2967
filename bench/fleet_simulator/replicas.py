"""Replicas: the real server in virtual time, or what a balancer sees of one.

Both speak to listeners, tell their load as `agent_check` does, and can be killed. `ServerReplica` is the
product's own code; `EstimatedReplica` divides its cores among its listeners (processor sharing), at a
thousandth of the cost.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from heapq import heappop, heappush
from itertools import count
from random import Random

from bench.fleet_simulator.segment_caches import ASKED, SharedSegments, make_cache
from bench.fleet_simulator.traffic import Arrival
from bench.scheduling_simulator.listening import Listening
from bench.scheduling_simulator.machine import Machine, speedup
from bench.scheduling_simulator.simulation import STEADY, ServerOptions, SimulatedServer
from bench.scheduling_simulator.voices import InventedVoice
from wyoming_tts.transports.agent_check import agent_weight

_MAX_WAIT = 10.0
"""Seconds; as of `AdmissionOptions`."""


class Ending(Enum):
    """How a replica ended what it was asked for."""

    HEARD = auto()
    REFUSED = auto()
    BROKEN_OFF = auto()
    """It was killed when its listener had heard some of it."""
    NOT_BEGUN = auto()
    """It was killed before: another replica may be asked."""


OnEnd = Callable[[Ending, Listening | None], None]


@dataclass(frozen=True, slots=True)
class ReplicaOptions:
    """What each replica of a fleet is."""

    cores: int
    voices: tuple[InventedVoice, ...]
    """The most frequent first: that one is loaded before the first listener."""
    models: int = 3
    """Models that it keeps in memory."""
    cache_seconds: float = 0.0
    """Speech that its segment cache keeps in memory."""


class Replica(ABC):
    """One replica."""

    def __init__(self, number: int, options: ReplicaOptions) -> None:
        self.number = number
        self.options = options

    @abstractmethod
    async def start(self) -> None:
        """Get ready to speak."""

    @abstractmethod
    def speak(self, arrival: Arrival, on_end: OnEnd) -> None:
        """Speak to a listener; `on_end` is called once, at the end."""

    @abstractmethod
    def weight(self) -> int:
        """Return what its agent tells: percent of a free replica."""

    @abstractmethod
    def step_seconds(self) -> float:
        """Return its counter of seconds computed."""

    @property
    @abstractmethod
    def queued(self) -> int:
        """Streams that wait for a place."""

    @property
    @abstractmethod
    def streams(self) -> int:
        """Listeners whose streams have not ended."""

    @abstractmethod
    async def kill(self) -> None:
        """End at once."""


class ServerReplica(Replica):
    """The product's own code on an invented machine."""

    def __init__(
        self,
        number: int,
        options: ReplicaOptions,
        *,
        machine: Machine,
        random: Random,
        shared: SharedSegments | None,
        tasks: asyncio.TaskGroup,
    ) -> None:
        super().__init__(number, options)
        self.machine = machine
        self.server = SimulatedServer(
            self.machine,
            options.voices,
            policy=STEADY,
            random=random,
            options=ServerOptions(options.models, 1, make_cache(options.cache_seconds, shared)),
        )
        self._clock = asyncio.get_running_loop().time
        self._shared = shared
        self._group = tasks
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """As `Replica.start`."""
        await self.server.warm_up()

    def speak(self, arrival: Arrival, on_end: OnEnd) -> None:
        """As `Replica.speak`."""
        task = self._group.create_task(self._speak(arrival, on_end))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _speak(self, arrival: Arrival, on_end: OnEnd) -> None:
        request = arrival.make_request()
        listening = self.server.listening(request)
        spoken = (arrival.text, arrival.voice.name)
        ASKED.set(spoken)
        try:
            await self.server.speak(request, listening, peer=arrival.peer)
        except asyncio.CancelledError:
            on_end(Ending.BROKEN_OFF if listening.deliveries else Ending.NOT_BEGUN, listening)
            raise
        if self._shared is not None and not listening.is_refused:
            self._shared.add(spoken)
        on_end(Ending.REFUSED if listening.is_refused else Ending.HEARD, listening)

    def weight(self) -> int:
        """As `Replica.weight`, by the server's own formula."""
        now, admission = self._clock(), self.server.admission
        return agent_weight(admission.committed_share(now), admission.predict_wait(now))

    def step_seconds(self) -> float:
        """As `Replica.step_seconds`; of all that share its machine."""
        return self.machine.step_seconds

    @property
    def queued(self) -> int:
        """As `Replica.queued`."""
        return self.server.admission.queued

    @property
    def streams(self) -> int:
        """As `Replica.streams`."""
        return len(self._tasks)

    async def kill(self) -> None:
        """As `Replica.kill`."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@dataclass(slots=True, order=True)
class _Job:
    """What is left to compute for a listener: done once each job has got so many seconds of a core."""

    done_at: float
    order: int
    arrived_at: float = field(compare=False)
    on_end: OnEnd = field(compare=False)


class EstimatedReplica(Replica):
    """Processor sharing: each listener's speech is computed at an equal share of the cores."""

    def __init__(self, number: int, options: ReplicaOptions, shared: SharedSegments | None) -> None:
        super().__init__(number, options)
        self._loop = asyncio.get_running_loop()
        self._jobs: list[_Job] = []
        self._orders = count()
        self._shared = shared
        self._models: OrderedDict[str, None] = OrderedDict.fromkeys([options.voices[0].model])
        self._cached: OrderedDict[tuple[int, str], float] = OrderedDict()
        self._cached_seconds = 0.0
        self._each = 0.0
        """Seconds of a core that each job has got since the beginning."""
        self._at = self._loop.time()
        self._busy_seconds = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._cores_per_step = Machine(options.cores).cores_per_step

    async def start(self) -> None:
        """As `Replica.start`."""

    def speak(self, arrival: Arrival, on_end: OnEnd) -> None:
        """As `Replica.speak`."""
        self._move_on()
        if self._wait() > _MAX_WAIT:
            on_end(Ending.REFUSED, None)
            return
        work = self._work(arrival)
        heappush(self._jobs, _Job(self._each + work, next(self._orders), self._loop.time(), on_end))
        self._set_timer()

    def _work(self, arrival: Arrival) -> float:
        """Return the seconds of a core that a listener takes."""
        voice, key = arrival.voice, (arrival.text, arrival.voice.name)
        if self.options.cache_seconds and key in self._cached:
            self._cached.move_to_end(key)
            return 0.0
        self._keep(key, arrival.seconds)
        if self._shared is not None:
            if key in self._shared:
                return 0.0
            self._shared.add(key)
        return self._loading(voice) + arrival.seconds * voice.rtf * speedup(self._cores_per_step)

    def _loading(self, voice: InventedVoice) -> float:
        """Return the seconds that it takes to have a voice in memory."""
        loading = 0.0 if voice.model in self._models else voice.load_seconds
        self._models[voice.model] = None
        self._models.move_to_end(voice.model)
        while len(self._models) > self.options.models:
            self._models.popitem(last=False)
        return loading

    def _keep(self, key: tuple[int, str], seconds: float) -> None:
        if seconds > self.options.cache_seconds:
            return
        self._cached[key] = seconds
        self._cached_seconds += seconds
        while self._cached_seconds > self.options.cache_seconds:
            self._cached_seconds -= self._cached.popitem(last=False)[1]

    def weight(self) -> int:
        """As `Replica.weight`, by what is left to compute within the next seconds."""
        self._move_on()
        share = len(self._jobs) / (_STREAMS_PER_CORE * self.options.cores)
        return agent_weight(min(1.0, share), self._wait() - _CARRIED)

    def _wait(self) -> float:
        """Return for how long what is left would take all cores."""
        return sum(job.done_at - self._each for job in self._jobs) / self.options.cores

    def step_seconds(self) -> float:
        """As `Replica.step_seconds`."""
        self._move_on()
        return self._busy_seconds

    @property
    def queued(self) -> int:
        """As `Replica.queued`: those who have heard nothing yet, if there are more than places."""
        return max(0, len(self._jobs) - max(16, 8 * self.options.cores))

    @property
    def streams(self) -> int:
        """As `Replica.streams`."""
        return len(self._jobs)

    async def kill(self) -> None:
        """As `Replica.kill`: whoever came more than a moment ago has heard something."""
        self._move_on()
        jobs, self._jobs = self._jobs, []
        self._set_timer()
        now = self._loop.time()
        for job in jobs:
            begun = now - job.arrived_at > _SHORT_WAIT
            job.on_end(Ending.BROKEN_OFF if begun else Ending.NOT_BEGUN, None)

    def _rate(self) -> float:
        """Return the cores' worth that each job gets."""
        return min(_MAX_RATE, _USABLE * self.options.cores / max(1, len(self._jobs)))

    def _move_on(self) -> None:
        now = self._loop.time()
        if self._jobs:
            self._each += (now - self._at) * self._rate()
            self._busy_seconds += (now - self._at) * len(self._jobs) * self._rate()
        self._at = now

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._jobs:
            left = max(0.0, self._jobs[0].done_at - self._each)
            self._timer = self._loop.call_later(left / self._rate(), self._end_first)

    def _end_first(self) -> None:
        self._timer = None
        self._move_on()
        heappop(self._jobs).on_end(Ending.HEARD, None)
        self._set_timer()


_MAX_RATE = 0.42
"""Cores' worth that a stream gets when there is room: urgent steps of others go first, and it rests once it
is ahead of its listener. This and the next ones as found with `ServerReplica`, as a test shows."""
_STREAMS_PER_CORE = 20
_CARRIED = 3.0
"""Seconds of what is left to compute that delay nobody else. These two give the weights of real replicas."""
_USABLE = 0.92
"""Share of the cores' time that streams get: some steps take several cores, which costs more in all."""
_SHORT_WAIT = 0.3
"""Seconds of what is left to compute that delay nobody: what is far ahead of its listener waits."""
