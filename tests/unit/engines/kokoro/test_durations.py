"""The graph of a Kokoro model is edited for exact speeds, where that is known to be right."""

from __future__ import annotations

from collections.abc import Callable

import onnx
import pytest
from onnx import helper

from tests.unit.engines.kokoro.conftest import KokoroFile
from tests.voices.make_kokoro import KOKORO_VARIANTS, KokoroVariant, kokoro_like_model
from wyoming_tts.engines.kokoro.durations import durations_output, find_durations, scale_durations
from wyoming_tts.engines.onnx_graph.graph import OnnxGraph

Edit = Callable[[onnx.ModelProto], None]


@pytest.mark.parametrize("variant", KOKORO_VARIANTS, ids=str)
def test_the_durations_of_every_export_are_found(kokoro_file: KokoroFile, variant: KokoroVariant) -> None:
    graph = OnnxGraph.read(kokoro_file(variant))
    durations = scale_durations(graph)
    (user,) = {node.kind for node in graph.users[durations]}
    assert user == "Cast"
    assert graph.producers[durations].kind == "Sub"


def _round_again(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Round", [model.graph.output[0].name], ["rounded"]))


def _use_rounded_twice(model: onnx.ModelProto) -> None:
    (rounded,) = [node for node in model.graph.node if node.op_type == "Round"]
    model.graph.node.append(helper.make_node("Abs", [rounded.output[0]], ["other"]))


def _use_limited_otherwise(model: onnx.ModelProto) -> None:
    (limited,) = [node for node in model.graph.node if node.op_type == "Clip"]
    model.graph.node.append(helper.make_node("Abs", [limited.output[0]], ["other"]))


@pytest.mark.parametrize("edit", [_round_again, _use_rounded_twice, _use_limited_otherwise])
def test_a_graph_of_another_kind_is_left_as_it_is(edit: Edit) -> None:
    model = onnx.ModelProto()
    model.CopyFrom(kokoro_like_model(KokoroVariant()))
    edit(model)
    before = model.SerializeToString(deterministic=True)
    graph = OnnxGraph(model)
    assert scale_durations(graph) == ""
    assert graph.model.SerializeToString(deterministic=True) == before


@pytest.mark.parametrize("edit", [_round_again, _use_rounded_twice, _use_limited_otherwise])
def test_durations_are_found_where_they_cannot_be_scaled(edit: Edit) -> None:
    model = onnx.ModelProto()
    model.CopyFrom(kokoro_like_model(KokoroVariant()))
    (limited,) = [node.output[0] for node in model.graph.node if node.op_type == "Clip"]
    edit(model)
    assert find_durations(OnnxGraph(model)) == limited


def test_durations_are_no_output_where_others_are_already() -> None:
    model = onnx.ModelProto()
    model.CopyFrom(kokoro_like_model(KokoroVariant()))
    model.graph.output.append(onnx.ValueInfoProto(name=model.graph.node[0].output[0]))
    assert durations_output(OnnxGraph(model)) is None
