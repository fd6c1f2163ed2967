"""How large the chunks of a sentence are, and what is computed for each."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.hypothesis_examples import scaled_examples
from tests.unit.engines.piper.vits_models import feeds_of, model_path, open_cut, sentences, some_ids
from tests.voices.make_vits import MEDIUM
from wyoming_tts.engines.base import EngineOptions
from wyoming_tts.engines.chunked_inference import ModelStage, chunk_ends
from wyoming_tts.engines.onnx import OnnxModel
from wyoming_tts.engines.piper.model import CutModel, open_piper_model


class TestSteps:
    @pytest.mark.parametrize(("rate", "first"), [(22050, 22), (16000, 16), (24000, 23)])
    def test_the_text_part_runs_first_then_chunks_start_at_a_quarter_second_and_double(
        self, rate: int, first: int
    ) -> None:
        model = open_cut(model_path(MEDIUM), rate)
        list(model.speak(feeds_of(some_ids(30))))
        steps = [len(step) // MEDIUM.hop for step in model.speak(feeds_of(some_ids(200)))]
        assert steps[:6] == [0, first, 2 * first, 4 * first, 8 * first, 8 * first]

    def test_only_the_chunk_edges_are_computed_twice(self, monkeypatch: pytest.MonkeyPatch) -> None:
        model = open_cut(model_path(MEDIUM))
        lengths: dict[int, list[int]] = {}
        run = ModelStage.run

        def counted(stage: ModelStage, feeds: dict[str, Any]) -> Any:
            lengths.setdefault(id(stage), []).append(feeds[stage.part.source].shape[-1])
            return run(stage, feeds)

        monkeypatch.setattr(ModelStage, "run", counted)
        chunks = [len(step) // MEDIUM.hop for step in model.speak(feeds_of(some_ids(150)))][1:]
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
        model = open_cut(model_path(MEDIUM))
        sentence = sentences(model, feeds_of(some_ids(300)))()
        kept = []
        for end in chunk_ends(sentence.frames, 22, 1):
            sentence.result(end)
            kept.append(sentence._last._source.shape[-1])
        assert len(kept) > 20
        assert max(kept) < 8 * (44 + 22 + 4)

    def test_closing_the_generator_stops_running_the_model(self, monkeypatch: pytest.MonkeyPatch) -> None:
        model = open_cut(model_path(MEDIUM))
        runs = 0
        run = OnnxModel.run

        def counted(self: OnnxModel, outputs: Any, feeds: dict[str, Any]) -> list[Any]:
            nonlocal runs
            runs += 1
            return run(self, outputs, feeds)

        monkeypatch.setattr(OnnxModel, "run", counted)
        steps = iter(model.speak(feeds_of(some_ids(200))))
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
        model = open_cut(model_path(MEDIUM))
        assert model._stages[-1]._clock is time.thread_time
        model._stages[-1]._clock = clock
        return model

    def _largest(self, model: CutModel) -> int:
        """Frames of the largest chunk, except the last, which may include a small remainder."""
        *sizes, _ = (len(step) for step in model.speak(feeds_of(some_ids(250))))
        return max(sizes) // MEDIUM.hop

    def test_chunks_stay_below_half_a_second_until_the_speed_is_known(self) -> None:
        assert self._largest(open_cut(model_path(MEDIUM))) == 44

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
        list(model.speak(feeds_of(some_ids(20))))
        clock.seconds_per_frame = 0.0002
        assert self._largest(model) == 176

    def test_chunk_sizes_are_fixed_at_the_start_of_a_sentence(self, monkeypatch: pytest.MonkeyPatch) -> None:
        clock = _SlowClock(monkeypatch, 0.002)
        model = self._speaking(clock)
        self._largest(model)
        steps = model.speak(feeds_of(some_ids(2000)))
        next(iter(steps))
        clock.seconds_per_frame = 0.0
        assert max(len(step) for step in steps) // MEDIUM.hop < 1.5 * 88
        assert self._largest(model) == 176


def test_while_others_wait_no_chunk_is_longer_than_a_second() -> None:
    model = open_piper_model(
        model_path(MEDIUM), EngineOptions(intra_op_threads=2, has_cores=lambda: False), sample_rate=22_050
    )
    for _ in range(2):  # its speed is known in the second pass
        lengths = [len(chunk) for chunk in model.speak(feeds_of(some_ids(400)))]
    assert sum(lengths) > 4 * 22_050
    assert max(lengths) < 1.5 * 22_050
    model.close()


def test_while_others_wait_the_first_chunk_is_longer_and_the_second_at_most_as_long() -> None:
    alone = True
    model = open_piper_model(
        model_path(MEDIUM), EngineOptions(intra_op_threads=2, has_cores=lambda: alone), sample_rate=22_050
    )
    lengths = []
    for alone in (True, False):  # noqa: B007  # the model asks for it
        steps = model.speak(feeds_of(some_ids(200)))
        assert len(next(steps)) == 0
        lengths.append([len(next(steps)), len(next(steps))])
    (first, second), (crowded_first, crowded_second) = lengths
    assert second == crowded_first == crowded_second == 2 * first
    model.close()
