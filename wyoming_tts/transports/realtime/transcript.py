"""Transcript of a response: how much of its written text was heard up to a moment of its audio.

Audio is sent much faster than it is played, so who interrupts has heard less than was sent. The writer of the
text, such as a language model, is told what was heard, so that it remembers no more than that.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from wyoming_tts.speech import SpokenWord

MAX_HEARD_WORDS: Final = 1_000
"""Words listed in one message, the last ones: many clients take no message of more than a megabyte."""

_NUMBERS: Final = 7
"""Numbers of a word that a transcript keeps: all of a `TimedWord` but its text."""


class TimedWord(NamedTuple):
    """A word as clients are told it: times in milliseconds of the audio, offsets in the response's text."""

    word: str
    start_ms: int
    end_ms: int
    begin: int
    end: int
    utf16_begin: int
    utf16_end: int
    estimated: bool

    @classmethod
    def of(cls, word: SpokenWord) -> TimedWord:
        """Round a word's times to milliseconds."""
        return cls(
            word.text,
            round(word.start_time * 1000),
            round(word.end_time * 1000),
            word.begin,
            word.end,
            word.utf16_begin,
            word.utf16_end,
            word.estimated,
        )


@dataclass(frozen=True, slots=True)
class HeardText:
    """What was heard of a response."""

    played_ms: int
    """Milliseconds of its audio that were played."""
    text: str | None
    """Its text up to the end of the last word that was heard; None if nobody knows, as the voice tells no
    words."""
    words: tuple[TimedWord, ...]
    """The words that were heard to their ends, the last `MAX_HEARD_WORDS` at most."""


class Transcript:
    """Text, words and amount of audio of one response, as far as they came and were sent.

    It takes 64 bytes for each word besides the text.
    """

    def __init__(self, text: str = "", *, rate: int) -> None:
        """Begin with the text that is known; `rate` is the sample rate of the audio in Hz."""
        self._pieces = [text]
        self.characters = len(text)
        self._rate = rate
        self._samples = 0
        self._has_sound = False
        self._is_complete = False
        self._ends_ms: array[int] = array("q")
        self._numbers: array[int] = array("q")

    def add_text(self, text: str) -> None:
        """Append text."""
        self._pieces.append(text)
        self.characters += len(text)

    def add_words(self, words: Sequence[TimedWord]) -> None:
        """Note words, before the audio in which they begin."""
        for word in words:
            self._ends_ms.append(word.end_ms)
            self._numbers.extend(word[1:])

    @property
    def samples(self) -> int:
        """Samples of audio that were sent."""
        return self._samples

    def add_audio(self, samples: int, *, has_sound: bool) -> None:
        """Note audio that is sent, and whether it is more than silence."""
        self._samples += samples
        self._has_sound = self._has_sound or has_sound

    def complete(self) -> None:
        """Note that all audio of the text was sent."""
        self._is_complete = True

    def heard(self, played_ms: float | None = None) -> HeardText:
        """Return what was heard when so much was played; None stands for all that was sent."""
        sent = self._samples * 1000 // self._rate
        played = sent if played_ms is None else min(int(played_ms), sent)
        text = "".join(self._pieces)
        count = bisect_right(self._ends_ms, played)
        words = tuple(self._word(number, text) for number in range(max(0, count - MAX_HEARD_WORDS), count))
        if self._is_complete and played == sent:
            return HeardText(played, text, words)
        if self._has_sound and played and not self._ends_ms:
            return HeardText(played, None, words)
        return HeardText(played, text[: words[-1].end] if words else "", words)

    def _word(self, number: int, text: str) -> TimedWord:
        start_ms, end_ms, begin, end, utf16_begin, utf16_end, estimated = self._numbers[
            number * _NUMBERS : (number + 1) * _NUMBERS
        ]
        return TimedWord(
            text[begin:end], start_ms, end_ms, begin, end, utf16_begin, utf16_end, bool(estimated)
        )


class EndedTranscripts:
    """Transcripts of the last responses that ended, within limits: their client may still be playing them."""

    def __init__(self, most: int = 16, *, most_characters: int = 100_000) -> None:
        """Bound their number and the characters of their texts; the last one may have more."""
        self._most = most
        self._most_characters = most_characters
        self._transcripts: dict[str, Transcript] = {}

    def __len__(self) -> int:
        return len(self._transcripts)

    def add(self, response: str, transcript: Transcript) -> None:
        """Keep the transcript of the response that ended last; an earlier one of the same id is dropped."""
        self._transcripts.pop(response, None)
        self._transcripts[response] = transcript
        while len(self) > 1 and (len(self) > self._most or self._characters() > self._most_characters):
            del self._transcripts[next(iter(self._transcripts))]

    def _characters(self) -> int:
        return sum(transcript.characters for transcript in self._transcripts.values())

    def get(self, response: str | None) -> Transcript | None:
        """Return the transcript of a response, if it is kept."""
        return None if response is None else self._transcripts.get(response)

    @property
    def last(self) -> str | None:
        """Id of the response that ended last."""
        return next(reversed(self._transcripts), None)
