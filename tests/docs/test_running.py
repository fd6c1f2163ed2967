"""The documents' commands are run one after the other, against a server with tone voices."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.docs.excuses import RUN, excuse
from tests.docs.pages import Command, pages, program_name
from tests.support.tones import VOICES
from wyoming_tts.commands import cli
from wyoming_tts.settings import Settings

KOKORO = {"af_bella": "af_test", "af_heart": "bf_test", "af_sky": "am_test"}
"""Voices that the documents blend, and the test voices that replace them."""
_TIMEOUT = 30.0
_TEMPORARY = "/tmp/"


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A running server, and the working directory of its clients."""

    directory: Path
    ports: dict[str, str]
    """Documented ports, and the actual ones that replace them."""

    def with_actual_places(self, word: str) -> str:
        """A command's argument with documented ports and temporary files replaced by the actual ones."""
        word = word.replace(_TEMPORARY, f"{self.directory}/")
        for documented, actual in self.ports.items():
            word = word.replace(f":{documented}", f":{actual}")
        return word


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    directory = tmp_path_factory.mktemp("reader")
    _copy_voices(directory / "voices")
    with pytest.MonkeyPatch.context() as patch, _server(directory) as ports:
        for name, value in _environment(directory).items():
            patch.setenv(name, value)
        patch.chdir(directory)
        yield RunningServer(directory, ports)


@pytest.mark.timeout(150)  # about two seconds on an idle machine
@pytest.mark.skipif(shutil.which("curl") is None, reason="the documents use curl")
def test_every_runnable_documented_command_succeeds(
    running: RunningServer, capfd: pytest.CaptureFixture[str]
) -> None:
    completed: list[str] = []
    for page in pages():
        for command in page.commands():
            if excuse(command) is None and command.text not in completed:
                _run(running, command)
                output = capfd.readouterr()
                assert "Traceback" not in output.err, command
                completed.append(command.text)
    assert len(completed) > 15
    _check_files(running.directory)


def _check_files(directory: Path) -> None:
    """Check the files that the commands wrote."""
    for sound in ("door.wav", "evening.wav"):
        assert (directory / sound).read_bytes()[:4] == b"RIFF", sound
    told = json.loads((directory / "door.json").read_text("utf-8"))
    assert [word["word"] for word in told["timestamps"]] == ["The", "front", "door", "is", "open"]
    assert "It is 4 °C outside." in (directory / "door.srt").read_text("utf-8")
    assert "The front door is open." in (directory / "front.srt").read_text("utf-8")
    assert '"speech.audio.words"' in (directory / "events.txt").read_text("utf-8")
    assert (directory / "morning.mp3").stat().st_size > 500
    assert '"af_bella"' in (directory / "voices.json").read_text()
    assert np.load(directory / "dawn.npy").shape[1:] == (1, 256)


def _run(running: RunningServer, command: Command) -> None:
    output = b""
    for words in command.programs:
        output = _run_program(running, [running.with_actual_places(word) for word in words], output, command)
    if command.out is not None:
        Path(running.directory, running.with_actual_places(command.out)).write_bytes(output)


def _run_program(running: RunningServer, words: Sequence[str], stdin: bytes, command: Command) -> bytes:
    program = program_name(tuple(words))
    assert program in RUN, command
    if program == "wyoming-tts":
        if words[1] == "stats":
            _wait_for(Settings().metrics_file)
        with _standard_input(stdin):
            assert cli.main(words[1:]) == 0, command
        return b""
    completed = subprocess.run(
        words, input=stdin, capture_output=True, cwd=running.directory, timeout=_TIMEOUT, check=False
    )
    assert completed.returncode == 0, f"{command}: {completed.stderr.decode()}"
    return completed.stdout


def _wait_for(file: Path) -> None:
    """Wait for a file: metrics are written within a second or so."""
    deadline = time.monotonic() + _TIMEOUT
    while not file.exists():
        assert time.monotonic() < deadline, file
        time.sleep(0.02)


@contextmanager
def _standard_input(stdin: bytes) -> Iterator[None]:
    """Replace the process's standard input, both the file descriptor and `sys.stdin`."""
    reading, writing = os.pipe()
    os.write(writing, stdin)
    os.close(writing)
    before = os.dup(0)
    os.dup2(reading, 0)
    try:
        with os.fdopen(reading) as sys.stdin:
            yield
    finally:
        os.dup2(before, 0)
        os.close(before)
        sys.stdin = sys.__stdin__


def _copy_voices(directory: Path) -> None:
    directory.mkdir()
    for name in ("en_US-tone-low.onnx", "en_US-tone-low.onnx.json"):
        shutil.copy(VOICES / name, directory)
    shutil.copy(VOICES / "kokoro-tones.onnx", directory / "tones.onnx")
    with np.load(VOICES / "voices-tones.bin") as pack, (directory / "tones.bin").open("wb") as file:
        np.savez(file, **{name: pack[stand_in] for name, stand_in in KOKORO.items()})


def _environment(directory: Path) -> dict[str, str]:
    voices = directory / "voices"
    return {
        "WYOMING_TTS_DATA_DIR": str(voices),
        "WYOMING_TTS_HTTP_HOST": "127.0.0.1",
        "WYOMING_TTS_KOKORO_MODEL": str(voices / "tones.onnx"),
        "WYOMING_TTS_KOKORO_VOICES": str(voices / "tones.bin"),
        "WYOMING_TTS_OFFLINE": "true",
        "WYOMING_TTS_UI": "false",
        "WYOMING_TTS_VOICE": "en_US-tone-low",
    }


@contextmanager
def _server(directory: Path) -> Iterator[dict[str, str]]:
    others = {name: value for name, value in os.environ.items() if not name.startswith("WYOMING_TTS_")}
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "wyoming_tts",
            "--uri",
            "tcp://127.0.0.1:0",
            "--http-port",
            "0",
            "--no-zeroconf",
        ],
        stderr=subprocess.PIPE,
        text=True,
        env=others | _environment(directory),
    )
    try:
        yield _ports(process)
    finally:
        process.terminate()
        process.communicate(timeout=_TIMEOUT)


def _ports(process: subprocess.Popen[str]) -> dict[str, str]:
    """Wait until both ports are open and the default voice is warm; returns the actual ports."""
    assert process.stderr is not None
    log = ""
    found: dict[str, str] = {}
    patterns = {"10200": r"listens on tcp://127\.0\.0\.1:(\d+)", "8880": r"http://127\.0\.0\.1:(\d+)"}
    while len(found) < len(patterns) or "Ready:" not in log:
        line = process.stderr.readline()
        assert line, f"The server ended:\n{log}"
        log += line
        for documented, pattern in patterns.items():
            if match := re.search(pattern, line):
                found[documented] = match[1]
    return found
