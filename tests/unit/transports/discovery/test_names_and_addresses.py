"""What a server is called, and which of its addresses it announces."""

from __future__ import annotations

import ipaddress
import uuid
from pathlib import Path

import ifaddr
import pytest
from hypothesis import given
from hypothesis import strategies as st
from zeroconf.asyncio import AsyncServiceInfo

from tests.unit.transports.discovery.announcing import KITCHEN
from wyoming_tts.transports.discovery import SERVICE_TYPE
from wyoming_tts.transports.network_identity import (
    MachineIdentity,
    ServiceNames,
    interface_addresses,
    reachable_addresses,
    read_machine_identity,
)


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
