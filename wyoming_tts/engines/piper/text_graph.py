"""Text part of a VITS model, written anew from its layers with an eighth of the operators.

It computes the same values, but for the order of some sums. Layer norms, Gelu, and convolutions with what is
added to their result are one operator each; shapes are constants; masks are left out, because a batch is one
text, and padding is none of it. Besides:

* Relative positions reach a few phonemes to each side. Exporters compute them for all pairs, as a second and
  a third attention whose values are nearly all zero; here only the others, put on the diagonals by index.
* Splines are evaluated for all values, and used for those in their range, instead of selecting these first.
* Frames are copied from their phonemes by index, instead of multiplying by a matrix of zeros and ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from wyoming_tts.engines.onnx_graph.duration_scaling import scaling_weights
from wyoming_tts.engines.piper.duration_guard import guard_steps
from wyoming_tts.engines.piper.text_layers import (
    AttentionLayer,
    Convolution,
    Norm,
    SeparableLayer,
    SplineFlow,
    TextLayers,
)

OPSETS: Final = {"": 17, "com.microsoft": 1}
"""Versions of the operators that are used; the latter are onnxruntime's own, in each build of it."""

_FLOAT, _INT64 = 1, 7

# Constants of VITS.
_NORM_EPSILON = 1e-5
_TAIL = 5.0
"""Splines bend values between -5 and 5."""
_LEAST = 0.001
"""Least width, height and slope of a piece of a spline."""
_LAST_EDGE = 1e-6

_END = 2**62
_DURATIONS = "text_durations"


@dataclass(frozen=True, slots=True)
class TextOutputs:
    """Names that the outputs have in the original."""

    frames: str
    mask: str


