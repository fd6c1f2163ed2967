"""A hub, a manager of downloads that waits for nothing, and a voice to download."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from tests.support.fake_hub import FakeHub
from wyoming_tts.voices.catalogue import CatalogueFile, CatalogueVoice
from wyoming_tts.voices.download.downloads import (
    Download,
    DownloadEnvironment,
    DownloadManager,
    DownloadOptions,
    DownloadProgress,
    DownloadState,
)
from wyoming_tts.voices.download.hub import HUB

T = TypeVar("T")

SMALL_BLOCKS = DownloadOptions(block_bytes=8 * 1024, report_every=0.0)
MODEL = b"\x08" + random.Random(1).randbytes(199_999)
CONFIG = b'{"audio": {"sample_rate": 22050}}'
PATIENCE = 10.0


async def in_executor(work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(None, work)


class Sleeps(list[float]):
    """A fake sleep: returns at once and records the requested durations."""

    async def __call__(self, seconds: float) -> None:
        self.append(seconds)
        await asyncio.sleep(0)


def no_jitter() -> float:
    return 0.0


def catalogue_file(path: str, content: bytes) -> CatalogueFile:
    return CatalogueFile(path, f"{HUB}/{path}", len(content), f"md5:{hashlib.md5(content).hexdigest()}")


def publish_voice(
    hub: FakeHub, name: str = "tone", *, model: bytes = MODEL, config: bytes = CONFIG
) -> CatalogueVoice:
    """Publish a voice on the hub and return its catalogue entry."""
    files = {f"voices/{name}.onnx": model, f"voices/{name}.onnx.json": config}
    hub.files |= {f"/{path}": content for path, content in files.items()}
    described = tuple(catalogue_file(path, content) for path, content in files.items())
    return CatalogueVoice(name, "piper", "en_US", "low", 1, described)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
async def hub() -> AsyncIterator[FakeHub]:
    async with FakeHub() as hub:
        yield hub


@pytest.fixture
def sleeps() -> Sleeps:
    return Sleeps()


@pytest.fixture
async def downloads(tmp_path: Path, hub: FakeHub, sleeps: Sleeps) -> AsyncIterator[DownloadManager]:
    async with downloading(tmp_path, hub, DownloadEnvironment(sleep=sleeps, chance=no_jitter)) as downloads:
        yield downloads


@asynccontextmanager
async def downloading(
    directory: Path,
    hub: FakeHub,
    environment: DownloadEnvironment | None = None,
    *,
    offline: bool = False,
    options: DownloadOptions = SMALL_BLOCKS,
    on_progress: Callable[[DownloadProgress], None] | None = None,
) -> AsyncIterator[DownloadManager]:
    async with DownloadManager(
        directory,
        run_blocking=in_executor,
        offline=offline,
        mirror=hub.url,
        options=options,
        on_progress=on_progress,
        environment=environment or DownloadEnvironment(sleep=Sleeps(), chance=no_jitter),
    ) as downloads:
        yield downloads


async def wait_completed(download: Download) -> None:
    assert await download.wait(PATIENCE) is DownloadState.DONE, download.error


async def wait_failed(download: Download) -> str:
    assert await download.wait(PATIENCE) is DownloadState.FAILED
    return download.error


def file_names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def two_of_one_model(hub: FakeHub) -> tuple[CatalogueVoice, CatalogueVoice]:
    voice = publish_voice(hub)
    return voice, replace(voice, name="other")
