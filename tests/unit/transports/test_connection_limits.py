"""Which connection is accepted, which is refused, and which makes room. Times are invented."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from wyoming_tts.errors import Busy
from wyoming_tts.transports.connection_limits import (
    MIN_IDLE,
    ConnectionLimits,
    ConnectionSlot,
    ConnectionSlots,
)

LATER = 100.0


@dataclass
class Port:
    """The slots of a port, and the names of the connections that were closed to make room."""

    slots: ConnectionSlots
    closed: list[str] = field(default_factory=list)

    def connect(self, name: str, peer: str | None = "10.0.0.1", *, now: float = 0.0) -> ConnectionSlot:
        return self.slots.take(peer, now, lambda: self.closed.append(name))


def port(connections: int = 100, per_peer: int = 100) -> Port:
    return Port(ConnectionSlots(ConnectionLimits(connections, per_peer)))


def serve(slot: ConnectionSlot) -> None:
    """Make a connection one that is being answered."""
    slot.idle_since = lambda: None


def test_at_the_limit_of_an_address_its_longest_idle_connection_makes_room() -> None:
    served = port(per_peer=2)
    served.connect("second", now=1.0)
    served.connect("first", now=0.0)
    served.connect("new", now=LATER)
    assert served.closed == ["first"]
    assert len(served.slots) == 2


def test_a_connection_that_is_served_is_never_closed_for_another() -> None:
    served = port(per_peer=2)
    serve(served.connect("speaking"))
    served.connect("silent", now=1.0)
    serve(served.connect("new", now=LATER))
    assert served.closed == ["silent"]
    with pytest.raises(Busy, match=r"at most 2 connections from 10\.0\.0\.1"):
        served.connect("one more", now=LATER)


def test_connections_that_have_just_been_opened_are_not_idle_yet() -> None:
    served = port(per_peer=2)
    for name in ("one", "two"):
        served.connect(name)
    with pytest.raises(Busy):
        served.connect("three", now=MIN_IDLE - 0.1)
    served.connect("three", now=MIN_IDLE)
    assert served.closed in (["one"], ["two"])


def test_one_address_takes_no_place_from_another() -> None:
    served = port(per_peer=2)
    for number in range(10):
        served.connect(str(number), now=number * LATER)
    assert len(served.slots) == 2
    served.connect("another", "10.0.0.2")
    assert len(served.slots) == 3


def test_at_the_limit_of_all_the_address_with_most_connections_makes_room() -> None:
    served = port(connections=3)
    served.connect("oldest", "10.0.0.2", now=0.0)
    for name in ("flood 1", "flood 2"):
        served.connect(name, "10.0.0.3", now=1.0)
    served.connect("new", "10.0.0.4", now=LATER)
    assert served.closed in (["flood 1"], ["flood 2"])


def test_at_the_limit_of_all_without_an_idle_connection_a_new_one_is_refused() -> None:
    served = port(connections=1)
    serve(served.connect("speaking"))
    with pytest.raises(Busy, match="at most 1 connections"):
        served.connect("new", "10.0.0.2", now=LATER)
    assert not served.closed


@pytest.mark.parametrize(
    ("first", "second", "shared"),
    [("2001:db8::1", "2001:db8::2", True), ("2001:db8::1", "2001:db8:1::1", False), (None, None, False)],
)
def test_an_ipv6_network_counts_as_one_address_and_a_unix_socket_as_none(
    first: str | None, second: str | None, *, shared: bool
) -> None:
    served = port(per_peer=1)
    serve(served.connect("one", first))
    if shared:
        with pytest.raises(Busy):
            served.connect("two", second, now=LATER)
    else:
        served.connect("two", second, now=LATER)


def test_a_released_slot_is_free_again_and_releasing_it_twice_frees_no_other() -> None:
    served = port(connections=2, per_peer=2)
    slot = served.connect("one")
    serve(served.connect("two"))
    served.slots.release(slot)
    served.slots.release(slot)
    assert len(served.slots) == 1
    serve(served.connect("three"))
    with pytest.raises(Busy):
        served.connect("four", now=LATER)
