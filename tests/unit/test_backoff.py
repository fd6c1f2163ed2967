"""Pauses that grow with failures in a row, in invented time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wyoming_tts.backoff import Backoff, TryAgain, retry

BACKOFF = Backoff(first_delay=1.0, max_delay=10.0)


class Pauses(list[float]):
    """Stands in for waiting."""

    async def sleep(self, seconds: float) -> None:
        self.append(seconds)


def failing(*failures: Exception) -> Callable[[], Awaitable[str]]:
    """A try that fails so, one time after the other, then succeeds."""
    left = list(failures)

    async def attempt() -> str:
        if left:
            raise left.pop(0)
        return "done"

    return attempt


def unheard(_reason: TryAgain, _pause: float) -> None:
    pass


def no_jitter() -> float:
    return 0.0


def test_a_pause_doubles_with_each_failure_in_a_row_up_to_the_longest() -> None:
    assert [BACKOFF.delay(failures) for failures in range(1, 7)] == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]


def test_who_asks_for_more_time_gets_it_up_to_the_longest() -> None:
    assert BACKOFF.delay(1, at_least=7.0) == 7.0
    assert BACKOFF.delay(4, at_least=7.0) == 8.0
    assert BACKOFF.delay(1, at_least=86_400.0) == 10.0


@given(st.integers(1, 10**9), st.floats(0.01, 1e3), st.floats(1e3, 1e9))
def test_no_count_of_failures_is_too_many(failures: int, first: float, longest: float) -> None:
    backoff = Backoff(first, longest)
    assert first <= backoff.delay(failures) <= backoff.delay(failures + 1) <= longest


async def test_what_succeeds_at_once_waits_for_nothing() -> None:
    pauses = Pauses()
    assert await retry(failing(), BACKOFF, on_retry=unheard, sleep=pauses.sleep) == "done"
    assert pauses == []


async def test_each_failure_is_told_with_its_reason_before_its_pause() -> None:
    told = list[str]()

    async def sleep(seconds: float) -> None:
        told.append(f"slept {seconds:g}")

    await retry(
        failing(TryAgain("down"), TryAgain("busy", retry_after=5.0)),
        BACKOFF,
        on_retry=lambda reason, pause: told.append(f"{reason}, {pause:g} s"),
        sleep=sleep,
        chance=no_jitter,
    )
    assert told == ["down, 1 s", "slept 1", "busy, 5 s", "slept 5"]


async def test_it_is_given_up_with_the_last_reason_and_without_another_pause() -> None:
    pauses = Pauses()
    attempt = failing(*(TryAgain(f"no {number}") for number in range(9)))
    with pytest.raises(TryAgain, match="no 2"):
        await retry(
            attempt,
            Backoff(first_delay=1.0, max_delay=10.0, max_tries=3),
            on_retry=unheard,
            sleep=pauses.sleep,
            chance=no_jitter,
        )
    assert pauses == [1.0, 2.0]


async def test_without_a_number_of_tries_it_is_never_given_up() -> None:
    pauses = Pauses()
    attempt = failing(*(TryAgain("no") for _ in range(2_000)))
    assert await retry(attempt, BACKOFF, on_retry=unheard, sleep=pauses.sleep) == "done"
    assert len(pauses) == 2_000


async def test_a_try_that_gets_further_starts_the_count_anew() -> None:
    pauses, further = Pauses(), iter([0, 0, 0, 0, 0, 7, 7, 7])
    attempt = failing(*(TryAgain("cut") for _ in range(4)))
    await retry(
        attempt,
        Backoff(first_delay=1.0, max_delay=10.0, max_tries=3),
        on_retry=unheard,
        progress=lambda: next(further, 7),
        sleep=pauses.sleep,
        chance=no_jitter,
    )
    assert pauses == [1.0, 2.0, 1.0, 2.0]


async def test_any_other_failure_ends_it_at_once() -> None:
    pauses = Pauses()
    with pytest.raises(ZeroDivisionError):
        await retry(failing(ZeroDivisionError()), BACKOFF, on_retry=unheard, sleep=pauses.sleep)
    assert pauses == []


@given(st.lists(st.floats(0.0, 1.0), min_size=5, max_size=5))
async def test_jitter_only_ever_makes_a_pause_longer_and_by_its_share(chances: list[float]) -> None:
    pauses, drawn = Pauses(), count()
    await retry(
        failing(*(TryAgain("no") for _ in chances)),
        Backoff(first_delay=1.0, max_delay=10.0, jitter=0.5),
        on_retry=unheard,
        sleep=pauses.sleep,
        chance=lambda: chances[next(drawn)],
    )
    assert pauses == [
        BACKOFF.delay(number) * (1 + 0.5 * chance) for number, chance in enumerate(chances, start=1)
    ]
