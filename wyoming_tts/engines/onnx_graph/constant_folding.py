"""Constant folding: what a graph computes from its weights alone, computed once, becomes a weight itself.

Most exporters do it, but not all and not always: weights that are normalized (weight norm), reciprocals, and
biases that quantization reshapes are computed anew in each run.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from wyoming_tts.engines.onnx_graph.graph import OnnxGraph
from wyoming_tts.engines.onnx_graph.nodes import RANDOM

_KNOWN: Final = ("Constant", "Identity")
"""Operators that `Constants` sees through."""


def fold_constants(graph: OnnxGraph, inputs: Iterable[str]) -> None:
    """Make weights of all tensors of a graph that are computed from its weights, and not from some inputs.

    Raises:
        Exception: of any kind that the onnx package raises for an operator that it cannot run.
    """
    from onnx import numpy_helper  # noqa: PLC0415  # heavy: only once there is a model to load
    from onnx.reference import ReferenceEvaluator  # noqa: PLC0415  # as above

    folded = _folded(graph, inputs)
    if not folded:
        return
    values = ReferenceEvaluator(graph.extract([], folded)).run(folded, {})
    kept = [node.proto for node in graph.nodes if not {*node.outputs} <= {*folded}]
    del graph.model.graph.node[:]
    graph.model.graph.node.extend(kept)
    graph.model.graph.initializer.extend(map(numpy_helper.from_array, values, folded))
    graph.read_nodes()


def _folded(graph: OnnxGraph, inputs: Iterable[str]) -> list[str]:
    """Names of the constants that something else is computed from."""
    random = [output for node in graph.nodes if node.kind in RANDOM for output in node.outputs]
    variable = graph.dependents([*inputs, *random])
    taken = {name for node in graph.nodes if not variable.isdisjoint(node.outputs) for name in node.inputs}
    computed = (node for node in graph.nodes if node.kind not in _KNOWN)
    return [name for node in computed for name in node.outputs if name in taken - variable]
