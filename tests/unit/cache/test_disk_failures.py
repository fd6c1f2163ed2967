"""Segments on disks that fail, files that are broken, and processes that share a directory."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import random
import resource
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pytest

from tests.support.manual_clock import ManualClock
from tests.unit.cache.conftest import (
    KEY,
    NOW,
    ONE_WORD,
    RATE,
    WORD_BYTES,
    HeldExecutor,
    are_cached,
    audio,
    file_names,
    get_without_waiting,
    key_of,
    logged_warnings,
    make_cache,
    path_of,
    scanned_cache,
)
from wyoming_tts.cache import CachedSegment, SegmentCache
from wyoming_tts.cache.entry_format import HEADER_BYTES
from wyoming_tts.cache.files import EntryFiles

# Broken files


def flip_bit(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


BREAKAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "part of the header": lambda content: content[: HEADER_BYTES - 1],
    "no audio": lambda content: content[:HEADER_BYTES],
    "last byte missing": lambda content: content[:-1],
    "a byte too many": lambda content: content + b"\0",
    "another magic": lambda content: flip_bit(content, 0),
    "another version": lambda content: flip_bit(content, 4),
    "another kind of timings": lambda content: flip_bit(content, 6),
    "another rate": lambda content: flip_bit(content, 8),
    "another number of words": lambda content: flip_bit(content, 12),
    "another length": lambda content: flip_bit(content, 16),
    "a word changed": lambda content: flip_bit(content, HEADER_BYTES),
    "another digest": lambda content: flip_bit(content, HEADER_BYTES - 1),
    "first sample changed": lambda content: flip_bit(content, HEADER_BYTES + WORD_BYTES),
    "last sample changed": lambda content: flip_bit(content, len(content) - 1),
    "zeros": lambda content: bytes(len(content)),
}


@pytest.mark.parametrize("breakage", BREAKAGES)
async def test_a_broken_file_is_a_miss_and_is_removed_with_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, breakage: str
) -> None:
    async with make_cache(tmp_path) as cache:
        cache.put(KEY, RATE, audio(1), ONE_WORD)
    path = path_of(tmp_path, KEY.text)
    path.write_bytes(BREAKAGES[breakage](path.read_bytes()))
    async with scanned_cache(tmp_path, memory=10_000) as cache:
        assert await cache.get(KEY) is None
        assert await cache.get(KEY) is None
        assert len(logged_warnings(caplog)) == 1
        assert "Removed the broken entry" in logged_warnings(caplog)[0]
        assert (cache.statistics().misses, cache.statistics().disk_entries) == (2, 0)
        assert file_names(tmp_path) == []
        cache.put(KEY, RATE, audio(2))
    async with make_cache(tmp_path) as cache:
        assert await cache.get(KEY) == CachedSegment(RATE, audio(2))


async def test_a_file_renamed_to_another_key_is_a_miss(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with make_cache(tmp_path) as cache:
        cache.put(key_of("open"), RATE, audio(1))
    path_of(tmp_path, "open").rename(path_of(tmp_path, "closed"))
    async with make_cache(tmp_path) as cache:
        assert await cache.get(key_of("closed")) is None
    assert "its digest does not match its content" in logged_warnings(caplog)[0]


# Crashes


@contextmanager
def limit_file_size(size: int) -> Iterator[None]:
    """Make the operating system refuse every byte of a file after `size`, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("size", [0, 10, HEADER_BYTES, HEADER_BYTES + 999, HEADER_BYTES + 299_999])
async def test_a_failed_write_leaves_the_existing_entries_intact(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, size: int
) -> None:
    clock = ManualClock(NOW)
    async with scanned_cache(tmp_path, on_disk=10_000_000, clock=clock) as cache:
        cache.put(key_of("before"), RATE, audio("before", 300_000))
        await cache.flush()
        with limit_file_size(size):
            cache.put(key_of("before"), RATE, audio("after", 300_000))
            cache.put(key_of("new"), RATE, audio("new", 300_000))
            await cache.flush()
        assert file_names(tmp_path) == [path_of(tmp_path, "before").name]
        assert await cache.get(key_of("before")) == CachedSegment(RATE, audio("before", 300_000))
        assert cache.statistics().writes_dropped == 2
    assert len(logged_warnings(caplog)) == 1