class GraphWriter:
    """Nodes and weights that are written down one after the other."""

    def __init__(self) -> None:
        from onnx import helper, numpy_helper  # noqa: PLC0415  # heavy: only once there is a model to load

        self._make_node = helper.make_node
        self._from_array = numpy_helper.from_array
        self.nodes: list[Any] = []
        self.weights: dict[str, Any] = {}
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    def add(self, kind: str, *inputs: str, name: str = "", domain: str = "", **attributes: Any) -> str:
        """Add a node with one output, which gets that name; returns the name."""
        name = name or f"text_{len(self.nodes)}_{kind}"
        node = self._make_node(kind, inputs, [name], name=name, domain=domain, **attributes)
        self.nodes.append(node)
        return name

    def fused(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add one of onnxruntime's own operators."""
        return self.add(kind, *inputs, domain="com.microsoft", **attributes)

    def split(self, data: str, *lengths: int, axis: int) -> list[str]:
        """Split into parts of these lengths."""
        names = [f"text_{len(self.nodes)}_part_{number}" for number in range(len(lengths))]
        self.nodes.append(self._make_node("Split", [data, self.integers(*lengths)], names, axis=axis))
        return names

    def halve(self, data: str) -> list[str]:
        """Split the channels in two."""
        names = [f"text_{len(self.nodes)}_half_{number}" for number in range(2)]
        self.nodes.append(self._make_node("Split", [data], names, axis=1))
        return names

    def slice(self, data: str, start: int, end: int, axis: int) -> str:
        """Values from `start` to `end`."""
        return self.add("Slice", data, *(self.integers(each) for each in (start, end, axis)))

    def reshape(self, data: str, *shape: int) -> str:
        """One length may be -1: what is left."""
        return self.add("Reshape", data, self.integers(*shape))

    def swap(self, data: str) -> str:
        """Swap the last two axes of three."""
        return self.add("Transpose", data, perm=[0, 2, 1])

    def constant(self, values: Any) -> str:
        """A constant of floats."""
        return self._constant(np.asarray(values, dtype=np.float32))

    def integers(self, *values: int) -> str:
        """A constant list of integers."""
        return self._constant(np.array(values, dtype=np.int64))

    def integer(self, value: int) -> str:
        """A constant integer."""
        return self._constant(np.array(value, dtype=np.int64))

    def name_constant(self, name: str, value: Any) -> None:
        """Add a constant under a name."""
        self.weights[name] = self._from_array(value, name)

    def weight(self, tensor: Any) -> str:
        """A weight of the original."""
        self.weights[tensor.name] = tensor
        return str(tensor.name)

    def counted(self, shape: str, count: int) -> str:
        """A tensor of a computed shape, full of an integer."""
        value = self._from_array(np.array([count], dtype=np.int64))
        return self.add("ConstantOfShape", shape, value=value)

    def _constant(self, values: Any) -> str:
        key = str(values.dtype), values.shape, values.tobytes()
        if key not in self._constants:
            name = self._constants[key] = f"text_constant_{len(self._constants)}"
            self.weights[name] = self._from_array(values, name)
        return self._constants[key]


def write_text_graph(layers: TextLayers, outputs: TextOutputs, condition: str = "") -> GraphWriter:
    """Write the nodes that compute the frames, their mask, FRAMES, and DURATIONS.

    Args:
        layers: of the original. Its inputs are `input`, with one text that fills it, `scales`, and SPEED.
        outputs: what they are called.
        condition: name of what the speaker adds in the duration predictor; empty if there is one speaker.
    """
    graph = GraphWriter()
    length = graph.add("Gather", graph.add("Shape", "input"), graph.integer(1), axis=0)
    encoded = _write_encoder(graph, layers, length)
    scales = [graph.add("Gather", "scales", graph.integers(place), axis=0) for place in range(3)]
    conditions = _write_predictor(graph, layers, encoded, condition)
    durations = _write_durations(graph, layers, conditions, length, scales)
    statistics = _convolve(graph, layers.statistics, encoded)
    _write_frames(graph, statistics, durations, scales[0], outputs)
    return graph


def _write_encoder(graph: GraphWriter, layers: TextLayers, length: str) -> str:
    scaled = graph.constant(layers.embedding * np.float32(math.sqrt(layers.embedding.shape[1])))
    encoded = graph.swap(graph.add("Gather", scaled, "input", axis=0))
    diagonals: dict[tuple[int, int], _Diagonals] = {}
    for layer in layers.encoder:
        shape = layer.heads, layer.key_positions.shape[1]
        if shape not in diagonals:
            diagonals[shape] = _write_diagonals(graph, length, *shape)
        encoded = _write_attention_layer(graph, layer, encoded, diagonals[shape])
    return encoded


def _write_attention_layer(
    graph: GraphWriter, layer: AttentionLayer, data: str, diagonals: _Diagonals
) -> str:
    attended = _write_attention(graph, layer, data, diagonals)
    data = _norm(graph, layer.attention_norm, _convolve(graph, layer.output, attended, plus=data))
    inner = _convolve(graph, layer.inner, data, activation="Relu")
    return _norm(graph, layer.norm, _convolve(graph, layer.outer, inner, plus=data))


def _write_attention(graph: GraphWriter, layer: AttentionLayer, data: str, diagonals: _Diagonals) -> str:
    channels, scale = layer.channels, layer.channels**-0.5
    query, key, value = (
        graph.reshape(_convolve(graph, each, data), layer.heads, channels, -1)
        for each in (layer.query, layer.key, layer.value)
    )
    scores = graph.fused("FusedMatMul", query, key, transA=1, alpha=scale)
    positions = graph.constant(layer.key_positions)
    near = graph.fused("FusedMatMul", query, positions, transA=1, transB=1, alpha=scale)
    near = graph.add("Mul", near, diagonals.exists)
    scores = graph.add("ScatterElements", scores, diagonals.indices, near, axis=2, reduction="add")
    weights = graph.add("Softmax", scores, axis=-1)
    near = graph.add("GatherElements", weights, diagonals.indices, axis=2)
    near = graph.add("Mul", near, diagonals.exists)
    positions = graph.constant(layer.value_positions)
    near = graph.fused("FusedMatMul", positions, near, transA=1, transB=1)
    attended = graph.add("Add", graph.fused("FusedMatMul", value, weights, transB=1), near)
    return graph.reshape(attended, 1, layer.heads * channels, -1)


@dataclass(frozen=True, slots=True)
class _Diagonals:
    """Which phonemes are near to each phoneme."""

    indices: str
    """Shape (heads, length, places); of another near one where there is none."""
    exists: str
    """Shape (length, places), 1 or 0."""


def _write_diagonals(graph: GraphWriter, length: str, heads: int, places: int) -> _Diagonals:
    window = places // 2
    numbers = graph.add("Range", graph.integer(0), length, graph.integer(1))
    around = graph.add(
        "Add", graph.add("Unsqueeze", numbers, graph.integers(1)), graph.integers(*range(-window, window + 1))
    )
    last = graph.add("Sub", length, graph.integer(1))
    existing = graph.add("Max", graph.add("Min", around, last), graph.integer(0))
    exists = graph.add("Cast", graph.add("Equal", around, existing), to=_FLOAT)
    return _Diagonals(graph.add("Expand", existing, graph.integers(heads, 1, 1)), exists)


def _write_predictor(graph: GraphWriter, layers: TextLayers, encoded: str, condition: str) -> str:
    before = _convolve(graph, layers.before, encoded)
    if condition:
        before = graph.add("Add", before, condition)
    return _convolve(graph, layers.after, _write_separable(graph, layers.predictor, before))


def _write_separable(graph: GraphWriter, layers: Sequence[SeparableLayer], data: str) -> str:
    for layer in layers:
        within = _norm(graph, layer.within_norm, _convolve(graph, layer.within, data), is_gelu=True)
        across = _norm(graph, layer.across_norm, _convolve(graph, layer.across, within), is_gelu=True)
        data = graph.add("Add", data, across)
    return data


def _write_durations(
    graph: GraphWriter, layers: TextLayers, conditions: str, length: str, scales: Sequence[str]
) -> str:
    """Frames of each phoneme, shape (length,)."""
    shape = graph.add("Concat", graph.integers(1, 2), _listed(graph, length), axis=0)
    drawn = graph.add("RandomNormalLike", graph.add("ConstantOfShape", shape), dtype=1)
    bent, kept = graph.split(graph.add("Mul", drawn, scales[2]), 1, 1, axis=1)
    for flow in layers.flows:
        bent, kept = kept, _write_flow(graph, flow, conditions, kept, bent)
    mean, scale = (graph.constant(each[0]) for each in (layers.mean, layers.scale))
    logarithm = graph.add("Mul", graph.add("Sub", kept, mean), scale)
    lasting = graph.add("Mul", graph.add("Exp", logarithm), scales[1])
    return _guarded(graph, graph.add("Ceil", graph.reshape(lasting, -1)))


def _guarded(graph: GraphWriter, raw: str) -> str:
    for name, value in scaling_weights().items():
        graph.name_constant(name, value)
    for kind, inputs, output, attributes in guard_steps(raw, _DURATIONS):
        graph.add(kind, *inputs, name=output, **attributes)
    return _DURATIONS


def _write_flow(graph: GraphWriter, flow: SplineFlow, conditions: str, kept: str, bent: str) -> str:
    """Bend one value of each phoneme, shape (1, 1, length), by a spline that the other decides on."""
    start = graph.add("Add", _convolve(graph, flow.before, kept), conditions)
    parameters = graph.swap(_convolve(graph, flow.after, _write_separable(graph, flow.layers, start)))
    pieces = (flow.after.outputs + 1) // 3
    value = graph.reshape(bent, -1, 1)
    sizes, slopes = graph.split(graph.reshape(parameters, -1, 3 * pieces - 1), 2 * pieces, pieces - 1, axis=1)
    sizes = graph.add("Mul", sizes, graph.constant(flow.before.outputs**-0.5))
    edges = _spline_edges(graph, graph.reshape(sizes, -1, 2, pieces), pieces)
    slopes = _spline_slopes(graph, slopes)
    result = _invert_spline(graph, value, _piece_of(graph, value, edges, slopes, pieces))
    low, high = graph.constant(-_TAIL), graph.constant(_TAIL)
    is_above, is_below = graph.add("GreaterOrEqual", value, low), graph.add("LessOrEqual", value, high)
    is_bent = graph.add("And", is_above, is_below)
    return graph.reshape(graph.add("Where", is_bent, result, value), 1, 1, -1)


def _spline_edges(graph: GraphWriter, sizes: str, pieces: int) -> str:
    """Edges of the pieces, shape (length, 2, pieces + 1): from left to right, and upwards."""
    shares = graph.add("Mul", graph.add("Softmax", sizes, axis=-1), graph.constant(1 - _LEAST * pieces))
    ends = graph.add("CumSum", graph.add("Add", shares, graph.constant(_LEAST)), graph.integer(2))
    inner = graph.add("Mul", graph.slice(ends, 0, pieces - 1, axis=2), graph.constant(2 * _TAIL))
    low, high = ((0, 0, 1, 0, 0, 0), -_TAIL), ((0, 0, 0, 0, 0, 1), _TAIL)
    edges = graph.add("Sub", inner, graph.constant(_TAIL))
    for place, value in (low, high):
        edges = graph.add("Pad", edges, graph.integers(*place), graph.constant(value))
    return edges


def _spline_slopes(graph: GraphWriter, slopes: str) -> str:
    """Slopes at the edges, shape (length, pieces + 1); outside of the spline it is 1."""
    inner = graph.add("Add", graph.add("Softplus", slopes), graph.constant(_LEAST))
    return graph.add("Pad", inner, graph.integers(0, 1, 0, 1), graph.constant(1.0))


def _piece_of(graph: GraphWriter, value: str, edges: str, slopes: str, pieces: int) -> list[str]:
    """Of the piece that makes the value: left, lower edge, width, height, slopes at both ends."""
    before, after = (graph.slice(edges, start, _END if start else -1, axis=2) for start in (0, 1))
    slope_before, slope_after = (
        graph.reshape(graph.slice(slopes, start, _END if start else -1, axis=1), -1, 1, pieces)
        for start in (0, 1)
    )
    table = graph.add("Concat", before, graph.add("Sub", after, before), slope_before, slope_after, axis=1)
    upwards = graph.reshape(graph.slice(edges, 1, 2, axis=1), -1, pieces + 1)
    slack = graph.constant([0.0] * pieces + [_LAST_EDGE])
    reached = graph.add("GreaterOrEqual", value, graph.add("Add", upwards, slack))
    reached = graph.add("Cast", reached, to=_FLOAT)
    is_in = graph.add("Sub", graph.slice(reached, 0, -1, axis=1), graph.slice(reached, 1, _END, axis=1))
    chosen = graph.add("Mul", table, graph.reshape(is_in, -1, 1, pieces))
    return graph.split(graph.add("ReduceSum", chosen, graph.integers(2), keepdims=0), *[1] * 6, axis=1)


def _invert_spline(graph: GraphWriter, value: str, piece: Sequence[str]) -> str:
    """Where the piece, a quotient of two quadratic polynomials, has the value: a root of a third."""
    left, lower, width, height, slope_before, slope_after = piece

    def add(first: str, second: str) -> str:
        return graph.add("Add", first, second)

    def sub(first: str, second: str) -> str:
        return graph.add("Sub", first, second)

    def mul(first: str, second: str) -> str:
        return graph.add("Mul", first, second)

    rise, slope = sub(value, lower), graph.add("Div", height, width)
    curved = mul(rise, sub(add(slope_before, slope_after), add(slope, slope)))
    a = add(curved, mul(height, sub(slope, slope_before)))
    b = sub(mul(height, slope_before), curved)
    c = mul(graph.add("Neg", slope), rise)
    discriminant = sub(mul(b, b), mul(graph.constant(4.0), mul(a, c)))
    divisor = sub(graph.add("Neg", b), graph.add("Sqrt", discriminant))
    return add(mul(graph.add("Div", add(c, c), divisor), width), left)


def _write_frames(
    graph: GraphWriter, statistics: str, durations: str, noise: str, outputs: TextOutputs
) -> None:
    """Means and deviations of the phonemes, shape (1, 2 * channels, length), to frames with their noise."""
    mean, deviation = graph.halve(statistics)
    deviation = graph.add("Mul", graph.add("Exp", deviation), noise)
    phonemes = graph.swap(graph.add("Concat", mean, deviation, axis=1))
    ends = graph.add("Cast", graph.add("CumSum", durations, graph.integer(0)), to=_INT64)
    total = graph.add("Max", graph.slice(ends, -1, _END, axis=0), graph.integers(1))
    places = _phonemes_of_frames(graph, ends, total)
    frames = graph.swap(graph.add("Gather", phonemes, places, axis=1))
    mean, deviation = graph.halve(frames)
    drawn = graph.add("Mul", graph.add("RandomNormalLike", mean, dtype=1), deviation)
    graph.add("Add", mean, drawn, name=outputs.frames)
    ones = graph.add("Concat", graph.integers(1, 1), total, axis=0)
    graph.add("Expand", graph.constant([[[1.0]]]), ones, name=outputs.mask)


def _phonemes_of_frames(graph: GraphWriter, ends: str, total: str) -> str:
    """Number of the phoneme of each frame: how many end at it or before."""
    none = graph.counted(graph.add("Add", total, graph.integers(1)), 0)
    one_each = graph.counted(graph.add("Shape", ends), 1)
    ending = graph.add("ScatterElements", none, ends, one_each, axis=0, reduction="add")
    ended = graph.add("CumSum", ending, graph.integer(0))
    return graph.slice(ended, 0, -1, axis=0)


def _convolve(
    graph: GraphWriter, layer: Convolution, data: str, *, plus: str = "", activation: str = ""
) -> str:
    inputs = [data, graph.weight(layer.weight), graph.weight(layer.bias), *([plus] if plus else [])]
    attributes: dict[str, Any] = {
        "kernel_shape": [layer.taps],
        "dilations": [layer.dilation],
        "pads": [layer.padding] * 2,
        "group": layer.groups,
    }
    if activation:
        return graph.fused("FusedConv", *inputs, activation=activation, **attributes)
    return (graph.fused if plus else graph.add)("FusedConv" if plus else "Conv", *inputs, **attributes)


def _norm(graph: GraphWriter, norm: Norm, data: str, *, is_gelu: bool = False) -> str:
    gamma, beta = graph.weight(norm.gamma), graph.weight(norm.beta)
    normed = graph.add("LayerNormalization", graph.swap(data), gamma, beta, axis=-1, epsilon=_NORM_EPSILON)
    return graph.swap(graph.fused("Gelu", normed) if is_gelu else normed)


def _listed(graph: GraphWriter, number: str) -> str:
    return graph.add("Unsqueeze", number, graph.integers(0))
