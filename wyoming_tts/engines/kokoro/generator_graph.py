"""Generator of a Kokoro model written anew, so that it can run on a stretch of a sentence.

The generator (iSTFTNet) makes a spectrum from the decoder's frames and the harmonics of the voice. It is made
of convolutions, which are local in time, and of instance norms, which are not: each takes the mean and the
variance of its channels over the whole sentence. Here both are inputs, so that a stretch with a few frames
more on both sides gives what it gives within the sentence. If they are not known, the same graph takes them
from what it is given, and outputs them.

What else is new computes the same with less:

* Convolutions have two dimensions, of which one is 1 long: onnxruntime has faster kernels for those.
* Snake, x + sin(ax)^2 / a, is (w + sin(w)^2) / a with w = ax: the factor before it goes into the affine of
  the norm, and the one behind it into the weights of the next convolution.

Sources: Kaneko et al., "iSTFTNet" (2022); Li et al., "StyleTTS 2" (2023); Ziyin et al., "Neural networks fail
to learn periodic functions" (2020) for Snake.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from wyoming_tts.engines.kokoro.norms import Affine, InstanceNorm
from wyoming_tts.engines.onnx_graph.graph import OnnxGraph
from wyoming_tts.engines.onnx_graph.nodes import CannotCut, Node
from wyoming_tts.engines.onnx_graph.receptive_field import POINTWISE

HARMONICS: Final = "harmonics"
IS_WHOLE: Final = "is_whole"

_OPSET = 17
_FLOAT, _BOOL = 1, 9
_CUBE = 3

Values = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class GeneratorNames:
    """Names of the inputs and outputs of one part of the generator, besides HARMONICS and IS_WHOLE."""

    number: int

    @property
    def source(self) -> str:
        """What it begins with: the decoder's frames, or the result of the part before."""
        return f"stage_{self.number}"

    @property
    def result(self) -> str:
        """What it makes: the spectrum if it is the last."""
        return f"stage_{self.number + 1}"

    @property
    def scales(self) -> str:
        """Of all affines; like all that follow of shape (1, channels, 1, 1)."""
        return f"scales_{self.number}"

    @property
    def shifts(self) -> str:
        """Of all affines."""
        return f"shifts_{self.number}"

    @property
    def means(self) -> str:
        """Of all norms, if it is not whole."""
        return f"means_{self.number}"

    @property
    def variances(self) -> str:
        """Of all norms, if it is not whole."""
        return f"variances_{self.number}"

    @property
    def means_taken(self) -> str:
        """Output: those given, or taken from what is whole."""
        return f"means_taken_{self.number}"

    @property
    def variances_taken(self) -> str:
        """Output, likewise."""
        return f"variances_taken_{self.number}"

    @property
    def given(self) -> frozenset[str]:
        """The inputs without a time axis."""
        return frozenset((self.scales, self.shifts, self.means, self.variances, IS_WHOLE))


@dataclass(frozen=True, slots=True)
class WrittenGenerator:
    """A part of the generator as a model of its own."""

    content: bytes
    affines: tuple[Affine, ...]
    """Whose scales and shifts it takes, concatenated in this order."""
    factors: Values
    """By which they are multiplied before, shape (channels of all affines,)."""
    channels: int
    """Means, and variances, of its norms."""


@dataclass(frozen=True, slots=True)
class _Snake:
    """The nodes of an activation x + sin(ax)^2 / a, and the convolution that follows."""

    alpha: Values
    inner: frozenset[str]
    result: str


def write_generator(
    graph: OnnxGraph,
    norms: Sequence[InstanceNorm],
    names: GeneratorNames,
    *,
    source: str,
    harmonics: str,
    result: str,
) -> WrittenGenerator:
    """Write a part of the generator.

    Args:
        graph: of the generator, in floats.
        norms: the instance norms of the part.
        names: of its inputs and outputs.
        source: name in the graph of what it begins with.
        harmonics: name of the spectrum of the source.
        result: name of what it makes.

    Raises:
        CannotCut: it has an operator that is not known.
    """
    return _Writer(graph, norms, names, {source: names.source, harmonics: HARMONICS}).write(result)


