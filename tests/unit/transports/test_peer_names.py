"""Names of clients' addresses over mDNS: heard, asked for once, never waited for."""

from __future__ import annotations

from ipaddress import ip_address
from typing import cast

import pytest
from zeroconf import (  # type: ignore[attr-defined]  # gaps in __all__
    DNSOutgoing,
    DNSPointer,
    Zeroconf,
    current_time_millis,
)
from zeroconf._cache import DNSCache
from zeroconf.asyncio import AsyncServiceInfo
from zeroconf.const import _CLASS_IN, _TYPE_PTR

from wyoming_tts.transports.peer_names import HOME_ASSISTANT_TYPE, PeerNames

SATELLITE, HOME, OTHER = "192.0.2.7", "192.0.2.8", "192.0.2.9"


class FakeNetwork:
    """Records that were heard, and the questions that were sent."""

    def __init__(self) -> None:
        self.cache = DNSCache()
        self.questions: list[list[str]] = []
        self.seconds = 1000.0

    def async_send(self, question: DNSOutgoing) -> None:
        self.questions.append([each.name for each in question.questions])

    def names(self) -> PeerNames:
        return PeerNames(lambda: cast("Zeroconf", self), lambda: self.seconds)

    def hear_host(self, name: str, address: str) -> None:
        info = AsyncServiceInfo(
            "_x._tcp.local.", "x._x._tcp.local.", 1, server=name, parsed_addresses=[address]
        )
        self.cache.async_add_records(info.dns_addresses())

    def hear_reverse(self, name: str, address: str) -> None:
        reverse = f"{ip_address(address).reverse_pointer}."
        pointer = DNSPointer(reverse, _TYPE_PTR, _CLASS_IN, 120, name, current_time_millis())
        self.cache.async_add_records([pointer])

    def hear_home_assistant(self, home: str, address: str) -> None:
        info = AsyncServiceInfo(
            HOME_ASSISTANT_TYPE,
            f"{home}.{HOME_ASSISTANT_TYPE}",
            8123,
            server="ha.local.",
            properties={"location_name": home},
            parsed_addresses=[address],
        )
        records = [info.dns_pointer(), info.dns_service(), info.dns_text(), *info.dns_addresses()]
        self.cache.async_add_records(records)


@pytest.fixture
def network() -> FakeNetwork:
    return FakeNetwork()


async def test_names_that_were_heard_are_told_and_not_asked_for(network: FakeNetwork) -> None:
    network.hear_host("kitchen.local.", SATELLITE)
    network.hear_reverse("hall.local.", OTHER)
    network.hear_home_assistant("Villa", HOME)
    names = network.names()
    told = {SATELLITE: "kitchen", HOME: "Home Assistant (Villa)", OTHER: "hall"}
    assert names([SATELLITE, HOME, OTHER]) == told
    assert network.questions == []
    network.cache = DNSCache()  # records expire within minutes
    assert names([HOME]) == {HOME: "Home Assistant (Villa)"}


async def test_an_unknown_address_is_asked_for_once_a_minute_and_told_later(network: FakeNetwork) -> None:
    names = network.names()
    assert [names([SATELLITE]), names([SATELLITE])] == [{}, {}]
    assert network.questions == [[HOME_ASSISTANT_TYPE, "7.2.0.192.in-addr.arpa."]]
    network.seconds += 60
    names([SATELLITE])
    assert len(network.questions) == 2
    network.hear_reverse("kitchen.local.", SATELLITE)
    assert names([SATELLITE]) == {SATELLITE: "kitchen"}


@pytest.mark.parametrize("peer", ["", "unix", "127.0.0.1", "::1", "2001:db8::/64"])
async def test_what_is_no_other_machine_is_not_asked_for(network: FakeNetwork, peer: str) -> None:
    assert network.names()([peer]) == {}
    assert network.questions == []


async def test_nothing_is_asked_while_nothing_is_announced() -> None:
    assert PeerNames(lambda: None)([SATELLITE]) == {}


async def test_names_of_strangers_are_printable_and_short(network: FakeNetwork) -> None:
    network.hear_reverse("a\nb\x1b[31m" + "x" * 60 + ".local.", SATELLITE)
    (name,) = network.names()([SATELLITE]).values()
    assert name.isprintable()
    assert len(name) <= 63


async def test_names_and_questions_are_forgotten_beyond_a_limit(network: FakeNetwork) -> None:
    names = network.names()
    for number in range(1000):
        address = f"192.0.{number // 200}.{number % 200}"
        network.hear_reverse(f"host-{number}.local.", address)
        names([address, f"198.51.{number // 200}.{number % 200}"])
    assert len(names._names) == len(names._asked_at) == 256
