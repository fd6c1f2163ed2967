"""Changing the default voice while the server runs: by SIGHUP, and beside what the page changed."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.parts import running_parts
from tests.support.tones import LETTERS, LOW, TONES, VOICES
from wyoming_tts.assembly.default_voice import change_default
from wyoming_tts.assembly.parts import Parts
from wyoming_tts.engines.piper.engine import LoadedPiper
from wyoming_tts.errors import UnknownVoice, VoiceUnavailable
from wyoming_tts.server.access_policy import AccessPolicy
from wyoming_tts.server.reload import CurrentSettings, _reload
from wyoming_tts.settings import LoadedSettings
from wyoming_tts.speech import VoiceRequest
from wyoming_tts.telemetry.log_tail import LogTail
from wyoming_tts.voices.library import DefaultVoice


@dataclass
class Server:
    """The parts of one, and its settings."""

    parts: Parts
    access: AccessPolicy
    current: CurrentSettings

    @property
    def speaks(self) -> str:
        """Whoever speaks where no voice is named."""
        return self.parts.library.resolve_now(VoiceRequest()).voice.name

    async def reload(self, **changes: Any) -> None:
        """Read settings again that differ so from those in force."""
        settings = self.current.loaded.settings.model_copy(update=changes)
        await _reload(self.parts, self.access, self.current, lambda: LoadedSettings(settings, {}, ()))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A data directory of our own, with three voices."""
    for name in (LETTERS.name, LOW.name, TONES.name):
        for end in (".onnx", ".onnx.json"):
            shutil.copy(VOICES / f"{name}{end}", tmp_path)
    return tmp_path


@pytest.fixture
async def server(home: Path) -> AsyncIterator[Server]:
    async with running_parts(data_dir=[home], download_dir=home) as parts:
        loaded = LoadedSettings(parts.settings, {}, ())
        yield Server(parts, AccessPolicy(parts.settings), CurrentSettings(loaded, LogTail()))


async def test_another_default_voice_speaks_after_a_reload(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    await server.reload(voice=TONES.name, speaker="bert")
    spec = server.parts.library.resolve_now(VoiceRequest())
    assert (spec.voice.name, spec.speaker) == (TONES.name, spec.voice.speakers["bert"])
    assert server.parts.readiness.is_ready
    assert f"Ready: {TONES.name} speaks" in caplog.text


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"voice": LOW.name}, f"{LOW.name}.onnx"),
        ({"voice": "de_DE-thorsten-medium"}, "The voice 'de_DE-thorsten-medium' is not installed."),
        ({"voice": "nobody"}, "There is no voice 'nobody'."),
        ({"voice": TONES.name, "speaker": "nobody"}, "has no speaker 'nobody'."),
    ],
)
async def test_a_default_voice_that_cannot_speak_leaves_the_one_before_and_the_log_says_so(
    server: Server, home: Path, caplog: pytest.LogCaptureFixture, changes: dict[str, str], reason: str
) -> None:
    (home / f"{LOW.name}.onnx").write_bytes(b"no model")
    await server.reload(**changes)
    assert server.speaks == LETTERS.name
    (told,) = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert told.startswith(f"The default voice stays {LETTERS.name}.")
    assert reason in told


async def test_a_voice_that_breaks_in_an_unforeseen_way_leaves_the_one_before(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def breaks(*_: object) -> None:
        raise RuntimeError("no such operator")

    monkeypatch.setattr(LoadedPiper, "calibration_segment", breaks)
    await server.reload(voice=LOW.name)
    assert server.speaks == LETTERS.name
    assert f"The default voice stays {LETTERS.name}." in caplog.text


async def test_a_default_voice_that_failed_is_tried_again_by_the_next_reload(
    server: Server, home: Path
) -> None:
    whole = (home / f"{LOW.name}.onnx").read_bytes()
    (home / f"{LOW.name}.onnx").write_bytes(b"no model")
    await server.reload(voice=LOW.name)
    assert server.speaks == LETTERS.name
    (home / f"{LOW.name}.onnx").write_bytes(whole)
    await server.parts.refresh_voices()
    await server.reload()
    assert server.speaks == LOW.name


async def test_a_reload_ends_what_somebody_chose_on_the_page(server: Server) -> None:
    await change_default(server.parts, DefaultVoice(LOW.name))
    assert server.speaks == LOW.name
    await server.reload()
    assert server.speaks == LETTERS.name


async def test_a_reload_without_change_leaves_the_default_voice_alone(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    await server.reload()
    assert "Ready" not in caplog.text


async def test_a_well_known_name_that_only_the_voice_before_answers_to_is_no_default(server: Server) -> None:
    assert server.parts.library.installed("alloy").name == LETTERS.name
    with pytest.raises(VoiceUnavailable, match="'alloy' is not installed"):
        await change_default(server.parts, DefaultVoice("alloy"))
    with pytest.raises(UnknownVoice):
        await change_default(server.parts, DefaultVoice("nobody"))
    assert server.speaks == LETTERS.name
