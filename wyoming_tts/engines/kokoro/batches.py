"""Cutting of phonemes into batches, each of which the Kokoro model speaks in one pass.

A pass cannot be interrupted and is not heard before it is over, so its length is how long the listener
waits, and all others. But the model speaks each as if it were all there is to say, so a cut belongs where a
speaker would pause anyway, and never close to an end. All ways to cut are weighed against each other, as a
paragraph is broken into lines (Knuth and Plass, "Breaking Paragraphs into Lines", 1981).
"""

from __future__ import annotations

import operator
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

MIN_PHONEMES = 30
"""Phonemes; shorter batches are avoided. Up to 20 the voices are known to be weak, and the silence
around every pass is computed too: with it a phoneme costs a quarter more in a pass of 8."""
MAX_PHONEMES = 130
"""Phonemes; longer ones are never made. From 16 up to here a second of speech costs the same, for
250 to 500 a tenth to a half more, and twice the memory. These are ten seconds of speech already,
computed in one go that nothing interrupts."""
FIRST_MAX_PHONEMES = 60
"""Phonemes of the first batch, if there is a mark to cut at. The listener waits for it, or has only a few
words buffered from the text before. A cut elsewhere would be heard for longer than the wait is felt."""


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """Phonemes of a batch."""

    longest: int = MAX_PHONEMES
    first: int = FIRST_MAX_PHONEMES


CLAUSE_MARKS = ",;:—"
STOPS = ".!?…"

_CLOSERS = '"”»)'
_ATOM = re.compile(
    rf"""\s*
    (?: \S+?— | \S+ )                                    # up to a dash, which needs no space, or a word
    (?: \s+ [{CLAUSE_MARKS}{STOPS}{_CLOSERS}]+ (?!\S) )*  # marks that stand alone, as in French
    """,
    re.VERBOSE,
)

# How much worse than at a mark it is to cut there. A full stop in a sentence mostly ends an
# abbreviation, "!" and "?" do not; inside a word is the last resort.
_AT_MARK, _AT_FULL_STOP, _BETWEEN_WORDS, _INSIDE_WORD = 0, 1, 2, 100

_Cost = tuple[int, ...]
"""What to avoid, the worst first: batches that are too short, rough cuts, a first batch that is too
long, many batches, and uneven ones (by the sum of the squares of their lengths)."""


@dataclass(frozen=True, slots=True)
class _Break:
    """A place where a batch may end."""

    end: int
    roughness: int


@dataclass(frozen=True, slots=True)
class _Route:
    """The cheapest way to cut the text up to a place."""

    cost: _Cost
    start: int
    """Index of the place where its last batch begins."""


def cut_batches(phonemes: str, limits: BatchLimits = BatchLimits()) -> list[str]:
    """Cut phonemes into batches within limits, each of at least MIN_PHONEMES where there is a way.

    They are cut after marks, else between words; a first batch within its own limit is cut off if
    there is a mark to cut at. What is short enough for one batch stays whole. Nothing but spaces is lost.
    Time grows linearly with the text.

    Returns:
        The batches in order, without the spaces around them; none if the text holds no sound.
    """
    text = phonemes.strip()
    if len(text) <= limits.first + MIN_PHONEMES and len(text) <= limits.longest:
        return [text] if is_audible(text) else []
    return [batch for batch in _cut(text, list(_places(text, limits)), limits) if is_audible(batch)]


def last_mark(phonemes: str) -> str:
    """The punctuation mark at the end, before any closing quotes and brackets; empty if there is none."""
    mark = phonemes.rstrip(_CLOSERS + " ")[-1:]
    return mark if mark and mark in CLAUSE_MARKS + STOPS else ""


def is_audible(phonemes: str) -> bool:
    """Whether there is any sound besides punctuation and stress marks."""
    return any(unicodedata.category(phoneme) in ("Ll", "Lu", "Lo") for phoneme in phonemes)


def _places(text: str, limits: BatchLimits) -> Iterator[_Break]:
    for atom in _ATOM.finditer(text):
        start, end = atom.span()
        if end - start > limits.longest:
            yield from _places_inside(start, end, limits.longest)
        yield _Break(end, _roughness(atom[0]))


def _places_inside(start: int, end: int, longest: int) -> Iterator[_Break]:
    """Evenly cut a word that is too long into half batches, so that its ends can join its neighbours."""
    count = -(-(end - start) * 2 // longest)
    for number in range(1, count):
        yield _Break(start + (end - start) * number // count, _INSIDE_WORD)


def _roughness(atom: str) -> int:
    mark = last_mark(atom)
    if not mark:
        return _BETWEEN_WORDS
    return _AT_FULL_STOP if mark == "." else _AT_MARK


def _cut(text: str, places: list[_Break], limits: BatchLimits) -> list[str]:
    """Find the cheapest way to each place in turn, and return the batches of the last."""
    ends = [0, *(place.end for place in places)]
    ways = [_Route((0, 0, 0, 0, 0), 0)]
    reach = 0
    for number, place in enumerate(places, start=1):
        while place.end - ends[reach] > limits.longest:
            reach += 1
        rough = place.roughness if place.end < len(text) else 0
        ways.append(
            min(
                (
                    _Route(_sum(ways[start].cost, _cost(ends[start], place.end, rough, limits.first)), start)
                    for start in range(reach, number)
                ),
                key=lambda way: way.cost,
            )
        )
    return [text[ends[start] : ends[end]].strip() for start, end in _batch_bounds(ways)]


def _batch_bounds(ways: list[_Route]) -> list[tuple[int, int]]:
    bounds = []
    end = len(ways) - 1
    while end:
        bounds.append((ways[end].start, end))
        end = ways[end].start
    return bounds[::-1]


def _cost(start: int, end: int, roughness: int, first: int) -> _Cost:
    length = end - start
    late = start == 0 and length > first
    return int(length < MIN_PHONEMES), roughness, int(late), 1, length * length


def _sum(one: _Cost, other: _Cost) -> _Cost:
    return tuple(map(operator.add, one, other))
