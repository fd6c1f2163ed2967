"""The HAProxy configuration: valid, and failing over when one of several servers refuses connections."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from asyncio.subprocess import DEVNULL
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
import pytest
from wyoming.event import Event, async_read_event, async_write_event
from wyoming.info import Info

from tests.scenarios.ports import free_ports
from tests.support.fake_speech_service import FakeSpeechService
from tests.support.proxied_speech import CORK_SECONDS, fastest_piece, speech_server
from tests.support.wyoming_client import WyomingTestClient

FILE = Path(__file__).parents[2] / "deploy" / "compose" / "haproxy.cfg"
HAPROXY = shutil.which("haproxy", path=f"/usr/sbin:{os.environ.get('PATH', '')}")
TIMEOUT = 15.0

pytestmark = pytest.mark.skipif(HAPROXY is None, reason="haproxy is not installed")


def test_haproxy_accepts_the_configuration_while_replicas_do_not_resolve() -> None:
    assert HAPROXY is not None
    completed = subprocess.run([HAPROXY, "-c", "-f", str(FILE)], capture_output=True, text=True, check=False)
    assert completed.returncode == 0, completed.stderr
    warnings = [line for line in completed.stderr.splitlines() if "[WARNING]" in line]
    assert all("could not resolve address 'replica" in line for line in warnings), warnings


def test_haproxy_accepts_the_configuration_without_warnings_when_replicas_resolve() -> None:
    assert HAPROXY is not None
    addresses = {
        f"REPLICA{number}_{protocol}": "127.0.0.1:9"
        for number in (1, 2, 3)
        for protocol in ("WYOMING", "HTTP")
    }
    command = [HAPROXY, "-c", "-f", str(FILE)]
    completed = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | addresses
    )
    assert (completed.returncode, completed.stderr) == (0, "")


@dataclass
class Backend:
    """A fake Wyoming server that answers with its name, and can be closed and reopened."""

    name: str
    port: int
    server: asyncio.Server | None = None

    async def open(self) -> None:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    def close(self) -> None:
        if self.server is not None:
            self.server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (event := await async_read_event(reader)) is not None:
            if event.type == "describe":
                await async_write_event(Info().event(), writer)
            else:
                await async_write_event(Event("pong", {"text": self.name}), writer)
        writer.close()


@dataclass
class LoadBalancer:
    """HAProxy in front of three backends."""

    port: int
    http_port: int
    statistics: str
    backends: list[Backend]

    async def connect_and_get_name(self) -> str:
        """The name of the backend that answers a new connection."""
        async with asyncio.timeout(TIMEOUT), WyomingTestClient.connect("127.0.0.1", self.port) as client:
            await client.send(Event("ping", {}))
            return str((await client.receive()).data["text"])

    async def count_up(self, backend: str = "wyoming_servers") -> int:
        async with httpx.AsyncClient(trust_env=False) as client:
            rows = (await client.get(f"{self.statistics}/;csv")).text.splitlines()
        return sum(row.startswith(f"{backend},replica") and ",UP," in row for row in rows)


@asynccontextmanager
async def run_load_balancer(http_port: int = 9) -> AsyncIterator[LoadBalancer]:
    """Run HAProxy before three fake Wyoming servers, and one HTTP server for all three replicas."""
    assert HAPROXY is not None
    ports = free_ports(6)
    backends = [Backend(f"replica{number}", ports[number]) for number in (1, 2, 3)]
    environment = {
        **{f"{each.name.upper()}_WYOMING": f"127.0.0.1:{each.port}" for each in backends},
        **{f"{each.name.upper()}_HTTP": f"127.0.0.1:{http_port}" for each in backends},
        "WYOMING_BIND": f"127.0.0.1:{ports[0]}",
        "HTTP_BIND": f"127.0.0.1:{ports[4]}",
        "STATISTICS_BIND": f"127.0.0.1:{ports[5]}",
    }
    for backend in backends:
        await backend.open()
    process = await asyncio.create_subprocess_exec(
        *(HAPROXY, "-db", "-f", str(FILE)),
        stdin=DEVNULL,
        stdout=DEVNULL,
        stderr=DEVNULL,
        env=os.environ | environment,
    )
    balancer = LoadBalancer(ports[0], ports[4], f"http://127.0.0.1:{ports[5]}", backends)
    try:
        await wait_for_count(balancer, balancer.count_up, 3)
        yield balancer
    finally:
        process.kill()
        await process.wait()
        for backend in backends:
            backend.close()


async def wait_for_count(balancer: LoadBalancer, count: Callable[[], Awaitable[int]], expected: int) -> None:
    async with asyncio.timeout(TIMEOUT):
        while True:
            try:
                if await count() == expected:
                    return
            except httpx.TransportError:
                pass  # HAProxy has not opened its ports yet
            await asyncio.sleep(0.02)


async def test_a_refusing_server_fails_no_request_and_is_used_again_after_recovery() -> None:
    async with run_load_balancer() as balancer:
        before = Counter([await balancer.connect_and_get_name() for _ in range(6)])
        assert set(before) == {"replica1", "replica2", "replica3"}

        balancer.backends[0].close()  # refuses from now on; no health check has noticed yet
        names = Counter(await asyncio.gather(*(balancer.connect_and_get_name() for _ in range(12))))
        assert names.total() == 12
        assert set(names) == {"replica2", "replica3"}

        await balancer.backends[0].open()
        await wait_for_count(balancer, balancer.count_up, 3)
        assert "replica1" in {await balancer.connect_and_get_name() for _ in range(6)}


async def test_each_piece_of_sound_passes_when_it_is_made() -> None:
    service = FakeSpeechService()
    async with (
        speech_server(service) as server_port,
        run_load_balancer(server_port) as balancer,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{balancer.http_port}", trust_env=False) as client,
    ):
        await wait_for_count(balancer, partial(balancer.count_up, "http_servers"), 3)
        assert await fastest_piece(service, client) < CORK_SECONDS / 2
