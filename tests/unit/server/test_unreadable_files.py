"""A server whose data directory cannot be read now: its voices stay, and it tells whether it can speak."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.file_errors import TRANSIENT
from tests.support.parts import running_parts
from tests.support.tones import KOKORO, LETTERS, LOW, VOICES
from wyoming_tts.assembly.default_voice import warm_up_until_ready
from wyoming_tts.assembly.parts import Parts
from wyoming_tts.errors import VoiceUnavailable
from wyoming_tts.server.speech_service import ServerSpeechService
from wyoming_tts.speech import Voice, VoiceSpec
from wyoming_tts.voices.listing import list_installed_voices


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    directory = tmp_path / "voices"
    directory.mkdir()
    for name in (LOW.name, LETTERS.name):
        for ending in (".onnx", ".onnx.json"):
            shutil.copy(VOICES / f"{name}{ending}", directory)
    shutil.copy(VOICES / f"{KOKORO.name}.onnx", directory)
    shutil.copy(VOICES / "voices-tones.bin", directory)
    (directory / "blends.yaml").write_text("blends:\n  warm: af_test+bf_test\n", "utf-8")
    return directory


@pytest.fixture
async def parts(directory: Path) -> AsyncIterator[Parts]:
    async with running_parts(data_dir=[directory]) as parts:
        yield parts


@contextmanager
def failing_file_system(monkeypatch: pytest.MonkeyPatch, directory: Path, number: int) -> Any:
    """Every look below the directory fails with this error."""

    def failing(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: Any, *arguments: Any, **keywords: Any) -> Any:
            if str(path).startswith(str(directory)):
                raise OSError(number, os.strerror(number), str(path))
            return real(path, *arguments, **keywords)

        return call

    with monkeypatch.context() as patch:
        patch.setattr("os.scandir", failing(os.scandir))
        for name in ("stat", "open", "read_bytes"):
            patch.setattr(Path, name, failing(getattr(Path, name)))
        yield


def names(parts: Parts) -> set[str]:
    return {voice.name for voice in parts.library.voices}


@pytest.mark.parametrize("number", TRANSIENT, ids=errno.errorcode.__getitem__)
async def test_the_voices_of_all_engines_stay_while_nothing_can_be_read(
    parts: Parts, directory: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    before = parts.library.voices
    assert {LOW.name, LETTERS.name, "af_test", "espeak-en-us"} <= names(parts)
    async with parts.loaded.lease(parts.library.installed(LOW.name)):
        pass
    service = ServerSpeechService(parts)
    with failing_file_system(monkeypatch, directory, number):
        await parts.refresh_voices()
        assert parts.library.voices == before
        assert len(parts.loaded.models) == 1
        assert service.health().degraded
        assert str(directory) not in service.health().degraded
        status = await service.status()
        assert status["unreadable"] == {str(path): why for path, why in parts.known.troubles.items()} != {}
    await parts.refresh_voices()
    assert parts.library.voices == before
    assert not service.health().degraded


async def test_a_deleted_voice_is_noticed_although_another_file_cannot_be_read(
    parts: Parts, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = names(parts)
    (directory / f"{LETTERS.name}.onnx").unlink()
    with failing_file_system(monkeypatch, directory / f"{LOW.name}.onnx", errno.EIO):
        await parts.refresh_voices()
    assert before - names(parts) == {LETTERS.name}


async def test_an_engine_that_fails_keeps_its_voices(parts: Parts) -> None:
    class Failing:
        name = "piper"

        def installed(self) -> Sequence[Voice]:
            raise OSError(errno.ENFILE, "Too many open files in system")

    before = parts.library.voices
    kept = list_installed_voices([Failing()], before=before)
    assert {voice.name for voice in kept} == {LOW.name, LETTERS.name}


async def test_a_server_without_any_voice_says_that_it_cannot_speak(parts: Parts) -> None:
    service = ServerSpeechService(parts)
    assert service.health().not_ready == "The default voice is not ready yet."
    parts.readiness.is_ready = True
    assert not service.health().not_ready
    parts.library.replace([])
    assert "No voice can speak" in service.health().not_ready


async def test_a_failed_warm_up_is_repeated_and_told_of_once(
    parts: Parts, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    service, paused = ServerSpeechService(parts), list[str]()

    async def warm_up(_: object) -> VoiceSpec:
        if len(paused) < 2:
            raise VoiceUnavailable("Too many open files.")
        return VoiceSpec(parts.library.installed(LOW.name))

    async def sleep(_: float) -> None:
        paused.append(service.health().not_ready)

    monkeypatch.setattr(type(parts.synthesizer), "warm_up", warm_up)
    await warm_up_until_ready(parts, sleep=sleep)
    assert ["tried again" in reason for reason in paused] == [True, True]
    assert not service.health().not_ready
    assert caplog.text.count("No voice is ready.") == 1
