"""How long a text takes at a speed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.engines.piper.vits_models import (
    OPTIONS,
    SEAM,
    concatenate,
    cut_model,
    each_voice,
    feeds_of,
    model_path,
    open_without_durations,
    refuse_to_cut,
    some_ids,
    whole_model,
)
from tests.voices.make_vits import MEDIUM, VitsVoice
from wyoming_tts.engines.piper.graph import PiperGraph
from wyoming_tts.engines.piper.model import PiperModel, WholeModel, open_piper_model


def frames(model: PiperModel, feeds: dict[str, Any], speed: float, hop: int) -> int:
    return sum(len(step) for step in model.speak(feeds, speed=speed)) // hop


class TestSpeed:
    """Lengths at normal speed are divided by the speed, so no rounding adds up."""

    @each_voice
    @pytest.mark.parametrize("speed", [0.25, 0.5, 0.8, 1.3, 2.0, 4.0])
    def test_a_text_takes_its_time_divided_by_the_speed(self, voice: VitsVoice, speed: float) -> None:
        model, feeds = cut_model(voice), feeds_of(some_ids(120), voice=voice)
        natural = frames(model, feeds, 1.0, voice.hop)
        assert frames(model, feeds, speed, voice.hop) == pytest.approx(natural / speed, abs=1)

    @each_voice
    def test_normal_speed_changes_nothing(self, voice: VitsVoice) -> None:
        feeds = feeds_of(some_ids(60), voice=voice)
        expected = whole_model(voice).run(None, feeds)[0].reshape(-1)
        audio = concatenate(cut_model(voice).speak(feeds, speed=1.0))
        np.testing.assert_allclose(audio, expected, rtol=0, atol=SEAM)

    def test_a_model_that_runs_whole_is_as_exact(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(PiperGraph, "cut", refuse_to_cut)
        model = open_piper_model(model_path(MEDIUM), OPTIONS, MEDIUM.rate)
        assert isinstance(model, WholeModel)
        feeds = feeds_of(some_ids(120))
        natural = frames(model, feeds, 1.0, MEDIUM.hop)
        assert frames(model, feeds, 3.0, MEDIUM.hop) == pytest.approx(natural / 3, abs=1)

    def test_a_model_whose_lengths_cannot_be_told_takes_the_speed_as_a_length_of_phonemes(
        self, tmp_path: Path
    ) -> None:
        model = open_without_durations(tmp_path)
        feeds = feeds_of([3, 4, 5, 6])
        lengths = [sum(len(step) for step in model.speak(feeds, speed=speed)) for speed in (1.0, 2.0)]
        assert lengths[1] == pytest.approx(lengths[0] / 2, rel=0.01)
