from __future__ import annotations

import random
from typing import Any

import numpy as np
import onnx
import onnx.parser
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from wyoming_tts.engines.onnx_graph.graph import OnnxGraph
from wyoming_tts.engines.onnx_graph.nodes import CannotCut

_BODY = """
    a = Add(x, w)
    b = Mul(a, scale)
    c = Neg(x)
    d = Sub(b, c)
    y = Exp(d)
"""


def _model(body: str = _BODY) -> onnx.ModelProto:
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["": 17]> '
        f"test (float[n] x, float[1] scale) => (float[m] y) {{ {body} }}"
    )
    model.graph.initializer.append(numpy_helper.from_array(np.array([0.5], np.float32), "w"))
    return model


def _run(content: bytes, **feeds: Any) -> list[Any]:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return list(session.run(None, feeds))


X, SCALE = np.array([1.0, 2.0], np.float32), np.array([2.0], np.float32)


def test_what_is_computed_from_a_tensor_and_what_it_is_computed_from_is_known() -> None:
    graph = OnnxGraph(_model())
    assert graph.dependents(["c"]) == {"c", "d", "y"}
    assert [node.outputs[0] for node in graph.ancestors(["b"])] == ["a", "b"]
    assert [node.outputs[0] for node in graph.ancestors(["y"], stop={"b"})] == ["c", "d", "y"]


def test_parts_in_a_row_compute_what_the_whole_computes() -> None:
    graph = OnnxGraph(_model())
    before = graph.extract(["x", "scale"], ["b", "c"])
    b, c = _run(before, x=X, scale=SCALE)
    (y,) = _run(graph.extract(["b", "c"], ["y"]), b=b, c=c)
    np.testing.assert_array_equal(y, _run(_model().SerializeToString(), x=X, scale=SCALE)[0])


def test_a_part_has_only_the_weights_and_inputs_that_it_needs() -> None:
    part = onnx.load_from_string(OnnxGraph(_model()).extract(["b", "c"], ["y"]))
    assert not part.graph.initializer
    assert [each.name for each in part.graph.input] == ["b", "c"]


@given(st.randoms(use_true_random=False))
def test_nodes_in_no_order_are_put_in_order(chance: random.Random) -> None:
    model = _model()
    nodes = [*model.graph.node]
    chance.shuffle(nodes)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    graph = OnnxGraph(model)
    made = {"x", "scale", "w"}
    for node in graph.nodes:
        assert made.issuperset(node.inputs)
        made.update(node.outputs)
    assert len(graph.nodes) == len(nodes)
    assert len(graph.ancestors(["y"])) == len(nodes)


def test_nodes_in_order_keep_it() -> None:
    assert [node.outputs[0] for node in OnnxGraph(_model()).nodes] == ["a", "b", "c", "d", "y"]


def test_nodes_that_wait_for_each_other_are_refused() -> None:
    with pytest.raises(CannotCut, match="its nodes wait for each other"):
        OnnxGraph(_model("a = Add(x, d) d = Sub(a, scale) y = Exp(d)"))


def test_tensors_of_16_bits_are_declared_as_such() -> None:
    graph = OnnxGraph(_model("h = Cast<to = 10>(x) g = Neg(h) f = Cast<to = 1>(g) y = Add(f, scale)"))
    for name, kind in (("h", TensorProto.FLOAT16), ("g", TensorProto.FLOAT16), ("f", TensorProto.FLOAT)):
        part = onnx.load_from_string(graph.extract([name, "scale"], ["y"]))
        declared = {each.name: each.type.tensor_type.elem_type for each in part.graph.input}
        assert declared == {name: kind, "scale": TensorProto.FLOAT}
        onnxruntime.InferenceSession(part.SerializeToString(), providers=["CPUExecutionProvider"])


def test_a_result_of_another_type_than_floats_can_be_a_parts_output() -> None:
    graph = OnnxGraph(_model("s = Shape(x) f = Cast<to = 1>(s) y = Mul(f, scale)"))
    (shape,) = _run(graph.extract(["x"], ["s"]), x=X)
    assert (shape.dtype, shape.tolist()) == (np.int64, [2])


def test_a_model_with_weights_elsewhere_or_sparse_ones_is_refused() -> None:
    external, sparse = _model(), _model()
    external.graph.initializer[0].data_location = TensorProto.EXTERNAL
    values = numpy_helper.from_array(np.ones(1, np.float32), "v")
    places = numpy_helper.from_array(np.zeros(1, np.int64), "i")
    sparse.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [3]))
    for model, reason in ((external, "other files"), (sparse, "sparse weights")):
        with pytest.raises(CannotCut, match=reason):
            OnnxGraph(model)
