from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from wyoming_tts.engines.onnx_graph.float_operators import FloatOperators
from wyoming_tts.engines.onnx_graph.graph import OnnxGraph
from wyoming_tts.engines.onnx_graph.nodes import CannotCut

Edit = Callable[[onnx.ModelProto], None]

_RANDOM = np.random.default_rng(0)
_X = _RANDOM.normal(size=(1, 4, 50)).astype(np.float32)


def _weights() -> dict[str, npt.NDArray[np.float32]]:
    random = np.random.default_rng(1)
    shapes = {"conv_weight": (6, 4, 3), "conv_bias": (6,), "product_weight": (50, 8)}
    return {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def _float_model(kind: int = TensorProto.FLOAT) -> onnx.ModelProto:
    make = helper.make_node
    nodes = [
        make("Conv", ["x", "conv_weight", "conv_bias"], ["c"], pads=[2, 2], dilations=[2], kernel_shape=[3]),
        make("Relu", ["c"], ["r"]),
        make("MatMul", ["r", "product_weight"], ["y"]),
    ]
    declare = helper.make_tensor_value_info
    types = np.float16 if kind == TensorProto.FLOAT16 else np.float32
    tensors = [numpy_helper.from_array(each.astype(types), name) for name, each in _weights().items()]
    graph = helper.make_graph(
        nodes, "g", [declare("x", kind, [1, 4, 50])], [declare("y", kind, [1, 6, 8])], tensors
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@cache
def _quantized(*, per_channel: bool = False, signed: bool = False) -> onnx.ModelProto:
    from onnxruntime.quantization import QuantType, quantize_dynamic  # noqa: PLC0415  # slow to import

    kind = QuantType.QInt8 if signed else QuantType.QUInt8
    with TemporaryDirectory() as directory:
        path = Path(directory) / "quantized.onnx"
        quantize_dynamic(_float_model(), path, per_channel=per_channel, weight_type=kind)
        model: onnx.ModelProto = onnx.load(path)
    return model


def _in_floats(model: onnx.ModelProto) -> onnx.ModelProto:
    graph = OnnxGraph(model)
    nodes, weights = FloatOperators(graph).convert(graph.ancestors(["y"]))
    converted = graph.model_of(nodes, weights.values(), graph.opsets(), ["x"], ["y"])
    for each in (*converted.graph.input, *converted.graph.output):
        each.type.tensor_type.elem_type = TensorProto.FLOAT
    return OnnxGraph(converted).model


def _run(model: onnx.ModelProto, x: Any = _X) -> Any:
    content = OnnxGraph(model).extract(["x"], ["y"])
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


def _exactly(rounded: onnx.ModelProto) -> Any:
    """What the model computes by the weights as they are stored, without a rounding in between."""
    stored = {each.name: numpy_helper.to_array(each) for each in rounded.graph.initializer}
    values = {}
    for name in ("conv_weight", "product_weight"):
        kept = stored[f"{name}_quantized"].astype(np.float64)
        scale, zero = (np.asarray(stored[f"{name}_{part}"], np.float64) for part in ("scale", "zero_point"))
        if scale.size > 1 and name == "conv_weight":
            scale, zero = scale.reshape(-1, 1, 1), zero.reshape(-1, 1, 1)
        values[name] = ((kept - zero) * scale).astype(np.float32)
    model = _float_model()
    for each in model.graph.initializer:
        if each.name in values:
            each.CopyFrom(numpy_helper.from_array(values[each.name], each.name))
    return _run(model)


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("signed", [False, True])
def test_a_quantized_graph_becomes_the_floats_that_it_stands_for(*, per_channel: bool, signed: bool) -> None:
    rounded = _quantized(per_channel=per_channel, signed=signed)
    converted = _in_floats(rounded)
    kinds = {node.op_type for node in converted.graph.node}
    assert {"Conv", "MatMul", "Relu"} <= kinds
    np.testing.assert_allclose(_run(converted), _exactly(rounded), atol=1e-4)
    assert np.abs(_run(rounded) - _exactly(rounded)).max() > 1e-3  # what is left out


_WITH_INTEGER_BIAS = """
    q, s, z = DynamicQuantizeLinear(x)
    c = ConvInteger<pads = [1, 1]>(q, kept, z, zero)
    both = Mul(s, scale)
    divided = Div(bias, both)
    floored = Floor(divided)
    whole = Cast<to = 6>(floored)
    column = Reshape(whole, places)
    summed = Add(c, column)
    floats = Cast<to = 1>(summed)
    y = Mul(floats, both)
"""


@pytest.mark.parametrize("scales", [(0.01,), (0.01, 0.02, 0.03, 0.04, 0.05, 0.06)])
def test_a_bias_that_is_added_in_integers_becomes_what_it_was(scales: tuple[float, ...]) -> None:
    """As older quantizers have it, and the model in the catalogue; the weights have one scale, or several."""
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["": 17]> '
        f"test (float[1, 4, n] x) => (float[1, 6, m] y) {{ {_WITH_INTEGER_BIAS} }}"
    )
    random = np.random.default_rng(2)
    values: dict[str, Any] = {
        "kept": random.integers(0, 255, (6, 4, 3)).astype(np.uint8),
        "zero": np.array([120] * len(scales), np.uint8),
        "scale": np.array(scales, np.float32),
        "bias": random.normal(size=6).astype(np.float32),
        "places": np.array([1, -1, 1]),
    }
    model.graph.initializer.extend(numpy_helper.from_array(each, name) for name, each in values.items())
    converted = _in_floats(model)
    (node,) = (node for node in converted.graph.node if node.output[0] == "y")
    assert (node.op_type, len(node.input)) == ("Conv", 3)
    weight = (values["kept"].astype(np.float32) - 120) * values["scale"][:, None, None]
    padded = np.pad(_X, ((0, 0), (0, 0), (1, 1)))
    expected = sum(
        np.einsum("oc,bcn->bon", weight[:, :, tap], padded[..., tap : tap + 50]) for tap in range(3)
    )
    np.testing.assert_allclose(_run(converted), expected + values["bias"][:, None], atol=1e-4)


def test_a_graph_in_floats_stays_as_it_is() -> None:
    np.testing.assert_array_equal(_run(_in_floats(_float_model())), _run(_float_model()))


def test_16_bits_become_32() -> None:
    model = _float_model(TensorProto.FLOAT16)
    converted = _in_floats(model)
    assert {each.data_type for each in converted.graph.initializer} == {TensorProto.FLOAT}
    got, half = _run(converted), _run(model, _X.astype(np.float16))
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, half.astype(np.float32), atol=0.05)
    np.testing.assert_allclose(got, _run(_float_model()), atol=0.05)


