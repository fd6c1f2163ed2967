"""Virtual time: timers in their order, without waiting, and the same each time."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.scheduling_simulator.virtual_time import DeadlockError, run_in_virtual_time


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=20))
def test_sleepers_wake_at_their_times_and_in_their_order(delays: list[float]) -> None:
    woken: list[float] = []

    async def sleep(seconds: float) -> None:
        await asyncio.sleep(seconds)
        woken.append(asyncio.get_running_loop().time())

    async def sleep_together() -> None:
        await asyncio.gather(*map(sleep, delays))

    run_in_virtual_time(sleep_together())
    assert woken == pytest.approx(sorted(delays), abs=1e-8)  # the resolution of the clock


def test_a_timeout_expires_at_its_time() -> None:
    async def wait() -> float:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 3_600)
        return asyncio.get_running_loop().time()

    assert run_in_virtual_time(wait()) == pytest.approx(3_600)


def test_waiting_for_what_never_happens_is_an_error() -> None:
    async def wait() -> None:
        await asyncio.Event().wait()

    with pytest.raises(DeadlockError):
        run_in_virtual_time(wait())
