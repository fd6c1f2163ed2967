"""Load balancing and failover between upstreams, with a fake clock and scripted upstreams."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import numpy as np
import pytest

from wyoming_tts.blocking import RunBlocking
from wyoming_tts.engines.base import RemoteVoiceFailed, Seam, samples_of
from wyoming_tts.engines.remote.lists import ListedVoice
from wyoming_tts.engines.remote.pool import UpstreamHealth, UpstreamPool
from wyoming_tts.engines.remote.upstream import UpstreamFault, UpstreamFaultKind, UpstreamRequest
from wyoming_tts.errors import Busy, EngineFailed, VoiceUnavailable
from wyoming_tts.speech import Samples

REQUEST = UpstreamRequest("v", "Hello")
LOW_RATE = UpstreamRequest("v", "Hello", rate=1_000)
RESTARTING = UpstreamFault(UpstreamFaultKind.DOWN, "restarting", retry_after=0.01)
DOWN = UpstreamFault(UpstreamFaultKind.DOWN, "gone")
FAILED = UpstreamFault(UpstreamFaultKind.FAILED, "broken")
REFUSED = UpstreamFault(UpstreamFaultKind.REFUSED, "will not")


def busy(retry_after: float = 60.0) -> UpstreamFault:
    return UpstreamFault(UpstreamFaultKind.BUSY, "busy", retry_after=retry_after)


class ScriptedUpstream:
    """Yields 100 samples of its number per `True`, hangs at `False`, raises faults; anew for each request."""

    may_tell_words = False

    def __init__(self, number: int, *acts: UpstreamFault | bool) -> None:
        self.address = f"http://{number}"
        self.number = number
        self.acts = acts or (True,)
        self.requests_received = 0
        self.closed = 0
        self.was_requested = asyncio.Event()

    async def list_voices(self, run_blocking: RunBlocking) -> tuple[ListedVoice, ...] | None:
        return None

    async def speak(self, request: UpstreamRequest, listed: ListedVoice) -> AsyncGenerator[Samples, None]:
        self.requests_received += 1
        self.was_requested.set()
        try:
            for act in self.acts:
                await asyncio.sleep(0)
                if isinstance(act, UpstreamFault):
                    raise act
                if not act:
                    await asyncio.Event().wait()
                yield np.full(100, self.number, np.float32)
        finally:
            self.closed += 1

    async def aclose(self) -> None:
        pass


class ScriptedPool:
    def __init__(self, *servers: ScriptedUpstream, fallback: bool = False, timeout: float = 5.0) -> None:
        self.now = 100.0
        self.servers = servers
        self.upstreams = [UpstreamHealth(server, {"v": ListedVoice("v", "en_US", "v")}) for server in servers]
        self.pool = UpstreamPool(self.upstreams, timeout=timeout, fallback=fallback, clock=lambda: self.now)

    async def synthesize(self, request: UpstreamRequest = REQUEST) -> list[int]:
        async with aclosing(self.pool.speak(request)) as pieces:
            heard = [samples_of(rendered) async for rendered in pieces]
        return list(map(int, np.concatenate([np.zeros(0, np.float32), *heard])[::100]))

    async def finds_seam(self) -> bool:
        async with aclosing(self.pool.speak(LOW_RATE)) as pieces:
            return any([isinstance(rendered, Seam) async for rendered in pieces])

    @property
    def requests_received(self) -> list[int]:
        return [server.requests_received for server in self.servers]


async def test_an_upstream_that_fails_before_the_first_audio_is_failed_over() -> None:
    scripted = ScriptedPool(
        ScriptedUpstream(1, DOWN),
        ScriptedUpstream(2, FAILED),
        ScriptedUpstream(3, busy()),
        ScriptedUpstream(4, True, True),
    )
    assert await scripted.synthesize() == [4, 4]
    assert [server.closed for server in scripted.servers] == [1, 1, 1, 1]
    assert [health.in_flight for health in scripted.upstreams] == [0, 0, 0, 0]


@pytest.mark.parametrize("fault", [DOWN, FAILED, busy(), RESTARTING], ids=str)
async def test_another_upstream_goes_on_where_one_broke_off(fault: UpstreamFault) -> None:
    scripted = ScriptedPool(
        ScriptedUpstream(1, True, True, fault), ScriptedUpstream(2, *[True] * 4), fallback=True
    )
    assert await scripted.synthesize(LOW_RATE) == [1, 1, 2, 2]
    assert [server.closed for server in scripted.servers] == [1, 1]
    assert [health.in_flight for health in scripted.upstreams] == [0, 0]


async def test_another_upstream_goes_on_after_one_that_stalls_midway() -> None:
    scripted = ScriptedPool(ScriptedUpstream(1, True, False), ScriptedUpstream(2, *[True] * 3), timeout=0.05)
    assert await scripted.synthesize(LOW_RATE) == [1, 2, 2]


async def test_a_third_upstream_goes_on_where_a_second_one_broke_off_and_skips_the_audio_of_both() -> None:
    scripted = ScriptedPool(
        ScriptedUpstream(1, True, DOWN),
        ScriptedUpstream(2, *[True] * 4, DOWN),
        ScriptedUpstream(3, *[True] * 6),
    )
    assert await scripted.synthesize(LOW_RATE) == [1, 2, 2, 2, 3, 3]


async def test_an_upstream_that_breaks_off_before_it_has_caught_up_is_replaced_too() -> None:
    scripted = ScriptedPool(
        ScriptedUpstream(1, *[True] * 4, DOWN),
        ScriptedUpstream(2, True, DOWN),
        ScriptedUpstream(3, *[True] * 6),
    )
    assert await scripted.synthesize(LOW_RATE) == [1, 1, 1, 1, 3, 3]


async def test_a_seam_is_told_unless_both_upstreams_made_the_same_audio() -> None:
    for second, expected in (
        (ScriptedUpstream(2, True, True), True),
        (ScriptedUpstream(1, True, True), False),
    ):
        assert await ScriptedPool(ScriptedUpstream(1, True, DOWN), second).finds_seam() is expected
    assert not await ScriptedPool(ScriptedUpstream(1, True, True)).finds_seam()


async def test_without_another_upstream_a_request_that_was_broken_off_fails() -> None:
    for others in (
        [],
        [ScriptedUpstream(2, DOWN)],
        [ScriptedUpstream(2, REFUSED), ScriptedUpstream(3, busy())],
    ):
        scripted = ScriptedPool(ScriptedUpstream(1, True, DOWN), *others, fallback=True)
        with pytest.raises(EngineFailed, match="http://1 broke off while v spoke: gone"):
            await scripted.synthesize()
        assert scripted.requests_received == [1] * (1 + len(others))


async def test_an_upstream_that_was_restarted_is_asked_to_go_on_if_no_other_can() -> None:
    class Restarted(ScriptedUpstream):
        async def speak(self, request: UpstreamRequest, listed: ListedVoice) -> AsyncGenerator[Samples, None]:
            self.acts = (True, True, True) if self.requests_received else (True, RESTARTING)
            async with aclosing(super().speak(request, listed)) as pieces:
                async for samples in pieces:
                    yield samples

    assert await ScriptedPool(Restarted(1), ScriptedUpstream(2, REFUSED)).synthesize(LOW_RATE) == [1, 1, 1]


async def test_an_upstream_that_was_down_is_asked_to_go_on_if_no_other_can() -> None:
    scripted = ScriptedPool(ScriptedUpstream(1, True, DOWN), ScriptedUpstream(2, True, True), fallback=True)
    scripted.upstreams[1].down_until = scripted.now + 60
    assert await scripted.synthesize(LOW_RATE) == [1, 2]


@pytest.mark.parametrize("count", [1, 2, 8])
async def test_a_request_that_every_upstream_breaks_off_is_given_up_after_three(count: int) -> None:
    scripted = ScriptedPool(*(ScriptedUpstream(number, True, RESTARTING) for number in range(count)))
    with pytest.raises(EngineFailed, match="broke off"):
        await scripted.synthesize()
    assert sum(scripted.requests_received) == 3
    assert max(scripted.requests_received) == {1: 3, 2: 2, 8: 1}[count]


async def test_an_upstream_that_sends_nothing_times_out() -> None:
    scripted = ScriptedPool(ScriptedUpstream(1, False), ScriptedUpstream(2), timeout=0.05)
    assert await scripted.synthesize() == [2]
    assert scripted.servers[0].closed == 1


async def test_an_upstream_that_stalls_midway_times_out() -> None:
    scripted = ScriptedPool(ScriptedUpstream(1, True, False), timeout=0.05)
    with pytest.raises(EngineFailed, match="sent nothing"):
        await scripted.synthesize()


async def test_an_upstream_that_never_stops_sending_is_cut_off() -> None:
    scripted = ScriptedPool(ScriptedUpstream(1, *[True] * 100))
    with pytest.raises(EngineFailed, match="more audio than the text can take"):
        await scripted.synthesize(UpstreamRequest("v", "Hi", rate=100))


async def test_an_empty_response_is_no_fault() -> None:
    class Silent(ScriptedUpstream):
        async def speak(self, request: UpstreamRequest, listed: ListedVoice) -> AsyncGenerator[Samples, None]:
            return
            yield

    assert await ScriptedPool(Silent(1)).synthesize() == []


async def test_the_least_busy_upstream_is_chosen_and_equally_busy_ones_take_turns() -> None:
    scripted = ScriptedPool(ScriptedUpstream(1), ScriptedUpstream(2))
    assert [await scripted.synthesize() for _ in range(4)] == [[1], [2], [1], [2]]
    async with aclosing(scripted.pool.speak(REQUEST)) as pieces:
        await anext(pieces)
        assert [await scripted.synthesize() for _ in range(3)] == [[2], [2], [2]]


async def test_only_upstreams_that_have_the_voice_are_used() -> None:
    scripted = ScriptedPool(ScriptedUpstream(1), ScriptedUpstream(2))
    scripted.upstreams[0].voices = {}
    assert [await scripted.synthesize() for _ in range(2)] == [[2], [2]]
    scripted.upstreams[1].voices = {}
    with pytest.raises(VoiceUnavailable, match="none can be reached"):
        await scripted.synthesize()


async def test_an_upstream_that_is_down_is_retried_with_exponential_backoff() -> None:
    scripted = ScriptedPool(ScriptedUpstream(1, DOWN), ScriptedUpstream(2))
    scripted.servers[1].acts = (True,)
    for pause in (1, 2, 4, 8, 16, 30, 30):
        scripted.upstreams[0].served = -1  # it would be chosen first
        before = scripted.servers[0].requests_received
        assert await scripted.synthesize() == [2]
        assert scripted.servers[0].requests_received == before + 1
        scripted.now += pause - 0.1
        assert await scripted.synthesize() == [2]
        assert scripted.servers[0].requests_received == before + 1
        scripted.now += 0.2


async def test_a_successful_probe_restores_an_upstream_unless_only_its_probes_succeed() -> None:
    health = UpstreamHealth(ScriptedUpstream(1))
    health.request_failed(DOWN, now=0)
    assert health.probe_requested.is_set()
    health.probe_succeeded()
    assert health.down_until == 0
    for _ in range(3):
        health.request_failed(DOWN, now=0)
    health.probe_succeeded()
    assert health.down_until > 0
    health.request_succeeded()
    assert health.down_until == 0


async def test_one_failing_text_does_not_mark_an_upstream_as_down() -> None:
    scripted = ScriptedPool(ScriptedUpstream(1, FAILED))
    for _ in range(2):
        with pytest.raises(VoiceUnavailable, match="broken"):
            await scripted.synthesize()
        assert scripted.upstreams[0].down_until == 0
    with pytest.raises(VoiceUnavailable):
        await scripted.synthesize()
    assert scripted.upstreams[0].down_until > scripted.now


async def test_a_busy_upstream_is_tried_last_and_soon_used_again() -> None:
    scripted = ScriptedPool(ScriptedUpstream(1, busy(5)), ScriptedUpstream(2))
    assert [await scripted.synthesize() for _ in range(3)] == [[2], [2], [2]]
    assert scripted.requests_received == [1, 3]
    scripted.servers[0].acts = (True,)
    scripted.now += 5
    assert await scripted.synthesize() == [1]


async def test_an_upstream_with_a_short_retry_after_is_retried_once() -> None:
    tried = ScriptedPool(
        ScriptedUpstream(1, UpstreamFault(UpstreamFaultKind.DOWN, "restarting", retry_after=0.01)),
        ScriptedUpstream(2, REFUSED),
    )
    with pytest.raises(VoiceUnavailable):
        await tried.synthesize()
    assert tried.requests_received == [2, 1]


@pytest.mark.parametrize(
    ("faults", "fallback", "raised"),
    [
        ((busy(), busy()), False, Busy),
        ((busy(), DOWN), False, VoiceUnavailable),
        ((busy(), busy()), True, RemoteVoiceFailed),
        ((REFUSED, DOWN), True, RemoteVoiceFailed),
    ],
)
async def test_when_all_upstreams_fail_the_error_gives_the_reasons(
    faults: tuple[UpstreamFault, UpstreamFault],
    fallback: bool,  # noqa: FBT001
    raised: type[Exception],
) -> None:
    scripted = ScriptedPool(
        *(ScriptedUpstream(number, fault) for number, fault in enumerate(faults)), fallback=fallback
    )
    with pytest.raises(raised, match=r"http://0: .*http://1: ") as caught:
        await scripted.synthesize()
    assert type(caught.value) is raised


async def test_upstreams_that_are_down_are_tried_only_without_a_fallback_voice() -> None:
    for fallback, asked in ((True, 1), (False, 2)):
        scripted = ScriptedPool(ScriptedUpstream(1, DOWN), fallback=fallback)
        for _ in range(2):
            with pytest.raises(VoiceUnavailable):
                await scripted.synthesize()
        assert scripted.requests_received == [asked]


async def test_an_upstream_that_was_down_is_asked_after_those_that_seem_up() -> None:
    scripted = ScriptedPool(ScriptedUpstream(1), ScriptedUpstream(2, DOWN))
    scripted.upstreams[0].down_until = scripted.now + 60
    assert await scripted.synthesize() == [1]
    assert scripted.requests_received == [1, 1]


async def test_cancelling_before_the_first_audio_closes_the_upstream_stream() -> None:
    scripted = ScriptedPool(ScriptedUpstream(1, False))
    listening = asyncio.create_task(scripted.synthesize())
    await scripted.servers[0].was_requested.wait()
    listening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await listening
    assert scripted.servers[0].closed == 1
    assert scripted.upstreams[0].in_flight == 0
    assert scripted.upstreams[0].failures_in_a_row == 0
