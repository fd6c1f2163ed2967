"""Receptive fields in an ONNX graph: how far before and after itself a value depends on others in time.

Each operator has a rule that states what it does to the time axis, which is always the last one. An
operator without a rule, or used in a way that its rule does not cover, ends the trace: what is not known
to be local in time is assumed to depend on everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

# Each value depends on one value of each input.
POINTWISE = frozenset(
    (
        *("Abs", "Add", "Ceil", "Clip", "Cos", "Div", "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid"),
        *("Identity", "LeakyRelu", "Log", "Max", "Min", "Mish", "Mul", "Neg", "PRelu", "Pow", "Reciprocal"),
        *("Relu", "Round", "Selu", "Sigmoid", "Sign", "Sin", "Softplus", "Softsign", "Sqrt", "Sub", "Sum"),
        "Tanh",
    )
)
_ONNX_DOMAINS = ("", "ai.onnx")
# "To the end" in a Slice: exporters write the largest int32 or int64.
_ENDLESS = 2**31 - 1
_FLOAT = 1
_RANK = 3
"""Batch, channels, time: what one-dimensional convolutions take."""


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

    def text(self, name: str) -> str:
        """A text attribute; empty if it is not set."""
        return next((each.s.decode() for each in self.proto.attribute if each.name == name), "")


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


@dataclass(frozen=True, slots=True)
class _ReceptiveField:
    """Receptive field of a tensor whose last axis is time: what of the source a value depends on."""

    rank: int
    rate: int
    """Values along time for a frame of the source."""
    left: int
    """How far before itself it depends on others, counted in its own values."""
    right: int
    """How far after itself, likewise."""
    is_shape: bool = False
    """Whether this is the shape of such a tensor instead."""


class TimeTrace:
    """Receptive fields of all tensors computed from one, the source, of shape (batch, channels, frames)."""

    def __init__(self, source: str, constants: Constants) -> None:
        self._fields = {source: _ReceptiveField(_RANK, 1, 0, 0)}
        self._constants = constants

    def follow(self, node: Node) -> int:
        """Trace through a node that has a traced tensor among its inputs.

        Returns:
            Values for a frame in the node's output.

        Raises:
            CannotCut: it is not known to be local in time.
        """
        rule = _RULES.get(node.kind)
        if node.kind not in POINTWISE and rule is None:
            raise CannotCut(f"{node.kind} is not known to be local in time")
        field = self._merge(node)
        if rule is not None:
            if node.inputs[0] not in self._fields:
                raise CannotCut(f"a {node.kind} takes a parameter that is computed")
            field = rule(node, field, self._constants)
        self._fields.update(dict.fromkeys(node.outputs, field))
        return field.rate

    def reach(self, name: str) -> tuple[int, int]:
        """Frames before and after a frame on which the tensor's values for that frame depend."""
        field = self._fields[name]
        # The first value for a frame looks furthest back, the last one furthest ahead.
        return max(0, -(-field.left // field.rate)), max(0, -(-field.right // field.rate))

    def _merge(self, node: Node) -> _ReceptiveField:
        """The union of its inputs' receptive fields; all must have the same rate."""
        fields = [self._fields[name] for name in node.inputs if name in self._fields]
        if len({(field.rate, field.is_shape) for field in fields}) != 1:
            raise CannotCut(f"tensors of two rates meet in a {node.kind}")
        if fields[0].is_shape and node.kind != "ConstantOfShape":
            raise CannotCut(f"{node.kind} calculates with a length")
        return _ReceptiveField(
            rank=max(field.rank for field in fields),
            rate=fields[0].rate,
            left=max(field.left for field in fields),
            right=max(field.right for field in fields),
            is_shape=fields[0].is_shape,
        )


def _convolution(node: Node, field: _ReceptiveField, constants: Constants) -> _ReceptiveField:
    taps, before, after = _kernel(node, field, constants)
    if _first_integer(node, "strides", 1) != 1 or before + after != taps - 1:
        raise CannotCut("a Conv changes the rate")
    return replace(field, left=field.left + before, right=field.right + after)


def _upsampling(node: Node, field: _ReceptiveField, constants: Constants) -> _ReceptiveField:
    taps, before, after = _kernel(node, field, constants)
    stride = _first_integer(node, "strides", 1)
    if taps + _first_integer(node, "output_padding", 0) - before - after != stride:
        raise CannotCut("a ConvTranspose adds or drops samples at its ends")
    # Value j is a sum over the values i for which stride * i = j + before - tap, 0 <= tap < taps.
    left = field.left * stride + taps - 1 - before
    return replace(field, rate=field.rate * stride, left=left, right=field.right * stride + before)


def _kernel(node: Node, field: _ReceptiveField, constants: Constants) -> tuple[int, int, int]:
    """Span of the taps, with dilation, and the padding before and after."""
    weights = constants.weights(node.inputs[1])
    if weights is None or weights.data_type != _FLOAT:
        raise CannotCut(f"the weights of a {node.kind} are not plain 32-bit floats")
    if field.rank != _RANK or len(weights.dims) != _RANK:
        raise CannotCut(f"a {node.kind} has more than one dimension")
    if node.text("auto_pad") not in ("", "NOTSET") or node.integers("output_shape"):
        raise CannotCut(f"a {node.kind} chooses its own padding")
    before, after = node.integers("pads") or (0, 0)
    return _first_integer(node, "dilations", 1) * (weights.dims[2] - 1) + 1, before, after


def _cast(node: Node, field: _ReceptiveField, _: Constants) -> _ReceptiveField:
    if node.integer("to") != _FLOAT:
        raise CannotCut("it computes with other numbers than 32-bit floats")
    return field


def _shape(node: Node, field: _ReceptiveField, _: Constants) -> _ReceptiveField:
    if node.integer("start") or node.integer("end"):
        raise CannotCut("Shape calculates with a length")
    return replace(field, left=0, right=0, is_shape=True)


def _constant(_node: Node, field: _ReceptiveField, _constants: Constants) -> _ReceptiveField:
    if not field.is_shape:
        raise CannotCut("ConstantOfShape takes a computed shape")
    return replace(field, is_shape=False)


def _on_another_axis(node: Node, field: _ReceptiveField, _: Constants) -> _ReceptiveField:
    _not_along_time(node, [node.integer("axis")], field.rank)
    return field


def _gather(node: Node, field: _ReceptiveField, constants: Constants) -> _ReceptiveField:
    _not_along_time(node, [node.integer("axis")], field.rank)
    places = constants.integers(node.inputs[1])
    if places is None:
        raise CannotCut("a Gather has computed indices")
    return replace(field, rank=field.rank - 1 + places.ndim)


def _unsqueeze(node: Node, field: _ReceptiveField, constants: Constants) -> _ReceptiveField:
    axes = _numbers(node, constants, 1, "axes")
    _not_along_time(node, axes, field.rank + len(axes))
    return replace(field, rank=field.rank + len(axes))


def _squeeze(node: Node, field: _ReceptiveField, constants: Constants) -> _ReceptiveField:
    axes = _numbers(node, constants, 1, "axes")
    _not_along_time(node, axes, field.rank)
    return replace(field, rank=field.rank - len(axes))


def _slice(node: Node, field: _ReceptiveField, constants: Constants) -> _ReceptiveField:
    starts = _numbers(node, constants, 1, "starts")
    ends = _numbers(node, constants, 2, "ends")
    axes = _numbers(node, constants, 3, "axes", default=range(len(starts)))
    steps = _numbers(node, constants, 4, "steps", default=[1] * len(starts))
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        if (start, step) != (0, 1) or end < _ENDLESS:
            _not_along_time(node, [axis], field.rank)
    return field


def _not_along_time(node: Node, axes: Sequence[int], rank: int) -> None:
    if any(axis % rank == rank - 1 for axis in axes):
        raise CannotCut(f"a {node.kind} works along time")


def _numbers(
    node: Node, constants: Constants, position: int, attribute: str, default: Sequence[int] | None = None
) -> Sequence[int]:
    """Numbers that are an input or, in older graphs, an attribute."""
    if (values := node.integers(attribute)) is not None:
        return values
    if len(node.inputs) <= position or not node.inputs[position]:
        if default is None:
            raise CannotCut(f"a {node.kind} has no {attribute}")
        return default
    numbers = constants.integers(node.inputs[position])
    if numbers is None:
        raise CannotCut(f"a {node.kind} takes computed {attribute}")
    return [int(number) for number in numbers.ravel()]


def _first_integer(node: Node, name: str, default: int) -> int:
    values = node.integers(name)
    return values[0] if values else default


_RULES: dict[str, Callable[[Node, _ReceptiveField, Constants], _ReceptiveField]] = {
    "Cast": _cast,
    "Concat": _on_another_axis,
    "ConstantOfShape": _constant,
    "Conv": _convolution,
    "ConvTranspose": _upsampling,
    "Gather": _gather,
    "Shape": _shape,
    "Slice": _slice,
    "Split": _on_another_axis,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
}