class _Writer:
    def __init__(
        self, graph: OnnxGraph, norms: Sequence[InstanceNorm], names: GeneratorNames, renamed: dict[str, str]
    ) -> None:
        from onnx import helper, numpy_helper  # noqa: PLC0415  # heavy: only once there is a model to load

        self._helper = helper
        self._to_array, self._from_array = numpy_helper.to_array, numpy_helper.from_array
        self._graph = graph
        self._norms = norms
        self._given = names
        self._inputs = renamed
        self._nodes: list[Any] = []
        self._weights: dict[str, Any] = {}
        self._names: dict[str, str] = {}
        self._divided: dict[str, Values] = {}
        """By what the weights of the convolutions of a tensor are divided, for each input channel."""

    def write(self, result: str) -> WrittenGenerator:
        affines = [affine for norm in self._norms for affine in norm.affines]
        channels = {norm.source: self._channels(norm) for norm in self._norms}
        snakes = {affine.result: snake for affine in affines if (snake := self._snake(affine))}
        for name, new in self._inputs.items():
            self._names[name] = self._add("Unsqueeze", new, self._integers(2))
        factors = self._write_statistics(channels, snakes)
        skipped = {name for norm in self._norms for name in norm.inner}
        skipped |= {affine.result for affine in affines}
        skipped |= {name for snake in snakes.values() for name in snake.inner}
        made = {norm.source: norm for norm in self._norms}
        for name in self._inputs:
            self._write_norms(name, made, snakes)
        reached = self._graph.dependents(self._inputs)
        for node in self._graph.ancestors([result], stop=self._inputs):
            if node.outputs[0] in reached - skipped:
                self._names[node.outputs[0]] = self._write(node)
                self._write_norms(node.outputs[0], made, snakes)
        self._add("Squeeze", self._names[result], self._integers(2), name=self._given.result)
        taken = [
            self._names[f"{kind} {norm.source}"] for kind in ("mean", "variance") for norm in self._norms
        ]
        half = len(self._norms)
        for name, parts in (
            (self._given.means_taken, taken[:half]),
            (self._given.variances_taken, taken[half:]),
        ):
            self._add("Concat", *parts, name=name, axis=1)
        return WrittenGenerator(self._serialized(), tuple(affines), factors, sum(channels.values()))

    def _channels(self, norm: InstanceNorm) -> int:
        """Channels of what is normalized: as many as the convolution makes that it comes from."""
        name = norm.source
        while (node := self._graph.producers.get(name)) is not None:
            if node.kind in ("Conv", "ConvTranspose"):
                tensor = self._graph.constants.weights(node.inputs[1])
                if tensor is None:
                    break
                return int(tensor.dims[0 if node.kind == "Conv" else 1])
            name = next((each for each in node.inputs if each in self._graph.producers), "")
        raise CannotCut("the channels of a norm are not known")

    def _snake(self, affine: Affine) -> _Snake | None:
        """The activation behind an affine; None if it is another."""
        users = self._graph.users.get(affine.result, [])
        scaled = next((user for user in users if user.kind == "Mul"), None)
        if len(users) != 2 or scaled is None:  # noqa: PLR2004  # the sine, and the sum
            return None
        alpha = self._constant_operand(scaled)
        chain = self._chain(scaled, ("Sin", "Pow", "Mul", "Add"))
        if alpha is None or chain is None or affine.result not in chain[-1].inputs:
            return None
        reciprocal, power = self._constant_operand(chain[2]), self._constant_operand(chain[1])
        is_snake = (
            reciprocal is not None
            and power is not None
            and np.all(power == 2)  # noqa: PLR2004  # the square of the sine
            and np.allclose(alpha * reciprocal, 1.0, rtol=1e-3)
        )
        result = chain[-1].outputs[0]
        if not is_snake or any(user.kind != "Conv" for user in self._graph.users[result]):
            return None
        inner = frozenset(node.outputs[0] for node in (scaled, *chain))
        return _Snake(alpha.ravel(), inner, result)

    def _chain(self, node: Node, kinds: Iterable[str]) -> list[Node] | None:
        found = []
        for kind in kinds:
            users = self._graph.users.get(node.outputs[0], [])
            if len(users) != 1 or users[0].kind != kind:
                return None
            node = users[0]
            found.append(node)
        return found

    def _constant_operand(self, node: Node) -> Values | None:
        constants = [
            values for name in node.inputs if (values := self._graph.constants.floats(name)) is not None
        ]
        return constants[0] if len(constants) == 1 else None

    def _write_statistics(self, channels: dict[str, int], snakes: dict[str, _Snake]) -> Values:
        """Split what is given for all norms; returns the factors of the affines."""
        sizes = [channels[norm.source] for norm in self._norms]
        for kind, given in (("mean", self._given.means), ("variance", self._given.variances)):
            for norm, name in zip(self._norms, self._split(given, sizes), strict=True):
                self._names[f"given {kind} {norm.source}"] = name
        affines = [(affine, channels[norm.source]) for norm in self._norms for affine in norm.affines]
        for given in (self._given.scales, self._given.shifts):
            parts = self._split(given, [size for _, size in affines])
            for (affine, _), name in zip(affines, parts, strict=True):
                self._names[f"{given} {affine.result}"] = name
        factors = [
            np.broadcast_to(snakes[affine.result].alpha, size) if affine.result in snakes else np.ones(size)
            for affine, size in affines
        ]
        return np.concatenate(factors).astype(np.float32)

    def _write_norms(self, source: str, norms: dict[str, InstanceNorm], snakes: dict[str, _Snake]) -> None:
        norm = norms.get(source)
        if norm is None:
            return
        data = self._names[source]
        mean, variance = self._write_mean_and_variance(norm, data)
        deviation = self._add("Sqrt", self._add("Add", variance, self._constant(norm.epsilon)))
        for affine in norm.affines:
            scale = self._add("Div", self._names[f"{self._given.scales} {affine.result}"], deviation)
            shift = self._add(
                "Sub", self._names[f"{self._given.shifts} {affine.result}"], self._add("Mul", mean, scale)
            )
            scaled = self._add("Add", self._add("Mul", data, scale), shift)
            snake = snakes.get(affine.result)
            if snake is None:
                self._names[affine.result] = scaled
                continue
            sine = self._add("Sin", scaled)
            self._names[snake.result] = self._add("Add", scaled, self._add("Mul", sine, sine))
            self._divided[snake.result] = snake.alpha

    def _write_mean_and_variance(self, norm: InstanceNorm, data: str) -> tuple[str, str]:
        """Those of what is given if it is whole, else those that are given."""
        number = len(self._nodes)
        names = [f"mean_{number}", f"variance_{number}"]
        whole = self._branch(
            f"whole_{number}",
            [
                ("ReduceMean", [data], f"taken_mean_{number}", {"axes": [3]}),
                ("Sub", [data, f"taken_mean_{number}"], f"centred_{number}", {}),
                ("Mul", [f"centred_{number}", f"centred_{number}"], f"squared_{number}", {}),
                ("ReduceMean", [f"squared_{number}"], f"taken_variance_{number}", {"axes": [3]}),
            ],
            [f"taken_mean_{number}", f"taken_variance_{number}"],
        )
        given = [self._names[f"given {kind} {norm.source}"] for kind in ("mean", "variance")]
        kept = [f"kept_{kind}_{number}" for kind in ("mean", "variance")]
        stretch = self._branch(
            f"stretch_{number}",
            [("Identity", [name], result, {}) for name, result in zip(given, kept, strict=True)],
            kept,
        )
        self._nodes.append(
            self._helper.make_node(
                "If", [IS_WHOLE], names, name=f"statistics_{number}", then_branch=whole, else_branch=stretch
            )
        )
        for kind, name in zip(("mean", "variance"), names, strict=True):
            self._names[f"{kind} {norm.source}"] = name
        return names[0], names[1]

    def _branch(self, name: str, steps: Sequence[Any], outputs: Sequence[str]) -> Any:
        nodes = [
            self._helper.make_node(kind, inputs, [output], name=output, **attributes)
            for kind, inputs, output, attributes in steps
        ]
        declared = [self._helper.make_tensor_value_info(each, _FLOAT, None) for each in outputs]
        return self._helper.make_graph(nodes, name, [], declared)

    def _write(self, node: Node) -> str:
        if node.kind in ("Conv", "ConvTranspose"):
            return self._write_convolution(node)
        if node.kind == "Pad":
            return self._write_padding(node)
        if node.kind not in POINTWISE:
            raise CannotCut(f"its generator has a {node.kind}")
        name = self._add(node.kind, *(self._operand(each) for each in node.inputs))
        self._nodes[-1].attribute.extend(node.proto.attribute)
        return name

    def _write_convolution(self, node: Node) -> str:
        weight = self._graph.constants.floats(node.inputs[1])
        if weight is None or weight.ndim != _CUBE:
            raise CannotCut(f"the weights of a {node.kind} are computed")
        data = node.inputs[0]
        if data in self._divided:
            weight = weight / self._divided[data][None, :, None]
        names = [self._constant(weight[:, :, None, :])]
        if len(node.inputs) > 2 and node.inputs[2]:  # noqa: PLR2004  # the bias
            names.append(self._operand(node.inputs[2]))
        before, after = node.integers("pads") or (0, 0)
        attributes: dict[str, Any] = {"pads": [0, before, 0, after], "kernel_shape": [1, weight.shape[2]]}
        for name in ("strides", "dilations", "output_padding"):
            if values := node.integers(name):
                attributes[name] = [0 if name == "output_padding" else 1, *values]
        if group := node.integer("group"):
            attributes["group"] = group
        return self._add(node.kind, self._names[data], *names, **attributes)

    def _write_padding(self, node: Node) -> str:
        pads = self._graph.constants.integers(node.inputs[1]) if len(node.inputs) > 1 else None
        if pads is None or pads.size != 2 * _CUBE:
            raise CannotCut("a Pad takes computed lengths")
        before, after = (int(pads[place]) for place in (2, 5))
        name = self._add("Pad", self._names[node.inputs[0]], self._integers(0, 0, 0, before, 0, 0, 0, after))
        self._nodes[-1].attribute.extend(each for each in node.proto.attribute if each.name == "mode")
        return name

    def _operand(self, name: str) -> str:
        if name in self._names:
            return self._names[name]
        values = self._graph.constants.floats(name)
        if values is None:
            raise CannotCut("its generator takes a tensor that is not known")
        return self._constant(values[:, :, None, :] if values.ndim == _CUBE else values)

    def _add(self, kind: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        name = name or f"{kind}_{len(self._nodes)}"
        self._nodes.append(self._helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def _split(self, name: str, sizes: Sequence[int]) -> list[str]:
        parts = [f"{name}_{number}" for number in range(len(sizes))]
        self._nodes.append(
            self._helper.make_node(
                "Split", [name, self._integers(*sizes)], parts, name=f"split_{name}", axis=1
            )
        )
        return parts

    def _constant(self, values: Any) -> str:
        return self._weight(np.ascontiguousarray(values, dtype=np.float32))

    def _integers(self, *values: int) -> str:
        return self._weight(np.array(values, dtype=np.int64))

    def _weight(self, values: Any) -> str:
        name = f"weight_{len(self._weights)}"
        self._weights[name] = self._from_array(values, name)
        return name

    def _serialized(self) -> bytes:
        declare = self._helper.make_tensor_value_info
        names = self._given
        inputs = [declare(name, _FLOAT, [1, None, None]) for name in (names.source, HARMONICS)]
        inputs += [declare(name, _FLOAT, [1, None, 1, 1]) for name in sorted(names.given - {IS_WHOLE})]
        inputs.append(declare(IS_WHOLE, _BOOL, []))
        made = (names.result, names.means_taken, names.variances_taken)
        outputs = [declare(name, _FLOAT, None) for name in made]
        graph = self._helper.make_graph(self._nodes, "generator", inputs, outputs, [*self._weights.values()])
        opset = self._helper.make_opsetid("", _OPSET)
        model = self._helper.make_model(graph, opset_imports=[opset], ir_version=8)
        return model.SerializeToString()  # type: ignore[no-any-return]
