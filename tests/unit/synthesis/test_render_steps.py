"""What a voice renders becomes PCM step by step, and its timings come before the PCM of their words."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from tests.support.silent_voice import SilentVoice
from wyoming_tts.engines.base import LoadedVoice, Rendered
from wyoming_tts.speech import (
    Attribution,
    Prosody,
    Segment,
    TimedSamples,
    Voice,
    VoiceSpec,
    WordTiming,
    WordTimings,
)
from wyoming_tts.synthesis.costs import StepClocks
from wyoming_tts.synthesis.rendering import RenderTask, render_steps

VOICE = Voice("one", "e", "en_US", "", 16_000, "m", Attribution("", ""), files=(Path("m"),))
EARLY, LATE = WordTimings((WordTiming(0, 3, 0, 900),)), WordTimings((WordTiming(4, 7, 1000, 1600),))
SOUND = np.full(1600, 0.5, np.float32)


class ToldVoice(SilentVoice):
    """Tells its words once in a step of its own, and once with their audio."""

    def render(self, segment: Segment, spec: VoiceSpec, prosody: Prosody) -> Generator[Any, None, None]:
        del segment, spec, prosody
        steps: list[Rendered] = [EARLY, SOUND, TimedSamples(SOUND, LATE)]
        yield from steps

    def close(self) -> None:
        pass


def test_words_are_told_before_their_audio_and_cost_no_step() -> None:
    job: Any = SimpleNamespace(clock=SimpleNamespace(has_cores=True))
    task = RenderTask(job, VoiceSpec(VOICE), Segment("One two."), Prosody())
    steps = [*render_steps(task, cast(LoadedVoice, ToldVoice()), 1.0, clocks=StepClocks())]
    told = [[piece if isinstance(piece, WordTimings) else len(piece) for piece in step] for step, _ in steps]
    assert told == [[EARLY], [3200], [LATE, 3200]]
    assert [timing.audio for _, timing in steps] == [0.0, 0.1, 0.1]
