"""Server processes under measurement: started, sampled through /proc (memory, processor time), and ended."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bench.comparison.results import MeasurementFailed
from tests.scenarios.ports import free_port
from tests.scenarios.process_end import end_process
from tests.scenarios.process_footprint import process_tree

_OPENS_WITHIN = 60.0
_ENDS_WITHIN = 10.0
_POLL = 0.002
"""Seconds between two connection attempts, which limits the precision of start-up times."""
_IDLE_WITHIN = 20.0
_RESTING = 0.02
"""Share of a core below which a process counts as idle."""


class ServerStartFailed(MeasurementFailed):
    """A server ended, or did not open its port; the message has the end of its log."""


class ServerNeverIdle(MeasurementFailed):
    """A server keeps computing without any request."""


@dataclass(frozen=True, slots=True)
class ServerCommand:
    """The command that starts a server."""

    name: str
    words: tuple[str, ...]
    """The command without the address, which is added as `--uri`."""


@dataclass(frozen=True, slots=True)
class ProcessMemory:
    """Memory of a process and its descendants, in bytes."""

    resident: int
    proportional: int
    """PSS: as resident, but shared memory is divided among the processes."""


@dataclass(frozen=True, slots=True)
class MeasuredServer:
    """A running server process."""

    name: str
    uri: str
    process: Process
    opened_after: float
    """Seconds from starting the process to the first connection that it accepted."""

    def memory(self) -> ProcessMemory:
        """Its current memory."""
        family = list(process_tree(self.process.pid))
        resident = sum(_memory_field(f"/proc/{pid}/status", "VmRSS") for pid in family)
        return ProcessMemory(
            resident, sum(_memory_field(f"/proc/{pid}/smaps_rollup", "Pss") for pid in family)
        )

    def processor_time(self) -> float:
        """Seconds of processor time since its start, on all cores."""
        return sum(_processor_time(pid) for pid in process_tree(self.process.pid))

    async def wait_until_idle(self, quiet: float = 0.1, *, within: float = _IDLE_WITHIN) -> None:
        """Wait until it has used next to no processor time for `quiet` seconds.

        Raises:
            ServerNeverIdle: it kept computing.
        """
        deadline = time.perf_counter() + within
        before = self.processor_time()
        while time.perf_counter() < deadline:
            await asyncio.sleep(quiet)
            now = self.processor_time()
            if now - before < _RESTING * quiet:
                return
            before = now
        raise ServerNeverIdle(f"{self.name} still computes {within:g} s after the last request.")


def _processor_time(pid: int) -> float:
    try:
        return time.clock_gettime(_clock_of(pid))
    except OSError:  # it has ended since it was listed
        return 0.0


@asynccontextmanager
async def run_server(command: ServerCommand, logs: Path) -> AsyncIterator[MeasuredServer]:
    """Run a server on a free loopback port until the block ends.

    Raises:
        ServerStartFailed: it ended, or accepted no connection within a minute.
    """
    port = free_port()
    uri = f"tcp://127.0.0.1:{port}"
    log = logs / f"{command.name.replace(' ', '-')}-{port}.log"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WYOMING_")}
    with log.open("wb") as written:
        started_at = time.perf_counter()
        process = await asyncio.create_subprocess_exec(
            *command.words, "--uri", uri, stdin=DEVNULL, stdout=written, stderr=written, env=environment
        )
    try:
        await _until_open(process, port, command.name, log)
        yield MeasuredServer(command.name, uri, process, time.perf_counter() - started_at)
    finally:
        await end_process(process, patience=_ENDS_WITHIN)


@asynccontextmanager
async def run_burner() -> AsyncIterator[Process]:
    """Run a program that takes all of a core until the block ends."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "while True: pass", stdin=DEVNULL)
    try:
        yield process
    finally:
        await end_process(process, patience=_ENDS_WITHIN)


async def _until_open(process: Process, port: int, name: str, log: Path) -> None:
    deadline = time.perf_counter() + _OPENS_WITHIN
    while process.returncode is None and time.perf_counter() < deadline:
        with suppress(ConnectionRefusedError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return
        await asyncio.sleep(_POLL)
    raise ServerStartFailed(f"{name} did not open its port. The end of its log:\n{_tail(log)}")


def _tail(log: Path) -> str:
    return "\n".join(log.read_text("utf-8", "replace").splitlines()[-5:])


def _memory_field(path: str, name: str) -> int:
    lines = Path(path).read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def _clock_of(pid: int) -> int:
    """Id of Linux's clock of a process's processor time, in nanoseconds; /proc/PID/stat only has 10 ms.

    It is computed as clock_getcpuclockid(3) does, which Python does not offer for processes.
    """
    return (~pid << 3) | 2


def server_commands(
    peer_python: Path, own_python: Path, model: Path, scratch: Path
) -> tuple[ServerCommand, ServerCommand]:
    """Commands of wyoming-piper and of this server with a voice; nothing is downloaded or announced."""
    voice = ("--voice", model.stem, "--data-dir", str(model.parent), "--download-dir", str(scratch))
    peer = ServerCommand("wyoming-piper", (str(peer_python), "-m", "wyoming_piper", *voice))
    own = (str(own_python), "-m", "wyoming_tts", *voice, "--no-zeroconf", "--offline", "--http-port", "0")
    return peer, ServerCommand("wyoming-tts", own)


def add_flags(command: ServerCommand, name: str, flags: Sequence[str]) -> ServerCommand:
    """The command of the same server with more flags."""
    return ServerCommand(f"{command.name} {name}", (*command.words, *flags))
