"""Signed weights: quantized convolutions and products as products with signed weights, where that is faster.

Processors multiply unsigned bytes with signed ones (VNNI, AMX, i8mm), and onnxruntime uses that for a
MatMulInteger whose weights are signed. A ConvInteger, and unsigned weights, take three to four times as long.
With all values of a window side by side a convolution is a product; a weight and its zero point may both be
less by 128. What comes out are the same integers.

Older processors add two products in 16 bits, which is too few: see `engines.onnx.has_exact_products`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any, Final

import numpy as np

from wyoming_tts.engines.onnx_graph.graph import OnnxGraph
from wyoming_tts.engines.onnx_graph.nodes import Node

_UNSIGNED, _CUBE = 2, 3
_ENDLESS: Final = 2**31 - 1
_HALF_RANGE: Final = 128


class SignedWeights:
    """Rewrites the quantized operators of one graph."""

    def __init__(self, graph: OnnxGraph) -> None:
        from onnx import helper, numpy_helper  # noqa: PLC0415  # heavy: only once there is a model to load

        self._make = helper.make_node
        self._to_array, self._from_array = numpy_helper.to_array, numpy_helper.from_array
        self._graph = graph
        self._weights: dict[str, Any] = {}

    def extract(self, inputs: Collection[str], outputs: Collection[str]) -> bytes:
        """What `OnnxGraph.extract` makes, rewritten."""
        graph, written, needed = self._graph, list[Any](), set[str]()
        self._weights = {}
        for node in graph.ancestors(outputs, stop=inputs):
            protos = [*self._rewritten(node)]
            needed.update(
                node.inputs if protos == [node.proto] else (n for each in protos for n in each.input)
            )
            written += protos
        weights = [each for name, each in {**graph.weights, **self._weights}.items() if name in needed]
        return graph.assemble(written, weights, graph.opsets(), inputs, outputs)

    def _rewritten(self, node: Node) -> Iterable[Any]:
        if node.kind not in ("ConvInteger", "MatMulInteger") or len(node.inputs) != 4:  # noqa: PLR2004
            return [node.proto]
        weight, zero = (self._graph.constants.weights(name) for name in (node.inputs[1], node.inputs[3]))
        if weight is None or zero is None or weight.data_type != _UNSIGNED or zero.data_type != _UNSIGNED:
            return [node.proto]
        weights, zeros = (self._to_array(each) for each in (weight, zero))
        if node.kind == "MatMulInteger":
            names = [self._signed(node, name, values) for name, values in (("w", weights), ("z", zeros))]
            data, _, zero_point, _ = node.inputs
            return [self._make(node.kind, [data, names[0], zero_point, names[1]], [node.outputs[0]])]
        return self._as_product(node, weights, zeros) if _is_plain(node, weights, zeros) else [node.proto]

    def _signed(self, node: Node, name: str, values: Any) -> str:
        signed = (values.astype(np.int16) - _HALF_RANGE).astype(np.int8)
        return self._constant(node, f"signed_{name}", np.ascontiguousarray(signed))

    def _constant(self, node: Node, name: str, values: Any) -> str:
        name = f"{node.outputs[0]}_{name}"
        self._weights[name] = self._from_array(values, name)
        return name

    def _as_product(self, node: Node, weights: Any, zeros: Any) -> Iterator[Any]:
        data, _, zero_point, _ = node.inputs
        result, taps = node.outputs[0], weights.shape[2]
        matrix = weights.transpose(2, 1, 0).reshape(-1, weights.shape[0])
        names = [self._signed(node, "w", matrix), self._signed(node, "z", zeros.reshape(()))]
        windows = f"{result}_rows"
        yield self._make("Transpose", [data], [windows], perm=[0, 2, 1])
        if taps > 1:
            yield from self._side_by_side(node, windows, zero_point, taps)
            windows = f"{result}_windows"
        yield self._make("MatMulInteger", [windows, names[0], zero_point, names[1]], [f"{result}_product"])
        yield self._make("Transpose", [f"{result}_product"], [result], perm=[0, 2, 1])

    def _side_by_side(self, node: Node, rows: str, zero_point: str, taps: int) -> Iterator[Any]:
        """For each value along time those that a convolution takes, zeros before the first included."""
        result, (before, after) = node.outputs[0], node.integers("pads") or (0, 0)
        pads = self._constant(node, "pads", np.array([0, before, 0, 0, after, 0]))
        axes = self._constant(node, "axes", np.array([1]))
        yield self._make("Pad", [rows, pads, zero_point], [f"{result}_padded"])
        shifted = [f"{result}_tap_{tap}" for tap in range(taps)]
        for tap, name in enumerate(shifted):
            last = tap - taps + 1
            start = self._constant(node, f"start_{tap}", np.array([tap]))
            end = self._constant(node, f"end_{tap}", np.array([last or _ENDLESS]))
            yield self._make("Slice", [f"{result}_padded", start, end, axes], [name])
        yield self._make("Concat", shifted, [f"{result}_windows"], axis=2)


def _is_plain(node: Node, weights: Any, zeros: Any) -> bool:
    """Whether it convolves all channels along time, value by value, with one zero point."""
    steps = [*(node.integers("strides") or [1]), *(node.integers("dilations") or [1])]
    is_plain = weights.ndim == _CUBE and zeros.size == 1 and all(step == 1 for step in steps)
    return is_plain and node.integer("group") <= 1 and node.text("auto_pad") in ("", "NOTSET")
