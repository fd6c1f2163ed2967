"""CutModel, with a decoder whose phonemes last as long as a test says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
import pytest

from wyoming_tts.engines.base import samples_of
from wyoming_tts.engines.kokoro.batches import MAX_PHONEMES
from wyoming_tts.engines.kokoro.decoder import FRAME_SAMPLES, Encoded, KokoroDecoder, Request, Sentence
from wyoming_tts.engines.kokoro.generator_graph import GeneratorNames
from wyoming_tts.engines.kokoro.model import SHORT_SECONDS, WHOLE_SECONDS, CutModel, Speech
from wyoming_tts.engines.kokoro.statistics import CALIBRATED, NormStatistics, VoiceStatistics
from wyoming_tts.engines.kokoro.trimming import SAMPLE_RATE
from wyoming_tts.errors import TooLong
from wyoming_tts.speech import Samples

_CHANNELS = 2
_SENTENCE = "hɛlˈoʊ ðɛɹ ænd wˈɛlkəm tˈu jˈu. "


@dataclass
class FakeDecoder:
    """Its sentences are a tone; each phoneme lasts some frames of 12.5 ms."""

    frames_per_phoneme: float = 6.0
    passes: list[int] = field(default_factory=list)
    """Phonemes of each pass for which the decoder blocks ran."""
    whole: int = 0
    chunked: int = 0

    def encode_text(self, request: Request) -> Encoded:
        return Encoded(request, {})

    def count_samples(self, encoded: Encoded) -> int:
        return self._length(encoded.request) * FRAME_SAMPLES

    def make_sentence(self, encoded: Encoded) -> Sentence:
        self.passes.append(len(encoded.request.tokens))
        length = self._length(encoded.request)
        features = np.array([len(self.passes) % 7, 1 / length, 0, 0, 0, 1, 1], np.float32)
        inputs = {GeneratorNames(0).source: np.zeros((1, 1, length), np.float32)}
        return Sentence(encoded.request, features, inputs, 0, length)

    def decode_whole(self, sentence: Sentence) -> tuple[Samples, NormStatistics]:
        self.whole += 1
        taken = NormStatistics(np.zeros(_CHANNELS, np.float32), np.ones(_CHANNELS, np.float32))
        return self._tone(sentence), taken

    def decode_in_chunks(self, sentence: Sentence, _: NormStatistics) -> Iterator[tuple[Samples, float]]:
        self.chunked += 1
        first, rest = np.split(self._tone(sentence), [SAMPLE_RATE // 4])
        yield first, len(rest) / SAMPLE_RATE
        yield rest, 0.0

    def _length(self, request: Request) -> int:
        return round(len(request.tokens) * self.frames_per_phoneme * request.speed)

    @staticmethod
    def _tone(sentence: Sentence) -> Samples:
        return np.full(sentence.length * FRAME_SAMPLES, 0.5, np.float32)


def _model(decoder: FakeDecoder) -> CutModel:
    return CutModel(cast(KokoroDecoder, decoder), lambda phonemes: [1] * len(phonemes))


def _calibrated() -> VoiceStatistics:
    statistics = VoiceStatistics(_CHANNELS)
    taken = NormStatistics(np.zeros(_CHANNELS, np.float32), np.ones(_CHANNELS, np.float32))
    for number in range(CALIBRATED):
        features = np.array([number % 7, number / 100, 0, 0, 0, 1, 1], np.float32)
        statistics.learn(features, taken, loudest=0.25, calibrating=True)
    return statistics


def _speech(phonemes: str, statistics: VoiceStatistics | None = None, **options: Any) -> Speech:
    statistics = statistics or _calibrated()
    return Speech(phonemes, np.zeros((1, 1, 256), np.float32), 1.0, statistics, **options)


def test_a_sentence_of_a_known_voice_is_one_pass_in_chunks() -> None:
    decoder = FakeDecoder()
    steps = [*_model(decoder).speak(_speech(_SENTENCE * 6))]
    assert (decoder.chunked, decoder.whole) == (1, 0)
    assert [bool(samples_of(step).size) for step in steps] == [False, False, True, True]


def test_a_short_sentence_is_decoded_whole() -> None:
    decoder = FakeDecoder()
    phonemes = "h" * int(SHORT_SECONDS * 80 / 6 - 1)
    assert [*_model(decoder).speak(_speech(phonemes))]
    assert (decoder.chunked, decoder.whole) == (0, 1)


def test_a_long_sentence_is_checked_by_as_much_as_a_batch() -> None:
    checked: list[str] = []
    decoder = FakeDecoder()
    speech = _speech(_SENTENCE.replace(".", "") * 12, check_batch=checked.append)
    assert len(speech.phonemes) > 2 * MAX_PHONEMES
    assert [*_model(decoder).speak(speech)]
    assert decoder.chunked == 1
    assert checked
    assert max(map(len, checked)) <= MAX_PHONEMES


def test_a_sentence_unlike_all_that_were_heard_is_decoded_whole_and_learned() -> None:
    class Strange(FakeDecoder):
        def make_sentence(self, encoded: Encoded) -> Sentence:
            sentence = super().make_sentence(encoded)
            return replace(sentence, features=sentence.features + 1000)

    decoder, statistics = Strange(), _calibrated()
    known = repr(statistics)
    assert [*_model(decoder).speak(_speech(_SENTENCE * 4, statistics))]
    assert (decoder.chunked, decoder.whole, len(decoder.passes)) == (0, 1, 1)
    assert repr(statistics) != known


@pytest.mark.parametrize(("speed", "chunked"), [(0.69, 0), (0.7, 1), (1.4, 1), (1.41, 0)])
def test_at_an_unusual_speed_it_is_spoken_in_batches_and_not_learned(speed: float, chunked: int) -> None:
    decoder = FakeDecoder(frames_per_phoneme=6 / speed)
    speech = replace(_speech(_SENTENCE * 6), speed=speed)
    known = repr(speech.statistics)
    assert [*_model(decoder).speak(speech)]
    assert decoder.chunked == chunked
    assert chunked or (decoder.whole == len(decoder.passes) > 1)
    assert repr(speech.statistics) == known


def test_a_sentence_that_would_last_minutes_is_spoken_in_batches() -> None:
    decoder = FakeDecoder(frames_per_phoneme=20)
    assert [*_model(decoder).speak(_speech(_SENTENCE * 12))]
    assert decoder.chunked == 0
    assert max(decoder.passes) <= MAX_PHONEMES


def test_short_sentences_of_listeners_are_not_learned() -> None:
    decoder, statistics = FakeDecoder(), VoiceStatistics(_CHANNELS)
    for _ in range(2 * CALIBRATED):
        assert [*_model(decoder).speak(_speech("jɛs.", statistics))]
    assert decoder.whole == 2 * CALIBRATED
    assert not statistics.is_enough


def test_sentences_of_listeners_are_learned_before_the_calibration() -> None:
    decoder, statistics = FakeDecoder(), VoiceStatistics(_CHANNELS)
    assert [*_model(decoder).speak(_speech(_SENTENCE * 2, statistics))]
    assert repr(statistics) == "<VoiceStatistics of 1 sentences, calibrated with 0>"


def test_calibration_checks_the_style_before_it_computes() -> None:
    def refuse(_: str) -> None:
        raise TooLong("Phonemes would last minutes.")

    decoder = FakeDecoder()
    with pytest.raises(TooLong):
        [*_model(decoder).learn(_speech(_SENTENCE, check_batch=refuse))]
    assert not decoder.passes


def test_calibration_leaves_out_what_is_too_long_to_decode_whole() -> None:
    decoder, statistics = FakeDecoder(WHOLE_SECONDS * 80 / 10), VoiceStatistics(_CHANNELS)
    assert [*_model(decoder).learn(_speech(_SENTENCE, statistics))]
    assert (decoder.passes, decoder.whole, statistics.calibrated) == ([], 0, 1)
