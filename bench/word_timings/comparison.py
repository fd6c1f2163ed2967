"""Comparison of word starts: those that were told, those that a recognizer heard, and where sound begins."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import chain, pairwise
from typing import Final

import numpy as np

from wyoming_tts.speech import Samples

_FRAME_SECONDS: Final = 0.005
_SILENT_DECIBELS: Final = -35.0
"""Against the loudest frame. The noise of a neural voice in its pauses is far below."""
_PAUSE_SECONDS: Final = 0.08
"""Least silence before a word whose onset can be told from the sound alone; that within a stop is shorter."""
_SEARCH_SECONDS: Final = 0.15


@dataclass(frozen=True, slots=True)
class TimedWord:
    """A word, and when it begins and ends, in seconds."""

    text: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class WordStart:
    """When a word begins, in seconds, by each of the three."""

    text: str
    told: float
    heard: float
    heard_after_silence: float
    """Without the silence that the recognizer counts to the word."""
    onset: float | None
    """None within speech, where the sound does not tell."""


def match_words(
    told: Sequence[TimedWord],
    heard: Sequence[TimedWord],
    words_of: Callable[[str], Sequence[str]],
    samples: Samples,
    rate: int,
) -> list[WordStart]:
    """Pair the words that were told with those that were heard, by what is said for each.

    Args:
        told: By the server.
        heard: By a recognizer, which may write and separate words in other ways.
        words_of: Returns the words that are said for one that is written.
        samples: What is said.
        rate: Of the samples, in Hz.
    """
    ours, theirs = (list(_said(words, words_of)) for words in (told, heard))
    blocks = SequenceMatcher(None, [said for said, _ in ours], [said for said, _ in theirs], autojunk=False)
    onsets = SoundOnsets(samples, rate)
    return [
        WordStart(one.text, one.start, other.start, onsets.after_silence(other), onsets.near(one.start))
        for block in blocks.get_matching_blocks()
        for (_, one), (_, other) in zip(
            ours[block.a : block.a + block.size], theirs[block.b : block.b + block.size], strict=True
        )
        if one is not None and other is not None
    ]


def _said(
    words: Sequence[TimedWord], words_of: Callable[[str], Sequence[str]]
) -> Iterator[tuple[str, TimedWord | None]]:
    """Yield each word that is said; the first for a written one with that."""
    for word in words:
        for number, said in enumerate(words_of(word.text)):
            yield said, None if number else word


class SoundOnsets:
    """Where sound begins after silence."""

    def __init__(self, samples: Samples, rate: int) -> None:
        """Take what is said, and its rate in Hz."""
        frame = int(_FRAME_SECONDS * rate)
        frames = samples[: len(samples) // frame * frame].reshape(-1, frame)
        power = np.mean(np.square(frames.astype(np.float64)), axis=1)
        sounds = power > power.max(initial=0.0) * 10 ** (_SILENT_DECIBELS / 10)
        bounds = np.flatnonzero(np.diff(sounds.astype(np.int8), prepend=0, append=0)).tolist()
        sounding = list(zip(bounds[::2], bounds[1::2], strict=True))
        ends_before = [-_PAUSE_SECONDS, *(end * _FRAME_SECONDS for _, end in sounding)]
        self._onsets = [
            begin * _FRAME_SECONDS
            for (begin, _), end_before in zip(sounding, ends_before, strict=False)
            if begin * _FRAME_SECONDS - end_before >= _PAUSE_SECONDS
        ]
        self.last_end = sounding[-1][1] * _FRAME_SECONDS if sounding else 0.0
        """Where the last sound ends."""

    def after_silence(self, word: TimedWord) -> float:
        """Return where a word begins without a silence within it and the end of the word before that."""
        within = (onset for onset in self._onsets if word.start < onset < word.end)
        return next(within, word.start)

    def near(self, start: float) -> float | None:
        """Return the onset nearest to the start of a word; None if there is none nearby."""
        nearest = min(self._onsets, key=lambda onset: abs(onset - start), default=None)
        return nearest if nearest is not None and abs(nearest - start) <= _SEARCH_SECONDS else None


def missing_seconds(told: Sequence[TimedWord], duration: float) -> float:
    """By how much words and pauses, in their order, do not add up to the audio, in seconds."""
    bounds = [0.0, *chain.from_iterable((word.start, word.end) for word in told), duration]
    return sum(max(0.0, before - after) for before, after in pairwise(bounds))
