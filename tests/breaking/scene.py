"""Scene of an attack: a server, listeners beside it, and phases whose figures are checked and reported."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.breaking.listening import Hearing, Listener, start_listener
from tests.breaking.server_under_attack import MIB, AttackedServer
from tests.scenarios.paced_listener import HeardText
from tests.scenarios.process_footprint import Footprint

TRANSPORTS = ("wyoming", "http")
_SAMPLE_EVERY = 0.25
_QUIET_SECONDS = 2.0

ReportRow = Callable[[dict[str, str]], None]


@dataclass(slots=True)
class Phase:
    """A stretch of time; its figures are complete once its block has ended."""

    name: str
    began: float = field(default_factory=time.monotonic)
    seconds: float = 0.0
    before: Footprint = field(default_factory=Footprint)
    """What the server held when the phase began."""
    after: Footprint = field(default_factory=Footprint)
    """What it held when the block ended."""
    peak: Footprint = field(default_factory=Footprint)
    """The largest of each figure that was sampled meanwhile."""
    hearing: Hearing = field(default_factory=lambda: Hearing(()))
    """What the listeners heard meanwhile."""

    @property
    def processor_share(self) -> float:
        """Processor time of the server as a share of one core."""
        used = self.after.processor_seconds - self.before.processor_seconds
        return used / self.seconds if self.seconds else 0.0

    def sample(self, now: Footprint) -> None:
        """Take a footprint into the peak."""
        self.peak = Footprint(*(max(getattr(self.peak, name), getattr(now, name)) for name in now.__slots__))

    def row(self) -> dict[str, str]:
        """The figures as a line of the table."""
        heard = self.hearing
        return {
            "phase": self.name,
            "s": f"{self.seconds:.1f}",
            "texts": str(len(heard.texts)),
            "errors": str(len(heard.errors)),
            "first audio": _seconds(heard.first_audio),
            "worst": _seconds(heard.worst_first_audio),
            "gaps": str(heard.gaps),
            "worst gap": _seconds(heard.worst_gap),
            "PSS MB": f"{self.before.pss / MIB:.0f}>{self.after.pss / MIB:.0f}",
            "peak": f"{self.peak.pss / MIB:.0f}",
            "fds": f"{self.before.descriptors}>{self.after.descriptors}",
            "threads": f"{self.before.threads}>{self.after.threads}",
            "children": f"{self.before.children}>{self.after.children}",
            "cpu %": f"{self.processor_share * 100:.0f}",
        }


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


class Scene:
    """A server with listeners beside it."""

    def __init__(self, server: AttackedServer, listeners: list[Listener], report: ReportRow) -> None:
        self.server = server
        self._listeners = listeners
        self._report = report

    @asynccontextmanager
    async def phase(self, name: str) -> AsyncIterator[Phase]:
        """Measure a block: what is heard beside it, what the server holds. A name makes a row of the table.

        A text that is being spoken when the block ends is waited for, since it may hang because of the block.
        """
        phase = Phase(name, before=self.server.footprint())
        sampling = asyncio.create_task(self._sample(phase))
        try:
            yield phase
        finally:
            phase.seconds = time.monotonic() - phase.began
            phase.after = self.server.footprint()
            sampling.cancel()
            phase.sample(phase.after)
            phase.hearing = Hearing(await self._heard_since(phase.began))
            if name:
                self._report(phase.row())

    async def quiet(self, name: str = "before") -> Phase:
        """Measure a phase in which nobody attacks."""
        async with self.phase(name) as phase:
            await asyncio.sleep(_QUIET_SECONDS)
        return phase

    async def recovers(self, before: Phase, **margins: int) -> Phase:
        """Check that listeners are served after an attack, and that what it took was given back.

        The margins are those of `AttackedServer.returns_to`.
        """
        async with self.phase("after") as phase:
            await self.server.returns_to(before.after, **margins)
            await asyncio.sleep(_QUIET_SECONDS)
        phase.hearing.check_served()
        return phase

    async def _sample(self, phase: Phase) -> None:
        while True:
            phase.sample(self.server.footprint())
            await asyncio.sleep(_SAMPLE_EVERY)

    async def _heard_since(self, moment: float) -> list[HeardText]:
        heard = await asyncio.gather(*(each.heard_since(moment) for each in self._listeners))
        return [text for texts in heard for text in texts]


@asynccontextmanager
async def open_scene(
    server: AttackedServer, report: ReportRow, *, transports: tuple[str, ...] = TRANSPORTS
) -> AsyncIterator[Scene]:
    """Start a listener for each transport, wait until each has heard a text, and end them with the block."""
    listeners = [await start_listener(server, transport) for transport in transports]
    recording = [asyncio.create_task(listener.record()) for listener in listeners]
    scene = Scene(server, listeners, report)
    try:
        await scene.quiet("")
        yield scene
    finally:
        for listener in listeners:
            if listener.process.returncode is None:
                listener.process.kill()
            await listener.process.wait()
        await asyncio.gather(*recording)
