from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnx.parser
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from tests.support.hypothesis_examples import scaled_examples
from wyoming_tts.engines.onnx_graph.nodes import CannotCut, Constants, Node
from wyoming_tts.engines.onnx_graph.receptive_field import TimeAxis, TimeTrace


def _follow(model: onnx.ModelProto, source: str) -> tuple[TimeTrace, dict[str, int]]:
    """Trace everything computed from the source; returns it with the time scale of each tensor."""
    nodes = [Node.of(each) for each in model.graph.node]
    producers = {output: node for node in nodes for output in node.outputs}
    trace = TimeTrace(
        {source: TimeAxis(1)}, Constants({each.name: each for each in model.graph.initializer}, producers)
    )
    paces = {source: 1}
    for node in nodes:
        if not paces.keys().isdisjoint(node.inputs):
            paces.update(dict.fromkeys(node.outputs, trace.follow(node).rate))
    return trace, paces


_WEIGHTS = {
    "w3": np.zeros((4, 4, 3), np.float32),
    "w1": np.zeros((4, 4, 1), np.float32),
    "w8": np.zeros((4, 4, 8), np.float32),
    "half": np.zeros((4, 4, 1), np.float16),
    "flat": np.zeros((4, 4, 1, 1), np.float32),
    "order": np.array([3, 2, 1, 0]),
    **{name: np.array([number]) for number, name in enumerate(("zero", "one", "two"))},
    "five": np.array([5]),
    "one_before": np.array([0, 0, 1, 0, 0, 0]),
    "last": np.array([-1]),
    "start": np.array([-(2**63) + 1]),
    "end": np.array([2**63 - 1]),
}


def _parsed(body: str, *, opset: int = 17) -> onnx.ModelProto:
    model = onnx.parser.parse_model(
        f'<ir_version: 8, opset_import: ["": {opset}, "other": 1]> '
        f"test (float[1,4,n] x, float[1,4,1] slope) => (float[a,b,c] y) {{ {body} }}"
    )
    model.graph.initializer.extend(numpy_helper.from_array(each, name) for name, each in _WEIGHTS.items())
    return model


@dataclass(frozen=True, slots=True)
class Layer:
    """A convolution; with a stride, an upsampling one."""

    taps: int
    dilation: int
    before: int
    stride: int
    residual: bool


@st.composite
def _layers(draw: st.DrawFn) -> Layer:
    stride = draw(st.integers(1, 4))
    dilation = draw(st.integers(1, 4))
    taps = draw(st.integers(1, 6))
    span = (taps - 1) * dilation + 1
    if span < stride:
        taps, dilation, span = stride, 1, stride
    before = draw(st.integers(0, span - stride))
    return Layer(taps, dilation, before, stride, draw(st.booleans()))


def _stack(layers: Sequence[Layer]) -> onnx.ModelProto:
    """Build layers with positive weights, so that no effect of a change cancels out."""
    nodes, weights, name = [], [], "x"
    for number, layer in enumerate(layers):
        weights.append(numpy_helper.from_array(np.ones((1, 1, layer.taps), np.float32), f"w{number}"))
        after = (layer.taps - 1) * layer.dilation + 1 - layer.stride - layer.before
        shared = {"dilations": [layer.dilation], "pads": [layer.before, after]}
        if layer.stride > 1:
            shared["strides"] = [layer.stride]
        kind = "ConvTranspose" if layer.stride > 1 else "Conv"
        nodes.append(helper.make_node(kind, [name, f"w{number}"], [f"c{number}"], **shared))
        if layer.residual and layer.stride == 1:
            nodes.append(helper.make_node("Add", [name, f"c{number}"], [f"a{number}"]))
        name = nodes[-1].output[0]
    nodes.append(helper.make_node("Identity", [name], ["y"]))
    ends = [helper.make_tensor_value_info(each, TensorProto.FLOAT, [1, 1, None]) for each in ("x", "y")]
    graph = helper.make_graph(nodes, "stack", ends[:1], ends[1:], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)


@settings(max_examples=scaled_examples(60), deadline=None)
@given(st.lists(_layers(), min_size=1, max_size=5))
def test_the_traced_receptive_field_equals_the_effect_of_changing_one_frame(layers: list[Layer]) -> None:
    model = _stack(layers)
    trace, paces = _follow(model, "x")
    hop, (left, right) = paces["y"], trace.reach("y")
    frames, middle = 2 * (left + right) + 5, left + right + 2
    x = np.zeros((1, 1, frames), np.float32)
    x[..., middle] = 1.0
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (y,) = session.run(None, {"x": x})
    assert hop == np.prod([layer.stride for layer in layers])
    assert y.shape[-1] == frames * hop
    felt = np.flatnonzero(y[0, 0]) // hop
    # A change affects as many later frames as later frames look back, and vice versa.
    assert felt.min() == middle - right
    assert felt.max() == middle + left