async def test_a_full_disk_is_skipped_for_a_minute_with_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    clock = ManualClock(NOW)
    async with scanned_cache(tmp_path, memory=1_000_000, clock=clock) as cache:
        with limit_file_size(10):
            for number in range(3):
                cache.put(key_of(number), RATE, audio(number))
                await cache.flush()
                clock.now += 61.0 if number else 0.0
        (warning,) = logged_warnings(caplog)
        assert warning.startswith(f"The segment cache cannot use {tmp_path}: File too large.")
        assert cache.statistics().writes_dropped == 3
        cache.put(key_of(3), RATE, audio(3))
        await cache.flush()
        assert all(get_without_waiting(cache, number) for number in range(4))
    assert caplog.messages[1:] == [f"The segment cache writes to {tmp_path} again."]
    assert file_names(tmp_path) == [path_of(tmp_path, 3).name]


async def test_a_failed_disk_is_not_retried_within_a_minute(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    async with scanned_cache(tmp_path, clock=clock) as cache:
        with limit_file_size(10):
            cache.put(key_of(0), RATE, audio(0))
            await cache.flush()
        clock.now += 59.0
        cache.put(key_of(1), RATE, audio(1))
        await cache.flush()
        assert file_names(tmp_path) == []
        clock.now -= 3600.0  # set back by a time server
        cache.put(key_of(2), RATE, audio(2))
        await cache.flush()
    assert file_names(tmp_path) == [path_of(tmp_path, 2).name]


async def test_closing_does_not_retry_a_disk_that_just_failed(tmp_path: Path) -> None:
    executor = HeldExecutor(0)
    async with scanned_cache(tmp_path, run_blocking=executor) as cache:
        with limit_file_size(10):
            cache.put(KEY, RATE, audio(1))
            await cache.flush()
        calls = executor.calls
    assert executor.calls == calls


async def test_an_unusable_directory_falls_back_to_memory(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock, in_the_way = ManualClock(NOW), tmp_path / "cache"
    in_the_way.write_bytes(b"a file")
    async with scanned_cache(in_the_way / "below", memory=10_000, clock=clock) as cache:
        assert await cache.get(KEY) is None
        cache.put(KEY, RATE, audio(1))
        await cache.flush()
        assert get_without_waiting(cache)
        assert len(logged_warnings(caplog)) == 1
        in_the_way.unlink()
        clock.now += 61.0
        cache.put(KEY, RATE, audio(2))
    assert len(logged_warnings(caplog)) == 1
    async with make_cache(in_the_way / "below") as cache:
        assert await cache.get(KEY) == CachedSegment(RATE, audio(2))


WRITES_FOR_EVER = """
import asyncio, random, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from tests.unit.cache.conftest import RATE, make_cache, audio, key_of

async def main():
    turn = 0
    async with make_cache(Path(sys.argv[1]), on_disk=3_000_000) as cache:
        while True:
            for number in range(8):
                cache.put(key_of(number), RATE, audio((number, turn % 4), 100_000 + 50_000 * number))
            await cache.flush()
            turn += 1
            print(turn, flush=True)

asyncio.run(main())
"""


@pytest.mark.slow
async def test_a_process_killed_while_writing_leaves_only_intact_entries(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = Path(__file__).parents[3]
    for turns in (1, 2, 4):
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", WRITES_FOR_EVER, str(tmp_path), str(root), stdout=asyncio.subprocess.PIPE
        )
        assert child.stdout is not None
        for _ in range(turns):
            assert await child.stdout.readline()
        child.send_signal(signal.SIGKILL)
        await child.communicate()
        assert child.returncode == -signal.SIGKILL
        async with scanned_cache(tmp_path, on_disk=3_000_000) as cache:
            for number in range(8):
                found = await cache.get(key_of(number))
                possible = [audio((number, turn), 100_000 + 50_000 * number) for turn in range(4)]
                assert found is None or found.pcm in possible
            assert cache.statistics().disk_hits == 8  # the old file stays until the new one replaces it
        assert not [name for name in file_names(tmp_path) if name.endswith(".part")]
    assert logged_warnings(caplog) == []


async def test_partial_files_of_a_crashed_process_are_removed_and_others_kept(tmp_path: Path) -> None:
    digest = KEY.digest()
    (tmp_path / f"{digest}.{'0' * 16}.part").write_bytes(audio(1))
    with (tmp_path / f"{digest}.{'1' * 16}.part").open("wb") as locked_part:
        fcntl.flock(locked_part, fcntl.LOCK_EX)
        (tmp_path / "voice.onnx.part").write_bytes(audio(2))
        (tmp_path / "readme.segment").write_bytes(audio(3))
        (tmp_path / f"{'2' * 64}.segment").mkdir()
        async with scanned_cache(tmp_path, on_disk=400) as cache:
            assert cache.statistics().disk_entries == 0
        assert file_names(tmp_path) == sorted(
            [f"{digest}.{'1' * 16}.part", "voice.onnx.part", "readme.segment", f"{'2' * 64}.segment"]
        )


# Concurrent processes


async def test_two_caches_in_one_directory_never_return_a_wrong_segment(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def use_cache(seed: int) -> SegmentCache:
        chance = random.Random(seed)
        async with make_cache(tmp_path, on_disk=12_000) as cache:
            for _ in range(150):
                number = chance.randrange(20)
                if (found := await cache.get(key_of(number))) is None:
                    cache.put(key_of(number), RATE, audio(number, 2000))
                else:
                    assert found == CachedSegment(RATE, audio(number, 2000))
                if chance.random() < 0.3:
                    await cache.flush()
        return cache

    one, other = await asyncio.gather(use_cache(1), use_cache(2))
    assert one.statistics().disk_hits > 0
    assert other.statistics().disk_hits > 0
    assert logged_warnings(caplog) == []
    assert not [name for name in file_names(tmp_path) if not name.endswith(".segment")]


@pytest.mark.parametrize("finds", ["and removes it", "and still holds its lock"])
def test_a_partial_file_that_another_process_finds_before_it_is_locked_is_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, finds: str
) -> None:
    lock = fcntl.flock
    interruptions = iter([finds])

    def be_interrupted_once(file: BinaryIO, operation: int) -> None:
        interruption = next(interruptions, "")
        if interruption == "and removes it":
            EntryFiles(tmp_path).scan()
        if interruption == "and still holds its lock":
            raise BlockingIOError
        lock(file, operation)

    monkeypatch.setattr(fcntl, "flock", be_interrupted_once)
    files = EntryFiles(tmp_path)
    segment = CachedSegment(RATE, audio(1))
    files.write("0" * 64, segment, 1.0)
    assert files.read("0" * 64) == segment
    assert file_names(tmp_path) == ["0" * 64 + ".segment"]


async def test_an_entry_removed_by_another_process_is_a_miss(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = ManualClock(NOW)
    async with scanned_cache(tmp_path, on_disk=4400, clock=clock) as cache:
        for number in range(4):
            cache.put(key_of(number), RATE, audio(number))
        await cache.flush()
        for name in file_names(tmp_path):
            (tmp_path / name).unlink()
        clock.now += 61.0
        assert await are_cached(cache, 1) == [False]
        cache.put(key_of(5), RATE, audio(5))  # evicts files that are gone already
        await cache.flush()
    assert file_names(tmp_path) == [path_of(tmp_path, 5).name]
    assert logged_warnings(caplog) == []


async def test_refreshing_an_entry_removed_by_another_process_is_not_an_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = ManualClock(NOW)
    async with scanned_cache(tmp_path, memory=10_000, clock=clock) as cache:
        cache.put(KEY, RATE, audio(1))
        await cache.flush()
        path_of(tmp_path, KEY.text).unlink()
        clock.now += 61.0
        assert get_without_waiting(cache)
        await cache.flush()
    assert logged_warnings(caplog) == []


async def test_entries_written_by_other_processes_are_found_by_a_later_scan(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    async with scanned_cache(tmp_path, clock=clock) as one, scanned_cache(tmp_path, clock=clock) as other:
        other.put(key_of("theirs"), RATE, audio(1))
        await other.flush()
        assert await one.get(key_of("theirs")) is None
        clock.now += 601.0
        one.put(key_of("ours"), RATE, audio(2))
        await one.flush()
        assert await one.get(key_of("theirs")) == CachedSegment(RATE, audio(1))
        assert one.statistics().disk_entries == 2
