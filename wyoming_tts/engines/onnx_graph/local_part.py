"""Part of a graph that is local in time, and can so run on a stretch of its source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wyoming_tts.engines.onnx_graph.receptive_field import TimeAxis


@dataclass(frozen=True, slots=True)
class LocalPart:
    """A part of a graph, and how far it reaches."""

    source: str
    """Name of its input along time, shape (1, channels, length)."""
    result: str
    """Name of its output, shape (..., axis.rate * length + axis.extra)."""
    time_inputs: Mapping[str, TimeAxis]
    """Further inputs along time, and how long each is for a length of the source; or 1."""
    static_inputs: frozenset[str]
    """Further inputs without a time axis (the speaker's embedding)."""
    left: int
    """Values of the source before its own on which a value of the result depends."""
    right: int
    """Values of the source after its own on which a value of the result depends."""
    axis: TimeAxis
    """Of the result: how many values it has for one value of the source."""

    @property
    def hop(self) -> int:
        """Values of the result, along time, for one value of the source."""
        return self.axis.rate

    @property
    def inputs(self) -> frozenset[str]:
        """Names of all its inputs."""
        return self.static_inputs | self.time_inputs.keys() | {self.source}
