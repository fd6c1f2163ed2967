"""A bucket in a directory, and data directories that are in sync with it."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tests.support.parts import settings_for_tests
from tests.support.tones import VOICES
from wyoming_tts.assembly.bucket import make_bucket_sync
from wyoming_tts.voices.bucket.sync import BucketSync, SyncOptions

T = TypeVar("T")

VOICE = "en_US-tone-low"
FILES = (f"{VOICE}.onnx", f"{VOICE}.onnx.json")
BLEND = b"blends:\n  mine:\n    recipe: af_bella+af_sky\n"
OTHER_BLEND = b"blends:\n  theirs:\n    recipe: af_bella+af_heart\n"


def voice_file(name: str) -> bytes:
    return (VOICES / name).read_bytes()


@dataclass(frozen=True)
class DirectoryBucket:
    """A bucket of the scheme `file`."""

    path: Path

    @property
    def url(self) -> str:
        return self.path.as_uri()

    def put(self, name: str, content: bytes, *, age: float = 0.0) -> None:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        if age:
            make_older(path, age)

    def put_voice(self) -> None:
        for name in FILES:
            self.put(name, voice_file(name))

    def put_sums(self, **changed: str) -> None:
        sums = {name: hashlib.sha256((self.path / name).read_bytes()).hexdigest() for name in FILES}
        self.put("SHA256SUMS", "".join(f"{d}  {n}\n" for n, d in {**sums, **changed}.items()).encode())


def make_older(path: Path, seconds: float) -> None:
    status = path.stat()
    os.utime(path, (status.st_atime - seconds, status.st_mtime - seconds))


async def run_in_thread(work: Callable[[], T]) -> T:
    return await asyncio.to_thread(work)


def sync_of(directory: Path, url: str, options: SyncOptions | None = None) -> BucketSync:
    settings = settings_for_tests(data_dir=[directory], voices_url=url, offline=False)
    bucket = make_bucket_sync(settings, run_in_thread, options)
    assert bucket is not None
    return bucket


def visible(directory: Path) -> list[str]:
    """Names of the files, without those of the sync itself."""
    return sorted(
        str(path.relative_to(directory))
        for path in directory.rglob("*")
        if path.is_file() and ".sync" not in path.parts and not path.name.endswith((".lock", ".bak"))
    )
