"""Nodes and constants of an ONNX graph."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

FLOAT, HALF = 1, 10
"""ONNX's numbers of floats of 32 and 16 bits."""
RANDOM = frozenset(
    ("Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike")
)
"""Operators that compute something else each time."""

_ONNX_DOMAINS = ("", "ai.onnx")


class CannotCut(Exception):
    """The graph cannot be cut; the message says why, and follows a colon."""


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """A node with all its inputs, including those that only its subgraphs name."""

    kind: str
    inputs: tuple[str, ...]
    """Empty names stand for omitted inputs."""
    outputs: tuple[str, ...]
    proto: Any

    @classmethod
    def of(cls, proto: Any) -> Node:
        """Wrap an onnx.NodeProto."""
        kind = proto.op_type if proto.domain in _ONNX_DOMAINS else f"{proto.domain}.{proto.op_type}"
        return cls(kind, (*proto.input, *_outer_names(proto)), tuple(filter(None, proto.output)), proto)

    @property
    def has_body(self) -> bool:
        """Whether it runs other nodes: a loop, a branch, a function."""
        return self.proto.domain not in _ONNX_DOMAINS or any(
            each.HasField("g") or each.graphs for each in self.proto.attribute
        )

    def integers(self, name: str) -> list[int] | None:
        """A list attribute; None if it is not set."""
        return next((list(each.ints) for each in self.proto.attribute if each.name == name), None)

    def integer(self, name: str) -> int:
        """A number attribute; 0 if it is not set."""
        return next((int(each.i) for each in self.proto.attribute if each.name == name), 0)

    def number(self, name: str, default: float) -> float:
        """A floating attribute."""
        return next((float(each.f) for each in self.proto.attribute if each.name == name), default)

    def text(self, name: str) -> str:
        """A text attribute; empty if it is not set."""
        return next((each.s.decode() for each in self.proto.attribute if each.name == name), "")


def makes_half(attribute: Any) -> bool:
    """Whether a node with this attribute makes floats of 16 bits, by a Cast or as a Constant."""
    if attribute.name == "to":
        return bool(attribute.i == HALF)
    return attribute.name == "value" and bool(attribute.t.data_type == HALF)


def _outer_names(proto: Any) -> Iterator[str]:
    for attribute in proto.attribute:
        for graph in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
            own = {output for node in graph.node for output in node.output}
            own.update(each.name for each in (*graph.input, *graph.initializer))
            used = {name for node in graph.node for name in (*node.input, *_outer_names(node))}
            used.update(each.name for each in graph.output)
            yield from sorted(used - own - {""})


class Constants:
    """Constant tensors of a graph, which are known without running it."""

    def __init__(self, weights: Mapping[str, Any], producers: Mapping[str, Node]) -> None:
        self._weights = weights
        self._producers = producers

    def weights(self, name: str) -> Any | None:
        """The onnx.TensorProto of that name; None if it is computed."""
        # Equal weights are stored once, and get further names through Identity.
        while (node := self._producers.get(name)) and node.kind == "Identity":
            name = node.inputs[0]
        if name in self._weights:
            return self._weights[name]
        attributes = node.proto.attribute if node and node.kind == "Constant" else ()
        return next((each.t for each in attributes if each.name == "value"), None)

    def floats(self, name: str) -> npt.NDArray[np.float32] | None:
        """The tensor of that name as an array of floats; None if it is computed."""
        from onnx import numpy_helper  # noqa: PLC0415  # heavy, and only needed while a voice is loaded

        if (tensor := self.weights(name)) is None:
            return None
        values: npt.NDArray[np.float32] = numpy_helper.to_array(tensor).astype(np.float32)
        return values

    def integers(self, name: str) -> Any | None:
        """The tensor of that name as an array of integers; None if it is computed."""
        from onnx import numpy_helper  # noqa: PLC0415  # heavy, and only needed while a voice is loaded

        if (tensor := self.weights(name)) is not None:
            return numpy_helper.to_array(tensor).astype(np.int64)
        node = self._producers.get(name)
        if node is None or node.kind != "Constant":
            return None
        attribute = node.proto.attribute[0]
        return {"value_ints": np.array(attribute.ints), "value_int": np.array(attribute.i)}.get(
            attribute.name
        )
