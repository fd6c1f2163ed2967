"""HAProxy's file: understood by HAProxy, and used before servers of which one refuses connections."""

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
from pathlib import Path

import httpx
import pytest
from wyoming.event import Event, async_read_event, async_write_event
from wyoming.info import Info

from tests.scenarios.ports import free_ports
from tests.support.wyoming_client import WyomingTestClient

FILE = Path(__file__).parents[2] / "deploy" / "compose" / "haproxy.cfg"
HAPROXY = shutil.which("haproxy", path=f"/usr/sbin:{os.environ.get('PATH', '')}")
PATIENCE = 15.0

pytestmark = pytest.mark.skipif(HAPROXY is None, reason="haproxy is not installed")


def test_haproxy_takes_the_file_also_where_the_servers_have_no_address_yet() -> None:
    assert HAPROXY is not None
    done = subprocess.run([HAPROXY, "-c", "-f", str(FILE)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    warnings = [line for line in done.stderr.splitlines() if "[WARNING]" in line]
    assert all("could not resolve address 'replica" in line for line in warnings), warnings


def test_haproxy_has_no_warning_where_they_have() -> None:
    assert HAPROXY is not None
    addresses = {
        f"REPLICA{number}_{door}": "127.0.0.1:9" for number in (1, 2, 3) for door in ("WYOMING", "HTTP")
    }
    command = [HAPROXY, "-c", "-f", str(FILE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | addresses)
    assert (done.returncode, done.stderr) == (0, "")


@dataclass
class Backend:
    """A Wyoming server that says its name, and that can be closed and opened."""

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
class Front:
    """HAProxy before three of them."""

    port: int
    statistics: str
    backends: list[Backend]

    async def ask(self) -> str:
        """Which of them answers a new connection."""
        async with asyncio.timeout(PATIENCE), WyomingTestClient.connect("127.0.0.1", self.port) as client:
            await client.send(Event("ping", {}))
            return str((await client.receive()).data["text"])

    async def ups(self) -> int:
        async with httpx.AsyncClient(trust_env=False) as client:
            rows = (await client.get(f"{self.statistics}/;csv")).text.splitlines()
        return sum(row.startswith("wyoming_servers,replica") and ",UP," in row for row in rows)


@asynccontextmanager
async def front() -> AsyncIterator[Front]:
    assert HAPROXY is not None
    ports = free_ports(6)
    backends = [Backend(f"replica{number}", ports[number]) for number in (1, 2, 3)]
    environment = {
        **{f"{each.name.upper()}_WYOMING": f"127.0.0.1:{each.port}" for each in backends},
        **{f"{each.name.upper()}_HTTP": "127.0.0.1:9" for each in backends},
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
    running = Front(ports[0], f"http://127.0.0.1:{ports[5]}", backends)
    try:
        await until(running, running.ups, 3)
        yield running
    finally:
        process.kill()
        await process.wait()
        for backend in backends:
            backend.close()


async def until(running: Front, count: Callable[[], Awaitable[int]], wanted: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                if await count() == wanted:
                    return
            except httpx.TransportError:
                pass  # it has not opened its ports yet
            await asyncio.sleep(0.02)


async def test_a_server_that_refuses_costs_nobody_anything_and_is_used_again() -> None:
    async with front() as running:
        before = Counter([await running.ask() for _ in range(6)])
        assert set(before) == {"replica1", "replica2", "replica3"}

        running.backends[0].close()  # from here on it refuses, and HAProxy has not looked yet
        answered = Counter(await asyncio.gather(*(running.ask() for _ in range(12))))
        assert answered.total() == 12
        assert set(answered) == {"replica2", "replica3"}

        await running.backends[0].open()
        await until(running, running.ups, 3)
        assert "replica1" in {await running.ask() for _ in range(6)}