def test_casts_and_constants_of_16_bits_become_32() -> None:
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["": 17]> test (float[n] x) => (float[n] y) {'
        "h = Cast<to = 10>(x) c = Constant<value = float16[1] {15360}>() a = Add(h, c) y = Cast<to = 1>(a) }"
    )
    converted = _in_floats(model)
    small = np.array([1e-7, 2.0], np.float32)  # lost in 16 bits
    np.testing.assert_array_equal(_run(converted, small), small + np.float32(1.0))


def _node(model: onnx.ModelProto, kind: str) -> onnx.NodeProto:
    return next(node for node in model.graph.node if node.op_type == kind)


def _statically_quantized(model: onnx.ModelProto) -> None:
    node = _node(model, "ConvInteger")
    _node(model, "DynamicQuantizeLinear").op_type = "QuantizeLinear"
    assert node


def _no_floats_after(model: onnx.ModelProto) -> None:
    _node(model, "Cast").op_type = "Identity"


def _two_users(model: onnx.ModelProto) -> None:
    result = _node(model, "MatMulInteger").output[0]
    model.graph.node.append(helper.make_node("Identity", [result], ["twice"]))


def _computed_weights(model: onnx.ModelProto) -> None:
    node = _node(model, "MatMulInteger")
    model.graph.node.insert(0, helper.make_node("Abs", [node.input[1]], ["computed"]))
    node.input[1] = "computed"


def _scaled_otherwise(model: onnx.ModelProto) -> None:
    """By the input's scale alone, not the product with that of the weights."""
    quantize = _node(model, "DynamicQuantizeLinear")
    scaled = [node for node in model.graph.node if node.op_type == "Mul" and quantize.output[1] in node.input]
    scaled[0].op_type = "Add"


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (_statically_quantized, "the input of a ConvInteger is quantized in another way than dynamically"),
        (_no_floats_after, "does not make floats of it"),
        (_two_users, "a quantized value has 2 users"),
        (_computed_weights, "the weights of a quantized operator are computed"),
        (_scaled_otherwise, "is not scaled by its input's scale"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_a_quantized_operator_of_another_kind_is_refused(edit: Edit, reason: str) -> None:
    model = onnx.ModelProto()
    model.CopyFrom(_quantized())
    edit(model)
    graph = OnnxGraph(model)
    with pytest.raises(CannotCut, match=reason):
        FloatOperators(graph).convert(graph.nodes)
