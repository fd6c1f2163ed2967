from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.unit.engines.kokoro.conftest import OPTIONS, PLAIN, KokoroFile
from tests.voices.make_kokoro import KOKORO_VARIANTS, KokoroVariant, kokoro_like_model
from wyoming_tts.engines.kokoro.generator_graph import HARMONICS, IS_WHOLE, GeneratorNames
from wyoming_tts.engines.kokoro.graph import KokoroCut, KokoroGraph
from wyoming_tts.engines.onnx import OnnxModel, open_models
from wyoming_tts.engines.onnx_graph.nodes import CannotCut

Edit = Callable[[onnx.ModelProto], None]
Values = npt.NDArray[np.float32]

REACHES = [(10, 10), (21, 21)]
"""Of the generator's parts, of what each is given: by the taps and dilations of its layers."""

each_variant = pytest.mark.parametrize("variant", KOKORO_VARIANTS, ids=str)


@each_variant
def test_every_export_is_cut_in_the_same_places(kokoro_file: KokoroFile, variant: KokoroVariant) -> None:
    cut = KokoroGraph(kokoro_file(variant)).cut()
    assert [(part.left, part.right) for part in cut.parts] == REACHES
    assert [(part.axis.rate, part.axis.extra) for part in cut.parts] == [(10, 0), (6, 1)]
    assert (cut.rate, cut.bins) == (60, 20)
    assert cut.places[0] == cut.frames
    assert [(part.source, part.result) for part in cut.parts] == [
        ("stage_0", "stage_1"),
        ("stage_1", "stage_2"),
    ]


@each_variant
def test_the_tensors_found_are_those_that_are_meant(kokoro_file: KokoroFile, variant: KokoroVariant) -> None:
    path = kokoro_file(variant)
    cut = KokoroGraph(path).cut()
    names = [cut.pitch, cut.energy, cut.durations, cut.harmonics, cut.frames, *cut.places]
    model = onnx.load(path)
    del model.graph.output[:]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in dict.fromkeys(names))
    (opened,) = open_models(path, OPTIONS, [model.SerializeToString()])
    feeds = {"tokens": np.array([[0, 5, 6, 7, 0]]), "style": np.zeros((1, 256), np.float32)}
    values = opened.run(list(dict.fromkeys(names)), {**feeds, "speed": np.ones(1, np.float32)})
    made = dict(zip(dict.fromkeys(names), values, strict=True))
    durations = made[cut.durations].ravel()
    count = 2 * int(durations.sum())
    assert np.array_equal(durations, np.round(durations))
    assert made[cut.pitch].shape == made[cut.energy].shape == (1, 1, count)
    assert 20 < np.median(made[cut.pitch]) < 300  # Hz
    assert -20 < np.median(made[cut.energy]) < 20
    assert made[cut.harmonics].shape == (1, 22, 60 * count + 1)
    assert [made[name].shape[2] for name in cut.places] == [count, 10 * count, 60 * count + 1]


def _graph(path: Path) -> tuple[KokoroGraph, KokoroCut]:
    graph = KokoroGraph(path)
    return graph, graph.cut()


@pytest.fixture(scope="module")
def parts(kokoro_file: KokoroFile) -> list[OnnxModel]:
    path = kokoro_file(PLAIN)
    graph, cut = _graph(path)
    return open_models(path, OPTIONS, [part.content for part in graph.write_generator(cut)])


class TestReach:
    """A part runs on random values with statistics given; then what it is given for one frame is changed."""

    LENGTH = 60

    def _run(self, model: OnnxModel, names: GeneratorNames, source: Values, harmonics: Values) -> Values:
        random = np.random.default_rng(1)
        sizes = _sizes(model)
        feeds: dict[str, Any] = {
            name: random.uniform(0.5, 1.5, (1, sizes[name], 1, 1)).astype(np.float32)
            for name in names.given - {IS_WHOLE}
        }
        feeds |= {names.source: source, HARMONICS: harmonics, IS_WHOLE: np.array(False)}
        result: Values = model.run([names.result], feeds)[0]
        return result

    @pytest.mark.parametrize("number", range(2))
    def test_the_proved_reach_is_the_one_that_is_measured(
        self, kokoro_file: KokoroFile, parts: list[OnnxModel], number: int
    ) -> None:
        part = _graph(kokoro_file(PLAIN))[1].parts[number]
        model, names, middle = parts[number], GeneratorNames(number), self.LENGTH // 2
        random = np.random.default_rng(0)
        axis = part.time_inputs[HARMONICS]
        source = random.normal(size=(1, (8, 4)[number], self.LENGTH)).astype(np.float32)
        harmonics = random.normal(size=(1, 22, axis.length(self.LENGTH))).astype(np.float32)
        before = self._run(model, names, source, harmonics)
        assert before.shape[-1] == part.axis.length(self.LENGTH)
        source[..., middle] += 1e6  # what the outermost taps add is not to be lost in rounding
        harmonics[..., axis.rate * middle : axis.rate * (middle + 1)] += 1e6
        changed = np.flatnonzero((self._run(model, names, source, harmonics) != before).any(axis=(0, 1)))
        # A result depends on what is `left` before it, so a change reaches as far after itself.
        assert middle - changed.min() // part.hop == part.right
        assert changed.max() // part.hop - middle == part.left


