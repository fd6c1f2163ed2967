from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from tests.support.tones import VOICES
from wyoming_tts.engines.base import EngineOptions
from wyoming_tts.engines.piper.graph import PiperGraph
from wyoming_tts.engines.piper.text_check import NotTheSame, check_rewritten
from wyoming_tts.errors import EngineFailed

PATH = VOICES / "exported" / "one_speaker.onnx"
OPTIONS = EngineOptions(intra_op_threads=1)
PHONEMES = 40


@pytest.fixture(scope="module")
def contents() -> tuple[bytes, bytes]:
    graph = PiperGraph(PATH)
    cut = graph.cut()
    graph.limit_frames(10_000)
    return graph.extract_text_encoder(cut), graph.rewrite_text_encoder(cut).content


def _check(contents: tuple[bytes, bytes], edit: Callable[[onnx.GraphProto], None]) -> None:
    original, rewritten = contents
    model = onnx.load_from_string(rewritten)
    edit(model.graph)
    check_rewritten(PATH, OPTIONS, original, model.SerializeToString(), PHONEMES)


def _scale_weight(graph: onnx.GraphProto, node: onnx.NodeProto, factor: float) -> None:
    weight = next(each for each in graph.initializer if each.name == node.input[1])
    scaled = numpy_helper.to_array(weight) * np.float32(factor)
    weight.CopyFrom(numpy_helper.from_array(scaled, weight.name))


def _convolutions(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    return [node for node in graph.node if node.op_type in ("Conv", "FusedConv")]


def test_what_computes_the_same_passes(contents: tuple[bytes, bytes]) -> None:
    _check(contents, lambda _: None)


def test_a_slightly_different_weight_of_the_encoder_is_found(contents: tuple[bytes, bytes]) -> None:
    with pytest.raises(NotTheSame, match="of its power"):
        _check(contents, lambda graph: _scale_weight(graph, _convolutions(graph)[2], 1.001))


def test_different_durations_are_found(contents: tuple[bytes, bytes]) -> None:
    with pytest.raises(NotTheSame, match="shape"):
        _check(contents, lambda graph: _scale_weight(graph, _convolutions(graph)[-2], 1.5))


def test_a_text_part_that_cannot_be_run_is_told(contents: tuple[bytes, bytes]) -> None:
    def cut_off_input(graph: onnx.GraphProto) -> None:
        gather = next(node for node in graph.node if node.op_type == "Gather" and node.input[1] == "input")
        weight = next(each for each in graph.initializer if each.name == gather.input[0])
        weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight)[:5], weight.name))

    with pytest.raises(EngineFailed):
        _check(contents, cut_off_input)
