"""Zeroconf announcement between real instances on the loopback interface: lifecycle, renaming, addresses."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import secrets
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import ifaddr
import pytest
from hypothesis import given
from hypothesis import strategies as st
from zeroconf import (  # type: ignore[attr-defined]  # a gap in __all__
    DNSQuestionType,
    DNSService,
    RecordUpdate,
    RecordUpdateListener,
    ServiceStateChange,
    Zeroconf,
)
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from wyoming_tts.transports import discovery
from wyoming_tts.transports.discovery import (
    SERVICE_TYPE,
    DiscoveryEnvironment,
    MachineIdentity,
    ServiceNames,
    ZeroconfAnnouncer,
    interface_addresses,
    reachable_addresses,
    read_machine_identity,
)

LOOPBACK = ["127.0.0.1"]
KITCHEN = MachineIdentity("kitchen", "0123456789abcdef0123456789abcdef")
ENVIRONMENT = DiscoveryEnvironment(
    machine=lambda: KITCHEN, addresses=lambda: LOOPBACK, probe_timeout=0.1, poll_interval=0.05
)
PATIENCE = 10.0

T = TypeVar("T")

ADDED = ServiceStateChange.Added
UPDATED = ServiceStateChange.Updated
REMOVED = ServiceStateChange.Removed


class ServiceListener:
    """A client that browses for servers and records the changes in order."""

    def __init__(self) -> None:
        self.zeroconf = AsyncZeroconf(interfaces=LOOPBACK)
        self._changes: asyncio.Queue[tuple[ServiceStateChange, str]] = asyncio.Queue()
        self._browser = AsyncServiceBrowser(self.zeroconf.zeroconf, SERVICE_TYPE, handlers=[self._on_change])

    def _on_change(
        self, zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange
    ) -> None:
        self._changes.put_nowait((state_change, name.removesuffix(f".{SERVICE_TYPE}")))

    async def wait_for(self, change: ServiceStateChange, name: str) -> None:
        async with asyncio.timeout(PATIENCE):
            while await self._changes.get() != (change, name):
                pass

    async def resolve(self, name: str) -> AsyncServiceInfo:
        found = await self.zeroconf.async_get_service_info(SERVICE_TYPE, f"{name}.{SERVICE_TYPE}")
        assert found is not None
        return found

    async def close(self) -> None:
        await self._browser.async_cancel()
        await self.zeroconf.async_close()


@pytest.fixture
async def listener() -> AsyncIterator[ServiceListener]:
    listener = ServiceListener()
    yield listener
    await listener.close()


@pytest.fixture
def name() -> str:
    """A name that no other test on this loopback interface uses."""
    return f"kitchen {secrets.token_hex(4)}"


@asynccontextmanager
async def announcing(*announcements: ZeroconfAnnouncer) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(announcement.run()) for announcement in announcements]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(end) for end in ended] == [asyncio.CancelledError] * len(tasks)


def announce_on_loopback(
    port: int, *, host: str = "127.0.0.1", name: str, environment: DiscoveryEnvironment = ENVIRONMENT
) -> ZeroconfAnnouncer:
    return ZeroconfAnnouncer(port, host=host, name=name, interfaces=LOOPBACK, environment=environment)


class FakeNetwork:
    """Interface addresses that a test changes, and a way to wait until they were polled."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = list(addresses)
        self._polls: asyncio.Queue[None] = asyncio.Queue()

    def __call__(self) -> Sequence[str]:
        self._polls.put_nowait(None)
        return tuple(self.addresses)

    async def wait_until_polled(self, times: int) -> None:
        async with asyncio.timeout(PATIENCE):
            for _ in range(self._polls.qsize() + times):
                await self._polls.get()


def log_lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [
        (record.levelname, record.getMessage())
        for record in caplog.records
        if record.name == discovery.__name__
    ]


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


