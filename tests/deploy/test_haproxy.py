"""The HAProxy configuration: valid, and failing over when one of several servers refuses connections."""

from __future__ import annotations

import asyncio
import csv
import os
import shutil
import subprocess
from asyncio.subprocess import DEVNULL
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
import pytest
from wyoming.event import Event, async_read_event, async_write_event
from wyoming.info import Info

from tests.scenarios.ports import free_ports
from tests.support.fake_speech_service import FakeSpeechService
from tests.support.proxied_speech import SPEECH, passes_sound_at_once, speech_server
from tests.support.wyoming_client import WyomingTestClient
from wyoming_tts.errors import Busy
from wyoming_tts.speech import Utterance
from wyoming_tts.transports.http.app import HttpOptions

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
        f"REPLICA{number}_{protocol}": f"127.0.0.1:{number}"
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
        async with AsyncExitStack() as stack:
            return await self.stay_and_get_name(stack)

    async def stay_and_get_name(self, stack: AsyncExitStack) -> str:
        """The same of a connection that stays open as long as the stack."""
        async with asyncio.timeout(TIMEOUT):
            client = await stack.enter_async_context(WyomingTestClient.connect("127.0.0.1", self.port))
            await client.send(Event("ping", {}))
            return str((await client.receive()).data["text"])

    async def names_at_once(self) -> set[str]:
        """The names of all that answer when twelve connections are open at the same time."""
        async with AsyncExitStack() as stack:
            return {await self.stay_and_get_name(stack) for _ in range(12)}

    async def weights(self, backend: str) -> list[tuple[str, int]]:
        """State and weight of each server, as its agent has told them."""
        async with httpx.AsyncClient(trust_env=False) as client:
            text = (await client.get(f"{self.statistics}/;csv")).text.removeprefix("# ")
        rows = csv.DictReader(text.splitlines())
        found = [row for row in rows if row["pxname"] == backend and row["svname"].startswith("replica")]
        return [(row["status"].split()[0], int(row["weight"])) for row in found]

    async def count_up(self, backend: str = "wyoming_servers") -> int:
        async with httpx.AsyncClient(trust_env=False) as client:
            rows = (await client.get(f"{self.statistics}/;csv")).text.splitlines()
        return sum(row.startswith(f"{backend},replica") and ",UP," in row for row in rows)


