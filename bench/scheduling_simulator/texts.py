"""Invented texts of a given length, and when each of their segments is known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

from wyoming_tts.text.first_segment import FirstSegmentOptions
from wyoming_tts.text.segments import Segmenter, SegmentOptions

_WORDS = """
a the of and to in is it that was for on as with at by from this be or which one you had not but what all were
when there can an your each said she do how their if will up other about out many then them these so some her
would make like him into time has look two more write go see number way could people heating kitchen tomorrow
morning window evening battery temperature afternoon remember interesting
"""
_SENTENCE_WORDS = (5, 24)
_CLAUSE_WORDS = (3, 12)
_LEAST_REST = 3
"""Words after which neither a clause nor a sentence ends."""


def make_text(words: int, random: Random) -> str:
    """Make sentences of so many words in all."""
    sentences = []
    while words > 0:
        length = random.randint(*_SENTENCE_WORDS)
        length = words if words - length < _LEAST_REST else length
        sentences.append(_sentence(length, random))
        words -= length
    return " ".join(sentences)


def _sentence(words: int, random: Random) -> str:
    chosen = random.choices(_WORDS.split(), k=words)
    comma = random.randint(*_CLAUSE_WORDS)
    while comma < words - _LEAST_REST:
        chosen[comma - 1] += ","
        comma += random.randint(*_CLAUSE_WORDS)
    return " ".join(chosen).capitalize() + "."


def pieces_of(text: str, words_per_second: float | None) -> list[tuple[float, str]]:
    """Cut a text into words with the seconds after which each arrives; whole, at 0 s, if not streamed."""
    if words_per_second is None:
        return [(0.0, text)]
    words = text.split(" ")
    spaces = [" "] * (len(words) - 1) + [""]
    return [
        (number / words_per_second, word + space)
        for number, (word, space) in enumerate(zip(words, spaces, strict=True))
    ]


def segments_known(pieces: Sequence[tuple[float, str]], max_words: int) -> Iterator[float]:
    """Yield for each segment the seconds after which it is complete; `max_words` as of the voice's engine."""
    options = SegmentOptions(first_segment=FirstSegmentOptions(max_words=max_words))
    segmenter = Segmenter(options, language="en_US")
    for after, piece in pieces:
        yield from (after for _ in segmenter.feed(piece))
    while rest := segmenter.finish():
        yield from (pieces[-1][0] for _ in rest)
