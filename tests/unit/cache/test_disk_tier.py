"""Segments on disk: what outlives a restart, in what order, and with which times of words."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.hypothesis_examples import scaled_examples
from tests.support.manual_clock import ManualClock
from tests.unit.cache.conftest import (
    KEY,
    NOW,
    ONE_WORD,
    RATE,
    TWO_WORDS,
    HeldExecutor,
    LruModel,
    are_cached,
    audio,
    file_names,
    get_without_waiting,
    in_executor,
    key_of,
    logged_warnings,
    make_cache,
    path_of,
    samples,
    scanned_cache,
)
from wyoming_tts.cache import CachedSegment, disk
from wyoming_tts.cache.entry_format import HEADER_BYTES
from wyoming_tts.speech import WordTimings

# Disk tier


async def test_entries_survive_a_restart(tmp_path: Path) -> None:
    directory = tmp_path / "made" / "when needed"
    async with make_cache(directory, memory=100_000) as cache:
        for number in range(5):
            cache.put(key_of(number), RATE + number, audio(number))
    async with make_cache(directory) as cache:
        for number in range(5):
            assert await cache.get(key_of(number)) == CachedSegment(RATE + number, audio(number))


async def test_files_on_disk_do_not_reveal_the_text(tmp_path: Path) -> None:
    async with make_cache(tmp_path) as cache:
        cache.put(KEY, RATE, audio(1))
    (name,) = file_names(tmp_path)
    assert b"door" not in name.encode() + (tmp_path / name).read_bytes()


@given(steps=st.lists(st.tuples(st.integers(0, 6), st.none() | samples | st.just(-1)), max_size=25))
@settings(max_examples=scaled_examples(40), deadline=None)
def test_the_disk_is_a_bounded_lru_cache_across_restarts(
    steps: list[tuple[int, int | None]],
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(check_disk_against_model(Path(directory), steps))


async def check_disk_against_model(directory: Path, steps: list[tuple[int, int | None]]) -> None:
    clock, model = ManualClock(NOW), LruModel(8_000, HEADER_BYTES)
    cache = await make_cache(directory, on_disk=8_000, clock=clock).__aenter__()
    for turn, (number, length) in enumerate(steps):
        clock.now += 61.0
        if length is None:
            found = await cache.get(key_of(number))
            assert (found.pcm if found else None) == model.get(number)
        elif length >= 0:
            model.put(number, audio(turn, 2 * length))
            cache.put(key_of(number), RATE, audio(turn, 2 * length))
        else:
            await cache.__aexit__(None, None, None)
            cache = await make_cache(directory, on_disk=8_000, clock=clock).__aenter__()
        await cache.flush()
        on_disk = await in_executor(lambda: [path.stat().st_size for path in directory.iterdir()])
        assert sum(on_disk) == model.size == cache.statistics().disk_bytes <= 8_000
        assert len(on_disk) == len(model.content) == cache.statistics().disk_entries
    await cache.__aexit__(None, None, None)


async def test_a_segment_over_a_quarter_of_the_disk_is_not_written(tmp_path: Path) -> None:
    async with make_cache(tmp_path, on_disk=40_000) as cache:
        cache.put(key_of("small"), RATE, bytes(10_000 - HEADER_BYTES))
        cache.put(key_of("big"), RATE, bytes(10_000 - HEADER_BYTES + 2))
    assert file_names(tmp_path) == [path_of(tmp_path, "small").name]


async def test_a_memory_hit_refreshes_the_entry_on_disk(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    async with scanned_cache(tmp_path, memory=100_000, on_disk=4 * 1100, clock=clock) as cache:
        for text in "abcd":
            cache.put(key_of(text), RATE, audio(text))
            await cache.flush()
            clock.now += 61.0
        assert get_without_waiting(cache, "a")
        cache.put(key_of("e"), RATE, audio("e"))
    async with scanned_cache(tmp_path, clock=clock) as cache:
        assert await are_cached(cache, *"abcde") == [True, False, True, True, True]


async def test_the_time_of_use_is_written_at_most_once_a_minute(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    async with scanned_cache(tmp_path, clock=clock) as cache:
        cache.put(KEY, RATE, audio(1))
        saved = []
        for seconds in (0, 59, 2, 58, 2):
            clock.now += seconds
            assert await cache.get(KEY)
            await cache.flush()
            saved.append(path_of(tmp_path, KEY.text).stat().st_mtime - 1_750_000_000.0)
    assert saved == [0, 0, 61, 61, 121]


async def test_a_smaller_disk_bound_evicts_at_startup(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    async with make_cache(tmp_path, clock=clock) as cache:
        for number in range(8):
            clock.now += 1.0
            cache.put(key_of(number), RATE, audio(number))
            await cache.flush()
    async with scanned_cache(tmp_path, on_disk=4 * (1000 + HEADER_BYTES)) as cache:
        assert cache.statistics().disk_entries == 4
    assert sorted(file_names(tmp_path)) == sorted(path_of(tmp_path, number).name for number in range(4, 8))


async def test_an_entry_is_found_before_the_directory_scan_ends(tmp_path: Path) -> None:
    async with make_cache(tmp_path) as cache:
        cache.put(KEY, RATE, audio(1))
    executor = HeldExecutor()
    async with make_cache(tmp_path, run_blocking=executor) as cache:
        await executor.holding.wait()
        assert await cache.get(KEY) == CachedSegment(RATE, audio(1))
        assert await cache.get(key_of("never said")) is None
        assert cache.statistics().disk_entries == 0
        executor.release()
        await cache.flush()
        assert cache.statistics().disk_entries == 1


async def test_a_miss_waits_for_no_thread(tmp_path: Path) -> None:
    async with scanned_cache(tmp_path) as cache:
        assert get_without_waiting(cache) is None


async def test_an_entry_is_readable_while_its_write_is_pending(tmp_path: Path) -> None:
    executor = HeldExecutor()
    async with make_cache(tmp_path, run_blocking=executor) as cache:
        cache.put(KEY, RATE, audio(1))
        await executor.holding.wait()
        assert get_without_waiting(cache) == CachedSegment(RATE, audio(1))
        assert cache.statistics().writes_pending == 1
        executor.release()
    assert cache.statistics().writes_pending == 0


async def test_a_put_during_a_read_is_not_overwritten_by_the_older_file(tmp_path: Path) -> None:
    async with make_cache(tmp_path) as cache:
        cache.put(KEY, RATE, audio("old"))
    executor = HeldExecutor()
    cache = make_cache(tmp_path, memory=10_000, run_blocking=executor)
    reading = asyncio.create_task(cache.get(KEY))
    await executor.holding.wait()
    cache.put(KEY, RATE, audio("new"))
    executor.release()
    assert await reading == get_without_waiting(cache) == CachedSegment(RATE, audio("new"))


async def test_a_put_during_a_write_is_written_after_it(tmp_path: Path) -> None:
    executor = HeldExecutor(2)  # after the directory scan
    async with make_cache(tmp_path, run_blocking=executor) as cache:
        cache.put(KEY, RATE, audio("old"))
        await executor.holding.wait()
        cache.put(KEY, RATE, audio("new"))
        executor.release()
        await cache.flush()
    async with make_cache(tmp_path) as cache:
        assert await cache.get(KEY) == CachedSegment(RATE, audio("new"))


async def test_writes_beyond_the_pending_limit_stay_in_memory_only(tmp_path: Path) -> None:
    executor, size = HeldExecutor(), 1024 * 1024 - HEADER_BYTES
    async with make_cache(tmp_path, memory=50_000_000, on_disk=50_000_000, run_blocking=executor) as cache:
        await executor.holding.wait()
        for number in range(10):
            cache.put(key_of(number), RATE, bytes(size))
        assert cache.statistics().writes_pending == 8
        assert cache.statistics().writes_dropped == 2
        assert all(get_without_waiting(cache, number) for number in range(10))
        executor.release()
    assert len(file_names(tmp_path)) == 8


async def test_closing_does_not_wait_forever_for_a_hanging_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(disk, "_CLOSE_TIMEOUT", 0.05)
    executor = HeldExecutor()
    async with make_cache(tmp_path, run_blocking=executor) as cache:
        await executor.holding.wait()
        cache.put(KEY, RATE, audio(1))
    assert logged_warnings(caplog) == [f"{tmp_path} is too slow: 1 segments were not written to the cache."]
    assert cache.statistics().writes_dropped == 1


async def test_closing_without_pending_writes_uses_no_thread(tmp_path: Path) -> None:
    executor = HeldExecutor(0)
    async with make_cache(tmp_path, run_blocking=executor):
        pass
    assert executor.calls == 0


async def test_the_cache_uses_only_memory_outside_its_block(tmp_path: Path) -> None:
    cache = make_cache(tmp_path, memory=10_000)
    async with cache:
        pass
    cache.put(KEY, RATE, audio(1))
    await cache.flush()
    assert get_without_waiting(cache)
    assert file_names(tmp_path) == []


# Timings of words


@pytest.mark.parametrize("timings", [None, WordTimings(()), TWO_WORDS, replace(TWO_WORDS, estimated=True)])
async def test_the_timings_of_a_segment_s_words_outlive_the_process(
    tmp_path: Path, timings: WordTimings | None
) -> None:
    async with make_cache(tmp_path) as cache:
        cache.put(KEY, RATE, audio(1), timings)
    async with make_cache(tmp_path) as cache:
        assert await cache.get(KEY) == CachedSegment(RATE, audio(1), timings)


def test_a_recording_collects_the_timings_of_all_its_words() -> None:
    cache = make_cache(memory=10_000)
    recording = cache.record(KEY, RATE)
    recording.add_timings(ONE_WORD)
    recording.add(b"abcd")
    recording.add_timings(WordTimings(TWO_WORDS.words[1:]))
    recording.commit()
    assert get_without_waiting(cache) == CachedSegment(RATE, b"abcd", TWO_WORDS)


def test_timings_count_as_memory() -> None:
    cache = make_cache(memory=40_000)
    cache.put(key_of("silent"), RATE, bytes(1_000))
    before = cache.statistics().memory_bytes
    cache.put(key_of("told"), RATE, bytes(1_000), TWO_WORDS)
    assert cache.statistics().memory_bytes - before > before
