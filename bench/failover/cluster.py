"""Three servers behind a real HAProxy: started, killed, stopped; its log tells of each connection."""

from __future__ import annotations

import asyncio
import csv
import os
import re
import shutil
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.scenarios.ports import free_ports

_ROOT = Path(__file__).parents[2]
HAPROXY_FILE = _ROOT / "deploy" / "compose" / "haproxy.cfg"
_TEST_VOICE = _ROOT / "tests" / "voices" / "en_US-letters-low.onnx"
LOOPBACK = "127.0.0.1"
PATIENCE = 120.0
"""Seconds that anything here may take."""
_BETWEEN_LOOKS = 0.02
_REPLICAS = 3
_FLAGS = (
    *("--offline", "--no-zeroconf", "--no-ui", "--no-metrics", "--cache-memory", "0"),
    *("--http-host", LOOPBACK),
    # Longer than what is spoken here, so that a polite stop has nothing to cut off.
    *("--shutdown-grace", "60"),
    # As replicas.yaml has it: all clients come from HAProxy's address.
    *("--max-connections", "512", "--max-connections-per-peer", "512"),
)
_SESSION = re.compile(
    r"127\.0\.0\.1:(?P<port>\d+) \[[^\]]+\] (?:wyoming|http) \S+/(?P<server>\S+) "
    r"(?:-?\d+/)+(?P<lasted>\d+) .* (?:\d+/)+(?P<retries>\+?\d+) \d+/\d+(?: |$)"
)


class DemonstrationFailed(Exception):
    """What was to be shown is not so."""


@dataclass(frozen=True, slots=True)
class ProxySession:
    """A connection of a client's, as HAProxy logged it when it was over."""

    port: int
    """The client's."""
    server: str
    began: float
    """By `time.monotonic`, as near as a log can tell."""
    ended: float
    is_redispatched: bool
    """Whether another server had refused it before."""


@dataclass
class Replica:
    """One of the servers, on ports that stay its own."""

    name: str
    port: int
    http_port: int
    voice: tuple[str, ...]
    log: Path
    process: Process | None = None

    async def start(self) -> None:
        """Start it, and wait until its voice is ready."""
        others = {name: value for name, value in os.environ.items() if not name.startswith("WYOMING_TTS_")}
        where = ("--uri", f"tcp://{LOOPBACK}:{self.port}", "--http-port", str(self.http_port))
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "wyoming_tts", "serve", *where, *self.voice, *_FLAGS),
                stdin=DEVNULL,
                stdout=log,
                stderr=log,
                env=others,
            )
        await wait_until(self._is_ready, f"{self.name} did not become ready; its log is {self.log}")

    async def _is_ready(self) -> bool:
        if self.process is None or self.process.returncode is not None:
            raise DemonstrationFailed(f"{self.name} ended: {self.log.read_text('utf-8', 'replace')[-2000:]}")
        return await _answers(f"http://{LOOPBACK}:{self.http_port}/readyz")

    async def streams(self) -> int:
        """How many utterances it is speaking, as it says itself."""
        async with httpx.AsyncClient(trust_env=False) as client:
            status = (await client.get(f"http://{LOOPBACK}:{self.http_port}/status")).json()
        return int(status["load"]["streams"])

    async def end(self, how: signal.Signals) -> int:
        """Signal it and wait for its end; return its exit code."""
        if self.process is None or self.process.returncode is not None:
            return 0
        self.process.send_signal(how)
        try:
            async with asyncio.timeout(PATIENCE):
                return await self.process.wait()
        except TimeoutError:
            self.process.kill()
            raise DemonstrationFailed(
                f"{self.name} did not end within {PATIENCE:g} s of {how.name}."
            ) from None


