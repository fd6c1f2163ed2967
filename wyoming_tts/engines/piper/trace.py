"""Follows time through the operators of an ONNX graph: how far around it a value depends on others.

Each operator has a rule that says what it does to the time axis, which is always the last one. An
operator without a rule, or one that is used in a way its rule does not cover, ends the trace: what
is not known to be local in time is taken to depend on everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

# One value from one value of each input.
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
    """The graph is not one that can be cut; the message says why, to follow a colon."""


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """A node with all its inputs, also those that only the graphs within it name."""

    kind: str
    inputs: tuple[str, ...]
    """Empty names stand for inputs left out."""
    outputs: tuple[str, ...]
    proto: Any

    @classmethod
    def of(cls, proto: Any) -> Node:
        """The node of an onnx.NodeProto."""
        kind = proto.op_type if proto.domain in _ONNX_DOMAINS else f"{proto.domain}.{proto.op_type}"
        return cls(kind, (*proto.input, *_outer_names(proto)), tuple(filter(None, proto.output)), proto)

    def integers(self, name: str) -> list[int] | None:
        """An attribute that is a list, None if it is not set."""
        return next((list(each.ints) for each in self.proto.attribute if each.name == name), None)

    def integer(self, name: str) -> int:
        """An attribute that is a number, 0 if it is not set."""
        return next((int(each.i) for each in self.proto.attribute if each.name == name), 0)

    def text(self, name: str) -> str:
        """An attribute that is text, empty if it is not set."""
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
    """The tensors of a graph that are known without running it."""

    def __init__(self, weights: Mapping[str, Any], producers: Mapping[str, Node]) -> None:
        self._weights = weights
        self._producers = producers

    def weights(self, name: str) -> Any | None:
        """The onnx.TensorProto of that name; None if it is computed."""
        # Equal weights are stored once and given further names.
        while (node := self._producers.get(name)) and node.kind == "Identity":
            name = node.inputs[0]
        if name in self._weights:
            return self._weights[name]
        attributes = node.proto.attribute if node and node.kind == "Constant" else ()
        return next((each.t for each in attributes if each.name == "value"), None)

    def integers(self, name: str) -> Any | None:
        """The tensor of that name as an array of integers; None if it is computed."""
        from onnx import numpy_helper  # noqa: PLC0415  # heavy, and nobody needs it but for a moment

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
class _Span:
    """A tensor whose last axis is time, and which stretch of the source a value of it depends on."""

    rank: int
    rate: int
    """Values along time for a frame."""
    left: int
    """How far back the frames it depends on begin, counted in its own values."""
    right: int
    is_shape: bool = False
    """Whether this is not such a tensor but the shape of one."""


class TimeTrace:
    """The time of all that follows from one tensor, shape (batch, channels, frames)."""

    def __init__(self, source: str, constants: Constants) -> None:
        self._spans = {source: _Span(_RANK, 1, 0, 0)}
        self._constants = constants

    def follow(self, node: Node) -> int:
        """Go on through a node that has a followed tensor among its inputs.

        Returns:
            Values for a frame in what the node makes.

        Raises:
            CannotCut: it is not known to be local in time.
        """
        rule = _RULES.get(node.kind)
        if node.kind not in POINTWISE and rule is None:
            raise CannotCut(f"{node.kind} is not known to be local in time")
        span = self._joined(node)
        if rule is not None:
            if node.inputs[0] not in self._spans:
                raise CannotCut(f"a {node.kind} goes by something computed")
            span = rule(node, span, self._constants)
        self._spans.update(dict.fromkeys(node.outputs, span))
        return span.rate

    def reach(self, name: str) -> tuple[int, int]:
        """Frames before and after a frame on which the values for that frame depend."""
        span = self._spans[name]
        # The first value for a frame looks furthest back, the last one furthest ahead.
        return max(0, -(-span.left // span.rate)), max(0, -(-span.right // span.rate))

    def _joined(self, node: Node) -> _Span:
        """The time of all its inputs, which must go at one pace."""
        spans = [self._spans[name] for name in node.inputs if name in self._spans]
        if len({(span.rate, span.is_shape) for span in spans}) != 1:
            raise CannotCut(f"tensors of two paces meet in a {node.kind}")
        if spans[0].is_shape and node.kind != "ConstantOfShape":
            raise CannotCut(f"{node.kind} calculates with a length")
        return _Span(
            rank=max(span.rank for span in spans),
            rate=spans[0].rate,
            left=max(span.left for span in spans),
            right=max(span.right for span in spans),
            is_shape=spans[0].is_shape,
        )


def _convolution(node: Node, span: _Span, constants: Constants) -> _Span:
    taps, before, after = _kernel(node, span, constants)
    if _single(node, "strides", 1) != 1 or before + after != taps - 1:
        raise CannotCut("a Conv changes the pace")
    return replace(span, left=span.left + before, right=span.right + after)


def _upsampling(node: Node, span: _Span, constants: Constants) -> _Span:
    taps, before, after = _kernel(node, span, constants)
    stride = _single(node, "strides", 1)
    if taps + _single(node, "output_padding", 0) - before - after != stride:
        raise CannotCut("a ConvTranspose adds or drops samples at its ends")
    # Value j is a sum over the values i for which stride * i = j + before - tap, 0 <= tap < taps.
    left = span.left * stride + taps - 1 - before
    return replace(span, rate=span.rate * stride, left=left, right=span.right * stride + before)


def _kernel(node: Node, span: _Span, constants: Constants) -> tuple[int, int, int]:
    """Taps from first to last, dilation counted, and the padding at both ends."""
    weights = constants.weights(node.inputs[1])
    if weights is None or weights.data_type != _FLOAT:
        raise CannotCut(f"the weights of a {node.kind} are no plain 32-bit floats")
    if span.rank != _RANK or len(weights.dims) != _RANK:
        raise CannotCut(f"a {node.kind} has more than one dimension")
    if node.text("auto_pad") not in ("", "NOTSET") or node.integers("output_shape"):
        raise CannotCut(f"a {node.kind} chooses its own padding")
    before, after = node.integers("pads") or (0, 0)
    return _single(node, "dilations", 1) * (weights.dims[2] - 1) + 1, before, after


def _cast(node: Node, span: _Span, _: Constants) -> _Span:
    if node.integer("to") != _FLOAT:
        raise CannotCut("it computes in other numbers than 32-bit floats")
    return span


def _shape(node: Node, span: _Span, _: Constants) -> _Span:
    if node.integer("start") or node.integer("end"):
        raise CannotCut("Shape calculates with a length")
    return replace(span, left=0, right=0, is_shape=True)


def _constant(_node: Node, span: _Span, _constants: Constants) -> _Span:
    if not span.is_shape:
        raise CannotCut("ConstantOfShape takes a computed shape")
    return replace(span, is_shape=False)


def _on_another_axis(node: Node, span: _Span, _: Constants) -> _Span:
    _not_along_time(node, [node.integer("axis")], span.rank)
    return span


def _gather(node: Node, span: _Span, constants: Constants) -> _Span:
    _not_along_time(node, [node.integer("axis")], span.rank)
    places = constants.integers(node.inputs[1])
    if places is None:
        raise CannotCut("Gather looks up computed places")
    return replace(span, rank=span.rank - 1 + places.ndim)


def _unsqueeze(node: Node, span: _Span, constants: Constants) -> _Span:
    axes = _given(node, constants, 1, "axes")
    _not_along_time(node, axes, span.rank + len(axes))
    return replace(span, rank=span.rank + len(axes))


def _squeeze(node: Node, span: _Span, constants: Constants) -> _Span:
    axes = _given(node, constants, 1, "axes")
    _not_along_time(node, axes, span.rank)
    return replace(span, rank=span.rank - len(axes))


def _slice(node: Node, span: _Span, constants: Constants) -> _Span:
    starts = _given(node, constants, 1, "starts")
    ends = _given(node, constants, 2, "ends")
    axes = _given(node, constants, 3, "axes", default=range(len(starts)))
    steps = _given(node, constants, 4, "steps", default=[1] * len(starts))
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        if (start, step) != (0, 1) or end < _ENDLESS:
            _not_along_time(node, [axis], span.rank)
    return span


def _not_along_time(node: Node, axes: Sequence[int], rank: int) -> None:
    if any(axis % rank == rank - 1 for axis in axes):
        raise CannotCut(f"a {node.kind} works along time")


def _given(
    node: Node, constants: Constants, position: int, attribute: str, default: Sequence[int] | None = None
) -> Sequence[int]:
    """Numbers given as an input, or in older graphs as an attribute."""
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


def _single(node: Node, name: str, default: int) -> int:
    values = node.integers(name)
    return values[0] if values else default


_RULES: dict[str, Callable[[Node, _Span, Constants], _Span]] = {
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