@asynccontextmanager
async def run_load_balancer(
    *http_ports: int, agents: Sequence[int] = (9, 9, 9)
) -> AsyncIterator[LoadBalancer]:
    """Run HAProxy before three fake Wyoming servers, and before HTTP servers at these ports."""
    assert HAPROXY is not None
    ports = free_ports(6)
    backends = [Backend(f"replica{number}", ports[number]) for number in (1, 2, 3)]
    http_ports = http_ports or (9, 9, 9)
    environment = {
        **{f"{each.name.upper()}_WYOMING": f"127.0.0.1:{each.port}" for each in backends},
        **{f"REPLICA{number}_HTTP": f"127.0.0.1:{port}" for number, port in enumerate(http_ports, 1)},
        **{f"REPLICA{number}_AGENT": str(port) for number, port in enumerate(agents, 1)},
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
        assert await balancer.names_at_once() == {"replica1", "replica2", "replica3"}

        balancer.backends[0].close()  # refuses from now on; no health check has noticed yet
        names = Counter(await asyncio.gather(*(balancer.connect_and_get_name() for _ in range(12))))
        assert names.total() == 12
        assert set(names) <= {"replica2", "replica3"}

        await balancer.backends[0].open()
        await wait_for_count(balancer, balancer.count_up, 3)
        assert "replica1" in await balancer.names_at_once()


async def test_each_piece_of_sound_passes_when_it_is_made() -> None:
    service = FakeSpeechService()
    async with (
        speech_server(service) as server_port,
        run_load_balancer(*[server_port] * 3) as balancer,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{balancer.http_port}", trust_env=False) as client,
    ):
        await wait_for_count(balancer, partial(balancer.count_up, "speech_servers"), 3)
        assert await passes_sound_at_once(service, client)


@asynccontextmanager
async def run_agents(lines: list[str]) -> AsyncIterator[list[int]]:
    """Run an agent for each line, which a test may change; yields their ports."""

    async def tell(number: int, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"{lines[number]}\n".encode())
        writer.close()

    async with AsyncExitStack() as stack:
        servers = [
            await asyncio.start_server(partial(tell, number), "127.0.0.1", 0) for number in range(len(lines))
        ]
        for server in servers:
            stack.callback(server.close)
        yield [server.sockets[0].getsockname()[1] for server in servers]


async def test_agents_set_weights_and_drain_in_every_backend() -> None:
    lines = ["ready 100%"] * 3
    async with run_agents(lines) as agents, run_load_balancer(agents=agents) as balancer:

        async def count_expected() -> int:
            states = await balancer.weights("wyoming_servers")
            return sum(
                state == ("DRAIN" if "drain" in line else "UP")
                and (state == "DRAIN" or line == f"ready {weight}%")
                for (state, weight), line in zip(states, lines, strict=True)
            )

        lines[1:] = "ready 2%", "drain"
        await wait_for_count(balancer, count_expected, 3)
        one_at_a_time = Counter([await balancer.connect_and_get_name() for _ in range(40)])
        async with AsyncExitStack() as stack:
            at_once = Counter([await balancer.stay_and_get_name(stack) for _ in range(12)])
        assert one_at_a_time["replica2"] <= 10, "about 2 percent of 40, where by turns it would be 20"
        assert at_once["replica2"] <= 1
        assert one_at_a_time.keys() | at_once.keys() <= {"replica1", "replica2"}
        lines[2] = "ready 100%"  # it was started again
        await wait_for_count(balancer, count_expected, 3)
        assert "replica3" in await balancer.names_at_once()


async def test_speech_by_http_goes_by_its_voice_and_past_a_server_that_has_too_much() -> None:
    replicas = [FakeSpeechService() for _ in range(3)]
    async with AsyncExitStack() as stack:
        ports = [await stack.enter_async_context(speech_server(service)) for service in replicas]
        balancer = await stack.enter_async_context(run_load_balancer(*ports))
        client = await stack.enter_async_context(
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{balancer.http_port}", trust_env=False)
        )
        await wait_for_count(balancer, partial(balancer.count_up, "speech_servers"), 3)

        async def speak(voice: str) -> int:
            """The replica that spoke."""
            before = [len(service.utterances) for service in replicas]
            (await client.post("/v1/audio/speech", json=SPEECH | {"voice": voice})).raise_for_status()
            (spoke,) = (
                number for number, service in enumerate(replicas) if len(service.utterances) > before[number]
            )
            return spoke

        voices = [f"voice{number}" for number in range(12)]
        homes = {voice: await speak(voice) for voice in voices}
        assert len(set(homes.values())) > 1
        assert {voice: await speak(voice.upper()) for voice in voices} == homes

        go_on = asyncio.Event()

        async def hold(_: Utterance, __: int) -> None:
            await go_on.wait()

        for service in replicas:
            service.on_chunk = hold
        async with asyncio.timeout(TIMEOUT), asyncio.TaskGroup() as tasks:
            body = SPEECH | {"voice": voices[0]}
            for _ in range(9):
                tasks.create_task(client.post("/v1/audio/speech", json=body, timeout=TIMEOUT))
            while sum(service.entered - service.left for service in replicas) < 9:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            at_once = [service.entered - service.left for service in replicas]
            go_on.set()
        assert max(at_once) <= 5, "the voice's own server, a quarter above the average"
        assert at_once[homes[voices[0]]] == max(at_once)


async def test_speech_that_servers_refuse_as_busy_is_asked_of_the_others() -> None:
    replicas = [FakeSpeechService() for _ in range(3)]
    busy: set[int] = set()

    async def refuse(number: int, _: Utterance) -> None:
        if number in busy:
            raise Busy("Full.")

    lines = ["ready 100%"] * 3
    async with AsyncExitStack() as stack:
        ports = []
        for number, service in enumerate(replicas):
            service.on_enter = partial(refuse, number)
            server = speech_server(service, options=HttpOptions(busy_status=503))
            ports.append(await stack.enter_async_context(server))
        agents = await stack.enter_async_context(run_agents(lines))
        balancer = await stack.enter_async_context(run_load_balancer(*ports, agents=agents))
        client = await stack.enter_async_context(
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{balancer.http_port}", trust_env=False)
        )
        await wait_for_count(balancer, partial(balancer.count_up, "speech_servers"), 3)

        async def speak(voice: str) -> httpx.Response:
            return await client.post("/v1/audio/speech", json=SPEECH | {"voice": voice})

        for number in range(3):  # unknown to HAProxy until it is refused
            busy = {number}
            assert {(await speak(f"voice{each}")).status_code for each in range(12)} == {200}
        busy = {0, 2}
        lines[0] = lines[2] = "ready 1%"  # as a server with no room tells

        async def count_weighed() -> int:
            return sum(weight == 1 for _, weight in await balancer.weights("speech_servers"))

        await wait_for_count(balancer, count_weighed, 2)
        assert {(await speak(f"voice{each}")).status_code for each in range(12)} == {200}
        busy = {0, 1, 2}
        refused = await speak("voice")
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
