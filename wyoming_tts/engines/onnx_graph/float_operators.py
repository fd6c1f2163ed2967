"""Dequantization: operators of a dynamically quantized graph as those on floats that they stand for.

onnxruntime's dynamic quantization makes several nodes of one: the input is quantized by its own range, a
ConvInteger or MatMulInteger follows, the bias in the same unit, and a Mul by both scales makes floats again.
What comes out here has the same weights and no rounding of the values in between. Weights of 16 bits become
32, which is what processors compute with.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from wyoming_tts.engines.onnx_graph.graph import OnnxGraph
from wyoming_tts.engines.onnx_graph.nodes import FLOAT, HALF, CannotCut, Node, makes_half

_INTEGER_KINDS: Final = {"ConvInteger": "Conv", "MatMulInteger": "MatMul"}

Values = npt.NDArray[np.float32]


class FloatOperators:
    """Rewrites nodes of one graph."""

    def __init__(self, graph: OnnxGraph) -> None:
        from onnx import helper, numpy_helper  # noqa: PLC0415  # heavy: only once there is a model to load

        self._make_node = helper.make_node
        self._to_array, self._from_array = numpy_helper.to_array, numpy_helper.from_array
        self._graph = graph

    def convert(self, nodes: Iterable[Node]) -> tuple[list[Any], dict[str, Any]]:
        """Convert nodes that belong together; those that only quantize are left over, for nobody.

        Returns:
            onnx.NodeProto in an order in which they can run, and the weights of all of them by name.

        Raises:
            CannotCut: a quantized operator is none that dynamic quantization makes.
        """
        nodes = [*nodes]
        weights: dict[str, Any] = {}
        replaced = {}
        for node in nodes:
            if node.kind in _INTEGER_KINDS:
                converted, result = self._convert(node, weights)
                replaced[result] = converted
        made = [replaced.get(node.outputs[0], node.proto) for node in nodes]
        needed = {name for proto in made for name in proto.input}
        for name in needed & self._graph.weights.keys():
            weights[name] = self._in_floats(self._graph.weights[name])
        return [self._without_half(proto) for proto in made], weights

    def _convert(self, node: Node, weights: dict[str, Any]) -> tuple[Any, str]:
        """The operator on floats, and the name of what it makes."""
        quantize = self._graph.producers.get(node.inputs[0])
        if quantize is None or quantize.kind != "DynamicQuantizeLinear":
            raise CannotCut(f"the input of a {node.kind} is quantized in another way than dynamically")
        user, bias = self._only_user(node.outputs[0]), None
        if user.kind == "Add":
            bias = self._bias(next(name for name in user.inputs if name != node.outputs[0]))
            user = self._only_user(user.outputs[0])
        scaled = self._only_user(user.outputs[0])
        if user.kind != "Cast" or scaled.kind != "Mul":
            raise CannotCut(f"what follows a {node.kind} does not make floats of it")
        scales = next(name for name in scaled.inputs if name != user.outputs[0])
        weight = self._dequantized(node, self._weight_scale(scales, quantize.outputs[1]))
        result = scaled.outputs[0]
        names = [f"{result}_weight"] + ([f"{result}_bias"] if bias is not None else [])
        for name, values in zip(names, (weight, bias), strict=False):
            weights[name] = self._from_array(np.ascontiguousarray(values), name)
        converted = self._make_node(
            _INTEGER_KINDS[node.kind], [quantize.inputs[0], *names], [result], name=result
        )
        converted.attribute.extend(node.proto.attribute)
        return converted, result

    def _only_user(self, name: str) -> Node:
        users = self._graph.users.get(name, [])
        if len(users) != 1:
            raise CannotCut(f"a quantized value has {len(users)} users")
        return users[0]

    def _weight_scale(self, scales: str, input_scale: str) -> Values:
        product = self._graph.producers.get(scales)
        if product is None or product.kind != "Mul" or input_scale not in product.inputs:
            raise CannotCut("a quantized operator is not scaled by its input's scale")
        return self._array(next(name for name in product.inputs if name != input_scale))

    def _dequantized(self, node: Node, scale: Values) -> Values:
        weight = self._array(node.inputs[1])
        has_zero = len(node.inputs) > 3 and node.inputs[3]  # noqa: PLR2004  # the fourth input
        zero = self._array(node.inputs[3]) if has_zero else np.zeros((), np.float32)
        if node.kind == "ConvInteger":
            scale, zero = (_by_output(each, weight.ndim) for each in (scale, zero))
        return np.asarray((weight - zero) * scale, dtype=np.float32)

    def _bias(self, name: str) -> Values:
        """The bias as it was before it was divided by the scales."""
        while (node := self._graph.producers.get(name)) and node.kind != "Div":
            name = node.inputs[0]
        if node is None:
            raise CannotCut("the bias of a quantized operator is none")
        return self._array(node.inputs[0])

    def _array(self, name: str) -> Values:
        tensor = self._graph.constants.weights(name)
        if tensor is None:
            raise CannotCut("the weights of a quantized operator are computed")
        values: Values = self._to_array(tensor).astype(np.float32)
        return values

    def _in_floats(self, tensor: Any) -> Any:
        if tensor.data_type != HALF:
            return tensor
        return self._from_array(self._to_array(tensor).astype(np.float32), tensor.name)

    def _without_half(self, proto: Any) -> Any:
        """A node that makes floats of 32 bits where it made some of 16."""
        if proto.op_type not in ("Cast", "Constant") or not any(map(makes_half, proto.attribute)):
            return proto
        converted = type(proto)()
        converted.CopyFrom(proto)
        for attribute in converted.attribute:
            if attribute.name == "to":
                attribute.i = FLOAT
            elif attribute.name == "value":
                attribute.t.CopyFrom(self._in_floats(attribute.t))
        return converted


def _by_output(values: Values, rank: int) -> Values:
    """One value for each output channel, the first axis of weights; or one for all."""
    return values.reshape((-1, *[1] * (rank - 1))) if values.size > 1 else values
