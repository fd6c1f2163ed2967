"""A voice that takes long to compute: a test voice's model, with work whose result does not matter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

_SIZE = 768
_PRODUCTS = 12
"""Matrix products at each run: about a tenth of a second on a core."""


def make_costly(model: Path, to: Path) -> None:
    """Write a model that gives the same audio and takes longer."""
    graph = (made := onnx.load(model)).graph
    (audio,) = graph.output
    inner = f"{audio.name}_before"
    for node in graph.node:
        node.output[:] = [inner if name == audio.name else name for name in node.output]
        node.input[:] = [inner if name == audio.name else name for name in node.input]
    matrix = np.full((_SIZE, _SIZE), 1 / _SIZE, np.float32)
    graph.initializer.append(numpy_helper.from_array(matrix, "costly_matrix"))
    graph.initializer.append(numpy_helper.from_array(np.zeros((), np.float32), "costly_zero"))
    nodes = [
        helper.make_node("ReduceMean", [inner], ["costly_mean"], keepdims=0),
        helper.make_node("Mul", ["costly_mean", "costly_matrix"], ["costly_0"]),
        *(
            helper.make_node("MatMul", [f"costly_{number}", "costly_matrix"], [f"costly_{number + 1}"])
            for number in range(_PRODUCTS)
        ),
        helper.make_node("ReduceMean", [f"costly_{_PRODUCTS}"], ["costly_sum"], keepdims=0),
        helper.make_node("Mul", ["costly_sum", "costly_zero"], ["costly_nothing"]),
        helper.make_node("Add", [inner, "costly_nothing"], [audio.name]),
    ]
    graph.node.extend(nodes)
    onnx.save(made, to)
