"""Runs a scenario with a policy: the real synthesizer, for listeners who note what they hear."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from bench.scheduling_simulator.listening import SPOKEN_FOR, Listening
from bench.scheduling_simulator.machine import Machine, Phase, make_pools
from bench.scheduling_simulator.texts import pieces_of, segments_known
from bench.scheduling_simulator.virtual_time import run_in_virtual_time
from bench.scheduling_simulator.voices import KOKORO, PIPER, RATE, InventedVoice, SimulatedEngine
from bench.scheduling_simulator.workload import Arrivals, Client, Habits, Request
from wyoming_tts.admission import Admission, AdmissionOptions
from wyoming_tts.blocking import RunBlocking
from wyoming_tts.cache import SegmentCache
from wyoming_tts.engines.base import FirstCut
from wyoming_tts.engines.model_cache import ModelCache
from wyoming_tts.errors import Busy
from wyoming_tts.scheduler import Scheduler
from wyoming_tts.speech import Start, Utterance, VoiceRequest
from wyoming_tts.synthesis import SynthesisOptions, Synthesizer
from wyoming_tts.synthesis.costs import StepClocks
from wyoming_tts.synthesis.options import FIRST_CUT_WORDS
from wyoming_tts.text.feed import TextFeed
from wyoming_tts.voices.library import DefaultVoice, VoiceLibrary
from wyoming_tts.workers import Workers

Clock = Callable[[], float]

_PLAYER_BUFFER = 0.5
"""Seconds of audio from which a listener who reads at playing speed reads no more."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How starts and admission are decided."""

    name: str
    start: Start
    max_hold: float = 10.0
    """As `AdmissionOptions.max_hold`."""


AT_ONCE = Policy("at once", Start.AT_ONCE)
STEADY = Policy("steady", Start.STEADY)
PATIENT = Policy("steady, no limit", Start.STEADY, 3_600.0)
"""Held for as long as it takes: what the prediction is worth where `max_hold` would end the hold."""
POLICIES = (AT_ONCE, STEADY, PATIENT)


@dataclass(frozen=True, slots=True)
class Scenario:
    """A machine, and who comes to it."""

    name: str
    cores: int
    arrivals: Arrivals
    habits: Habits
    phases: Sequence[Phase] = (Phase(),)

    @property
    def is_steady_machine(self) -> bool:
        """Whether the machine's speed never changes."""
        return len(self.phases) == 1


def no_cache(run_blocking: RunBlocking) -> SegmentCache:
    """Return a cache that keeps nothing."""
    return SegmentCache(memory_bytes=0, directory=None, disk_bytes=0, run_blocking=run_blocking)


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """What a server keeps in memory."""

    models: int | None = None
    """Models that it keeps; None keeps all."""
    warm_voices: int | None = None
    """Voices that it has spoken with before the first request; None: all."""
    make_cache: Callable[[RunBlocking], SegmentCache] = no_cache


KEEPS_ALL = ServerOptions()


def simulate(scenario: Scenario, policy: Policy, *, seed: int = 1) -> list[Listening]:
    """Return what each listener of a scenario heard, in the order of arrival; the same for the same seed."""
    clients = list(scenario.arrivals(scenario.habits, Random(f"{scenario.name} {seed}")))  # noqa: S311
    read_text_rules()
    return run_in_virtual_time(_simulate(scenario, policy, clients, Random(seed)))  # noqa: S311


def read_text_rules() -> None:
    """Read the files of the text front end, as a server does before it listens: never on the event loop."""
    list(segments_known([(0.0, "A text.")], 0))


async def _simulate(
    scenario: Scenario, policy: Policy, clients: Sequence[Client], random: Random
) -> list[Listening]:
    machine = Machine(scenario.cores, scenario.phases)
    server = SimulatedServer(machine, scenario.habits.voices, policy=policy, random=random)
    await server.warm_up()
    listenings: list[Listening] = []
    async with asyncio.TaskGroup() as tasks:
        for client in clients:
            tasks.create_task(server.serve(client, listenings))
    await server.close()
    return sorted(listenings, key=lambda listening: listening.arrived_at)


