from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.support.fake_hub import Behaviour, FakeHub
from tests.support.fake_synthesizer import run_in_thread
from tests.unit.voices.download.conftest import publish_voice, two_of_one_model
from wyoming_tts.errors import UnknownVoice, VoiceUnavailable
from wyoming_tts.voices.download.downloads import DownloadManager, DownloadProgress, DownloadState
from wyoming_tts.voices.download.service import DownloadService


def running(voice: str, received: int) -> DownloadProgress:
    return DownloadProgress(voice, DownloadState.RUNNING, received, 1000)


def failed(voice: str) -> DownloadProgress:
    return DownloadProgress(voice, DownloadState.FAILED, 0, 1000, "no network")


def test_the_download_speed_is_measured_over_the_last_seconds() -> None:
    now = 0.0
    service = DownloadService(clock=lambda: now)
    for now, received in ((0.0, 0), (1.0, 900), (10.0, 900), (12.0, 1000)):  # noqa: B007 - the clock reads it
        service.record_progress(running("a", received))
    assert service.status()[0].bytes_per_second == 50.0
    now = 20.0
    assert service.status()[0].bytes_per_second == 0.0


def test_failed_downloads_stay_listed_for_a_limited_time() -> None:
    service = DownloadService()
    service.record_progress(running("moving", 1))
    for number in range(50):
        service.record_progress(failed(f"voice{number}"))
    names = [entry.voice for entry in service.status()]
    assert names == ["moving", *(f"voice{number}" for number in range(30, 50))]


def test_a_retried_download_replaces_its_listed_failure() -> None:
    service = DownloadService()
    service.record_progress(failed("a"))
    assert not service.is_downloading("a")
    service.record_progress(running("a", 10))
    (entry,) = service.status()
    assert (entry.state, entry.error) == (DownloadState.RUNNING, "")


def test_cancelling_an_unknown_download_is_an_error() -> None:
    with pytest.raises(UnknownVoice):
        DownloadService().cancel("nobody")


async def test_each_completed_download_triggers_a_rescan_and_none_starts_after_closing(
    tmp_path: Path,
) -> None:
    rescanned, service = asyncio.Event(), DownloadService()

    async def rescan() -> None:
        rescanned.set()

    async with FakeHub() as hub:
        voice = publish_voice(hub)
        downloads = DownloadManager(
            tmp_path, run_blocking=run_in_thread, mirror=hub.url, on_progress=service.record_progress
        )
        async with downloads, asyncio.TaskGroup() as tasks:
            service.attach(downloads)
            following = tasks.create_task(service.run(rescan))
            service.start(voice)
            assert service.is_downloading(voice.name)
            await rescanned.wait()
            assert (tmp_path / "tone.onnx").exists()
            assert service.status() == ()
            following.cancel()
        with pytest.raises(VoiceUnavailable):
            service.start(voice)


async def test_a_cancelled_download_leaves_shared_files_to_the_other(tmp_path: Path) -> None:
    model = Behaviour(hold_after=1_000)
    async with FakeHub() as hub:
        hub.plan.extend([Behaviour(), model])
        async with DownloadManager(tmp_path, run_blocking=run_in_thread, mirror=hub.url) as downloads:
            first, second = (downloads.start(voice) for voice in two_of_one_model(hub))
            await model.held.wait()
            assert downloads.cancel(first.voice.name)
            assert not downloads.cancel(first.voice.name)
            assert await first.wait(0) is DownloadState.FAILED
            model.released.set()
            assert await second.wait(10) is DownloadState.DONE
    assert len(hub.requests) == 2
