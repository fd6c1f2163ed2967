"""`wyoming-tts stats`: summaries of the journal by period."""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fake_synthesizer import run_in_thread
from tests.unit.telemetry.records import failed, record
from wyoming_tts.speech import Outcome, UtteranceRecord
from wyoming_tts.telemetry.journal import Journal
from wyoming_tts.telemetry.stats import (
    JournalMissing,
    Period,
    _percentile,
    add_stats_flags,
    journal_files,
    parse_periods,
    run_stats,
    summarize,
)

NOW = 1_000_000.0


def write_journal(path: Path, *records: tuple[float, UtteranceRecord]) -> None:
    """Write records that ended this many seconds ago."""

    async def write_record(ago: float, spoken: UtteranceRecord) -> None:
        async with Journal(path, run_in_thread, max_bytes=3000, clock=lambda: NOW - ago) as journal:
            journal.append(spoken)

    for ago, spoken in records:
        asyncio.run(write_record(ago, spoken))


def parse_flags(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_stats_flags(parser)
    return parser.parse_args(words)


def test_each_period_summarizes_its_utterances(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    write_journal(
        path,
        (7200, record(ttfa=1.0)),
        (1800, record(ttfa=0.2, underruns=2)),
        (600, record(outcome=Outcome.CANCELLED, ttfa=0.1, audio_seconds=1.0)),
        (60, failed("busy")),
        (30, failed("busy")),
        (20, failed("unknown_voice")),
    )
    short, long = summarize(journal_files(path), parse_periods("30m,3h"), NOW)
    assert (short.period, short.count, short.cancelled, short.failed) == ("30m", 5, 1, 3)
    assert short.errors == {"busy": 2, "unknown_voice": 1}
    assert (short.ttfa_p50, short.ttfa_p95) == (0.1, 0.2)
    assert short.rtf == pytest.approx(0.2 / 3.0, abs=1e-4)
    assert (short.audio_seconds, short.characters, short.underruns) == (3.0, 210, 3)
    assert (long.period, long.count, long.ttfa_p95) == ("3h", 6, 1.0)


def test_rotated_files_are_read_and_broken_lines_skipped(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    write_journal(path, *((100 - number, record(id=str(number))) for number in range(12)))
    with path.open("ab") as file:
        file.write(b'{"time": 999')
    assert len(journal_files(path)) == 2
    (summary,) = summarize(journal_files(path), parse_periods("1h"), NOW)
    assert summary.count == 12


def test_an_empty_period_has_no_figures(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.touch()
    (summary,) = summarize([path], parse_periods("1h"), NOW)
    assert (summary.count, summary.ttfa_p50, summary.rtf, summary.errors) == (0, None, None, {})


@given(st.lists(st.floats(0, 100), min_size=1), st.integers(1, 100))
def test_percentile_is_the_nearest_rank(values: list[float], percent: int) -> None:
    result = _percentile(values, percent)
    assert result in values
    assert sum(value <= result for value in values) * 100 >= percent * len(values)
    assert sum(value < result for value in values) * 100 < percent * len(values)


def test_periods_are_parsed_in_all_units() -> None:
    assert [period.seconds for period in parse_periods("10s,30m, 1h,3d,2w")] == [
        10,
        1800,
        3600,
        259_200,
        1_209_600,
    ]
    assert parse_periods("30m") == (Period("30m", 1800),)


@pytest.mark.parametrize("text", ["", "30", "m", "0m", "-1h", "1y", "1h,,2h", "1.5h"])
def test_an_invalid_period_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_flags(f"--periods={text}")
    assert "such as 30m" in capsys.readouterr().err


def test_a_missing_journal_is_an_error_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(JournalMissing, match=r"no journal at .*metrics\.jsonl yet.*--file"):
        run_stats(parse_flags(), tmp_path / "metrics.jsonl")


def write_fresh_line(path: Path) -> None:
    line = {
        "time": time.time() - 5,
        "outcome": "failed",
        "error": "busy",
        "ttfa": 0.0554,
        "wait": 0.25,
        "held": 1.5,
        "audio_seconds": 2.0,
        "compute_seconds": 0.1,
        "characters": 42,
        "underruns": 1,
        "underrun_seconds": 0.3,
    }
    path.write_text(f"{json.dumps(line)}\n")


def test_the_table_has_a_row_for_each_period(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_fresh_line(tmp_path / "metrics.jsonl")
    assert run_stats(parse_flags(), tmp_path / "metrics.jsonl") == 0
    heading, *rows = capsys.readouterr().out.splitlines()
    assert "TTFA p50" in heading
    assert [row.split()[0] for row in rows] == ["30m", "1h", "6h", "24h", "3d"]
    assert rows[0].split() == [
        "30m",
        "1",
        "55",
        "ms",
        "55",
        "ms",
        "250",
        "ms",
        "1500",
        "ms",
        "0.050",
        "2",
        "s",
        "1",
        "(0.3",
        "s)",
        "0",
        "busy",
        "1",
    ]


def test_file_and_json_flags_select_input_and_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.jsonl"
    write_fresh_line(other)
    arguments = parse_flags("--json", "--file", str(other), "--periods", "1h,1d")
    assert run_stats(arguments, tmp_path / "metrics.jsonl") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["journal"] == str(other)
    assert [(period["period"], period["count"], period["errors"]) for period in printed["periods"]] == [
        ("1h", 1, {"busy": 1}),
        ("1d", 1, {"busy": 1}),
    ]


def test_an_unreadable_journal_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "metrics.jsonl"
    path.touch()

    def deny(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", deny)
    with pytest.raises(JournalMissing, match="cannot be read: Permission denied"):
        run_stats(parse_flags(), path)


def test_a_journal_that_was_not_moved_yet_is_read_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    former, path = tmp_path / "data" / "metrics.jsonl", tmp_path / "state" / "metrics.jsonl"
    former.parent.mkdir()
    write_fresh_line(former)
    arguments = parse_flags("--json", "--periods", "1h")
    assert run_stats(arguments, path, former) == 0
    path.parent.mkdir()
    write_fresh_line(path)
    assert run_stats(arguments, path, former) == 0
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each["periods"][0]["count"] for each in printed] == [1, 2]
