from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.support.tones import LETTERS, VOICES
from tests.voices.make_vits import HIGH, MEDIUM, SPEAKERS, VITS, VITS_VOICES, X_LOW, VitsVoice, vits_model
from wyoming_tts.engines.onnx_graph.duration_scaling import SPEED, speed_feed
from wyoming_tts.engines.piper.duration_guard import DURATIONS, FRAMES
from wyoming_tts.engines.piper.graph import CannotCut, GraphCut, PiperGraph

Edit = Callable[[onnx.ModelProto], None]

STOCK_FLOW = (32, 32)


def _graph(path: Path, model: onnx.ModelProto) -> PiperGraph:
    path.write_bytes(model.SerializeToString())
    return PiperGraph(path)


def _cut_edited(directory: Path, edit: Edit, voice: VitsVoice = MEDIUM) -> GraphCut:
    model = vits_model(voice)
    edit(model)
    return _graph(directory / "edited.onnx", model).cut()


def _all(model: onnx.ModelProto, kind: str) -> list[onnx.NodeProto]:
    return [node for node in model.graph.node if node.op_type == kind]


def _decoder_nodes(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    nodes = list(model.graph.node)
    return nodes[next(number for number, node in enumerate(nodes) if node.op_type == "ConvTranspose") :]


def _turn(nodes: list[onnx.NodeProto], before: str, after: str, domain: str = "") -> None:
    """Change the operator of the first node of a kind."""
    node = next(node for node in nodes if node.op_type == before)
    node.op_type, node.domain = after, domain
    del node.attribute[:]


def _mask(model: onnx.ModelProto) -> str:
    """Name of the tensor by which the result of the flow is finally multiplied."""
    return str(_all(model, "Mul")[-1].input[1])


def _insert(model: onnx.ModelProto, node: onnx.NodeProto, *, before: onnx.NodeProto) -> None:
    model.graph.node.insert(list(model.graph.node).index(before), node)


@pytest.mark.parametrize(
    ("voice", "first_half", "second_half"),
    [
        (MEDIUM, (10, 10), (8, 8)),
        (X_LOW, (10, 10), (8, 8)),
        (HIGH, (11, 11), (14, 14)),
        (SPEAKERS, (10, 10), (8, 8)),
    ],
    ids=lambda value: value.name if isinstance(value, VitsVoice) else None,
)
def test_standard_voices_are_split_in_four_with_the_receptive_field_of_their_layers(
    voice: VitsVoice, first_half: tuple[int, int], second_half: tuple[int, int]
) -> None:
    cut = PiperGraph(VITS / f"{voice.name}.onnx").cut()
    assert [(part.left, part.right) for part in cut.parts] == [STOCK_FLOW, first_half, second_half]
    assert [part.hop for part in cut.parts] == [1, 8, 32]
    assert cut.hop == voice.hop
    assert [part.source for part in cut.parts[1:]] == [part.result for part in cut.parts[:-1]]
    # The mask is the only other input with a time axis; the speaker embedding has none.
    assert [len(part.time_inputs) for part in cut.parts] == [1, 0, 0]
    assert [bool(part.static_inputs) for part in cut.parts] == [bool(voice.speakers)] * 2 + [False]


@pytest.mark.parametrize("voice", VITS_VOICES, ids=lambda voice: voice.name)
def test_every_weight_is_in_exactly_one_part(voice: VitsVoice) -> None:
    graph = PiperGraph(VITS / f"{voice.name}.onnx")
    cut = graph.cut()
    contents = [graph.extract_text_encoder(cut), *(graph.extract_part(part) for part in cut.parts)]
    parts = [onnx.load_from_string(content) for content in contents]
    found = [weight.name for part in parts for weight in part.graph.initializer]
    names = [name for name in found if not name.startswith("wyoming_tts_")]
    assert sorted(names) == sorted(each.name for each in vits_model(voice).graph.initializer)


def test_the_text_part_takes_all_inputs_and_outputs_what_the_other_parts_take() -> None:
    graph = PiperGraph(VITS / f"{SPEAKERS.name}.onnx")
    cut = graph.cut()
    text = onnx.load_from_string(graph.extract_text_encoder(cut))
    inputs = {each.name for each in text.graph.input}
    assert inputs == {"input", "input_lengths", "scales", "sid", SPEED}
    given = {each.name for each in text.graph.output}
    taken = set().union(*(part.inputs for part in cut.parts)) - {part.result for part in cut.parts}
    assert given == taken | {FRAMES, DURATIONS}


def _no_upsampling(model: onnx.ModelProto) -> None:
    for node in _all(model, "ConvTranspose"):
        node.op_type = "Conv"


def _unknown(model: onnx.ModelProto) -> None:
    _turn(_decoder_nodes(model), "LeakyRelu", "Softmax")


def _foreign(model: onnx.ModelProto) -> None:
    _turn(_decoder_nodes(model), "LeakyRelu", "LeakyRelu", "com.microsoft")


def _chooses(model: onnx.ModelProto) -> None:
    """Insert a conditional branch into the decoder."""
    node = next(node for node in _decoder_nodes(model) if node.op_type == "LeakyRelu")
    output = [helper.make_tensor_value_info("inner", TensorProto.FLOAT, None)]
    inner = helper.make_graph([helper.make_node("Relu", [node.input[0]], ["inner"])], "i", [], output)
    chosen = numpy_helper.from_array(np.array(True))
    _insert(model, helper.make_node("Constant", [], ["chosen"], value=chosen), before=node)
    choice = helper.make_node("If", ["chosen"], [node.output[0]], then_branch=inner, else_branch=inner)
    node.CopyFrom(choice)


def _half_precision(model: onnx.ModelProto) -> None:
    for each in model.graph.initializer:
        each.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(each).astype(np.float16), each.name))


