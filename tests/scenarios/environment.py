"""Environment of the voice scenarios: a voice hub on loopback, a data directory, server processes."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from wyoming.event import Event
from wyoming.info import Describe, Info
from wyoming.tts import Synthesize, SynthesizeVoice

from tests.support.fake_hub import FakeHub, Request
from tests.support.server_process import RunningServer, server_process
from tests.support.tones import KOKORO_ROWS, LETTERS, VOICES
from tests.support.wyoming_client import WyomingTestClient, pcm_of
from wyoming_tts.voices.catalogue import INDEX_NAME

REPOSITORY = "/rhasspy/piper-voices/resolve/main/"
TEXT = "The door is open."

PATIENCE = 20.0
"""Timeout of every step, in seconds."""
_POLL_SECONDS = 0.05

_MODEL_BYTES = 3_000_000
"""More than is written to the disk in one go, so that a kill leaves a part."""
_TMPFS_BYTES = 24 * 1024 * 1024
_DOC_STRING = b"\x32"
"""Key of the last field of an ONNX model that may hold any text (field 6, length-delimited)."""
_SPEAKS_LETTERS = ("--auto-punctuation", "none", "--noise-scale", "0", "--noise-w-scale", "0")
_ALONE = ("--no-http", "--no-metrics")
_DEBUG_MODE_NOISE = "WARNING asyncio: Executing"

_DATE = re.compile(r"^\d{4}-\d\d-\d\d ")

PrintLine = Callable[[str], None]


class ScenarioFailed(AssertionError):
    """A check of a scenario failed."""


class ScenarioEnvironment:
    """Runs one scenario and prints its steps line by line."""

    def __init__(
        self, directory: Path, hub: FakeHub, print_line: PrintLine, *, check_durations: bool
    ) -> None:
        self.directory = directory
        self.hub = hub
        self._print_line = print_line
        self._check_durations = check_durations
        self._index: dict[str, Any] = {}
        self._requests_printed = 0
        self._shared: LoggedServer | None = None

    def log_step(self, what: str) -> None:
        """Print a step."""
        self._print_line(f"    {what}")

    def check(self, claim: str, *, holds: bool, got: object = "") -> None:
        """Check a claim and print the result.

        Raises:
            ScenarioFailed: it does not hold.
        """
        shown = f": {got}" if got != "" else ""
        self._print_line(f"    {'ok' if holds else 'NOT SO'}  {claim}{shown}")
        if not holds:
            raise ScenarioFailed(f"{claim}{shown}")

    def check_duration(self, claim: str, took: float, *, at_most: float) -> None:
        """Print how many seconds something took, and check it where durations are checked.

        Raises:
            ScenarioFailed: it took too long on a machine that has nothing else to do.
        """
        if self._check_durations:
            self.check(f"{claim} within {at_most} s", holds=took < at_most, got=f"{took:.2f} s")
        else:
            self.log_step(f"{claim} after {took:.2f} s")

    def publish_voice(self, name: str, *, size: int | None = None) -> bytes:
        """Publish a voice that speaks letters on the hub and in the index; returns its model.

        Args:
            name: as `en_US-NAME-low`.
            size: size of the model according to the index, in bytes, if not the true one.
        """
        model, config = make_letters_model(), (VOICES / f"{LETTERS.name}.onnx.json").read_bytes()
        files = {f"{name}.onnx": (model, size or len(model)), f"{name}.onnx.json": (config, len(config))}
        self.hub.files |= {REPOSITORY + file: content for file, (content, _) in files.items()}
        self._index[name] = {
            "language": {"code": "en_US"},
            "quality": "low",
            "num_speakers": 1,
            "files": {
                file: {"size_bytes": size, "md5_digest": hashlib.md5(content).hexdigest()}
                for file, (content, size) in files.items()
            },
        }
        (self.directory / INDEX_NAME).write_text(json.dumps(self._index))
        return model

    def copy_voice(self, name: str) -> None:
        """Copy a voice that speaks letters into the data directory, as a user does."""
        (self.directory / f"{name}.onnx").write_bytes(make_letters_model())
        config = (VOICES / f"{LETTERS.name}.onnx.json").read_bytes()
        (self.directory / f"{name}.onnx.json").write_bytes(config)

    def copy_kokoro_voices(self, *names: str) -> None:
        """Copy a Kokoro model with a pack of these voices into the data directory."""
        shutil.copy(VOICES / "kokoro-tones.onnx", self.directory)
        styles = {name: np.zeros((KOKORO_ROWS, 1, 256), dtype=np.float32) for name in names}
        with (self.directory / "voices-tones.bin").open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **styles)

    def files(self) -> dict[str, int]:
        """Sizes of the files in the data directory by name, without the index."""
        paths = sorted(path for path in self.directory.iterdir() if path.name != INDEX_NAME)
        return {path.name: path.stat().st_size for path in paths}

    async def wait_for_part(self, name: str, size: int) -> None:
        """Wait until the partial download of a file has at least this size."""

        async def has() -> bool:
            return self.files().get(f"{name}.part", 0) >= size

        await wait_until(has)

    def log_files(self) -> None:
        """Print the files in the data directory."""
        listed = ", ".join(f"{name} ({size} bytes)" for name, size in self.files().items())
        self._print_line(f"    disk   | {listed or 'nothing'}")

    def log_requests(self) -> Sequence[Request]:
        """Print and return the hub's requests since the last call, with the bytes sent in total."""
        new = self.hub.requests[self._requests_printed :]
        self._requests_printed += len(new)
        for request in new:
            kept = {name: value for name, value in request.headers.items() if "range" in name}
            self._print_line(f"    hub    | GET {request.path} {kept or 'without a Range'}")
        self._print_line(f"    hub    | {self.hub.body_bytes_sent} bytes of bodies sent so far")
        return new

    @asynccontextmanager
    async def shared_server(self) -> AsyncIterator[LoggedServer]:
        """A server whose default voice is installed; nested blocks share it."""
        if self._shared is not None:
            yield self._shared
            return
        async with self.server("--data-dir", str(VOICES)) as server:
            self._shared = server
            try:
                yield server
            finally:
                self._shared = None

    @asynccontextmanager
    async def server(self, *flags: str, voice: str = LETTERS.name) -> AsyncIterator[LoggedServer]:
        """Run a server process on the data directory until the block ends, unless the block kills it.

        Raises:
            ScenarioFailed: its exit code was not 0, or there was a traceback in its log.
        """
        given = ("--voice", voice, "--data-dir", str(self.directory), "--hub-endpoint", self.hub.url)
        async with server_process(*given, *_SPEAKS_LETTERS, *_ALONE, *flags) as running:
            server = LoggedServer(running, self._print_line)
            following = asyncio.create_task(server.follow())
            try:
                yield server
                if not server.was_killed:
                    running.process.terminate()
                    code = await running.process.wait()
                    self.check("the server ended well", holds=code == 0, got=f"exit code {code}")
                await following
            finally:
                following.cancel()
            self.check("there is no traceback in its log", holds="Traceback" not in "".join(running.log))