@dataclass
class LoadBalancer:
    """HAProxy with the file that is deployed."""

    port: int
    http_port: int
    statistics_port: int
    sessions: dict[int, ProxySession] = field(default_factory=dict)
    """By the client's port, for which each utterance has one of its own."""
    news: list[str] = field(default_factory=list)
    """What it said of its servers."""

    async def open_sessions(self, backend: str, server: str) -> int:
        """How many connections it has open to a server."""
        return int((await self._row(backend, server))["scur"])

    async def is_up(self, backend: str, server: str) -> bool:
        """Whether a server gets new connections."""
        return (await self._row(backend, server))["status"].startswith("UP")

    async def _row(self, backend: str, server: str) -> dict[str, str]:
        async with httpx.AsyncClient(trust_env=False) as client:
            told = await client.get(f"http://{LOOPBACK}:{self.statistics_port}/;csv")
        rows = csv.DictReader(told.text.removeprefix("# ").splitlines())
        return next(row for row in rows if (row["pxname"], row["svname"]) == (backend, server))

    async def read(self, log: asyncio.StreamReader) -> None:
        """Read its log to the end."""
        async for line in log:
            told = line.decode("utf-8", "replace").rstrip()
            if match := _SESSION.match(told):
                now, port = time.monotonic(), int(match["port"])
                self.sessions[port] = ProxySession(
                    port,
                    match["server"],
                    began=now - int(match["lasted"]) / 1000,
                    ended=now,
                    is_redispatched=match["retries"].startswith("+"),
                )
            elif re.search(r"Server \S+ is (UP|DOWN)", told):
                self.news.append(told)


@dataclass(frozen=True, slots=True)
class Cluster:
    """Everything that runs."""

    replicas: tuple[Replica, ...]
    balancer: LoadBalancer


@asynccontextmanager
async def run_cluster(model: Path | None, directory: Path) -> AsyncIterator[Cluster]:
    """Three servers, HAProxy before them, all of them up; ended with the block."""
    ports = free_ports(2 * _REPLICAS + 3)
    model = model or _TEST_VOICE
    voice = ("--data-dir", str(model.parent), "--voice", model.stem, "--download-dir", str(directory))
    replicas = tuple(
        Replica(
            f"replica{number}", ports[2 * number], ports[2 * number + 1], voice, directory / f"{number}.log"
        )
        for number in range(1, _REPLICAS + 1)
    )
    balancer = LoadBalancer(ports[0], ports[1], ports[-1])
    async with AsyncExitStack() as stack:
        for replica in replicas:
            stack.push_async_callback(replica.end, signal.SIGKILL)
        await asyncio.gather(*(replica.start() for replica in replicas))
        await stack.enter_async_context(_haproxy(balancer, replicas))
        for replica in replicas:
            for backend in ("wyoming_servers", "http_servers"):
                await wait_until_up(balancer, backend, replica.name)
        yield Cluster(replicas, balancer)


@asynccontextmanager
async def _haproxy(balancer: LoadBalancer, replicas: Sequence[Replica]) -> AsyncIterator[None]:
    program = shutil.which("haproxy", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        raise DemonstrationFailed("There is no haproxy: `apt install haproxy`.")
    environment = dict(os.environ) | {
        "LOG_LEVEL": "info",
        "WYOMING_BIND": f"{LOOPBACK}:{balancer.port}",
        "HTTP_BIND": f"{LOOPBACK}:{balancer.http_port}",
        "STATISTICS_BIND": f"{LOOPBACK}:{balancer.statistics_port}",
    }
    for replica in replicas:
        environment[f"{replica.name.upper()}_WYOMING"] = f"{LOOPBACK}:{replica.port}"
        environment[f"{replica.name.upper()}_HTTP"] = f"{LOOPBACK}:{replica.http_port}"
    process = await asyncio.create_subprocess_exec(
        *(program, "-db", "-f", str(HAPROXY_FILE)),
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=DEVNULL,
        env=environment,
    )
    if process.stdout is None:
        raise DemonstrationFailed("HAProxy's log cannot be read.")
    reading = asyncio.create_task(balancer.read(process.stdout))
    try:
        healthy = f"http://{LOOPBACK}:{balancer.statistics_port}/healthz"
        await wait_until(lambda: _answers(healthy), "HAProxy did not open its ports.")
        yield
    finally:
        process.kill()
        await process.wait()
        await reading


async def wait_until_up(balancer: LoadBalancer, backend: str, server: str) -> None:
    """Wait until HAProxy gives a server new connections."""
    await wait_until(lambda: balancer.is_up(backend, server), f"{server} did not come up in {backend}.")


async def wait_until(happened: Callable[[], Awaitable[bool]], complaint: str) -> None:
    """Look until something is so.

    Raises:
        NotShown: it is not for too long.
    """
    deadline = time.monotonic() + PATIENCE
    while not await happened():
        if time.monotonic() > deadline:
            raise DemonstrationFailed(complaint)
        await asyncio.sleep(_BETWEEN_LOOKS)


async def _answers(url: str) -> bool:
    async with httpx.AsyncClient(trust_env=False) as client:
        try:
            return (await client.get(url)).is_success
        except httpx.HTTPError:
            return False
