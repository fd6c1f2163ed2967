"""Copies of the test voices with an edited json, and what voices say."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.support.tones import LOW, VOICES
from wyoming_tts.engines.base import EngineOptions, samples_of
from wyoming_tts.engines.piper.engine import LoadedPiper, PiperEngine
from wyoming_tts.speech import Prosody, Samples, Segment, Voice, VoiceSpec

Edit = Callable[[dict[str, Any]], None]

FRONT_DOOR = "ðə fɹˈʌnt dˈɔːɹ ɪz ˈoʊpən."


def found_by(engine: PiperEngine) -> dict[str, Voice]:
    return {voice.name: voice for voice in engine.installed()}


def copy_voice(directory: Path, name: str, *, of: str = LOW.name, edit: Edit | None = None) -> Path:
    """Copy a test voice under another name, with an edited json."""
    directory.mkdir(parents=True, exist_ok=True)
    shutil.copy(VOICES / f"{of}.onnx", directory / f"{name}.onnx")
    document = json.loads((VOICES / f"{of}.onnx.json").read_text(encoding="utf-8"))
    if edit:
        edit(document)
    (directory / f"{name}.onnx.json").write_text(json.dumps(document), encoding="utf-8")
    return directory / f"{name}.onnx"


def only_voice(directory: Path) -> Voice:
    (voice,) = PiperEngine(EngineOptions(data_dirs=(directory,))).installed()
    return voice


def speak_text(
    loaded: LoadedPiper,
    voice: Voice,
    text: str,
    *,
    speaker: int | None = None,
    prosody: Prosody | None = None,
) -> Samples:
    return np.concatenate(steps_of(loaded, text, VoiceSpec(voice, speaker), prosody))


def steps_of(
    loaded: LoadedPiper, text: str, spec: VoiceSpec, prosody: Prosody | None = None
) -> list[Samples]:
    """The samples of each step."""
    return [samples_of(step) for step in loaded.render(Segment(text), spec, prosody or Prosody())]


def speak_edited(directory: Path, text: str, edit: Edit, *, prosody: Prosody | None = None) -> Samples:
    copy_voice(directory, "en_US-edited-low", edit=edit)
    voice = only_voice(directory)
    loaded = PiperEngine(EngineOptions(data_dirs=(directory,))).load(voice)
    return speak_text(loaded, voice, text, prosody=prosody)