class LoggedServer:
    """A server process whose log is printed line by line as it is written."""

    def __init__(self, running: RunningServer, print_line: PrintLine) -> None:
        self._running = running
        self._print_line = print_line
        self._lines_printed = 0
        self._read = 0
        self._news = asyncio.Condition()
        self.was_killed = False

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._running.port

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._running.process.pid

    async def follow(self) -> None:
        """Read and print its log until the end."""
        stderr = self._running.process.stderr
        assert stderr is not None
        self._print_new_lines()
        async for line in stderr:
            self._running.log.append(line.decode())
            self._print_new_lines()
            async with self._news:
                self._news.notify_all()

    def _print_new_lines(self) -> None:
        for line in self._running.log[self._lines_printed :]:
            if _DEBUG_MODE_NOISE not in line:
                self._print_line(f"    server | {_DATE.sub('', line.rstrip())}")
        self._lines_printed = len(self._running.log)

    async def wait_for_log(self, pattern: str) -> str:
        """Wait for the next line of its log that matches; returns the line."""
        async with asyncio.timeout(PATIENCE), self._news:
            await self._news.wait_for(lambda: self._next(pattern) is not None)
            self._read = self._next(pattern) or 0
        return self._running.log[self._read - 1]

    def _next(self, pattern: str) -> int | None:
        """Index of the line after the next one that matches; None if there is none yet."""
        for number in range(self._read, len(self._running.log)):
            if re.search(pattern, self._running.log[number]):
                return number + 1
        return None

    async def kill(self) -> None:
        """Kill it with SIGKILL, as the kernel does when memory runs out."""
        self.was_killed = True
        self._running.process.kill()
        await self._running.process.wait()

    async def request_speech(self, text: str = TEXT, *, voice: str | None = None) -> str:
        """Request speech on a new connection; returns the words heard."""
        async with WyomingTestClient.connect("127.0.0.1", self.port) as client:
            return await request_speech(client, text, voice=voice)

    async def fetch_voices(self) -> set[str]:
        """Names of the voices that it advertises as installed."""
        async with WyomingTestClient.connect("127.0.0.1", self.port) as client:
            return await fetch_installed_voices(client)


