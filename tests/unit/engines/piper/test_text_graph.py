from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from tests.support.tones import VOICES
from tests.voices.make_vits import MEDIUM, VITS
from wyoming_tts.engines.base import EngineOptions
from wyoming_tts.engines.onnx import OnnxModel, open_models
from wyoming_tts.engines.onnx_graph.duration_scaling import speed_feed
from wyoming_tts.engines.piper.duration_guard import FRAMES
from wyoming_tts.engines.piper.graph import GraphCut, PiperGraph
from wyoming_tts.engines.piper.text_check import replace_noise
from wyoming_tts.engines.piper.text_layers import UnknownLayers

Edit = Callable[[onnx.ModelProto], None]

ONE, THREE = (VOICES / "exported" / f"{speakers}.onnx" for speakers in ("one_speaker", "three_speakers"))
PHONEMES = 40
MAX_FRAMES = 20_000
SAME = 115.0
"""Decibels of the values over the difference. Rounding leaves 125 to 140."""


def _graph(path: Path) -> tuple[PiperGraph, GraphCut]:
    graph = PiperGraph(path)
    graph.limit_frames(MAX_FRAMES)
    return graph, graph.cut()


def _contents(path: Path) -> tuple[bytes, bytes]:
    """The text part of a voice, as it is and rewritten."""
    graph, cut = _graph(path)
    return graph.extract_text_encoder(cut), graph.rewrite_text_encoder(cut).content


def _open(content: bytes) -> OnnxModel:
    return open_models(Path("text.onnx"), EngineOptions(intra_op_threads=1), [replace_noise(content)])[0]


@cache
def _opened(path: Path) -> tuple[OnnxModel, OnnxModel]:
    original, rewritten = map(_open, _contents(path))
    return original, rewritten


def _run(
    model: OnnxModel,
    count: int,
    scales: tuple[float, float, float] = (0.667, 1.3, 0.8),
    speaker: int = 0,
    *,
    speed: float = 1.0,
) -> dict[str, Any]:
    feeds = {
        "input": (np.arange(count, dtype=np.int64) * 11 + count)[None] % PHONEMES,
        "input_lengths": np.array([count], dtype=np.int64),
        "scales": np.array(scales, dtype=np.float32),
        "sid": np.array([speaker], dtype=np.int64),
        **speed_feed(speed),
    }
    names = [output.name for output in model.get_outputs()]
    return dict(zip(names, model.run(names, {name: feeds[name] for name in model.inputs}), strict=True))


def _decibels(ours: Any, theirs: Any) -> float:
    assert ours.shape == theirs.shape
    power, error = (float(np.square(each, dtype=np.float64).sum()) for each in (theirs, theirs - ours))
    return float(10 * np.log10(power / max(error, 1e-300)))


