"""Zeroconf announcement between real instances on the loopback interface: from its start to its goodbye."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import pytest
from zeroconf.asyncio import AsyncZeroconf

from tests.unit.transports.discovery.announcing import (
    ADDED,
    ENVIRONMENT,
    KITCHEN,
    LOOPBACK,
    PATIENCE,
    REMOVED,
    UPDATED,
    FakeNetwork,
    ServiceListener,
    announce_on_loopback,
    announcing,
    fresh_zeroconf,
    log_lines,
    resolve_fresh,
)
from wyoming_tts.transports.discovery import ZeroconfAnnouncer

T = TypeVar("T")


async def send_greeting(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"hello")
    writer.close()
    await writer.wait_closed()


async def test_a_server_is_found_resolved_and_reached_and_disappears_on_shutdown(
    listener: ServiceListener, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with await asyncio.start_server(send_greeting, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        announcement = announce_on_loopback(port, name=name)
        async with announcing(announcement):
            await listener.wait_for(ADDED, name)
            found = await listener.resolve(name)
            (address,) = found.parsed_addresses()
            reader, writer = await asyncio.open_connection(address, found.port)
            assert await reader.read() == b"hello"
            writer.close()
            await writer.wait_closed()
            assert (announcement.name, announcement.addresses) == (name, ("127.0.0.1",))
        await listener.wait_for(REMOVED, name)
    assert (announcement.name, announcement.addresses) == (None, ())
    assert not [message for level, message in log_lines(caplog) if level == "WARNING"]


class RecordingZeroconf(AsyncZeroconf):
    """Runs on loopback whatever interfaces are requested, and records them."""

    def __init__(self, interfaces: list[str]) -> None:
        super().__init__(interfaces=LOOPBACK)
        self.requested_interfaces = [interfaces]

    async def async_update_interfaces(self, interfaces: object = None, *_: object) -> None:
        assert isinstance(interfaces, list)
        self.requested_interfaces.append(interfaces)


@pytest.mark.slow
async def test_an_address_change_is_announced_and_its_interface_joined(
    listener: ServiceListener, name: str
) -> None:
    network = FakeNetwork("127.0.0.1", "::1", "198.51.100.1", "fe80::1", "2001:db8::1")
    opened: list[RecordingZeroconf] = []

    def open_zeroconf(interfaces: list[str]) -> AsyncZeroconf:
        opened.append(RecordingZeroconf(interfaces))
        return opened[-1]

    environment = replace(ENVIRONMENT, addresses=network, open_zeroconf=open_zeroconf)
    announcement = ZeroconfAnnouncer(7001, host="0.0.0.0", name=name, environment=environment)
    async with announcing(announcement):
        await listener.wait_for(ADDED, name)
        assert (await listener.resolve(name)).parsed_addresses() == ["198.51.100.1"]
        network.addresses[2] = "198.51.100.2"
        await listener.wait_for(UPDATED, name)
        assert "198.51.100.2" in (await listener.resolve(name)).parsed_addresses()
        async with fresh_zeroconf() as newcomer:
            assert (await resolve_fresh(newcomer, name)).parsed_addresses() == ["198.51.100.2"]
    (zc,) = opened
    assert zc.requested_interfaces == [["198.51.100.1"], ["198.51.100.2"]]


@pytest.mark.slow
async def test_without_a_network_the_server_waits_for_one_and_logs_it_once(
    listener: ServiceListener, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    network = FakeNetwork("127.0.0.1", "fe80::1")
    announcement = announce_on_loopback(
        7001, host="::", name=name, environment=replace(ENVIRONMENT, addresses=network)
    )
    async with announcing(announcement):
        await network.wait_until_polled(3)
        ((level, message),) = log_lines(caplog)
        assert level == "INFO"
        assert "No network address" in message

        network.addresses += ["2001:db8::1", "198.51.100.1"]
        await listener.wait_for(ADDED, name)
        assert (await listener.resolve(name)).parsed_addresses() == ["198.51.100.1", "2001:db8::1"]
        assert announcement.addresses == ("198.51.100.1", "2001:db8::1")

        network.addresses.clear()
        await listener.wait_for(REMOVED, name)
        await network.wait_until_polled(2)
    levels_and_starts = [(level, message[:16]) for level, message in log_lines(caplog)]
    assert levels_and_starts == [
        ("INFO", "No network addre"),
        ("INFO", "Announced by zer"),
        ("INFO", "No network addre"),
    ]
    assert f"{name!r} at 198.51.100.1:7001, [2001:db8::1]:7001" in log_lines(caplog)[1][1]


async def test_a_failing_zeroconf_is_logged_once_and_retried(
    listener: ServiceListener, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    network = FakeNetwork("198.51.100.1")
    broken = True

    def open_zeroconf(interfaces: list[str]) -> AsyncZeroconf:
        if broken:
            raise PermissionError(1, "Operation not permitted")
        return AsyncZeroconf(interfaces)

    environment = replace(ENVIRONMENT, addresses=network, open_zeroconf=open_zeroconf)
    async with announcing(announce_on_loopback(7001, host="", name=name, environment=environment)):
        await network.wait_until_polled(3)
        ((level, message),) = log_lines(caplog)
        assert level == "WARNING"
        assert "Operation not permitted" in message
        assert "--no-zeroconf" in message
        broken = False
        await listener.wait_for(ADDED, name)


async def test_interfaces_that_refuse_multicast_are_logged_once(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    network = FakeNetwork("198.51.100.1")
    environment = replace(
        ENVIRONMENT, addresses=network, open_zeroconf=lambda _: AsyncZeroconf(interfaces=[])
    )
    announcement = announce_on_loopback(7001, host="0.0.0.0", name=name, environment=environment)
    async with announcing(announcement):
        await network.wait_until_polled(3)
        assert announcement.name is None
    assert [level for level, _ in log_lines(caplog)] == ["WARNING"]


async def test_an_unresolvable_host_name_is_logged_once(name: str, caplog: pytest.LogCaptureFixture) -> None:
    resolved = asyncio.Event()

    async def run_blocking(call: Callable[[], T], /) -> T:
        try:
            return call()
        finally:
            resolved.set()

    announcement = ZeroconfAnnouncer(
        7001,
        host="a..b",
        name=name,
        run_blocking=run_blocking,
        environment=replace(ENVIRONMENT, poll_interval=0.0),
    )
    async with announcing(announcement):
        for _ in range(3):
            resolved.clear()
            await asyncio.wait_for(resolved.wait(), PATIENCE)
    assert [level for level, _ in log_lines(caplog)] == ["WARNING"]


async def test_blocking_calls_go_to_run_blocking(listener: ServiceListener, name: str) -> None:
    blocking_allowed = False

    async def run_blocking(call: Callable[[], T], /) -> T:
        nonlocal blocking_allowed
        blocking_allowed = True
        try:
            return call()
        finally:
            blocking_allowed = False

    def assert_may_block(answer: T) -> T:
        assert blocking_allowed
        return answer

    environment = replace(
        ENVIRONMENT,
        machine=lambda: assert_may_block(KITCHEN),
        addresses=lambda: assert_may_block(["198.51.100.1"]),
    )
    announcement = ZeroconfAnnouncer(
        7001,
        host="0.0.0.0",
        name=name,
        interfaces=LOOPBACK,
        run_blocking=run_blocking,
        environment=environment,
    )
    async with announcing(announcement):
        await listener.wait_for(ADDED, name)


async def test_cancellation_before_the_announcement_leaves_no_socket_open(name: str) -> None:
    opened: asyncio.Future[AsyncZeroconf] = asyncio.get_running_loop().create_future()

    def open_zeroconf(interfaces: list[str]) -> AsyncZeroconf:
        opened.set_result(AsyncZeroconf(interfaces))
        return opened.result()

    async with announcing(
        announce_on_loopback(7001, name=name, environment=replace(ENVIRONMENT, open_zeroconf=open_zeroconf))
    ):
        zc = await opened
    assert zc.zeroconf.done
    assert all(sender.transport.is_closing() for sender in zc.zeroconf.engine.senders)


class StuckZeroconf(AsyncZeroconf):
    """Its goodbye never completes."""

    async def async_close(self) -> None:
        await asyncio.Event().wait()


async def test_a_hanging_goodbye_is_abandoned_after_the_timeout(
    listener: ServiceListener, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    stuck: list[StuckZeroconf] = []

    def open_zeroconf(interfaces: list[str]) -> AsyncZeroconf:
        stuck.append(StuckZeroconf(interfaces))
        return stuck[-1]

    environment = replace(ENVIRONMENT, open_zeroconf=open_zeroconf, goodbye_timeout=0.05)
    async with asyncio.timeout(PATIENCE):
        async with announcing(announce_on_loopback(7001, name=name, environment=environment)):
            await listener.wait_for(ADDED, name)
    await AsyncZeroconf.async_close(stuck[0])
    ((level, message),) = log_lines(caplog)
    assert level == "WARNING"
    assert "goodbye" in message