@pytest.mark.parametrize(
    "body",
    [
        "y = Tanh(x)",
        "y = Clip(x)",
        "y = PRelu(x, slope)",
        "y = Cast<to = 1>(x)",
        "a, b = Split<axis = 1, num_outputs = 2>(x) y = Concat<axis = 1>(b, a)",
        "a, b = Split<axis = -2, num_outputs = 2>(x) y = Concat<axis = -2>(b, a)",
        "y = Slice(x, last, start, one, last)",
        "y = Slice(x, zero, end, two, one)",
        "y = Slice(x, zero, end)",
        "y = Gather<axis = 1>(x, order)",
        "a = Unsqueeze(x, one) y = Squeeze(a, one)",
        "s = Shape(x) a = ConstantOfShape<value = float[1] {0.0}>(s) y = Add(x, a)",
        "y = Conv(x, w1)",
        'w = Identity(w1) y = Conv<kernel_shape = [1], auto_pad = "NOTSET">(x, w)',
    ],
)
def test_framewise_operations_have_no_receptive_field(body: str) -> None:
    trace, paces = _follow(_parsed(body, opset=18), "x")
    assert (paces["y"], trace.reach("y")) == (1, (0, 0))


@pytest.mark.parametrize(
    "body",
    [
        "y = Slice<axes = [1], starts = [0], ends = [2]>(x)",
        "y = Slice<starts = [0, 0, 0], ends = [1, 2, 9223372036854775807]>(x)",
        "a = Unsqueeze<axes = [1]>(x) y = Squeeze<axes = [1]>(a)",
        "a, b = Split<axis = 1, split = [2, 2]>(x) y = Concat<axis = 1>(b, a)",
    ],
)
def test_older_opsets_with_constants_in_attributes_are_supported(body: str) -> None:
    trace, _ = _follow(_parsed(body, opset=9), "x")
    assert trace.reach("y") == (0, 0)


@pytest.mark.parametrize(
    ("body", "reach"),
    [
        ("y = Conv<pads = [1, 1]>(x, w3)", (1, 1)),
        ("y = Conv<pads = [2, 0]>(x, w3)", (2, 0)),
        ("y = Conv<pads = [3, 3], dilations = [3]>(x, w3)", (3, 3)),
        ("a = Conv<pads = [1, 1]>(x, w3) y = Conv<pads = [1, 1]>(a, w3)", (2, 2)),
        ("a = Conv<pads = [1, 1]>(x, w3) y = Add(a, x)", (1, 1)),
        ("y = ConvTranspose<pads = [2, 2], strides = [4]>(x, w8)", (1, 1)),
    ],
)
def test_receptive_fields_of_convolutions_add_up(body: str, reach: tuple[int, int]) -> None:
    trace, _ = _follow(_parsed(body), "x")
    assert trace.reach("y") == reach