class SimulatedServer:
    """The product's parts on an invented machine, with invented voices and in virtual time."""

    def __init__(
        self,
        machine: Machine,
        voices: Sequence[InventedVoice],
        *,
        policy: Policy,
        random: Random,
        options: ServerOptions = KEEPS_ALL,
    ) -> None:
        self._warm_voices = [voice.name for voice in voices[: options.warm_voices]]
        self.loads = 0
        """Models loaded so far."""
        self._clock = asyncio.get_running_loop().time
        scheduler = Scheduler(slots=machine.cores, multicore_slots=machine.cores_per_step)
        self._workers = Workers(scheduler, clock=self._clock, make_pool=make_pools(machine))
        self._engines = {
            name: SimulatedEngine(
                name, voices, machine=machine, has_cores=self._workers.has_cores, random=random
            )
            for name in (PIPER, KOKORO)
        }
        library = VoiceLibrary(default=DefaultVoice(voices[0].name))
        library.replace(voice for engine in self._engines.values() for voice in engine.installed())
        streams = max(16, 8 * machine.cores)
        self.admission = Admission(
            AdmissionOptions(max_streams=streams, max_queue=2 * streams, max_hold=policy.max_hold),
            self._workers.scheduler,
        )
        self.cache = options.make_cache(self._workers.run_blocking)
        self._synthesizer = Synthesizer(
            library=library,
            loaded=ModelCache(
                self._engines,
                run_blocking=self._workers.run_blocking,
                capacity=options.models or len(library.voices),
                on_loaded=self._count_load,
                clock=self._clock,
            ),
            workers=self._workers,
            admission=self.admission,
            cache=self.cache,
            options=SynthesisOptions(start=policy.start),
            clock=self._clock,
            step_clocks=StepClocks(machine.clock, machine.cpu_clock),
        )

    def _count_load(self, engine: str, seconds: float) -> None:
        del engine, seconds
        self.loads += 1

    async def warm_up(self) -> None:
        """Speak with its voices once, as a server does before the first request."""
        for voice in sorted(set(self._warm_voices)):
            async with self._synthesizer.speak(
                Utterance.of("A short text.", voice=VoiceRequest(voice))
            ) as stream:
                async for _ in stream:
                    pass

    async def close(self) -> None:
        """Stop the workers."""
        await self._workers.close()

    async def serve(self, client: Client, listenings: list[Listening]) -> None:
        """Speak a client's texts, one after the other."""
        await asyncio.sleep(client.arrives_at)
        for request in client.requests:
            listening = self.listening(request)
            listenings.append(listening)
            await self.speak(request, listening, peer=client.peer)
            await asyncio.sleep(max(0.0, listening.playing_until - self._clock()) + client.pause)

    async def speak(self, request: Request, listening: Listening, *, peer: str = "") -> None:
        """Speak a text to a listener, who notes what is heard or that it was refused."""
        SPOKEN_FOR.set(listening)
        feed = TextFeed()
        writing = asyncio.create_task(_write(request, feed))
        try:
            await self._listen(peer, request, feed, listening)
        except Busy:
            listening.is_refused = True
        finally:
            feed.close()
        await writing

    def listening(self, request: Request) -> Listening:
        """Return what will be heard of a request that arrives now: nothing yet."""
        pieces = pieces_of(request.text, request.words_per_second)
        max_words = FIRST_CUT_WORDS if request.voice.first_cut is FirstCut.AFTER_WORDS else 0
        now = self._clock()
        known = tuple(now + after for after in segments_known(pieces, max_words))
        return Listening(now, known, RATE)

    async def _listen(self, peer: str, request: Request, feed: TextFeed, listening: Listening) -> None:
        utterance = Utterance(feed, VoiceRequest(request.voice.name), peer=peer)
        async with self._synthesizer.speak(utterance) as stream:
            async for chunk in stream:
                listening.deliver(chunk.samples, self._clock())
                if request.is_paced:
                    ahead = listening.playing_until - self._clock()
                    await asyncio.sleep(max(0.0, ahead - _PLAYER_BUFFER))


async def _write(request: Request, feed: TextFeed) -> None:
    """Write a text into the feed as it arrives."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    for after, piece in pieces_of(request.text, request.words_per_second):
        await asyncio.sleep(max(0.0, begun + after - loop.time()))
        await feed.put(piece)
    feed.close()
