"""Cutting of a Kokoro model's ONNX graph, so that audio is heard before all of a sentence is computed.

A Kokoro model is a StyleTTS 2 with an iSTFTNet: text and prosody, which need the whole sentence, a source
of harmonics, decoder blocks, and a generator, which is nearly all of the work. All but the generator stay as
they are, with whatever numbers they compute in, and run once for a sentence. The generator is written anew
(`generator_graph`) and runs on stretches. That it is local in time once the statistics of its norms are
given, and how far it reaches, is proved operator by operator (`onnx_graph.receptive_field`).

Nothing is found by name, because every export has its own names:

* The spectrum is the result of the last convolution before the inverse Fourier transform.
* The generator's frames are what its first ConvTranspose takes that is not depthwise.
* The harmonics are the last tensor through which all goes that the generator takes besides and that the
  text decides on; the pitch is the last one through which all of the harmonics goes and that the blocks take
  as well.
* The energy is what the blocks take through a convolution with a single channel, as they take the pitch.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any, Final

from wyoming_tts.engines.kokoro.durations import find_durations, scale_durations
from wyoming_tts.engines.kokoro.generator_graph import (
    HARMONICS,
    GeneratorNames,
    WrittenGenerator,
    write_generator,
)
from wyoming_tts.engines.kokoro.norms import InstanceNorm, find_instance_norms
from wyoming_tts.engines.kokoro.source_graph import stft_results, write_source
from wyoming_tts.engines.onnx import has_exact_products
from wyoming_tts.engines.onnx_graph.constant_folding import fold_constants
from wyoming_tts.engines.onnx_graph.float_operators import FloatOperators
from wyoming_tts.engines.onnx_graph.graph import OnnxGraph
from wyoming_tts.engines.onnx_graph.integer_operators import SignedWeights
from wyoming_tts.engines.onnx_graph.local_part import LocalPart
from wyoming_tts.engines.onnx_graph.nodes import FLOAT, CannotCut, Node
from wyoming_tts.engines.onnx_graph.receptive_field import TimeAxis, TimeTrace

STYLE: Final = "style"
_CONVOLUTIONS = ("Conv", "ConvInteger")
_CUBE = 3


@dataclass(frozen=True, slots=True)
class KokoroCut:
    """Where a graph is cut; all are names of tensors in it."""

    pitch: str
    """Shape (1, 1, frames)."""
    energy: str
    """Shape (1, 1, frames)."""
    durations: str
    """Of the tokens, in pairs of frames; empty if they cannot be found."""
    harmonics: str
    """Shape (1, bins + 2, rate * frames + 1)."""
    frames: str
    """Shape (1, channels, frames)."""
    places: tuple[str, ...]
    """Where the generator begins, where it is cut again, and the spectrum, which has `bins + 2` channels."""
    parts: tuple[LocalPart, ...]
    """Of the generator, with the names that they have once they are written."""
    bins: int
    """Length of the Fourier transform: there are half as many magnitudes and phases, and one of each more."""

    @property
    def rate(self) -> int:
        """Columns of the spectrum for a frame."""
        return prod(part.hop for part in self.parts)


class KokoroGraph:
    """The graph of a Kokoro model, as large in memory as its file."""

    def __init__(self, path: Path) -> None:
        """Read the file.

        Raises:
            CannotCut: not all its weights are in the file.
            Exception: of any kind that the onnx package raises for a file that is no model.
        """
        graph = self._graph = OnnxGraph.read(path)
        self._durations = scale_durations(graph) or find_durations(graph)
        self._quantized = SignedWeights(graph) if has_exact_products() else graph
        self._inputs = graph.inputs.keys()
        self._text = graph.dependents(self._inputs - {STYLE, "speed"})
        self._variable = graph.dependents(self._inputs)

    def cut(self) -> KokoroCut:
        """Find where to cut it, and prove that the generator is local in time.

        Raises:
            CannotCut: it has not the structure, or the generator is not known to be local.
        """
        spectrum, bins = self._spectrum()
        *places, rate = self._places(spectrum)
        frames = places[0]
        harmonics = self._harmonics(spectrum, frames)
        pitch = self._dominator([harmonics], self._graph.ancestors([frames]))
        energy = self._energy(frames, pitch)
        self._floats = self._in_floats(spectrum, {frames, harmonics})
        self._norms = find_instance_norms(self._floats, self._floats.nodes)
        parts = tuple(self._parts(places, harmonics, rate))
        return KokoroCut(pitch, energy, self._durations, harmonics, frames, tuple(places), parts, bins)

    def write_generator(self, cut: KokoroCut) -> list[WrittenGenerator]:
        """The parts of the generator as models of their own, after `cut`.

        Raises:
            CannotCut: it has an operator that is not known.
        """
        return [
            write_generator(
                self._floats,
                self._norms_of(source, cut.harmonics, result),
                GeneratorNames(number),
                source=source,
                harmonics=cut.harmonics,
                result=result,
            )
            for number, (source, result) in enumerate(pairwise(cut.places))
        ]

    def extract_generator(self, cut: KokoroCut) -> bytes:
        """The generator as it was, but in floats."""
        return self._floats.extract([cut.frames, cut.harmonics, STYLE], [cut.places[-1]])

    def extract_transform(self, cut: KokoroCut) -> bytes:
        """What makes the samples from the spectrum, in floats."""
        spectrum, samples = cut.places[-1], self._graph.output.name
        return self._in_floats(samples, {spectrum}).extract([spectrum], [samples])

    def text_outputs(self, cut: KokoroCut) -> list[str]:
        """What the text part has to make for the others: the pitch, the energy, then what the blocks take."""
        pitch = self._graph.dependents([cut.pitch])
        blocks = [
            node for node in self._graph.ancestors([cut.frames], stop={cut.pitch}) if pitch & {*node.outputs}
        ]
        taken = {
            name for node in blocks for name in node.inputs if name in self._variable and name not in pitch
        }
        told = [cut.durations] if cut.durations else []
        return [cut.pitch, cut.energy, *told, *sorted(taken - {cut.energy} - self._inputs)]

    def extract_text(self, cut: KokoroCut) -> bytes:
        """What makes `text_outputs` from the model's inputs."""
        return self._quantized.extract(self._inputs, self.text_outputs(cut))

    def extract_source(self, cut: KokoroCut) -> bytes:
        """What makes the harmonics from the pitch, written anew where that is faster."""
        return write_source(self._graph, cut.pitch, cut.harmonics)

    def extract_transforms(self, cut: KokoroCut) -> Iterator[tuple[bytes, bytes]]:
        """What of the source is written anew: each as it was, and as it is, from the pitch to its result."""
        for result in stft_results(self._graph, cut.pitch, cut.harmonics):
            yield (
                self._graph.extract([cut.pitch], [result]),
                write_source(self._graph, cut.pitch, result),
            )

    def extract_blocks(self, cut: KokoroCut) -> bytes:
        """What makes the frames from what the text part makes."""
        return self._quantized.extract(self._blocks_inputs(cut), [cut.frames])

    def extract_originals(self, cut: KokoroCut) -> tuple[bytes, bytes]:
        """The text part and the blocks as they were."""
        text = self._graph.extract(self._inputs, self.text_outputs(cut))
        return text, self._graph.extract(self._blocks_inputs(cut), [cut.frames])

    def _blocks_inputs(self, cut: KokoroCut) -> list[str]:
        outputs = self.text_outputs(cut)
        nodes = self._graph.ancestors([cut.frames], stop=outputs)
        needed = {name for node in nodes for name in node.inputs}
        return [name for name in (*outputs, *self._inputs) if name in needed]

    def extract_style(self, generator: Iterable[WrittenGenerator]) -> bytes:
        """What makes the scales and the shifts of the generator's norms from the style."""
        affines = [affine for part in generator for affine in part.affines]
        names = dict.fromkeys(name for affine in affines for name in (affine.scale, affine.shift))
        return self._floats.extract([STYLE], [*names])

    def _spectrum(self) -> tuple[str, int]:
        """The result of the last convolution, and the length of the transform."""
        nodes = self._graph.ancestors([self._graph.output.name])
        node = next((node for node in reversed(nodes) if node.kind in _CONVOLUTIONS), None)
        weight = self._graph.constants.weights(node.inputs[1]) if node else None
        if node is None or weight is None or len(weight.dims) != _CUBE:
            raise CannotCut("it has no convolution before its result")
        channels = int(weight.dims[0])
        if channels % 2 or channels <= 2:  # noqa: PLR2004  # magnitudes and phases, each half the bins and one
            raise CannotCut(f"its last convolution makes {channels} channels, which are no spectrum")
        return self._in_floats_name(node), channels - 2

    def _in_floats_name(self, node: Node) -> str:
        """Name of the floats that an operator makes, which for a quantized one come three operators later."""
        name = node.outputs[0]
        if node.kind != "ConvInteger":
            return name
        for kind in ("Add", "Cast", "Mul"):
            user = next((user for user in self._graph.users.get(name, []) if user.kind == kind), None)
            name = user.outputs[0] if user else name
        return name

    def _places(self, spectrum: str) -> tuple[Any, ...]:
        """What each ConvTranspose takes that is not depthwise, the spectrum, and the columns of a frame."""
        nodes = self._graph.ancestors([spectrum])
        rising = [node for node in nodes if node.kind == "ConvTranspose" and node.integer("group") <= 1]
        if not rising:
            raise CannotCut("it has no ConvTranspose")
        rate = prod((node.integers("strides") or [1])[0] for node in rising)
        return (*(node.inputs[0] for node in rising), spectrum, rate)

    def _harmonics(self, spectrum: str, frames: str) -> str:
        reached = self._graph.dependents([frames])
        nodes = self._graph.ancestors([spectrum], stop={frames})
        crossing = {
            name
            for node in nodes
            if not reached.isdisjoint(node.outputs)
            for name in node.inputs
            if name in self._text and name not in reached
        }
        return self._dominator(crossing, nodes)

    def _dominator(self, names: Collection[str], nodes: Sequence[Node]) -> str:
        """The last tensor of some nodes through which all goes by which the text decides on these names."""
        made = {output for node in nodes for output in node.outputs}
        # Of what was walked back so far, all that the text decides on depends on these alone.
        needed = self._text.intersection(names)
        for node in reversed(self._graph.ancestors(names)):
            if needed.isdisjoint(node.outputs):
                continue
            needed = (needed - {*node.outputs}) | self._text.intersection(node.inputs)
            if len(needed) == 1 and needed <= made:
                return needed.pop()
        raise CannotCut("its harmonics do not all come from one tensor")

    def _energy(self, frames: str, pitch: str) -> str:
        """The data of a convolution with one channel that does not depend on the pitch."""
        by_pitch = self._graph.dependents([pitch])
        for node in self._graph.ancestors([frames]):
            weight = self._graph.constants.weights(node.inputs[1]) if node.kind in _CONVOLUTIONS else None
            if weight is None or [*weight.dims[:2]] != [1, 1]:
                continue
            data = node.inputs[0]
            producer = self._graph.producers.get(data)
            if producer is not None and producer.kind == "DynamicQuantizeLinear":
                data = producer.inputs[0]
            if data != pitch and data not in by_pitch:
                return data
        raise CannotCut("its decoder takes no energy")

    def _in_floats(self, result: str, sources: Collection[str]) -> OnnxGraph:
        """The nodes between some tensors, with 32-bit floats."""
        nodes = self._graph.ancestors([result], stop=sources)
        converted, weights = FloatOperators(self._graph).convert(nodes)
        opsets = self._graph.opsets()
        content = self._graph.model_of(converted, weights.values(), opsets, self._inputs, [result])
        for each in content.graph.input:
            each.type.tensor_type.elem_type = FLOAT
        floats = OnnxGraph(content)
        fold_constants(floats, [*sources, *self._inputs])
        _prune(floats, result, sources)
        return floats

    def _norms_of(self, source: str, harmonics: str, result: str) -> list[InstanceNorm]:
        nodes = self._floats.ancestors([result], stop={source, harmonics})
        made = {name for node in nodes for name in node.outputs}
        return [norm for norm in self._norms if not made.isdisjoint(norm.inner)]

    def _parts(self, places: Sequence[str], harmonics: str, rate: int) -> Iterator[LocalPart]:
        for number, (source, result) in enumerate(pairwise(places)):
            axis, (left, right) = self._prove(source, harmonics, result, rate)
            extra = 0 if result != places[-1] else 1
            if axis.extra != extra:
                raise CannotCut(
                    f"its generator makes {axis.extra} values beyond those of frames, expected {extra}"
                )
            names, time_inputs = GeneratorNames(number), {HARMONICS: TimeAxis(rate, 1)}
            yield LocalPart(names.source, names.result, time_inputs, names.given, left, right, axis)
            rate //= axis.rate

    def _prove(self, source: str, harmonics: str, result: str, rate: int) -> tuple[TimeAxis, tuple[int, int]]:
        """Trace a part of the generator, with each norm as what it is once its statistics are given."""
        graph = self._floats
        trace = TimeTrace({source: TimeAxis(1), harmonics: TimeAxis(rate, 1)}, graph.constants)
        reached = graph.dependents([source, harmonics])
        inner = {name for norm in self._norms for name in norm.inner}
        results = {affine.result: norm for norm in self._norms for affine in norm.affines}
        axis = TimeAxis(1)
        for node in graph.ancestors([result], stop={source, harmonics}):
            if not inner.isdisjoint(node.outputs) or reached.isdisjoint(node.inputs):
                continue
            if norm := results.get(node.outputs[0]):
                trace.pass_on(norm.source, node.outputs[0])
            else:
                axis = trace.follow(node)
        return axis, trace.reach(result)


def _prune(graph: OnnxGraph, output: str, stop: Collection[str]) -> None:
    """Remove what nobody needs, such as what only quantizes; a copy would hold all weights once more."""
    nodes = graph.ancestors([output], stop=stop)
    needed = {name for node in nodes for name in node.inputs}
    protos, content = [node.proto for node in nodes], graph.model.graph
    del content.node[:]
    content.node.extend(protos)
    for place, weight in reversed([*enumerate(content.initializer)]):
        if weight.name not in needed:
            del content.initializer[place]
    graph.read_nodes()
