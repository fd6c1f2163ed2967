"""Finds where a Piper voice's graph can be cut, so that speech is heard before all of it is computed.

A Piper voice is a VITS model: a text encoder and a duration predictor that need the whole text, then
a flow and a decoder (HiFi-GAN) that are convolutions: a frame of theirs depends on a few frames
around it and on nothing else. Cut off from the rest, those two run on a stretch of frames with that
many on both sides, and make there what they would make of the whole sentence.

Nothing is found by its name, because every export has its own. The decoder begins at the convolution
before the first ConvTranspose; the flow begins at the sum that takes the last random tensor. The
decoder is cut once more before its second ConvTranspose: what lies behind is four fifths of its work
and reaches over two frames, what lies before reaches over ten, so that apart they compute far less
for the edges of a stretch than together. That a part is local in time, and how far it reaches, is
proved operator by operator. A graph for which that cannot be proved is not cut.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from wyoming_tts.engines.piper.trace import POINTWISE, CannotCut, Constants, Node, TimeTrace

__all__ = ["CannotCut", "GraphCut", "GraphPart", "PiperGraph"]

# The inputs of a Piper model that tell what to say: only what depends on them knows of time.
_TEXT = frozenset({"input", "input_lengths"})
_RANDOM = frozenset(
    ("Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike")
)
_FLOAT = 1


@dataclass(frozen=True, slots=True)
class GraphPart:
    """A piece of the graph that is local in time."""

    source: str
    """Name of the tensor it works on, shape (1, channels, length)."""
    result: str
    """Name of what it makes of that, shape (..., length * hop)."""
    framed: frozenset[str]
    """Further inputs, whose last axis is as long unless it is 1: the mask."""
    still: frozenset[str]
    """Further inputs that know nothing of time: what tells the speaker."""
    left: int
    """How many values along time, before the one it is made of, a result depends on."""
    right: int
    """How many after it."""
    hop: int
    """Values of the result, along time, for one of the source."""

    @property
    def inputs(self) -> frozenset[str]:
        """Names of all its inputs."""
        return self.framed | self.still | {self.source}


@dataclass(frozen=True, slots=True)
class GraphCut:
    """Where a graph is cut: text to frames, frames through the flow, frames to samples."""

    flow: GraphPart | None
    """None where it has to stay with the text."""
    decoder: tuple[GraphPart, ...]
    """One part, or two where it could be cut again."""
    why_no_flow: str = ""

    @property
    def parts(self) -> tuple[GraphPart, ...]:
        """All that comes after the text, each working on the result of the one before."""
        return (self.flow, *self.decoder) if self.flow else self.decoder

    @property
    def hop(self) -> int:
        """Samples of a frame."""
        return prod(part.hop for part in self.parts)


class PiperGraph:
    """The graph of a Piper voice, read from its file; as large in memory as that."""

    def __init__(self, path: Path) -> None:
        """Read the file.

        Raises:
            CannotCut: not all its weights are in the file.
            Exception: what the onnx package raises for a file that is no model.
        """
        import onnx  # noqa: PLC0415  # heavy, and nobody needs it but for a moment

        self._onnx = onnx
        self._model = onnx.load(path, load_external_data=False)
        graph = self._model.graph
        if any(each.data_location for each in graph.initializer):
            raise CannotCut("its weights lie in other files")
        if graph.sparse_initializer:
            raise CannotCut("it has sparse weights")
        self._weights = {each.name: each for each in graph.initializer}
        self._inputs = {each.name: each for each in graph.input if each.name not in self._weights}
        self._output = graph.output[0]
        self._nodes = [Node.of(each) for each in graph.node]
        self._producers = {output: node for node in self._nodes for output in node.outputs}
        drawn = [output for node in self._nodes if node.kind in _RANDOM for output in node.outputs]
        self._variable = self._dependents([*self._inputs, *drawn])
        self._spoken = self._dependents([*(_TEXT & self._inputs.keys()), *drawn])

    def cut(self) -> GraphCut:
        """Where to cut it.

        Raises:
            CannotCut: not even the decoder can be cut off.
        """
        output = self._output.name
        decoder = self._part(self._decoder_input(output), output)
        try:
            flow = self._flow(decoder)
        except CannotCut as error:
            return GraphCut(None, self._halves(decoder), str(error))
        return GraphCut(flow, self._halves(decoder))

    def text(self, cut: GraphCut) -> bytes:
        """What comes before the cuts as a model of its own, with all the inputs of the whole.

        Its outputs are all that the later parts take which is neither an input nor made by a part.
        """
        made = {part.result for part in cut.parts}
        taken = {name for part in cut.parts for name in part.inputs}
        return self._extract(self._inputs, sorted(taken - made - self._inputs.keys()))

    def part(self, part: GraphPart) -> bytes:
        """A part behind a cut as a model of its own."""
        return self._extract(part.inputs, [part.result])

    def _flow(self, decoder: GraphPart) -> GraphPart:
        flow = self._part(self._flow_input(decoder.source), decoder.source)
        if flow.hop != 1:
            raise CannotCut("the flow changes the pace")
        if self._dependents([flow.source]) & (decoder.framed | decoder.still):
            raise CannotCut("the decoder takes more from the flow than its result")
        return flow

    def _halves(self, decoder: GraphPart) -> tuple[GraphPart, ...]:
        """The decoder, cut before its second ConvTranspose if nothing else goes past that place."""
        nodes = self._ancestors([decoder.result], stop={decoder.source})
        _, *further = [node for node in nodes if node.kind == "ConvTranspose"]
        try:
            middle = further[0].inputs[0]
            halves = self._part(decoder.source, middle), self._part(middle, decoder.result)
        except (IndexError, CannotCut):
            return (decoder,)
        return (decoder,) if halves[1].framed else halves

    def _decoder_input(self, output: str) -> str:
        """What goes into the convolution before the first ConvTranspose."""
        nodes = self._ancestors([output])
        node = next((node for node in nodes if node.kind == "ConvTranspose"), None)
        if node is None:
            raise CannotCut("it has no ConvTranspose")
        name = node.inputs[0]
        while (node := self._producers.get(name)) and node.kind != "Conv":
            spoken = [each for each in node.inputs if each in self._spoken]
            if len(spoken) != 1:
                raise CannotCut(f"before its first ConvTranspose a {node.kind} joins {len(spoken)} tensors")
            name = spoken[0]
        if node is None:
            raise CannotCut("before its first ConvTranspose is no Conv")
        return node.inputs[0]

    def _flow_input(self, flow_output: str) -> str:
        """The sum that takes the last random tensor, times its deviation."""
        nodes = self._ancestors([flow_output])
        node = next((node for node in reversed(nodes) if node.kind in _RANDOM), None)
        if node is None:
            raise CannotCut("it draws no random numbers")
        while node.kind != "Add":
            users = [user for user in nodes if node.outputs[0] in user.inputs]
            if len(users) != 1 or users[0].kind not in ("Mul", "Add"):
                raise CannotCut("its last random tensor goes into no sum")
            node = users[0]
        return node.outputs[0]

    def _part(self, source: str, result: str) -> GraphPart:
        reached = self._dependents([source])
        if source == result or result not in reached:
            raise CannotCut("its result does not follow from where it would be cut")
        trace = TimeTrace(source, Constants(self._weights, self._producers))
        crossing: set[str] = set()
        hop = 1
        for node in self._ancestors([result], stop={source}):
            if not reached.isdisjoint(node.inputs):
                hop = trace.follow(node)
                crossing |= self._from_outside(node, reached, hop)
        left, right = trace.reach(result)
        still = frozenset(crossing - self._spoken)
        return GraphPart(source, result, frozenset(crossing & self._spoken), still, left, right, hop)

    def _from_outside(self, node: Node, inside: Collection[str], rate: int) -> set[str]:
        """The node's inputs that neither follow from inside the part nor are constant."""
        names = {name for name in node.inputs if name in self._variable and name not in inside}
        if names and node.kind not in POINTWISE:
            raise CannotCut(f"a {node.kind} takes something from before the cut")
        # Along time, a partner has as many values as the tensor it is joined with, or a single one.
        if names & self._spoken and rate != 1:
            raise CannotCut("the decoder takes a second tensor with a time axis")
        return names

    def _dependents(self, names: Collection[str]) -> set[str]:
        """These tensors and all that is computed from them."""
        reached = set(names)
        for node in self._nodes:
            if not reached.isdisjoint(node.inputs):
                reached.update(node.outputs)
        return reached

    def _ancestors(self, names: Collection[str], stop: Collection[str] = ()) -> list[Node]:
        """The nodes by which these tensors are computed, in order, not looking beyond `stop`."""
        needed = set(names)
        found = []
        for node in reversed(self._nodes):
            if any(output in needed and output not in stop for output in node.outputs):
                found.append(node)
                needed.update(node.inputs)
        return found[::-1]

    def _extract(self, inputs: Collection[str], outputs: Collection[str]) -> bytes:
        nodes = self._ancestors(outputs, stop=inputs)
        needed = {name for node in nodes for name in node.inputs}
        # Before version 4 every weight had to be declared as an input too.
        model = self._onnx.ModelProto(ir_version=max(4, self._model.ir_version))
        model.opset_import.extend(self._model.opset_import)
        model.functions.extend(self._model.functions)
        model.graph.name = self._model.graph.name or "part"
        model.graph.node.extend(node.proto for node in nodes)
        model.graph.initializer.extend(each for name, each in self._weights.items() if name in needed)
        model.graph.input.extend(self._declaration(name) for name in sorted(inputs))
        model.graph.output.extend(self._declaration(name) for name in outputs)
        return model.SerializeToString()  # type: ignore[no-any-return]

    def _declaration(self, name: str) -> Any:
        known = {**self._inputs, self._output.name: self._output}
        return known.get(name) or self._onnx.helper.make_tensor_value_info(name, _FLOAT, None)
