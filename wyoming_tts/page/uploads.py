"""Voice uploads: files are streamed to disk, in parts if need be, and validated before they are installed.

A Piper voice is two files, of which `NAME.onnx.json` is sent first. Both wait in a directory which
no engine scans, and are moved into place once Piper's engine accepts them and the voice has spoken in a
child process (`engines.piper.trial`). No file is held in memory.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import time
from collections.abc import AsyncIterable, Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from wyoming_tts.blocking import RunBlocking
from wyoming_tts.engines.base import EngineOptions
from wyoming_tts.engines.piper.engine import PiperEngine
from wyoming_tts.engines.piper.trial import TrialFailed, try_voice
from wyoming_tts.engines.piper.voice_json import MAX_BYTES, InvalidVoiceJson, read_voice_json
from wyoming_tts.errors import BadRequest, TooLong, VoiceUnavailable
from wyoming_tts.known_files import is_absent
from wyoming_tts.messages import Message
from wyoming_tts.system_reasons import system_reason
from wyoming_tts.voices.download.transfer import format_size

T = TypeVar("T")

MODEL_BYTES = 512_000_000
"""Piper's largest model has 125 MB."""
STAGING = ".uploads"
"""The directory that holds files until their voice is complete."""

_FILE_NAME = re.compile(r"([^\W_][\w.-]{0,99}?)\.onnx(\.json)?")
_MAX_NAME_BYTES = 100
"""Of NAME in UTF-8; an encrypted home directory takes 143, with the `.onnx.json.part` of an upload."""
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?|.*\.", re.IGNORECASE)
"""Names that a network share on Windows cannot have, or changes: devices, and those that end with a dot."""
_DISK_RESERVE = 16_000_000
"""Bytes path free on the disk: the rest of the system has to be able to write, too."""
_BLOCK_BYTES = 1024 * 1024
_STALE_SECONDS = 3600.0
"""After this an unfinished upload is deleted."""


@dataclass(frozen=True, slots=True)
class UploadRange:
    """The part of a file that a request uploads."""

    start: int = 0
    total: int | None = None
    """Bytes of the whole file; None if it ends with this request."""


@dataclass(frozen=True, slots=True)
class UploadProgress:
    """How much of a file has arrived."""

    received: int
    voice: str | None = None
    """The voice that is now installed; None while files or parts are missing."""


_RENAME: Final = Message("rename_both", "Rename both files of the voice.")


@dataclass(frozen=True, slots=True)
class _UploadTarget:
    """A file of a voice in the staging directory."""

    voice: str
    file: str
    directory: Path

    @property
    def is_model(self) -> bool:
        return self.file.endswith(".onnx")

    @property
    def limit(self) -> int:
        return MODEL_BYTES if self.is_model else MAX_BYTES

    @property
    def part_path(self) -> Path:
        return self.directory / f"{self.file}.part"


