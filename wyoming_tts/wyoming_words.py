"""Words in Wyoming events: when which word of a text sounds, beside the audio in the data of an audio-chunk.

Wyoming has no field for it, so this is one of our own, which other clients ignore. A peer may put anything
into it: what is malformed is taken for no words, as the audio is good without them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from wyoming_tts.speech import SpokenWord

WORDS: Final = "wyoming_tts_words"
"""Name of the field: a list of objects, one for each word that begins in the event's audio."""
_MOST_SECONDS: Final = 1e9
_MOST_CHARACTERS: Final = 1 << 40


def words_data(words: Iterable[SpokenWord]) -> dict[str, Any]:
    """Return what the words add to the data of their event: nothing if there are none."""
    told = [_to_json(word) for word in words]
    return {WORDS: told} if told else {}


def parse_words(data: Mapping[str, Any]) -> tuple[SpokenWord, ...]:
    """Return the words that the data of an event tells; none if it tells none, or not in this form."""
    told = data.get(WORDS)
    if not isinstance(told, list):
        return ()
    try:
        return tuple(map(_parse_word, told))
    except (LookupError, TypeError, ValueError):
        return ()


def _to_json(word: SpokenWord) -> dict[str, Any]:
    return {
        "text": word.text,
        "begin": word.begin,
        "end": word.end,
        "utf16_begin": word.utf16_begin,
        "utf16_end": word.utf16_end,
        "start_time": word.start_time,
        "end_time": word.end_time,
        "estimated": word.estimated,
    }


def _parse_word(told: Mapping[str, Any]) -> SpokenWord:
    text = told["text"]
    if not isinstance(text, str):
        raise TypeError("its text is no string")
    return SpokenWord(
        text,
        *_parse_span(told["begin"], told["end"]),
        *_parse_span(told["utf16_begin"], told["utf16_end"]),
        *_parse_times(told["start_time"], told["end_time"]),
        estimated=told.get("estimated") is True,
    )


def _parse_span(begin: object, end: object) -> tuple[int, int]:
    if not (isinstance(begin, int) and isinstance(end, int) and 0 <= begin <= end <= _MOST_CHARACTERS):
        raise ValueError("its offsets are wrong")
    return int(begin), int(end)


def _parse_times(start: object, end: object) -> tuple[float, float]:
    if not (
        isinstance(start, int | float) and isinstance(end, int | float) and 0 <= start <= end <= _MOST_SECONDS
    ):
        raise ValueError("its times are wrong")
    return float(start), float(end)
