"""Trials of uploaded voices in child processes with limits."""

from __future__ import annotations

import asyncio
import shutil
import signal
from asyncio.subprocess import Process
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.endless_models import endless_model
from tests.support.hostile_models import (
    declared_size,
    external_weights,
    folded_memory,
    run_memory,
    silence,
)
from tests.support.tones import LETTERS, LOW, TONES, VOICES
from tests.voices.make_vits import MEDIUM, VITS
from wyoming_tts.engines.piper import trial
from wyoming_tts.engines.piper.trial import TrialFailed, memory_limit, try_voice
from wyoming_tts.engines.piper.voice_json import voice_json_path


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> asyncio.Queue[Process]:
    """The processes of trials."""
    processes = asyncio.Queue[Process]()
    start = trial._start

    async def start_and_tell(command: Sequence[str]) -> Process:
        process = await start(command)
        processes.put_nowait(process)
        return process

    monkeypatch.setattr(trial, "_start", start_and_tell)
    return processes


_LIMIT = memory_limit(0) // 1_000_000


async def _try(directory: Path, model: bytes, *, seconds: float = trial.SECONDS) -> None:
    path = directory / "x.onnx"
    path.write_bytes(model)
    shutil.copy(voice_json_path(VOICES / f"{LETTERS.name}.onnx"), voice_json_path(path))
    await try_voice(path, len(model), seconds=seconds)


@pytest.mark.parametrize(
    "path", [*(VOICES / f"{each.name}.onnx" for each in (LETTERS, LOW, TONES)), VITS / f"{MEDIUM.name}.onnx"]
)
async def test_a_voice_passes_whatever_it_was_trained_on(path: Path) -> None:
    await try_voice(path, 0)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (folded_memory(750_000_000), f"needs more than {_LIMIT} MB"),
        (run_memory(30_000_000), f"needs more than {_LIMIT} MB"),
        (declared_size(10**9), "cannot be loaded"),
        (external_weights("../../etc/passwd"), "lie in other files"),
        (external_weights("x.onnx.json", inside=True), "lie in other files"),
        (silence(), "it makes no sound"),
        (b"\x3a\x02xx\x42\x00", "cannot be loaded"),
        ((VOICES / "kokoro-tones.onnx").read_bytes(), "it has no input 'input'"),
    ],
    ids=[
        *("memory at load", "memory at run", "declared size", "external weights", "external constant"),
        *("silence", "garbage", "kokoro"),
    ],
)
async def test_a_model_that_would_harm_the_server_is_refused_with_the_reason(
    tmp_path: Path, model: bytes, reason: str
) -> None:
    with pytest.raises(TrialFailed, match=reason):
        await _try(tmp_path, model)


async def test_a_model_that_does_not_end_is_killed(tmp_path: Path, started: asyncio.Queue[Process]) -> None:
    with pytest.raises(TrialFailed, match="did not load and speak a few letters within 0 s"):
        await _try(tmp_path, endless_model(), seconds=0.1)
    assert started.get_nowait().returncode == -signal.SIGKILL


async def test_a_cancelled_trial_leaves_no_process(tmp_path: Path, started: asyncio.Queue[Process]) -> None:
    trying = asyncio.create_task(_try(tmp_path, endless_model()))
    child = await started.get()
    trying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await trying
    assert child.returncode == -signal.SIGKILL


@pytest.mark.parametrize(
    ("status", "report", "problem"),
    [
        (0, b'""', ""),
        (0, b'"it makes no sound"', "it makes no sound"),
        (0, b"", "the process of its trial ended with status 0"),
        (1, b"", "the process of its trial ended with status 1"),
        (-11, b"", "it crashes onnxruntime (SIGSEGV)"),
        (-9, b"", "loading it and speaking a few letters needs more memory than the machine has"),
    ],
)
def test_every_end_of_a_trial_has_words(status: int, report: bytes, problem: str) -> None:
    assert trial._problem(status, report) == problem


def test_the_memory_of_a_trial_grows_with_the_file() -> None:
    assert memory_limit(63_000_000) > 3 * 250_000_000  # three times what a "medium" voice needs
    assert memory_limit(137_000_000) < 1_300_000_000
