"""Downloads of voices that succeed, and several at once."""

from __future__ import annotations

import asyncio
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
    downloading,
    file_names,
    in_executor,
    publish_voice,
    two_of_one_model,
    wait_completed,
    wait_failed,
)
from wyoming_tts.voices.download.downloads import (
    DownloadEnvironment,
    DownloadManager,
    DownloadProgress,
    DownloadState,
)

# Successful downloads


async def test_a_downloaded_voice_is_complete_and_leaves_no_other_files(
    downloads: DownloadManager, hub: FakeHub, tmp_path: Path
) -> None:
    download = downloads.start(publish_voice(hub))
    await wait_completed(download)
    assert file_names(tmp_path) == {"tone.onnx", "tone.onnx.json"}
    assert (tmp_path / "tone.onnx").read_bytes() == MODEL
    assert (tmp_path / "tone.onnx.json").read_bytes() == CONFIG
    assert download.received == download.total == len(MODEL) + len(CONFIG)
    assert downloads.active == ()


async def test_the_configuration_is_fetched_before_the_model(
    downloads: DownloadManager, hub: FakeHub
) -> None:
    await wait_completed(downloads.start(publish_voice(hub)))
    assert [request.path for request in hub.requests] == ["/voices/tone.onnx.json", "/voices/tone.onnx"]