def _sizes(model: OnnxModel) -> dict[str, int]:
    """Of what is given for all norms of 4 channels each: 24, of which 3 normalize the same together."""
    names = [name for name in model.inputs if name not in (HARMONICS, IS_WHOLE)]
    return {name: 4 * (22 if name.startswith(("means", "variances")) else 24) for name in names}


def _all(model: onnx.ModelProto, kind: str) -> list[onnx.NodeProto]:
    return [node for node in model.graph.node if node.op_type == kind]


def _rising(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """The two ConvTransposes that are neither depthwise nor the inverse transform."""
    return [
        node
        for node in _all(model, "ConvTranspose")
        if not any(each.name == "group" and each.i > 1 for each in node.attribute)
    ][:2]


def _insert(model: onnx.ModelProto, kind: str, node: onnx.NodeProto, **attributes: Any) -> None:
    """An operator before a node, of its first input."""
    before = helper.make_node(kind, [node.input[0]], ["inserted"], **attributes)
    model.graph.node.insert(list(model.graph.node).index(node), before)
    node.input[0] = "inserted"


def _weight(model: onnx.ModelProto, name: str) -> onnx.TensorProto:
    return next(each for each in model.graph.initializer if each.name == name)


def _no_upsampling(model: onnx.ModelProto) -> None:
    for node in _rising(model):
        node.op_type = "Conv"


def _global_in_time(model: onnx.ModelProto) -> None:
    _insert(model, "Softmax", _rising(model)[1], axis=2)


def _not_spectrum(model: onnx.ModelProto) -> None:
    last = _all(model, "Conv")[-1]
    for name in last.input[1:]:
        weight = _weight(model, name)
        weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight)[:21], name))


def _no_convolution(model: onnx.ModelProto) -> None:
    for node in _all(model, "Conv"):
        node.op_type = "Gemm"


def _no_energy(model: onnx.ModelProto) -> None:
    of_one_channel = [
        node for node in _all(model, "Conv") if [*_weight(model, node.input[1]).dims[:2]] == [1, 1]
    ]
    pitch, energy = of_one_channel
    energy.input[0] = pitch.input[0]


def _text_beside_the_harmonics(model: onnx.ModelProto) -> None:
    spectrum = _all(model, "Conv")[-1]
    make = helper.make_node
    nodes = [
        make("Cast", ["tokens"], ["numbers"], to=TensorProto.FLOAT),
        make("ReduceMax", ["numbers"], ["largest"], keepdims=0),
        make("Add", [spectrum.input[0], "largest"], ["both"]),
    ]
    place = list(model.graph.node).index(spectrum)
    for number, node in enumerate(nodes):
        model.graph.node.insert(place + number, node)
    spectrum.input[0] = "both"


def _norm_without_affine(model: onnx.ModelProto) -> None:
    """The scale of the generator's last norm is taken away instead."""
    normalized = _all(model, "Sqrt")[-1]
    division = next(node for node in model.graph.node if normalized.output[0] in node.input)
    user = next(node for node in model.graph.node if division.output[0] in node.input)
    user.op_type = "Sub"


def _two_epsilons(model: onnx.ModelProto) -> None:
    """Of the norms of the three blocks behind an upsampling, one has another."""
    means = [node.input[0] for node in _all(model, "ReduceMean")]
    source = next(name for name in means if means.count(name) == 3)
    mean = next(node for node in _all(model, "ReduceMean") if node.input[0] == source)
    nodes = list(model.graph.node)
    added = next(node for node in nodes[nodes.index(mean) :] if node.op_type == "Add")
    model.graph.initializer.append(numpy_helper.from_array(np.array(0.1, np.float32), "larger"))
    added.input[1] = "larger"


