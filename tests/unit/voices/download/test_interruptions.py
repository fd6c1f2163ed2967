"""Downloads that are interrupted, and the partial files that are left."""

from __future__ import annotations

import asyncio
import signal
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.fake_hub import Behaviour, FakeHub
from tests.support.hypothesis_examples import scaled_examples
from tests.unit.voices.download.conftest import (
    CONFIG,
    MODEL,
    Sleeps,
    downloading,
    file_names,
    in_executor,
    no_jitter,
    publish_voice,
    wait_completed,
    wait_failed,
)
from wyoming_tts.voices.download.downloads import (
    DownloadEnvironment,
    DownloadManager,
    DownloadOptions,
    DownloadState,
)

# Interruptions


async def test_a_file_interrupted_at_40_percent_resumes_from_there(
    downloads: DownloadManager, hub: FakeHub, tmp_path: Path
) -> None:
    cut = len(MODEL) * 2 // 5
    hub.plan.extend([Behaviour(), Behaviour(cut_after=cut)])
    await wait_completed(downloads.start(publish_voice(hub)))
    first, second = hub.requests_for("tone.onnx")
    assert "range" not in first.headers
    assert second.headers["range"] == f"bytes={cut}-"
    assert second.headers["if-range"] == '"v1"'
    assert hub.body_bytes_sent == len(CONFIG) + len(MODEL)
    assert (tmp_path / "tone.onnx").read_bytes() == MODEL


async def test_a_server_that_ignores_range_requests_causes_a_full_download(
    downloads: DownloadManager, hub: FakeHub, tmp_path: Path
) -> None:
    hub.plan.extend([Behaviour(), Behaviour(cut_after=100_000), Behaviour(ignores_range=True)])
    await wait_completed(downloads.start(publish_voice(hub)))
    assert (tmp_path / "tone.onnx").read_bytes() == MODEL


async def test_a_file_changed_on_the_server_is_downloaded_from_the_beginning(
    downloads: DownloadManager, hub: FakeHub, tmp_path: Path
) -> None:
    other = b"\x08" + bytes(len(MODEL) - 1)
    hub.plan.extend(
        [Behaviour(), Behaviour(cut_after=100_000, body=other, etag='"old"'), Behaviour(etag='"new"')]
    )
    await wait_completed(downloads.start(publish_voice(hub)))
    assert len(hub.requests_for("tone.onnx")) == 2
    assert (tmp_path / "tone.onnx").read_bytes() == MODEL


async def test_a_restarted_download_keeps_no_bytes_of_an_older_version(
    downloads: DownloadManager, hub: FakeHub, tmp_path: Path
) -> None:
    other = b"\x08" + bytes(len(MODEL) - 1)
    old = Behaviour(cut_after=100_000, body=other, etag='"old"')
    hub.plan.extend([Behaviour(), old, Behaviour(cut_after=60_000)])
    await wait_completed(downloads.start(publish_voice(hub)))
    assert [request.offset for request in hub.requests_for("tone.onnx")] == [0, 100_000, 60_000]
    assert (tmp_path / "tone.onnx").read_bytes() == MODEL


async def test_a_body_that_ends_early_without_a_length_is_an_interruption(
    downloads: DownloadManager, hub: FakeHub, tmp_path: Path
) -> None:
    hub.plan.extend([Behaviour(), Behaviour(cut_after=70_000, says_length=False)])
    await wait_completed(downloads.start(publish_voice(hub)))
    assert hub.requests_for("tone.onnx")[1].offset == 70_000
    assert (tmp_path / "tone.onnx").read_bytes() == MODEL


async def test_requests_to_a_busy_server_are_retried_with_exponential_backoff(
    downloads: DownloadManager, hub: FakeHub, sleeps: Sleeps
) -> None:
    hub.plan.extend([Behaviour(status=503), Behaviour(status=500), Behaviour(status=429)])
    await wait_completed(downloads.start(publish_voice(hub)))
    assert sleeps == [1.0, 2.0, 4.0]


async def test_a_retry_after_header_is_honoured(
    downloads: DownloadManager, hub: FakeHub, sleeps: Sleeps
) -> None:
    hub.plan.extend(
        [
            Behaviour(status=429, headers={"Retry-After": "7"}),
            Behaviour(status=503, headers={"Retry-After": "86400"}),
        ]
    )
    await wait_completed(downloads.start(publish_voice(hub)))
    assert sleeps == [7.0, DownloadOptions().backoff.max_delay]


async def test_attempts_that_make_progress_do_not_count_as_failures(
    downloads: DownloadManager, hub: FakeHub, sleeps: Sleeps, tmp_path: Path
) -> None:
    hub.plan.extend([Behaviour(), *(Behaviour(cut_after=20_000) for _ in range(9))])
    await wait_completed(downloads.start(publish_voice(hub)))
    assert sleeps == [1.0] * 9
    assert (tmp_path / "tone.onnx").read_bytes() == MODEL


async def test_a_download_without_any_progress_is_abandoned(
    downloads: DownloadManager, hub: FakeHub, sleeps: Sleeps, tmp_path: Path
) -> None:
    cut = Behaviour(cut_after=100_000, ignores_range=True)
    hub.plan.extend([Behaviour(), *(replace(cut) for _ in range(20))])
    error = await wait_failed(downloads.start(publish_voice(hub)))
    assert "5 tries" in error
    assert sleeps == [1.0, 2.0, 4.0, 8.0]
    assert not (tmp_path / "tone.onnx").exists()
    assert (tmp_path / "tone.onnx.part").read_bytes() == MODEL[:100_000]


