from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from tests.support.tones import VOICES
from tests.unit.engines.kokoro.conftest import OPTIONS, PLAIN, KokoroFile
from tests.voices.make_kokoro import KOKORO_VARIANTS, KokoroVariant, kokoro_like_model, style_table
from wyoming_tts.engines.kokoro.generator_graph import WrittenGenerator
from wyoming_tts.engines.kokoro.graph import KokoroCut, KokoroGraph
from wyoming_tts.engines.kokoro.opening import OpenedDecoder, open_decoder
from wyoming_tts.speech import Samples


def _open(path: Path, **options: Any) -> OpenedDecoder | None:
    return open_decoder(path, replace(OPTIONS, **options), _style)


def _style() -> Samples:
    row: Samples = style_table(0)[24]
    return row


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    """Why the model that was opened runs whole, in one line; empty if it does not."""
    caplog.set_level(logging.INFO)

    def reason() -> str:
        # onnxruntime's quantizer logs a lot.
        lines = [each.message for each in caplog.records if each.name.startswith("wyoming_tts")]
        assert len(lines) <= 1
        return lines[0] if lines else ""

    return reason


@pytest.mark.parametrize("variant", KOKORO_VARIANTS, ids=str)
def test_every_export_is_opened_in_parts_without_a_word(
    kokoro_file: KokoroFile, variant: KokoroVariant, told: Callable[[], str]
) -> None:
    path = kokoro_file(variant)
    opened = _open(path)
    assert told() == ""
    assert opened is not None
    assert opened.decoder.channels == 2 * 22 * 4
    assert opened.digest == sha256(path.read_bytes()).hexdigest()
    assert {"tokens", "style", "speed"} <= opened.text.inputs.keys()


def test_another_model_runs_whole_and_a_line_says_why(told: Callable[[], str]) -> None:
    assert _open(VOICES / "kokoro-tones.onnx") is None
    assert told() == (
        "kokoro-tones.onnx runs whole, a clause is heard only once all of it is computed: "
        "it has no convolution before its result"
    )


def test_what_is_no_model_runs_whole_too(tmp_path: Path, told: Callable[[], str]) -> None:
    (tmp_path / "none.onnx").write_bytes(b"nothing")
    assert _open(tmp_path / "none.onnx") is None
    assert "none.onnx runs whole" in told()


def test_on_a_gpu_nothing_is_cut(kokoro_file: KokoroFile, told: Callable[[], str]) -> None:
    assert _open(kokoro_file(PLAIN), use_cuda=True) is None
    assert told() == ""


def _changed(content: bytes) -> bytes:
    """A weight of a convolution is a little larger."""
    model = onnx.load_from_string(content)
    largest = max(model.graph.initializer, key=lambda each: each.ByteSize())
    values = numpy_helper.to_array(largest).copy()
    values.flat[np.abs(values).argmax()] *= 1.01
    largest.CopyFrom(numpy_helper.from_array(values, largest.name))
    return model.SerializeToString()  # type: ignore[no-any-return]


@pytest.mark.parametrize("number", range(2))
def test_a_generator_that_was_written_otherwise_is_refused(
    kokoro_file: KokoroFile, monkeypatch: pytest.MonkeyPatch, told: Callable[[], str], number: int
) -> None:
    write = KokoroGraph.write_generator

    def wrongly(graph: KokoroGraph, cut: KokoroCut) -> list[WrittenGenerator]:
        parts = write(graph, cut)
        parts[number] = replace(parts[number], content=_changed(parts[number].content))
        return parts

    monkeypatch.setattr(KokoroGraph, "write_generator", wrongly)
    assert _open(kokoro_file(PLAIN)) is None
    assert "its generator is another by" in told()


def test_chunks_that_reach_less_far_are_refused(
    kokoro_file: KokoroFile, monkeypatch: pytest.MonkeyPatch, told: Callable[[], str]
) -> None:
    cut = KokoroGraph.cut

    def shortened(graph: KokoroGraph) -> KokoroCut:
        found = cut(graph)
        first, second = found.parts
        return replace(found, parts=(first, replace(second, left=2)))

    monkeypatch.setattr(KokoroGraph, "cut", shortened)
    assert _open(kokoro_file(PLAIN)) is None
    assert "its generator in chunks is another by" in told()


def test_another_inverse_transform_is_refused(tmp_path: Path, told: Callable[[], str]) -> None:
    model = onnx.ModelProto()
    model.CopyFrom(kokoro_like_model(PLAIN))
    last = [node for node in model.graph.node if node.op_type == "ConvTranspose"][-1]
    basis = next(each for each in model.graph.initializer if each.name == last.input[1])
    values = numpy_helper.to_array(basis) * np.linspace(0.9, 1.1, 20, dtype=np.float32)
    basis.CopyFrom(numpy_helper.from_array(values, basis.name))
    path = tmp_path / "window.onnx"
    path.write_bytes(model.SerializeToString())
    assert _open(path) is None
    assert "its inverse transform is another by" in told()


def _another_power(model: onnx.ModelProto) -> None:
    power = [node for node in model.graph.node if node.op_type == "Pow"][-1]
    model.graph.initializer.append(numpy_helper.from_array(np.array(4, np.float32), "another"))
    power.input[1] = "another"


def _another_factor(model: onnx.ModelProto) -> None:
    """Of the sine, but not of the sum behind it."""
    sine = [node for node in model.graph.node if node.op_type == "Sin"][-3]  # the last two are the spectrum's
    scaled = next(node for node in model.graph.node if node.output[0] == sine.input[0])
    factor = next(each for each in model.graph.initializer if each.name in scaled.input)
    factor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(factor) * 1.5, factor.name))


@pytest.mark.parametrize("edit", [_another_power, _another_factor])
def test_an_activation_that_is_nearly_snake_is_left_as_it_is(
    tmp_path: Path, told: Callable[[], str], edit: Callable[[onnx.ModelProto], None]
) -> None:
    model = onnx.ModelProto()
    model.CopyFrom(kokoro_like_model(PLAIN))
    edit(model)
    path = tmp_path / "snake.onnx"
    path.write_bytes(model.SerializeToString())
    assert _open(path) is not None
    assert told() == ""


def test_samples_are_scaled_as_the_export_scales_them(tmp_path: Path, opened: OpenedDecoder) -> None:
    model = onnx.ModelProto()
    model.CopyFrom(kokoro_like_model(PLAIN))
    last = [node for node in model.graph.node if node.op_type == "ConvTranspose"][-1]
    basis = next(each for each in model.graph.initializer if each.name == last.input[1])
    basis.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(basis) / 4, basis.name))
    path = tmp_path / "quiet.onnx"
    path.write_bytes(model.SerializeToString())
    quiet = _open(path)
    assert quiet is not None
    assert quiet.decoder._scale == pytest.approx(opened.decoder._scale / 4, rel=1e-3)
