"""Comparison of a rewritten text part with the original, on a few texts, before a voice speaks with it.

Both get the same noise: the operators that draw it are replaced by a pattern. What is left of a difference
comes from sums in another order, 120 dB below the values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from wyoming_tts.engines.base import EngineOptions, always
from wyoming_tts.engines.onnx import OnnxModel, open_models
from wyoming_tts.engines.onnx_graph.duration_scaling import speed_feed
from wyoming_tts.engines.piper.duration_guard import FRAMES

LEAST_DECIBELS = 90.0
"""Least power of an output over that of its difference from the original: 16-bit samples have 96 dB. Voices
of all layouts have 124 or more."""

_PROBES = (
    (7, (0.667, 1.3, 0.8), 1.0),
    (45, (0.5, 0.9, 2.2), 1.7),
)
"""Phonemes, scales, speed. The first is shorter than relative positions reach; some noise of the second
exceeds the range of the splines."""

_PATTERN = {
    "noise_first": np.array(0, dtype=np.int64),
    "noise_step": np.array(1, dtype=np.int64),
    "noise_pace": np.array(12.9898, dtype=np.float32),
    "noise_height": np.array(3.0, dtype=np.float32),
}


class NotTheSame(Exception):
    """The rewritten text part computes something else; the message says what, and follows a colon."""


def check_rewritten(
    path: Path, options: EngineOptions, original: bytes, rewritten: bytes, phonemes: int
) -> None:
    """Check that both models compute the same.

    Args:
        path: names them in messages.
        options: as for the voice; one thread is used.
        original: the text part as a model of its own.
        rewritten: the other.
        phonemes: how many ids there are.

    Raises:
        NotTheSame: they do not.
        VoiceUnavailable: one of them cannot be loaded.
        EngineFailed: one of them cannot be run.
    """
    options = replace(options, intra_op_threads=1, has_cores=always)
    expected = _results(path, options, original, phonemes)
    got = _results(path, options, rewritten, phonemes)
    for ours, theirs in zip(got, expected, strict=True):
        for name, values in theirs.items():
            _compare(name, ours[name], values)


def _results(path: Path, options: EngineOptions, content: bytes, phonemes: int) -> list[dict[str, Any]]:
    model = open_models(path, options, [replace_noise(content)])[0]
    names = [output.name for output in model.get_outputs()]
    try:
        return [dict(zip(names, model.run(names, feeds), strict=True)) for feeds in _feeds(model, phonemes)]
    finally:
        model.close()


def _feeds(model: OnnxModel, phonemes: int) -> Iterator[Mapping[str, Any]]:
    for count, scales, speed in _PROBES:
        every = {
            "input": (np.arange(count, dtype=np.int64) * 7 + 3)[None] % phonemes,
            "input_lengths": np.array([count], dtype=np.int64),
            "scales": np.array(scales, dtype=np.float32),
            "sid": np.array([0], dtype=np.int64),
            **speed_feed(speed),
        }
        yield {name: every[name] for name in model.inputs}


def _compare(name: str, ours: Any, theirs: Any) -> None:
    if ours.shape != theirs.shape:
        raise NotTheSame(f"its {name} has the shape {ours.shape}, expected {theirs.shape}")
    if name == FRAMES and ours != theirs:
        raise NotTheSame(f"it makes {ours} frames, expected {theirs}")
    power, error = (float(np.square(each, dtype=np.float64).sum()) for each in (theirs, theirs - ours))
    if error > power / 10 ** (LEAST_DECIBELS / 10):
        raise NotTheSame(f"its {name} is another by {error / power:.1e} of its power")


def replace_noise(content: bytes) -> bytes:
    """A model with a pattern where it draws noise."""
    import onnx  # noqa: PLC0415  # heavy: only once there is a model to load

    model = onnx.load_from_string(content)
    nodes = [*model.graph.node]
    del model.graph.node[:]
    for number, node in enumerate(nodes):
        is_noise = node.op_type == "RandomNormalLike"
        model.graph.node.extend(_pattern(f"noise_{number}_", node) if is_noise else [node])
    for name, value in _PATTERN.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(value, name))
    return model.SerializeToString()  # type: ignore[no-any-return]


def _pattern(name: str, noise: Any) -> Sequence[Any]:
    """Sines in place of noise of the same shape."""
    from onnx import helper  # noqa: PLC0415  # as above

    steps: Sequence[tuple[str, list[str], str, dict[str, int]]] = (
        ("Shape", [noise.input[0]], "shape", {}),
        ("ReduceProd", [f"{name}shape"], "count", {"keepdims": 0}),
        ("Range", ["noise_first", f"{name}count", "noise_step"], "numbers", {}),
        ("Cast", [f"{name}numbers"], "floats", {"to": 1}),
        ("Mul", [f"{name}floats", "noise_pace"], "angles", {}),
        ("Sin", [f"{name}angles"], "sines", {}),
        ("Mul", [f"{name}sines", "noise_height"], "values", {}),
    )
    nodes = [helper.make_node(kind, inputs, [name + output], **rest) for kind, inputs, output, rest in steps]
    return [*nodes, helper.make_node("Reshape", [f"{name}values", f"{name}shape"], [noise.output[0]])]
