"""A stage for showing what voices go through: a hub on loopback, a data directory, servers and an ear."""

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

from tests.support.hub import FakeHub, Request
from tests.support.server_process import RunningServer, server_process
from tests.support.tones import KOKORO_ROWS, LETTERS, VOICES
from tests.support.wyoming_client import WyomingTestClient, pcm_of
from wyoming_tts.voices.catalogue import INDEX_NAME

REPOSITORY = "/rhasspy/piper-voices/resolve/main/"
TEXT = "The door is open."

PATIENCE = 20.0
"""Seconds that anything here may take."""
_BETWEEN_LOOKS = 0.05

_MODEL_BYTES = 3_000_000
"""More than is written to the disk in one go, so that a kill leaves a part."""
_TMPFS_BYTES = 24 * 1024 * 1024
_DOC_STRING = b"\x32"
"""Key of the last field of an ONNX model that may hold any text (field 6, length-delimited)."""
_SPEAKS_LETTERS = ("--auto-punctuation", "none", "--noise-scale", "0", "--noise-w-scale", "0")
_ALONE = ("--no-http", "--no-metrics")
_NOISE_OF_DEBUG_MODE = "WARNING asyncio: Executing"

_DATE = re.compile(r"^\d{4}-\d\d-\d\d ")

Tell = Callable[[str], None]


class NotShown(AssertionError):
    """What was to be shown is not so."""


class Stage:
    """One scenario's surroundings; what happens on it is told line by line."""

    def __init__(self, directory: Path, hub: FakeHub, tell: Tell, *, times_count: bool) -> None:
        self.directory = directory
        self.hub = hub
        self._tell = tell
        self._times_count = times_count
        self._index: dict[str, Any] = {}
        self._told_requests = 0
        self._talking: NarratedServer | None = None

    def did(self, what: str) -> None:
        """Tell a step."""
        self._tell(f"    {what}")

    def check(self, claim: str, *, holds: bool, got: object = "") -> None:
        """Tell that something holds.

        Raises:
            NotShown: it does not.
        """
        shown = f": {got}" if got != "" else ""
        self._tell(f"    {'ok' if holds else 'NOT SO'}  {claim}{shown}")
        if not holds:
            raise NotShown(f"{claim}{shown}")

    def check_time(self, claim: str, took: float, *, at_most: float) -> None:
        """Tell how many seconds something took.

        Raises:
            NotShown: it took too long, and times count: nothing else keeps the machine busy.
        """
        if self._times_count:
            self.check(f"{claim} within {at_most} s", holds=took < at_most, got=f"{took:.2f} s")
        else:
            self.did(f"{claim} after {took:.2f} s")

    def offer(self, name: str, *, size: int | None = None) -> bytes:
        """Put a voice that speaks letters into the hub, and into the index beside the voices; its model.

        Args:
            name: as `en_US-NAME-low`.
            size: what the index says of the model in place of the truth, in bytes.
        """
        model, config = letters_model(), (VOICES / f"{LETTERS.name}.onnx.json").read_bytes()
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

    def copy_in(self, name: str) -> None:
        """Copy a voice that speaks letters into the data directory, as a person does."""
        (self.directory / f"{name}.onnx").write_bytes(letters_model())
        config = (VOICES / f"{LETTERS.name}.onnx.json").read_bytes()
        (self.directory / f"{name}.onnx.json").write_bytes(config)

    def copy_in_kokoro(self, *names: str) -> None:
        """Copy a Kokoro model with a pack of these voices into the data directory."""
        shutil.copy(VOICES / "kokoro-tones.onnx", self.directory)
        styles = {name: np.zeros((KOKORO_ROWS, 1, 256), dtype=np.float32) for name in names}
        with (self.directory / "voices-tones.bin").open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **styles)

    def files(self) -> dict[str, int]:
        """Names and sizes of what lies in the data directory, without the index."""
        paths = sorted(path for path in self.directory.iterdir() if path.name != INDEX_NAME)
        return {path.name: path.stat().st_size for path in paths}

    async def until_part_has(self, name: str, size: int) -> None:
        """Wait until so many bytes of a file are on the disk."""

        async def has() -> bool:
            return self.files().get(f"{name}.part", 0) >= size

        await until(has)

    def tell_files(self) -> None:
        """Tell what lies in the data directory."""
        listed = ", ".join(f"{name} ({size} bytes)" for name, size in self.files().items())
        self._tell(f"    disk   | {listed or 'nothing'}")

    def tell_requests(self) -> Sequence[Request]:
        """Tell what the hub was asked since the last time, and what it sent in all."""
        new = self.hub.requests[self._told_requests :]
        self._told_requests += len(new)
        for request in new:
            kept = {name: value for name, value in request.headers.items() if "range" in name}
            self._tell(f"    hub    | GET {request.path} {kept or 'without a Range'}")
        self._tell(f"    hub    | {self.hub.body_bytes_sent} bytes of bodies sent so far")
        return new

    @asynccontextmanager
    async def talking_server(self) -> AsyncIterator[NarratedServer]:
        """A server whose default voice is there; within another such block it is the same one."""
        if self._talking is not None:
            yield self._talking
            return
        async with self.server("--data-dir", str(VOICES)) as server:
            self._talking = server
            try:
                yield server
            finally:
                self._talking = None

    @asynccontextmanager
    async def server(self, *flags: str, voice: str = LETTERS.name) -> AsyncIterator[NarratedServer]:
        """A server process on the data directory, ended with the block unless it was killed in it.

        Raises:
            NotShown: it did not end well, or logged an error that nobody foresaw.
        """
        given = ("--voice", voice, "--data-dir", str(self.directory), "--hub-endpoint", self.hub.url)
        async with server_process(*given, *_SPEAKS_LETTERS, *_ALONE, *flags) as running:
            server = NarratedServer(running, self._tell)
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


