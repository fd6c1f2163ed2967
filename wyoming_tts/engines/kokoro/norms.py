"""Instance norms in a graph: what is normalized over time, and the scales and shifts that follow.

An instance norm takes each channel's mean and variance over all of the time that it is given, so what comes
after it depends on all of that. With the two given instead, it is a multiplication and an addition. Exporters
write it as one operator or as seven.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from wyoming_tts.engines.onnx_graph.graph import OnnxGraph
from wyoming_tts.engines.onnx_graph.nodes import CannotCut, Node

_DEFAULT_EPSILON = 1e-5


@dataclass(frozen=True, slots=True)
class Affine:
    """A scale and a shift that follow a norm; AdaIN has one of each for a channel, made from the style."""

    scale: str
    """Names of tensors of shape (1, channels, 1)."""
    shift: str
    result: str


@dataclass(frozen=True, slots=True)
class InstanceNorm:
    """A norm, with all that is made from its result."""

    source: str
    """Name of what is normalized, shape (1, channels, length)."""
    epsilon: float
    affines: tuple[Affine, ...]
    inner: frozenset[str]
    """Names of the tensors between the source and the results."""


def find_instance_norms(graph: OnnxGraph, nodes: list[Node]) -> list[InstanceNorm]:
    """Find all instance norms among some nodes of a graph; those of the same tensor are one.

    Raises:
        CannotCut: one is not followed by a scale and a shift, or one tensor is normalized in two ways.
    """
    norms: dict[str, InstanceNorm] = {}
    for norm in _found(graph, nodes):
        other = norms.get(norm.source, norm)
        if norm.epsilon != other.epsilon:
            raise CannotCut("a tensor is normalized with two epsilons")
        norms[norm.source] = norm if other is norm else _joined(other, norm)
    return [*norms.values()]


def _joined(norm: InstanceNorm, other: InstanceNorm) -> InstanceNorm:
    """Blocks side by side normalize what all are given: once, or, as most exporters have it, each."""
    return replace(norm, affines=norm.affines + other.affines, inner=norm.inner | other.inner)


def _found(graph: OnnxGraph, nodes: list[Node]) -> Iterator[InstanceNorm]:
    for node in nodes:
        if node.kind == "InstanceNormalization":
            yield _fused(graph, node)
        elif node.kind == "ReduceMean" and (steps := _steps(graph, node)):
            yield _decomposed(graph, node, steps)


def _fused(graph: OnnxGraph, node: Node) -> InstanceNorm:
    for name, value in zip(node.inputs[1:3], (1.0, 0.0), strict=True):
        values = graph.constants.floats(name)
        if values is None or not np.all(values == value):
            raise CannotCut("an InstanceNormalization has weights of its own")
    epsilon = node.number("epsilon", _DEFAULT_EPSILON)
    return _norm(graph, node.inputs[0], epsilon, node.outputs[0], frozenset(node.outputs))


def _steps(graph: OnnxGraph, mean: Node) -> list[Node] | None:
    """The nodes from the mean of a tensor to the tensor normalized; None if it is another mean."""
    source = mean.inputs[0]
    centred = next(
        (
            user
            for user in graph.users.get(mean.outputs[0], [])
            if user.kind == "Sub" and user.inputs[0] == source
        ),
        None,
    )
    if centred is None:
        return None
    steps = [mean, centred]
    for kinds in ("Mul|Pow", "ReduceMean", "Add", "Sqrt", "Div"):
        users = [user for user in graph.users.get(steps[-1].outputs[0], []) if user.kind in kinds.split("|")]
        if not users:
            return None
        steps.append(users[0])
    is_norm = steps[-1].inputs == (centred.outputs[0], steps[-2].outputs[0])
    return steps if is_norm else None


def _decomposed(graph: OnnxGraph, mean: Node, steps: list[Node]) -> InstanceNorm:
    _, _, _, _, added, _, result = steps
    epsilon = next(
        (values for name in added.inputs if (values := graph.constants.floats(name)) is not None), None
    )
    if epsilon is None or epsilon.size != 1:
        raise CannotCut("the epsilon of a norm is computed")
    inner = frozenset(name for step in steps for name in step.outputs)
    return _norm(graph, mean.inputs[0], float(epsilon.ravel()[0]), result.outputs[0], inner)


def _norm(
    graph: OnnxGraph, source: str, epsilon: float, normalized: str, inner: frozenset[str]
) -> InstanceNorm:
    affines = []
    for scaled in graph.users.get(normalized, []):
        added = graph.users.get(scaled.outputs[0], [])
        if scaled.kind != "Mul" or len(added) != 1 or added[0].kind != "Add":
            raise CannotCut("a norm is not followed by a scale and a shift")
        scale, shift = _other(scaled, normalized), _other(added[0], scaled.outputs[0])
        affines.append(Affine(scale, shift, added[0].outputs[0]))
        inner |= {scaled.outputs[0]}
    return InstanceNorm(source, epsilon, tuple(affines), inner)


def _other(node: Node, name: str) -> str:
    return node.inputs[1] if node.inputs[0] == name else node.inputs[0]
