"""Models that fail, are closed, or have one core."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from tests.unit.engines.piper.vits_models import (
    cut_model,
    edited,
    feeds_of,
    model_path,
    open_cut,
    sentences,
    some_ids,
)
from tests.voices.make_vits import MEDIUM
from wyoming_tts.engines.base import EngineOptions
from wyoming_tts.engines.onnx_graph.receptive_field import TimeAxis
from wyoming_tts.engines.piper.model import open_piper_model
from wyoming_tts.errors import EngineFailed


class TestFailing:
    def test_a_decoder_that_outputs_nan_is_an_engine_failure(self, tmp_path: Path) -> None:
        def edit(model: onnx.ModelProto) -> None:
            count = [node for node in model.graph.node if node.op_type == "Div"][-1].input[1]
            constant = next(node for node in model.graph.node if count in node.output)
            del constant.attribute[:]
            zero = numpy_helper.from_array(np.array(0, np.float32))
            constant.attribute.append(helper.make_attribute("value", zero))

        model = open_cut(edited(tmp_path / "nan.onnx", edit))
        steps = model.speak(feeds_of(some_ids(60)))
        assert len(next(iter(steps))) == 0
        with pytest.raises(EngineFailed, match=r"nan\.onnx produced values that are not finite"):
            next(iter(steps))

    def test_an_onnxruntime_error_is_reported_with_the_name_of_the_model(self) -> None:
        with pytest.raises(EngineFailed, match=r"The model en_US-vits-medium\.onnx failed: .*Gather"):
            list(cut_model(MEDIUM).speak(feeds_of([5000])))

    def test_a_sample_count_that_does_not_match_the_frames_is_an_error_and_not_played(self) -> None:
        model = open_cut(model_path(MEDIUM))
        model._stages[1].part = replace(model._stages[1].part, axis=TimeAxis(7))
        with pytest.raises(EngineFailed, match=r"expected \d+\."):
            list(model.speak(feeds_of(some_ids(10))))

    def test_a_closed_model_has_released_every_part(self) -> None:
        model = open_cut(model_path(MEDIUM))
        sentence = sentences(model, feeds_of(some_ids(10)))()
        model.close()
        assert repr(model) == "<Model en_US-vits-medium.onnx closed> in 4 parts"
        for use in (lambda: list(model.speak(feeds_of([1]))), lambda: sentence.result(1)):
            with pytest.raises(EngineFailed, match="freed while it was still in use"):
                use()
        assert all(stage._model._session is None for stage in model._stages)


def test_a_voice_limited_to_one_core_sounds_the_same_and_loads_its_weights_once() -> None:
    alone = True
    model = open_piper_model(
        model_path(MEDIUM), EngineOptions(intra_op_threads=2, has_cores=lambda: alone), sample_rate=22_050
    )
    assert model.shares_cores
    feeds = feeds_of(some_ids(40))
    with_all = np.concatenate(list(model.speak(feeds, low_latency=False)))
    alone = False
    with_one = np.concatenate(list(model.speak(feeds, low_latency=False)))
    assert np.abs(with_all - with_one).max() < 1e-3
    model.close()