class VoiceUploads:
    """Receives the files of voices, one upload per voice at a time."""

    def __init__(
        self,
        directory: Path,
        *,
        run_blocking: RunBlocking,
        conflict: Callable[[str], str],
        on_installed: Callable[[], Awaitable[None]],
        try_voice: Callable[[Path, int], Awaitable[None]] = try_voice,
        free_space: Callable[[Path], int] = lambda directory: shutil.disk_usage(directory).free,
    ) -> None:
        """Store what is needed; no file is touched yet.

        Args:
            directory: Where voices are installed.
            run_blocking: Runs everything that touches files.
            conflict: Returns why no voice of a name can be uploaded, empty if one can. Blocks.
            on_installed: Called after a voice was installed.
            try_voice: Loads a model of so many bytes outside of this process, or raises `TrialFailed`.
            free_space: Returns the free bytes in a directory.
        """
        self._directory = directory
        self._run = run_blocking
        self._conflict = conflict
        self._on_installed = on_installed
        self._free_space = free_space
        self._try_voice = try_voice
        self._open: set[str] = set()
        self._trial = asyncio.Lock()
        """Held during a trial: several at once could together take all memory."""

    async def receive(self, name: str, pieces: AsyncIterable[bytes], part: UploadRange) -> UploadProgress:
        """Write a file or a part of one, and install the voice once it is complete.

        Raises:
            BadRequest: the name is not that of a voice file or is taken, the part does not start where the
                last one ended, the disk is full, or the files are not a voice.
            TooLong: the file exceeds MODEL_BYTES or voice_json.MAX_BYTES.
            VoiceUnavailable: it cannot be stored.
        """
        target = self._target(name)
        with self._exclusive(target.voice):
            await self._on_disk(partial(self._prepare, target, part))
            end = await self._write(target, pieces, part)
            if part.total is not None and end < part.total:
                return UploadProgress(end)
            await self._on_disk(partial(self._finish_file, target))
            if not target.is_model:
                return UploadProgress(end)
            await self._try_and_install(target)
        await self._on_installed()
        return UploadProgress(end, target.voice)

    async def _on_disk(self, work: Callable[[], T]) -> T:
        """Run what touches files."""
        try:
            return await self._run(work)
        except OSError as error:
            raise VoiceUnavailable(
                Message(
                    "not_written",
                    "{path} cannot be written: {reason}.",
                    path=error.filename or self._directory,
                    reason=system_reason(error),
                ),
                hint=Message(
                    "check_directory", "Check that the directory is writable and the disk has space."
                ),
            ) from error

    def _target(self, name: str) -> _UploadTarget:
        match = _FILE_NAME.fullmatch(name)
        if match is None:
            raise BadRequest(
                Message(
                    "bad_file_name",
                    "Got {name} as the name of a voice file, expected NAME.onnx or NAME.onnx.json.",
                    name=repr(name[:120]),
                ),
                hint=Message("name_letters", "In NAME use letters, digits, `_`, `-` and `.` only."),
            )
        size = len(match[1].encode())
        if size > _MAX_NAME_BYTES:
            raise BadRequest(
                Message(
                    "name_too_long",
                    "The name of the voice has {size} bytes in UTF-8, expected at most {most}.",
                    size=size,
                    most=_MAX_NAME_BYTES,
                ),
                hint=_RENAME,
            )
        if _RESERVED.fullmatch(match[1]):
            raise BadRequest(
                Message("name_reserved", "{name} is a name that not every file system takes.", name=match[1]),
                hint=_RENAME,
            )
        return _UploadTarget(match[1], name, self._directory / STAGING / match[1])

    @contextmanager
    def _exclusive(self, voice: str) -> Iterator[None]:
        if voice in self._open:
            raise BadRequest(
                Message("already_uploading", "{name} is already being uploaded.", name=voice),
                hint=Message("wait_for_it", "Wait until that has finished."),
            )
        self._open.add(voice)
        try:
            yield
        finally:
            self._open.discard(voice)

    def _prepare(self, target: _UploadTarget, part: UploadRange) -> None:
        """Check that the part can be received. Blocks."""
        if reason := self._conflict(target.voice):
            raise BadRequest(reason)
        _require_size(target, part.total or 0)
        if not part.start:
            self._delete_stale()
        target.directory.mkdir(parents=True, exist_ok=True)
        if target.is_model and not (target.directory / f"{target.file}.json").is_file():
            raise BadRequest(
                Message("json_first", "{name} has to be uploaded first.", name=f"{target.file}.json"),
                hint=Message("choose_both", "Choose both files of the voice."),
            )
        received = _size(target.part_path) if part.start else 0
        if received != part.start:
            raise BadRequest(
                Message(
                    "wrong_start",
                    "{name} continues at byte {expected}, got byte {start}.",
                    name=target.file,
                    expected=received,
                    start=part.start,
                )
            )
        self._require_room((part.total or part.start) - part.start)

    async def _write(self, target: _UploadTarget, pieces: AsyncIterable[bytes], part: UploadRange) -> int:
        """Append what arrives and return the new end of the file; a part that breaks off is undone."""
        end, block = part.start, bytearray()
        try:
            async for piece in pieces:
                block += piece
                if len(block) >= _BLOCK_BYTES:
                    end, block = await self._append(target, end, block, part.total)
            end, _ = await self._append(target, end, block, part.total)
        except BaseException:
            with suppress(VoiceUnavailable):  # it is told why the part was not stored
                await self._on_disk(partial(_truncate, target.part_path, part.start))
            raise
        return end

    async def _append(
        self, target: _UploadTarget, end: int, block: bytearray, total: int | None
    ) -> tuple[int, bytearray]:
        _require_size(target, end + len(block))
        if total is not None and end + len(block) > total:
            raise BadRequest(
                Message(
                    "more_than_announced",
                    "Got more than the {total} bytes announced for {name}.",
                    total=total,
                    name=target.file,
                )
            )
        await self._on_disk(partial(self._write_block, target.part_path, end, block))
        return end + len(block), bytearray()

    def _write_block(self, path: Path, end: int, block: bytearray) -> None:
        self._require_room(len(block))
        with path.open("r+b" if end else "wb") as file:
            file.seek(end)
            file.write(block)

    def _require_room(self, needed: int) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        free = self._free_space(self._directory)
        if needed + _DISK_RESERVE > free:
            raise BadRequest(
                Message(
                    "disk_full",
                    "Not enough disk space in {directory}: {needed} are needed, {free} are free and "
                    "{reserve} have to stay free.",
                    directory=self._directory,
                    needed=format_size(needed),
                    free=format_size(free),
                    reserve=format_size(_DISK_RESERVE),
                ),
                hint=Message("free_some", "Free some space there."),
            )

    def _finish_file(self, target: _UploadTarget) -> None:
        """Validate a complete file. Blocks."""
        with target.part_path.open("r+b") as file:
            os.fsync(file.fileno())
        with _discarded_if_bad(target):
            if not target.is_model:
                _require_config(target.part_path)
            target.part_path.replace(target.directory / target.file)
            if target.is_model:
                _require_voice(target)

    async def _try_and_install(self, target: _UploadTarget) -> None:
        model = target.directory / target.file
        problem = ""
        async with self._trial:
            try:
                size = await self._on_disk(lambda: model.stat().st_size)
                await self._try_voice(model, size)
            except TrialFailed as error:
                problem = str(error)
        await self._on_disk(partial(self._install, target, problem))

    def _install(self, target: _UploadTarget, problem: str) -> None:
        """Install the voice unless its trial found a problem. Blocks."""
        with _discarded_if_bad(target):
            if problem:
                raise BadRequest(_not_a_voice(target, problem))
            if reason := self._conflict(target.voice):
                raise BadRequest(reason)
            # The model last: a voice exists once its model does.
            for file in (f"{target.file}.json", target.file):
                (target.directory / file).replace(self._directory / file)
        shutil.rmtree(target.directory)

    def _delete_stale(self) -> None:
        """Delete uploads that were never finished."""
        oldest = time.time() - _STALE_SECONDS
        for path in (self._directory / STAGING).glob("*"):
            if path.name not in self._open and path.stat().st_mtime < oldest:
                shutil.rmtree(path, ignore_errors=True)


