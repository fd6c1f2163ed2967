"""Admission decisions on a simulated clock."""

from __future__ import annotations

import pytest

from wyoming_tts.admission import Admission, AdmissionOptions
from wyoming_tts.errors import Busy
from wyoming_tts.scheduler import Scheduler, StreamClock


def make_admission(**limits: float) -> tuple[Admission, Scheduler]:
    scheduler = Scheduler(slots=1)
    return Admission(AdmissionOptions(**limits), scheduler), scheduler  # type: ignore[arg-type]


def test_streams_are_admitted_up_to_the_limit_then_queued_then_refused() -> None:
    admission, _ = make_admission(max_streams=2, max_queue=2)
    streams = [StreamClock(work_since=0.0) for _ in range(5)]
    assert [admission.admit(stream, 0.0) for stream in streams[:4]] == [True, True, False, False]
    with pytest.raises(Busy, match="2 utterances are being spoken and 2 are queued"):
        admission.admit(streams[4], 0.0)
    admission.release(streams[1], 1.0)
    assert admission.admit_next(1.0) is streams[2]
    assert admission.admit_next(1.0) is None


def test_a_stream_that_left_the_queue_is_not_admitted() -> None:
    admission, _ = make_admission(max_streams=1)
    admitted, canceled, waiting = (StreamClock(work_since=0.0) for _ in range(3))
    for stream in (admitted, canceled, waiting):
        admission.admit(stream, 0.0)
    admission.release(canceled, 0.5)
    admission.release(admitted, 1.0)
    assert admission.admit_next(1.0) is waiting


def test_a_newcomer_does_not_overtake_the_queue() -> None:
    admission, _ = make_admission(max_streams=1)
    admitted, first, second = (StreamClock(work_since=0.0) for _ in range(3))
    admission.admit(admitted, 0.0)
    admission.admit(first, 0.0)
    admission.release(admitted, 1.0)
    assert not admission.admit(second, 1.0)


def test_a_stream_with_too_long_a_predicted_wait_is_refused() -> None:
    admission, scheduler = make_admission(max_streams=100, max_wait=2.0)
    admission.record_first_audio(0.5)
    for _ in range(3):
        stream = StreamClock(work_since=0.0)
        assert admission.admit(stream, 0.0)
        scheduler.request_step(stream)
    assert admission.predict_wait(0.0) == pytest.approx(2.0)
    late = StreamClock(work_since=0.0)
    assert admission.admit(late, 0.0)
    scheduler.request_step(late)
    with pytest.raises(Busy, match="about 2 s"):
        admission.admit(StreamClock(work_since=0.0), 0.0)


def test_new_work_is_refused_while_the_machine_cannot_keep_up() -> None:
    admission, scheduler = make_admission(max_wait=5.0)
    scheduler.request_step(StreamClock(work_since=0.0, playing_since=0.0, audio_seconds=1.0))
    with pytest.raises(Busy):
        admission.admit(StreamClock(work_since=7.0), 7.0)


def test_the_predicted_wait_follows_the_duration_of_recent_streams() -> None:
    admission, _ = make_admission(max_streams=2, max_wait=100.0)
    first = StreamClock(work_since=0.0)
    admission.admit(first, 0.0)
    admission.release(first, 30.0)
    for _ in range(2):
        admission.admit(StreamClock(work_since=30.0), 30.0)
    assert admission.predict_wait(30.0) == pytest.approx(15.0)
