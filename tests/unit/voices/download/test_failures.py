"""Downloads that fail: rejected content, causes that are told, and full disks."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.fake_hub import Behaviour, FakeHub
from tests.unit.voices.download.conftest import (
    CONFIG,
    MODEL,
    SMALL_BLOCKS,
    Sleeps,
    T,
    catalogue_file,
    downloading,
    file_names,
    in_executor,
    no_jitter,
    publish_voice,
    wait_completed,
    wait_failed,
)
from wyoming_tts.voices.catalogue import CatalogueVoice
from wyoming_tts.voices.download.downloads import (
    Download,
    DownloadEnvironment,
    DownloadManager,
    FailureCause,
)

# Rejected content


async def test_a_wrong_digest_is_rejected_and_the_old_file_kept(
    downloads: DownloadManager, hub: FakeHub, tmp_path: Path
) -> None:
    (tmp_path / "tone.onnx").write_bytes(b"old model")
    voice = publish_voice(hub)
    wrong = b"\x08" + bytes(len(MODEL) - 1)
    hub.files["/voices/tone.onnx"] = wrong
    error = await wait_failed(downloads.start(voice))
    assert hashlib.md5(wrong).hexdigest() in error
    assert hashlib.md5(MODEL).hexdigest() in error
    assert "--update-voices" in error
    assert (tmp_path / "tone.onnx").read_bytes() == b"old model"
    assert not (tmp_path / "tone.onnx.part").exists()
    assert len(hub.requests_for("tone.onnx")) == 1


@pytest.mark.parametrize(
    "page",
    [
        Behaviour(headers={"Content-Type": "text/html; charset=utf-8"}, body=b"Log in to the Wi-Fi"),
        Behaviour(body=b"\r\n <!DOCTYPE html><title>Log in</title>", says_length=False),
        Behaviour(status=511, body=b"Network Authentication Required"),
    ],
)
async def test_an_html_page_in_place_of_a_file_is_rejected(
    downloads: DownloadManager, hub: FakeHub, tmp_path: Path, sleeps: Sleeps, page: Behaviour
) -> None:
    hub.plan.extend([replace(page)])
    error = await wait_failed(downloads.start(publish_voice(hub)))
    assert "captive portal" in error
    assert hub.url in error
    assert file_names(tmp_path) == set()
    assert sleeps == []


async def test_a_missing_file_is_not_requested_twice(
    downloads: DownloadManager, hub: FakeHub, sleeps: Sleeps, tmp_path: Path
) -> None:
    voice = publish_voice(hub)
    hub.files.clear()
    error = await wait_failed(downloads.start(voice))
    assert "answered 404" in error
    assert "--update-voices" in error
    assert [request.path for request in hub.requests] == ["/voices/tone.onnx.json"]
    assert sleeps == []


@pytest.mark.parametrize(("status", "hint"), [(401, "login"), (403, "refuses"), (410, "")])
async def test_an_http_refusal_is_final_and_the_error_has_a_hint(
    downloads: DownloadManager, hub: FakeHub, sleeps: Sleeps, status: int, hint: str
) -> None:
    hub.plan.append(Behaviour(status=status))
    error = await wait_failed(downloads.start(publish_voice(hub)))
    assert f"answered {status}" in error
    assert hint in error
    assert sleeps == []


async def test_a_file_of_the_wrong_length_is_rejected_before_the_download(
    downloads: DownloadManager, hub: FakeHub
) -> None:
    voice = publish_voice(hub)
    hub.files["/voices/tone.onnx"] = MODEL + b"more"
    error = await wait_failed(downloads.start(voice))
    assert f"{len(MODEL) + 4} bytes" in error
    assert f"expected {len(MODEL)}" in error


async def test_an_endless_body_is_aborted(downloads: DownloadManager, hub: FakeHub, tmp_path: Path) -> None:
    endless = MODEL + bytes(2_000_000)
    hub.plan.extend([Behaviour(), Behaviour(says_length=False, body=endless)])
    error = await wait_failed(downloads.start(publish_voice(hub)))
    assert f"more than the {len(MODEL)} bytes" in error
    assert (tmp_path / "tone.onnx.part").stat().st_size <= len(MODEL)


async def test_a_failed_download_can_be_started_again(downloads: DownloadManager, hub: FakeHub) -> None:
    voice = publish_voice(hub)
    hub.plan.append(Behaviour(status=404))
    await wait_failed(downloads.start(voice))
    await wait_completed(downloads.start(voice))


# Causes


async def cause_of_failure(download: Download) -> FailureCause | None:
    await wait_failed(download)
    return download.cause


@pytest.mark.parametrize(
    ("behaviour", "cause"),
    [
        (Behaviour(status=404), FailureCause.REFUSED),
        (Behaviour(status=503), FailureCause.REFUSED),
        (Behaviour(status=407), FailureCause.PROXY),
        (Behaviour(headers={"Content-Type": "text/html"}), FailureCause.PROXY),
        (Behaviour(cut_after=0), FailureCause.UNREACHABLE),
    ],
)
async def test_a_failure_tells_its_cause(
    downloads: DownloadManager, hub: FakeHub, behaviour: Behaviour, cause: FailureCause
) -> None:
    voice = publish_voice(hub)
    hub.plan.extend([behaviour] * 5)
    assert await cause_of_failure(downloads.start(voice)) is cause


async def test_a_name_that_is_not_resolved_is_told_without_the_systems_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sleeps: Sleeps
) -> None:
    def unresolved(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    environment, causes = DownloadEnvironment(sleep=sleeps, chance=no_jitter), list[FailureCause | None]()
    voice = CatalogueVoice("tone", "piper", "en_US", "low", 1, (catalogue_file("tone.onnx", MODEL),))
    async with DownloadManager(tmp_path, run_blocking=in_executor, environment=environment) as downloads:
        monkeypatch.setattr(socket, "getaddrinfo", unresolved)
        download = downloads.start(voice)
        while not download.state.over:
            causes.append(download.progress().cause)
            await asyncio.sleep(0)
        monkeypatch.undo()
    assert download.cause is FailureCause.NAME_UNRESOLVED
    assert FailureCause.NAME_UNRESOLVED in causes  # between two tries
    assert "the name huggingface.co cannot be resolved" in download.error
    assert "Errno" not in download.error


async def test_a_directory_that_is_not_writable_is_the_cause(hub: FakeHub, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    async with downloading(tmp_path / "file" / "voices", hub) as downloads:
        assert await cause_of_failure(downloads.start(publish_voice(hub))) is FailureCause.NOT_WRITABLE


async def test_a_disk_without_room_is_the_cause(hub: FakeHub, tmp_path: Path) -> None:
    environment = DownloadEnvironment(free_space=lambda directory: 1_000_000)
    async with downloading(tmp_path, hub, environment) as downloads:
        assert await cause_of_failure(downloads.start(publish_voice(hub))) is FailureCause.DISK_FULL


async def test_a_damaged_file_is_the_cause(downloads: DownloadManager, hub: FakeHub) -> None:
    voice = publish_voice(hub)
    hub.files["/voices/tone.onnx"] = bytes(len(MODEL))
    assert await cause_of_failure(downloads.start(voice)) is FailureCause.DAMAGED


async def test_a_cancelled_download_was_stopped(downloads: DownloadManager, hub: FakeHub) -> None:
    download = downloads.start(publish_voice(hub))
    downloads.cancel("tone")
    assert await cause_of_failure(download) is FailureCause.STOPPED


# Disk space


async def test_insufficient_disk_space_is_reported_before_the_download(hub: FakeHub, tmp_path: Path) -> None:
    environment = DownloadEnvironment(free_space=lambda directory: 1_000_000)
    async with downloading(tmp_path, hub, environment) as downloads:
        error = await wait_failed(downloads.start(publish_voice(hub)))
    assert "200.0 kB" in error
    assert "1.0 MB are free" in error
    assert str(tmp_path) in error
    assert hub.requests == []


async def test_an_installed_voice_needs_no_disk_space(hub: FakeHub, tmp_path: Path) -> None:
    (tmp_path / "tone.onnx").write_bytes(MODEL)
    (tmp_path / "tone.onnx.json").write_bytes(CONFIG)
    async with downloading(tmp_path, hub, DownloadEnvironment(free_space=lambda directory: 0)) as downloads:
        await wait_completed(downloads.start(publish_voice(hub)))


async def test_a_disk_that_fills_up_keeps_the_partial_file(hub: FakeHub, tmp_path: Path) -> None:
    part = tmp_path / "tone.onnx.part"
    voice, sleeps = publish_voice(hub), Sleeps()

    async def filling_up(work: Callable[[], T]) -> T:
        def work_and_run_out() -> T:
            result = work()
            if part.exists() and part.stat().st_size >= 100_000:
                raise OSError(errno.ENOSPC, "No space left on device", str(part))
            return result

        return await in_executor(work_and_run_out)

    async with DownloadManager(
        tmp_path,
        run_blocking=filling_up,
        mirror=hub.url,
        options=SMALL_BLOCKS,
        environment=DownloadEnvironment(sleep=sleeps, chance=no_jitter),
    ) as downloads:
        error = await wait_failed(downloads.start(voice))
    assert f"disk of {tmp_path} is full" in error
    assert sleeps == []
    kept = part.stat().st_size
    async with downloading(tmp_path, hub) as downloads:
        await wait_completed(downloads.start(voice))
    assert hub.requests[-1].offset == kept
    assert (tmp_path / "tone.onnx").read_bytes() == MODEL
