from __future__ import annotations

import gc
import logging
import time
import weakref
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, partial
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from tests.support.hypothesis_examples import scaled_examples
from tests.support.tones import LETTERS, VOICES
from tests.voices.make_vits import HIGH, MEDIUM, SPEAKERS, VITS, VITS_VOICES, VitsVoice, vits_model
from wyoming_tts.engines.base import EngineOptions
from wyoming_tts.engines.chunked_inference import ChunkedInference, ModelStage, chunk_ends
from wyoming_tts.engines.onnx import OnnxModel, open_model
from wyoming_tts.engines.onnx_graph import graph as onnx_graph
from wyoming_tts.engines.onnx_graph.duration_scaling import speed_feed
from wyoming_tts.engines.onnx_graph.local_part import LocalPart
from wyoming_tts.engines.onnx_graph.nodes import CannotCut, Constants
from wyoming_tts.engines.onnx_graph.receptive_field import TimeAxis
from wyoming_tts.engines.piper import model as piper_model
from wyoming_tts.engines.piper.duration_guard import DURATIONS
from wyoming_tts.engines.piper.graph import PiperGraph
from wyoming_tts.engines.piper.model import (
    CutModel,
    IdSamples,
    PiperModel,
    WholeModel,
    open_piper_model,
)
from wyoming_tts.engines.piper.text_layers import UnknownLayers
from wyoming_tts.errors import EngineFailed, TooLong, VoiceUnavailable
from wyoming_tts.speech import Samples

OPTIONS = EngineOptions(intra_op_threads=1)
SEAM = 1e-3
"""Tolerance at a seam, relative to full scale: rounding when convolutions sum in another order."""

EXPORTED = VOICES / "exported" / "one_speaker.onnx"

each_voice = pytest.mark.parametrize("voice", VITS_VOICES, ids=lambda voice: voice.name)


def _path(voice: VitsVoice) -> Path:
    return VITS / f"{voice.name}.onnx"


def _open(path: Path, rate: int = 22050) -> CutModel:
    model = open_piper_model(path, OPTIONS, rate)
    assert isinstance(model, CutModel)
    return model


@cache
def _cut(voice: VitsVoice) -> CutModel:
    return _open(_path(voice), voice.rate)


@cache
def _uncut(voice: VitsVoice) -> OnnxModel:
    return open_model(_path(voice), OPTIONS)