@pytest.mark.slow
async def test_a_taken_name_gets_a_number_and_both_servers_resolve_to_their_own_port(
    listener: ServiceListener, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    first = announce_on_loopback(7001, name=name)
    second = announce_on_loopback(
        7002, name=name.upper(), environment=replace(ENVIRONMENT, probe_timeout=1.5)
    )
    async with announcing(first):
        await listener.wait_for(ADDED, name)
        async with announcing(second):
            await listener.wait_for(ADDED, f"{name.upper()}-2")
            assert (await listener.resolve(name)).port == 7001
            renamed = await listener.resolve(f"{name.upper()}-2")
            assert renamed.port == 7002
            assert renamed.server != (await listener.resolve(name)).server
        await listener.wait_for(REMOVED, f"{name.upper()}-2")
        assert (await listener.resolve(name)).port == 7001
    assert [level for level, message in log_lines(caplog) if "is taken by 127.0.0.1:7001" in message] == [
        "WARNING"
    ]


@asynccontextmanager
async def fresh_zeroconf() -> AsyncIterator[AsyncZeroconf]:
    zc = AsyncZeroconf(interfaces=LOOPBACK)
    yield zc
    await zc.async_close()


async def resolve_fresh(zc: AsyncZeroconf, name: str | None) -> AsyncServiceInfo:
    info = AsyncServiceInfo(SERVICE_TYPE, f"{name}.{SERVICE_TYPE}")
    assert await info.async_request(zc.zeroconf, PATIENCE * 1000, question_type=DNSQuestionType.QM)
    return info


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ports", "together"),
    [((7001, 7002), True), ((7001, 7002), False), ((7002, 7001), False)],
    ids=["at the same moment", "the later one yields", "the earlier one yields"],
)
async def test_of_two_servers_that_claimed_one_name_concurrently_one_yields(
    listener: ServiceListener, name: str, *, ports: tuple[int, int], together: bool
) -> None:
    no_probing = replace(ENVIRONMENT, probe_timeout=0.001)  # too short for any answer
    one, other = (announce_on_loopback(port, name=name, environment=no_probing) for port in ports)
    async with announcing(*([one, other] if together else [one])):
        await listener.wait_for(ADDED, name)
        async with announcing(*([] if together else [other])):
            await listener.wait_for(ADDED, f"{name}-2")
            assert {one.name, other.name} == {name, f"{name}-2"}
            async with fresh_zeroconf() as newcomer:
                for server in (one, other):
                    assert (await resolve_fresh(newcomer, server.name)).port == server._port


class PortObserver(RecordUpdateListener):
    """Records the announced ports passively, without sending queries."""

    def __init__(self) -> None:
        self.ports: asyncio.Queue[int] = asyncio.Queue()

    def async_update_records(self, zc: Zeroconf, now: float, records: list[RecordUpdate]) -> None:
        for update in records:
            if isinstance(update.new, DNSService):
                self.ports.put_nowait(update.new.port)


@pytest.mark.slow
async def test_a_server_that_keeps_its_name_announces_it_to_its_rival(
    listener: ServiceListener, name: str
) -> None:
    rival = AsyncServiceInfo(
        SERVICE_TYPE, f"{name}.{SERVICE_TYPE}", port=7002, server="z.local.", addresses=[b"\x7f\0\0\1"]
    )
    network = FakeNetwork("127.0.0.1")
    async with announcing(
        announce_on_loopback(7001, name=name, environment=replace(ENVIRONMENT, addresses=network))
    ):
        await listener.wait_for(ADDED, name)
        await network.wait_until_polled(2)  # its own announcements are complete
        async with fresh_zeroconf() as zc:
            observer = PortObserver()
            zc.zeroconf.async_add_listener(observer, None)
            await (await zc.async_register_service(rival, cooperating_responders=True))
            async with asyncio.timeout(PATIENCE):
                while await observer.ports.get() != 7001:
                    pass


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


