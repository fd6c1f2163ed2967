"""Exponential backoff: delays grow with consecutive failures (waits are simulated)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wyoming_tts.backoff import Backoff, TryAgain, retry

BACKOFF = Backoff(first_delay=1.0, max_delay=10.0)


class RecordedDelays(list[float]):
    """Record requested delays instead of sleeping."""

    async def sleep(self, seconds: float) -> None:
        self.append(seconds)


def fail_with(*failures: Exception) -> Callable[[], Awaitable[str]]:
    """Return an attempt that raises these exceptions, one per call, and then succeeds."""
    left = list(failures)

    async def attempt() -> str:
        if left:
            raise left.pop(0)
        return "done"

    return attempt


def ignore_retry(_reason: TryAgain, _pause: float) -> None:
    pass


def no_jitter() -> float:
    return 0.0


def test_delay_doubles_with_each_consecutive_failure_up_to_the_maximum() -> None:
    assert [BACKOFF.delay(failures) for failures in range(1, 7)] == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]


def test_retry_after_extends_the_delay_up_to_the_maximum() -> None:
    assert BACKOFF.delay(1, at_least=7.0) == 7.0
    assert BACKOFF.delay(4, at_least=7.0) == 8.0
    assert BACKOFF.delay(1, at_least=86_400.0) == 10.0


@given(st.integers(1, 10**9), st.floats(0.01, 1e3), st.floats(1e3, 1e9))
def test_delay_is_monotonic_and_bounded_for_any_number_of_failures(
    failures: int, first: float, longest: float
) -> None:
    backoff = Backoff(first, longest)
    assert first <= backoff.delay(failures) <= backoff.delay(failures + 1) <= longest


async def test_immediate_success_does_not_wait() -> None:
    delays = RecordedDelays()
    assert await retry(fail_with(), BACKOFF, on_retry=ignore_retry, sleep=delays.sleep) == "done"
    assert delays == []


async def test_on_retry_gets_reason_and_delay_before_each_wait() -> None:
    events = list[str]()

    async def sleep(seconds: float) -> None:
        events.append(f"slept {seconds:g}")

    await retry(
        fail_with(TryAgain("down"), TryAgain("busy", retry_after=5.0)),
        BACKOFF,
        on_retry=lambda reason, pause: events.append(f"{reason}, {pause:g} s"),
        sleep=sleep,
        chance=no_jitter,
    )
    assert events == ["down, 1 s", "slept 1", "busy, 5 s", "slept 5"]


async def test_exhausted_retries_raise_the_last_error_without_another_wait() -> None:
    delays = RecordedDelays()
    attempt = fail_with(*(TryAgain(f"no {number}") for number in range(9)))
    with pytest.raises(TryAgain, match="no 2"):
        await retry(
            attempt,
            Backoff(first_delay=1.0, max_delay=10.0, max_tries=3),
            on_retry=ignore_retry,
            sleep=delays.sleep,
            chance=no_jitter,
        )
    assert delays == [1.0, 2.0]


async def test_retries_are_unlimited_without_a_maximum_number_of_tries() -> None:
    delays = RecordedDelays()
    attempt = fail_with(*(TryAgain("no") for _ in range(2_000)))
    assert await retry(attempt, BACKOFF, on_retry=ignore_retry, sleep=delays.sleep) == "done"
    assert len(delays) == 2_000


async def test_progress_resets_the_failure_count() -> None:
    delays, further = RecordedDelays(), iter([0, 0, 0, 0, 0, 7, 7, 7])
    attempt = fail_with(*(TryAgain("cut") for _ in range(4)))
    await retry(
        attempt,
        Backoff(first_delay=1.0, max_delay=10.0, max_tries=3),
        on_retry=ignore_retry,
        progress=lambda: next(further, 7),
        sleep=delays.sleep,
        chance=no_jitter,
    )
    assert delays == [1.0, 2.0, 1.0, 2.0]


async def test_other_exceptions_are_not_retried() -> None:
    delays = RecordedDelays()
    with pytest.raises(ZeroDivisionError):
        await retry(fail_with(ZeroDivisionError()), BACKOFF, on_retry=ignore_retry, sleep=delays.sleep)
    assert delays == []


@given(st.lists(st.floats(0.0, 1.0), min_size=5, max_size=5))
async def test_jitter_only_lengthens_the_delay_by_its_share(chances: list[float]) -> None:
    delays, drawn = RecordedDelays(), count()
    await retry(
        fail_with(*(TryAgain("no") for _ in chances)),
        Backoff(first_delay=1.0, max_delay=10.0, jitter=0.5),
        on_retry=ignore_retry,
        sleep=delays.sleep,
        chance=lambda: chances[next(drawn)],
    )
    assert delays == [
        BACKOFF.delay(number) * (1 + 0.5 * chance) for number, chance in enumerate(chances, start=1)
    ]
