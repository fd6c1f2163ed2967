from __future__ import annotations

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx import numpy_helper

from wyoming_tts.engines.onnx_graph.constant_folding import fold_constants
from wyoming_tts.engines.onnx_graph.graph import OnnxGraph

_WEIGHTS = {"v": np.arange(6, dtype=np.float32).reshape(2, 3), "g": np.array([2.0], np.float32)}


def _folded(body: str) -> OnnxGraph:
    model = onnx.parser.parse_model(
        f'<ir_version: 8, opset_import: ["": 17]> test (float[n] x) => (float[m] y) {{ {body} }}'
    )
    model.graph.initializer.extend(numpy_helper.from_array(each, name) for name, each in _WEIGHTS.items())
    graph = OnnxGraph(model)
    fold_constants(graph, ["x"])
    return graph


def test_a_normalized_weight_is_computed_once() -> None:
    graph = _folded("n = ReduceL2<axes = [1]>(v) s = Div(g, n) w = Mul(v, s) y = Add(x, w)")
    assert [node.kind for node in graph.nodes if node.outputs[0] not in ("n", "s")] == ["Add"]
    expected = _WEIGHTS["v"] * 2 / np.linalg.norm(_WEIGHTS["v"], axis=1, keepdims=True)
    folded = graph.constants.floats("w")
    assert folded is not None
    np.testing.assert_allclose(folded, expected, rtol=1e-6)


def test_what_depends_on_an_input_stays() -> None:
    graph = _folded("a = Neg(g) b = Mul(a, x) y = Add(b, a)")
    assert [node.kind for node in graph.nodes] == ["Mul", "Add"]


@pytest.mark.parametrize("kind", ["RandomNormalLike", "RandomUniformLike"])
def test_what_is_drawn_anew_each_time_stays(kind: str) -> None:
    graph = _folded(f"r = {kind}(g) a = Exp(r) y = Add(x, a)")
    assert [node.kind for node in graph.nodes] == [kind, "Exp", "Add"]


def test_a_graph_without_such_constants_stays_as_it_is() -> None:
    graph = _folded("c = Constant<value = float {2.0}>() i = Identity(g) a = Add(x, c) y = Mul(a, i)")
    assert [node.kind for node in graph.nodes] == ["Constant", "Identity", "Add", "Mul"]
