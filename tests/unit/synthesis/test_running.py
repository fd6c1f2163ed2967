"""Which utterances run, what each is doing and how far ahead of its listener it is, on a simulated clock."""

from __future__ import annotations

import pytest

from tests.support.manual_clock import ManualClock
from tests.unit.synthesis.test_job import VOICE, make_costs
from wyoming_tts.speech import Segment, Utterance, VoiceReason, VoiceRequest, VoiceSpec
from wyoming_tts.synthesis.job import Job
from wyoming_tts.synthesis.running import RunningUtterance, RunningUtterances, RunState
from wyoming_tts.text.feed import TextFeed

SECOND = bytes(2 * VOICE.sample_rate)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(100.0)


@pytest.fixture
def running(clock: ManualClock) -> RunningUtterances:
    return RunningUtterances(clock)


def make_job(clock: ManualClock, utterance: Utterance | None = None) -> Job:
    return Job(utterance or Utterance(TextFeed(), peer="192.0.2.7"), clock, make_costs())


def only(running: RunningUtterances) -> RunningUtterance:
    (one,) = running.now()
    return one


def test_an_utterance_goes_through_its_states(running: RunningUtterances, clock: ManualClock) -> None:
    job = make_job(clock)
    with running.watching(job):
        assert (only(running).state, only(running).voice) == (RunState.PREPARING, "")
        job.on_voice_resolved(VoiceSpec(VOICE))
        assert (only(running).state, only(running).voice) == (RunState.WAITING_FOR_TEXT, "tone")
        job.add_segment(Segment("Hello."))
        with job.timing_wait():
            assert only(running).state is RunState.QUEUED
        assert only(running).state is RunState.PREPARING
        job.begin_segment()
        job.clock.is_held, job.clock.buffered_seconds = True, 1.5
        assert (only(running).state, only(running).ahead) == (RunState.HELD, 1.5)
        job.clock.is_held, job.clock.buffered_seconds = False, 0.0
        job.make_chunk(SECOND)
        clock.now += 0.25
        assert (only(running).state, only(running).ahead) == (RunState.SPEAKING, 0.75)
        clock.now += 2
        assert (only(running).state, only(running).ahead) == (RunState.LATE, 0.0)
        job.backlog.end()
        assert (only(running).state, only(running).seconds) == (RunState.WAITING_FOR_TEXT, 2.25)


def test_what_is_delivered_is_told_of_while_it_plays(running: RunningUtterances, clock: ManualClock) -> None:
    job = make_job(clock)
    with running.watching(job):
        job.on_voice_resolved(VoiceSpec(VOICE))
        job.make_chunk(SECOND * 3)
        job.on_done()
        clock.now += 1
    clock.now += 0.5
    after = only(running)
    assert (after.state, after.ahead, after.seconds) == (RunState.SENT, 1.5, 1.5)
    clock.now += 1.5
    assert running.now() == ()


def test_a_listener_that_left_is_not_told_of(running: RunningUtterances, clock: ManualClock) -> None:
    job = make_job(clock)
    with running.watching(job):
        job.on_voice_resolved(VoiceSpec(VOICE))
        job.make_chunk(SECOND)
    assert running.now() == ()


def test_work_that_nobody_listens_to_is_not_told_of(running: RunningUtterances, clock: ManualClock) -> None:
    job = make_job(clock)
    job.clock.in_background = True
    with running.watching(job):
        assert running.now() == ()


def test_those_that_play_on_are_bounded(running: RunningUtterances, clock: ManualClock) -> None:
    for _ in range(1000):
        job = make_job(clock)
        with running.watching(job):
            job.on_voice_resolved(VoiceSpec(VOICE))
            job.make_chunk(SECOND)
            job.on_done()
    assert len(running.now()) == 64


@pytest.mark.parametrize(
    ("reason", "told"),
    [(VoiceReason.REQUESTED, ""), (VoiceReason.FALLBACK, "amy"), (VoiceReason.ALIAS, "amy")],
)
def test_the_requested_voice_is_told_if_another_speaks(
    running: RunningUtterances, clock: ManualClock, reason: VoiceReason, told: str
) -> None:
    job = make_job(clock, Utterance.of("Hello.", voice=VoiceRequest("amy")))
    job.on_voice_resolved(VoiceSpec(VOICE, reason=reason))
    with running.watching(job):
        assert only(running).requested_voice == told
