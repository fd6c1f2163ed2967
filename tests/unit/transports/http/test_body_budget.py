"""Which request body is dropped when all of them exceed the budget. Times are invented."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wyoming_tts.transports.http.body_budget import PROGRESS, SMALL_BODY, BodyBudget, IncomingBody

KB = 1024


@dataclass
class Bodies:
    """Bodies within a budget, and the names of those that were dropped."""

    budget: BodyBudget
    dropped: list[str] = field(default_factory=list)

    def begin(
        self, name: str, peer: str | None = "10.0.0.1", *, size: int = 0, now: float = 0
    ) -> IncomingBody:
        body = IncomingBody(peer, now, lambda: self.dropped.append(name))
        self.budget.add(body, size, now)
        return body


def bodies(kilobytes: int = 1000) -> Bodies:
    return Bodies(BodyBudget(kilobytes * KB))


def test_beyond_the_budget_the_body_without_progress_for_longest_is_dropped() -> None:
    received = bodies()
    stalled = received.begin("stalled", size=400 * KB, now=1.0)
    slow = received.begin("slow", size=400 * KB, now=0.0)
    received.budget.add(slow, PROGRESS, 5.0)
    received.begin("new", size=400 * KB, now=6.0)
    assert received.dropped == ["stalled"]
    assert stalled.is_dropped
    assert received.budget.held == (400 + 400) * KB + PROGRESS


def test_bytes_that_drip_are_no_progress() -> None:
    received = bodies()
    slow = received.begin("slow", size=400 * KB, now=1.0)
    received.budget.add(slow, PROGRESS, 8.0)
    dripping = received.begin("dripping", size=400 * KB, now=0.0)
    for second in range(1, 9):
        received.budget.add(dripping, 1, float(second))
    received.begin("new", size=400 * KB, now=9.0)
    assert received.dropped == ["dripping"]


def test_the_address_with_most_bytes_gives_way_however_fast_it_sends() -> None:
    received = bodies()
    received.begin("upload on a slow link", "10.0.0.2", size=500 * KB, now=0.0)
    for second in range(20):
        received.begin(f"flood {second}", size=300 * KB, now=100.0 + second)
    assert len(received.dropped) == 19
    assert "upload on a slow link" not in received.dropped


def test_small_bodies_always_pass() -> None:
    received = bodies(0)
    for number in range(100):
        received.begin(str(number), size=SMALL_BODY)
    assert (received.dropped, received.budget.held) == ([], 0)
    received.begin("large", size=SMALL_BODY + 1)
    assert received.dropped == ["large"]


def test_a_body_that_ended_counts_no_more_and_ending_it_twice_frees_no_other() -> None:
    received = bodies()
    ended = received.begin("ended", size=600 * KB)
    received.begin("other", size=300 * KB)
    received.budget.close(ended)
    received.budget.close(ended)
    assert received.budget.held == 300 * KB
    received.begin("new", size=600 * KB)
    assert received.dropped == []


def test_addresses_of_one_ipv6_network_count_as_one() -> None:
    received = bodies()
    received.begin("one", "2001:db8::1", size=300 * KB, now=1.0)
    received.begin("two", "2001:db8::2", size=300 * KB, now=2.0)
    received.begin("other", "2001:db8:0:1::1", size=350 * KB, now=0.0)
    received.begin("new", "10.0.0.1", size=100 * KB, now=3.0)
    assert received.dropped == ["one"]


ADDRESSES = st.sampled_from(["10.0.0.1", "10.0.0.2", None])
PIECES = st.lists(st.integers(0, 200 * KB), max_size=8)


@given(st.lists(st.tuples(ADDRESSES, PIECES), max_size=20))
def test_no_order_of_pieces_exceeds_the_budget(sent: Sequence[tuple[str | None, list[int]]]) -> None:
    received = bodies()
    opened = [(received.begin(str(number), peer), pieces) for number, (peer, pieces) in enumerate(sent)]
    for turn in range(8):
        for body, pieces in opened:
            if turn < len(pieces) and not body.is_dropped:
                received.budget.add(body, pieces[turn], float(turn))
            large = sum(each.size for each, _ in opened if each.is_large and not each.is_dropped)
            assert received.budget.held == large <= received.budget.budget


@pytest.mark.parametrize("size", [SMALL_BODY + 1, 10**9])
def test_a_body_larger_than_the_budget_drops_itself(size: int) -> None:
    received = bodies(10)
    received.begin("huge", size=size)
    assert received.dropped == ["huge"]
