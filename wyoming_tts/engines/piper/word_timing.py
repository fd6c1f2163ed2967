"""Word timing of a Piper voice: how long each phoneme id lasts, as when each word of the text sounds."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from itertools import accumulate
from typing import Final, NamedTuple

import numpy as np

from wyoming_tts.engines.piper.model import IdSamples
from wyoming_tts.engines.piper.phonemizer import VoicePhonemizer
from wyoming_tts.engines.piper.phrases import Phrase
from wyoming_tts.engines.word_alignment import align_words
from wyoming_tts.errors import SpeechError
from wyoming_tts.offset_text import Span
from wyoming_tts.speech import WordTiming, WordTimings
from wyoming_tts.spoken_words import words_of

_SYLLABLE_ENDS: Final[Mapping[str, Collection[str]]] = {"pinyin": frozenset("12345")}
"""By phoneme type, symbols that end a syllable where each is a word and no space stands between."""


class _Word(NamedTuple):
    """A word, and the phonemes that it has in a phrase."""

    span: Span
    first: int
    last: int


class WordTimer:
    """Times the words of a segment, phrase by phrase."""

    def __init__(self, text: str, phrases: Sequence[Phrase], phonemizer: VoicePhonemizer) -> None:
        """Take the segment's text and its phrases; the phonemizer is the one that made these."""
        self._text = text
        self._phrases = phrases
        self._phonemizer = phonemizer

    def timings(self, number: int, samples: IdSamples, first_sample: int) -> WordTimings | None:
        """Time the words of a phrase; None if it has none, or not those ids.

        A word lasts until the end of the blank after its last phoneme, in which that dies away.

        Args:
            number: of the phrase.
            samples: how many each of its ids lasts.
            first_sample: where it begins.
        """
        before, counts = self._phonemizer.id_counts(self._phrases[number].phonemes)
        ids = [*accumulate(counts, initial=before)]
        if ids[-1] > len(samples):
            return None
        ends = np.concatenate([[first_sample], first_sample + np.cumsum(samples)])
        edges: list[int] = ends[ids].tolist()
        words = (
            WordTiming(*word.span, edges[word.first], edges[word.last + 1]) for word in self._words[number]
        )
        heard = tuple(word for word in words if word.end_sample > word.first_sample)
        return WordTimings(heard) if heard else None

    @cached_property
    def _words(self) -> list[list[_Word]]:
        """The words of each phrase; one that goes on in the next ends with its phrase."""
        symbols, owners, places = self._joined()
        spans = words_of(self._text)
        words: list[list[_Word]] = [[] for _ in self._phrases]
        for span, (begin, end) in zip(spans, self._align(spans, symbols), strict=True):
            if end > begin:
                owner = owners[begin]
                goes_on = owners[end - 1] != owner
                last = len(self._phrases[owner].phonemes) - 1 if goes_on else places[end - 1]
                words[owner].append(_Word(span, places[begin], last))
        return words

    def _align(self, spans: Sequence[Span], phonemes: Sequence[str]) -> list[Span]:
        words = [self._text[begin:end] for begin, end in spans]
        try:
            return align_words(words, phonemes, self._phonemizer.phonemes_of)
        except SpeechError:  # a word kills espeak-ng, which the text did not
            return align_words(words, phonemes)

    def _joined(self) -> tuple[list[str], list[int], list[int]]:
        """All phonemes with spaces between sentences, and of which phrase each is, and where in it."""
        symbols: list[str] = []
        owners: list[int] = []
        places: list[int] = []
        ends = _SYLLABLE_ENDS.get(self._phonemizer.kind, ())
        for number, phrase in enumerate(self._phrases):
            if phrase.begins_sentence:
                symbols.append(" ")
                places.append(0)
            for place, symbol in enumerate(phrase.phonemes):
                heard = [symbol, " "] if symbol in ends else [symbol]
                symbols += heard
                places += [place] * len(heard)
            owners += [number] * (len(symbols) - len(owners))
        return symbols, owners, places