async def test_the_error_names_an_unreachable_server(tmp_path: Path, sleeps: Sleeps) -> None:
    async with FakeHub() as gone:
        voice = publish_voice(gone)
        address = gone.url
    async with DownloadManager(
        tmp_path,
        run_blocking=in_executor,
        mirror=address,
        environment=DownloadEnvironment(sleep=sleeps, chance=no_jitter),
    ) as downloads:
        error = await wait_failed(downloads.start(voice))
    assert address in error
    assert sleeps == [1.0, 2.0, 4.0, 8.0]


@settings(max_examples=scaled_examples(20), deadline=None)
@given(cuts=st.lists(st.integers(0, 60_000), max_size=4), block=st.integers(1_000, 100_000))
async def test_a_download_interrupted_anywhere_gives_the_complete_file(cuts: list[int], block: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        async with FakeHub() as hub:
            hub.plan.extend([Behaviour(), *(Behaviour(cut_after=cut) for cut in cuts)])
            options = DownloadOptions(block_bytes=block)
            async with downloading(Path(name), hub, options=options) as downloads:
                await wait_completed(downloads.start(publish_voice(hub)))
            assert (Path(name) / "tone.onnx").read_bytes() == MODEL
            assert hub.body_bytes_sent == len(CONFIG) + len(MODEL)


async def test_cancelling_keeps_the_partial_file_and_the_next_start_resumes(
    hub: FakeHub, tmp_path: Path
) -> None:
    behaviour = Behaviour(hold_after=150_000)
    hub.plan.extend([Behaviour(), behaviour])
    voice = publish_voice(hub)
    part = tmp_path / "tone.onnx.part"
    async with downloading(tmp_path, hub) as downloads:
        download = downloads.start(voice)
        waiting = asyncio.create_task(download.wait())
        await behaviour.held.wait()
        while download.received < 150_000 + len(CONFIG):  # noqa: ASYNC110
            await asyncio.sleep(0)
    assert await waiting is DownloadState.FAILED
    assert "stopped" in download.error
    kept = part.stat().st_size
    assert kept > 0
    assert part.read_bytes() == MODEL[:kept]
    async with downloading(tmp_path, hub) as downloads:
        await wait_completed(downloads.start(voice))
    # A write in progress at the cancellation may have completed since.
    assert kept <= hub.requests[-1].offset <= 150_000
    assert (tmp_path / "tone.onnx").read_bytes() == MODEL
    assert not part.exists()


_CHILD = """
import asyncio, sys
from pathlib import Path
from tests.unit.voices.download.conftest import *

async def main(directory, mirror):
    hub = type("Elsewhere", (FakeHub,), {"url": mirror})()
    report = lambda progress: print(progress.received, flush=True)
    async with downloading(directory, hub, on_progress=report) as downloads:
        await downloads.start(publish_voice(hub)).wait()

asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
"""


@pytest.mark.slow
async def test_the_next_start_repairs_what_a_killed_process_left(hub: FakeHub, tmp_path: Path) -> None:
    held = Behaviour(hold_after=120_000)
    hub.plan.extend([Behaviour(), held])
    voice = publish_voice(hub)
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _CHILD,
        str(tmp_path),
        hub.url,
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[4],
    )
    assert child.stdout is not None
    async for line in child.stdout:
        if int(line) > 100_000:
            break
    child.send_signal(signal.SIGKILL)
    await child.communicate()
    assert "tone.onnx" not in file_names(tmp_path)
    assert "tone.onnx.part" in file_names(tmp_path)
    async with downloading(tmp_path, hub) as downloads:
        await wait_completed(downloads.start(voice))
    assert file_names(tmp_path) == {"tone.onnx", "tone.onnx.json"}
    assert (tmp_path / "tone.onnx").read_bytes() == MODEL
    assert hub.requests[-1].offset > 0


# Leftover partial files


async def test_a_partial_file_with_wrong_content_is_recovered(
    downloads: DownloadManager, hub: FakeHub, tmp_path: Path
) -> None:
    (tmp_path / "tone.onnx.part").write_bytes(bytes(80_000))
    await wait_completed(downloads.start(publish_voice(hub)))
    assert [request.offset for request in hub.requests_for("tone.onnx")] == [80_000, 0]
    assert (tmp_path / "tone.onnx").read_bytes() == MODEL


@pytest.mark.parametrize("surplus", [0, 5])
async def test_a_partial_file_of_full_length_with_wrong_content_is_recovered(
    downloads: DownloadManager, hub: FakeHub, tmp_path: Path, surplus: int
) -> None:
    (tmp_path / "tone.onnx.part").write_bytes(bytes(len(MODEL) + surplus))
    await wait_completed(downloads.start(publish_voice(hub)))
    assert [request.offset for request in hub.requests_for("tone.onnx")] == [0]
    assert (tmp_path / "tone.onnx").read_bytes() == MODEL


async def test_a_complete_partial_file_is_renamed_without_a_download(
    downloads: DownloadManager, hub: FakeHub, tmp_path: Path
) -> None:
    (tmp_path / "tone.onnx.part").write_bytes(MODEL)
    await wait_completed(downloads.start(publish_voice(hub)))
    assert hub.requests_for("tone.onnx") == []
    assert (tmp_path / "tone.onnx").read_bytes() == MODEL


async def test_a_partial_file_that_the_server_cannot_resume_is_discarded(
    downloads: DownloadManager, hub: FakeHub, tmp_path: Path
) -> None:
    (tmp_path / "tone.onnx.part").write_bytes(MODEL[:50_000])
    hub.plan.extend([Behaviour(), Behaviour(status=416)])
    await wait_completed(downloads.start(publish_voice(hub)))
    assert [request.offset for request in hub.requests_for("tone.onnx")] == [50_000, 0]
    assert (tmp_path / "tone.onnx").read_bytes() == MODEL
