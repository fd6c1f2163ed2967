"""Three servers behind a real HAProxy, with a real Redis: started, killed and stopped.

HAProxy's log is parsed for the sessions of clients.
"""

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
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from bench.failover.costly_voice import make_costly
from tests.scenarios.ports import free_ports

_ROOT = Path(__file__).parents[2]
HAPROXY_FILE = _ROOT / "deploy" / "compose" / "haproxy.cfg"
TEST_VOICE = _ROOT / "tests" / "voices" / "en_US-letters-low.onnx"
LOOPBACK = "127.0.0.1"
PATIENCE = 60.0
"""Timeout of every step, in seconds."""
BACKENDS = ("wyoming_servers", "http_servers", "speech_servers")
VOICES = tuple(f"en_US-letters{number}-low" for number in range(1, 10))
"""Voices of which each speaks alike, so that only the server tells them apart."""
COSTLY_VOICE = "en_US-costly-low"
"""One that a server can be busy with: the others take next to nothing."""
_POLL_SECONDS = 0.02
_REPLICAS = 3
_FLAGS = (
    *("--offline", "--no-zeroconf", "--no-ui", "--no-metrics"),
    *("--http-host", LOOPBACK, "--busy-status", "503"),
    *("--max-loaded-voices", "16", "--max-model-memory", "1024"),
    # Longer than any utterance here, so that a graceful stop cuts nothing off.
    *("--shutdown-grace", "60"),
    # As in replicas.yaml: all clients come from HAProxy's address.
    *("--max-connections", "512", "--max-connections-per-peer", "512"),
)
_SESSION = re.compile(
    r"127\.0\.0\.1:(?P<port>\d+) \[[^\]]+\] (?:wyoming|http) \S+/(?P<server>\S+) "
    r"(?:-?\d+/)+(?P<lasted>\d+) .* (?:\d+/)+(?P<retries>\+?\d+) \d+/\d+(?: |$)"
)


class DemonstrationFailed(Exception):
    """The demonstration could not be run, or a check failed."""


@dataclass(frozen=True, slots=True)
class ProxySession:
    """A client's connection, as HAProxy logged it at its end."""

    port: int
    """The client's port."""
    server: str
    began: float
    """By `time.monotonic`, with the precision of the log."""
    ended: float
    is_redispatched: bool
    """Whether another server refused it first."""


@dataclass
class Replica:
    """One of the servers, with ports that it keeps across restarts."""

    name: str
    port: int
    http_port: int
    agent_port: int
    flags: tuple[str, ...]
    log: Path
    process: Process | None = None

    async def start(self) -> None:
        """Start it and wait until its voice is ready."""
        others = {name: value for name, value in os.environ.items() if not name.startswith("WYOMING_TTS_")}
        where = ("--uri", f"tcp://{LOOPBACK}:{self.port}", "--http-port", str(self.http_port))
        agent = ("--agent-port", str(self.agent_port))
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "wyoming_tts", "serve", *where, *agent, *self.flags, *_FLAGS),
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

    @property
    def url(self) -> str:
        """Its HTTP side, past HAProxy."""
        return f"http://{LOOPBACK}:{self.http_port}"

    async def status(self) -> Any:
        """What it tells of itself."""
        async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as client:
            return (await client.get(f"{self.url}/status")).json()

    async def streams(self) -> int:
        """Number of utterances that it is speaking."""
        return int((await self.status())["load"]["streams"])

    async def end(self, how: signal.Signals) -> int:
        """Send it a signal and wait for its end; returns the exit code."""
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
    """HAProxy with the configuration file of the deployment."""

    port: int
    http_port: int
    statistics_port: int
    sessions: dict[int, ProxySession] = field(default_factory=dict)
    """By the client's port, which is unique to each request."""
    news: list[str] = field(default_factory=list)
    """Log lines on servers that went up or down."""

    async def open_sessions(self, backend: str, server: str) -> int:
        """Number of open connections to a server."""
        return int((await self._row(backend, server))["scur"])

    async def weight(self, backend: str, server: str) -> int:
        """Weight of a server, as its agent has told it."""
        return int((await self._row(backend, server))["weight"])

    async def is_up(self, backend: str, server: str) -> bool:
        """Whether it sends new connections to a server."""
        return (await self._row(backend, server))["status"].startswith("UP")

    async def _row(self, backend: str, server: str) -> dict[str, str]:
        async with httpx.AsyncClient(trust_env=False) as client:
            statistics = await client.get(f"http://{LOOPBACK}:{self.statistics_port}/;csv")
        rows = csv.DictReader(statistics.text.removeprefix("# ").splitlines())
        return next(row for row in rows if (row["pxname"], row["svname"]) == (backend, server))

    async def read(self, log: asyncio.StreamReader) -> None:
        """Read its log until the end."""
        async for line in log:
            text = line.decode("utf-8", "replace").rstrip()
            if match := _SESSION.match(text):
                now, port = time.monotonic(), int(match["port"])
                self.sessions[port] = ProxySession(
                    port,
                    match["server"],
                    began=now - int(match["lasted"]) / 1000,
                    ended=now,
                    is_redispatched=match["retries"].startswith("+"),
                )
            elif re.search(r"Server \S+ is (UP|DOWN)", text):
                self.news.append(text)


