"""How many samples each phoneme id lasts."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest

from tests.unit.engines.piper.vits_models import (
    EXPORTED,
    WAYS,
    edited,
    feeds_of,
    few_ids,
    model_path,
    open_cut,
    open_in_a_way,
    open_without_durations,
    round_twice,
    some_ids,
)
from tests.voices.make_vits import MEDIUM, SPEAKERS
from wyoming_tts.engines.onnx import OnnxModel
from wyoming_tts.engines.piper.duration_guard import DURATIONS
from wyoming_tts.engines.piper.model import IdSamples

EXPORTED_SPEAKERS = EXPORTED.with_name("three_speakers.onnx")


class TestSamplesOfIds:
    """How many samples each phoneme id lasts is told before they are heard."""

    each_way = pytest.mark.parametrize(
        ("path", "way"),
        [*product([model_path(SPEAKERS), EXPORTED_SPEAKERS], WAYS), (EXPORTED, "rewritten")],
        ids=lambda each: getattr(each, "stem", each),
    )

    @each_way
    def test_they_add_up_to_the_audio_exactly(self, path: Path, way: str) -> None:
        model = open_in_a_way(path, way)
        for count, speed in product((5, 60), (0.5, 1.0, 1.3, 4.0)):
            told: list[IdSamples] = []
            feeds = feeds_of(few_ids(count), voice=SPEAKERS if "sid" in model.inputs else MEDIUM, noise=0.7)
            steps = iter(model.speak(feeds, speed=speed, tell=told.append))
            first = next(steps)
            (each,) = told
            assert len(each) == count
            assert each.sum() == len(first) + sum(map(len, steps))
            assert each.min() >= 0

    @each_way
    def test_they_are_those_of_the_original(self, path: Path, way: str) -> None:
        model = open_in_a_way(path, way)
        feeds = feeds_of(few_ids(40), voice=SPEAKERS if "sid" in model.inputs else MEDIUM)
        told: list[IdSamples] = []
        list(model.speak(feeds, tell=told.append))
        np.testing.assert_array_equal(told[0], self._of_the_original(path))

    @staticmethod
    @cache
    def _of_the_original(path: Path) -> npt.NDArray[np.int64]:
        original = onnx.load(path)
        ceil = next(node for node in original.graph.node if node.op_type == "Ceil")
        original.graph.output.append(onnx.ValueInfoProto(name=ceil.output[0]))
        speakers = any(each.name == "sid" for each in original.graph.input)
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL  # opens at once
        session = onnxruntime.InferenceSession(original.SerializeToString(), options)
        samples, frames = session.run(None, feeds_of(few_ids(40), voice=SPEAKERS if speakers else MEDIUM))
        each: npt.NDArray[np.int64] = frames.reshape(-1).astype(int) * (samples.size // int(frames.sum()))
        return each

    def test_a_model_without_them_tells_nothing_and_logs_it_once(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.INFO):
            model = open_cut(edited(tmp_path / "twice.onnx", round_twice))
        told: list[IdSamples] = []
        list(model.speak(feeds_of(some_ids(10)), tell=told.append))
        list(open_without_durations(tmp_path).speak(feeds_of(some_ids(10)), tell=told.append))
        assert not told
        lines = [record.message for record in caplog.records if "tell" in record.message]
        assert lines == ["twice.onnx does not tell when words sound: its durations cannot be found"]

    def test_nothing_is_told_of_a_sentence_that_is_not_made_of_them(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        model = open_cut(model_path(MEDIUM))
        run = OnnxModel.run

        def other(self: OnnxModel, outputs: Sequence[str] | None, feeds: dict[str, Any]) -> list[Any]:
            results = run(self, outputs, feeds)
            names = outputs or [""] * len(results)
            return [
                value[..., 1:] if name == DURATIONS else value
                for name, value in zip(names, results, strict=True)
            ]

        monkeypatch.setattr(OnnxModel, "run", other)
        told: list[IdSamples] = []
        list(model.speak(feeds_of(some_ids(10)), tell=told.append))
        assert not told
