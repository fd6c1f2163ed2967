"""Models with the inputs of a Piper voice that are no voices: they take memory or time, or say nothing."""

from __future__ import annotations

import onnx
import onnx.parser
from onnx import TensorProto, helper

_HEAD = """<ir_version: 8, opset_import: ["": 17]>
voice (int64[b, n] input, int64[b] input_lengths, float[3] scales) => (float[n_samples] y)
"""


def _model(body: str) -> onnx.ModelProto:
    return onnx.parser.parse_model(f"{_HEAD} {{ {body} }}")


def _serialized(model: onnx.ModelProto) -> bytes:
    return bytes(model.SerializeToString())


def folded_memory(values: int) -> bytes:
    """A few bytes that become so many floats while the model is loaded."""
    body = f"n = Constant<value = int64[1] {{{values}}}> () a = ConstantOfShape(n) y = Add(a, a)"
    return _serialized(_model(body))


def run_memory(values_per_id: int) -> bytes:
    """So many floats for each phoneme id that it speaks."""
    body = (
        f"m = Constant<value = int64[1] {{{values_per_id}}}> () n = Mul(input_lengths, m)"
        " a = ConstantOfShape(n) s = ReduceSum(scales) y = Add(a, s)"
    )
    return _serialized(_model(body))


def silence() -> bytes:
    """Samples that are all zero."""
    return _serialized(_model("y = Sub(scales, scales)"))


def external_weights(location: str, *, inside: bool = False) -> bytes:
    """Weights that lie in another file; `inside` a node's attribute instead of the graph's weights."""
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    weight.external_data.add(key="location", value=location)
    model = _model("y = Add(w, scales)")
    if inside:
        model.graph.node.insert(0, helper.make_node("Constant", [], ["w"], value=weight))
    else:
        model.graph.initializer.append(weight)
    return _serialized(model)


def declared_size(values: int) -> bytes:
    """Weights that declare so many values and have four."""
    model = _model("y = Add(w, scales)")
    model.graph.initializer.append(
        TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[values], raw_data=bytes(16))
    )
    return _serialized(model)
