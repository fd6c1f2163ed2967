"""The journal on real files: slow and full disks, rotation, and processes that are killed."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fake_synthesizer import run_in_thread
from tests.unit.telemetry.records import failed, record
from wyoming_tts.telemetry import journal as journals
from wyoming_tts.telemetry.journal import Journal, JournalEntry, move_journal, read_entries

T = TypeVar("T")


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(text) for text in path.read_text().splitlines()]


def file_sizes(directory: Path) -> dict[str, int]:
    return {file.name: file.stat().st_size for file in directory.iterdir()}


async def test_each_record_is_written_as_one_line(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "metrics.jsonl"
    async with Journal(path, run_in_thread, clock=lambda: 1000.25) as journal:
        journal.append(record())
        journal.append(failed("too_long", id="second"))
    first, second = read_lines(path)
    assert first["time"] == 1000.25
    assert (first["id"], first["ttfa"], first["wait"], first["rtf"]) == ("ab12cd34", 0.0554, 0.25, 0.05)
    assert (first["wall_s"], first["xrt"], first["kbps"]) == (0.5, 4.0, 1536.0)
    assert (second["wall_s"], second["xrt"], second["kbps"]) == (0.5, None, None)
    assert (second["id"], second["outcome"], second["error"], second["ttfa"]) == (
        "second",
        "failed",
        "too_long",
        None,
    )
    assert path.stat().st_mode & 0o007 == 0


async def test_no_file_is_created_without_records(tmp_path: Path) -> None:
    async with Journal(tmp_path / "metrics.jsonl", run_in_thread):
        pass
    assert not file_sizes(tmp_path)


async def test_a_restarted_server_appends_to_the_journal(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    for name in ("first", "second"):
        async with Journal(path, run_in_thread) as journal:
            journal.append(record(id=name))
    assert [line["id"] for line in read_lines(path)] == ["first", "second"]


async def test_records_are_written_in_batches_off_the_event_loop(tmp_path: Path) -> None:
    threads = []

    async def run_recording_thread(work: Callable[[], T], /) -> T:
        def recorded_work() -> T:
            threads.append(threading.current_thread())
            return work()

        return await run_in_thread(recorded_work)

    path = tmp_path / "metrics.jsonl"
    async with Journal(path, run_recording_thread) as journal:
        for _ in range(100):
            journal.append(record())
    assert len(read_lines(path)) == 100
    assert len(threads) == 1
    assert threads[0] is not threading.main_thread()


async def test_lines_are_written_while_the_server_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journals, "_BATCH_SECONDS", 0.01)
    written = asyncio.Event()

    async def run_and_signal(work: Callable[[], T], /) -> T:
        done = await run_in_thread(work)
        written.set()
        return done

    async with Journal(tmp_path / "metrics.jsonl", run_and_signal) as journal:
        for name in ("first", "second"):
            journal.append(record(id=name))
            await written.wait()
            written.clear()
            assert read_lines(tmp_path / "metrics.jsonl")[-1]["id"] == name


async def test_a_hanging_disk_drops_lines_and_bounds_the_queue(tmp_path: Path) -> None:
    path, disk = tmp_path / "metrics.jsonl", asyncio.Event()

    async def run_when_disk_responds(work: Callable[[], T], /) -> T:
        await disk.wait()
        return await run_in_thread(work)

    async with Journal(path, run_when_disk_responds) as journal:
        for _ in range(journals.MAX_PENDING + 50):
            journal.append(record())
        assert journal.dropped == 50
        disk.set()
    assert len(read_lines(path)) == journals.MAX_PENDING


async def test_a_full_file_is_rotated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "metrics.jsonl"
    for number in range(8):
        async with Journal(path, run_in_thread, max_bytes=1200, kept=2) as journal:
            journal.append(record(id=f"number-{number}"))
    names = sorted(file_sizes(tmp_path))
    assert names == ["metrics.jsonl", "metrics.jsonl.1", "metrics.jsonl.2"]
    kept = [line["id"] for name in reversed(names) for line in read_lines(tmp_path / name)]
    assert kept == [f"number-{number}" for number in range(8)][-len(kept) :]
    assert len(kept) >= 5
    assert all(size <= 1200 for size in file_sizes(tmp_path).values())


async def test_a_full_file_is_replaced_when_no_old_files_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    for name in ("first", "second"):
        async with Journal(path, run_in_thread, max_bytes=100, kept=0) as journal:
            journal.append(record(id=name))
    assert [line["id"] for line in read_lines(path)] == ["second"]
    assert list(file_sizes(tmp_path)) == [path.name]


async def test_write_errors_are_logged_once_and_lost_lines_are_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journals, "_BATCH_SECONDS", 0.0)
    tried = asyncio.Semaphore(0)

    async def run_and_count(work: Callable[[], T], /) -> T:
        try:
            return await run_in_thread(work)
        finally:
            tried.release()

    path = tmp_path / "metrics.jsonl"
    path.mkdir()  # not even root can write to a directory
    async with Journal(path, run_and_count) as journal:
        for _ in range(3):
            journal.append(record())
            await tried.acquire()
        path.rmdir()
        journal.append(record(id="at last"))
    assert [line["id"] for line in read_lines(path)] == ["at last"]
    cannot, can_again = [entry.message for entry in caplog.records if entry.levelno == logging.WARNING]
    assert str(path) in cannot
    assert can_again.endswith("3 lines were lost.")


FULL_DISK = """
import asyncio, resource, signal, sys
from pathlib import Path
from tests.support.fake_synthesizer import run_in_thread
from tests.unit.telemetry.records import record
from wyoming_tts.telemetry.journal import Journal

