"""Duration guard: a Piper model's graph is edited so that it never makes more frames than a limit.

The lengths of phonemes are an exponential of noise times `noise_w_scale`, so a sentence can come out at any
length, and the model allocates a matrix of its frames by its phonemes before anybody sees how many there are.
VITS rounds the lengths up with the only Ceil of its graph. Behind it they are divided by the speed
(`duration_scaling`), and the guard adds them up: beyond the limit each phoneme gets one frame instead, which
costs nothing, and the sum, an output of its own, tells of it. The lengths themselves are another output: they
tell when each word sounds.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

import numpy as np

from wyoming_tts.engines.onnx_graph.duration_scaling import (
    SPEED,
    GraphStep,
    declare_speed,
    insert_steps,
    scaling_steps,
    scaling_weights,
)

FRAMES: Final = "wyoming_tts_frames"
"""Name of the output: how many frames the sentence would have."""

DURATIONS: Final = "wyoming_tts_durations"
"""Name of the output: frames of each phoneme id, shape (1, ids)."""

_LIMIT: Final = "wyoming_tts_frame_limit"
_LARGEST: Final = "wyoming_tts_largest"
_MOST_TOLD = 1e9
"""The sum may be infinite, and a model's outputs have to be finite."""
_FLOAT = 1


def guard_durations(graph: Any, text_dependent: Collection[str]) -> bool:
    """Add the guard, and the input SPEED, to an onnx.GraphProto; False if its durations cannot be found.

    Then nothing is changed.

    Args:
        graph: The graph. `set_frame_limit` sets its limit, which is 0 until then.
        text_dependent: Names of the tensors that depend on the text.
    """
    rounded = [
        (place, node)
        for place, node in enumerate(graph.node)
        if node.op_type == "Ceil" and node.output[0] in text_dependent
    ]
    if len(rounded) != 1:
        return False
    place, ceil = rounded[0]
    used, raw = ceil.output[0], "wyoming_tts_raw_durations"
    ceil.output[0] = raw
    limits = {_LIMIT: np.array(0.0, dtype=np.float32), _LARGEST: np.array(_MOST_TOLD, dtype=np.float32)}
    insert_steps(graph, place + 1, guard_steps(raw, used), limits | scaling_weights())
    declare_speed(graph)
    return True


def guard_steps(raw: str, used: str) -> list[GraphStep]:
    """The guard's operators.

    Args:
        raw: Name of the lengths as the model wants them at normal speed.
        used: Name of those that it gets.
    """
    scaled = "wyoming_tts_scaled_durations"
    return [
        ("ReduceSum", [raw], "wyoming_tts_sum", {"keepdims": 0}),
        ("Cast", ["wyoming_tts_sum"], "wyoming_tts_natural_total", {"to": _FLOAT}),
        ("Div", ["wyoming_tts_natural_total", SPEED], "wyoming_tts_total", {}),
        ("Min", ["wyoming_tts_total", _LARGEST], FRAMES, {}),
        ("Less", ["wyoming_tts_total", _LIMIT], "wyoming_tts_is_short", {}),
        ("Sign", [raw], "wyoming_tts_one_each", {}),
        *scaling_steps(raw, scaled),
        ("Where", ["wyoming_tts_is_short", scaled, "wyoming_tts_one_each"], used, {}),
        ("Flatten", [used], DURATIONS, {"axis": 0}),
    ]


def set_frame_limit(graph: Any, frames: int) -> None:
    """Set how many frames a guarded graph makes at most."""
    from onnx import numpy_helper  # noqa: PLC0415  # as above

    limit = next(each for each in graph.initializer if each.name == _LIMIT)
    limit.CopyFrom(numpy_helper.from_array(np.array(frames + 1, dtype=np.float32), _LIMIT))
