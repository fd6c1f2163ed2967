"""Shared files of a bucket: blends and lexicon, which people edit on any server, go both ways.

A file that was changed here goes to the bucket, one that was changed there comes from it. Where both were
changed the newest wins. What is replaced in the bucket, and what loses, is kept there in
`versions/NAME/TIME-DIGEST`, so nothing that anybody wrote is gone. Writing is conditional on the version that
was read: of two servers that write at once one finds it changed, and looks again.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from pathlib import Path

from wyoming_tts.atomic_write import replace_file
from wyoming_tts.blocking import RunBlocking
from wyoming_tts.errors import SpeechError
from wyoming_tts.regular_files import open_regular_file
from wyoming_tts.voices.blends.store import FILE_NAME as BLENDS_FILE
from wyoming_tts.voices.blends.store import hold_lock
from wyoming_tts.voices.bucket.layout import VERSIONS_DIRECTORY
from wyoming_tts.voices.bucket.object_store import ObjectChanged, ObjectMissing, ObjectStore
from wyoming_tts.voices.bucket.record import BroughtFile, SyncRecord
from wyoming_tts.voices.bucket.staging import Unfit
from wyoming_tts.voices.verification import CheckForm
from wyoming_tts.yaml_files.reading import InvalidYaml

MAX_BYTES = 4 * 1024 * 1024
_TRIES = 5
"""Of writing while other servers write too."""


class Exchange(StrEnum):
    """What happened to a shared file."""

    SAME = "same"
    PULLED = "pulled"
    PUSHED = "pushed"
    KEPT = "kept"
    """It was changed here, and may not go there or give way to what is there."""


@dataclass(frozen=True, slots=True)
class _Local:
    content: bytes
    modified: datetime

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True, slots=True)
class _Remote:
    content: bytes
    modified: datetime
    version: str

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True, slots=True)
class SharedFiles:
    """Exchanges blends and lexicon with a bucket."""

    directory: Path
    record: SyncRecord
    checks: Mapping[str, CheckForm]
    """By name of the file."""
    run_blocking: RunBlocking

    async def exchange(self, store: ObjectStore, name: str, *, may_pull: bool, may_push: bool) -> Exchange:
        """Bring a shared file to the same state here and there.

        Raises:
            Unfit: the newer one is malformed; nothing was changed.
            BucketError: the bucket cannot be read or written.
            OSError: the file cannot be read or written.
        """
        for _ in range(_TRIES - 1):
            with suppress(ObjectChanged):
                return await self._exchange(store, name, may_pull=may_pull, may_push=may_push)
        return await self._exchange(store, name, may_pull=may_pull, may_push=may_push)

    async def _exchange(self, store: ObjectStore, name: str, *, may_pull: bool, may_push: bool) -> Exchange:
        base = self.record.files.get(name)
        local = await self.run_blocking(partial(_read_local, self.directory / name))
        remote = await _read_remote(store, name)
        if local is not None and remote is not None and local.digest == remote.digest:
            await self._remember(name, remote.version, remote.digest)
            return Exchange.SAME
        is_changed_here = local is not None and (base is None or local.digest != base.digest)
        is_changed_there = remote is not None and (base is None or remote.digest != base.digest)
        if local is not None and is_changed_here and not (is_changed_there and _is_newer(remote, local)):
            return await self._push(store, name, local, remote) if may_push else Exchange.KEPT
        if local is not None and remote is None and may_push:  # an empty bucket, or a new one
            return await self._push(store, name, local, remote)
        if is_changed_here and remote is not None and not (may_pull and may_push):
            return Exchange.KEPT
        if remote is None or not may_pull:
            return Exchange.SAME
        return await self._pull(store, name, local if is_changed_here else None, remote)

    async def _push(self, store: ObjectStore, name: str, local: _Local, remote: _Remote | None) -> Exchange:
        await self.run_blocking(partial(self._check, name, local.content))
        if remote is not None:
            await _keep_version(store, name, remote)
        replaces = remote.version if remote is not None else None
        version = await store.write(name, local.content, replaces=replaces)
        await self._remember(name, version, local.digest)
        return Exchange.PUSHED

    async def _pull(self, store: ObjectStore, name: str, loser: _Local | None, remote: _Remote) -> Exchange:
        await self.run_blocking(partial(self._check, name, remote.content))
        if loser is not None:
            await _keep_version(store, name, loser)
        expected = self.record.files[name].digest if name in self.record.files else None
        expected = loser.digest if loser is not None else expected
        await self.run_blocking(partial(_replace_local, self.directory / name, remote.content, expected))
        await self._remember(name, remote.version, remote.digest)
        return Exchange.PULLED

    async def _remember(self, name: str, version: str, digest: str) -> None:
        if self.record.files.get(name) != (entry := BroughtFile(version, digest)):
            self.record.files[name] = entry
            await self.run_blocking(self.record.save)

    def _check(self, name: str, content: bytes) -> None:
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / name
            path.write_bytes(content)
            try:
                self.checks[name](path)
            except (ValueError, InvalidYaml, SpeechError) as error:
                raise Unfit(f"{name} is malformed: {error}") from error


def _is_newer(remote: _Remote | None, local: _Local) -> bool:
    return remote is not None and remote.modified > local.modified


def _read_local(path: Path) -> _Local | None:
    try:
        modified = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        with open_regular_file(path) as file:
            return _Local(file.read(), modified)
    except FileNotFoundError:
        return None


async def _read_remote(store: ObjectStore, name: str) -> _Remote | None:
    try:
        content, meta = await store.read(name, MAX_BYTES)
    except ObjectMissing:
        return None
    return _Remote(content, meta.modified, meta.version)


async def _keep_version(store: ObjectStore, name: str, replaced: _Local | _Remote) -> None:
    """Keep what is about to be replaced; one that is kept already has the same content by its name."""
    kept = f"{VERSIONS_DIRECTORY}/{name}/{replaced.modified:%Y%m%dT%H%M%SZ}-{replaced.digest[:12]}"
    with suppress(ObjectChanged):
        await store.write(kept, replaced.content, replaces=None)


def _replace_local(path: Path, content: bytes, expected: str | None) -> None:
    """Replace the file unless it was changed since it was read. Blocks."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with hold_lock(path.with_suffix(".yaml.lock")) if path.name == BLENDS_FILE else nullcontext():
        local = _read_local(path)
        if local is not None and local.digest != expected:
            raise ObjectChanged(f"{path.name} was changed here meanwhile")
        replace_file(path, content)
