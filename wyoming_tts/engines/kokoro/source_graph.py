"""Source of a Kokoro model, with its short-time Fourier transform (STFT) as a convolution.

The source makes harmonics from the pitch, and their spectrum, before the first audio can be computed.
onnxruntime's operator for the STFT takes two thirds of that time: it transforms frame by frame on one thread.
Kokoro's frames have 20 samples, so a convolution with the matrix of the transform, each row times the
window, gives the same values in a few milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from wyoming_tts.engines.onnx_graph.graph import OnnxGraph
from wyoming_tts.engines.onnx_graph.nodes import Node

Values = npt.NDArray[np.float32]

_FLOAT: Final = 1
_MAX_FRAME: Final = 64
"""Samples of a frame up to which a matrix is faster than a fast transform by far."""
_ROUNDING: Final = 1e-7


@dataclass(frozen=True, slots=True)
class _Stft:
    """Parameters of the operator."""

    window: Values
    step: int

    @classmethod
    def of(cls, node: Node, graph: OnnxGraph) -> _Stft | None:
        """Those of a node; None if they are computed, or such as no Kokoro model has."""
        signal, step, window, length = (*node.inputs, "", "")[:4]
        steps, lengths = (graph.constants.integers(name) if name else np.array(0) for name in (step, length))
        values = _floats(graph, window)
        if steps is None or lengths is None or values is None or not signal or node.integer("onesided") != 1:
            return None
        is_plain = values.ndim == 1 and 0 < values.size <= _MAX_FRAME and lengths.item() in (0, values.size)
        return cls(values, int(steps.item())) if is_plain and steps.item() > 0 else None

    @property
    def matrix(self) -> Values:
        """A row for the real part and one for the imaginary part of each frequency, shape (2 * n, frame)."""
        frame = self.window.size
        angles = 2 * np.pi * np.outer(np.arange(frame // 2 + 1), np.arange(frame)) / frame
        rows = np.stack([np.cos(angles), -np.sin(angles)], axis=1) * self.window.astype(np.float64)
        # The imaginary part of the first and the last frequency is zero but for rounding, whose sign decides
        # whether the phase of a negative value is pi or -pi. It has to be the operator's: the source is
        # negative most of the time, and a voice sounds another with the other phase (10 dB, now 31 dB).
        rows[0, 1], rows[-1, 1] = -_ROUNDING * rows[0, 0], _ROUNDING * rows[-1, 0]
        return rows.reshape(-1, frame).astype(np.float32)


def _floats(graph: OnnxGraph, name: str) -> Values | None:
    """A constant in floats of 32 bits, as the convolution is to be."""
    tensor = graph.constants.weights(name) if name else None
    return graph.constants.floats(name) if tensor is not None and tensor.data_type == _FLOAT else None


def stft_results(graph: OnnxGraph, pitch: str, result: str) -> list[str]:
    """What the transforms between two tensors make that `write_source` writes as convolutions."""
    return [node.outputs[0] for node in graph.ancestors([result], stop={pitch}) if _is_written(node, graph)]


def write_source(graph: OnnxGraph, pitch: str, result: str) -> bytes:
    """What makes a result from the pitch as a model of its own, with each transform as a convolution."""
    nodes = graph.ancestors([result], stop={pitch})
    needed = {name for node in nodes for name in node.inputs}
    weights = [each for name, each in graph.weights.items() if name in needed]
    written: list[Any] = []
    for node in nodes:
        stft = _Stft.of(node, graph) if node.kind == "STFT" else None
        written += [node.proto] if stft is None else _as_convolution(node, stft, weights)
    return graph.assemble(written, weights, graph.opsets(), [pitch], [result])


def _is_written(node: Node, graph: OnnxGraph) -> bool:
    return node.kind == "STFT" and _Stft.of(node, graph) is not None


def _as_convolution(node: Node, stft: _Stft, weights: list[Any]) -> Iterator[Any]:
    """The nodes in place of an operator for a single real signal; adds their weights."""
    from onnx import helper, numpy_helper  # noqa: PLC0415  # heavy: only once there is a model to load

    result, matrix = node.outputs[0], stft.matrix
    names = {name: f"{result}_{name}" for name in ("matrix", "row", "frames", "signal", "columns", "turned")}
    for name, values in (
        ("matrix", matrix[:, None, :]),
        ("row", np.array([1, 1, -1])),
        ("frames", np.array([1, -1, len(matrix) // 2, 2])),
    ):
        weights.append(numpy_helper.from_array(values, names[name]))
    make = helper.make_node
    yield make("Reshape", [node.inputs[0], names["row"]], [names["signal"]])
    yield make("Conv", [names["signal"], names["matrix"]], [names["columns"]], strides=[stft.step])
    yield make("Transpose", [names["columns"]], [names["turned"]], perm=[0, 2, 1])
    yield make("Reshape", [names["turned"], names["frames"]], [result])
