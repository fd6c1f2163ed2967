"""Receptive fields in an ONNX graph: how far before and after itself a value depends on others in time.

Each operator has a rule that states what it does to the time axis, which is always the last one. An
operator without a rule, or used in a way that its rule does not cover, ends the trace: what is not known
to be local in time is assumed to depend on everything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil, floor

from wyoming_tts.engines.onnx_graph.nodes import FLOAT, CannotCut, Constants, Node

# Each value depends on one value of each input.
POINTWISE = frozenset(
    (
        *("Abs", "Add", "Ceil", "Clip", "Cos", "Div", "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid"),
        *("Identity", "LeakyRelu", "Log", "Max", "Min", "Mish", "Mul", "Neg", "PRelu", "Pow", "Reciprocal"),
        *("Relu", "Round", "Selu", "Sigmoid", "Sign", "Sin", "Softplus", "Softsign", "Sqrt", "Sub", "Sum"),
        "Tanh",
    )
)
# "To the end" in a Slice: exporters write the largest int32 or int64.
_ENDLESS = 2**31 - 1
_RANK = 3
"""Batch, channels, time: what one-dimensional convolutions take."""


@dataclass(frozen=True, slots=True)
class TimeAxis:
    """Length of a tensor along time: `rate * frames + extra`."""

    rate: int
    """Values for a frame."""
    extra: int = 0
    """Values beyond those of the frames."""

    def length(self, frames: int) -> int:
        """Values along time for so many frames."""
        return self.rate * frames + self.extra


@dataclass(frozen=True, slots=True)
class _ReceptiveField:
    """Receptive field of a tensor whose last axis is time: what of the sources a value depends on.

    Value number j depends on the frames from `j / rate + first` to `j / rate + last`.
    """

    rank: int
    axis: TimeAxis
    first: Fraction
    last: Fraction
    is_shape: bool = False
    """Whether this is the shape of such a tensor instead."""


class TimeTrace:
    """Receptive fields of all tensors computed from some, the sources, of shape (batch, channels, length)."""

    def __init__(self, sources: Mapping[str, TimeAxis], constants: Constants) -> None:
        """Begin at the sources.

        Args:
            sources: the time axis of each by its name.
            constants: of the graph.
        """
        nothing = Fraction(0)
        self._fields = {
            name: _ReceptiveField(_RANK, axis, nothing, nothing) for name, axis in sources.items()
        }
        self._constants = constants
        self._finest = max(axis.rate for axis in sources.values())

    def follow(self, node: Node) -> TimeAxis:
        """Trace through a node that has a traced tensor among its inputs.

        Returns:
            The time axis of the node's output.

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
        return field.axis

    def pass_on(self, source: str, result: str) -> None:
        """Take it as known that a value of the result depends on the same value of the source alone."""
        self._fields[result] = self._fields[source]

    def reach(self, name: str) -> tuple[int, int]:
        """Frames before and after a frame on which the tensor's values for that frame depend."""
        field = self._fields[name]
        # The first value for a frame looks furthest back, the last one furthest ahead. Where a source has
        # several values for a frame, all of a frame is needed for some of them.
        before = ceil(Fraction(floor(-field.first * self._finest), self._finest))
        return max(0, before), max(0, floor(1 - Fraction(1, field.axis.rate) + field.last))

    def _merge(self, node: Node) -> _ReceptiveField:
        """The union of its inputs' receptive fields; all must have the same rate."""
        fields = [self._fields[name] for name in node.inputs if name in self._fields]
        if len({(field.axis, field.is_shape) for field in fields}) != 1:
            raise CannotCut(f"tensors of two rates meet in a {node.kind}")
        if fields[0].is_shape and node.kind != "ConstantOfShape":
            raise CannotCut(f"{node.kind} calculates with a length")
        return _ReceptiveField(
            rank=max(field.rank for field in fields),
            axis=fields[0].axis,
            first=min(field.first for field in fields),
            last=max(field.last for field in fields),
            is_shape=fields[0].is_shape,
        )


def _convolution(node: Node, field: _ReceptiveField, constants: Constants) -> _ReceptiveField:
    taps, before, after = _kernel(node, field, constants)
    stride, axis = _first_integer(node, "strides", 1), field.axis
    if axis.rate % stride:
        raise CannotCut("a Conv changes the rate")
    extra = (axis.extra + before + after - taps) // stride + 1
    # Value j is a sum over the values i = stride * j - before + tap, 0 <= tap < taps.
    first = field.first - Fraction(before, axis.rate)
    last = field.last + Fraction(taps - 1 - before, axis.rate)
    return replace(field, axis=TimeAxis(axis.rate // stride, extra), first=first, last=last)


def _upsampling(node: Node, field: _ReceptiveField, constants: Constants) -> _ReceptiveField:
    taps, before, after = _kernel(node, field, constants)
    stride = _first_integer(node, "strides", 1)
    rate = field.axis.rate * stride
    extra = (
        (field.axis.extra - 1) * stride + taps + _first_integer(node, "output_padding", 0) - before - after
    )
    # Value j is a sum over the values i for which stride * i = j + before - tap, 0 <= tap < taps.
    first = field.first - Fraction(taps - 1 - before, rate)
    return replace(field, axis=TimeAxis(rate, extra), first=first, last=field.last + Fraction(before, rate))


def _padding(node: Node, field: _ReceptiveField, constants: Constants) -> _ReceptiveField:
    """A few values before the first: the others move by as many. At an end that is cut they are wrong."""
    pads, rank, axis = _numbers(node, constants, 1, "pads"), field.rank, field.axis
    if len(pads) != 2 * rank or any(pads[: rank - 1]) or any(pads[rank:-1]) or min(pads) < 0:
        raise CannotCut("a Pad does not only add values along time")
    before, after = pads[rank - 1], pads[-1]
    # A value that is mirrored at an end comes from as far within.
    first = field.first - Fraction(before + 2 * after, axis.rate)
    last = field.last + Fraction(before, axis.rate)
    return replace(field, axis=TimeAxis(axis.rate, axis.extra + before + after), first=first, last=last)


def _kernel(node: Node, field: _ReceptiveField, constants: Constants) -> tuple[int, int, int]:
    """Span of the taps, with dilation, and the padding before and after."""
    weights = constants.weights(node.inputs[1])
    if weights is None or weights.data_type != FLOAT:
        raise CannotCut(f"the weights of a {node.kind} are not plain 32-bit floats")
    if field.rank != _RANK or len(weights.dims) != _RANK:
        raise CannotCut(f"a {node.kind} has more than one dimension")
    if node.text("auto_pad") not in ("", "NOTSET") or node.integers("output_shape"):
        raise CannotCut(f"a {node.kind} chooses its own padding")
    before, after = node.integers("pads") or (0, 0)
    return _first_integer(node, "dilations", 1) * (weights.dims[2] - 1) + 1, before, after


def _cast(node: Node, field: _ReceptiveField, _: Constants) -> _ReceptiveField:
    if node.integer("to") != FLOAT:
        raise CannotCut("it computes with other numbers than 32-bit floats")
    return field


def _shape(node: Node, field: _ReceptiveField, _: Constants) -> _ReceptiveField:
    if node.integer("start") or node.integer("end"):
        raise CannotCut("Shape calculates with a length")
    return replace(field, is_shape=True)


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
    "Pad": _padding,
    "Shape": _shape,
    "Slice": _slice,
    "Split": _on_another_axis,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
}
