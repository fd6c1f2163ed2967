"""Listeners beside an attack: honest clients in processes of their own, and what was heard during a phase."""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.breaking.server_under_attack import AttackedServer
from tests.scenarios.paced_listener import PATIENCE, HeardText


@dataclass(frozen=True, slots=True)
class Hearing:
    """What listeners heard of the texts that overlapped with a phase."""

    texts: Sequence[HeardText]

    @property
    def first_audio(self) -> float | None:
        """Median delay of the first audio, in seconds."""
        delays = self._delays()
        return statistics.median(delays) if delays else None

    @property
    def worst_first_audio(self) -> float | None:
        """Longest delay of the first audio, in seconds."""
        return max(self._delays(), default=None)

    @property
    def gaps(self) -> int:
        """Number of underruns of all texts."""
        return sum(text.gaps for text in self.texts)

    @property
    def worst_gap(self) -> float:
        """Length of the longest underrun, in seconds."""
        return max((text.worst_gap for text in self.texts), default=0.0)

    @property
    def errors(self) -> list[str]:
        """Messages of the texts that were refused, cut or never answered."""
        return [text.error for text in self.texts if text.error]

    def _delays(self) -> list[float]:
        return [text.first_audio for text in self.texts if text.first_audio is not None]

    def check_served(self, *, within: float = 10.0, worst_gap: float = 3.0) -> None:
        """Check that every text was heard.

        The bounds are those of a hopeless answer, since the machine may be slow and busy: 10 s is how long a
        client may be kept waiting by default (`max_wait`).

        Raises:
            AssertionError: a text failed, began later than `within` seconds, or paused for `worst_gap`.
        """
        assert self.texts, "no text was spoken"
        assert not self.errors, f"{len(self.errors)} of {len(self.texts)} texts failed: {self.errors[:5]}"
        assert (self.worst_first_audio or 0.0) <= within, f"first audio after {self.worst_first_audio:.1f} s"
        assert self.worst_gap <= worst_gap, f"a gap of {self.worst_gap:.1f} s"


@dataclass
class Listener:
    """One honest client in a process of its own."""

    process: Process
    heard: list[HeardText] = field(default_factory=list)
    _ended_one: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def record(self) -> None:
        """Collect what the process reports, until it ends."""
        assert self.process.stdout is not None
        while line := await self.process.stdout.readline():
            self.heard.append(HeardText(**json.loads(line)))
            async with self._ended_one:
                self._ended_one.notify_all()

    async def heard_since(self, moment: float) -> list[HeardText]:
        """The texts in flight at or begun after a moment, the last of them waited for to its end."""
        asked_at = time.monotonic()
        async with asyncio.timeout(PATIENCE + 30.0), self._ended_one:
            await self._ended_one.wait_for(lambda: self.heard and self.heard[-1].ended >= asked_at)
        return [text for text in self.heard if text.ended >= moment]


async def start_listener(server: AttackedServer, transport: str) -> Listener:
    """Start a listener over `wyoming` or `http`."""
    where = {"wyoming": "{}:{}".format(*server.wyoming), "http": server.url}[transport]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.scenarios.paced_listener", f"--{transport}", where), stdout=PIPE
    )
    return Listener(process)
