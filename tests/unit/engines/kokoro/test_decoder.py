from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.hypothesis_examples import scaled_examples
from tests.unit.engines.kokoro.conftest import OPTIONS, PLAIN, KokoroFile
from tests.voices.make_kokoro import style_table
from wyoming_tts.engines.chunked_inference import ChunkedInference
from wyoming_tts.engines.kokoro import decoder as decoder_module
from wyoming_tts.engines.kokoro.decoder import FRAME_SAMPLES, KokoroDecoder, Request, Sentence
from wyoming_tts.engines.kokoro.generator_graph import HARMONICS
from wyoming_tts.engines.kokoro.opening import OpenedDecoder
from wyoming_tts.engines.kokoro.statistics import NormStatistics
from wyoming_tts.engines.onnx import OnnxModel, open_model
from wyoming_tts.errors import EngineFailed
from wyoming_tts.speech import Samples

EDGE = 20
"""Samples to which a column adds that is not there at the beginning or the end of a stretch."""


def _request(count: int = 12, *, voice: int = 0, speed: float = 1.0) -> Request:
    return Request(tuple(range(3, 3 + count)), style_table(voice)[count - 1], speed)


def _decibels(got: Samples, expected: Samples) -> float:
    assert got.shape == expected.shape
    power, error = (np.square(each, dtype=np.float64).sum() for each in (expected, expected - got))
    return float(10 * np.log10(power / max(error, 1e-30)))


def _sentence(decoder: KokoroDecoder, request: Request) -> Sentence:
    return decoder.make_sentence(decoder.encode_text(request))


@pytest.fixture(scope="module")
def decoder(opened: OpenedDecoder) -> KokoroDecoder:
    return opened.decoder


@pytest.fixture(scope="module")
def model(kokoro_file: KokoroFile) -> OnnxModel:
    return open_model(kokoro_file(PLAIN), OPTIONS)


@pytest.fixture(scope="module")
def sentence(decoder: KokoroDecoder) -> Sentence:
    return _sentence(decoder, _request())


@pytest.fixture(scope="module")
def whole(decoder: KokoroDecoder, sentence: Sentence) -> tuple[Samples, NormStatistics]:
    return decoder.decode_whole(sentence)


@pytest.mark.parametrize("voice", [0, 1])
def test_all_parts_together_speak_as_the_model_does(
    model: OnnxModel, decoder: KokoroDecoder, voice: int
) -> None:
    request = _request(voice=voice)
    tokens, speeds = np.array([[0, *request.tokens, 0]]), np.ones(1, np.float32)
    expected = model.run(None, {"tokens": tokens, "style": request.style, "speed": speeds})[0]
    encoded = decoder.encode_text(request)
    assert decoder.count_samples(encoded) == len(expected)
    made = decoder.make_sentence(encoded)
    assert made.length * FRAME_SAMPLES == len(expected)
    assert made.seconds == len(expected) / 24000
    assert _decibels(decoder.decode_whole(made)[0], expected) > 80


@pytest.mark.parametrize("speed", [0.25, 0.5, 0.7, 1.3, 2.0, 4.0])
def test_a_text_takes_its_time_divided_by_the_speed(decoder: KokoroDecoder, speed: float) -> None:
    natural = decoder.count_samples(decoder.encode_text(_request(60)))
    samples = decoder.count_samples(decoder.encode_text(_request(60, speed=speed)))
    assert samples == pytest.approx(natural / speed, abs=2 * FRAME_SAMPLES)


def test_chunks_with_the_statistics_of_the_whole_are_the_whole(
    decoder: KokoroDecoder, sentence: Sentence, whole: tuple[Samples, NormStatistics]
) -> None:
    expected, taken = whole
    steps = [*decoder.decode_in_chunks(sentence, taken)]
    assert len(steps) > 2
    start, end = sentence.first_frame * FRAME_SAMPLES, sentence.end_frame * FRAME_SAMPLES
    got, expected = np.concatenate([samples for samples, _ in steps]), expected[start:end]
    assert abs(len(got) - len(expected)) < EDGE
    assert _decibels(got[EDGE : end - start - EDGE], expected[EDGE : end - start - EDGE]) > 80
    lefts = [left for _, left in steps]
    assert lefts == sorted(lefts, reverse=True)
    assert lefts[-1] == 0


def test_chunks_with_other_statistics_are_something_else(
    decoder: KokoroDecoder, sentence: Sentence, whole: tuple[Samples, NormStatistics]
) -> None:
    taken = whole[1]
    other = NormStatistics(taken.means, taken.variances * 2)
    assert _decibels(decoder.generate_in_chunks(sentence, other), decoder.generate_whole(sentence)[0]) < 40


