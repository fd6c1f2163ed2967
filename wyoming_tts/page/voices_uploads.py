"""Voices that people bring along: written to the disk as they come, and looked at before they are in place.

A voice comes as two files, `NAME.onnx.json` first. They wait beside the other voices, in a directory that no
engine looks into, and are put in place once Piper's engine takes them for a voice. Nothing in them is run.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import AsyncIterable, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from wyoming_tts.blocking import RunBlocking
from wyoming_tts.engines.base import EngineOptions
from wyoming_tts.engines.piper.engine import PiperEngine
from wyoming_tts.errors import BadRequest, TooLong
from wyoming_tts.voices.download.transfer import format_size

MODEL_BYTES = 512_000_000
"""Piper's largest model has 125 MB."""
CONFIG_BYTES = 4_000_000
WAITING = ".uploads"
"""The directory in which files wait until their voice is whole."""

_NAME = re.compile(r"([^\W_][\w.-]{0,99}?)\.onnx(\.json)?")
_RESERVE = 16_000_000
"""Bytes left free on the disk: the system it belongs to has to go on writing, too."""
_BLOCK = 1024 * 1024
_KEPT_SECONDS = 3600.0
"""After this what nobody sent the rest of is thrown away."""


@dataclass(frozen=True, slots=True)
class UploadRange:
    """Which part of a file is sent."""

    start: int = 0
    total: int | None = None
    """Bytes of the whole file; None if it ends with what is sent."""


@dataclass(frozen=True, slots=True)
class UploadProgress:
    """What has come of a file."""

    received: int
    voice: str | None = None
    """The voice that can be spoken with from now on; None while files or parts are missing."""


@dataclass(frozen=True, slots=True)
class _UploadTarget:
    """Where a file of a voice waits."""

    voice: str
    file: str
    directory: Path

    @property
    def is_model(self) -> bool:
        return self.file.endswith(".onnx")

    @property
    def limit(self) -> int:
        return MODEL_BYTES if self.is_model else CONFIG_BYTES

    @property
    def part(self) -> Path:
        return self.directory / f"{self.file}.part"


