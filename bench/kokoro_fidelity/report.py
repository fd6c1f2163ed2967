"""Tables of the fidelity of ways to speak."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, quantiles

from bench.kokoro_fidelity.distances import LevelDifference

_SHOWN_WORST = 5


@dataclass(frozen=True, slots=True)
class Fidelity:
    """How close one way to speak a sentence is to a whole decode of it."""

    way: str
    voice: str
    text: str
    seconds: float
    spectral: float
    """Log-spectral distance in dB."""
    level: LevelDifference


@dataclass(frozen=True, slots=True)
class CutFidelity:
    """The same of ways that take another time; the distance is that of mel bands after warping."""

    way: str
    mel: float
    duration: float
    """Of the whole decode's."""


@dataclass(frozen=True, slots=True)
class HeardWords:
    """What a recognizer heard of a sentence."""

    way: str
    words: int
    """Of the text."""
    errors: int
    words_of_whole: int
    """Heard in the whole decode."""
    errors_to_whole: int


def fidelity_table(rows: Iterable[Fidelity]) -> str:
    """A line for each way and voice, and one for each way."""
    lines = [
        "| way | voice | sentences | distance dB, mean (worst) | level dB, mean (worst 100 ms) |",
        "|---|---|---|---|---|",
    ]
    for (way, voice), group in _by_way_and_voice(rows).items():
        distances, levels = [row.spectral for row in group], [row.level for row in group]
        lines.append(
            f"| {way} | {voice} | {len(group)} | {fmean(distances):.2f} ({max(distances):.2f}) "
            f"| {fmean(level.mean for level in levels):.2f} ({max(level.worst for level in levels):.1f}) |"
        )
    return "\n".join(lines)


def worst_table(rows: Iterable[Fidelity], way: str) -> str:
    """The sentences that are furthest from their whole decodes, by their levels and by their spectra."""
    lines = ["| voice | seconds | distance dB | worst 100 ms dB, at s | text |", "|---|---|---|---|---|"]
    mine = [row for row in rows if row.way == way]
    by_level = sorted(mine, key=lambda row: -row.level.worst)[:_SHOWN_WORST]
    by_distance = sorted(mine, key=lambda row: -row.spectral)[:_SHOWN_WORST]
    lines += [
        f"| {row.voice} | {row.seconds:.1f} | {row.spectral:.2f} "
        f"| {row.level.worst:.1f}, {row.level.worst_at:.1f} | {row.text} |"
        for row in [*by_level, *(row for row in by_distance if row not in by_level)]
    ]
    return "\n".join(lines)


def cut_table(rows: Iterable[CutFidelity]) -> str:
    """A line for each way."""
    groups = defaultdict(list)
    for row in rows:
        groups[row.way].append(row)
    lines = [
        "| way | sentences | mel distance dB after warping | duration, mean (most) |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {way} | {len(group)} | {fmean(row.mel for row in group):.2f} "
        f"| {fmean(row.duration for row in group):.2f} ({max(row.duration for row in group):.2f}) |"
        for way, group in groups.items()
    ]
    return "\n".join(lines)


def words_table(rows: Iterable[HeardWords]) -> str:
    """A line for each way."""
    groups = defaultdict(list)
    for row in rows:
        groups[row.way].append(row)
    lines = ["| way | sentences | WER % to the text | WER % to the whole decode |", "|---|---|---|---|"]
    for way, group in groups.items():
        words, heard = sum(row.words for row in group), sum(row.words_of_whole for row in group)
        lines.append(
            f"| {way} | {len(group)} | {_percent(sum(row.errors for row in group), words)} "
            f"| {_percent(sum(row.errors_to_whole for row in group), heard)} |"
        )
    return "\n".join(lines)


def seams_line(at_seams: Sequence[float], elsewhere: Sequence[float]) -> str:
    """Quantiles of `seam_ratios` at seams and at places that are none."""
    return f"Seams p50/p95/max: {_quantiles(at_seams)}; other places: {_quantiles(elsewhere)}"


def _by_way_and_voice(rows: Iterable[Fidelity]) -> Mapping[tuple[str, str], Sequence[Fidelity]]:
    groups: dict[tuple[str, str], list[Fidelity]] = defaultdict(list)
    for row in rows:
        groups[row.way, row.voice].append(row)
        groups[row.way, "all"].append(row)
    return dict(sorted(groups.items()))


def _quantiles(values: Sequence[float]) -> str:
    if len(values) < 2:  # noqa: PLR2004  # there are none of fewer
        return "-"
    parts = quantiles(values, n=20, method="inclusive")
    return f"{parts[9]:.2f}/{parts[18]:.2f}/{max(values):.2f}"


def _percent(errors: int, words: int) -> str:
    return f"{100 * errors / max(words, 1):.1f}"
