"""The engine with the test voices, and each of them loaded."""

from __future__ import annotations

import pytest

from tests.support.tones import VOICES
from wyoming_tts.engines.base import EngineOptions
from wyoming_tts.engines.piper.engine import LoadedPiper, PiperEngine


@pytest.fixture(scope="module")
def engine() -> PiperEngine:
    return PiperEngine(EngineOptions(data_dirs=(VOICES,), intra_op_threads=1))


@pytest.fixture(scope="module")
def loaded(engine: PiperEngine) -> dict[str, LoadedPiper]:
    return {voice.name: engine.load(voice) for voice in engine.installed()}