class NarratedServer:
    """A server process whose log is told line by line as it comes."""

    def __init__(self, running: RunningServer, tell: Tell) -> None:
        self._running = running
        self._tell = tell
        self._told = 0
        self._read = 0
        self._news = asyncio.Condition()
        self.was_killed = False

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._running.port

    @property
    def pid(self) -> int:
        """Its process."""
        return self._running.process.pid

    async def follow(self) -> None:
        """Read its log until it ends."""
        stderr = self._running.process.stderr
        assert stderr is not None
        self._tell_news()
        async for line in stderr:
            self._running.log.append(line.decode())
            self._tell_news()
            async with self._news:
                self._news.notify_all()

    def _tell_news(self) -> None:
        for line in self._running.log[self._told :]:
            if _NOISE_OF_DEBUG_MODE not in line:
                self._tell(f"    server | {_DATE.sub('', line.rstrip())}")
        self._told = len(self._running.log)

    async def says(self, pattern: str) -> str:
        """Wait for the next line of its log that matches; that line."""
        async with asyncio.timeout(PATIENCE), self._news:
            await self._news.wait_for(lambda: self._next(pattern) is not None)
            self._read = self._next(pattern) or 0
        return self._running.log[self._read - 1]

    def _next(self, pattern: str) -> int | None:
        """Where the lines behind the next that matches begin."""
        for number in range(self._read, len(self._running.log)):
            if re.search(pattern, self._running.log[number]):
                return number + 1
        return None

    async def kill(self) -> None:
        """End it as the kernel does when memory is short, without a word."""
        self.was_killed = True
        self._running.process.kill()
        await self._running.process.wait()

    async def answer(self, text: str = TEXT, *, voice: str | None = None) -> str:
        """What is heard when a client asks for this text."""
        async with WyomingTestClient.connect("127.0.0.1", self.port) as client:
            return await answer(client, text, voice=voice)

    async def voices(self) -> set[str]:
        """The voices that it advertises as installed."""
        async with WyomingTestClient.connect("127.0.0.1", self.port) as client:
            return await advertised(client)


async def until(condition: Callable[[], Awaitable[bool]]) -> float:
    """Ask until it is so; the seconds that took.

    Raises:
        TimeoutError: it is not so for too long.
    """
    started = time.monotonic()
    async with asyncio.timeout(PATIENCE):
        while not await condition():  # noqa: ASYNC110 -- another process tells of nothing
            await asyncio.sleep(_BETWEEN_LOOKS)
    return time.monotonic() - started


async def answer(client: WyomingTestClient, text: str = TEXT, *, voice: str | None = None) -> str:
    """What is heard on this connection, or the error."""
    await client.send(Synthesize(text, voice=SynthesizeVoice(name=voice) if voice else None).event())
    return heard(await client.until("audio-stop"))


async def advertised(client: WyomingTestClient) -> set[str]:
    """The names of the installed voices."""
    await client.send(Describe().event())
    info = Info.from_event((await client.until("info"))[-1])
    return {voice.name for voice in info.tts[0].voices if voice.installed}


def heard(events: Sequence[Event]) -> str:
    """The words if a letters voice speaks, else what else it is."""
    for event in events:
        if event.type == "error":
            return f"error: {event.data.get('text')}"
    samples = np.frombuffer(pcm_of(events), dtype="<i2")
    try:
        return " ".join(LETTERS.said(samples))
    except AssertionError:
        return f"another voice, {len(samples) / 22_050:.1f} s of sound"


@contextmanager
def place(*, tmpfs: bool) -> Iterator[Path | None]:
    """A directory; with `tmpfs` a small file system of its own, None where that may not be mounted."""
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


def fill(path: Path) -> None:
    """Write to a file until the file system has no byte left."""
    with path.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            return


def letters_model() -> bytes:
    """The letters voice's model, as large as one that takes a while to arrive."""
    padding = random.Random(7).randbytes(_MODEL_BYTES // 2).hex().encode()
    return (VOICES / f"{LETTERS.name}.onnx").read_bytes() + _DOC_STRING + _varint(len(padding)) + padding


def _varint(number: int) -> bytes:
    """A length as protocol buffers write it: seven bits a byte, the lowest first."""
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + _varint(rest) if rest else bytes([low])