@pytest.mark.parametrize(
    ("body", "axis"),
    [
        ("y = Conv(x, w3)", TimeAxis(1, -2)),
        ("y = Conv<pads = [2, 1]>(x, w3)", TimeAxis(1, 1)),
        ("y = ConvTranspose<strides = [4]>(x, w8)", TimeAxis(4, 4)),
        (
            "a = ConvTranspose<pads = [2, 2], strides = [4]>(x, w8) y = Conv<strides = [2]>(a, w1)",
            TimeAxis(2),
        ),
        ('y = Pad<mode = "reflect">(x, one_before)', TimeAxis(1, 1)),
    ],
)
def test_values_that_are_added_or_dropped_at_the_ends_are_counted(body: str, axis: TimeAxis) -> None:
    nodes = [Node.of(each) for each in _parsed(body, opset=18).graph.node]
    weights = {each.name: each for each in _parsed(body, opset=18).graph.initializer}
    trace = TimeTrace({"x": TimeAxis(1)}, Constants(weights, {}))
    assert [trace.follow(node) for node in nodes][-1] == axis


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("y = Softmax(x)", "Softmax is not known to be local in time"),
        ("y = Transpose(x)", "Transpose is not known"),
        ("y = RandomNormalLike(x)", "RandomNormalLike is not known"),
        ("y = CumSum(x, two)", "CumSum is not known"),
        ("y = other.Relu(x)", r"other\.Relu is not known"),
        ("y = Conv<strides = [2]>(x, w1)", "a Conv changes the rate"),
        ('y = Conv<auto_pad = "SAME_UPPER">(x, w3)', "a Conv chooses its own padding"),
        ("y = Conv(x, half)", "the weights of a Conv are not plain 32-bit floats"),
        ("w = Neg(w1) y = Conv(x, w)", "the weights of a Conv are not plain"),
        ("y = Conv(w1, x)", "a Conv takes a parameter that is computed"),
        ("y = Gather(w1, x)", "a Gather takes a parameter that is computed"),
        ("y = Conv(x, flat)", "a Conv has more than one dimension"),
        ("a = Unsqueeze(x, one) y = Conv(a, w1)", "a Conv has more than one dimension"),
        ("y = Pad(x, one)", "a Pad does not only add values along time"),
        ("y = ConvTranspose<strides = [4], output_shape = [8]>(x, w8)", "chooses its own padding"),
        ("y = Cast<to = 10>(x)", "other numbers than 32-bit floats"),
        ("a, b = Split<axis = 2, num_outputs = 2>(x) y = Add(a, b)", "a Split works along time"),
        ("y = Concat<axis = -1>(x, x)", "a Concat works along time"),
        ("y = Slice(x, one, end, two)", "a Slice works along time"),
        ("y = Slice(x, zero, five, last)", "a Slice works along time"),
        ("y = Slice(x, last, start, two, last)", "a Slice works along time"),
        ("e = Neg(five) y = Slice(x, zero, e, one)", "a Slice takes computed ends"),
        ("y = Gather<axis = 2>(x, order)", "a Gather works along time"),
        ("o = Neg(order) y = Gather<axis = 1>(x, o)", "a Gather has computed indices"),
        ("a = Unsqueeze(x, two) y = Squeeze(a, last)", "a Squeeze works along time"),
        ("e = Constant<value_ints = [3]>() y = Unsqueeze(x, e)", "a Unsqueeze works along time"),
        ("y = Squeeze(x)", "a Squeeze has no axes"),
        ("s = Shape(x) y = ConstantOfShape(zero) z = Gather(s, zero)", "Gather calculates with a length"),
        ("s = Shape<start = 2>(x) y = ConstantOfShape(s)", "Shape calculates with a length"),
        ("y = ConstantOfShape(x)", "takes a computed shape"),
        (
            "a = ConvTranspose<pads = [2, 2], strides = [4]>(x, w8) y = Add(a, x)",
            "tensors of two rates meet in a Add",
        ),
        ("s = Shape(x) y = Add(s, x)", "tensors of two rates meet"),
    ],
)
def test_an_operation_not_known_to_be_local_in_time_ends_the_trace(body: str, reason: str) -> None:
    with pytest.raises(CannotCut, match=reason):
        _follow(_parsed(body, opset=18), "x")


def test_the_inputs_of_a_node_include_outer_tensors_used_by_its_subgraphs() -> None:
    inner: dict[str, Any] = {
        "inputs": [],
        "outputs": [helper.make_tensor_value_info("o", TensorProto.FLOAT, None)],
    }
    deep = helper.make_graph([helper.make_node("Neg", ["far"], ["o"])], "deep", **inner)
    nested = helper.make_node("If", ["choice"], ["o"], then_branch=deep, else_branch=deep)
    outer = helper.make_graph([helper.make_node("Exp", ["near"], ["p"]), nested], "outer", **inner)
    node = Node.of(helper.make_node("If", ["condition"], ["y"], then_branch=outer, else_branch=deep))
    assert set(node.inputs) == {"condition", "near", "choice", "far"}


@pytest.mark.parametrize(
    ("taps", "before", "reach"),
    [
        (4, 0, (0, 0)),  # value j depends on the four of its own frame
        (5, 1, (1, 0)),  # on one more, which is the last of the frame before
        (8, 4, (1, 0)),
        (9, 5, (2, 0)),
        (6, 0, (0, 1)),
    ],
)
def test_of_a_source_with_several_values_a_frame_all_of_a_frame_is_needed_for_one(
    taps: int, before: int, reach: tuple[int, int]
) -> None:
    model = _parsed(f"c = Conv<strides = [4], pads = [{before}, {taps - 4 - before}]>(h, w) y = Add(x, c)")
    model.graph.initializer.append(numpy_helper.from_array(np.zeros((4, 4, taps), np.float32), "w"))
    nodes = [Node.of(each) for each in model.graph.node]
    weights = {each.name: each for each in model.graph.initializer}
    trace = TimeTrace({"x": TimeAxis(1), "h": TimeAxis(4)}, Constants(weights, {}))
    for node in nodes:
        axis = trace.follow(node)
    assert axis == TimeAxis(1)
    assert trace.reach("y") == reach
