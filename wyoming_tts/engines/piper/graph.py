"""Cutting of a Piper voice's ONNX graph, so that audio is heard before all of a sentence is computed.

A Piper voice is a VITS model: a text encoder and a duration predictor that need the whole text, then
a flow and a decoder (HiFi-GAN) made of convolutions, in which a frame depends on a few frames around it
and on nothing else (the receptive field). Cut off from the rest, those two can run on a stretch of frames
with that many more on both sides, and give what they would give for the whole sentence.

Nothing is found by name, because every export has its own names. The decoder begins at the convolution
before the first ConvTranspose; the flow begins at the sum that takes the last random tensor. The
decoder is cut once more before its second ConvTranspose: what comes after is four fifths of its work
and depends on two frames to each side, what comes before on ten, so that apart they compute far less
for the edges of a stretch than together. That a part is local in time, and how far it reaches, is
proved operator by operator (`trace`). A graph for which that cannot be proved is not cut.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import starmap
from math import prod
from pathlib import Path
from typing import Any

from wyoming_tts.engines.piper.duration_guard import FRAMES, guard_durations, set_frame_limit
from wyoming_tts.engines.piper.text_graph import OPSETS, GraphWriter, TextOutputs, write_text_graph
from wyoming_tts.engines.piper.text_layers import UnknownLayers, read_text_layers
from wyoming_tts.engines.piper.trace import POINTWISE, CannotCut, Constants, Node, TimeTrace

__all__ = ["CannotCut", "GraphCut", "GraphPart", "PiperGraph"]

# The inputs of a Piper model that hold the text: only what depends on them has a time axis.
_TEXT_INPUTS = frozenset({"input", "input_lengths"})
_RANDOM = frozenset(
    ("Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike")
)
_FLOAT = 1


@dataclass(frozen=True, slots=True)
class GraphPart:
    """A part of the graph that is local in time."""

    source: str
    """Name of its input along time, shape (1, channels, length)."""
    result: str
    """Name of its output, shape (..., length * hop)."""
    time_inputs: frozenset[str]
    """Further inputs along time (the mask), whose last axis is as long as the source's, or 1."""
    static_inputs: frozenset[str]
    """Further inputs without a time axis (the speaker's embedding)."""
    left: int
    """Values of the source before its own on which a value of the result depends."""
    right: int
    """Values of the source after its own on which a value of the result depends."""
    hop: int
    """Values of the result, along time, for one value of the source."""

    @property
    def inputs(self) -> frozenset[str]:
        """Names of all its inputs."""
        return self.time_inputs | self.static_inputs | {self.source}


@dataclass(frozen=True, slots=True)
class GraphCut:
    """Where a graph is cut: text to frames, frames through the flow, frames to samples."""

    flow: GraphPart | None
    """None if it cannot be separated from the text."""
    decoder: tuple[GraphPart, ...]
    """One part, or two if it could be cut again."""
    no_flow_reason: str = ""
    """Why `flow` is None; empty if it is not."""

    @property
    def parts(self) -> tuple[GraphPart, ...]:
        """All parts after the text, each working on the result of the one before."""
        return (self.flow, *self.decoder) if self.flow else self.decoder

    @property
    def hop(self) -> int:
        """Samples for a frame."""
        return prod(part.hop for part in self.parts)


@dataclass(frozen=True, slots=True)
class RewrittenText:
    """Text part that was written anew."""

    content: bytes
    """A serialized model."""
    phonemes: int
    """How many ids it knows."""


