"""`wyoming-tts stats`: statistics of the journal over the last minutes, hours and days."""

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
from wyoming_tts.known_files import is_absent
from wyoming_tts.telemetry.journal import JournalEntry, read_entries, rotated_files

DEFAULT_PERIODS = "30m,1h,6h,24h,3d"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_MOST_OLD_FILES = 9
"""Rotated files that are looked for beside a journal."""


class JournalMissing(SpeechError):
    """There is no journal, or it cannot be read."""


@dataclass(frozen=True, slots=True)
class Period:
    """A period to look back over."""

    name: str
    """As given, such as `30m`."""
    seconds: int


@dataclass(frozen=True, slots=True)
class PeriodSummary:
    """Statistics of a period. Times are in seconds; None where there was no audio."""

    period: str
    count: int
    cancelled: int
    failed: int
    errors: dict[str, int]
    """Failures by error code."""
    ttfa_p50: float | None
    ttfa_p95: float | None
    wait_p95: float | None
    held_p95: float | None
    rtf: float | None
    """Real-time factor: compute seconds per second of audio."""
    audio_seconds: float
    characters: int
    underruns: int
    underrun_seconds: float


def add_stats_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of the command; `run_stats` reads them."""
    parser.add_argument(
        "--periods",
        type=parse_periods,
        default=parse_periods(DEFAULT_PERIODS),
        metavar="LIST",
        help=f"how far to look back, in s, m, h, d or w (default: {DEFAULT_PERIODS})",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--file", type=Path, metavar="FILE", help="the journal, if it is not the server's metrics_file"
    )


def run_stats(arguments: argparse.Namespace, settings_path: Path, former_path: Path | None = None) -> int:
    """Print summaries of a journal: `arguments.file`, or else the one of the settings.

    Args:
        arguments: The flags.
        settings_path: The server's journal.
        former_path: Where an earlier version wrote it, which is read too until the server has moved it.

    Raises:
        JournalMissing: there is none, or it cannot be read.
    """
    path: Path = arguments.file or settings_path
    former = None if arguments.file else former_path
    try:
        found = summarize(journal_files(path, former), arguments.periods, time.time())
    except OSError as error:
        raise JournalMissing(f"The journal {path} cannot be read: {error.strerror or error}.") from error
    if arguments.json:
        print(json.dumps({"journal": str(path), "periods": [asdict(summary) for summary in found]}))
    else:
        _print_table(found)
    return 0


def parse_periods(text: str) -> tuple[Period, ...]:
    """Parse a list such as `30m,1h`.

    Raises:
        argparse.ArgumentTypeError: it is malformed.
    """
    return tuple(map(_parse_period, text.split(",")))


def journal_files(path: Path, former: Path | None = None) -> list[Path]:
    """Return the files of a journal, the oldest first; those at its former place before the others.

    Raises:
        JournalMissing: there are none.
        OSError: that cannot be told now.
    """
    places = (path,) if former is None else (path, former)
    files = [file for place in places for file in (place, *rotated_files(place, _MOST_OLD_FILES))]
    found = [file for file in dict.fromkeys(files) if not is_absent(file)]
    if not found:
        raise JournalMissing(
            f"There is no journal at {path} yet.",
            hint="The server writes one with every utterance unless the setting `metrics` is off; "
            "name another with --file.",
        )
    return found[::-1]


def summarize(paths: Iterable[Path], periods: Sequence[Period], now: float) -> list[PeriodSummary]:
    """Summarize journals for each period up to `now`, in seconds since 1970. Blocks.

    Raises:
        OSError: a journal cannot be read.
    """
    oldest = now - max(period.seconds for period in periods)
    entries = [entry for path in paths for entry in read_entries(path) if oldest <= entry.time <= now]
    return [
        _summary(period.name, [entry for entry in entries if entry.time >= now - period.seconds])
        for period in periods
    ]


def _parse_period(text: str) -> Period:
    match = re.fullmatch(r"([1-9]\d{0,5})([smhdw])", text.strip())
    if match is None:
        raise argparse.ArgumentTypeError(
            f"got {text!r}, expected a number and one of s, m, h, d, w, such as 30m"
        )
    return Period(match[0], int(match[1]) * _UNITS[match[2]])


def _summary(period: str, entries: Sequence[JournalEntry]) -> PeriodSummary:
    ttfa = [entry.ttfa for entry in entries if entry.ttfa is not None]
    audio = sum(entry.audio_seconds for entry in entries)
    errors = Counter(entry.error for entry in entries if entry.error)
    return PeriodSummary(
        period=period,
        count=len(entries),
        cancelled=sum(entry.outcome == "cancelled" for entry in entries),
        failed=sum(entry.outcome == "failed" for entry in entries),
        errors=dict(errors.most_common()),
        ttfa_p50=_percentile(ttfa, 50),
        ttfa_p95=_percentile(ttfa, 95),
        wait_p95=_percentile([entry.wait for entry in entries], 95),
        held_p95=_percentile([entry.held for entry in entries], 95),
        rtf=round(sum(entry.compute_seconds for entry in entries) / audio, 4) if audio else None,
        audio_seconds=round(audio, 3),
        characters=sum(entry.characters for entry in entries),
        underruns=sum(entry.underruns for entry in entries),
        underrun_seconds=round(sum(entry.underrun_seconds for entry in entries), 3),
    )


def _percentile(values: Sequence[float], percent: int) -> float | None:
    """Return the nearest-rank percentile; None without values."""
    if not values:
        return None
    return sorted(values)[ceil(len(values) * percent / 100) - 1]


def _print_table(found: Iterable[PeriodSummary]) -> None:
    from rich.console import Console  # noqa: PLC0415 - takes 100 ms, which parsing flags should not
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=None)
    headings = ("Count", "TTFA p50", "p95", "Wait p95", "Held p95", "RTF", "Audio", "Underruns", "Cancelled")
    for heading in ("Last", *headings):
        table.add_column(heading, justify="left" if heading == "Last" else "right")
    table.add_column("Errors")
    for summary in found:
        table.add_row(*_cells(summary))
    # The output of a pipe has no width that the table must fit.
    Console(width=None if sys.stdout.isatty() else 200).print(table)


def _cells(summary: PeriodSummary) -> list[str]:
    return [
        summary.period,
        str(summary.count),
        _milliseconds(summary.ttfa_p50),
        _milliseconds(summary.ttfa_p95),
        _milliseconds(summary.wait_p95),
        _milliseconds(summary.held_p95),
        "-" if summary.rtf is None else f"{summary.rtf:.3f}",
        f"{summary.audio_seconds:.0f} s",
        f"{summary.underruns} ({summary.underrun_seconds:.1f} s)" if summary.underruns else "0",
        str(summary.cancelled),
        ", ".join(f"{code} {count}" for code, count in summary.errors.items()) or "-",
    ]


def _milliseconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:.0f} ms"
