"""Server under attack: the product as a process on loopback, with resource limits and its log in a file."""

from __future__ import annotations

import asyncio
import os
import re
import resource
import shutil
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.scenarios.process_end import end_process
from tests.scenarios.process_footprint import Footprint, footprint_of
from tests.support.tones import KOKORO, LETTERS, LOW, TONES, VOICES

GIB = 1024**3
MIB = 1024**2
STARTS_WITHIN = 60.0
"""Seconds; generous, since it only tells a server that hangs from one that starts."""
_ENDS_WITHIN = 15.0
_POLL = 0.05
_FLAGS = (
    *("--uri", "tcp://127.0.0.1:0", "--http-host", "127.0.0.1", "--http-port", "0"),
    *("--no-zeroconf", "--offline"),
)


@dataclass(frozen=True, slots=True)
class Limits:
    """Resource limits of the server and its children."""

    address_space: int = 4 * GIB
    """Bytes of RLIMIT_AS: the machine survives whatever the server is made to allocate."""
    descriptors: int = 1024
    """RLIMIT_NOFILE, soft and hard: what a service gets by default."""


@dataclass(slots=True)
class AttackedServer:
    """A running server; `wyoming` and `http` are addresses that take connections."""

    process: Process
    log_file: Path
    data_dir: Path
    """Its only data directory; it holds copies of the tone voices."""
    wyoming: tuple[str, int] = ("", 0)
    http: tuple[str, int] = ("", 0)

    @property
    def url(self) -> str:
        """Base URL of the HTTP API, without a slash at the end."""
        return f"http://{self.http[0]}:{self.http[1]}"

    @property
    def log(self) -> str:
        """All that the server has logged so far."""
        return self.log_file.read_text("utf-8", "replace")

    @property
    def is_running(self) -> bool:
        """Whether the process has not ended."""
        return self.process.returncode is None

    def footprint(self) -> Footprint:
        """Memory, descriptors, threads, children and processor time of the server and its children."""
        return footprint_of(self.process.pid)

    async def until(self, holds: Callable[[], bool], *, seconds: float, what: str) -> None:
        """Poll until a condition holds.

        Raises:
            AssertionError: it did not in this time, or the server ended.
        """
        deadline = asyncio.get_running_loop().time() + seconds
        while not holds():
            assert self.is_running, f"The server ended ({self.process.returncode}):\n{self.log[-4000:]}"
            assert asyncio.get_running_loop().time() < deadline, f"{what} not within {seconds} s"
            await asyncio.sleep(_POLL)

    async def returns_to(
        self,
        before: Footprint,
        *,
        memory: int = 60 * MIB,
        descriptors: int = 8,
        threads: int = 6,
        children: int = 0,
        seconds: float = 40.0,
    ) -> Footprint:
        """Wait until no more than these margins are held above an earlier footprint.

        The margin of memory is for what stays of any load: the allocator's arenas, code loaded on first use.

        Raises:
            AssertionError: something is still held after this time.
        """
        bounds = {
            "pss": before.pss + memory,
            "descriptors": before.descriptors + descriptors,
            "threads": before.threads + threads,
            "children": before.children + children,
        }

        def over() -> dict[str, tuple[int, int]]:
            now = self.footprint()
            return {name: (getattr(now, name), most) for name, most in bounds.items()
                    if getattr(now, name) > most}  # fmt: skip

        deadline = asyncio.get_running_loop().time() + seconds
        while held := over():
            late = asyncio.get_running_loop().time() > deadline
            assert not late, f"still held after {seconds} s (now, most): {held}"
            await asyncio.sleep(0.25)
        return self.footprint()


@asynccontextmanager
async def run_attacked_server(
    command: Sequence[str], directory: Path, *flags: str, limits: Limits | None = None
) -> AsyncIterator[AttackedServer]:
    """Run a server with its state below a directory until the block ends."""
    data = directory / "data"
    _copy_voices(data)
    log_file = directory / "server.log"
    own = ("--data-dir", str(data), "--cache-dir", str(directory / "cache"), "--voice", LOW.name)
    with log_file.open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *(*command, *_FLAGS, *own, *flags),
            stdin=DEVNULL,
            stdout=log,
            stderr=log,
            env=_environment(directory),
        )
    _limit(process.pid, limits or Limits())
    server = AttackedServer(process, log_file, data)
    try:
        await _wait_for_start(server)
        yield server
    finally:
        await end_process(process, patience=_ENDS_WITHIN)


def _copy_voices(data: Path) -> None:
    data.mkdir(parents=True, exist_ok=True)
    for voice in (LOW, TONES, LETTERS):
        for ending in (".onnx", ".onnx.json"):
            shutil.copy(VOICES / f"{voice.name}{ending}", data)
    shutil.copy(VOICES / f"{KOKORO.name}.onnx", data)
    shutil.copy(VOICES / "voices-tones.bin", data)


def _environment(directory: Path) -> dict[str, str]:
    """No settings of the user's, and no directory of the user's to write into."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WYOMING_", "XDG_"))}
    return kept | {"HOME": str(directory), "PYTHONDONTWRITEBYTECODE": ""}


def _limit(pid: int, limits: Limits) -> None:
    resource.prlimit(pid, resource.RLIMIT_AS, (limits.address_space,) * 2)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (limits.descriptors,) * 2)


async def _wait_for_start(server: AttackedServer) -> None:
    def listens(scheme: str) -> re.Match[str] | None:
        return re.search(rf"listens on {scheme}s?://([\d.]+):(\d+)", server.log)

    def is_ready() -> bool:
        return bool(listens("tcp") and listens("http") and "Ready: " in server.log)

    await server.until(is_ready, seconds=STARTS_WITHIN, what="the server's start")
    for scheme in ("tcp", "http"):
        match = listens(scheme)
        assert match is not None
        setattr(server, {"tcp": "wyoming"}.get(scheme, scheme), (match[1], int(match[2])))
