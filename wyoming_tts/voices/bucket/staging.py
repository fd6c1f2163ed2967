"""Staging of brought voices: received and checked beside the installed ones, then installed as a whole.

A voice is received into `.sync/NAME.part/`, which becomes `.sync/NAME.ready/` once all its files are
complete and checked; only from there files are renamed into place. A process that is killed leaves either a
part, which the next one deletes, or a voice that is ready, which the next one installs: never half of one.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from wyoming_tts.atomic_write import replace_file
from wyoming_tts.blocking import RunBlocking
from wyoming_tts.errors import SpeechError
from wyoming_tts.known_files import is_absent
from wyoming_tts.voices.bucket.layout import FileGroup, is_voice_file
from wyoming_tts.voices.bucket.object_store import BucketError, ObjectStore
from wyoming_tts.voices.bucket.record import BroughtFile, SyncRecord
from wyoming_tts.voices.download.transfer import format_size
from wyoming_tts.voices.verification import CheckForm, check_form

if TYPE_CHECKING:
    from hashlib import _Hash

SYNC_DIRECTORY: Final = ".sync"
_PART, _READY = ".part", ".ready"
_ENTRIES = "entries.json"
_DISK_RESERVE = 16_000_000
"""Bytes that stay free."""


class Unfit(Exception):
    """What was received is not what it should be; the message names the file and says why."""


class Incomplete(Unfit):
    """Not all of it arrived: the next time it may."""


@dataclass(frozen=True, slots=True)
class Staging:
    """Receives groups of files and installs them into a data directory."""

    directory: Path
    record: SyncRecord
    checks: Mapping[str, CheckForm]
    """By suffix, what checks the form of a file."""
    run_blocking: RunBlocking

    async def bring(self, store: ObjectStore, group: FileGroup, sums: Mapping[str, str]) -> bool:
        """Receive, check and install a group; return False if one of its files is the user's own.

        Raises:
            Unfit: it is incomplete, malformed or not what `SHA256SUMS` says; nothing was changed.
            BucketError: it, or the bucket, cannot be read.
            OSError: it cannot be stored.
        """
        part = self._directory_of(group, _PART)
        await self.run_blocking(partial(_make_empty, part))
        try:
            await self._receive_all(store, group, part, sums)
        except (Unfit, BucketError):
            await self.run_blocking(partial(shutil.rmtree, part))
            raise
        ready = self._directory_of(group, _READY)
        await self.run_blocking(partial(part.replace, ready))
        return await self.run_blocking(partial(self._install, ready))

    async def _receive_all(
        self, store: ObjectStore, group: FileGroup, part: Path, sums: Mapping[str, str]
    ) -> None:
        entries = {}
        for name in group.names:
            entries[name] = await self._receive(store, name, part / Path(name).name)
            if name in sums and sums[name] != entries[name].digest:
                raise Unfit(f"{name} has not the digest that SHA256SUMS says")
        await self.run_blocking(partial(self._check, part, entries))

    def recover(self) -> None:
        """Install what an earlier process had ready, and delete what it had not. Blocks.

        Raises:
            OSError: it cannot be installed.
        """
        for path in sorted((self.directory / SYNC_DIRECTORY).glob(f"*{_READY}")):
            self._install(path)
        for path in (self.directory / SYNC_DIRECTORY).glob(f"*{_PART}"):
            shutil.rmtree(path)

    def remove(self, names: Sequence[str]) -> tuple[str, ...]:
        """Delete those of the files that are as they were brought; return their names. Blocks.

        Raises:
            OSError: one cannot be deleted.
        """
        deleted = []
        for name in sorted(names, key=lambda name: name.endswith(".json")):  # models first
            path = self.directory / name
            if not is_absent(path) and self.record.owns(name, path):
                path.unlink()
                deleted.append(name)
            del self.record.files[name]
        self.record.save()
        return tuple(deleted)

    def _directory_of(self, group: FileGroup, ending: str) -> Path:
        return self.directory / SYNC_DIRECTORY / f"{group.main.replace('/', '@')}{ending}"

    async def _receive(self, store: ObjectStore, name: str, path: Path) -> BroughtFile:
        digest, size = hashlib.sha256(), 0
        async with store.stream(name) as (meta, pieces):
            await self.run_blocking(partial(_require_room, path, meta.size))
            async for piece in pieces:
                size += len(piece)
                if size > meta.size:
                    break
                await self.run_blocking(partial(_append, path, piece, digest))
        if size != meta.size:
            raise Incomplete(f"{name} has {meta.size} bytes, but others arrived")
        return BroughtFile(meta.version, digest.hexdigest())

    def _check(self, part: Path, entries: Mapping[str, BroughtFile]) -> None:
        for name in entries:
            path = part / Path(name).name
            try:
                check_form(path, self.checks)
            except (FileNotFoundError, ValueError, zipfile.BadZipFile, SpeechError) as error:
                why = "it is empty" if isinstance(error, FileNotFoundError) else error
                raise Unfit(f"{name} is broken: {why}") from error
            with path.open("rb") as file:
                os.fsync(file.fileno())
        stored = {name: asdict(entry) for name, entry in entries.items()}
        replace_file(part / _ENTRIES, json.dumps(stored).encode())  # synced

    def _install(self, ready: Path) -> bool:
        """Install a group that is ready, unless a file of the user's is in its place. Blocks."""
        entries = _read_entries(ready)
        targets = {name: self.directory / name for name in entries}
        is_free = all(is_absent(path) or self.record.owns(name, path) for name, path in targets.items())
        if is_free:
            self.record.put(entries)
            self.record.save()
            for target in targets.values():
                source = ready / target.name
                if not is_absent(source):
                    target.parent.mkdir(parents=True, exist_ok=True)
                    source.replace(target)
        shutil.rmtree(ready)
        return is_free


def _read_entries(ready: Path) -> dict[str, BroughtFile]:
    """Read what is in a group; nothing, if that is damaged: then it is brought again."""
    try:
        stored = json.loads((ready / _ENTRIES).read_bytes())
        return {name: BroughtFile(**entry) for name, entry in stored.items() if is_voice_file(name)}
    except (FileNotFoundError, ValueError, TypeError, AttributeError):
        return {}


def _make_empty(directory: Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)


def _append(path: Path, piece: bytes, digest: _Hash) -> None:
    with path.open("ab") as file:
        file.write(piece)
    digest.update(piece)


def _require_room(path: Path, needed: int) -> None:
    free = shutil.disk_usage(path.parent).free
    if needed + _DISK_RESERVE > free:
        needs, is_free = format_size(needed), format_size(free)
        raise Incomplete(f"{path.name}: not enough disk space: {needs} are needed, {is_free} are free")