async def main(path):
    for name, space in (("first", -1), ("second", 1000), ("third", -1)):
        # Simulates a full disk: what fits is written, the rest is refused.
        resource.setrlimit(resource.RLIMIT_FSIZE, (space, -1))
        async with Journal(path, run_in_thread) as journal:
            for _ in range(4 if space > 0 else 1):
                journal.append(record(id=name))

asyncio.run(main(Path(sys.argv[1])))
"""


def test_a_full_disk_truncates_at_most_one_line(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    run = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path)], capture_output=True, text=True, check=True
    )
    assert run.stderr.count("cannot be written") == 1
    names = [
        json.loads(line)["id"]
        for line in path.read_bytes().splitlines()
        if line.startswith(b"{") and line.endswith(b"}")
    ]
    assert names[0] == "first"
    assert names[-1] == "third"
    assert len(list(read_entries(path))) == len(names) == len(path.read_bytes().splitlines()) - 1


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from tests.support.fake_synthesizer import run_in_thread
from tests.unit.telemetry.records import record
from wyoming_tts.telemetry.journal import Journal

write = os.write

def half(file, data):
    write(file, data[: len(data) - 20])
    os.kill(os.getpid(), signal.SIGKILL)

async def main(path):
    async with Journal(path, run_in_thread) as journal:
        journal.append(record(id="first"))
        journal.append(record(id="broken"))
        os.write = half

asyncio.run(main(Path(sys.argv[1])))
"""


