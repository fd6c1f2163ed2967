from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import secrets
import socket
from collections.abc import AsyncIterator

import pytest
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from tests.support.scripted_server import answer_describe, info, scripted_server
from wyoming_tts.client import DiscoveredServer, discover_servers, discover_tts_server
from wyoming_tts.client import server_discovery as finding
from wyoming_tts.client.server_discovery import MAX_ADDRESSES, MAX_INSTANCES, SERVICE_TYPE, _Search

LOOPBACK = ["127.0.0.1"]


@contextlib.asynccontextmanager
async def announced(name: str, port: int) -> AsyncIterator[None]:
    kind = finding.SERVICE_TYPE
    service = AsyncServiceInfo(kind, f"{name}.{kind}", addresses=[socket.inet_aton("127.0.0.1")], port=port)
    async with AsyncZeroconf(interfaces=LOOPBACK) as mdns:
        # The name is unique; probing the network for it would take most of a second.
        await mdns.async_register_service(service, cooperating_responders=True)
        yield


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers of other tests, and of this machine, are of another type."""
    monkeypatch.setattr(finding, "SERVICE_TYPE", f"_wy{secrets.token_hex(4)}._tcp.local.")


def unique_name(name: str) -> str:
    return f"{name} {secrets.token_hex(4)}"


@pytest.mark.slow
async def test_a_search_returns_only_servers_that_can_speak(alone: None) -> None:
    speaking, mute, gone = unique_name("speaking"), unique_name("deaf"), unique_name("gone")
    async with (
        scripted_server(answer_describe(info())) as server,
        scripted_server(answer_describe(info(installed=False))) as other,
        announced(speaking, server.port),
        announced(mute, other.port),
        announced(gone, 1),
    ):
        found = {each.name: each for each in await discover_servers(2.0, interfaces=LOOPBACK)}
        assert found[speaking] == DiscoveredServer(speaking, server.uri, ("127.0.0.1",))
        assert mute not in found
        assert gone not in found
        assert other.types == ["describe"]


async def test_the_first_server_found_ends_the_search(alone: None) -> None:
    name = unique_name("first")
    async with scripted_server(answer_describe(info())) as server, announced(name, server.port):
        async with asyncio.timeout(20):
            found = await discover_tts_server(60.0, interfaces=LOOPBACK)
    assert found == DiscoveredServer(name, server.uri, ("127.0.0.1",))


async def test_a_search_without_a_server_returns_none_after_the_timeout(alone: None) -> None:
    async with (
        scripted_server(answer_describe(info(installed=False))) as server,
        announced(unique_name("deaf"), server.port),
    ):
        assert await discover_tts_server(0.6, interfaces=LOOPBACK) is None
        assert server.types == ["describe"]


async def test_a_machine_without_a_network_finds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    # Asking for a missing interface does the same, but zeroconf then leaves sockets behind.
    def fail_without_network(**options: object) -> AsyncZeroconf:
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))

    monkeypatch.setattr(finding, "AsyncZeroconf", fail_without_network)
    assert await discover_tts_server(0.01) is None
    assert await discover_servers(0.01) == []


def test_the_local_server_is_ranked_first_and_ipv4_before_ipv6() -> None:
    search = _Search()
    far = DiscoveredServer("a", "tcp://192.0.2.7:10200", ("192.0.2.7",))
    far_v6 = DiscoveredServer("b", "tcp://[2001:db8::7%3]:10200", ("2001:db8::7%3",))
    own = DiscoveredServer("z", "tcp://127.0.0.1:10200", ("127.0.0.1",))
    for server in (far_v6, far, own):
        search._keep(server)
    assert search.ranked() == [own, far, far_v6]
    assert search.own_found.is_set()


def test_of_a_flood_of_announcements_a_bounded_number_is_asked_and_one_line_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    search = _Search()
    admitted = [search.admits(f"invented {number}.{SERVICE_TYPE}") for number in range(5_000)]
    assert admitted == [True] * MAX_INSTANCES + [False] * (5_000 - MAX_INSTANCES)
    assert len(caplog.records) == 1


@pytest.mark.parametrize("name", ["a\x1b[31mred", "two\nlines", "nul\0", "\udcff"])
def test_a_name_with_control_characters_is_ignored(name: str) -> None:
    search = _Search()
    assert not search.admits(f"{name}.{SERVICE_TYPE}")
    assert search.admits(f"Küche 🎙.{SERVICE_TYPE}")


async def test_of_the_addresses_of_one_instance_few_are_tried_and_only_those_of_single_machines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def refuse(uri: str) -> bool:
        tried.append(uri)
        return False

    async def resolve(info: AsyncServiceInfo, *_: object) -> bool:
        info.addresses = [socket.inet_aton(text) for text in ("0.0.0.0", "224.0.0.251", *far)]
        info.port = 10200
        return True

    tried: list[str] = []
    far = [f"192.0.2.{number}" for number in range(200)]
    monkeypatch.setattr(finding, "has_tts", refuse)
    monkeypatch.setattr(AsyncServiceInfo, "async_request", resolve)
    async with AsyncZeroconf(interfaces=LOOPBACK) as mdns:
        await _Search().probe(mdns.zeroconf, SERVICE_TYPE, f"many.{SERVICE_TYPE}")
    assert len(tried) == MAX_ADDRESSES
    assert all(uri.startswith("tcp://192.0.2.") for uri in tried)