def _two_before_the_decoder(model: onnx.ModelProto) -> None:
    """Follow the first convolution of the decoder by a sum with its own input."""
    node = _all(model, "ConvTranspose")[0]
    first = next(each for each in model.graph.node if node.input[0] in each.output)
    _insert(model, helper.make_node("Add", [first.input[0], first.output[0]], ["both"]), before=node)
    node.input[0] = "both"


def _mask_when_upsampled(model: onnx.ModelProto) -> None:
    node = next(node for node in _decoder_nodes(model) if node.op_type == "Add")
    node.input[1] = _mask(model)


def _looks_up_by_speech(model: onnx.ModelProto) -> None:
    next(node for node in _decoder_nodes(model) if node.op_type == "Conv").input[2] = _mask(model)


def _sparse(model: onnx.ModelProto) -> None:
    values = numpy_helper.from_array(np.ones(1, np.float32), "sparse")
    places = numpy_helper.from_array(np.zeros(1, np.int64), "places")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [3]))


def _elsewhere(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].data_location = TensorProto.EXTERNAL


def _output_from_text(model: onnx.ModelProto) -> None:
    _all(model, "ConvTranspose")[0].input[0] = "input"


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (_no_upsampling, "it has no ConvTranspose"),
        (_unknown, "Softmax is not known to be local in time"),
        (_foreign, r"com\.microsoft\.LeakyRelu is not known"),
        (_chooses, "If is not known"),
        (_half_precision, "the weights of a Conv are not plain 32-bit floats"),
        (_two_before_the_decoder, "before its first ConvTranspose a Add joins 2 tensors"),
        (_output_from_text, "there is no Conv before its first ConvTranspose"),
        (_mask_when_upsampled, "the decoder takes a second tensor with a time axis"),
        (_looks_up_by_speech, "a Conv takes something from before the cut"),
        (_sparse, "it has sparse weights"),
        (_elsewhere, "its weights lie in other files"),
    ],
)
def test_a_graph_whose_decoder_is_not_provably_local_in_time_is_not_split(
    tmp_path: Path, edit: Edit, reason: str
) -> None:
    with pytest.raises(CannotCut, match=reason):
        _cut_edited(tmp_path, edit)


def test_another_kind_of_voice_is_not_split() -> None:
    with pytest.raises(CannotCut, match="it has no ConvTranspose"):
        PiperGraph(VOICES / f"{LETTERS.name}.onnx").cut()


def _unknown_in_flow(model: onnx.ModelProto) -> None:
    _turn(list(model.graph.node), "Sigmoid", "Softmax")


def _without_noise(model: onnx.ModelProto) -> None:
    for node in _all(model, "RandomNormalLike"):
        node.op_type = "Identity"


def _noise_from_durations_only(model: onnx.ModelProto) -> None:
    _all(model, "RandomNormalLike")[-1].op_type = "Identity"


def _noise_used_twice(model: onnx.ModelProto) -> None:
    noise = _all(model, "RandomNormalLike")[-1]
    user = next(node for node in model.graph.node if noise.output[0] in node.input)
    user.input[1] = noise.output[0]
    _insert(model, helper.make_node("Neg", [noise.output[0]], ["more"]), before=user)
    user.input[0] = "more"


