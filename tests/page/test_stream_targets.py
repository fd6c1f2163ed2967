"""Which servers a stream test may speak to, and the search for those on the network."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from tests.page.stream_test_service import closed_port, last_frame, service_for
from tests.support.fake_synthesizer import run_in_thread
from wyoming_tts.client import DiscoveredServer
from wyoming_tts.errors import BadRequest
from wyoming_tts.page.stream_test.client import ClientState
from wyoming_tts.page.stream_test.request import ClientKind, StreamTestRequest, parse_address
from wyoming_tts.page.stream_test.targets import OwnAddresses, StreamTestTarget, StreamTestTargets


@pytest.mark.parametrize(
    "target",
    [
        "unix:///run/docker.sock",
        "http://localhost:1",
        "localhost:port",
        "localhost:99999",
        "user@localhost",
        "localhost/path",
        "local\nhost",
        "h" * 300,
    ],
)
def test_a_malformed_target_is_refused(target: str) -> None:
    with pytest.raises(BadRequest, match="as the address of a server"):
        parse_address(target)


@pytest.mark.parametrize(
    ("target", "uri"),
    [
        ("nas.local", "tcp://nas.local:10200"),
        (" 10.0.0.5:1234 ", "tcp://10.0.0.5:1234"),
        ("tcp://[fe80::1]:10200", "tcp://[fe80::1]:10200"),
        ("[::1]", "tcp://[::1]:10200"),
    ],
)
def test_a_target_address_defaults_to_tcp_and_port_10200(target: str, uri: str) -> None:
    assert parse_address(target) == uri


class Names:
    """Resolves names to 10.0.0.7, and counts how often."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[str] = []
        monkeypatch.setattr("wyoming_tts.page.stream_test.targets.socket.getaddrinfo", self._resolve)

    def _resolve(self, host: str, port: int, **_: object) -> list[Any]:
        self.asked.append(host)
        if host == "gone.lan":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.7", port))]


def targets(*allowed: str) -> StreamTestTargets:
    own = OwnAddresses("tcp://127.0.0.1:10200", "https://127.0.0.1:8880", api_key="secret")
    return StreamTestTargets(lambda: own, allowed, run_blocking=run_in_thread)


async def test_any_other_target_is_refused_by_one_message_and_never_resolved(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = Names(monkeypatch)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        ports = (listening.getsockname()[1], closed_port(), 22)
        hosts = (
            "127.0.0.1",
            "localhost",
            "[::1]",
            "router.lan",
            "no-such-host.invalid",
            "0x7f000001",
            "127.1",
        )
        messages: set[str] = set()
        for target in [f"{host}:{port}" for host in hosts for port in ports]:
            with pytest.raises(BadRequest) as refused:
                await targets("nas.lan", "10.0.0.5:1234").resolve(target)
            messages.add(str(refused.value))
        listening.setblocking(False)
        with pytest.raises(BlockingIOError):
            listening.accept()
    assert len(messages) == 1
    assert "stream_test_targets" in messages.pop()
    assert names.asked == []


async def test_this_server_is_a_target_and_so_are_those_of_the_setting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = Names(monkeypatch)
    known = targets("NAS.lan", "10.0.0.5:1234", "gone.lan")
    assert (await known.resolve(" ")).uri == "tcp://127.0.0.1:10200"
    assert (await known.resolve("127.0.0.1")).uri == "tcp://127.0.0.1:10200"
    assert (await known.resolve("10.0.0.5:1234")).uri == "tcp://10.0.0.5:1234"
    assert names.asked == []
    assert (await known.resolve("nas.lan:10200")).uri == "tcp://10.0.0.7:10200"
    assert names.asked == ["nas.lan"]
    for other_port in ("nas.lan:22", "10.0.0.5"):
        with pytest.raises(BadRequest, match="stream_test_targets"):
            await known.resolve(other_port)
    with pytest.raises(BadRequest, match=r"gone\.lan has no address"):
        await known.resolve("gone.lan")


async def test_a_target_is_reached_by_the_protocol_of_the_client_and_only_this_server_gets_its_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Names(monkeypatch)
    known = targets("nas.lan:8880", "10.0.0.5:1234")
    own = StreamTestTarget("https://127.0.0.1:8880", "secret", is_own=True)
    for kind in (ClientKind.HTTP, ClientKind.REALTIME):
        assert [await known.resolve(target, kind) for target in ("", "127.0.0.1:10200", "127.0.0.1")] == [
            own
        ] * 3
        assert await known.resolve("nas.lan", kind) == StreamTestTarget("http://10.0.0.7:8880")
        assert await known.resolve("10.0.0.5:1234", kind) == StreamTestTarget("http://10.0.0.5:1234")
        for other in ("10.0.0.5", "127.0.0.1:22"):
            with pytest.raises(BadRequest, match="stream_test_targets"):
                await known.resolve(other, kind)
    for kind in (ClientKind.WYOMING_STREAM, ClientKind.WYOMING_PLAIN):
        wyoming = await known.resolve("127.0.0.1:8880", kind)
        assert wyoming == StreamTestTarget("tcp://127.0.0.1:10200", is_own=True)
    without_http = StreamTestTargets(lambda: OwnAddresses("tcp://127.0.0.1:1"), run_blocking=run_in_thread)
    with pytest.raises(BadRequest, match="HTTP"):
        await without_http.resolve("", ClientKind.HTTP)


async def test_a_server_found_on_the_network_is_a_target_from_then_on() -> None:
    async def search(_: float) -> list[DiscoveredServer]:
        return [DiscoveredServer("kitchen", f"tcp://127.0.0.1:{port}", ("127.0.0.1",))]

    port = closed_port()
    request = StreamTestRequest("Hi.", target=f"127.0.0.1:{port}")
    async with service_for("tcp://127.0.0.1:1", search=search) as service:
        with pytest.raises(BadRequest, match="search for it"):
            await last_frame(service, request)
        await service.find()
        assert (await last_frame(service, request)).lanes[0].state is ClientState.FAILED


def test_a_limited_number_of_found_servers_is_remembered() -> None:
    known = targets()
    known.add(DiscoveredServer(str(number), f"tcp://10.0.0.5:{number}", ()) for number in range(1, 1000))
    assert len(known._found) == 64
    assert "tcp://10.0.0.5:999" in known._found


async def test_server_discovery_runs_one_search_at_a_time() -> None:
    searches: list[float] = []
    at_once = 0

    async def search(seconds: float) -> list[DiscoveredServer]:
        nonlocal at_once
        at_once += 1
        assert at_once == 1
        await asyncio.sleep(0)
        searches.append(seconds)
        at_once -= 1
        return [DiscoveredServer("house", "tcp://10.0.0.5:10200", ("10.0.0.5",))]

    async with service_for("tcp://127.0.0.1:1", search=search) as service:
        first, second = await asyncio.gather(service.find(), service.find())
    assert [server.name for server in first + second] == ["house"] * 2
    assert len(searches) == 2
    assert max(searches) <= 5.0


async def test_a_hanging_search_times_out_with_no_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wyoming_tts.page.stream_test.service._MAX_SEARCH_SECONDS", 0.05)

    async def search(_: float) -> list[DiscoveredServer]:
        await asyncio.Event().wait()
        return []

    async with service_for("tcp://127.0.0.1:1", search=search) as service:
        assert await service.find() == ()