@pytest.mark.parametrize(
    ("bound_to", "reached_at"),
    [
        (["0.0.0.0"], ("10.0.0.5", "192.168.1.5")),
        (["::"], ("10.0.0.5", "192.168.1.5", "2001:db8::5", "fd00::5")),
        (["192.168.1.5"], ("192.168.1.5",)),
        (["fd00::5"], ("fd00::5",)),
        (["127.0.0.1"], ("127.0.0.1",)),
        (["127.0.0.1", "::1", "127.0.0.1"], ("127.0.0.1", "::1")),
        (["fe80::5%eth0"], ()),
        (["169.254.1.1"], ()),
    ],
)
def test_announced_addresses_follow_the_listen_address(
    bound_to: list[str], reached_at: tuple[str, ...]
) -> None:
    interfaces = [
        "127.0.0.1",
        "192.168.1.5",
        "10.0.0.5",
        "169.254.7.7",
        "::1",
        "fe80::5",
        "fd00::5",
        "2001:db8::5",
    ]
    assert reachable_addresses(bound_to, interfaces) == reached_at


ADDRESSES = st.ip_addresses().map(str) | st.sampled_from(
    ["0.0.0.0", "::", "fe80::1", "169.254.0.1", "224.0.0.251"]
)


@given(st.lists(ADDRESSES, max_size=3), st.lists(ADDRESSES, max_size=5))
def test_unusable_addresses_are_never_announced(bound_to: list[str], interfaces: list[str]) -> None:
    for address in map(ipaddress.ip_address, reachable_addresses(bound_to, interfaces)):
        assert not any((address.is_unspecified, address.is_link_local, address.is_multicast))
        assert str(address) in bound_to or not address.is_loopback


def test_addresses_of_bridges_and_tunnels_are_excluded(monkeypatch: pytest.MonkeyPatch) -> None:
    def adapter(name: str, *addresses: str | tuple[str, int, int]) -> ifaddr.Adapter:
        return ifaddr.Adapter(name, name, [ifaddr.IP(address, 24, name) for address in addresses])

    adapters = [
        adapter("lo", "127.0.0.1"),
        adapter("eth0", "192.168.1.5", ("fd00::5", 0, 0)),
        adapter("br-lan", "192.168.2.5"),
        adapter("docker0", "172.17.0.1"),
        adapter("br-0123456789ab", "172.18.0.1"),
        adapter("wg0", "10.8.0.2"),
    ]
    monkeypatch.setattr(ifaddr, "get_adapters", lambda: adapters)
    assert interface_addresses() == ["127.0.0.1", "192.168.1.5", "fd00::5", "192.168.2.5"]


def test_this_machine_has_addresses_and_a_stable_identity() -> None:
    assert "127.0.0.1" in interface_addresses()
    assert read_machine_identity() == read_machine_identity()
    assert read_machine_identity().host_name


@pytest.mark.parametrize(
    ("machine_id", "hardware_address", "identity"),
    [
        ("0123456789abcdef0123456789abcdef\n", 0x0242AC110002, "0123456789abcdef0123456789abcdef"),
        ("uninitialized\n", 0x0242AC110002, "0242ac110002"),
        (None, 0x0242AC110002, "0242ac110002"),
        (None, 0x0142AC110002, ""),  # the multicast bit marks an address that uuid made up
    ],
)
def test_the_identity_is_the_machine_id_or_else_a_real_hardware_address(
    monkeypatch: pytest.MonkeyPatch, machine_id: str | None, hardware_address: int, identity: str
) -> None:
    def read_text(_path: Path, encoding: str) -> str:
        if machine_id is None:
            raise FileNotFoundError
        return machine_id

    monkeypatch.setattr(Path, "read_text", read_text)
    monkeypatch.setattr(uuid, "getnode", lambda: hardware_address)
    assert read_machine_identity().identity == identity