class PiperGraph:
    """The graph of a Piper voice, as large in memory as its file."""

    def __init__(self, path: Path) -> None:
        """Read the file.

        Raises:
            CannotCut: not all its weights are in the file.
            Exception: of any kind that the onnx package raises for a file that is no model.
        """
        import onnx  # noqa: PLC0415  # heavy, and only needed while a voice is loaded

        self._onnx = onnx
        self._model = onnx.load(path, load_external_data=False)
        graph = self._model.graph
        if any(each.data_location for each in graph.initializer):
            raise CannotCut("its weights lie in other files")
        if graph.sparse_initializer:
            raise CannotCut("it has sparse weights")
        self._output = graph.output[0]
        weights = {each.name for each in graph.initializer}
        self._inputs = {each.name: each for each in graph.input if each.name not in weights}
        self._read_nodes()
        self.tells_frames = guard_durations(graph, self._text_dependent)
        """Whether it never makes more than `limit_frames`, and tells how many the sentence would have."""
        if self.tells_frames:
            self._read_nodes()

    def _read_nodes(self) -> None:
        graph = self._model.graph
        self._weights = {each.name: each for each in graph.initializer}
        self._nodes = [Node.of(each) for each in graph.node]
        self._producers = {output: node for node in self._nodes for output in node.outputs}
        random = [output for node in self._nodes if node.kind in _RANDOM for output in node.outputs]
        self._variable = self._dependents([*self._inputs, *random])
        self._text_dependent = self._dependents([*(_TEXT_INPUTS & self._inputs.keys()), *random])

    def cut(self) -> GraphCut:
        """Find where to cut it.

        Raises:
            CannotCut: not even the decoder can be separated.
        """
        output = self._output.name
        decoder = self._part(self._decoder_input(output), output)
        try:
            flow = self._flow(decoder)
        except CannotCut as error:
            return GraphCut(None, self._halves(decoder), str(error))
        return GraphCut(flow, self._halves(decoder))

    def limit_frames(self, frames: int) -> None:
        """Set how many frames it makes at most, if it `tells_frames`."""
        if self.tells_frames:
            set_frame_limit(self._model.graph, frames)

    def extract_whole(self) -> bytes:
        """Serialize all of it; its outputs are the samples, then FRAMES if it `tells_frames`."""
        return self._extract(self._inputs, [self._output.name, *self._told()])

    def extract_text_encoder(self, cut: GraphCut) -> bytes:
        """Serialize what comes before the cuts as a model of its own, with all inputs of the whole.

        Its outputs are the inputs of the later parts that are neither inputs of the whole nor results of a
        part, and FRAMES if it `tells_frames`.
        """
        return self._extract(self._inputs, self._text_outputs(cut))

    def rewrite_text_encoder(self, cut: GraphCut) -> RewrittenText:
        """Serialize what `extract_text_encoder` would, written anew with few operators.

        Raises:
            UnknownLayers: it has not the layers of VITS.
        """
        if cut.flow is None or len(cut.flow.time_inputs) != 1 or not self.tells_frames:
            raise UnknownLayers("its flow or its durations cannot be separated from the text")
        outputs = self._text_outputs(cut)
        nodes = self._ancestors(outputs, stop=self._inputs)
        of_speaker = self._variable - self._text_dependent
        nodes = [node for node in nodes if of_speaker.isdisjoint(node.outputs)]
        # Comparing runs them where nothing stops what does not end.
        if any(node.has_body for node in nodes):
            raise UnknownLayers("it has loops, branches or functions")
        layers = read_text_layers(nodes, Constants(self._weights, self._producers))
        condition = self._condition(nodes, layers.before.result)
        written = write_text_graph(layers, TextOutputs(cut.flow.source, *cut.flow.time_inputs), condition)
        made = {name for node in written.nodes for name in node.output}
        speaker = {name for name in (*outputs, condition) if name} - made
        if not speaker <= of_speaker:
            raise UnknownLayers("the text decides on more than the frames and their mask")
        return RewrittenText(self._with_copied(written, speaker, outputs), len(layers.embedding))

    def extract_part(self, part: GraphPart) -> bytes:
        """Serialize a part after a cut as a model of its own."""
        return self._extract(part.inputs, [part.result])

    def _with_copied(self, written: GraphWriter, copied: Collection[str], outputs: Collection[str]) -> bytes:
        """Serialize what was written, and tensors of the original that it takes."""
        nodes = self._ancestors(copied, stop=self._inputs)
        needed = {name for node in nodes for name in node.inputs}
        needed |= {name for node in written.nodes for name in node.input} - written.weights.keys()
        weights = [each for name, each in self._weights.items() if name in needed]
        return self._assemble(
            [*(node.proto for node in nodes), *written.nodes],
            [*weights, *written.weights.values()],
            OPSETS,
            self._inputs,
            outputs,
        )

    def _condition(self, nodes: Iterable[Node], result: str) -> str:
        """Name of what is added to the result without depending on the text; empty if it is not."""
        users = [node for node in nodes if node.kind == "Add" and result in node.inputs]
        others = [name for node in users for name in node.inputs if name in self._variable]
        return next((name for name in others if name not in self._text_dependent), "")

    def _text_outputs(self, cut: GraphCut) -> list[str]:
        results = {part.result for part in cut.parts}
        inputs = {name for part in cut.parts for name in part.inputs}
        return [*sorted(inputs - results - self._inputs.keys()), *self._told()]

    def _told(self) -> list[str]:
        return [FRAMES] if self.tells_frames else []

    def _flow(self, decoder: GraphPart) -> GraphPart:
        flow = self._part(self._flow_input(decoder.source), decoder.source)
        if flow.hop != 1:
            raise CannotCut("the flow changes the rate")
        if self._dependents([flow.source]) & (decoder.time_inputs | decoder.static_inputs):
            raise CannotCut("the decoder takes more from the flow than its result")
        return flow

    def _halves(self, decoder: GraphPart) -> tuple[GraphPart, ...]:
        """The decoder, cut before its second ConvTranspose if no other tensor crosses that place."""
        nodes = self._ancestors([decoder.result], stop={decoder.source})
        _, *further = [node for node in nodes if node.kind == "ConvTranspose"]
        try:
            middle = further[0].inputs[0]
            halves = self._part(decoder.source, middle), self._part(middle, decoder.result)
        except (IndexError, CannotCut):
            return (decoder,)
        return (decoder,) if halves[1].time_inputs else halves

    def _decoder_input(self, output: str) -> str:
        """The input of the convolution before the first ConvTranspose."""
        nodes = self._ancestors([output])
        node = next((node for node in nodes if node.kind == "ConvTranspose"), None)
        if node is None:
            raise CannotCut("it has no ConvTranspose")
        name = node.inputs[0]
        while (node := self._producers.get(name)) and node.kind != "Conv":
            operands = [each for each in node.inputs if each in self._text_dependent]
            if len(operands) != 1:
                raise CannotCut(f"before its first ConvTranspose a {node.kind} joins {len(operands)} tensors")
            name = operands[0]
        if node is None:
            raise CannotCut("there is no Conv before its first ConvTranspose")
        return node.inputs[0]

    def _flow_input(self, flow_output: str) -> str:
        """The sum to which the last random tensor, times its deviation, is added."""
        nodes = self._ancestors([flow_output])
        node = next((node for node in reversed(nodes) if node.kind in _RANDOM), None)
        if node is None:
            raise CannotCut("it draws no random numbers")
        while node.kind != "Add":
            users = [user for user in nodes if node.outputs[0] in user.inputs]
            if len(users) != 1 or users[0].kind not in ("Mul", "Add"):
                raise CannotCut("its last random tensor is not added to anything")
            node = users[0]
        return node.outputs[0]

    def _part(self, source: str, result: str) -> GraphPart:
        reached = self._dependents([source])
        if source == result or result not in reached:
            raise CannotCut("its result does not depend on where it would be cut")
        trace = TimeTrace(source, Constants(self._weights, self._producers))
        crossing: set[str] = set()
        hop = 1
        for node in self._ancestors([result], stop={source}):
            if not reached.isdisjoint(node.inputs):
                hop = trace.follow(node)
                crossing |= self._from_outside(node, reached, hop)
        left, right = trace.reach(result)
        static_inputs = frozenset(crossing - self._text_dependent)
        return GraphPart(
            source, result, frozenset(crossing & self._text_dependent), static_inputs, left, right, hop
        )

    def _from_outside(self, node: Node, inside: Collection[str], rate: int) -> set[str]:
        """The node's inputs that are neither computed inside the part nor constant."""
        names = {name for name in node.inputs if name in self._variable and name not in inside}
        if names and node.kind not in POINTWISE:
            raise CannotCut(f"a {node.kind} takes something from before the cut")
        # Along time, an operand has as many values as the tensor it is combined with, or a single one.
        if names & self._text_dependent and rate != 1:
            raise CannotCut("the decoder takes a second tensor with a time axis")
        return names

    def _dependents(self, names: Collection[str]) -> set[str]:
        """These tensors and all that are computed from them."""
        reached = set(names)
        for node in self._nodes:
            if not reached.isdisjoint(node.inputs):
                reached.update(node.outputs)
        return reached

    def _ancestors(self, names: Collection[str], stop: Collection[str] = ()) -> list[Node]:
        """The nodes that compute these tensors, in order, without those that compute `stop`."""
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
        weights = [each for name, each in self._weights.items() if name in needed]
        opsets = {each.domain: each.version for each in self._model.opset_import}
        return self._assemble([node.proto for node in nodes], weights, opsets, inputs, outputs)

    def _assemble(
        self,
        nodes: Iterable[Any],
        weights: Iterable[Any],
        opsets: Mapping[str, int],
        inputs: Collection[str],
        outputs: Collection[str],
    ) -> bytes:
        # Before version 4 every weight had to be declared as an input too.
        model = self._onnx.ModelProto(ir_version=max(4, self._model.ir_version))
        model.opset_import.extend(starmap(self._onnx.helper.make_opsetid, opsets.items()))
        model.functions.extend(self._model.functions)
        model.graph.name = self._model.graph.name or "part"
        model.graph.node.extend(nodes)
        model.graph.initializer.extend(weights)
        model.graph.input.extend(self._declaration(name) for name in sorted(inputs))
        model.graph.output.extend(self._declaration(name) for name in outputs)
        return model.SerializeToString()  # type: ignore[no-any-return]

    def _declaration(self, name: str) -> Any:
        known = {**self._inputs, self._output.name: self._output}
        return known.get(name) or self._onnx.helper.make_tensor_value_info(name, _FLOAT, None)
