"""Layers of a VITS text part (text encoder, duration predictor), read from a graph by its weights.

Exports differ in the operators that compute shapes, pads, masks and indices, but not in the order of the
weights: torch writes them down as the model runs them. The layers are parsed from that order, and from the
shapes of the weights. Whether a voice does with them what VITS does is not known from that: what is written
from them is compared with the original (`text_check`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from wyoming_tts.engines.onnx_graph.nodes import Constants, Node

T = TypeVar("T")

Values = npt.NDArray[np.float32]

_FLOAT = 1
_VECTOR, _MATRIX, _CUBE = 1, 2, 3


class UnknownLayers(Exception):
    """The weights are not those of a VITS text part; the message says where, and follows a colon."""


@dataclass(frozen=True, slots=True)
class Convolution:
    """A convolution along the text that keeps its length."""

    weight: Any
    """An onnx.TensorProto, shape (outputs, inputs of a group, taps)."""
    bias: Any
    result: str
    """Name of the tensor that it makes in the original graph."""
    groups: int
    dilation: int

    @property
    def outputs(self) -> int:
        """Number of channels that it makes."""
        return int(self.weight.dims[0])

    @property
    def taps(self) -> int:
        """Number of places of its input that a value depends on."""
        return int(self.weight.dims[2])

    @property
    def padding(self) -> int:
        """Zeros before and after the text, so that it keeps its length."""
        return self.dilation * (self.taps - 1) // 2


@dataclass(frozen=True, slots=True)
class Norm:
    """A layer norm over the channels."""

    gamma: Any
    beta: Any


@dataclass(frozen=True, slots=True)
class AttentionLayer:
    """A layer of the encoder: attention with relative positions, then two convolutions."""

    query: Convolution
    key: Convolution
    value: Convolution
    key_positions: Values
    """Shape (1, 2 * window + 1, channels of a head)."""
    value_positions: Values
    output: Convolution
    attention_norm: Norm
    inner: Convolution
    outer: Convolution
    norm: Norm

    @property
    def channels(self) -> int:
        """Number of channels of a head."""
        return int(self.key_positions.shape[2])

    @property
    def heads(self) -> int:
        """Number of heads."""
        return self.query.outputs // self.channels


@dataclass(frozen=True, slots=True)
class SeparableLayer:
    """A layer of the duration predictor: a convolution within each channel, then one across them."""

    within: Convolution
    within_norm: Norm
    across: Convolution
    across_norm: Norm


@dataclass(frozen=True, slots=True)
class SplineFlow:
    """A flow of the duration predictor: one of two values decides by which spline the other is bent."""

    before: Convolution
    layers: tuple[SeparableLayer, ...]
    after: Convolution


@dataclass(frozen=True, slots=True)
class TextLayers:
    """All layers, in the order in which they run."""

    embedding: Values
    """Shape (phonemes, channels)."""
    encoder: tuple[AttentionLayer, ...]
    statistics: Convolution
    """Makes means, then logarithms of deviations."""
    before: Convolution
    """To its result the condition of the speaker is added, if a voice has several."""
    predictor: tuple[SeparableLayer, ...]
    after: Convolution
    flows: tuple[SplineFlow, ...]
    mean: Values
    """Of the two values that leave the flows, shape (2, 1)."""
    scale: Values
    """By which they are multiplied without their mean, shape (2, 1)."""


def read_text_layers(nodes: Iterable[Node], constants: Constants) -> TextLayers:
    """Parse the layers from the nodes of a text part.

    Args:
        nodes: in their original order, without those that depend on the speaker alone.
        constants: of the graph.

    Raises:
        UnknownLayers: they are not those of VITS.
    """
    return _Parser(_weighted(nodes, constants)).text_layers()


@dataclass(frozen=True, slots=True)
class _WeightedNode:
    node: Node
    weights: tuple[Any, ...]
    """Those that are no single number."""

    def is_kind(self, kinds: str, rank: int) -> bool:
        return self.node.kind in kinds.split("|") and len(self.weights[0].dims) == rank


def _weighted(nodes: Iterable[Node], constants: Constants) -> Iterator[_WeightedNode]:
    for node in nodes:
        if node.kind in ("Constant", "Identity"):
            continue
        found = [constants.weights(name) for name in node.inputs if name]
        weights = tuple(each for each in found if each is not None and each.data_type == _FLOAT and each.dims)
        if weights:
            yield _WeightedNode(node, weights)


class _Parser:
    """Recursive descent over the nodes that take weights."""

    def __init__(self, nodes: Iterable[_WeightedNode]) -> None:
        self._rest = [*nodes][::-1]

    def text_layers(self) -> TextLayers:
        embedding = _array(self._take("Gather", _MATRIX).weights[0])
        encoder = self._several(self._attention_layer, self._is_attention)
        statistics = self._convolution()
        layers = TextLayers(
            embedding=embedding,
            encoder=encoder,
            statistics=statistics,
            before=self._convolution(),
            predictor=self._several(self._separable_layer, self._is_separable),
            after=self._convolution(),
            flows=self._several(self._flow, lambda: self._is_next("Conv", _CUBE)),
            mean=_array(self._take("Sub", _MATRIX).weights[0]),
            scale=self._scale(),
        )
        if self._rest:
            raise UnknownLayers(
                f"it has a {self._rest[-1].node.kind} with weights after those of the durations"
            )
        return layers

    def _attention_layer(self) -> AttentionLayer:
        return AttentionLayer(
            query=self._convolution(),
            key=self._convolution(),
            value=self._convolution(),
            key_positions=self._positions(),
            value_positions=self._positions(),
            output=self._convolution(),
            attention_norm=self._norm(),
            inner=self._convolution(),
            outer=self._convolution(),
            norm=self._norm(),
        )

    def _separable_layer(self) -> SeparableLayer:
        return SeparableLayer(self._convolution(), self._norm(), self._convolution(), self._norm())

    def _flow(self) -> SplineFlow:
        layers = self._convolution(), self._several(self._separable_layer, self._is_separable)
        return SplineFlow(*layers, self._convolution())

    def _convolution(self) -> Convolution:
        taken = self._take("Conv", _CUBE)
        if len(taken.weights) != 2:  # noqa: PLR2004  # the weight and the bias
            raise UnknownLayers("a Conv has no bias")
        node = taken.node
        groups, dilations = node.integer("group") or 1, node.integers("dilations") or [1]
        return Convolution(taken.weights[0], taken.weights[1], node.outputs[0], groups, dilations[0])

    def _norm(self) -> Norm:
        if self._is_next("LayerNormalization", _VECTOR):
            gamma, beta = self._take("LayerNormalization", _VECTOR).weights
            return Norm(gamma, beta)
        return Norm(self._take("Mul", _VECTOR).weights[0], self._take("Add", _VECTOR).weights[0])

    def _positions(self) -> Values:
        return _array(self._take("Pad|Slice", _CUBE).weights[0])

    def _scale(self) -> Values:
        taken = self._take("Mul|Exp|Neg", _MATRIX)
        value = _array(taken.weights[0])
        if taken.node.kind == "Mul":
            return value
        return np.exp(value if taken.node.kind == "Exp" else -value)

    def _is_attention(self) -> bool:
        """Three convolutions stand before the first positions, and only one before what comes later."""
        return len(self._rest) > 3 and self._rest[-4].is_kind("Pad|Slice", _CUBE)  # noqa: PLR2004  # as said

    def _is_separable(self) -> bool:
        return self._is_next("Conv", _CUBE) and (self._rest[-1].node.integer("group") or 1) > 1

    def _is_next(self, kinds: str, rank: int) -> bool:
        return bool(self._rest) and self._rest[-1].is_kind(kinds, rank)

    def _several(self, read: Callable[[], T], is_next: Callable[[], bool]) -> tuple[T, ...]:
        found = []
        while is_next():
            found.append(read())
        return tuple(found)

    def _take(self, kinds: str, rank: int) -> _WeightedNode:
        if not self._is_next(kinds, rank):
            got = f"a {self._rest[-1].node.kind}" if self._rest else "no more"
            raise UnknownLayers(f"it has {got} where VITS has the weights of a {kinds.replace('|', ' or ')}")
        return self._rest.pop()


def _array(tensor: Any) -> Values:
    from onnx import numpy_helper  # noqa: PLC0415  # heavy, and only needed while a voice is loaded

    values: Values = numpy_helper.to_array(tensor)
    return values
