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
proved operator by operator (`receptive_field`). A graph for which that cannot be proved is not cut.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from math import prod
from pathlib import Path

from wyoming_tts.engines.onnx_graph.graph import OnnxGraph
from wyoming_tts.engines.onnx_graph.local_part import LocalPart
from wyoming_tts.engines.onnx_graph.nodes import RANDOM, CannotCut, Node
from wyoming_tts.engines.onnx_graph.receptive_field import POINTWISE, TimeAxis, TimeTrace
from wyoming_tts.engines.piper.duration_guard import DURATIONS, FRAMES, guard_durations, set_frame_limit
from wyoming_tts.engines.piper.text_graph import OPSETS, GraphWriter, TextOutputs, write_text_graph
from wyoming_tts.engines.piper.text_layers import UnknownLayers, read_text_layers

__all__ = ["CannotCut", "GraphCut", "PiperGraph"]

# The inputs of a Piper model that hold the text: only what depends on them has a time axis.
_TEXT_INPUTS = frozenset({"input", "input_lengths"})
_FLOAT = 1


@dataclass(frozen=True, slots=True)
class GraphCut:
    """Where a graph is cut: text to frames, frames through the flow, frames to samples."""

    flow: LocalPart | None
    """None if it cannot be separated from the text."""
    decoder: tuple[LocalPart, ...]
    """One part, or two if it could be cut again."""
    no_flow_reason: str = ""
    """Why `flow` is None; empty if it is not."""

    @property
    def parts(self) -> tuple[LocalPart, ...]:
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
        self._graph = OnnxGraph.read(path)
        self._find_variable()
        self.tells_frames = guard_durations(self._graph.model.graph, self._text_dependent)
        """Whether it never makes more than `limit_frames`, and tells how many a sentence and its ids have."""
        if self.tells_frames:
            self._graph.read_nodes()
            self._find_variable()

    def _find_variable(self) -> None:
        graph = self._graph
        random = [output for node in graph.nodes if node.kind in RANDOM for output in node.outputs]
        self._variable = graph.dependents([*graph.inputs, *random])
        self._text_dependent = graph.dependents([*(_TEXT_INPUTS & graph.inputs.keys()), *random])

    def cut(self) -> GraphCut:
        """Find where to cut it.

        Raises:
            CannotCut: not even the decoder can be separated.
        """
        output = self._graph.output.name
        decoder = self._part(self._decoder_input(output), output)
        try:
            flow = self._flow(decoder)
        except CannotCut as error:
            return GraphCut(None, self._halves(decoder), str(error))
        return GraphCut(flow, self._halves(decoder))

    def limit_frames(self, frames: int) -> None:
        """Set how many frames it makes at most, if it `tells_frames`."""
        if self.tells_frames:
            set_frame_limit(self._graph.model.graph, frames)

    def extract_whole(self) -> bytes:
        """Serialize all of it: its outputs are the samples, FRAMES and DURATIONS if it `tells_frames`."""
        return self._graph.extract(self._graph.inputs, [self._graph.output.name, *self._told()])

    def extract_text_encoder(self, cut: GraphCut) -> bytes:
        """Serialize what comes before the cuts as a model of its own, with all inputs of the whole.

        Its outputs are the inputs of the later parts that are neither inputs of the whole nor results of a
        part, and FRAMES and DURATIONS if it `tells_frames`.
        """
        return self._graph.extract(self._graph.inputs, self._text_outputs(cut))

    def rewrite_text_encoder(self, cut: GraphCut) -> RewrittenText:
        """Serialize what `extract_text_encoder` would, written anew with few operators.

        Raises:
            UnknownLayers: it has not the layers of VITS.
        """
        if cut.flow is None or len(cut.flow.time_inputs) != 1 or not self.tells_frames:
            raise UnknownLayers("its flow or its durations cannot be separated from the text")
        outputs = self._text_outputs(cut)
        nodes = self._graph.ancestors(outputs, stop=self._graph.inputs)
        of_speaker = self._variable - self._text_dependent
        nodes = [node for node in nodes if of_speaker.isdisjoint(node.outputs)]
        # Comparing runs them where nothing stops what does not end.
        if any(node.has_body for node in nodes):
            raise UnknownLayers("it has loops, branches or functions")
        layers = read_text_layers(nodes, self._graph.constants)
        condition = self._condition(nodes, layers.before.result)
        written = write_text_graph(layers, TextOutputs(cut.flow.source, *cut.flow.time_inputs), condition)
        made = {name for node in written.nodes for name in node.output}
        speaker = {name for name in (*outputs, condition) if name} - made
        if not speaker <= of_speaker:
            raise UnknownLayers("the text decides on more than the frames and their mask")
        return RewrittenText(self._with_copied(written, speaker, outputs), len(layers.embedding))

    def extract_part(self, part: LocalPart) -> bytes:
        """Serialize a part after a cut as a model of its own."""
        return self._graph.extract(part.inputs, [part.result])

    def _with_copied(self, written: GraphWriter, copied: Collection[str], outputs: Collection[str]) -> bytes:
        """Serialize what was written, and tensors of the original that it takes."""
        nodes = self._graph.ancestors(copied, stop=self._graph.inputs)
        needed = {name for node in nodes for name in node.inputs}
        needed |= {name for node in written.nodes for name in node.input} - written.weights.keys()
        weights = [each for name, each in self._graph.weights.items() if name in needed]
        return self._graph.assemble(
            [*(node.proto for node in nodes), *written.nodes],
            [*weights, *written.weights.values()],
            OPSETS,
            self._graph.inputs,
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
        return [*sorted(inputs - results - self._graph.inputs.keys()), *self._told()]

    def _told(self) -> list[str]:
        return [FRAMES, DURATIONS] if self.tells_frames else []

    def _flow(self, decoder: LocalPart) -> LocalPart:
        flow = self._part(self._flow_input(decoder.source), decoder.source)
        if flow.hop != 1:
            raise CannotCut("the flow changes the rate")
        if self._graph.dependents([flow.source]) & (decoder.time_inputs.keys() | decoder.static_inputs):
            raise CannotCut("the decoder takes more from the flow than its result")
        return flow

    def _halves(self, decoder: LocalPart) -> tuple[LocalPart, ...]:
        """The decoder, cut before its second ConvTranspose if no other tensor crosses that place."""
        nodes = self._graph.ancestors([decoder.result], stop={decoder.source})
        _, *further = [node for node in nodes if node.kind == "ConvTranspose"]
        try:
            middle = further[0].inputs[0]
            halves = self._part(decoder.source, middle), self._part(middle, decoder.result)
        except (IndexError, CannotCut):
            return (decoder,)
        return (decoder,) if halves[1].time_inputs else halves

    def _decoder_input(self, output: str) -> str:
        """The input of the convolution before the first ConvTranspose."""
        nodes = self._graph.ancestors([output])
        node = next((node for node in nodes if node.kind == "ConvTranspose"), None)
        if node is None:
            raise CannotCut("it has no ConvTranspose")
        name = node.inputs[0]
        while (node := self._graph.producers.get(name)) and node.kind != "Conv":
            operands = [each for each in node.inputs if each in self._text_dependent]
            if len(operands) != 1:
                raise CannotCut(f"before its first ConvTranspose a {node.kind} joins {len(operands)} tensors")
            name = operands[0]
        if node is None:
            raise CannotCut("there is no Conv before its first ConvTranspose")
        return node.inputs[0]

    def _flow_input(self, flow_output: str) -> str:
        """The sum to which the last random tensor, times its deviation, is added."""
        nodes = self._graph.ancestors([flow_output])
        node = next((node for node in reversed(nodes) if node.kind in RANDOM), None)
        if node is None:
            raise CannotCut("it draws no random numbers")
        while node.kind != "Add":
            users = [user for user in nodes if node.outputs[0] in user.inputs]
            if len(users) != 1 or users[0].kind not in ("Mul", "Add"):
                raise CannotCut("its last random tensor is not added to anything")
            node = users[0]
        return node.outputs[0]

    def _part(self, source: str, result: str) -> LocalPart:
        reached = self._graph.dependents([source])
        if source == result or result not in reached:
            raise CannotCut("its result does not depend on where it would be cut")
        trace = TimeTrace({source: TimeAxis(1)}, self._graph.constants)
        crossing: set[str] = set()
        axis = TimeAxis(1)
        for node in self._graph.ancestors([result], stop={source}):
            if not reached.isdisjoint(node.inputs):
                axis = trace.follow(node)
                crossing |= self._from_outside(node, reached, axis.rate)
        if axis.extra:
            raise CannotCut("it adds or drops values at its ends")
        left, right = trace.reach(result)
        static_inputs = frozenset(crossing - self._text_dependent)
        time_inputs = dict.fromkeys(sorted(crossing & self._text_dependent), TimeAxis(1))
        return LocalPart(source, result, time_inputs, static_inputs, left, right, axis)

    def _from_outside(self, node: Node, inside: Collection[str], rate: int) -> set[str]:
        """The node's inputs that are neither computed inside the part nor constant."""
        names = {name for name in node.inputs if name in self._variable and name not in inside}
        if names and node.kind not in POINTWISE:
            raise CannotCut(f"a {node.kind} takes something from before the cut")
        # Along time, an operand has as many values as the tensor it is combined with, or a single one.
        if names & self._text_dependent and rate != 1:
            raise CannotCut("the decoder takes a second tensor with a time axis")
        return names
