"""Record of what a sync brought: which files of the data directory are the bucket's, and in which version.

Only these are ever replaced or deleted, and only while they are as they were brought: a file that the user
made or changed is the user's.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from wyoming_tts.atomic_write import replace_file
from wyoming_tts.bounded_json import InvalidJson, JsonLimits, parse_json
from wyoming_tts.regular_files import open_regular_file, read_regular_file

_MAX_BYTES = 16 * 1024 * 1024
_LIMITS = JsonLimits(values=100_000, depth=4)


@dataclass(frozen=True, slots=True)
class BroughtFile:
    """A file as it came from the bucket."""

    version: str
    """Version of the object, its ETag."""
    digest: str
    """SHA-256 of its content."""
    replaced: str = ""
    """Digest of what the bucket had before: a sync may have been killed before it replaced that."""


@dataclass(slots=True)
class SyncRecord:
    """The files that were brought, by name, kept in a file; every method but `owns` is quick."""

    path: Path
    url: str
    files: dict[str, BroughtFile] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path, url: str) -> SyncRecord:
        """Read the record; a damaged one is as none. Blocks.

        Without a record nothing is known to be the bucket's, so nothing is replaced or deleted. Files of
        another bucket stay the sync's own, in no version of this one.

        Raises:
            OSError: it cannot be read.
        """
        try:
            stored: Any = parse_json(read_regular_file(path, _MAX_BYTES)[:_MAX_BYTES], _LIMITS)
            files = {name: BroughtFile(**entry) for name, entry in stored["files"].items()}
        except (FileNotFoundError, InvalidJson, KeyError, TypeError, AttributeError):
            return cls(path, url)
        if stored["url"] != url:
            files = {name: replace(entry, version="") for name, entry in files.items()}
        return cls(path, url, files)

    def save(self) -> None:
        """Write the record. Blocks."""
        files = {name: asdict(entry) for name, entry in self.files.items()}
        replace_file(self.path, json.dumps({"url": self.url, "files": files}).encode())

    def put(self, brought: Mapping[str, BroughtFile]) -> None:
        """Record new versions of files, each with the digest of the one before."""
        for name, entry in brought.items():
            before = self.files.get(name)
            if before is None or before.digest != entry.digest:
                self.files[name] = replace(entry, replaced=before.digest if before is not None else "")
            else:
                self.files[name] = replace(before, version=entry.version)

    def owns(self, name: str, path: Path) -> bool:
        """Whether the file is still as a sync has left it. Blocks, a second per 300 MB."""
        entry = self.files.get(name)
        return entry is not None and path.is_file() and digest_of(path) in {entry.digest, entry.replaced}


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file. Blocks."""
    with open_regular_file(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
