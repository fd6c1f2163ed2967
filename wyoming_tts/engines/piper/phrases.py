"""Phrases of a Piper voice: phonemes that its model speaks in one go, as the ids that it knows them by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

MAX_PHONEMES: Final = 600
"""Phonemes of a sentence that are spoken in one go; a segment of 500 characters has about as many. But signs
that a language does not know are spelled out: 480 of them made 3,300 phonemes, 35 s of work and 3 GB."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """Phonemes that are spoken in one go."""

    phonemes: list[str]
    ids: list[int]
    """What the model is fed with; empty if only the silence is heard."""
    silence: float = 0.0
    """Seconds of silence after it."""
    begins_sentence: bool = True
    """Whether it does not go on with the sentence, nor the word, of the phrase before."""


def split_at_silences(
    phonemes: list[str], silences: Mapping[str, float]
) -> Iterator[tuple[list[str], float]]:
    """Split a sentence after each phoneme that a silence follows; each part with its seconds of silence."""
    start = 0
    for index, phoneme in enumerate(phonemes, start=1):
        if phoneme in silences:
            yield phonemes[start:index], silences[phoneme]
            start = index
    if start < len(phonemes):
        yield phonemes[start:], 0.0


def cut_phonemes(phonemes: list[str]) -> Iterator[list[str]]:
    """Cut the phonemes of a sentence into parts of at most MAX_PHONEMES, after a space where there is one."""
    start = 0
    while len(phonemes) - start > MAX_PHONEMES:
        end = start + MAX_PHONEMES
        space = next((at for at in range(end, start, -1) if phonemes[at - 1].isspace()), end)
        yield phonemes[start:space]
        start = space
    yield phonemes[start:]
