"""Inventory of voices: what is told of one that is installed, in the catalogue, or both."""

from __future__ import annotations

from pathlib import Path

import pytest

from wyoming_tts.speech import Attribution, Voice
from wyoming_tts.voices.catalogue import CatalogueVoice
from wyoming_tts.voices.inventory import InventoryEntry

HEART = CatalogueVoice("af_heart", "kokoro", "en_US", "fp32", 1, ())


def installed(name: str, engine: str, *files: str) -> Voice:
    return Voice(
        name=name,
        engine=engine,
        language="en_US",
        description=name,
        sample_rate=24_000,
        model=name,
        attribution=Attribution("nobody", ""),
        files=tuple(map(Path, files)),
    )


@pytest.mark.parametrize(
    ("model", "quality"),
    [
        ("kokoro-v1.0.int8.onnx", "int8"),
        ("kokoro-v1.0.fp16.onnx", "fp16"),
        ("kokoro-v1.0.onnx", "fp32"),
        ("kokoro-of-my-own.onnx", ""),
    ],
)
def test_the_quality_of_a_kokoro_voice_is_that_of_the_model_which_is_here(model: str, quality: str) -> None:
    voice = installed(HEART.name, "kokoro", model, "voices-v1.0.bin")
    blend = installed("my_blend", "kokoro", model, "voices-v1.0.bin")
    assert InventoryEntry(HEART.name, voice, HEART).quality == quality
    assert InventoryEntry(blend.name, blend, None).quality == quality
    assert InventoryEntry(HEART.name, None, HEART).quality == "fp32"


def test_the_quality_of_other_voices_is_the_catalogues_or_in_the_name() -> None:
    low = CatalogueVoice("en_US-amy-low", "piper", "en_US", "low", 1, ())
    assert InventoryEntry(low.name, None, low).quality == "low"
    own = installed("en_US-me-x_low", "piper", "en_US-me-x_low.onnx")
    assert InventoryEntry(own.name, own, None).quality == "x_low"
    robot = installed("espeak-en-us", "espeak")
    assert InventoryEntry(robot.name, robot, None).quality == ""
