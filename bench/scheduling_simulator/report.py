"""The figures of all scenarios as a Markdown table and as a picture."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import groupby
from xml.sax.saxutils import escape

from bench.scheduling_simulator.figures import Figures

_HEAD = (
    "| scenario | policy | utterances | refused | with a gap | gaps | silence | start: median, p95 | "
    "÷ clairvoyant: median, p95 |\n|---|---|--:|--:|--:|--:|--:|--:|--:|"
)

_COLOURS = ("#d64545", "#3e7cb1", "#f2a541", "#52606d")
_BAR = 7
_ROW_SPACE = 10
_NAMES, _SHARES, _STARTS, _WIDTH = 230, 190, 300, 780
_TOP = 64
_RATIOS = (0.1, 0.3, 1.0, 3.0, 10.0)
"""Marks of the axis of starts."""


def render_table(figures: Sequence[Figures]) -> str:
    """Return a Markdown table with a row for each scenario and policy."""
    return "\n".join([_HEAD, *map(render_row, figures)])


def render_row(figures: Figures) -> str:
    """Return a row of the table."""
    heard = bool(figures.starts)
    cells = (
        figures.scenario,
        figures.policy,
        figures.utterances,
        figures.refused,
        f"{100 * figures.gap_share:.1f} %",
        figures.gaps,
        f"{figures.gap_seconds:.0f} s",
        f"{figures.start(50):.2f} s, {figures.start(95):.2f} s" if heard else "-",
        f"{figures.ratio(50):.2f}, {figures.ratio(95):.2f}" if heard else "-",
    )
    return "| " + " | ".join(map(str, cells)) + " |"


def draw(figures: Sequence[Figures]) -> str:
    """Return an SVG: for each scenario the utterances with a gap, and the starts against the clairvoyant."""
    policies = list(dict.fromkeys(each.policy for each in figures))
    scenarios = [list(group) for _, group in groupby(figures, key=lambda each: each.scenario)]
    row = len(policies) * _BAR + _ROW_SPACE
    height = _TOP + len(scenarios) * row + 10
    parts = [*_legend(policies), *_axis(height)]
    for number, group in enumerate(scenarios):
        parts.extend(_row(group, policies, _TOP + number * row))
    style = "text{font:12px system-ui,sans-serif;fill:#323f4b}.head{font-weight:600}.axis{fill:#7b8794}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}">'
        f"<title>Simulated gaps and starts</title><style>{style}</style>"
        f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>{"".join(parts)}</svg>\n'
    )


def _legend(policies: Sequence[str]) -> Iterator[str]:
    for number, policy in enumerate(policies):
        x = 10 + 90 * number
        yield f'<rect x="{x}" y="9" width="10" height="10" fill="{_COLOURS[number]}"/>'
        yield f'<text x="{x + 15}" y="18">{escape(policy)}</text>'
    yield f'<text x="{_NAMES}" y="36" class="head">utterances with a gap</text>'
    starts = "start ÷ clairvoyant start, median to p95"
    yield f'<text x="{_start_x(_RATIOS[0])}" y="36" class="head">{starts}</text>'


def _axis(height: int) -> Iterator[str]:
    for percent in (0, 50, 100):
        yield _mark(_NAMES + _SHARES * percent / 100, f"{percent} %", height)
    for ratio in _RATIOS:
        yield _mark(_start_x(ratio), f"{ratio:g}", height)


def _mark(x: float, label: str, height: int) -> str:
    return (
        f'<path d="M{x:.1f} {_TOP - 8}V{height - 10}" stroke="#e4e7eb"/>'
        f'<text x="{x:.1f}" y="{_TOP - 12}" text-anchor="middle" class="axis">{label}</text>'
    )


def _row(group: Sequence[Figures], policies: Sequence[str], y: int) -> Iterator[str]:
    middle = y + len(policies) * _BAR / 2 + 4
    yield f'<text x="10" y="{middle:.1f}">{escape(group[0].scenario)}</text>'
    for figures in group:
        number = policies.index(figures.policy)
        colour, top = _COLOURS[number], y + number * _BAR
        share = max(1.0, _SHARES * figures.gap_share)
        yield f'<rect x="{_NAMES}" y="{top}" width="{share:.1f}" height="{_BAR - 1}" fill="{colour}"/>'
        if figures.ratios:
            left, right = _start_x(figures.ratio(50)), _start_x(figures.ratio(95))
            centre = top + (_BAR - 1) / 2
            yield f'<path d="M{left:.1f} {centre}H{right:.1f}" stroke="{colour}" stroke-width="2"/>'
            yield f'<circle cx="{left:.1f}" cy="{centre}" r="3" fill="{colour}"/>'


def _start_x(ratio: float) -> float:
    """Return where a ratio is on the logarithmic axis."""
    low, high = math.log(_RATIOS[0]), math.log(_RATIOS[-1])
    share = (math.log(max(ratio, 1e-9)) - low) / (high - low)
    return _NAMES + _SHARES + 40 + _STARTS * min(1.0, max(0.0, share))