def test_the_whole_with_its_own_statistics_given_is_the_same(
    decoder: KokoroDecoder, sentence: Sentence, whole: tuple[Samples, NormStatistics]
) -> None:
    samples, taken = whole
    again, given_back = decoder.decode_whole(sentence, taken)
    assert _decibels(again, samples) > 90
    np.testing.assert_array_equal(given_back.means, taken.means)
    np.testing.assert_array_equal(given_back.variances, taken.variances)


def test_the_statistics_are_a_mean_and_a_variance_of_each_channel(
    decoder: KokoroDecoder, whole: tuple[Samples, NormStatistics]
) -> None:
    taken = whole[1]
    assert taken.means.shape == taken.variances.shape == (decoder.channels,)
    assert decoder.channels == 2 * 22 * 4
    assert (taken.variances > 0).all()


class TestStretches:
    """The generator's parts run on stretches of any kind: with harmonics at another rate than the frames."""

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _known(cls, decoder: KokoroDecoder, sentence: Sentence) -> None:
        spectrum, taken = decoder.generate_whole(sentence)
        inputs = decoder._inputs(sentence, taken)
        cls.spectrum, cls.length = spectrum, sentence.length
        cls.inference = staticmethod(
            lambda start: ChunkedInference(decoder._stages, inputs, start=start),
        )

    spectrum: Samples
    length: int
    inference: Callable[[int], ChunkedInference]

    @settings(max_examples=scaled_examples(15), deadline=None)
    @given(st.data())
    def test_any_start_and_any_chunks_give_what_the_whole_gives(self, data: st.DataObject) -> None:
        start = data.draw(st.integers(0, self.length - 2))
        ends = sorted(data.draw(st.sets(st.integers(start + 1, self.length), min_size=1, max_size=4)))
        inference = self.inference(start)
        got = np.concatenate([inference.result(end)[0] for end in ends], axis=-1)
        # A column beyond those of the frames comes with the last frame.
        stop = 60 * ends[-1] + (ends[-1] == self.length)
        assert _decibels(got, self.spectrum[:, 60 * start : stop]) > 80

    def test_nothing_before_the_start_is_computed_but_what_others_depend_on(
        self, decoder: KokoroDecoder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lengths: list[int] = []
        first = decoder._stages[0]
        run = first._model.run

        def recorded(outputs: Any, feeds: Any) -> Any:
            lengths.append(feeds[first.part.source].shape[-1])
            return run(outputs, feeds)

        monkeypatch.setattr(first._model, "run", recorded)
        second = decoder._stages[1].part
        start = 40
        self.inference(start).result(start + 1)
        around = -(-(second.left + second.right) // first.part.hop) + 2
        assert lengths == [pytest.approx(first.part.left + 1 + first.part.right + around, abs=2)]


class TestChunkSizes:
    @pytest.fixture(autouse=True)
    def _seconds(self, decoder: KokoroDecoder, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds_a_frame = 0.0
        monkeypatch.setattr(decoder, "_step_seconds", lambda frames: frames * self.seconds_a_frame)

    def _sizes(self, decoder: KokoroDecoder) -> list[int]:
        ends = [0, *decoder._chunk_ends(400)]
        return [after - before for before, after in pairwise(ends)]

    def test_the_first_two_are_short_and_others_up_to_four_times_as_long(
        self, decoder: KokoroDecoder
    ) -> None:
        assert self._sizes(decoder)[:5] == [24, 24, 48, 96, 96]

    def test_where_a_step_would_take_too_long_they_stay_shorter(self, decoder: KokoroDecoder) -> None:
        self.seconds_a_frame = decoder_module.STEP_SECONDS / 50
        assert self._sizes(decoder)[:5] == [24, 24, 48, 48, 48]

    def test_however_slow_they_double_once(self, decoder: KokoroDecoder) -> None:
        self.seconds_a_frame = 10.0
        assert max(self._sizes(decoder)) == 48


def test_harmonics_of_another_length_are_a_failure(
    decoder: KokoroDecoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = decoder._models.source
    run = source.run
    monkeypatch.setattr(source, "run", lambda *given: [run(*given)[0][..., :-7]])
    with pytest.raises(EngineFailed, match=r"columns of harmonics for \d+ frames, expected 60"):
        _sentence(decoder, _request())


def test_styles_make_other_affines_and_nothing_is_kept_of_them(
    decoder: KokoroDecoder, sentence: Sentence
) -> None:
    other = _sentence(decoder, _request(voice=1))
    assert not np.allclose(other.inputs["scales_0"], sentence.inputs["scales_0"])
    again = _sentence(decoder, _request())
    for name in ("scales_0", "shifts_1", HARMONICS):
        np.testing.assert_array_equal(again.inputs[name], sentence.inputs[name])
