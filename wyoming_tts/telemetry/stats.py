"""`wyoming-tts stats`: what the journal tells of the last minutes, hours and days."""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from math import ceil
from pathlib import Path

from wyoming_tts.errors import SpeechError
from wyoming_tts.telemetry.journal import JournalEntry, read_entries, rotated_files

DEFAULT_PERIODS = "30m,1h,6h,24h,3d"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_MOST_OLD_FILES = 9
"""Looked for beside a journal."""


class JournalMissing(SpeechError):
    """There is nothing to tell of."""


@dataclass(frozen=True, slots=True)
class Period:
    """How far to look back."""

    name: str
    """As it was asked for, `30m`."""
    seconds: int


@dataclass(frozen=True, slots=True)
class PeriodSummary:
    """What happened within a period. Times are in seconds; None is where nothing was heard."""

    period: str
    count: int
    cancelled: int
    failed: int
    errors: dict[str, int]
    """Of those that failed, by code."""
    ttfa_p50: float | None
    ttfa_p95: float | None
    wait_p95: float | None
    rtf: float | None
    """Computing for each second of audio."""
    audio_seconds: float
    characters: int
    underruns: int


def add_stats_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of the command; `run_stats` reads them."""
    parser.add_argument(
        "--periods",
        type=periods,
        default=periods(DEFAULT_PERIODS),
        metavar="LIST",
        help=f"how far to look back, in s, m, h, d or w (default: {DEFAULT_PERIODS})",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--file", type=Path, metavar="FILE", help="the journal, if it is not the server's metrics_file"
    )


def run_stats(arguments: argparse.Namespace, settings_path: Path) -> int:
    """Print summaries of the journal, that of the settings unless another is named.

    Raises:
        NoJournal: it is not there, or cannot be read.
    """
    path: Path = arguments.file or settings_path
    try:
        found = summarize(journal_files(path), arguments.periods, time.time())
    except OSError as error:
        raise JournalMissing(f"The journal {path} cannot be read: {error.strerror or error}.") from error
    if arguments.json:
        print(json.dumps({"journal": str(path), "periods": [asdict(summary) for summary in found]}))
    else:
        _print_table(found)
    return 0


def periods(text: str) -> tuple[Period, ...]:
    """Read a list such as `30m,1h`.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    return tuple(map(_period, text.split(",")))


def journal_files(path: Path) -> list[Path]:
    """Return the files of a journal, the oldest first.

    Raises:
        NoJournal: there are none.
    """
    found = [file for file in (path, *rotated_files(path, _MOST_OLD_FILES)) if file.is_file()]
    if not found:
        raise JournalMissing(
            f"There is no journal at {path} yet.",
            hint="The server writes one with every utterance unless the setting `metrics` is off; "
            "name another with --file.",
        )
    return found[::-1]


def summarize(paths: Iterable[Path], periods: Sequence[Period], now: float) -> list[PeriodSummary]:
    """Sum up what journals tell of the time before `now`, in seconds since 1970. Blocks.

    Raises:
        OSError: a journal cannot be read.
    """
    oldest = now - max(period.seconds for period in periods)
    notes = [note for path in paths for note in read_entries(path) if oldest <= note.time <= now]
    return [
        _summary(period.name, [note for note in notes if note.time >= now - period.seconds])
        for period in periods
    ]


def _period(text: str) -> Period:
    match = re.fullmatch(r"([1-9]\d{0,5})([smhdw])", text.strip())
    if match is None:
        raise argparse.ArgumentTypeError(
            f"got {text!r}, expected a number and one of s, m, h, d, w, such as 30m"
        )
    return Period(match[0], int(match[1]) * _UNITS[match[2]])


def _summary(period: str, notes: Sequence[JournalEntry]) -> PeriodSummary:
    ttfa = [note.ttfa for note in notes if note.ttfa is not None]
    audio = sum(note.audio_seconds for note in notes)
    errors = Counter(note.error for note in notes if note.error)
    return PeriodSummary(
        period=period,
        count=len(notes),
        cancelled=sum(note.outcome == "cancelled" for note in notes),
        failed=sum(note.outcome == "failed" for note in notes),
        errors=dict(errors.most_common()),
        ttfa_p50=_percentile(ttfa, 50),
        ttfa_p95=_percentile(ttfa, 95),
        wait_p95=_percentile([note.wait for note in notes], 95),
        rtf=round(sum(note.compute_seconds for note in notes) / audio, 4) if audio else None,
        audio_seconds=round(audio, 3),
        characters=sum(note.characters for note in notes),
        underruns=sum(note.underruns for note in notes),
    )


def _percentile(values: Sequence[float], percent: int) -> float | None:
    """The smallest value that so many percent of all do not exceed."""
    if not values:
        return None
    return sorted(values)[ceil(len(values) * percent / 100) - 1]


def _print_table(found: Iterable[PeriodSummary]) -> None:
    from rich.console import Console  # noqa: PLC0415 - takes 100 ms that parsing flags need not spend
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=None)
    for heading in ("Last", "Count", "TTFA p50", "p95", "Wait p95", "RTF", "Audio", "Underruns", "Cancelled"):
        table.add_column(heading, justify="left" if heading == "Last" else "right")
    table.add_column("Errors")
    for summary in found:
        table.add_row(*_cells(summary))
    # A pipe has no width to fit the table into.
    Console(width=None if sys.stdout.isatty() else 200).print(table)


def _cells(summary: PeriodSummary) -> list[str]:
    return [
        summary.period,
        str(summary.count),
        _milliseconds(summary.ttfa_p50),
        _milliseconds(summary.ttfa_p95),
        _milliseconds(summary.wait_p95),
        "-" if summary.rtf is None else f"{summary.rtf:.3f}",
        f"{summary.audio_seconds:.0f} s",
        str(summary.underruns),
        str(summary.cancelled),
        ", ".join(f"{code} {count}" for code, count in summary.errors.items()) or "-",
    ]


def _milliseconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:.0f} ms"