async def test_a_process_killed_while_writing_truncates_at_most_one_line(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    run = await run_in_thread(
        lambda: subprocess.run([sys.executable, "-c", KILLED, str(path)], capture_output=True, check=False)
    )
    assert run.returncode == -signal.SIGKILL
    assert not path.read_bytes().endswith(b"\n")
    assert len(list(read_entries(path))) == 1
    async with Journal(path, run_in_thread) as journal:
        journal.append(record(id="later"))
    assert len(list(read_entries(path))) == 2
    assert json.loads(path.read_text().splitlines()[-1])["id"] == "later"


async def test_cancellation_while_closing_leaves_no_task(tmp_path: Path) -> None:
    entered = asyncio.Event()
    before = asyncio.all_tasks()

    async def run_forever(work: Callable[[], T], /) -> T:
        entered.set()
        await asyncio.Event().wait()
        return work()

    async def serve() -> None:
        async with Journal(tmp_path / "metrics.jsonl", run_forever) as journal:
            journal.append(record())

    serving = asyncio.create_task(serve())
    await entered.wait()
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    assert asyncio.all_tasks() == before


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_arbitrary_bytes_are_skipped_by_the_reader(line: bytes) -> None:
    assert JournalEntry.parse(line) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [("time", "soon"), ("ttfa", []), ("wait", {}), ("characters", 1e999), ("underruns", "x")],
)
def test_a_line_with_an_invalid_value_is_skipped(name: str, value: object) -> None:
    right = {
        "time": 1.0,
        "outcome": "done",
        "error": "",
        "ttfa": None,
        "wait": 0,
        "audio_seconds": 1,
        "compute_seconds": 1,
        "characters": 3,
        "underruns": 0,
    }
    assert JournalEntry.parse(json.dumps(right).encode()) is not None
    assert JournalEntry.parse(json.dumps({**right, name: value}).encode()) is None


def write_old_journal(directory: Path) -> Path:
    directory.mkdir()
    for name in ("metrics.jsonl", "metrics.jsonl.1", "metrics.jsonl.2"):
        (directory / name).write_text(f"{name} of old", "utf-8")
        (directory / name).chmod(0o640)
    return directory / "metrics.jsonl"


def contents(directory: Path) -> dict[str, str]:
    return {path.name: path.read_text("utf-8") for path in directory.iterdir()} if directory.exists() else {}


@pytest.mark.parametrize("to", ["the same disk", "another disk"])
def test_a_journal_is_moved_with_its_rotated_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, to: str
) -> None:
    old, new = write_old_journal(tmp_path / "data"), tmp_path / "state" / "deep" / "metrics.jsonl"
    before, replace = contents(old.parent), Path.replace

    def between_disks(source: Path, target: Path) -> Path:
        if source.parent == old.parent:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return replace(source, target)

    if to == "another disk":
        monkeypatch.setattr(Path, "replace", between_disks)
    move_journal(old, new)
    assert contents(new.parent) == before
    assert contents(old.parent) == {}
    assert new.stat().st_mode & 0o777 == 0o640
    move_journal(old, new)
    assert contents(new.parent) == before


def test_a_journal_is_never_overwritten_by_an_older_one(tmp_path: Path) -> None:
    old, new = write_old_journal(tmp_path / "data"), tmp_path / "metrics.jsonl"
    before = contents(old.parent)
    new.write_text("in use", "utf-8")
    move_journal(old, new)
    move_journal(old, old)
    assert contents(old.parent) == before
    assert new.read_text("utf-8") == "in use"


def test_an_interrupted_move_is_completed_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = write_old_journal(tmp_path / "data"), tmp_path / "state" / "metrics.jsonl"
    before, replace = contents(old.parent), Path.replace

    def fail_for_the_last(source: Path, target: Path) -> Path:
        if source == old:
            raise OSError(errno.EIO, "Input/output error")
        return replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", fail_for_the_last)
        with pytest.raises(OSError, match="Input/output error"):
            move_journal(old, new)
    assert contents(old.parent) | contents(new.parent) == before
    move_journal(old, new)
    assert contents(new.parent) == before


def test_a_journal_that_cannot_be_removed_is_not_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = write_old_journal(tmp_path / "data"), tmp_path / "state" / "metrics.jsonl"
    unlink, replace = Path.unlink, Path.replace

    def between_disks(source: Path, target: Path) -> Path:
        if source.parent == old.parent:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return replace(source, target)

    def read_only(path: Path, *, missing_ok: bool = False) -> None:
        if path.parent == old.parent:
            raise OSError(errno.EROFS, "Read-only file system")
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "replace", between_disks)
    monkeypatch.setattr(Path, "unlink", read_only)
    with pytest.raises(OSError, match="Read-only"):
        move_journal(old, new)
    assert contents(new.parent) == {}
    assert len(contents(old.parent)) == 3
