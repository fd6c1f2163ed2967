"""Word error rate (WER) of recordings, by a speech recognizer.

It is Whisper's base model, which `script/real-voices --recognizer` fetches, run by faster-whisper. That is no
dependency of the project: `pip install faster-whisper`. Texts are normalized before they are compared, as it
writes some numbers in digits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from wyoming_tts.audio import Resampler
from wyoming_tts.engines.kokoro.trimming import SAMPLE_RATE
from wyoming_tts.speech import Samples
from wyoming_tts.text.normalization.registry import NormalizerRegistry

_RATE = 16000
_FULL_SCALE = 32767
_NOT_IN_WORDS = re.compile(r"[^\w\s]")
_MARKS_IN_WORDS = re.compile(r"['’]")


class Recognizer:
    """Writes down what recordings say."""

    def __init__(self, directory: Path, *, threads: int) -> None:
        """Load the model; blocks.

        Args:
            directory: of the recognizer.
            threads: for each recording.
        """
        whisper = import_module("faster_whisper").WhisperModel
        self._model = whisper(str(directory), device="cpu", compute_type="int8", cpu_threads=threads)

    def recognize(self, samples: Samples, language: str, *, rate: int = SAMPLE_RATE) -> str:
        """What is said in a recording of a rate, Kokoro's if none is given."""
        return " ".join(segment.text for segment in self._transcribe(samples, language, rate))

    def word_times(self, samples: Samples, language: str, *, rate: int) -> list[tuple[str, float, float]]:
        """Each word that is heard, with the seconds at which it begins and ends."""
        segments = self._transcribe(samples, language, rate, word_timestamps=True)
        return [(word.word, word.start, word.end) for segment in segments for word in segment.words]

    def _transcribe(self, samples: Samples, language: str, rate: int, **options: bool) -> Iterable[Any]:
        pcm = (np.clip(samples, -1.0, 1.0) * _FULL_SCALE).astype("<i2").tobytes()
        resampler = Resampler(rate, _RATE)
        heard = np.frombuffer(resampler.feed(pcm) + resampler.finish(), "<i2") / np.float32(_FULL_SCALE)
        segments: Iterable[Any]
        segments, _ = self._model.transcribe(
            heard.astype(np.float32),
            language=language,
            beam_size=5,
            condition_on_previous_text=False,
            **options,
        )
        return segments


class Words:
    """The words of texts, as they are compared."""

    def __init__(self, language: str) -> None:
        """Take the language, by its code."""
        registry = NormalizerRegistry()
        registry.load(language)
        self._normalizer = registry.normalizer(language)
        self._separates_words = language not in ("ja", "zh")

    def of(self, text: str) -> Sequence[str]:
        """Words in lower case without marks; characters in languages that write no spaces."""
        normal = _MARKS_IN_WORDS.sub("", self._normalizer.normalize(text).lower())
        words = _NOT_IN_WORDS.sub(" ", normal).split()
        return words if self._separates_words else [*"".join(words)]


def count_errors(expected: Sequence[str], got: Sequence[str]) -> int:
    """Words that were replaced, left out or added, at least (Levenshtein distance)."""
    row: list[int] = [*range(len(got) + 1)]
    for number, word in enumerate(expected, start=1):
        before, row = row, [number]
        for column, other in enumerate(got):
            row.append(min(before[column] + (word != other), before[column + 1] + 1, row[column] + 1))
    return row[-1]