def _one_column_more(model: onnx.ModelProto) -> None:
    next(each for each in _all(model, "Conv")[-1].attribute if each.name == "pads").ints[:] = [3, 4]


def _another_length(model: onnx.ModelProto) -> None:
    """The harmonics of the second part come in half as many columns."""
    node = next(node for node in _all(model, "Conv") if [*_weight(model, node.input[1]).dims[1:]] == [22, 1])
    next(each for each in node.attribute if each.name == "strides").ints[:] = [2]


def _computed_weights(model: onnx.ModelProto) -> None:
    node = _rising(model)[1]
    made = helper.make_node("Mul", [node.input[1], "speed"], ["faster"])
    model.graph.node.insert(0, made)
    node.input[1] = "faster"


def _external(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].data_location = TensorProto.EXTERNAL


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (_no_upsampling, "it has no ConvTranspose"),
        (_global_in_time, "Softmax is not known to be local in time"),
        (_not_spectrum, "its last convolution makes 21 channels, which are no spectrum"),
        (_no_convolution, "it has no convolution before its result"),
        (_no_energy, "its decoder takes no energy"),
        (_text_beside_the_harmonics, "its harmonics do not all come from one tensor"),
        (_norm_without_affine, "a norm is not followed by a scale and a shift"),
        (_two_epsilons, "a tensor is normalized with two epsilons"),
        (_one_column_more, "its generator makes 2 values beyond those of frames, expected 1"),
        (_another_length, "tensors of two rates meet in a"),
        (_computed_weights, "the weights of a ConvTranspose are"),
        (_external, "its weights lie in other files"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_a_graph_that_cannot_be_cut_is_refused_with_the_reason(
    tmp_path: Path, edit: Edit, reason: str
) -> None:
    model = onnx.ModelProto()
    model.CopyFrom(kokoro_like_model(PLAIN))
    edit(model)
    path = tmp_path / "edited.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(CannotCut, match=reason):
        KokoroGraph(path).cut()


def test_fused_norms_with_weights_of_their_own_are_refused(tmp_path: Path) -> None:
    model = onnx.ModelProto()
    model.CopyFrom(kokoro_like_model(KokoroVariant(fused_norms=True)))
    weight = _weight(model, _all(model, "InstanceNormalization")[-1].input[1])
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) * 2, weight.name))
    path = tmp_path / "edited.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(CannotCut, match="an InstanceNormalization has weights of its own"):
        KokoroGraph(path).cut()


def test_a_graph_whose_nodes_are_in_no_order_is_cut_too(kokoro_file: KokoroFile, tmp_path: Path) -> None:
    model = onnx.ModelProto()
    model.CopyFrom(kokoro_like_model(PLAIN))
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(nodes[::-1])
    path = tmp_path / "reversed.onnx"
    path.write_bytes(model.SerializeToString())
    assert KokoroGraph(path).cut() == KokoroGraph(kokoro_file(PLAIN)).cut()


@cache
def _written(path: Path) -> list[onnx.ModelProto]:
    graph, cut = _graph(path)
    return [onnx.load_from_string(part.content) for part in graph.write_generator(cut)]


@each_variant
def test_the_generator_is_written_in_two_dimensions_and_32_bits(
    kokoro_file: KokoroFile, variant: KokoroVariant
) -> None:
    for part in _written(kokoro_file(variant)):
        kinds = {node.op_type for node in part.graph.node}
        assert kinds <= {
            *("Conv", "ConvTranspose", "LeakyRelu", "Pad", "Add", "Sub", "Mul", "Div", "Sqrt", "Sin", "If"),
            *("Concat", "Split", "Squeeze", "Unsqueeze"),
        }
        assert {each.data_type for each in part.graph.initializer} == {TensorProto.FLOAT, TensorProto.INT64}
        convolved = {node.input[1] for node in part.graph.node if node.op_type.startswith("Conv")}
        assert {len(_weight(part, name).dims) for name in convolved} == {4}


@pytest.mark.parametrize("number", range(2))
def test_snakes_are_folded_into_what_is_around_them(kokoro_file: KokoroFile, number: int) -> None:
    """Of x + sin(ax)^2 / a, a sine, a product and a sum are left; the factors are in what is around it."""
    kinds = [node.op_type for node in _written(kokoro_file(PLAIN))[number].graph.node]
    assert kinds.count("Sin") == 24  # four blocks of three pairs
    assert "Pow" not in kinds
