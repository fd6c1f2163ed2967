"""Speaking rate of a Kokoro model: its graph is edited so that a speed changes the time of a text exactly.

The model divides the lengths of tokens by its input `speed`, rounds each, and gives it a pair of frames at
least: at twice the speed a text takes 54 %, and beyond that hardly less. Here they are rounded at normal
speed, and their ends are divided by the speed (`onnx_graph.duration_scaling`). At normal speed nothing
changes.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from wyoming_tts.engines.onnx_graph.duration_scaling import (
    GraphStep,
    insert_steps,
    scaling_steps,
    scaling_weights,
)
from wyoming_tts.engines.onnx_graph.graph import OnnxGraph
from wyoming_tts.engines.onnx_graph.nodes import FLOAT, Node

OUTPUT: Final = "duration"
"""Name of the output of models that tell durations."""
_ONE: Final = "wyoming_tts_one_pair"
_SPEED_INPUT: Final = "speed"
_LIMITS: Final = ("Clip", "Max")
"""What gives each token a pair of frames at least."""


def scale_durations(graph: OnnxGraph) -> str:
    """Edit a graph; returns the name of the durations of its tokens, in pairs of frames.

    It is empty, and nothing is changed, if the graph does not round, limit and convert the quotient of
    lengths and speed, and these alone.
    """
    found = _find(graph)
    if found is None:
        return ""
    lengths, limited = found
    used = limited.outputs[0]
    limited.proto.output[0] = f"{used}_as_it_was"
    edited = graph.model.graph
    outputs = [node.output[:1] for node in edited.node]
    weights = {_ONE: np.array(1.0, dtype=np.float32), **scaling_weights()}
    insert_steps(edited, outputs.index(limited.proto.output[:1]), _steps(lengths, used), weights)
    graph.read_nodes()
    return used


def find_durations(graph: OnnxGraph) -> str:
    """The name of the durations of a graph's tokens, in pairs of frames; empty if they cannot be found.

    They are what is rounded and limited, also where `scale_durations` changes nothing.
    """
    found = [
        node.outputs[0]
        for node in graph.nodes
        if node.kind in _LIMITS and any(_is_rounded(graph, name) for name in node.inputs)
    ]
    return found[0] if len(found) == 1 else ""


def durations_output(graph: OnnxGraph) -> bytes | None:
    """What makes the durations an output of a model if it is appended to its file; empty if they are one.

    None if they are not found. kokoro_onnx knows the output by its name.
    """
    from onnx import GraphProto, ModelProto, ValueInfoProto, helper  # noqa: PLC0415  # heavy

    if OUTPUT in {each.name for each in graph.model.graph.output}:
        return b""
    durations = find_durations(graph)
    if not durations or OUTPUT in graph.producers or len(graph.model.graph.output) > 1:
        return None
    node = helper.make_node("Identity", [durations], [OUTPUT], name="wyoming_tts_durations")
    added = GraphProto(node=[node], output=[ValueInfoProto(name=OUTPUT)])
    content: bytes = ModelProto(graph=added).SerializeToString()
    return content


def _is_rounded(graph: OnnxGraph, name: str) -> bool:
    producer = graph.producers.get(name)
    return producer is not None and producer.kind == "Round"


def _find(graph: OnnxGraph) -> tuple[str, Node] | None:
    """The lengths that are divided by the speed, and the node that gives each a frame at least."""
    rounded = [node for node in graph.nodes if node.kind == "Round"]
    if len(rounded) != 1:
        return None
    quotient = graph.producers.get(rounded[0].inputs[0])
    limited = _only_user(graph, rounded[0])
    if quotient is None or quotient.kind != "Div" or limited is None or limited.kind not in _LIMITS:
        return None
    lengths, by = quotient.inputs
    users = graph.users.get(limited.outputs[0], [])
    is_of_speed = _SPEED_INPUT in graph.inputs and _SPEED_INPUT in {
        by,
        *(name for node in graph.ancestors([by]) for name in node.inputs),
    }
    if not is_of_speed or not users or any(node.kind != "Cast" for node in users):
        return None
    return lengths, limited


def _only_user(graph: OnnxGraph, node: Node) -> Node | None:
    users = graph.users.get(node.outputs[0], [])
    return users[0] if len(users) == 1 else None


def _steps(lengths: str, used: str) -> list[GraphStep]:
    return [
        ("Cast", [_SPEED_INPUT], "wyoming_tts_any_speed", {"to": FLOAT}),
        ("Cast", [lengths], "wyoming_tts_lengths", {"to": FLOAT}),
        ("Round", ["wyoming_tts_lengths"], "wyoming_tts_whole_lengths", {}),
        ("Max", ["wyoming_tts_whole_lengths", _ONE], "wyoming_tts_natural_lengths", {}),
        *scaling_steps("wyoming_tts_natural_lengths", used, speed="wyoming_tts_any_speed"),
    ]
