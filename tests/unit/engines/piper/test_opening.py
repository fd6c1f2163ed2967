"""How a model is opened: in parts where it can be cut, else whole."""

from __future__ import annotations

import gc
import logging
import weakref
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper

from tests.support.tones import LETTERS, VOICES
from tests.unit.engines.piper.vits_models import (
    EXPORTED,
    OPTIONS,
    SEAM,
    concatenate,
    cut_model,
    edited,
    feeds_of,
    few_ids,
    model_path,
    open_cut,
    open_in_a_way,
    some_ids,
    whole_model,
)
from tests.voices.make_vits import MEDIUM, VITS_VOICES, vits_model
from wyoming_tts.engines.onnx import open_model
from wyoming_tts.engines.onnx_graph import graph as onnx_graph
from wyoming_tts.engines.onnx_graph.nodes import Constants
from wyoming_tts.engines.piper import model as piper_model
from wyoming_tts.engines.piper.graph import PiperGraph
from wyoming_tts.engines.piper.model import WholeModel, open_piper_model
from wyoming_tts.errors import VoiceUnavailable


class TestOpening:
    def test_the_whole_model_is_never_loaded_and_its_graph_is_released(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        open_cut(
            model_path(MEDIUM)
        )  # the first model of a process opens another for the arena that all share
        contents: list[Any] = []
        held: list[weakref.ref[Any]] = []
        session = onnxruntime.InferenceSession

        def recorded(content: Any, *given: Any, **options: Any) -> Any:
            contents.append(content)
            return session(content, *given, **options)

        def watched(kind: Callable[..., Any], *given: Any) -> Any:
            made = kind(*given)
            held.append(weakref.ref(made))
            return made

        monkeypatch.setattr(onnxruntime, "InferenceSession", recorded)
        monkeypatch.setattr(piper_model, "PiperGraph", partial(watched, PiperGraph))
        monkeypatch.setattr(onnx_graph, "Constants", partial(watched, Constants))
        gc.disable()
        try:
            model = open_cut(model_path(MEDIUM))
            assert [each() for each in held] == [None] * 3  # the constants were read twice
        finally:
            gc.enable()
        assert [type(content) for content in contents] == [bytes] * 4
        assert sum(map(len, contents)) < 1.1 * model_path(MEDIUM).stat().st_size
        # onnxruntime itself would keep the bytes that a session was created from.
        for opened in (model._text, *(stage._model for stage in model._stages)):
            assert opened._open()._model_bytes is None

    def test_the_split_model_has_the_inputs_of_the_whole_model(self) -> None:
        for voice in VITS_VOICES:
            assert cut_model(voice).inputs == whole_model(voice).inputs

    def test_a_voice_that_cannot_be_split_speaks_unsplit_and_logs_one_reason(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.INFO):
            model = open_piper_model(VOICES / f"{LETTERS.name}.onnx", OPTIONS, 22050)
        assert isinstance(model, WholeModel)
        (line,) = [record.message for record in caplog.records]
        assert line.startswith(f"{LETTERS.name}.onnx runs whole")
        assert line.endswith("it has no ConvTranspose")
        (step,) = model.speak(feeds_of([1, 40, 2]))
        assert len(step) == 3 * LETTERS.slot

    def test_splitting_a_voice_and_rewriting_its_text_part_logs_nothing(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.INFO):
            model = open_cut(EXPORTED)
        assert not caplog.records
        assert repr(model) == "<Model one_speaker.onnx> in 4 parts"

    def test_a_rewritten_voice_speaks_like_the_whole_model(self) -> None:
        feeds = feeds_of(few_ids(50))
        whole = open_model(EXPORTED, OPTIONS).run(None, feeds)[0].reshape(-1)
        rewritten = open_in_a_way(EXPORTED, "rewritten")
        np.testing.assert_allclose(
            concatenate(rewritten.speak(feeds)), whole, rtol=0, atol=SEAM * abs(whole).max()
        )

    def test_a_text_part_that_would_compute_something_else_when_rewritten_stays_as_it_is(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        def edit(model: onnx.ModelProto) -> None:
            relu = next(node for node in model.graph.node if node.op_type == "Relu")
            relu.op_type = "Elu"

        path = tmp_path / "other.onnx"
        model = onnx.load(EXPORTED)
        edit(model)
        onnx.save(model, path)
        with caplog.at_level(logging.INFO):
            opened = open_cut(path)
        (line,) = [record.message for record in caplog.records]
        assert line.startswith("other.onnx reads text by its graph as it is, which is slower: ")
        feeds = feeds_of(few_ids(50))
        whole = open_model(path, OPTIONS).run(None, feeds)[0].reshape(-1)
        np.testing.assert_allclose(
            concatenate(opened.speak(feeds)), whole, rtol=0, atol=SEAM * abs(whole).max()
        )

    def test_a_voice_whose_flow_stays_in_the_text_part_still_streams_in_chunks(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        def edit(model: onnx.ModelProto) -> None:
            gate = [node for node in model.graph.node if node.op_type == "Sigmoid"][-1]
            gate.op_type = "Softmax"
            gate.attribute.append(helper.make_attribute("axis", 2))

        path = edited(tmp_path / "two.onnx", edit)
        with caplog.at_level(logging.INFO):
            model = open_cut(path)
        (line,) = [record.message for record in caplog.records]
        assert line == (
            "two.onnx speaks in chunks, but its flow runs whole: Softmax is not known to be local in time"
        )
        feeds = feeds_of(some_ids(60))
        steps = list(model.speak(feeds))
        assert len(steps) > 3
        whole = open_model(path, OPTIONS).run(None, feeds)[0].reshape(-1)
        np.testing.assert_allclose(np.concatenate(steps), whole, rtol=0, atol=SEAM)
        assert repr(model) == "<Model two.onnx> in 3 parts"

    def test_a_failure_to_split_or_load_the_parts_falls_back_to_the_whole_model(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(PiperGraph, "extract_part", lambda *_: b"no model")
        with caplog.at_level(logging.INFO):
            model = open_piper_model(model_path(MEDIUM), OPTIONS, 22050)
        line = caplog.records[-1].message
        assert "runs whole" in line
        feeds = feeds_of(some_ids(10))
        np.testing.assert_array_equal(
            concatenate(model.speak(feeds)), whole_model(MEDIUM).run(None, feeds)[0].reshape(-1)
        )

    @pytest.mark.parametrize("content", [None, b"", b"no model"])
    def test_an_invalid_model_file_raises_voice_unavailable_without_logging_about_parts(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes | None
    ) -> None:
        path = tmp_path / "broken.onnx"
        if content is not None:
            path.write_bytes(content)
        with caplog.at_level(logging.INFO), pytest.raises(VoiceUnavailable, match=r"broken\.onnx cannot"):
            open_piper_model(path, OPTIONS, 22050)
        assert not caplog.records

    def test_the_weights_may_be_in_an_external_file(self, tmp_path: Path) -> None:
        path = tmp_path / "apart.onnx"
        onnx.save(vits_model(MEDIUM), path, save_as_external_data=True, location="weights", size_threshold=0)
        model = open_piper_model(path, OPTIONS, 22050)
        assert isinstance(model, WholeModel)
        feeds = feeds_of(some_ids(10))
        np.testing.assert_array_equal(
            concatenate(model.speak(feeds)), whole_model(MEDIUM).run(None, feeds)[0].reshape(-1)
        )
