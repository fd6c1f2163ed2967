"""Finished audio, kept for a while for who asked for it: Kokoro-FastAPI's `return_download_link`.

The files have no name in the file system, so nobody else can reach them, and nothing is left of them after a
crash: a client gets a name that cannot be guessed. Their number, size and time are limited. A file that does
not fit, or that the disk has no room for, is dropped, and the speech goes on without it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import secrets
import tempfile
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from wyoming_tts.blocking import RunBlocking, run_uninterrupted
from wyoming_tts.captions import Cue, CueMaker
from wyoming_tts.encoders import Encoder, Encoding, media_type
from wyoming_tts.speech import AudioChunk

_LOGGER = logging.getLogger(__name__)

MAX_FILES: Final = 32
"""Each takes a descriptor, of those that the server reserves for other things than connections."""
KEPT_SECONDS: Final = 3600.0
_PIECE_BYTES: Final = 256 * 1024
_TIMES_ENDING = ".json"


class TemporaryFile:
    """A file without a name, which is gone as soon as nothing refers to it. Its methods block."""

    def __init__(self) -> None:
        self._descriptor, path = tempfile.mkstemp(prefix="wyoming-tts-")
        weakref.finalize(self, os.close, self._descriptor)
        os.unlink(path)  # noqa: PTH108 - that of a name
        self.size = 0

    def append(self, data: bytes) -> None:
        """Write at the end."""
        while data:
            written = os.pwrite(self._descriptor, data, self.size)
            self.size += written
            data = data[written:]

    def replace_beginning(self, data: bytes) -> None:
        """Write in place of the first bytes."""
        os.pwrite(self._descriptor, data, 0)

    def read(self, start: int, size: int) -> bytes:
        """Return up to `size` bytes from `start` on."""
        return os.pread(self._descriptor, min(size, _PIECE_BYTES), start)


@dataclass(slots=True)
class KeptFile:
    """The audio of one response, and when its words sound."""

    name: str
    encoding: Encoding
    audio: TemporaryFile = field(repr=False)
    times: bytes = field(default=b"", repr=False)
    """JSON, as Kokoro-FastAPI's; empty where nobody asked for it."""
    is_finished: bool = False

    @property
    def size(self) -> int:
        """Bytes of all of it."""
        return self.audio.size + len(self.times)

    @property
    def media_type(self) -> str:
        """Content type of the audio."""
        return media_type(self.encoding)


class KeptAudio:
    """The files that are kept; the oldest one gives way to others."""

    def __init__(
        self, *, max_bytes: int, run_blocking: RunBlocking, kept_seconds: float = KEPT_SECONDS
    ) -> None:
        """Begin with none. With a limit of 0 bytes, none is kept."""
        self._max_bytes = max_bytes
        self._run_blocking = run_blocking
        self._kept_seconds = kept_seconds
        self._files: dict[str, KeptFile] = {}

    def __repr__(self) -> str:
        return f"<KeptAudio {len(self._files)} files, {self.size} bytes>"

    @property
    def is_enabled(self) -> bool:
        """Whether any file is kept."""
        return self._max_bytes > 0

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self._files.values())

    def find(self, name: str) -> KeptFile | None:
        """Return the file of that name, finished or not."""
        return self._files.get(name)

    async def begin(self, encoding: Encoding) -> KeptFile | None:
        """Begin a file; None if the disk has no room for one."""
        try:
            audio = await self._run_blocking(TemporaryFile)
        except OSError as error:
            _LOGGER.warning("The audio of a response cannot be kept: %s", error)
            return None
        while len(self._files) >= MAX_FILES:
            self._drop_oldest()
        file = KeptFile(f"{secrets.token_hex(16)}.{encoding}", encoding, audio)
        self._files[file.name] = file
        return file

    def finish(self, file: KeptFile) -> None:
        """Offer the file, for a while."""
        file.is_finished = True
        asyncio.get_running_loop().call_later(self._kept_seconds, self._files.pop, file.name, None)

    def drop(self, file: KeptFile) -> None:
        """Give the file up."""
        self._files.pop(file.name, None)

    def make_room(self, file: KeptFile) -> bool:
        """Drop the oldest files beyond the limit; return whether this one is still among them."""
        if file.size > self._max_bytes:
            self.drop(file)
        while self.size > self._max_bytes:
            self._drop_oldest()
        return file.name in self._files

    def _drop_oldest(self) -> None:
        del self._files[next(iter(self._files))]


class AudioRecorder:
    """Keeps the audio of a response beside sending it, encoded by itself: a file begins with its length."""

    def __init__(
        self,
        kept: KeptAudio,
        file: KeptFile,
        encoder: Encoder,
        run_blocking: RunBlocking,
        *,
        text: str | None = None,
    ) -> None:
        """Record into a file.

        Args:
            kept: Where it is kept.
            file: The file, just begun.
            encoder: Of the file's encoding; closed at the end.
            run_blocking: Encodes and writes.
            text: The text that is spoken, if the times of its words are kept too.
        """
        self.file = file
        self._kept = kept
        self._encoder = encoder
        self._run_blocking = run_blocking
        self._times = None if text is None else CueMaker(text)
        self._cues: list[Cue] = []
        self._seconds = 0.0
        self._is_dropped = False

    async def record(self, chunks: AsyncIterator[AudioChunk]) -> AsyncGenerator[AudioChunk, None]:
        """Pass chunks on, and record each before the next one is asked for; the file ends with the last."""
        try:
            async for chunk in chunks:
                yield chunk
                self._seconds += chunk.seconds
                if self._times is not None:
                    self._cues += self._times.add_words(chunk.words)
                await self._write(partial(self._append, chunk.pcm))
            if self._times is not None:
                self._cues += self._times.finish(self._seconds)
                self.file.times = _times_json(self._cues)
            await self._write(self._end)
            if not self._is_dropped:
                self._kept.finish(self.file)
        finally:
            if not self.file.is_finished:
                self._kept.drop(self.file)

    async def _write(self, work: Callable[[], None]) -> None:
        if self._is_dropped:
            return
        try:
            await run_uninterrupted(self._run_blocking, work)
        except OSError as error:
            _LOGGER.warning("The audio of a response is not kept: %s", error)
            self._is_dropped = True
        else:
            self._is_dropped = not self._kept.make_room(self.file)

    def _append(self, pcm: bytes) -> None:
        self.file.audio.append(self._encoder.encode(pcm))

    def _end(self) -> None:
        self.file.audio.append(self._encoder.finish())
        self.file.audio.replace_beginning(self._encoder.head())


def times_name(name: str) -> str:
    """Return the name of the times of a file's words."""
    return f"{name}{_TIMES_ENDING}"


def audio_name(name: str) -> str:
    """Return the name of the file whose times have this name; any other name as it is."""
    return name.removesuffix(_TIMES_ENDING)


def _times_json(cues: list[Cue]) -> bytes:
    chunks = [
        {
            "text": " ".join(cue.text.split("\n")),
            "start": round(cue.start_time, 3),
            "end": round(cue.end_time, 3),
        }
        for cue in cues
    ]
    return json.dumps({"chunks": chunks}).encode()
