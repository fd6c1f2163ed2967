"""Server processes under measurement: started, watched through /proc, and ended by their id."""

from __future__ import annotations

import asyncio
import os
import time
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bench.outcome import Failed
from tests.scenarios.ports import free_port

_OPENS_WITHIN = 60.0
_ENDS_WITHIN = 10.0
_POLL = 0.002
"""Seconds between two attempts to connect: also how exactly the start is timed."""
_IDLE_WITHIN = 20.0
_RESTING = 0.02
"""Share of a core below which a process is at rest."""


class DidNotStart(Failed):
    """A server ended or stayed closed; the message has the end of its log."""


class NeverRests(Failed):
    """A server goes on computing though nobody asks it for anything."""


@dataclass(frozen=True, slots=True)
class Command:
    """How a server is started."""

    name: str
    words: tuple[str, ...]
    """Without the address, which is added as `--uri`."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of a process and all that it started."""

    resident: int
    proportional: int
    """As resident, but what processes share is divided between them."""


@dataclass(frozen=True, slots=True)
class Server:
    """A process that listens."""

    name: str
    uri: str
    process: Process
    opened_after: float
    """Seconds from starting the process to the first connection that it took."""

    def memory(self) -> Memory:
        """What it holds now."""
        family = list(_family(self.process.pid))
        resident = sum(_field(f"/proc/{pid}/status", "VmRSS") for pid in family)
        return Memory(resident, sum(_field(f"/proc/{pid}/smaps_rollup", "Pss") for pid in family))

    def processor_time(self) -> float:
        """Seconds it has computed since its start, on all cores together."""
        return sum(_computed(pid) for pid in _family(self.process.pid))

    async def until_idle(self, quiet: float = 0.1) -> None:
        """Wait until it has computed as good as nothing for `quiet` seconds.

        Raises:
            NeverRests: it did not within some time.
        """
        deadline = time.perf_counter() + _IDLE_WITHIN
        before = self.processor_time()
        while time.perf_counter() < deadline:
            await asyncio.sleep(quiet)
            now = self.processor_time()
            if now - before < _RESTING * quiet:
                return
            before = now
        raise NeverRests(f"{self.name} still computes {_IDLE_WITHIN:g} s after the last request.")


def _computed(pid: int) -> float:
    try:
        return time.clock_gettime(_clock_of(pid))
    except OSError:  # it has ended since it was listed
        return 0.0


@asynccontextmanager
async def running(command: Command, logs: Path) -> AsyncIterator[Server]:
    """Start a server on a free port of loopback; it is ended with the block.

    Raises:
        DidNotStart: it ended, or took no connection within a minute.
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
        yield Server(command.name, uri, process, time.perf_counter() - started_at)
    finally:
        await _end(process)


async def _until_open(process: Process, port: int, name: str, log: Path) -> None:
    deadline = time.perf_counter() + _OPENS_WITHIN
    while process.returncode is None and time.perf_counter() < deadline:
        with suppress(ConnectionRefusedError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return
        await asyncio.sleep(_POLL)
    raise DidNotStart(f"{name} did not open its port. The end of its log:\n{_tail(log)}")


def _tail(log: Path) -> str:
    return "\n".join(log.read_text("utf-8", "replace").splitlines()[-5:])


async def _end(process: Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(_ENDS_WITHIN):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def _family(pid: int) -> Iterator[int]:
    """The process and all its descendants."""
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # a thread that has just ended
            for child in task.read_text().split():
                yield from _family(int(child))


def _field(path: str, name: str) -> int:
    lines = Path(path).read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def _clock_of(pid: int) -> int:
    """Linux's clock of another process's computing, by nanoseconds; /proc/PID/stat has it by 10 ms.

    The number is made as clock_getcpuclockid(3) makes it, which Python does not offer for processes.
    """
    return (~pid << 3) | 2


def commands(peer_python: Path, own_python: Path, model: Path, scratch: Path) -> tuple[Command, Command]:
    """How wyoming-piper and this server are started with a voice; nothing is fetched or announced."""
    voice = ("--voice", model.stem, "--data-dir", str(model.parent), "--download-dir", str(scratch))
    peer = Command("wyoming-piper", (str(peer_python), "-m", "wyoming_piper", *voice))
    own = (str(own_python), "-m", "wyoming_tts", *voice, "--no-zeroconf", "--offline", "--http-port", "0")
    return peer, Command("wyoming-tts", own)


def with_flags(command: Command, name: str, flags: Sequence[str]) -> Command:
    """The same server, set otherwise."""
    return Command(f"{command.name} {name}", (*command.words, *flags))