def _join_before_upsampling(model: onnx.ModelProto, name: str) -> None:
    """Give the decoder a second branch: the sum of its first layer with a tensor from before it."""
    upsampling = _all(model, "ConvTranspose")[0]
    second = onnx.NodeProto()
    second.CopyFrom(upsampling)
    joined = [
        helper.make_node("Mul", [upsampling.input[0], name], ["joined"]),
        second,
        helper.make_node("Add", ["one", "other"], [upsampling.output[0]]),
    ]
    second.input[0], second.output[0], upsampling.output[0] = "joined", "other", "one"
    place = list(model.graph.node).index(upsampling) + 1
    for node in reversed(joined):
        model.graph.node.insert(place, node)


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (_unknown_in_flow, "Softmax is not known"),
        (_without_noise, "it draws no random numbers"),
        (_noise_from_durations_only, "ReduceSum is not known"),
        (_noise_used_twice, "its last random tensor is not added to anything"),
    ],
)
def test_a_flow_that_is_not_provably_local_in_time_stays_in_the_text_part(
    tmp_path: Path, edit: Edit, reason: str
) -> None:
    cut = _cut_edited(tmp_path, edit)
    assert cut.flow is None
    assert reason in cut.no_flow_reason
    assert [part.hop for part in cut.parts] == [8, 32]


def test_a_flow_whose_intermediate_tensors_feed_the_decoder_stays_in_the_text_part(tmp_path: Path) -> None:
    def edit(model: onnx.ModelProto) -> None:
        _join_before_upsampling(model, _all(model, "Sigmoid")[-1].output[0])

    cut = _cut_edited(tmp_path, edit)
    assert cut.flow is None
    assert "takes more from the flow than its result" in cut.no_flow_reason
    assert [len(part.time_inputs) for part in cut.parts] == [1]


def test_the_mask_may_feed_the_decoder_too(tmp_path: Path) -> None:
    def edit(model: onnx.ModelProto) -> None:
        _join_before_upsampling(model, _mask(model))

    cut = _cut_edited(tmp_path, edit)
    # Two branches bypass the second ConvTranspose: the decoder stays in one piece.
    flow, decoder = cut.parts
    assert decoder.time_inputs == flow.time_inputs
    assert (decoder.left, decoder.right, decoder.hop) == (11, 11, 256)


def test_a_decoder_with_one_upsampling_stays_in_one_piece(tmp_path: Path) -> None:
    voice = replace(MEDIUM, upsampling=((16, 32),))
    cut = _cut_edited(tmp_path, lambda _: None, voice)
    assert [(part.left, part.right, part.hop) for part in cut.decoder] == [(7, 7, 16)]


def test_a_branch_in_the_text_encoder_does_not_prevent_splitting(tmp_path: Path) -> None:
    model = vits_model(MEDIUM)
    node = _all(model, "Exp")[0]
    output = [helper.make_tensor_value_info("inner", TensorProto.FLOAT, None)]
    inner = helper.make_graph([helper.make_node("Exp", list(node.input), ["inner"])], "i", [], output)
    chosen = numpy_helper.from_array(np.array(True))
    _insert(model, helper.make_node("Constant", [], ["chosen"], value=chosen), before=node)
    node.CopyFrom(helper.make_node("If", ["chosen"], list(node.output), then_branch=inner, else_branch=inner))
    graph = _graph(tmp_path / "branch.onnx", model)
    cut = graph.cut()
    assert cut.flow is not None
    session = onnxruntime.InferenceSession(
        graph.extract_text_encoder(cut), providers=["CPUExecutionProvider"]
    )
    feeds: dict[str, Any] = {
        "input": np.array([[1, 9, 2]]),
        "input_lengths": np.array([3]),
        "scales": np.array([0, 1, 0], np.float32),
        **speed_feed(1.0),
    }
    outputs = [each.name for each in session.get_outputs()]
    made = dict(zip(outputs, session.run(outputs, feeds), strict=True))
    (mask,) = cut.flow.time_inputs
    assert made[mask].shape == (1, 1, made[cut.flow.source].shape[-1])


def test_a_graph_that_declares_its_weights_as_inputs_is_split_as_well(tmp_path: Path) -> None:
    model = vits_model(X_LOW)
    model.ir_version = 3
    for each in model.graph.initializer:
        model.graph.input.append(helper.make_tensor_value_info(each.name, each.data_type, each.dims))
    graph = _graph(tmp_path / "old.onnx", model)
    first = onnx.load_from_string(graph.extract_text_encoder(graph.cut()))
    assert {each.name for each in first.graph.input} == {"input", "input_lengths", "scales", SPEED}
    onnxruntime.InferenceSession(first.SerializeToString(), providers=["CPUExecutionProvider"])