class VoiceUploads:
    """Takes the files of voices, one upload of a voice at a time."""

    def __init__(
        self,
        directory: Path,
        *,
        run_blocking: RunBlocking,
        why_taken: Callable[[str], str],
        on_installed: Callable[[], Awaitable[None]],
        free_space: Callable[[Path], int] = lambda directory: shutil.disk_usage(directory).free,
    ) -> None:
        """Prepare.

        Args:
            directory: Where voices go.
            run_blocking: Runs what touches files.
            why_taken: Why no voice of a name may be brought, empty if one may. Blocks.
            on_installed: Makes new voices known.
            free_space: Bytes that may be written in a directory.
        """
        self._directory = directory
        self._run = run_blocking
        self._why_taken = why_taken
        self._on_installed = on_installed
        self._free_space = free_space
        self._open: set[str] = set()

    async def receive(self, name: str, pieces: AsyncIterable[bytes], extent: UploadRange) -> UploadProgress:
        """Write a file, or a part of one, and put the voice in place once it is whole.

        Raises:
            BadRequest: the name is none of a voice's file or is taken, the part does not go on where the
                last one ended, there is no room, or the files are no voice.
            TooLong: the file is larger than such files are.
        """
        place = self._place(name)
        with self._alone(place.voice):
            await self._run(partial(self._prepare, place, extent))
            end = await self._write(place, pieces, extent)
            if extent.total is not None and end < extent.total:
                return UploadProgress(end)
            voice = await self._run(partial(self._take, place))
        if voice:
            await self._on_installed()
        return UploadProgress(end, voice)

    def _place(self, name: str) -> _UploadTarget:
        match = _NAME.fullmatch(name)
        if match is None:
            raise BadRequest(
                f"{name[:120]!r} cannot be the name of a voice's file.",
                hint="Take letters, digits, `_`, `-` and `.`, and .onnx or .onnx.json at the end.",
            )
        return _UploadTarget(match[1], name, self._directory / WAITING / match[1])

    @contextmanager
    def _alone(self, voice: str) -> Iterator[None]:
        if voice in self._open:
            raise BadRequest(f"{voice} is being sent already.", hint="Wait until that is over.")
        self._open.add(voice)
        try:
            yield
        finally:
            self._open.discard(voice)

    def _prepare(self, place: _UploadTarget, extent: UploadRange) -> None:
        """Look whether the part can be taken; blocks."""
        if reason := self._why_taken(place.voice):
            raise BadRequest(reason)
        _require_size(place, extent.total or 0)
        if not extent.start:
            self._sweep()
        place.directory.mkdir(parents=True, exist_ok=True)
        if place.is_model and not (place.directory / f"{place.file}.json").is_file():
            raise BadRequest(f"{place.file}.json has to come first.", hint="Choose both files of the voice.")
        here = place.part.stat().st_size if extent.start and place.part.exists() else 0
        if here != extent.start:
            raise BadRequest(f"{place.file} goes on at byte {here}, got byte {extent.start}.")
        self._require_room((extent.total or extent.start) - extent.start)

    async def _write(self, place: _UploadTarget, pieces: AsyncIterable[bytes], extent: UploadRange) -> int:
        """Write what comes; where the file ends then. What broke off leaves nothing behind."""
        end, block = extent.start, bytearray()
        try:
            async for piece in pieces:
                block += piece
                if len(block) >= _BLOCK:
                    end, block = await self._add(place, end, block, extent.total)
            end, _ = await self._add(place, end, block, extent.total)
        except BaseException:
            await self._run(partial(_cut, place.part, extent.start))
            raise
        return end

    async def _add(
        self, place: _UploadTarget, end: int, block: bytearray, total: int | None
    ) -> tuple[int, bytearray]:
        _require_size(place, end + len(block))
        if total is not None and end + len(block) > total:
            raise BadRequest(f"{place.file} was said to have {total} bytes; more came.")
        await self._run(partial(self._append, place.part, end, block))
        return end + len(block), bytearray()

    def _append(self, part: Path, end: int, block: bytearray) -> None:
        self._require_room(len(block))
        with part.open("r+b" if end else "wb") as file:
            file.seek(end)
            file.write(block)

    def _require_room(self, needed: int) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        free = self._free_space(self._directory)
        if needed + _RESERVE > free:
            raise BadRequest(
                f"{format_size(needed)} are to be written to {self._directory}, where "
                f"{format_size(free)} are free and {format_size(_RESERVE)} are to stay so.",
                hint="Make room there.",
            )

    def _take(self, place: _UploadTarget) -> str | None:
        """Take a file that is whole; the voice, if that was the last of it. Blocks."""
        with place.part.open("r+b") as file:
            os.fsync(file.fileno())
        try:
            if not place.is_model:
                _require_config(place.part)
                place.part.replace(place.directory / place.file)
                return None
            place.part.replace(place.directory / place.file)
            self._require_voice(place)
            self._install(place)
        except BadRequest:
            shutil.rmtree(place.directory)
            raise
        shutil.rmtree(place.directory)
        return place.voice

    def _require_voice(self, place: _UploadTarget) -> None:
        engine = PiperEngine(EngineOptions(data_dirs=(place.directory,)))
        if not engine.installed():
            reason = next((reason for _, reason in engine.broken), "it is none of Piper's")
            raise BadRequest(f"{place.voice} is no voice: {reason}.")

    def _install(self, place: _UploadTarget) -> None:
        if reason := self._why_taken(place.voice):
            raise BadRequest(reason)
        for file in (f"{place.file}.json", place.file):  # the model last: it makes the voice
            (place.directory / file).replace(self._directory / file)

    def _sweep(self) -> None:
        """Throw away what nobody sent the rest of."""
        old = time.time() - _KEPT_SECONDS
        for left in (self._directory / WAITING).glob("*"):
            if left.name not in self._open and left.stat().st_mtime < old:
                shutil.rmtree(left, ignore_errors=True)


def _require_size(place: _UploadTarget, size: int) -> None:
    if size > place.limit:
        raise TooLong(f"{place.file} is larger than {format_size(place.limit)}, the most that is taken.")


def _require_config(path: Path) -> None:
    try:
        document = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"The json is broken: {error}.") from error
    if not isinstance(document, dict) or "phoneme_id_map" not in document:
        raise BadRequest("The json is none of a Piper voice: it has no phoneme_id_map.")


def _cut(part: Path, size: int) -> None:
    if not size:
        part.unlink(missing_ok=True)
    elif part.exists():
        os.truncate(part, size)
