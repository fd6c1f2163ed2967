"""Servers for measurements of the page: each a process of its own, of this checkout or of an earlier one."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
from playwright.sync_api import Browser, sync_playwright

HERE = Path(__file__).resolve().parent.parent
GERMAN = tuple(f"de_DE-{name}-low" for name in ("anna", "bernd", "clara", "dieter", "eva"))
"""Five voices with one small model of the tests under these names."""
_KOKORO = {"af_bella": "af_test", "af_sky": "am_test", "bf_emma": "bf_test"}
_VOICES = HERE / "tests" / "voices"
_CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium-headless-shell") or "/usr/bin/chromium"
"""The shell by preference: beside each page that opens, the whole browser loads one of its own, for its
address field, which costs as much of the processor as this product's."""
_FLAGS = ("--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required")
_PATIENCE = 120.0


@dataclass(frozen=True, slots=True)
class Server:
    """A running server."""

    url: str
    """URL of the page."""
    pid: int


@contextmanager
def server(checkout: Path, voices: Path | None = None) -> Iterator[str]:
    """Run the server of a checkout; returns the URL of its page, which is built.

    Args:
        checkout: Directory of the source, which has its own `.venv`.
        voices: Directory of more voices, which is copied; the first of them is the default, else the
            first of `GERMAN`.
    """
    with tempfile.TemporaryDirectory() as state, running(checkout, voices, state=Path(state)) as started:
        _wait_for(started.url)
        yield started.url


@contextmanager
def running(checkout: Path, voices: Path | None = None, *, state: Path) -> Iterator[Server]:
    """Run the server like `server`, with this state directory; it is ready, and nobody visited the page."""
    with tempfile.TemporaryDirectory() as data:
        default = _fill(Path(data), voices)
        wyoming, http = _free_port(), _free_port()
        command = [str(checkout / ".venv/bin/wyoming-tts"), "serve", "--data-dir", data, "--voice", default]
        command += ["--state-dir", str(state)]
        command += ["--uri", f"tcp://127.0.0.1:{wyoming}", "--http", "--http-host", "127.0.0.1"]
        command += ["--http-port", str(http), "--offline"]
        if voices is None:
            command += ["--kokoro-model", str(_VOICES / "kokoro-tones.onnx")]
            command += ["--kokoro-voices", str(Path(data) / "voices-tones.bin")]
        process = subprocess.Popen(command, cwd=checkout, stderr=subprocess.DEVNULL)  # noqa: S603 - ours
        try:
            url = f"http://127.0.0.1:{http}/"
            _wait_for(f"{url}readyz", process)
            yield Server(url, process.pid)
        finally:
            process.terminate()
            process.wait(_PATIENCE)


def _fill(data: Path, voices: Path | None) -> str:
    for name in GERMAN:
        for suffix in (".onnx", ".onnx.json"):
            shutil.copy(_VOICES / f"de_DE-tones-low{suffix}", data / f"{name}{suffix}")
    if voices is None:
        with np.load(_VOICES / "voices-tones.bin") as pack, (data / "voices-tones.bin").open("wb") as out:
            np.savez_compressed(out, **{name: pack[tone] for name, tone in _KOKORO.items()})
        return GERMAN[0]
    for file in voices.iterdir():
        shutil.copy(file, data)
    return min(file.name.removesuffix(".onnx") for file in voices.glob("*_*-*.onnx"))


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _wait_for(url: str, process: subprocess.Popen[bytes] | None = None) -> None:
    """Wait until something is served there."""
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until and (process is None or process.poll() is None):
        try:
            httpx.get(url, timeout=_PATIENCE, trust_env=False).raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.2)
        else:
            return
    raise SystemExit(f"The server did not come up at {url}.")


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_CHROMIUM, args=list(_FLAGS))
        yield browser
        browser.close()
