"""Reloading the default voice while the server runs: by SIGHUP, and after a change on the page."""

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
class ReloadableServer:
    """The server's parts and the settings in force."""

    parts: Parts
    access: AccessPolicy
    current: CurrentSettings

    @property
    def default_voice_name(self) -> str:
        """Voice of a request that names none."""
        return self.parts.library.resolve_now(VoiceRequest()).voice.name

    async def reload(self, **changes: Any) -> None:
        """Apply changed settings, as if the settings file had been edited and reloaded."""
        settings = self.current.loaded.settings.model_copy(update=changes)
        await _reload(self.parts, self.access, self.current, lambda: LoadedSettings(settings, {}, ()))


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A data directory with three voices, which tests may change."""
    for name in (LETTERS.name, LOW.name, TONES.name):
        for end in (".onnx", ".onnx.json"):
            shutil.copy(VOICES / f"{name}{end}", tmp_path)
    return tmp_path


@pytest.fixture
async def server(data_dir: Path) -> AsyncIterator[ReloadableServer]:
    async with running_parts(data_dir=[data_dir], download_dir=data_dir) as parts:
        loaded = LoadedSettings(parts.settings, {}, ())
        yield ReloadableServer(parts, AccessPolicy(parts.settings), CurrentSettings(loaded, LogTail()))


async def test_a_reload_changes_the_default_voice(
    server: ReloadableServer, caplog: pytest.LogCaptureFixture
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
async def test_a_default_voice_that_cannot_be_loaded_is_rejected_and_the_reason_is_logged(
    server: ReloadableServer,
    data_dir: Path,
    caplog: pytest.LogCaptureFixture,
    changes: dict[str, str],
    reason: str,
) -> None:
    (data_dir / f"{LOW.name}.onnx").write_bytes(b"no model")
    await server.reload(**changes)
    assert server.default_voice_name == LETTERS.name
    (error,) = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert error.startswith(f"The default voice stays {LETTERS.name}.")
    assert reason in error


async def test_an_unexpected_error_while_loading_keeps_the_current_default_voice(
    server: ReloadableServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no such operator")

    monkeypatch.setattr(LoadedPiper, "calibration_segment", fail)
    await server.reload(voice=LOW.name)
    assert server.default_voice_name == LETTERS.name
    assert f"The default voice stays {LETTERS.name}." in caplog.text


async def test_a_reload_retries_a_default_voice_that_failed_to_load(
    server: ReloadableServer, data_dir: Path
) -> None:
    whole = (data_dir / f"{LOW.name}.onnx").read_bytes()
    (data_dir / f"{LOW.name}.onnx").write_bytes(b"no model")
    await server.reload(voice=LOW.name)
    assert server.default_voice_name == LETTERS.name
    (data_dir / f"{LOW.name}.onnx").write_bytes(whole)
    await server.parts.refresh_voices()
    await server.reload()
    assert server.default_voice_name == LOW.name


async def test_a_reload_overrides_the_default_voice_chosen_on_the_page(server: ReloadableServer) -> None:
    await change_default(server.parts, DefaultVoice(LOW.name))
    assert server.default_voice_name == LOW.name
    await server.reload()
    assert server.default_voice_name == LETTERS.name


async def test_a_reload_without_changes_does_not_reload_the_default_voice(
    server: ReloadableServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    await server.reload()
    assert "Ready" not in caplog.text


async def test_an_alias_of_the_current_default_is_not_accepted_as_a_new_default(
    server: ReloadableServer,
) -> None:
    assert server.parts.library.installed("alloy").name == LETTERS.name
    with pytest.raises(VoiceUnavailable, match="'alloy' is not installed"):
        await change_default(server.parts, DefaultVoice("alloy"))
    with pytest.raises(UnknownVoice):
        await change_default(server.parts, DefaultVoice("nobody"))
    assert server.default_voice_name == LETTERS.name
