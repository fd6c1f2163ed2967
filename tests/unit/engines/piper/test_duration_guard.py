"""Sentences that would last too long, and the memory of long ones."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from tests.support.tones import LETTERS
from tests.unit.engines.piper.vits_models import (
    OPTIONS,
    SEAM,
    concatenate,
    cut_model,
    each_voice,
    edited,
    feeds_of,
    model_path,
    open_cut,
    open_without_durations,
    round_twice,
    some_ids,
    whole_model,
)
from tests.voices.make_vits import MEDIUM, VitsVoice
from wyoming_tts.engines.piper import model as piper_model
from wyoming_tts.engines.piper.graph import PiperGraph
from wyoming_tts.engines.piper.model import PiperModel, WholeModel, open_piper_model
from wyoming_tts.errors import TooLong
from wyoming_tts.speech import Samples


class TestDurations:
    """The frames of a sentence are known, and bounded, before anything is allocated for them."""

    LONG = 1e6
    """A length scale by which a few phonemes have millions of frames: gigabytes, if they were made."""

    @pytest.fixture(params=["cut", "whole"])
    def model(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> PiperModel:
        if request.param == "whole":
            monkeypatch.setattr(PiperGraph, "extract_part", lambda *_: b"no model")
        return open_piper_model(model_path(MEDIUM), OPTIONS, MEDIUM.rate)

    def test_a_sentence_that_is_too_long_is_refused_before_it_is_made(self, model: PiperModel) -> None:
        with _peak_memory_below(200_000_000), pytest.raises(TooLong) as caught:
            list(model.speak(feeds_of(some_ids(200), length=self.LONG)))
        most = 60 if isinstance(model, WholeModel) else 180
        assert f"expected at most {most} s" in caught.value.message
        assert "noise_w_scale" in caught.value.hint

    def test_noise_of_lengths_without_end_is_refused(self, model: PiperModel) -> None:
        feeds = feeds_of(some_ids(100)) | {"scales": np.array([0.0, 1.0, 1e4], np.float32)}
        with _peak_memory_below(200_000_000), pytest.raises(TooLong, match="would last"):
            list(model.speak(feeds))

    def test_a_short_sentence_may_last_less(self, model: PiperModel) -> None:
        with pytest.raises(TooLong, match="expected at most 12 s for its length"):
            list(model.speak(feeds_of([1, 2], length=1000)))

    def test_after_a_refused_sentence_the_next_one_sounds_as_ever(self, model: PiperModel) -> None:
        feeds = feeds_of(some_ids(10))
        expected = whole_model(MEDIUM).run(None, feeds)[0].reshape(-1)
        with pytest.raises(TooLong):
            list(model.speak(feeds_of(some_ids(200), length=self.LONG)))
        np.testing.assert_allclose(concatenate(model.speak(feeds)), expected, rtol=0, atol=SEAM)

    @each_voice
    def test_up_to_the_bound_durations_are_what_they_were(self, voice: VitsVoice) -> None:
        feeds = feeds_of(some_ids(200), voice=voice, length=2.5)
        assert len(whole_model(voice).run(None, feeds)[0].reshape(-1)) == len(
            concatenate(cut_model(voice).speak(feeds))
        )

    def test_a_model_without_durations_is_measured_by_what_it_spoke(self, tmp_path: Path) -> None:
        model = open_without_durations(tmp_path)
        with pytest.raises(TooLong, match="expected at most 11 s"):
            list(model.speak(feeds_of([40], length=12 * LETTERS.rate / LETTERS.slot)))

    def test_a_model_that_rounds_twice_is_not_guarded_but_measured(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert not PiperGraph(edited(tmp_path / "twice.onnx", round_twice)).tells_frames
        model = open_cut(tmp_path / "twice.onnx")
        with pytest.raises(TooLong, match="expected at most 12 s"):
            list(model.speak(feeds_of([1, 2], length=1000)))

    @pytest.mark.parametrize("ends", ["in full", "early"])
    def test_memory_is_returned_after_a_long_sentence_only(
        self, model: PiperModel, monkeypatch: pytest.MonkeyPatch, ends: str
    ) -> None:
        returned: list[None] = []
        monkeypatch.setattr(piper_model, "return_freed_memory", lambda: returned.append(None))
        _speak_until(ends, model.speak(feeds_of(some_ids(60))))
        assert not returned
        _speak_until(ends, model.speak(feeds_of(some_ids(700), length=1.5)))
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