def _assert_same(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    assert ours.keys() == theirs.keys()
    assert ours[FRAMES] == theirs[FRAMES]
    assert {name for name in theirs if _decibels(ours[name], theirs[name]) < SAME} == set()


def _edited(directory: Path, edit: Edit, source: Path = ONE) -> Path:
    model = onnx.load(source)
    edit(model)
    path = directory / "edited.onnx"
    onnx.save(model, path)
    return path


@pytest.mark.parametrize("path", [ONE, THREE], ids=lambda path: path.stem)
@pytest.mark.parametrize("count", [4, 5, 6, 9, 10, 33, 150])
def test_a_rewritten_text_part_makes_the_same_frames_of_texts_of_any_length(path: Path, count: int) -> None:
    original, rewritten = _opened(path)
    _assert_same(_run(rewritten, count), _run(original, count))


@pytest.mark.parametrize("scales", [(0.0, 1.0, 0.0), (1.0, 0.3, 0.4), (0.3, 3.0, 1.6), (0.667, 1.0, 3.0)])
def test_a_rewritten_text_part_makes_the_same_frames_with_any_noise_and_speed(
    scales: tuple[float, float, float],
) -> None:
    original, rewritten = _opened(ONE)
    _assert_same(_run(rewritten, 60, scales), _run(original, 60, scales))


@pytest.mark.parametrize("speaker", range(3))
def test_a_rewritten_text_part_speaks_as_each_speaker(speaker: int) -> None:
    original, rewritten = _opened(THREE)
    ours = _run(rewritten, 40, speaker=speaker)
    _assert_same(ours, _run(original, 40, speaker=speaker))
    others = [_run(rewritten, 40, speaker=each)[FRAMES] for each in range(3) if each != speaker]
    assert ours[FRAMES] not in others


def test_a_rewritten_text_part_bounds_the_frames_and_tells_how_many_there_would_be() -> None:
    original, rewritten = _opened(ONE)
    ours = _run(rewritten, 60, (0.667, 400.0, 0.8))
    _assert_same(ours, _run(original, 60, (0.667, 400.0, 0.8)))
    assert ours[FRAMES] > MAX_FRAMES
    assert 60 in next(values.shape for name, values in ours.items() if values.ndim == 3)


def test_a_text_whose_noise_all_exceeds_the_splines_is_spoken_only_when_rewritten() -> None:
    _, rewritten = _opened(ONE)
    assert _run(rewritten, 3, (0.667, 1.0, 60.0))[FRAMES] > 0


def test_a_rewritten_text_part_has_the_inputs_and_outputs_of_the_original_and_a_fraction_of_its_nodes() -> (
    None
):
    for path in (ONE, THREE):
        original, rewritten = map(onnx.load_from_string, _contents(path))
        for side in ("input", "output"):
            assert getattr(rewritten.graph, side) == getattr(original.graph, side)
        assert len(rewritten.graph.node) * 4 < len(original.graph.node)


def _fold_constants(model: onnx.ModelProto) -> None:
    """As simplified exports have it: constants among the weights."""
    constants = [node for node in model.graph.node if node.op_type == "Constant"]
    for node in constants:
        tensor = node.attribute[0].t
        tensor.name = node.output[0]
        model.graph.initializer.append(tensor)
        model.graph.node.remove(node)


def _fold_scale(model: onnx.ModelProto) -> None:
    """The same, with the exponential of the last flow computed in advance."""
    weights = {each.name: each for each in model.graph.initializer}
    fold = next(node for node in model.graph.node if node.op_type == "Exp" and node.input[0] in weights)
    value = np.exp(numpy_helper.to_array(weights[fold.input[0]]))
    model.graph.node.remove(fold)
    model.graph.initializer.append(numpy_helper.from_array(value, fold.output[0]))


def _fuse_norms(model: onnx.ModelProto) -> None:
    """As newer exports have it: an operator for each layer norm."""
    for opset in model.opset_import:
        opset.version = 17
    nodes, weights = model.graph.node, {each.name for each in model.graph.initializer}
    makers = {node.output[0]: node for node in nodes}
    for add in [node for node in nodes if node.op_type == "Add" and node.input[1] in weights]:
        scaled = makers.get(add.input[0])
        if scaled is None or scaled.op_type != "Mul" or scaled.input[1] not in weights:
            continue
        centred = makers[makers[scaled.input[0]].input[0]]
        fused = helper.make_node(
            "LayerNormalization",
            [centred.input[0], scaled.input[1], add.input[1]],
            [add.output[0]],
            axis=-1,
            epsilon=1e-5,
        )
        add.CopyFrom(fused)


@pytest.mark.parametrize("edit", [_fold_constants, _fold_scale, _fuse_norms])
def test_other_exports_of_the_same_layers_are_rewritten_too(tmp_path: Path, edit: Edit) -> None:
    original, rewritten = map(_open, _contents(_edited(tmp_path, edit)))
    _assert_same(_run(rewritten, 30), _run(original, 30))


def _after_durations(model: onnx.ModelProto) -> None:
    weight = numpy_helper.from_array(np.ones((1, 1), np.float32), "unknown")
    model.graph.initializer.append(weight)
    ceil = next(node for node in model.graph.node if node.op_type == "Ceil")
    place = list(model.graph.node).index(ceil)
    model.graph.node.insert(place, helper.make_node("Mul", [ceil.input[0], "unknown"], ["scaled"]))
    ceil.input[0] = "scaled"


def _without_bias(model: onnx.ModelProto) -> None:
    conv = next(node for node in model.graph.node if node.op_type == "Conv")
    del conv.input[2]


def _without_norm(model: onnx.ModelProto) -> None:
    gammas = {each.name for each in model.graph.initializer if list(each.dims) == [8]}
    scaled = next(node for node in model.graph.node if node.op_type == "Mul" and node.input[1] in gammas)
    scaled.op_type = "Add"


def _in_a_loop(model: onnx.ModelProto) -> None:
    """The logarithms of the durations pass through a loop without end."""
    infos = (helper.make_tensor_value_info(name, kind, None) for name, kind in (("n", 7), ("c", 9), ("v", 1)))
    outputs = (helper.make_tensor_value_info(name, kind, None) for name, kind in (("d", 9), ("w", 1)))
    nodes = [helper.make_node("Identity", ["c"], ["d"]), helper.make_node("Identity", ["v"], ["w"])]
    body = helper.make_graph(nodes, "body", [*infos], [*outputs])
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "always"))
    ceil = next(node for node in model.graph.node if node.op_type == "Ceil")
    place = list(model.graph.node).index(ceil)
    loop = helper.make_node("Loop", ["", "always", ceil.input[0]], ["looped"], body=body)
    model.graph.node.insert(place, loop)
    ceil.input[0] = "looped"


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (_in_a_loop, "it has loops, branches or functions"),
        (_after_durations, "a Mul with weights after those of the durations"),
        (_without_bias, "a Conv has no bias"),
        (_without_norm, "it has a Add where VITS has the weights of a Mul"),
    ],
)
def test_weights_that_vits_does_not_have_are_told(tmp_path: Path, edit: Edit, reason: str) -> None:
    graph, cut = _graph(_edited(tmp_path, edit))
    with pytest.raises(UnknownLayers, match=reason):
        graph.rewrite_text_encoder(cut)


def test_a_text_part_of_another_kind_is_told() -> None:
    graph, cut = _graph(VITS / f"{MEDIUM.name}.onnx")
    with pytest.raises(UnknownLayers):
        graph.rewrite_text_encoder(cut)


@pytest.mark.parametrize("path", [ONE, THREE], ids=lambda path: path.stem)
@pytest.mark.parametrize("speed", [0.3, 0.9, 1.7, 4.0])
def test_a_rewritten_text_part_makes_the_same_frames_at_any_speed(path: Path, speed: float) -> None:
    original, rewritten = _opened(path)
    expected = _run(original, 60, speed=speed)
    _assert_same(_run(rewritten, 60, speed=speed), expected)
    natural = float(_run(original, 60)[FRAMES])
    assert float(expected[FRAMES]) == pytest.approx(natural / speed)
