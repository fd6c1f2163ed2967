"""Speech computed in chunks is that of the whole model."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.hypothesis_examples import scaled_examples
from tests.unit.engines.piper.vits_models import (
    SEAM,
    concatenate,
    cut_model,
    each_voice,
    feeds_of,
    model_path,
    open_cut,
    sentences,
    some_ids,
    whole_model,
)
from tests.voices.make_vits import HIGH, MEDIUM, SPEAKERS, VitsVoice
from wyoming_tts.engines.chunked_inference import ChunkedInference, ModelStage
from wyoming_tts.engines.onnx_graph.local_part import LocalPart
from wyoming_tts.engines.onnx_graph.receptive_field import TimeAxis


class TestSeams:
    @each_voice
    @settings(max_examples=scaled_examples(25), deadline=None)
    @given(
        ids=st.lists(st.integers(1, 97), min_size=1, max_size=120),
        length=st.sampled_from([0.3, 1.0, 2.5]),
        speaker=st.integers(0, 2),
    )
    def test_joined_chunks_equal_the_output_of_the_whole_model(
        self, voice: VitsVoice, ids: list[int], length: float, speaker: int
    ) -> None:
        feeds = feeds_of(ids, voice=voice, speaker=speaker, length=length)
        whole = whole_model(voice).run(None, feeds)[0].reshape(-1)
        audio = concatenate(cut_model(voice).speak(feeds))
        assert audio.dtype == np.float32
        np.testing.assert_allclose(audio, whole, rtol=0, atol=SEAM)

    @each_voice
    @settings(max_examples=scaled_examples(25), deadline=None)
    @given(
        count=st.integers(1, 60),
        noise=st.sampled_from([0.0, 0.667]),
        cuts=st.lists(st.floats(0.0, 1.0), max_size=12),
    )
    def test_chunks_split_anywhere_equal_the_whole_decode_of_the_same_frames(
        self, voice: VitsVoice, count: int, noise: float, cuts: list[float]
    ) -> None:
        sentence = sentences(cut_model(voice), feeds_of(some_ids(count), voice=voice, noise=noise))
        frames = sentence().frames
        whole = sentence().result(frames).reshape(-1)
        places = sorted({0, *(round(cut * frames) for cut in cuts), frames})
        rendered = sentence()
        parts = [rendered.result(end).reshape(-1) for end in places[1:]]
        assert [len(part) for part in parts] == [(end - start) * voice.hop for start, end in pairwise(places)]
        np.testing.assert_allclose(np.concatenate(parts), whole, rtol=0, atol=SEAM)

    @pytest.mark.parametrize("stage", range(3))
    @pytest.mark.parametrize("side", ["left", "right"])
    @pytest.mark.parametrize("voice", [MEDIUM, HIGH], ids=lambda voice: voice.name)
    def test_less_context_would_make_the_seams_audible(self, voice: VitsVoice, stage: int, side: str) -> None:
        model = open_cut(model_path(voice), voice.rate)
        feeds = feeds_of(some_ids(60))
        whole = whole_model(voice).run(None, feeds)[0].reshape(-1)
        chosen = model._stages[stage]
        chosen.part = replace(chosen.part, **{side: getattr(chosen.part, side) // 3})
        assert np.abs(concatenate(model.speak(feeds)) - whole).max() > SEAM

    def test_each_speaker_sounds_different(self) -> None:
        rendered = [
            concatenate(cut_model(SPEAKERS).speak(feeds_of(some_ids(20), voice=SPEAKERS, speaker=number)))
            for number in range(3)
        ]
        for one, other in ((0, 1), (0, 2), (1, 2)):
            length = min(len(rendered[one]), len(rendered[other]))
            assert np.abs(rendered[one][:length] - rendered[other][:length]).max() > 0.01

    def test_without_noise_a_sentence_renders_bit_identically(self) -> None:
        first, second = (
            concatenate(open_cut(model_path(MEDIUM)).speak(feeds_of(some_ids(90), length=2.0)))
            for _ in range(2)
        )
        np.testing.assert_array_equal(first, second)

    def test_interleaved_sentences_do_not_interfere(self) -> None:
        model = cut_model(MEDIUM)
        both = [feeds_of(some_ids(80, seed=seed)) for seed in (1, 2)]
        alone = [concatenate(model.speak(feeds)) for feeds in both]
        steps = list(zip(*(model.speak(feeds) for feeds in both), strict=False))
        for rendered, parts in zip(alone, zip(*steps, strict=True), strict=True):
            beginning = np.concatenate(parts)
            assert len(beginning) > 22050
            np.testing.assert_allclose(beginning, rendered[: len(beginning)], rtol=0, atol=SEAM)


def test_tensors_crossing_a_split_are_sliced_along_their_time_axis_if_they_have_one() -> None:
    class Product:
        def has_cores(self) -> bool:
            return True

        def run(self, _: Any, feeds: dict[str, npt.NDArray[np.float32]]) -> list[Any]:
            return [feeds["x"] * feeds["mask"] * feeds["still"]]

    part = LocalPart("x", "y", {"mask": TimeAxis(1)}, frozenset({"still"}), left=1, right=1, axis=TimeAxis(1))
    stage = ModelStage(Product(), part)  # type: ignore[arg-type]
    x = np.arange(9, dtype=np.float32).reshape(1, 1, 9)
    masks: list[npt.NDArray[np.float32]] = [
        x[..., ::-1],
        np.full((1, 1, 1), 2, np.float32),
        np.array(2, np.float32),
    ]
    for mask in masks:
        # As many channels as frames: still not a time axis.
        sentence = ChunkedInference(
            [stage], {"x": x, "mask": mask, "still": np.full((1, 9, 1), 0.5, np.float32)}
        )
        pieces = [sentence.result(end).reshape(9, -1)[0] for end in (2, 3, 9)]
        np.testing.assert_array_equal(np.concatenate(pieces), (x * mask * 0.5).reshape(-1))
