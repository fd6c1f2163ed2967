"""Words that another server of this kind tells with its audio, as timings in the text it was sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wyoming_tts.engines.base import Rendered
from wyoming_tts.speech import Samples, SpokenWord, TimedSamples, WordTiming, WordTimings
from wyoming_tts.wyoming_words import parse_words


class ToldWords:
    """The words of a segment, in the order in which its server tells them."""

    def __init__(self, text: str, rate: int) -> None:
        """Take what the server was sent, and the rate of the audio in Hz."""
        self._length = len(text)
        self._rate = rate
        self._held: list[SpokenWord] = []
        self._last = WordTiming(0, 0, 0, 0)
        self._samples = 0

    def take(self, data: Mapping[str, Any]) -> None:
        """Take the data of an audio event, whose audio comes next."""
        self._held.extend(parse_words(data))

    def add(self, samples: Samples) -> Rendered:
        """Return the next audio with the words that were told before it, and can be true."""
        words, self._held = self._held, []
        self._samples += len(samples)
        timings = tuple(timing for word in words if (timing := self._timing(word)) is not None)
        if not timings:
            return samples
        return TimedSamples(samples, WordTimings(timings, estimated=all(word.estimated for word in words)))

    def _timing(self, word: SpokenWord) -> WordTiming | None:
        first, end = (round(seconds * self._rate) for seconds in (word.start_time, word.end_time))
        timing = WordTiming(word.begin, word.end, max(first, self._last.end_sample), end)
        is_in_text = self._last.end <= timing.begin < timing.end <= self._length
        if not is_in_text or timing.first_sample >= timing.end_sample:
            return None
        self._last = timing
        return timing
