"""Commands of the documents do what they say, one after the other, with a server that speaks in tones."""

from __future__ import annotations

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
from tests.docs.pages import Command, called, pages
from tests.support.tones import VOICES
from wyoming_tts.commands import cli

KOKORO = {"af_bella": "af_test", "af_heart": "bf_test", "af_sky": "am_test"}
"""Voices that the documents mix, and those that stand for them here."""
_PATIENCE = 30.0


@dataclass(frozen=True, slots=True)
class Running:
    """A server, and where its clients work."""

    directory: Path
    ports: dict[str, str]
    """Those of the documents, and those that stand for them."""

    def here(self, word: str) -> str:
        """A word of a command, with the ports that the server really has."""
        for shown, real in self.ports.items():
            word = word.replace(f":{shown}", f":{real}")
        return word


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    directory = tmp_path_factory.mktemp("reader")
    _lay_out_voices(directory / "voices")
    with pytest.MonkeyPatch.context() as patch, _server(directory) as ports:
        for name, value in _environment(directory).items():
            patch.setenv(name, value)
        patch.chdir(directory)
        yield Running(directory, ports)


@pytest.mark.timeout(150)  # about two seconds where nothing else runs
@pytest.mark.skipif(shutil.which("curl") is None, reason="the documents use curl")
def test_the_documents_commands_work(running: Running, capfd: pytest.CaptureFixture[str]) -> None:
    done: list[str] = []
    for page in pages():
        for command in page.commands():
            if excuse(command) is None and command.text not in done:
                _run(running, command)
                told = capfd.readouterr()
                assert "Traceback" not in told.err, command
                done.append(command.text)
    assert len(done) > 15
    _check_files(running.directory)


def _check_files(directory: Path) -> None:
    """What the commands wrote is what the reader expects."""
    for sound in ("door.wav", "evening.wav"):
        assert (directory / sound).read_bytes()[:4] == b"RIFF", sound
    assert (directory / "morning.mp3").stat().st_size > 500
    assert '"af_bella"' in (directory / "voices.json").read_text()
    assert np.load(directory / "dawn.npy").shape[1:] == (1, 256)


def _run(running: Running, command: Command) -> None:
    output = b""
    for words in command.programs:
        output = _run_program(running, [running.here(word) for word in words], output, command)
    if command.out is not None:
        (running.directory / command.out).write_bytes(output)


def _run_program(running: Running, words: Sequence[str], given: bytes, command: Command) -> bytes:
    program = called(tuple(words))
    assert program in RUN, command
    if program == "wyoming-tts":
        if words[1] == "stats":
            _wait_for(running.directory / "voices" / "metrics.jsonl")
        with _standard_input(given):
            assert cli.main(words[1:]) == 0, command
        return b""
    done = subprocess.run(
        words, input=given, capture_output=True, cwd=running.directory, timeout=_PATIENCE, check=False
    )
    assert done.returncode == 0, f"{command}: {done.stderr.decode()}"
    return done.stdout


def _wait_for(file: Path) -> None:
    """What was spoken before is written down within a second or so."""
    given_up = time.monotonic() + _PATIENCE
    while not file.exists():
        assert time.monotonic() < given_up, file
        time.sleep(0.02)


@contextmanager
def _standard_input(given: bytes) -> Iterator[None]:
    """Give bytes to what reads the process's own input, whichever way it reads."""
    reading, writing = os.pipe()
    os.write(writing, given)
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


def _lay_out_voices(directory: Path) -> None:
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
        process.communicate(timeout=_PATIENCE)


def _ports(process: subprocess.Popen[str]) -> dict[str, str]:
    """Wait until both doors are open and the voice is warm."""
    assert process.stderr is not None
    told = ""
    found: dict[str, str] = {}
    patterns = {"10200": r"listens on tcp://127\.0\.0\.1:(\d+)", "8880": r"http://127\.0\.0\.1:(\d+)"}
    while len(found) < len(patterns) or "Ready:" not in told:
        line = process.stderr.readline()
        assert line, f"The server ended:\n{told}"
        told += line
        for shown, pattern in patterns.items():
            if match := re.search(pattern, line):
                found[shown] = match[1]
    return found