async def wait_until(condition: Callable[[], Awaitable[bool]]) -> float:
    """Poll a condition until it holds; returns the seconds that took.

    Raises:
        TimeoutError: it did not hold within PATIENCE seconds.
    """
    started = time.monotonic()
    async with asyncio.timeout(PATIENCE):
        while not await condition():  # noqa: ASYNC110 -- another process sends no notification
            await asyncio.sleep(_POLL_SECONDS)
    return time.monotonic() - started


async def request_speech(client: WyomingTestClient, text: str = TEXT, *, voice: str | None = None) -> str:
    """Request speech on a connection; returns the words heard, or the error."""
    await client.send(Synthesize(text, voice=SynthesizeVoice(name=voice) if voice else None).event())
    return decode_speech(await client.until("audio-stop"))


async def fetch_installed_voices(client: WyomingTestClient) -> set[str]:
    """Names of the voices that the server describes as installed."""
    await client.send(Describe().event())
    info = Info.from_event((await client.until("info"))[-1])
    return {voice.name for voice in info.tts[0].voices if voice.installed}


def decode_speech(events: Sequence[Event]) -> str:
    """Decode the audio of a letters voice into its words; describes the audio of any other voice."""
    for event in events:
        if event.type == "error":
            return f"error: {event.data.get('text')}"
    samples = np.frombuffer(pcm_of(events), dtype="<i2")
    try:
        return " ".join(LETTERS.said(samples))
    except AssertionError:
        return f"another voice, {len(samples) / 22_050:.1f} s of sound"


@contextmanager
def make_directory(*, tmpfs: bool) -> Iterator[Path | None]:
    """Make a temporary directory; with `tmpfs` a small file system, None where mounting is not permitted."""
    with tempfile.TemporaryDirectory() as name:
        if not tmpfs:
            yield Path(name)
            return
        mount = shutil.which("mount")
        options = ["-t", "tmpfs", "-o", f"size={_TMPFS_BYTES}", "tmpfs", name]
        if mount is None or subprocess.run([mount, *options], check=False, capture_output=True).returncode:
            yield None
            return
        try:
            yield Path(name)
        finally:
            subprocess.run(["umount", name], check=True)


def fill_file_system(path: Path) -> None:
    """Write to a file until the file system is full."""
    with path.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            return


def make_letters_model() -> bytes:
    """Make the letters voice's model, padded so that its download takes a while."""
    padding = random.Random(7).randbytes(_MODEL_BYTES // 2).hex().encode()
    return (VOICES / f"{LETTERS.name}.onnx").read_bytes() + _DOC_STRING + _varint(len(padding)) + padding


def _varint(number: int) -> bytes:
    """Encode a length as a protobuf varint: seven bits per byte, the lowest first."""
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + _varint(rest) if rest else bytes([low])
