"""Speaking rate: operators that divide the lengths of phonemes by a speed, so that their sum is exact.

Models round each length by itself, and give each phoneme a frame at least. At twice the speed a text then
takes three fifths of its time instead of half, as most phonemes last few frames. Here the lengths at normal
speed are rounded as the model does, then the ends of phonemes are divided by the speed and rounded: an error
does not add up, and a short phoneme may go to its neighbor.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np

SPEED: Final = "wyoming_tts_speed"
"""Name of the input: a float, of no dimension."""

_LAST_AXIS: Final = "wyoming_tts_last_axis"

GraphStep = tuple[str, list[str], str, dict[str, Any]]
"""Kind, inputs, output and attributes of an operator."""


def scaling_steps(natural: str, scaled: str, *, speed: str = SPEED) -> list[GraphStep]:
    """The operators, of opset 11 and later; `scaling_weights` are theirs.

    Args:
        natural: Name of the lengths at normal speed, whole numbers as floats, phonemes along the last axis.
        scaled: Name of those at the speed.
        speed: Name of the speed, a float.
    """
    return [
        ("CumSum", [natural, _LAST_AXIS], "wyoming_tts_ends", {}),
        ("CumSum", [natural, _LAST_AXIS], "wyoming_tts_begins", {"exclusive": 1}),
        ("Div", ["wyoming_tts_ends", speed], "wyoming_tts_scaled_ends", {}),
        ("Div", ["wyoming_tts_begins", speed], "wyoming_tts_scaled_begins", {}),
        ("Round", ["wyoming_tts_scaled_ends"], "wyoming_tts_rounded_ends", {}),
        ("Round", ["wyoming_tts_scaled_begins"], "wyoming_tts_rounded_begins", {}),
        ("Sub", ["wyoming_tts_rounded_ends", "wyoming_tts_rounded_begins"], scaled, {}),
    ]


def scaling_weights() -> dict[str, Any]:
    """Constants that `scaling_steps` take, by name."""
    return {_LAST_AXIS: np.array(-1, dtype=np.int64)}


def insert_steps(graph: Any, place: int, steps: Iterable[GraphStep], weights: Mapping[str, Any]) -> None:
    """Insert operators into an onnx.GraphProto, from a place among its nodes on, and add their weights."""
    from onnx import helper, numpy_helper  # noqa: PLC0415  # heavy: only once there is a model to load

    for offset, (kind, inputs, output, attributes) in enumerate(steps):
        node = helper.make_node(kind, inputs, [output], name=output, **attributes)
        graph.node.insert(place + offset, node)
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in weights.items())


def declare_speed(graph: Any) -> None:
    """Add SPEED to the inputs of an onnx.GraphProto."""
    from onnx import TensorProto, helper  # noqa: PLC0415  # heavy: only once there is a model to load

    graph.input.append(helper.make_tensor_value_info(SPEED, TensorProto.FLOAT, []))


def speed_feed(speed: float) -> dict[str, Any]:
    """What SPEED is fed with."""
    return {SPEED: np.array(speed, dtype=np.float32)}