@dataclass(frozen=True, slots=True)
class Cluster:
    """The servers and their load balancer."""

    replicas: tuple[Replica, ...]
    balancer: LoadBalancer
    has_cache: bool
    """Whether they share one: there is a Redis server here."""


@asynccontextmanager
async def run_cluster(model: Path | None, directory: Path) -> AsyncIterator[Cluster]:
    """Run three servers behind HAProxy that share a cache, all up, until the block ends."""
    ports = free_ports(3 * _REPLICAS + 4)
    copy_voices(model or TEST_VOICE, directory)
    flags = ("--data-dir", str(directory), "--voice", VOICES[0])
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(_redis(ports[-1]))
        replicas = tuple(
            Replica(
                f"replica{number}",
                port=ports[3 * number],
                http_port=ports[3 * number + 1],
                agent_port=ports[3 * number + 2],
                flags=(*flags, "--cache-url", f"redis://{LOOPBACK}:{ports[-1]}") if redis else flags,
                log=directory / f"{number}.log",
            )
            for number in range(1, _REPLICAS + 1)
        )
        balancer = LoadBalancer(ports[0], ports[1], ports[2])
        for replica in replicas:
            stack.push_async_callback(replica.end, signal.SIGKILL)
        await asyncio.gather(*(replica.start() for replica in replicas))
        await stack.enter_async_context(_haproxy(balancer, replicas))
        for replica in replicas:
            await wait_until_up(balancer, replica.name)
        yield Cluster(replicas, balancer, has_cache=redis)


def copy_voices(model: Path, directory: Path) -> None:
    """Copy a voice under each of the names, and make one that takes longer."""
    for name in VOICES:
        shutil.copy(model, directory / f"{name}.onnx")
        shutil.copy(model.with_name(f"{model.name}.json"), directory / f"{name}.onnx.json")
    make_costly(model, directory / f"{COSTLY_VOICE}.onnx")
    shutil.copy(model.with_name(f"{model.name}.json"), directory / f"{COSTLY_VOICE}.onnx.json")


@asynccontextmanager
async def _redis(port: int) -> AsyncIterator[bool]:
    """Run a Redis server that keeps nothing on disk; yields whether there is one here."""
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        yield False
        return
    process = await asyncio.create_subprocess_exec(
        *(program, "--bind", LOOPBACK, "--port", str(port), "--save", "", "--appendonly", "no"),
        stdin=DEVNULL,
        stdout=DEVNULL,
        stderr=DEVNULL,
    )
    try:
        yield True
    finally:
        process.kill()
        await process.wait()


@asynccontextmanager
async def _haproxy(balancer: LoadBalancer, replicas: Sequence[Replica]) -> AsyncIterator[None]:
    program = shutil.which("haproxy", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        raise DemonstrationFailed("haproxy is not installed: `apt install haproxy`.")
    environment = dict(os.environ) | {
        "LOG_LEVEL": "info",
        "WYOMING_BIND": f"{LOOPBACK}:{balancer.port}",
        "HTTP_BIND": f"{LOOPBACK}:{balancer.http_port}",
        "STATISTICS_BIND": f"{LOOPBACK}:{balancer.statistics_port}",
    }
    for replica in replicas:
        environment[f"{replica.name.upper()}_WYOMING"] = f"{LOOPBACK}:{replica.port}"
        environment[f"{replica.name.upper()}_HTTP"] = f"{LOOPBACK}:{replica.http_port}"
        environment[f"{replica.name.upper()}_AGENT"] = str(replica.agent_port)
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


async def wait_until_up(balancer: LoadBalancer, server: str) -> None:
    """Wait until HAProxy sends new connections of every protocol to a server."""
    for backend in BACKENDS:
        await wait_until(partial(balancer.is_up, backend, server), f"{server} did not come up in {backend}.")


async def wait_until(condition: Callable[[], Awaitable[bool]], message: str) -> None:
    """Poll until a condition holds.

    Raises:
        DemonstrationFailed: it did not hold within PATIENCE seconds.
    """
    deadline = time.monotonic() + PATIENCE
    while not await condition():
        if time.monotonic() > deadline:
            raise DemonstrationFailed(message)
        await asyncio.sleep(_POLL_SECONDS)


async def _answers(url: str) -> bool:
    async with httpx.AsyncClient(trust_env=False) as client:
        try:
            return (await client.get(url)).is_success
        except httpx.HTTPError:
            return False