def _feeds(
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


def _ids(count: int, seed: int = 0) -> list[int]:
    return [int(each) for each in np.random.default_rng(seed).integers(1, 97, count)]


def _few_ids(count: int) -> list[int]:
    """Those that the exported voices know."""
    return [number % 40 for number in _ids(count)]


def _concatenate(steps: Iterator[Samples]) -> Samples:
    return np.concatenate(list(steps))


def _sentences(model: CutModel, feeds: dict[str, Any]) -> Callable[[], ChunkedInference]:
    """Factory of sentences that start over with the noise drawn once."""
    made = model._text.run(model._outputs, {**feeds, **speed_feed(1.0)})
    values = dict(zip(model._outputs, made, strict=True))
    return lambda: ChunkedInference(model._stages, {**feeds, **values})


def _edited(path: Path, edit: Callable[[onnx.ModelProto], None], voice: VitsVoice = MEDIUM) -> Path:
    model = vits_model(voice)
    edit(model)
    path.write_bytes(model.SerializeToString())
    return path


def _round_twice(model: onnx.ModelProto) -> None:
    """Have a model round twice, so that it cannot be told which of both are its durations."""
    place, ceil = next(item for item in enumerate(model.graph.node) if item[1].op_type == "Ceil")
    model.graph.node.insert(place + 1, helper.make_node("Ceil", [ceil.output[0]], ["again"]))


def _open_without_durations(directory: Path) -> PiperModel:
    model = onnx.load(VOICES / f"{LETTERS.name}.onnx")
    _round_twice(model)
    onnx.save(model, directory / "twice.onnx")
    return open_piper_model(directory / "twice.onnx", OPTIONS, LETTERS.rate)


class TestSeams:
    @each_voice
    @settings(max_examples=scaled_examples(25), deadline=None)
    @given(
        ids=st.lists(st.integers(1, 97), min_size=1, max_size=120),
        length=st.sampled_from([0.3, 1.0, 2.5]),
        speaker=st.integers(0, 2),
    )
    def test_joined_chunks_equal_the_output_of_the_whole_model(
        self, voice: VitsVoice, ids: list[int], length: float, speaker: int
    ) -> None:
        feeds = _feeds(ids, voice=voice, speaker=speaker, length=length)
        whole = _uncut(voice).run(None, feeds)[0].reshape(-1)
        audio = _concatenate(_cut(voice).speak(feeds))
        assert audio.dtype == np.float32
        np.testing.assert_allclose(audio, whole, rtol=0, atol=SEAM)

    @each_voice
    @settings(max_examples=scaled_examples(25), deadline=None)
    @given(
        count=st.integers(1, 60),
        noise=st.sampled_from([0.0, 0.667]),
        cuts=st.lists(st.floats(0.0, 1.0), max_size=12),
    )
    def test_chunks_split_anywhere_equal_the_whole_decode_of_the_same_frames(
        self, voice: VitsVoice, count: int, noise: float, cuts: list[float]
    ) -> None:
        sentence = _sentences(_cut(voice), _feeds(_ids(count), voice=voice, noise=noise))
        frames = sentence().frames
        whole = sentence().result(frames).reshape(-1)
        places = sorted({0, *(round(cut * frames) for cut in cuts), frames})
        rendered = sentence()
        parts = [rendered.result(end).reshape(-1) for end in places[1:]]
        assert [len(part) for part in parts] == [(end - start) * voice.hop for start, end in pairwise(places)]
        np.testing.assert_allclose(np.concatenate(parts), whole, rtol=0, atol=SEAM)

    @pytest.mark.parametrize("stage", range(3))
    @pytest.mark.parametrize("side", ["left", "right"])
    @pytest.mark.parametrize("voice", [MEDIUM, HIGH], ids=lambda voice: voice.name)
    def test_less_context_would_make_the_seams_audible(self, voice: VitsVoice, stage: int, side: str) -> None:
        model = _open(_path(voice), voice.rate)
        feeds = _feeds(_ids(60))
        whole = _uncut(voice).run(None, feeds)[0].reshape(-1)
        chosen = model._stages[stage]
        chosen.part = replace(chosen.part, **{side: getattr(chosen.part, side) // 3})
        assert np.abs(_concatenate(model.speak(feeds)) - whole).max() > SEAM

    def test_each_speaker_sounds_different(self) -> None:
        rendered = [
            _concatenate(_cut(SPEAKERS).speak(_feeds(_ids(20), voice=SPEAKERS, speaker=number)))
            for number in range(3)
        ]
        for one, other in ((0, 1), (0, 2), (1, 2)):
            length = min(len(rendered[one]), len(rendered[other]))
            assert np.abs(rendered[one][:length] - rendered[other][:length]).max() > 0.01

    def test_without_noise_a_sentence_renders_bit_identically(self) -> None:
        first, second = (
            _concatenate(_open(_path(MEDIUM)).speak(_feeds(_ids(90), length=2.0))) for _ in range(2)
        )
        np.testing.assert_array_equal(first, second)

    def test_interleaved_sentences_do_not_interfere(self) -> None:
        model = _cut(MEDIUM)
        both = [_feeds(_ids(80, seed=seed)) for seed in (1, 2)]
        alone = [_concatenate(model.speak(feeds)) for feeds in both]
        steps = list(zip(*(model.speak(feeds) for feeds in both), strict=False))
        for rendered, parts in zip(alone, zip(*steps, strict=True), strict=True):
            beginning = np.concatenate(parts)
            assert len(beginning) > 22050
            np.testing.assert_allclose(beginning, rendered[: len(beginning)], rtol=0, atol=SEAM)


def _frames(model: PiperModel, feeds: dict[str, Any], speed: float, hop: int) -> int:
    return sum(len(step) for step in model.speak(feeds, speed=speed)) // hop


class TestSpeed:
    """Lengths at normal speed are divided by the speed, so no rounding adds up."""

    @each_voice
    @pytest.mark.parametrize("speed", [0.25, 0.5, 0.8, 1.3, 2.0, 4.0])
    def test_a_text_takes_its_time_divided_by_the_speed(self, voice: VitsVoice, speed: float) -> None:
        model, feeds = _cut(voice), _feeds(_ids(120), voice=voice)
        natural = _frames(model, feeds, 1.0, voice.hop)
        assert _frames(model, feeds, speed, voice.hop) == pytest.approx(natural / speed, abs=1)

    @each_voice
    def test_normal_speed_changes_nothing(self, voice: VitsVoice) -> None:
        feeds = _feeds(_ids(60), voice=voice)
        expected = _uncut(voice).run(None, feeds)[0].reshape(-1)
        audio = _concatenate(_cut(voice).speak(feeds, speed=1.0))
        np.testing.assert_allclose(audio, expected, rtol=0, atol=SEAM)

    def test_a_model_that_runs_whole_is_as_exact(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(PiperGraph, "cut", _refuse_to_cut)
        model = open_piper_model(_path(MEDIUM), OPTIONS, MEDIUM.rate)
        assert isinstance(model, WholeModel)
        feeds = _feeds(_ids(120))
        natural = _frames(model, feeds, 1.0, MEDIUM.hop)
        assert _frames(model, feeds, 3.0, MEDIUM.hop) == pytest.approx(natural / 3, abs=1)

    def test_a_model_whose_lengths_cannot_be_told_takes_the_speed_as_a_length_of_phonemes(
        self, tmp_path: Path
    ) -> None:
        model = _open_without_durations(tmp_path)
        feeds = _feeds([3, 4, 5, 6])
        lengths = [sum(len(step) for step in model.speak(feeds, speed=speed)) for speed in (1.0, 2.0)]
        assert lengths[1] == pytest.approx(lengths[0] / 2, rel=0.01)


def _refuse_to_cut(_: PiperGraph) -> None:
    raise CannotCut("it is a test")


def _refuse_to_rewrite(*_: Any) -> None:
    raise UnknownLayers("it is a test")


EXPORTED_SPEAKERS = EXPORTED.with_name("three_speakers.onnx")

WAYS: Mapping[str, tuple[str, Callable[..., Any]]] = {
    "whole": ("cut", _refuse_to_cut),
    "as it is": ("rewrite_text_encoder", _refuse_to_rewrite),
    "rewritten": ("__repr__", object.__repr__),
}


@cache
def _open_in_a_way(path: Path, way: str) -> PiperModel:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PiperGraph, *WAYS[way])
        return open_piper_model(path, OPTIONS, 22050)


class TestSamplesOfIds:
    """How many samples each phoneme id lasts is told before they are heard."""

    each_way = pytest.mark.parametrize(
        ("path", "way"),
        [*product([_path(SPEAKERS), EXPORTED_SPEAKERS], WAYS), (EXPORTED, "rewritten")],
        ids=lambda each: getattr(each, "stem", each),
    )

    @each_way
    def test_they_add_up_to_the_audio_exactly(self, path: Path, way: str) -> None:
        model = _open_in_a_way(path, way)
        for count, speed in product((5, 60), (0.5, 1.0, 1.3, 4.0)):
            told: list[IdSamples] = []
            feeds = _feeds(_few_ids(count), voice=SPEAKERS if "sid" in model.inputs else MEDIUM, noise=0.7)
            steps = iter(model.speak(feeds, speed=speed, tell=told.append))
            first = next(steps)
            (each,) = told
            assert len(each) == count
            assert each.sum() == len(first) + sum(map(len, steps))
            assert each.min() >= 0

    @each_way
    def test_they_are_those_of_the_original(self, path: Path, way: str) -> None:
        model = _open_in_a_way(path, way)
        feeds = _feeds(_few_ids(40), voice=SPEAKERS if "sid" in model.inputs else MEDIUM)
        told: list[IdSamples] = []
        list(model.speak(feeds, tell=told.append))
        np.testing.assert_array_equal(told[0], self._of_the_original(path))

    @staticmethod
    @cache
    def _of_the_original(path: Path) -> npt.NDArray[np.int64]:
        original = onnx.load(path)
        ceil = next(node for node in original.graph.node if node.op_type == "Ceil")
        original.graph.output.append(onnx.ValueInfoProto(name=ceil.output[0]))
        speakers = any(each.name == "sid" for each in original.graph.input)
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL  # opens at once
        session = onnxruntime.InferenceSession(original.SerializeToString(), options)
        samples, frames = session.run(None, _feeds(_few_ids(40), voice=SPEAKERS if speakers else MEDIUM))
        each: npt.NDArray[np.int64] = frames.reshape(-1).astype(int) * (samples.size // int(frames.sum()))
        return each

    def test_a_model_without_them_tells_nothing_and_logs_it_once(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.INFO):
            model = _open(_edited(tmp_path / "twice.onnx", _round_twice))
        told: list[IdSamples] = []
        list(model.speak(_feeds(_ids(10)), tell=told.append))
        list(_open_without_durations(tmp_path).speak(_feeds(_ids(10)), tell=told.append))
        assert not told
        lines = [record.message for record in caplog.records if "tell" in record.message]
        assert lines == ["twice.onnx does not tell when words sound: its durations cannot be found"]

    def test_nothing_is_told_of_a_sentence_that_is_not_made_of_them(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        model = _open(_path(MEDIUM))
        run = OnnxModel.run

        def other(self: OnnxModel, outputs: Sequence[str] | None, feeds: dict[str, Any]) -> list[Any]:
            results = run(self, outputs, feeds)
            names = outputs or [""] * len(results)
            return [
                value[..., 1:] if name == DURATIONS else value
                for name, value in zip(names, results, strict=True)
            ]

        monkeypatch.setattr(OnnxModel, "run", other)
        told: list[IdSamples] = []
        list(model.speak(_feeds(_ids(10)), tell=told.append))
        assert not told


class TestSteps:
    @pytest.mark.parametrize(("rate", "first"), [(22050, 22), (16000, 16), (24000, 23)])
    def test_the_text_part_runs_first_then_chunks_start_at_a_quarter_second_and_double(
        self, rate: int, first: int
    ) -> None:
        model = _open(_path(MEDIUM), rate)
        list(model.speak(_feeds(_ids(30))))
        steps = [len(step) // MEDIUM.hop for step in model.speak(_feeds(_ids(200)))]
        assert steps[:6] == [0, first, 2 * first, 4 * first, 8 * first, 8 * first]

    def test_only_the_chunk_edges_are_computed_twice(self, monkeypatch: pytest.MonkeyPatch) -> None:
        model = _open(_path(MEDIUM))
        lengths: dict[int, list[int]] = {}
        run = ModelStage.run

        def counted(stage: ModelStage, feeds: dict[str, Any]) -> Any:
            lengths.setdefault(id(stage), []).append(feeds[stage.part.source].shape[-1])
            return run(stage, feeds)

        monkeypatch.setattr(ModelStage, "run", counted)
        chunks = [len(step) // MEDIUM.hop for step in model.speak(_feeds(_ids(150)))][1:]
        flow, first_half, second_half = (lengths[id(stage)] for stage in model._stages)
        # The first chunk computes no more frames than it needs.
        assert second_half[0] == 8 * chunks[0] + 8
        assert first_half[0] == chunks[0] + 1 + 10
        assert flow[0] == chunks[0] + 1 + 10 + 32
        # At every seam, both sides are computed at most once more.
        assert len(flow) < len(chunks) == len(first_half) == len(second_half)
        for pieces, total, edges in (
            (flow, sum(chunks), 32 + 32),
            (first_half, sum(chunks), 10 + 10),
            (second_half, 8 * sum(chunks), 8 + 8),
        ):
            assert total <= sum(pieces) <= total + (len(pieces) - 1) * edges

    def test_tensors_no_longer_needed_are_released(self) -> None:
        model = _open(_path(MEDIUM))
        sentence = _sentences(model, _feeds(_ids(300)))()
        kept = []
        for end in chunk_ends(sentence.frames, 22, 1):
            sentence.result(end)
            kept.append(sentence._last._source.shape[-1])
        assert len(kept) > 20
        assert max(kept) < 8 * (44 + 22 + 4)

    def test_closing_the_generator_stops_running_the_model(self, monkeypatch: pytest.MonkeyPatch) -> None:
        model = _open(_path(MEDIUM))
        runs = 0
        run = OnnxModel.run

        def counted(self: OnnxModel, outputs: Any, feeds: dict[str, Any]) -> list[Any]:
            nonlocal runs
            runs += 1
            return run(self, outputs, feeds)

        monkeypatch.setattr(OnnxModel, "run", counted)
        steps = iter(model.speak(_feeds(_ids(200))))
        assert len(next(steps)) == 0
        assert runs == 1
        assert len(next(steps)) > 0
        steps.close()  # type: ignore[attr-defined]
        assert runs == 4

    @settings(max_examples=scaled_examples(300))
    @given(st.integers(0, 5000), st.integers(1, 60), st.integers(0, 4))
    def test_chunks_cover_all_frames_in_order_and_double_up_to_the_maximum(
        self, frames: int, first: int, doublings: int
    ) -> None:
        pieces = list(pairwise([0, *chunk_ends(frames, first, doublings)]))
        sizes = [end - start for start, end in pieces]
        assert sum(sizes) == frames
        assert all(size > 0 for size in sizes)
        expected = [first << min(number, doublings) for number in range(len(sizes))]
        assert sizes[:-1] == expected[:-1]
        if len(sizes) > 1:
            assert sizes[-1] * 2 >= first
        if sizes:
            assert sizes[-1] < expected[-1] + first / 2

    def test_a_small_remainder_is_merged_into_the_chunk_before_it(self) -> None:
        assert list(chunk_ends(22 + 44 + 10, 22, 3)) == [22, 76]
        assert list(chunk_ends(22 + 44 + 11, 22, 3)) == [22, 66, 77]

    def test_the_second_chunk_may_be_as_small_as_the_first(self) -> None:
        assert list(chunk_ends(400, 22, 2, twice=True)) == [22, 44, 88, 176, 264, 352, 400]


class _SlowClock:
    """A clock that advances with the number of frames computed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds_per_frame: float) -> None:
        self.seconds_per_frame = seconds_per_frame
        self._now = 0.0
        run = OnnxModel.run

        def slow(model: OnnxModel, outputs: Any, feeds: dict[str, Any]) -> list[Any]:
            results = run(model, outputs, feeds)
            # The second half of the decoder is the only part that outputs samples.
            if results[0].ndim == 4:
                self._now += self.seconds_per_frame * results[0].shape[-1] / MEDIUM.hop
            return results

        monkeypatch.setattr(OnnxModel, "run", slow)

    def __call__(self) -> float:
        return self._now


class TestPace:
    def _speaking(self, clock: Callable[[], float]) -> CutModel:
        model = _open(_path(MEDIUM))
        assert model._stages[-1]._clock is time.thread_time
        model._stages[-1]._clock = clock
        return model

    def _largest(self, model: CutModel) -> int:
        """Frames of the largest chunk, except the last, which may include a small remainder."""
        *sizes, _ = (len(step) for step in model.speak(_feeds(_ids(250))))
        return max(sizes) // MEDIUM.hop

    def test_chunks_stay_below_half_a_second_until_the_speed_is_known(self) -> None:
        assert self._largest(_open(_path(MEDIUM))) == 44

    @pytest.mark.parametrize(
        ("seconds_per_frame", "largest"),
        [(0.0001, 176), (0.001, 176), (0.0015, 88), (0.003, 44), (0.006, 22), (0.1, 22)],
    )
    def test_a_step_stays_within_its_time_budget_but_never_below_the_first_chunk(
        self, monkeypatch: pytest.MonkeyPatch, seconds_per_frame: float, largest: int
    ) -> None:
        model = self._speaking(_SlowClock(monkeypatch, seconds_per_frame))
        self._largest(model)
        assert self._largest(model) == largest

    def test_one_slow_step_does_not_change_the_chunk_sizes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        clock = _SlowClock(monkeypatch, 0.0002)
        model = self._speaking(clock)
        self._largest(model)
        clock.seconds_per_frame = 0.001
        list(model.speak(_feeds(_ids(20))))
        clock.seconds_per_frame = 0.0002
        assert self._largest(model) == 176

    def test_chunk_sizes_are_fixed_at_the_start_of_a_sentence(self, monkeypatch: pytest.MonkeyPatch) -> None:
        clock = _SlowClock(monkeypatch, 0.002)
        model = self._speaking(clock)
        self._largest(model)
        steps = model.speak(_feeds(_ids(2000)))
        next(iter(steps))
        clock.seconds_per_frame = 0.0
        assert max(len(step) for step in steps) // MEDIUM.hop < 1.5 * 88
        assert self._largest(model) == 176


class TestOpening:
    def test_the_whole_model_is_never_loaded_and_its_graph_is_released(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        _open(_path(MEDIUM))  # the first model of a process opens another for the arena that all share
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
            model = _open(_path(MEDIUM))
            assert [each() for each in held] == [None] * 3  # the constants were read twice
        finally:
            gc.enable()
        assert [type(content) for content in contents] == [bytes] * 4
        assert sum(map(len, contents)) < 1.1 * _path(MEDIUM).stat().st_size
        # onnxruntime itself would keep the bytes that a session was created from.
        for opened in (model._text, *(stage._model for stage in model._stages)):
            assert opened._open()._model_bytes is None

    def test_the_split_model_has_the_inputs_of_the_whole_model(self) -> None:
        for voice in VITS_VOICES:
            assert _cut(voice).inputs == _uncut(voice).inputs

    def test_a_voice_that_cannot_be_split_speaks_unsplit_and_logs_one_reason(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.INFO):
            model = open_piper_model(VOICES / f"{LETTERS.name}.onnx", OPTIONS, 22050)
        assert isinstance(model, WholeModel)
        (line,) = [record.message for record in caplog.records]
        assert line.startswith(f"{LETTERS.name}.onnx runs whole")
        assert line.endswith("it has no ConvTranspose")
        (step,) = model.speak(_feeds([1, 40, 2]))
        assert len(step) == 3 * LETTERS.slot

    def test_splitting_a_voice_and_rewriting_its_text_part_logs_nothing(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.INFO):
            model = _open(EXPORTED)
        assert not caplog.records
        assert repr(model) == "<Model one_speaker.onnx> in 4 parts"

    def test_a_rewritten_voice_speaks_like_the_whole_model(self) -> None:
        feeds = _feeds(_few_ids(50))
        whole = open_model(EXPORTED, OPTIONS).run(None, feeds)[0].reshape(-1)
        rewritten = _open_in_a_way(EXPORTED, "rewritten")
        np.testing.assert_allclose(
            _concatenate(rewritten.speak(feeds)), whole, rtol=0, atol=SEAM * abs(whole).max()
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
            opened = _open(path)
        (line,) = [record.message for record in caplog.records]
        assert line.startswith("other.onnx reads text by its graph as it is, which is slower: ")
        feeds = _feeds(_few_ids(50))
        whole = open_model(path, OPTIONS).run(None, feeds)[0].reshape(-1)
        np.testing.assert_allclose(
            _concatenate(opened.speak(feeds)), whole, rtol=0, atol=SEAM * abs(whole).max()
        )

    def test_a_voice_whose_flow_stays_in_the_text_part_still_streams_in_chunks(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        def edit(model: onnx.ModelProto) -> None:
            gate = [node for node in model.graph.node if node.op_type == "Sigmoid"][-1]
            gate.op_type = "Softmax"
            gate.attribute.append(helper.make_attribute("axis", 2))

        path = _edited(tmp_path / "two.onnx", edit)
        with caplog.at_level(logging.INFO):
            model = _open(path)
        (line,) = [record.message for record in caplog.records]
        assert line == (
            "two.onnx speaks in chunks, but its flow runs whole: Softmax is not known to be local in time"
        )
        feeds = _feeds(_ids(60))
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
            model = open_piper_model(_path(MEDIUM), OPTIONS, 22050)
        line = caplog.records[-1].message
        assert "runs whole" in line
        feeds = _feeds(_ids(10))
        np.testing.assert_array_equal(
            _concatenate(model.speak(feeds)), _uncut(MEDIUM).run(None, feeds)[0].reshape(-1)
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
        feeds = _feeds(_ids(10))
        np.testing.assert_array_equal(
            _concatenate(model.speak(feeds)), _uncut(MEDIUM).run(None, feeds)[0].reshape(-1)
        )


class TestDurations:
    """The frames of a sentence are known, and bounded, before anything is allocated for them."""

    LONG = 1e6
    """A length scale by which a few phonemes have millions of frames: gigabytes, if they were made."""

    @pytest.fixture(params=["cut", "whole"])
    def model(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> PiperModel:
        if request.param == "whole":
            monkeypatch.setattr(PiperGraph, "extract_part", lambda *_: b"no model")
        return open_piper_model(_path(MEDIUM), OPTIONS, MEDIUM.rate)

    def test_a_sentence_that_is_too_long_is_refused_before_it_is_made(self, model: PiperModel) -> None:
        with _peak_memory_below(200_000_000), pytest.raises(TooLong) as caught:
            list(model.speak(_feeds(_ids(200), length=self.LONG)))
        most = 60 if isinstance(model, WholeModel) else 180
        assert f"expected at most {most} s" in caught.value.message
        assert "noise_w_scale" in caught.value.hint

    def test_noise_of_lengths_without_end_is_refused(self, model: PiperModel) -> None:
        feeds = _feeds(_ids(100)) | {"scales": np.array([0.0, 1.0, 1e4], np.float32)}
        with _peak_memory_below(200_000_000), pytest.raises(TooLong, match="would last"):
            list(model.speak(feeds))

    def test_a_short_sentence_may_last_less(self, model: PiperModel) -> None:
        with pytest.raises(TooLong, match="expected at most 12 s for its length"):
            list(model.speak(_feeds([1, 2], length=1000)))

    def test_after_a_refused_sentence_the_next_one_sounds_as_ever(self, model: PiperModel) -> None:
        feeds = _feeds(_ids(10))
        expected = _uncut(MEDIUM).run(None, feeds)[0].reshape(-1)
        with pytest.raises(TooLong):
            list(model.speak(_feeds(_ids(200), length=self.LONG)))
        np.testing.assert_allclose(_concatenate(model.speak(feeds)), expected, rtol=0, atol=SEAM)

    @each_voice
    def test_up_to_the_bound_durations_are_what_they_were(self, voice: VitsVoice) -> None:
        feeds = _feeds(_ids(200), voice=voice, length=2.5)
        assert len(_uncut(voice).run(None, feeds)[0].reshape(-1)) == len(
            _concatenate(_cut(voice).speak(feeds))
        )

    def test_a_model_without_durations_is_measured_by_what_it_spoke(self, tmp_path: Path) -> None:
        model = _open_without_durations(tmp_path)
        with pytest.raises(TooLong, match="expected at most 11 s"):
            list(model.speak(_feeds([40], length=12 * LETTERS.rate / LETTERS.slot)))

    def test_a_model_that_rounds_twice_is_not_guarded_but_measured(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert not PiperGraph(_edited(tmp_path / "twice.onnx", _round_twice)).tells_frames
        model = _open(tmp_path / "twice.onnx")
        with pytest.raises(TooLong, match="expected at most 12 s"):
            list(model.speak(_feeds([1, 2], length=1000)))

    @pytest.mark.parametrize("ends", ["in full", "early"])
    def test_memory_is_returned_after_a_long_sentence_only(
        self, model: PiperModel, monkeypatch: pytest.MonkeyPatch, ends: str
    ) -> None:
        returned: list[None] = []
        monkeypatch.setattr(piper_model, "return_freed_memory", lambda: returned.append(None))
        _speak_until(ends, model.speak(_feeds(_ids(60))))
        assert not returned
        _speak_until(ends, model.speak(_feeds(_ids(700), length=1.5)))
        assert len(returned) == 1


def _speak_until(ends: str, steps: Iterator[Samples]) -> None:
    assert isinstance(steps, Generator)
    if ends == "early":
        while not len(next(steps)):
            pass
        steps.close()
    else:
        for _ in steps:
            pass


@contextmanager
def _peak_memory_below(bound: int) -> Iterator[None]:
    """Have an allocation of more than this fail: by the address space, on top of what is in use."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + bound, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


class TestFailing:
    def test_a_decoder_that_outputs_nan_is_an_engine_failure(self, tmp_path: Path) -> None:
        def edit(model: onnx.ModelProto) -> None:
            count = [node for node in model.graph.node if node.op_type == "Div"][-1].input[1]
            constant = next(node for node in model.graph.node if count in node.output)
            del constant.attribute[:]
            zero = numpy_helper.from_array(np.array(0, np.float32))
            constant.attribute.append(helper.make_attribute("value", zero))

        model = _open(_edited(tmp_path / "nan.onnx", edit))
        steps = model.speak(_feeds(_ids(60)))
        assert len(next(iter(steps))) == 0
        with pytest.raises(EngineFailed, match=r"nan\.onnx produced values that are not finite"):
            next(iter(steps))

    def test_an_onnxruntime_error_is_reported_with_the_name_of_the_model(self) -> None:
        with pytest.raises(EngineFailed, match=r"The model en_US-vits-medium\.onnx failed: .*Gather"):
            list(_cut(MEDIUM).speak(_feeds([5000])))

    def test_a_sample_count_that_does_not_match_the_frames_is_an_error_and_not_played(self) -> None:
        model = _open(_path(MEDIUM))
        model._stages[1].part = replace(model._stages[1].part, axis=TimeAxis(7))
        with pytest.raises(EngineFailed, match=r"expected \d+\."):
            list(model.speak(_feeds(_ids(10))))

    def test_a_closed_model_has_released_every_part(self) -> None:
        model = _open(_path(MEDIUM))
        sentence = _sentences(model, _feeds(_ids(10)))()
        model.close()
        assert repr(model) == "<Model en_US-vits-medium.onnx closed> in 4 parts"
        for use in (lambda: list(model.speak(_feeds([1]))), lambda: sentence.result(1)):
            with pytest.raises(EngineFailed, match="freed while it was still in use"):
                use()
        assert all(stage._model._session is None for stage in model._stages)


def test_tensors_crossing_a_split_are_sliced_along_their_time_axis_if_they_have_one() -> None:
    class Product:
        def has_cores(self) -> bool:
            return True

        def run(self, _: Any, feeds: dict[str, npt.NDArray[np.float32]]) -> list[Any]:
            return [feeds["x"] * feeds["mask"] * feeds["still"]]

    part = LocalPart("x", "y", {"mask": TimeAxis(1)}, frozenset({"still"}), left=1, right=1, axis=TimeAxis(1))
    stage = ModelStage(Product(), part)  # type: ignore[arg-type]
    x = np.arange(9, dtype=np.float32).reshape(1, 1, 9)
    masks: list[npt.NDArray[np.float32]] = [
        x[..., ::-1],
        np.full((1, 1, 1), 2, np.float32),
        np.array(2, np.float32),
    ]
    for mask in masks:
        # As many channels as frames: still not a time axis.
        sentence = ChunkedInference(
            [stage], {"x": x, "mask": mask, "still": np.full((1, 9, 1), 0.5, np.float32)}
        )
        pieces = [sentence.result(end).reshape(9, -1)[0] for end in (2, 3, 9)]
        np.testing.assert_array_equal(np.concatenate(pieces), (x * mask * 0.5).reshape(-1))


def test_a_voice_limited_to_one_core_sounds_the_same_and_loads_its_weights_once() -> None:
    alone = True
    model = open_piper_model(
        _path(MEDIUM), EngineOptions(intra_op_threads=2, has_cores=lambda: alone), sample_rate=22_050
    )
    assert model.shares_cores
    feeds = _feeds(_ids(40))
    with_all = np.concatenate(list(model.speak(feeds, low_latency=False)))
    alone = False
    with_one = np.concatenate(list(model.speak(feeds, low_latency=False)))
    assert np.abs(with_all - with_one).max() < 1e-3
    model.close()


def test_while_others_wait_no_chunk_is_longer_than_a_second() -> None:
    model = open_piper_model(
        _path(MEDIUM), EngineOptions(intra_op_threads=2, has_cores=lambda: False), sample_rate=22_050
    )
    for _ in range(2):  # its speed is known in the second pass
        lengths = [len(chunk) for chunk in model.speak(_feeds(_ids(400)))]
    assert sum(lengths) > 4 * 22_050
    assert max(lengths) < 1.5 * 22_050
    model.close()


def test_while_others_wait_the_first_chunk_is_longer_and_the_second_at_most_as_long() -> None:
    alone = True
    model = open_piper_model(
        _path(MEDIUM), EngineOptions(intra_op_threads=2, has_cores=lambda: alone), sample_rate=22_050
    )
    lengths = []
    for alone in (True, False):  # noqa: B007  # the model asks for it
        steps = model.speak(_feeds(_ids(200)))
        assert len(next(steps)) == 0
        lengths.append([len(next(steps)), len(next(steps))])
    (first, second), (crowded_first, crowded_second) = lengths
    assert second == crowded_first == crowded_second == 2 * first
    model.close()
