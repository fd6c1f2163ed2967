"""Recent utterances, as the page shows them."""

from __future__ import annotations

from itertools import count

from tests.unit.telemetry.records import failed, record
from wyoming_tts.telemetry.recent_utterances import RecentUtterances


def test_the_newest_utterance_comes_first_with_its_end_time() -> None:
    clock = count(1000)
    recent = RecentUtterances(clock=lambda: float(next(clock)))
    recent.on_record(record(id="one"))
    recent.on_record(record(id="two"))
    assert [(ended.time, ended.record.id) for ended in recent.newest()] == [
        (1001.0, "two"),
        (1000.0, "one"),
    ]


def test_only_the_most_recent_are_kept_but_all_are_counted() -> None:
    recent = RecentUtterances(3)
    for number in range(10):
        recent.on_record(record(id=str(number), ttfa=number / 10))
    assert [ended.record.id for ended in recent.newest()] == ["9", "8", "7"]
    assert [ended.record.ttfa for ended in recent.heard] == [0.7, 0.8, 0.9]
    assert recent.count == 10


def test_newest_accepts_a_limit() -> None:
    recent = RecentUtterances()
    for number in range(5):
        recent.on_record(record(id=str(number)))
    assert [ended.record.id for ended in recent.newest(2)] == ["4", "3"]


def test_failed_utterances_displace_none_that_was_heard() -> None:
    recent = RecentUtterances(2)
    recent.on_record(record(ttfa=0.1))
    for _ in range(5):
        recent.on_record(failed())
    assert [ended.record.ttfa for ended in recent.heard] == [0.1]
