"""Audio output: WAV files, WAV into pipes and devices, and player processes.

Files and pipes are written with blocking calls: a command line has nothing else to do meanwhile, and a
slow reader slows the server down (backpressure). Players are fed without blocking, because they take audio
only as fast as it plays.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import struct
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self, TypeAlias

from wyoming_tts.client.errors import ClientError, OutputClosed
from wyoming_tts.speech import AudioFormat

_UNKNOWN_LENGTH = 0xFFFFFFFF
"""Length in the header of a WAV that is streamed; readers take it as 'until the end'."""
_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
_EXIT_SECONDS = 2.0
"""How long a player may take to exit once its input is closed or it is terminated."""


def wav_header(audio_format: AudioFormat, data_bytes: int | None) -> bytes:
    """Make the 44-byte header of a RIFF WAV; `data_bytes` is None if the length is not known yet."""
    if data_bytes is None:
        riff_length = data_length = _UNKNOWN_LENGTH
    else:
        data_length = min(data_bytes, _UNKNOWN_LENGTH)
        riff_length = min(data_bytes + _HEADER.size - 8, _UNKNOWN_LENGTH)
    frame = audio_format.frame_bytes
    rate = audio_format.rate
    encoding = (16, 1, audio_format.channels, rate, rate * frame, frame, audio_format.width * 8)
    return _HEADER.pack(b"RIFF", riff_length, b"WAVE", b"fmt ", *encoding, b"data", data_length)


class WavFile:
    """A WAV file that is written atomically: it appears under its name only once it is complete.

    `async with WavFile(path) as out:` and pass `out.write` on. After an exception, or without a format, no
    file is written, and an older one stays as it was.
    """

    def __init__(self, path: Path) -> None:
        if path.is_dir():
            raise ClientError(f"Cannot write {path}: it is a directory.", hint="Name a file in it.")
        self._path = Path(os.path.realpath(path))  # `resolve` raises RuntimeError for a circle of links
        self._partial = self._path.with_name(f".wyoming-tts-{secrets.token_hex(4)}.part")
        self._file: BinaryIO | None = None
        self._format: AudioFormat | None = None
        self._data_bytes = 0

    async def __aenter__(self) -> Self:
        with _report_write_errors(self._path):
            self._file = self._partial.open("xb")
        return self

    async def write(self, audio_format: AudioFormat, pcm: bytes) -> None:
        """Append audio; the first call sets the format. Raises ClientError if writing fails."""
        assert self._file is not None, "WavFile is used as `async with`"
        with _report_write_errors(self._path):
            if self._format is None:
                self._format = audio_format
                self._file.write(wav_header(audio_format, 0))
            self._file.write(pcm)
        self._data_bytes += len(pcm)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with _report_write_errors(self._path):
                self._finish(keep=kind is None)
        finally:
            self._partial.unlink(missing_ok=True)

    def _finish(self, *, keep: bool) -> None:
        assert self._file is not None
        with self._file as file:
            if keep and self._format is not None:
                file.seek(0)
                file.write(wav_header(self._format, self._data_bytes))
        if keep and self._format is not None:
            self._partial.replace(self._path)


class WavStream:
    """A WAV streamed into a pipe or a device: a header with unknown lengths, then each chunk at once."""

    def __init__(self, fd: int, name: str) -> None:
        self._fd = fd
        self._name = name
        self._begun = False

    async def __aenter__(self) -> Self:
        return self

    async def write(self, audio_format: AudioFormat, pcm: bytes) -> None:
        """Write audio. Raises OutputClosed if the reader is gone, ClientError if writing fails."""
        if not self._begun:
            self._begun = True
            pcm = wav_header(audio_format, None) + pcm
        try:
            with _report_write_errors(self._name):
                self._write_all(memoryview(pcm))
        except BrokenPipeError as error:
            raise OutputClosed from error

    def _write_all(self, rest: memoryview) -> None:
        while rest:
            rest = rest[os.write(self._fd, rest) :]

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)


def open_wav_output(target: str) -> WavFile | WavStream:
    """Open the target of `--out`: `-` is stdout, pipes and devices are streamed to, all else is a file.

    Raises:
        ClientError: stdout is a terminal, or the target cannot be opened.
    """
    if target == "-":
        return _stdout_sink()
    path = Path(target)
    if not path.exists() or path.is_file() or path.is_dir():
        return WavFile(path)
    with _report_write_errors(path):
        return WavStream(os.open(path, os.O_WRONLY), target)


def _stdout_sink() -> WavStream:
    if sys.stdout.isatty():
        raise ClientError("Audio is not written to a terminal.", hint="Give --out FILE, or pipe it on.")
    sys.stdout.flush()
    # A copy, so that closing the sink leaves sys.stdout usable and quiet at exit.
    return WavStream(os.dup(sys.stdout.fileno()), "stdout")


@contextlib.contextmanager
def _report_write_errors(target: Path | str) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise ClientError(f"Cannot write {target}: {error.strerror}.") from error


@dataclass(frozen=True, slots=True)
class _PlayerProgram:
    """A program that plays audio from its stdin, and how to call it."""

    name: str
    arguments: tuple[str, ...]
    takes_wav: bool = False


# In order of preference: paplay mixes with other audio, on PulseAudio and PipeWire alike. pw-play comes last
# because only recent releases read raw audio from stdin; afplay cannot read stdin at all.
_PLAYERS = (
    _PlayerProgram("paplay", ("--raw", "--format=s16le", "--rate={rate}", "--channels={channels}")),
    _PlayerProgram("aplay", ("-q", "-t", "raw", "-f", "S16_LE", "-r", "{rate}", "-c", "{channels}", "-")),
    # Its options for raw audio changed between releases; all of them read a WAV header.
    _PlayerProgram(
        "ffplay", ("-nodisp", "-autoexit", "-loglevel", "error", "-f", "wav", "-i", "-"), takes_wav=True
    ),
    _PlayerProgram(
        "play", ("-q", "-t", "raw", "-e", "signed", "-b", "16", "-L", "-r", "{rate}", "-c", "{channels}", "-")
    ),
    _PlayerProgram(
        "pw-play", ("--raw", "--format", "s16", "--rate", "{rate}", "--channels", "{channels}", "-")
    ),
)

_Found: TypeAlias = tuple[_PlayerProgram, str]


class PlayerProcess:
    """Plays audio as it arrives, through the first installed program that reads it from stdin.

    `async with PlayerProcess() as out:` and pass `out.write` on. Leaving the block waits until everything
    was played; an exception stops the program at once.

    Raises:
        ClientError: no such program is installed, or it failed.
    """

    def __init__(self) -> None:
        self._program, self._path = _find_player()
        self._process: Process | None = None

    @property
    def name(self) -> str:
        """Name of the program, as `aplay`."""
        return self._program.name

    async def __aenter__(self) -> Self:
        return self

    async def write(self, audio_format: AudioFormat, pcm: bytes) -> None:
        """Write audio; waits while the player's buffer is full. Raises OutputClosed if it was quit."""
        if self._process is None:
            self._process = await self._start(audio_format)
            if self._program.takes_wav:
                pcm = wav_header(audio_format, None) + pcm
        stdin = self._process.stdin
        assert stdin is not None
        try:
            stdin.write(pcm)
            await stdin.drain()
        except ConnectionError as error:
            await self._wait_for_exit(self._process)
            self._check()
            raise OutputClosed from error

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is None:
            return
        try:
            if kind is None:
                await self._finish_playing(self._process)
        finally:
            await self._stop(self._process)
        if kind is None:
            self._check()

    async def _start(self, audio_format: AudioFormat) -> Process:
        rate, channels = audio_format.rate, audio_format.channels
        arguments = [part.format(rate=rate, channels=channels) for part in self._program.arguments]
        try:
            return await asyncio.create_subprocess_exec(self._path, *arguments, stdin=PIPE, stdout=DEVNULL)
        except OSError as error:
            raise ClientError(f"Cannot start {self._path}: {error.strerror}.") from error

    async def _finish_playing(self, process: Process) -> None:
        await _close_stdin(process)
        await process.wait()

    async def _wait_for_exit(self, process: Process) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_EXIT_SECONDS):
                await process.wait()

    async def _stop(self, process: Process) -> None:
        if process.returncode is None:
            process.terminate()
            await self._wait_for_exit(process)
        if process.returncode is None:
            process.kill()
            await process.wait()
        # Only now: audio buffered for a player that does not read would delay this.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_EXIT_SECONDS):
                await _close_stdin(process)

    def _check(self) -> None:
        code = self._process.returncode if self._process else None
        if code:
            raise ClientError(
                f"{self.name} ended with exit code {code} before all audio was played.",
                hint="Its own message is above; --out FILE keeps the audio.",
            )


async def _close_stdin(process: Process) -> None:
    assert process.stdin is not None
    process.stdin.close()
    with contextlib.suppress(ConnectionError):
        await process.stdin.wait_closed()


def _find_player() -> _Found:
    for program in _PLAYERS:
        if path := shutil.which(program.name):
            return program, path
    names = ", ".join(program.name for program in _PLAYERS)
    raise ClientError(
        f"No audio player is installed; looked for {names}.",
        hint="Install pulseaudio-utils, alsa-utils, ffmpeg or sox, or use --out FILE.",
    )
