from __future__ import annotations

import asyncio
import errno
import hashlib
import json
import random
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.fake_hub import Behaviour, FakeHub
from tests.support.hypothesis_examples import scaled_examples
from wyoming_tts.voices.catalogue import CatalogueFile, CatalogueVoice, load_catalogue
from wyoming_tts.voices.download.downloads import (
    Download,
    DownloadEnvironment,
    DownloadFailed,
    DownloadManager,
    DownloadOptions,
    DownloadProgress,
    DownloadState,
    FailureCause,
)
from wyoming_tts.voices.download.hub import HUB, HubClient

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
from tests.unit.voices.download.test_downloads import *

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


# Concurrent downloads


async def test_two_requests_for_a_voice_share_one_download(downloads: DownloadManager, hub: FakeHub) -> None:
    voice = publish_voice(hub)
    first, second = downloads.start(voice), downloads.start(voice)
    await asyncio.gather(wait_completed(first), wait_completed(second))
    assert len(hub.requests) == 2


def two_of_one_model(hub: FakeHub) -> tuple[CatalogueVoice, CatalogueVoice]:
    voice = publish_voice(hub)
    return voice, replace(voice, name="other")


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


# Sources: redirects, proxies and mirrors


async def test_no_socket_is_opened_when_offline(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sleeps: Sleeps
) -> None:
    def no_socket(*_: object, **__: object) -> None:
        raise AssertionError("a socket was opened")

    voice = publish_voice(hub)
    async with downloading(
        tmp_path, hub, DownloadEnvironment(sleep=sleeps, chance=no_jitter), offline=True
    ) as downloads:
        monkeypatch.setattr(socket, "socket", no_socket)
        monkeypatch.setattr(socket, "getaddrinfo", no_socket)
        error = await wait_failed(downloads.start(voice))
        with pytest.raises(DownloadFailed, match="offline"):
            await downloads.fetch_index()
        monkeypatch.undo()
    assert "offline" in error
    assert "data directory" in error
    assert hub.connections == 0
    assert sleeps == []


async def test_redirects_are_followed(downloads: DownloadManager, hub: FakeHub, tmp_path: Path) -> None:
    voice = publish_voice(hub)
    hub.files["/elsewhere"] = CONFIG
    hub.plan.append(Behaviour(status=302, headers={"Location": "/elsewhere"}))
    await wait_completed(downloads.start(voice))
    assert (tmp_path / "tone.onnx.json").read_bytes() == CONFIG


async def test_a_redirect_from_https_to_http_is_rejected(hub: FakeHub, tmp_path: Path) -> None:
    def portal(request: httpx.Request) -> httpx.Response:
        assert request.url.scheme == "https"
        return httpx.Response(302, headers={"Location": "http://login.example/"})

    environment = DownloadEnvironment(transport=httpx.MockTransport(portal))
    async with DownloadManager(tmp_path, run_blocking=in_executor, environment=environment) as downloads:
        error = await wait_failed(downloads.start(publish_voice(hub)))
    assert "http://login.example/" in error
    assert "captive portal" in error


async def test_endless_redirects_are_rejected(downloads: DownloadManager, hub: FakeHub) -> None:
    hub.plan.extend(Behaviour(status=302, headers={"Location": "/round"}) for _ in range(50))
    error = await wait_failed(downloads.start(publish_voice(hub)))
    assert "redirects" in error


async def test_a_proxy_from_the_environment_is_used(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", hub.url)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    voice = publish_voice(hub)
    hub.files |= {f"http://mirror.invalid{path}": content for path, content in hub.files.items()}
    async with DownloadManager(
        tmp_path, run_blocking=in_executor, mirror="http://mirror.invalid"
    ) as downloads:
        await wait_completed(downloads.start(voice))
    assert hub.requests[0].path == "http://mirror.invalid/voices/tone.onnx.json"


async def test_the_error_names_unusable_proxy_settings(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "gopher://127.0.0.1:70")
    async with downloading(tmp_path, hub) as downloads:
        error = await wait_failed(downloads.start(publish_voice(hub)))
    assert "proxy settings" in error


def hub_of(mirror: str | None) -> HubClient:
    return HubClient(run_blocking=in_executor, mirror=mirror, options=DownloadOptions())


@pytest.mark.parametrize("mirror", ["https://mirror.example/hf", "https://mirror.example/hf/"])
def test_a_mirror_replaces_only_the_hub(mirror: str) -> None:
    mirrored = hub_of(mirror)
    assert mirrored.mirrored_url(f"{HUB}/a/b.onnx") == "https://mirror.example/hf/a/b.onnx"
    assert mirrored.mirrored_url("https://github.com/a/b.onnx") == "https://github.com/a/b.onnx"
    assert mirrored.mirrored_url(f"{HUB}.example/a") == f"{HUB}.example/a"
    assert hub_of(None).mirrored_url(f"{HUB}/a/b.onnx") == f"{HUB}/a/b.onnx"


@pytest.mark.parametrize("mirror", ["mirror.example", "ftp://mirror.example", "https://"])
def test_an_invalid_mirror_address_is_rejected_at_once(mirror: str) -> None:
    with pytest.raises(ValueError, match="HF_ENDPOINT"):
        hub_of(mirror)


# The index

INDEX_PATH = "/rhasspy/piper-voices/resolve/main/voices.json"


def index_of(name: str) -> bytes:
    files = {f"{name}{end}": {"size_bytes": 5, "md5_digest": "0" * 32} for end in (".onnx", ".onnx.json")}
    entry = {
        "language": {"code": "en_US"},
        "quality": "low",
        "num_speakers": 1,
        "files": files,
        "aliases": [],
    }
    return json.dumps({name: entry}).encode()


async def test_a_downloaded_index_takes_precedence_over_the_catalogue(
    downloads: DownloadManager, hub: FakeHub
) -> None:
    hub.files[INDEX_PATH] = index_of("en_US-new-low")
    where = await downloads.fetch_index()
    before = await in_executor(load_catalogue)
    after = await in_executor(lambda: load_catalogue(where))
    new = {voice.name for voice in after.voices} - {voice.name for voice in before.voices}
    assert new == {"en_US-new-low"}


@pytest.mark.parametrize("broken", [b'{"a": {"files"', b"[]", b'{"a": {}}', b""])
async def test_an_unreadable_index_replaces_nothing(
    downloads: DownloadManager, hub: FakeHub, tmp_path: Path, broken: bytes
) -> None:
    (tmp_path / "voices.json").write_bytes(b"old")
    hub.files[INDEX_PATH] = broken
    with pytest.raises(DownloadFailed, match="old one stays"):
        await downloads.fetch_index()
    assert file_names(tmp_path) == {"voices.json"}
    assert (tmp_path / "voices.json").read_bytes() == b"old"


async def test_the_index_is_never_assembled_from_two_versions(
    downloads: DownloadManager, hub: FakeHub, tmp_path: Path
) -> None:
    (tmp_path / "voices.json.part").write_bytes(b'{"left over')
    hub.files[INDEX_PATH] = index_of("en_US-new-low")
    await downloads.fetch_index()
    assert (tmp_path / "voices.json").read_bytes() == index_of("en_US-new-low")
    assert hub.requests[0].offset == 0
