"""The source written anew: its transforms as convolutions, which make what onnxruntime's operator makes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from wyoming_tts.engines.kokoro.source_graph import stft_results, write_source
from wyoming_tts.engines.onnx_graph.graph import OnnxGraph

FLOAT, HALF = onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16
HANN = np.square(np.sin(np.pi * np.arange(20) / 20)).astype(np.float32)
TURNED_HANN = np.roll(HANN, 3)  # not symmetric, so that a mirrored window is noticed


def source(window: Any = TURNED_HANN, *, frame: int = 20, step: int = 5, onesided: int = 1) -> OnnxGraph:
    """Twice the pitch, transformed."""
    kind = HALF if window is not None and window.dtype == np.float16 else FLOAT
    weights = [
        numpy_helper.from_array(np.array(2.0, helper.tensor_dtype_to_np_dtype(kind)), "two"),
        numpy_helper.from_array(np.array(step), "step"),
        numpy_helper.from_array(np.array(frame), "frame"),
        *([] if window is None else [numpy_helper.from_array(window, "window")]),
    ]
    inputs = ["signal", "step", "" if window is None else "window", "frame"]
    nodes = [
        helper.make_node("Mul", ["pitch", "two"], ["signal"]),
        helper.make_node("STFT", inputs, ["columns"], onesided=onesided),
        helper.make_node("Neg", ["columns"], ["harmonics"]),
    ]
    declare = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "source",
        [declare("pitch", kind, [1, None])],
        [declare("harmonics", kind, [1, None, None, 2])],
        weights,
    )
    return OnnxGraph(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8))


def run(content: bytes, samples: Any) -> Any:
    return onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"]).run(
        None, {"pitch": samples}
    )[0]


@pytest.mark.parametrize("length", [20, 203])
def test_the_convolution_makes_what_the_operator_makes(length: int) -> None:
    graph = source()
    samples = np.random.default_rng(0).standard_normal((1, length)).astype(np.float32)
    written = write_source(graph, "pitch", "harmonics")
    expected = run(graph.extract(["pitch"], ["harmonics"]), samples)
    got = run(written, samples)
    assert got.shape == expected.shape == (1, (length - 20) // 5 + 1, 11, 2)
    assert np.square(got - expected).sum() < np.square(expected).sum() * 1e-10
    assert not any(node.op_type == "STFT" for node in onnx.load_from_string(written).graph.node)


def test_phases_of_negative_values_are_those_of_the_operator() -> None:
    graph = source(HANN)
    random = np.random.default_rng(0)
    tones = sum(np.sin(0.026 * number * np.arange(2000)) for number in range(1, 9))
    samples = (-0.2 + 0.02 * tones + 0.001 * random.standard_normal(2000)).astype(np.float32)[None] / 2
    expected = -run(graph.extract(["pitch"], ["harmonics"]), samples)
    got = -run(write_source(graph, "pitch", "harmonics"), samples)
    phases, others = (np.arctan2(each[..., 1], each[..., 0]) for each in (expected, got))
    assert (expected[..., 0, 0] < 0).mean() > 0.9
    assert (np.abs(phases - others)[..., :-1] < 0.01).mean() > 0.95
    assert (np.abs(phases - others)[..., -1] < 0.01).mean() > 0.7  # its rounding has not always one sign


def test_what_is_written_anew_is_told_so_that_it_can_be_compared() -> None:
    assert stft_results(source(), "pitch", "harmonics") == ["columns"]
    assert not stft_results(source(), "columns", "harmonics")


@pytest.mark.parametrize(
    "make",
    [
        lambda: source(None),
        lambda: source(onesided=0),
        lambda: source(np.ones(512, np.float32), frame=512),
        lambda: source(frame=16),
        lambda: source(HANN.astype(np.float16)),
    ],
    ids=["without a window", "of both sides", "long", "of another length than its window", "in halves"],
)
def test_another_transform_stays_as_it_is(make: Callable[[], OnnxGraph]) -> None:
    graph = make()
    assert not stft_results(graph, "pitch", "harmonics")
    kinds = [
        each.op_type for each in onnx.load_from_string(write_source(graph, "pitch", "harmonics")).graph.node
    ]
    assert kinds == ["Mul", "STFT", "Neg"]
