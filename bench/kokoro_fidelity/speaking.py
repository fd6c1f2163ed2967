"""Ways to speak a sentence with a Kokoro model: whole, in chunks, by the graph as it was, and cut in two.

All are deterministic: Kokoro draws no random numbers.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import accumulate, chain
from pathlib import Path

import kokoro_onnx
import numpy as np

from wyoming_tts.engines.base import EngineOptions, samples_of
from wyoming_tts.engines.kokoro.calibration import calibration_sentences
from wyoming_tts.engines.kokoro.decoder import KokoroDecoder, Request, Sentence
from wyoming_tts.engines.kokoro.misaki import MisakiPhonemizers
from wyoming_tts.engines.kokoro.model import Speech, WholeModel
from wyoming_tts.engines.kokoro.names import named_language
from wyoming_tts.engines.kokoro.opening import open_decoder
from wyoming_tts.engines.kokoro.phonemes import KokoroPhonemizer
from wyoming_tts.engines.kokoro.statistics import NormStatistics, Prediction, VoiceStatistics
from wyoming_tts.engines.kokoro.trimming import loudest_power, trim
from wyoming_tts.engines.onnx import OnnxModel, open_model
from wyoming_tts.speech import Samples
from wyoming_tts.style_tables import pack_names, read_packed_table
from wyoming_tts.voices.styles import STYLES_DIRECTORY, ImportedStyles

CUT_AFTER_WORDS = 8
"""Where a sentence was cut as long as Kokoro could only be heard a batch at a time."""


class NotSpoken(Exception):
    """A model cannot be compared; the message says why."""


@dataclass(frozen=True, slots=True)
class Chunked:
    """A sentence in chunks."""

    samples: Samples
    seams: Sequence[int]
    """The samples at which chunks begin, but for the first."""


class Voices:
    """The voices of a directory's Kokoro model, packs and imported styles."""

    def __init__(self, directory: Path) -> None:
        """Take the directory, one for `--data-dir`; the first pack in it counts."""
        self.model = next(directory.glob("kokoro*.onnx"))
        self.pack = next(directory.glob("voices*.bin"))
        self._styles = ImportedStyles(directory / STYLES_DIRECTORY)

    def names(self) -> Sequence[str]:
        """All of them, sorted."""
        return sorted({*pack_names(self.pack), *self._styles.names()})

    def table(self, name: str) -> Samples:
        """The style table of a voice, shape (n, 1, 256)."""
        if name in self._styles.names():
            return self._styles.read(name)
        with zipfile.ZipFile(self.pack) as archive:
            return read_packed_table(archive, name)


class Speaker:
    """Speaks with one model."""

    def __init__(
        self, voices: Voices, decoder: KokoroDecoder, original: OnnxModel, phonemizer: KokoroPhonemizer
    ) -> None:
        """Take the model in parts, the same as it is, and what makes phonemes of texts."""
        self._voices = voices
        self._decoder = decoder
        self._kokoro = kokoro_onnx.Kokoro.from_session(original, str(voices.pack))
        self._whole = WholeModel(original, self._kokoro)
        self._phonemizer = phonemizer

    def phonemes(self, text: str, voice: str) -> str:
        """Phonemes that the model knows."""
        phonemes = self._phonemizer.phonemes(text, named_language(voice))
        known: str = self._kokoro.tokenizer.known(phonemes)
        return " ".join(known.split())

    def sentence(self, phonemes: str, voice: str, speed: float = 1.0) -> Sentence:
        """What the generator makes a sentence of, from its first frame on."""
        row = self._row(phonemes, voice)
        request = Request(tuple(self._kokoro.tokenizer.tokenize(phonemes)), row.reshape(1, -1), speed)
        made = self._decoder.make_sentence(self._decoder.encode_text(request))
        return replace(made, first_frame=0, end_frame=made.length)

    def calibrate(self, voice: str) -> VoiceStatistics:
        """Learn a voice from the sentences that it is calibrated with."""
        statistics = VoiceStatistics(self._decoder.channels)
        for text in calibration_sentences(named_language(voice).tag):
            sentence = self.sentence(self.phonemes(text, voice), voice)
            samples, taken = self._decoder.decode_whole(sentence)
            loudest = loudest_power(samples)
            statistics.learn(sentence.features, taken, loudest=loudest, calibrating=True)
        return statistics

    def whole(self, sentence: Sentence) -> tuple[Samples, NormStatistics]:
        """A sentence as it should sound, and the statistics of it."""
        return self._decoder.decode_whole(sentence)

    def chunked(self, sentence: Sentence, prediction: Prediction) -> Chunked:
        """A sentence in chunks, with predicted statistics."""
        chunks = [each for each, _ in self._decoder.decode_in_chunks(sentence, prediction.statistics)]
        return Chunked(np.concatenate(chunks), [*accumulate(map(len, chunks))][:-1])

    def in_one_pass(self, sentence: Sentence, prediction: Prediction) -> Samples:
        """The same without chunks."""
        return self._decoder.decode_whole(sentence, prediction.statistics)[0]

    def original(self, phonemes: str, voice: str) -> Samples:
        """What the graph makes as it was, of the same durations, pitch and energy."""
        tokens = self._kokoro.tokenizer.tokenize(phonemes)
        samples, _ = self._kokoro._infer(tokens, self._row(phonemes, voice)[0], 1.0)  # noqa: SLF001
        return np.asarray(samples, np.float32).reshape(-1)

    def cut(self, text: str, voice: str) -> Samples:
        """A sentence in two, the first of so many words, each spoken as if it were all there is to say."""
        words = text.split()
        parts = [" ".join(words[:CUT_AFTER_WORDS]), " ".join(words[CUT_AFTER_WORDS:])]
        return np.concatenate([*chain.from_iterable(self._batches(part, voice) for part in parts if part)])

    def _batches(self, text: str, voice: str) -> Iterator[Samples]:
        phonemes = self.phonemes(text, voice)
        return map(samples_of, self._whole.speak(Speech(phonemes, self._row(phonemes, voice), 1.0)))

    def _row(self, phonemes: str, voice: str) -> Samples:
        table = self._voices.table(voice)
        row = min(len(phonemes), len(table))
        return table[row - 1 : row]


def without_silence(samples: Samples) -> Samples:
    """A whole decode as it is heard."""
    return trim(samples, 0.0)


@contextmanager
def open_speaker(voices: Voices, *, threads: int) -> Iterator[Speaker]:
    """Load a model, in parts and as it is.

    Raises:
        NotSpoken: it cannot be cut; the log says why.
    """
    options = EngineOptions(data_dirs=(voices.model.parent,), intra_op_threads=threads)
    opened = open_decoder(voices.model, options, lambda: voices.table(voices.names()[0])[0])
    if opened is None:
        raise NotSpoken(f"{voices.model} cannot be decoded in chunks.")
    original = open_model(voices.model, options)
    phonemizer = KokoroPhonemizer(MisakiPhonemizers())
    try:
        yield Speaker(voices, opened.decoder, original, phonemizer)
    finally:
        phonemizer.close()
        opened.decoder.close()
        original.close()