async def test_old_files_stay_until_all_new_ones_are_there(
    downloads: DownloadManager, hub: FakeHub, tmp_path: Path
) -> None:
    (tmp_path / "tone.onnx").write_bytes(b"old model")
    (tmp_path / "tone.onnx.json").write_bytes(b"old config")
    config, model = Behaviour(), Behaviour(hold_after=len(MODEL) // 2)
    hub.plan.extend([config, model])
    download = downloads.start(publish_voice(hub))
    await model.held.wait()
    assert (tmp_path / "tone.onnx").read_bytes() == b"old model"
    assert (tmp_path / "tone.onnx.json").read_bytes() == b"old config"
    model.released.set()
    await wait_completed(download)
    assert (tmp_path / "tone.onnx").read_bytes() == MODEL
    assert (tmp_path / "tone.onnx.json").read_bytes() == CONFIG


async def test_the_model_never_appears_before_its_configuration(hub: FakeHub, tmp_path: Path) -> None:
    seen: list[set[str]] = []

    async def looking_after_each_step(work: Callable[[], T]) -> T:
        def work_and_look() -> T:
            result = work()
            seen.append(file_names(tmp_path))
            return result

        return await in_executor(work_and_look)

    async with DownloadManager(tmp_path, run_blocking=looking_after_each_step, mirror=hub.url) as downloads:
        await wait_completed(downloads.start(publish_voice(hub)))
    assert {"tone.onnx.json"} <= seen[-1]
    assert all("tone.onnx.json" in there for there in seen if "tone.onnx" in there)
    assert any("tone.onnx.json" in there and "tone.onnx" not in there for there in seen)


async def test_an_installed_voice_is_not_downloaded_again(
    downloads: DownloadManager, hub: FakeHub, tmp_path: Path
) -> None:
    voice = publish_voice(hub)
    await wait_completed(downloads.start(voice))
    requests_before = len(hub.requests)
    again = downloads.start(voice)
    await wait_completed(again)
    assert len(hub.requests) == requests_before
    assert again.received == again.total


async def test_only_missing_files_are_downloaded(
    downloads: DownloadManager, hub: FakeHub, tmp_path: Path
) -> None:
    (tmp_path / "tone.onnx.json").write_bytes(CONFIG)
    await wait_completed(downloads.start(publish_voice(hub)))
    assert [request.path for request in hub.requests] == ["/voices/tone.onnx"]


async def test_the_download_directory_is_created(hub: FakeHub, tmp_path: Path) -> None:
    async with downloading(tmp_path / "data" / "voices", hub) as downloads:
        await wait_completed(downloads.start(publish_voice(hub)))
    assert (tmp_path / "data" / "voices" / "tone.onnx").read_bytes() == MODEL


async def test_the_error_names_a_directory_that_cannot_be_created(hub: FakeHub, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    async with downloading(tmp_path / "file" / "voices", hub) as downloads:
        error = await wait_failed(downloads.start(publish_voice(hub)))
    assert str(tmp_path / "file" / "voices") in error
    assert "--download-dir" in error


# Concurrent downloads


async def test_two_requests_for_a_voice_share_one_download(downloads: DownloadManager, hub: FakeHub) -> None:
    voice = publish_voice(hub)
    first, second = downloads.start(voice), downloads.start(voice)
    await asyncio.gather(wait_completed(first), wait_completed(second))
    assert len(hub.requests) == 2


async def test_two_voices_of_one_model_download_it_once(downloads: DownloadManager, hub: FakeHub) -> None:
    model = Behaviour(hold_after=1_000)
    hub.plan.extend([Behaviour(), model])
    first, second = two_of_one_model(hub)
    early = downloads.start(first)
    await model.held.wait()
    late = downloads.start(second)
    model.released.set()
    await asyncio.gather(wait_completed(early), wait_completed(late))
    assert len(hub.requests) == 2
    assert late.received == late.total == early.total


async def test_a_failed_file_fails_every_download_that_shares_it(
    downloads: DownloadManager, hub: FakeHub
) -> None:
    hub.plan.append(Behaviour(status=404))
    errors = [await wait_failed(download) for download in [downloads.start(v) for v in two_of_one_model(hub)]]
    assert errors[0] == errors[1]
    assert len(hub.requests) == 1


async def test_concurrent_file_downloads_stay_within_the_limit(hub: FakeHub, tmp_path: Path) -> None:
    holding = Behaviour(hold_after=0)
    hub.plan.append(holding)
    async with downloading(tmp_path, hub, options=replace(SMALL_BLOCKS, max_concurrent=1)) as downloads:
        first, second = downloads.start(publish_voice(hub)), downloads.start(publish_voice(hub, "second"))
        await holding.held.wait()
        # Which of the two comes first depends on the scheduling of threads.
        assert {first.state, second.state} == {DownloadState.RUNNING, DownloadState.WAITING}
        assert len(hub.requests) == 1
        holding.released.set()
        await asyncio.gather(wait_completed(first), wait_completed(second))


async def test_a_wait_that_times_out_does_not_cancel_the_download(
    downloads: DownloadManager, hub: FakeHub
) -> None:
    holding = Behaviour(hold_after=0)
    hub.plan.append(holding)
    download = downloads.start(publish_voice(hub))
    await holding.held.wait()
    assert await download.wait(0) is DownloadState.RUNNING
    holding.released.set()
    await wait_completed(download)


async def test_an_unexpected_error_ends_only_one_download(
    hub: FakeHub, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def breaking(work: Callable[[], T]) -> T:
        if hub.requests_for("broken.onnx"):
            raise RuntimeError("secret detail")
        return await in_executor(work)

    holding = Behaviour(hold_after=0)
    async with (
        downloading(tmp_path, hub) as good,
        DownloadManager(tmp_path, run_blocking=breaking, mirror=hub.url) as downloads,
    ):
        error = await wait_failed(downloads.start(publish_voice(hub, "broken")))
        hub.plan.append(holding)
        assert "RuntimeError" in error
        assert "secret" not in error
        assert "secret detail" in caplog.text
        holding.released.set()
        await wait_completed(good.start(publish_voice(hub)))


async def test_starting_outside_the_block_is_an_error(hub: FakeHub, tmp_path: Path) -> None:
    downloads = DownloadManager(tmp_path, run_blocking=in_executor, mirror=hub.url)
    with pytest.raises(RuntimeError, match="async with"):
        downloads.start(publish_voice(hub))
    assert downloads.active == ()


async def test_an_error_raised_in_the_block_propagates_unchanged(hub: FakeHub, tmp_path: Path) -> None:
    hub.plan.append(Behaviour(hold_after=0))

    async def raise_zero_division() -> None:
        async with downloading(tmp_path, hub) as downloads:
            downloads.start(publish_voice(hub))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await raise_zero_division()


# Progress


async def test_progress_is_monotonic(hub: FakeHub, tmp_path: Path) -> None:
    reports: list[DownloadProgress] = []
    (tmp_path / "tone.onnx.part").write_bytes(bytes(30_000))
    hub.plan.extend([Behaviour(), Behaviour(cut_after=90_000), Behaviour(), Behaviour(ignores_range=True)])
    async with downloading(tmp_path, hub, on_progress=reports.append) as downloads:
        await wait_completed(downloads.start(publish_voice(hub)))
    received = [report.received for report in reports]
    assert received == sorted(received)
    assert len(set(received)) > 5
    assert received[-1] == reports[-1].total == len(MODEL) + len(CONFIG)
    order = list(DownloadState)
    assert [order.index(report.state) for report in reports] == sorted(
        order.index(report.state) for report in reports
    )
    assert {report.state for report in reports} == set(order) - {DownloadState.FAILED}


async def test_progress_reports_respect_the_configured_interval(hub: FakeHub, tmp_path: Path) -> None:
    reports: list[DownloadProgress] = []
    environment = DownloadEnvironment(clock=lambda: 100.0, sleep=Sleeps())
    options = replace(SMALL_BLOCKS, report_every=0.1)
    async with downloading(
        tmp_path, hub, environment, options=options, on_progress=reports.append
    ) as downloads:
        await wait_completed(downloads.start(publish_voice(hub)))
    assert [report.state for report in reports] == [
        DownloadState.WAITING,
        DownloadState.RUNNING,
        DownloadState.RUNNING,
        DownloadState.DONE,
    ]


async def test_the_time_of_the_last_byte_is_recorded(hub: FakeHub, tmp_path: Path) -> None:
    now = 5.0
    holding = Behaviour(hold_after=0)
    hub.plan.append(holding)
    async with downloading(
        tmp_path, hub, DownloadEnvironment(clock=lambda: now, sleep=Sleeps())
    ) as downloads:
        download = downloads.start(publish_voice(hub))
        await holding.held.wait()
        now = 9.0
        assert download.made_progress_at == 5.0
        holding.released.set()
        await wait_completed(download)
        assert download.made_progress_at == 9.0
