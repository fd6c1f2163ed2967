"""The work of a stream while its text arrives."""

from __future__ import annotations

import pytest

from tests.support.manual_clock import ManualClock
from wyoming_tts.demand import Capacity, expected_lead
from wyoming_tts.synthesis.backlog import StreamBacklog
from wyoming_tts.synthesis.costs import CostModel
from wyoming_tts.synthesis.voice_cost import MeasuredSegment, StepTiming, VoiceCost


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(100.0)


@pytest.fixture
def backlog(clock: ManualClock) -> StreamBacklog:
    """Of a voice that speaks 10 characters in a second, and computes that in a tenth of a second."""
    cost = VoiceCost()
    segment = MeasuredSegment(100)
    for _ in range(10):
        segment.add(StepTiming(1.0, 0.1, 0.1, has_cores=True))
    cost.learn(segment)
    costs = CostModel(slots=1, capacity=Capacity())
    return StreamBacklog(costs, cost, speed=1.0, clock=clock)


def test_text_that_arrives_at_once_is_expected_to_go_on_arriving_at_once(backlog: StreamBacklog) -> None:
    backlog.add(50)
    assert expected_lead(backlog.works()) < 0.2


def test_text_that_arrives_slowly_holds_up_no_start(backlog: StreamBacklog, clock: ManualClock) -> None:
    """Nobody can speak what is not written yet; the beginning is worth hearing all the same."""
    clock.now += 10.0
    backlog.add(20)
    assert expected_lead(backlog.works()) < 0.2


def test_when_the_text_is_complete_nothing_more_is_expected(
    backlog: StreamBacklog, clock: ManualClock
) -> None:
    clock.now += 10.0
    backlog.add(20)
    backlog.complete()
    assert expected_lead(backlog.works()) < 0.2
    assert sum(work.audio for work in backlog.works()) == pytest.approx(2.0)


def test_only_the_segment_being_rendered_has_work_of_its_own(backlog: StreamBacklog) -> None:
    backlog.add(50)
    backlog.add(30)
    backlog.begin()
    assert sum(work.audio for work in backlog.works_of(0)) == pytest.approx(5.0)
    assert backlog.works_of(1) == ()
    backlog.end()
    assert backlog.works_of(0) == ()