def _require_size(target: _UploadTarget, size: int) -> None:
    if size > target.limit:
        raise TooLong(
            Message(
                "file_too_large",
                "{name} is larger than {most}, the most that is accepted.",
                name=target.file,
                most=format_size(target.limit),
            )
        )


def _not_a_voice(target: _UploadTarget, reason: str) -> Message:
    if reason.endswith("."):  # a sentence of its own
        return Message(
            "not_a_voice_because", "{name} is not a voice. {reason}", name=target.voice, reason=reason
        )
    return Message("not_a_voice", "{name} is not a voice: {reason}.", name=target.voice, reason=reason)


@contextmanager
def _discarded_if_bad(target: _UploadTarget) -> Iterator[None]:
    """Delete what was received of a voice that is refused."""
    try:
        yield
    except BadRequest:
        shutil.rmtree(target.directory)
        raise


def _require_voice(target: _UploadTarget) -> None:
    engine = PiperEngine(EngineOptions(data_dirs=(target.directory,)))
    if not engine.installed():
        reason = next(
            (reason for _, reason in engine.broken), Message("not_piper", "it is not a Piper model")
        )
        raise BadRequest(_not_a_voice(target, reason))


def _require_config(path: Path) -> None:
    try:
        read_voice_json(path)
    except InvalidVoiceJson as error:
        raise BadRequest(
            Message("json_refused", "The file does not describe a Piper voice: {reason}.", reason=str(error))
        ) from error


def _truncate(path: Path, size: int) -> None:
    if not size:
        path.unlink(missing_ok=True)
    elif _size(path):
        os.truncate(path, size)


def _size(path: Path) -> int:
    return 0 if is_absent(path) else path.stat().st_size