def test_the_default_name_contains_the_host_name_and_is_stable() -> None:
    names = ServiceNames.of(MachineIdentity("Kitchen.home.arpa", KITCHEN.identity), 10200)
    assert names == ServiceNames.of(KITCHEN, 10200)
    assert names.instance == names.host == f"wyoming-tts-kitchen-{KITCHEN.digest}"
    assert ServiceNames.of(KITCHEN, 10300).instance == f"{names.instance}-10300"


def test_machines_with_one_host_name_differ_by_their_identity() -> None:
    other = MachineIdentity("kitchen", "f" * 32)
    assert ServiceNames.of(KITCHEN, 10200).instance != ServiceNames.of(other, 10200).instance
    assert (
        ServiceNames.of(KITCHEN, 10200, given="Radio").instance
        == ServiceNames.of(other, 10200, given="Radio").instance
    )
    assert (
        ServiceNames.of(KITCHEN, 10200, given="Radio").host
        != ServiceNames.of(other, 10200, given="Radio").host
    )


def test_the_digest_does_not_reveal_the_machine_id() -> None:
    assert KITCHEN.digest not in KITCHEN.identity
    assert len(KITCHEN.digest) == 6


def test_a_machine_without_an_identity_is_identified_by_its_host_name() -> None:
    assert (
        MachineIdentity("kitchen", "").digest
        == MachineIdentity("kitchen", "").digest
        != MachineIdentity("hall", "").digest
    )


@pytest.mark.parametrize(
    ("given_name", "instance"),
    [
        ("Küche oben", "Küche oben"),
        ("Ku\u0308che", "Küche"),
        ("Dr. Who", "Dr- Who"),
        (" kitchen. ", "kitchen"),
        ("a\x00b\nc", "abc"),
        ("x" * 70, "x" * 63),
        ("ä" * 40, "ä" * 31),
        ("", f"wyoming-tts-kitchen-{KITCHEN.digest}"),
        ("...", f"wyoming-tts-kitchen-{KITCHEN.digest}"),
    ],
)
def test_a_configured_name_is_normalized_to_what_the_protocol_allows(given_name: str, instance: str) -> None:
    assert ServiceNames.of(KITCHEN, 10200, given=given_name).instance == instance


@given(st.text(max_size=80), st.text(max_size=80), st.integers(1, 65535), st.integers(1, 99))
def test_every_name_fits_into_a_dns_label(host_name: str, given_name: str, port: int, number: int) -> None:
    names = ServiceNames.of(
        MachineIdentity(host_name, KITCHEN.identity), port, given=given_name, number=number
    )
    assert 0 < len(names.instance.encode()) <= 63
    assert "." not in names.instance
    assert names.instance.isprintable() or not any(ord(char) < 32 for char in names.instance)
    assert len(names.host) <= 63
    assert set(names.host) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert number == 1 or names.instance.endswith(f"-{number}")
    AsyncServiceInfo(SERVICE_TYPE, f"{names.instance}.{SERVICE_TYPE}")


async def test_a_server_whose_names_were_all_claimed_is_announced_once_one_is_free_again(
    name: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def find_holder(_: object, __: object, own: AsyncServiceInfo) -> AsyncServiceInfo | None:
        asked.append(own.get_name())
        claimed = AsyncServiceInfo(SERVICE_TYPE, own.name, port=1, server="another.local.")
        return claimed if len(asked) <= 2 * 99 else None

    asked: list[str] = []
    monkeypatch.setattr(ZeroconfAnnouncer, "_find_holder", find_holder)
    announcement = announce_on_loopback(10200, name=name)
    async with announcing(announcement), asyncio.timeout(PATIENCE):
        while announcement.name is None:  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0.01)
        assert announcement.name == name
    assert asked == 2 * [name, *(f"{name}-{number}" for number in range(2, 100))] + [name]
    warnings = [message for level, message in log_lines(caplog) if level == "WARNING"]
    assert len(warnings) == 2, "one of the names, one of all of them"
