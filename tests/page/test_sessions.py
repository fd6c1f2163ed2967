"""How many sessions are kept, whose, and for how long; times are invented."""

from __future__ import annotations

import pytest

from ui.sessions import SessionLimits, Sessions, TooManySessions

LIMITS = SessionLimits(total=4, per_address=2, unheard=600.0)


def test_unheard_sessions_of_one_address_replace_each_other_and_nobody_elses() -> None:
    sessions = Sessions(LIMITS)
    sessions.use("house", "10.0.0.1", 0.0)
    dropped = [sessions.use(f"s{number}", "10.0.0.2", float(number)) for number in range(100)]
    assert dropped[:4] == [[], [], ["s0"], ["s1"]]
    assert len(sessions) == 3
    assert "house" in sessions


def test_an_address_whose_sessions_are_all_open_gets_no_further_one() -> None:
    sessions = Sessions(LIMITS)
    sessions.connect("a", "10.0.0.2", 0.0)
    sessions.connect("b", "10.0.0.2", 0.0)
    with pytest.raises(TooManySessions):
        sessions.use("c", "10.0.0.2", 1.0)
    assert sessions.use("a", "10.0.0.2", 1.0) == []
    assert sessions.use("d", "10.0.0.1", 1.0) == []
    sessions.disconnect("a", 2.0)
    assert sessions.use("c", "10.0.0.2", 3.0) == ["a"]


def test_sessions_of_all_addresses_are_limited_too() -> None:
    sessions = Sessions(LIMITS)
    for number in range(3):
        sessions.connect(f"open{number}", f"10.0.1.{number}", 0.0)
    assert sessions.use("a", "10.0.2.1", 1.0) == []
    assert sessions.use("b", "10.0.2.2", 2.0) == ["a"]
    sessions.connect("b", "10.0.2.2", 3.0)
    with pytest.raises(TooManySessions):
        sessions.connect("c", "10.0.2.3", 4.0)
    assert len(sessions) == 4


def test_a_session_expires_a_while_after_its_last_connection_has_ended() -> None:
    sessions = Sessions(LIMITS)
    sessions.use("a", "10.0.0.1", 0.0)
    assert sessions.next_expiry() == 600.0
    for _ in range(2):
        sessions.connect("a", "10.0.0.1", 1.0)
    assert sessions.next_expiry() is None
    assert sessions.expire(10_000.0) == []
    sessions.disconnect("a", 10_000.0)
    assert sessions.next_expiry() is None
    sessions.disconnect("a", 10_001.0)
    assert sessions.expire(10_600.9) == []
    assert sessions.next_expiry() == 10_601.0
    assert sessions.expire(10_601.0) == ["a"]
    assert (len(sessions), sessions.next_expiry()) == (0, None)
