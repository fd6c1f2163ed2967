"""Quantized operators with signed weights: they make the same integers."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from wyoming_tts.engines.onnx import has_exact_products
from wyoming_tts.engines.onnx_graph.graph import OnnxGraph
from wyoming_tts.engines.onnx_graph.integer_operators import SignedWeights

RANDOM = np.random.default_rng(0)
needs_exact_products = pytest.mark.skipif(
    not has_exact_products(), reason="this processor's products of signed weights overflow"
)


def quantized(kind: str, weights: Any, zero: Any = None, **attributes: Any) -> OnnxGraph:
    """An operator that takes what it quantizes itself."""
    zero = np.array(130, weights.dtype) if zero is None else zero
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["bytes", "scale", "zero"]),
        helper.make_node(kind, ["bytes", "w", "zero", "w_zero"], ["y"], **attributes),
    ]
    graph = helper.make_graph(
        nodes,
        "quantized",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, None)],
        [helper.make_tensor_value_info("y", onnx.TensorProto.INT32, None)],
        [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(zero, "w_zero")],
    )
    return OnnxGraph(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8))


def unsigned(*shape: int) -> Any:
    return RANDOM.integers(0, 256, shape, dtype=np.uint8)


def run(content: bytes, values: Any) -> Any:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": values})[0]


def kinds(content: bytes) -> set[str]:
    return {node.op_type for node in onnx.load_from_string(content).graph.node}


@needs_exact_products
@pytest.mark.parametrize(
    ("shape", "attributes"),
    [
        ((6, 5, 1), {}),
        ((6, 5, 3), {"pads": [1, 1]}),
        ((6, 5, 5), {"pads": [3, 0], "strides": [1], "dilations": [1], "group": 1}),
        ((1, 64, 4), {}),
    ],
)
def test_a_convolution_becomes_a_product(shape: tuple[int, int, int], attributes: dict[str, Any]) -> None:
    graph = quantized("ConvInteger", unsigned(*shape), **attributes)
    values = RANDOM.standard_normal((1, shape[1], 17)).astype(np.float32)
    written = SignedWeights(graph).extract(["x"], ["y"])
    assert "ConvInteger" not in kinds(written)
    assert np.array_equal(run(written, values), run(graph.extract(["x"], ["y"]), values))


@needs_exact_products
def test_weights_of_a_product_become_signed() -> None:
    graph = quantized("MatMulInteger", unsigned(7, 9))
    values = RANDOM.standard_normal((1, 4, 7)).astype(np.float32)
    written = SignedWeights(graph).extract(["x"], ["y"])
    types = {each.data_type for each in onnx.load_from_string(written).graph.initializer}
    assert types == {onnx.TensorProto.INT8}
    assert np.array_equal(run(written, values), run(graph.extract(["x"], ["y"]), values))


@pytest.mark.parametrize(
    "graph",
    [
        quantized("ConvInteger", unsigned(6, 5, 3), strides=[2]),
        quantized("ConvInteger", unsigned(6, 5, 3), dilations=[2]),
        quantized("ConvInteger", unsigned(5, 1, 3), group=5),
        quantized("ConvInteger", unsigned(6, 5, 3), auto_pad="SAME_UPPER"),
        quantized("ConvInteger", unsigned(6, 5, 3, 3)),
        quantized("ConvInteger", unsigned(6, 5, 3).astype(np.int8), np.array(0, np.int8)),
        quantized("ConvInteger", unsigned(6, 5, 3), unsigned(6)),
    ],
    ids=["strided", "dilated", "grouped", "padded by itself", "flat", "signed", "of many zero points"],
)
def test_another_convolution_stays_as_it_is(graph: OnnxGraph) -> None:
    assert "ConvInteger" in kinds(SignedWeights(graph).extract(["x"], ["y"]))


def test_what_is_not_quantized_stays_with_its_weights() -> None:
    nodes = [helper.make_node("Add", ["x", "w"], ["sum"]), helper.make_node("Neg", ["sum"], ["y"])]
    declared = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in ("x", "y")]
    weight = numpy_helper.from_array(np.ones(3, np.float32), "w")
    graph = OnnxGraph(
        helper.make_model(
            helper.make_graph(nodes, "floats", declared[:1], declared[1:], [weight]),
            opset_imports=[helper.make_opsetid("", 17)],
            ir_version=8,
        )
    )
    assert SignedWeights(graph).extract(["x"], ["y"]) == graph.extract(["x"], ["y"])
