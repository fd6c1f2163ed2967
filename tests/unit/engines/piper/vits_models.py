"""Models of Piper, opened cut, whole or edited, and what is fed to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from tests.support.tones import LETTERS, VOICES
from tests.voices.make_vits import MEDIUM, VITS, VITS_VOICES, VitsVoice, vits_model
from wyoming_tts.engines.base import EngineOptions
from wyoming_tts.engines.chunked_inference import ChunkedInference
from wyoming_tts.engines.onnx import OnnxModel, open_model
from wyoming_tts.engines.onnx_graph.duration_scaling import speed_feed
from wyoming_tts.engines.onnx_graph.nodes import CannotCut
from wyoming_tts.engines.piper.graph import PiperGraph
from wyoming_tts.engines.piper.model import CutModel, PiperModel, open_piper_model
from wyoming_tts.engines.piper.text_layers import UnknownLayers
from wyoming_tts.speech import Samples

OPTIONS = EngineOptions(intra_op_threads=1)
SEAM = 1e-3
"""Tolerance at a seam, relative to full scale: rounding when convolutions sum in another order."""

EXPORTED = VOICES / "exported" / "one_speaker.onnx"

each_voice = pytest.mark.parametrize("voice", VITS_VOICES, ids=lambda voice: voice.name)


def model_path(voice: VitsVoice) -> Path:
    return VITS / f"{voice.name}.onnx"


def open_cut(path: Path, rate: int = 22050) -> CutModel:
    model = open_piper_model(path, OPTIONS, rate)
    assert isinstance(model, CutModel)
    return model


@cache
def cut_model(voice: VitsVoice) -> CutModel:
    return open_cut(model_path(voice), voice.rate)


@cache
def whole_model(voice: VitsVoice) -> OnnxModel:
    return open_model(model_path(voice), OPTIONS)


def feeds_of(
    ids: Sequence[int],
    *,
    voice: VitsVoice = MEDIUM,
    speaker: int = 0,
    noise: float = 0.0,
    length: float = 1.0,
) -> dict[str, Any]:
    feeds: dict[str, Any] = {
        "input": np.array([ids], np.int64),
        "input_lengths": np.array([len(ids)], np.int64),
        "scales": np.array([noise, length, noise], np.float32),
    }
    if voice.speakers:
        feeds["sid"] = np.array([speaker], np.int64)
    return feeds


def some_ids(count: int, seed: int = 0) -> list[int]:
    return [int(each) for each in np.random.default_rng(seed).integers(1, 97, count)]


def few_ids(count: int) -> list[int]:
    """Those that the exported voices know."""
    return [number % 40 for number in some_ids(count)]


def concatenate(steps: Iterator[Samples]) -> Samples:
    return np.concatenate(list(steps))


def sentences(model: CutModel, feeds: dict[str, Any]) -> Callable[[], ChunkedInference]:
    """Factory of sentences that start over with the noise drawn once."""
    made = model._text.run(model._outputs, {**feeds, **speed_feed(1.0)})
    values = dict(zip(model._outputs, made, strict=True))
    return lambda: ChunkedInference(model._stages, {**feeds, **values})


def edited(path: Path, edit: Callable[[onnx.ModelProto], None], voice: VitsVoice = MEDIUM) -> Path:
    model = vits_model(voice)
    edit(model)
    path.write_bytes(model.SerializeToString())
    return path


def round_twice(model: onnx.ModelProto) -> None:
    """Have a model round twice, so that it cannot be told which of both are its durations."""
    place, ceil = next(item for item in enumerate(model.graph.node) if item[1].op_type == "Ceil")
    model.graph.node.insert(place + 1, helper.make_node("Ceil", [ceil.output[0]], ["again"]))


def open_without_durations(directory: Path) -> PiperModel:
    model = onnx.load(VOICES / f"{LETTERS.name}.onnx")
    round_twice(model)
    onnx.save(model, directory / "twice.onnx")
    return open_piper_model(directory / "twice.onnx", OPTIONS, LETTERS.rate)


def refuse_to_cut(_: PiperGraph) -> None:
    raise CannotCut("it is a test")


def _refuse_to_rewrite(*_: Any) -> None:
    raise UnknownLayers("it is a test")


WAYS: Mapping[str, tuple[str, Callable[..., Any]]] = {
    "whole": ("cut", refuse_to_cut),
    "as it is": ("rewrite_text_encoder", _refuse_to_rewrite),
    "rewritten": ("__repr__", object.__repr__),
}


@cache
def open_in_a_way(path: Path, way: str) -> PiperModel:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PiperGraph, *WAYS[way])
        return open_piper_model(path, OPTIONS, 22050)
