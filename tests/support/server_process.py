"""The server as a process, as users start it, and a Wyoming client on its pipes."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from wyoming.event import Event, async_read_event, async_write_event

from tests.support.tones import LETTERS, VOICES

SPEAKS_LETTERS = (
    *("--voice", LETTERS.name, "--data-dir", str(VOICES), "--auto-punctuation", "none", "--offline"),
    *("--noise-scale", "0", "--noise-w-scale", "0"),
)
"""Flags with which the server spells text letter by letter, deterministically."""


_QUIET = {"WYOMING_TTS_HTTP": "false", "WYOMING_TTS_METRICS": "false"}
"""Many servers run at once, so the HTTP port is off by default; a test's own flags override this."""


async def start_process(*arguments: str, stdin: int | None = None) -> Process:
    """Start `python -m wyoming_tts` in development mode, so that Python's own warnings go to stderr."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("WYOMING_TTS_")}
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-X", "dev", "-W", "ignore::DeprecationWarning", "-m", "wyoming_tts"),
        *arguments,
        stdin=stdin or asyncio.subprocess.DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
        env=others | _QUIET,
    )


@dataclass
class RunningServer:
    """A running server process."""

    process: Process
    port: int
    log: list[str] = field(default_factory=list)

    @property
    def uri(self) -> str:
        return f"tcp://127.0.0.1:{self.port}"

    async def read_until(self, pattern: str) -> re.Match[str]:
        """Read the log up to the first line that matches."""
        assert self.process.stderr is not None
        while line := (await self.process.stderr.readline()).decode():
            self.log.append(line)
            if match := re.search(pattern, line):
                return match
        raise AssertionError(f"The server ended before it said {pattern!r}:\n{''.join(self.log)}")

    async def read_rest(self) -> str:
        """Read the log to its end."""
        assert self.process.stderr is not None
        self.log.append((await self.process.stderr.read()).decode())
        return "".join(self.log)


@asynccontextmanager
async def server_process(*arguments: str) -> AsyncIterator[RunningServer]:
    """Run a server on a free loopback port until the block ends."""
    process = await start_process("--uri", "tcp://127.0.0.1:0", "--no-zeroconf", *arguments)
    server = RunningServer(process, 0)
    try:
        match = await server.read_until(r"listens on tcp://127\.0\.0\.1:(\d+)")
        server.port = int(match[1])
        yield server
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


class StdioClient:
    """A Wyoming client for a process that serves `stdio://`."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def send(self, *events: Event) -> None:
        assert self._process.stdin is not None
        for event in events:
            # A process's stdin has every method of StreamWriter that async_write_event uses.
            await async_write_event(event, self._process.stdin)

    async def read_until(self, event_type: str) -> list[Event]:
        assert self._process.stdout is not None
        events: list[Event] = []
        while not events or events[-1].type != event_type:
            event = await async_read_event(self._process.stdout)
            assert event is not None, f"it ended without {event_type}, after {[each.type for each in events]}"
            events.append(event)
        return events


def audio_of(events: Sequence[Event]) -> bytes:
    """The PCM of all audio-chunk events."""
    return b"".join(event.payload or b"" for event in events if event.type == "audio-chunk")
