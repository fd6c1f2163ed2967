"""The segment cache: LRU order, bounds, restarts, broken disks and concurrent processes."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import random
import resource
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.hypothesis_examples import scaled_examples
from tests.support.manual_clock import ManualClock
from wyoming_tts.blocking import RunBlocking
from wyoming_tts.cache import CachedSegment, CacheKey, SegmentCache, disk
from wyoming_tts.cache.entry_format import HEADER_BYTES
from wyoming_tts.cache.files import EntryFiles
from wyoming_tts.speech import Prosody, WordTiming, WordTimings

T = TypeVar("T")

RATE = 22050
NOW = 1_750_000_000.0
KEY = CacheKey(
    voice="en_US-tone-medium",
    model_version="/voices/en_US-tone-medium.onnx 1 2",
    speaker=None,
    prosody=Prosody(),
    text="The door is open.",
    level=-20.0,
)
WORD_BYTES = 16
TWO_WORDS = WordTimings((WordTiming(0, 5, 10, 200), WordTiming(6, 11, 250, 490)))
ONE_WORD = WordTimings(TWO_WORDS.words[:1])
MEMORY_ENTRY_BYTES = 512


def key_of(text: object) -> CacheKey:
    return replace(KEY, text=str(text))


def audio(seed: object, size: int = 1000) -> bytes:
    return random.Random(str(seed)).randbytes(size)


async def in_executor(work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(None, work)


class HeldExecutor:
    """Runs blocking work; one call (counted from 1) is held until it is released."""

    def __init__(self, call: int = 1) -> None:
        self.calls = 0
        self.holding = asyncio.Event()
        self._held_call = call
        self._go = asyncio.Event()

    async def __call__(self, work: Callable[[], T]) -> T:
        self.calls += 1
        if self.calls == self._held_call:
            self.holding.set()
            await self._go.wait()
        return await in_executor(work)

    def release(self) -> None:
        self._go.set()


def make_cache(
    directory: Path | None = None,
    *,
    memory: int = 0,
    on_disk: int = 1_000_000,
    run_blocking: RunBlocking = in_executor,
    clock: Callable[[], float] = time.time,
) -> SegmentCache:
    return SegmentCache(
        memory_bytes=memory,
        directory=directory,
        disk_bytes=on_disk,
        run_blocking=run_blocking,
        clock=clock,
    )


@asynccontextmanager
async def scanned_cache(directory: Path, **options: Any) -> AsyncIterator[SegmentCache]:
    async with make_cache(directory, **options) as cache:
        await cache.flush()
        yield cache


async def are_cached(cache: SegmentCache, *texts: object) -> list[bool]:
    return [await cache.get(key_of(text)) is not None for text in texts]


def file_names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def get_without_waiting(cache: SegmentCache, text: object = KEY.text) -> CachedSegment | None:
    """Get what the cache returns without waiting for the disk or for another task."""
    getting = cache.get(key_of(text))
    with pytest.raises(StopIteration) as returned:
        getting.send(None)
    found: CachedSegment | None = returned.value.value
    return found


def path_of(directory: Path, text: object) -> Path:
    return directory / f"{key_of(text).digest()}.segment"


def logged_warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.levelno >= logging.WARNING]


# Keys

numbers = st.floats(allow_nan=False)
few_texts = st.sampled_from(["", "a", "b", "ab", "1", "\ud83d\ude00", "\U0001f600"]) | st.text()
prosodies = st.builds(
    Prosody,
    speed=numbers,
    pitch=numbers,
    volume=st.sampled_from([0, 0.0, -0.0, 1, 1.0]),
    length_scale=st.none() | numbers,
    noise_scale=st.none() | numbers,
    noise_w_scale=st.none() | st.just(0.0),
)
keys = st.builds(
    CacheKey,
    voice=few_texts,
    model_version=few_texts,
    speaker=st.none() | st.integers(0, 3),
    prosody=st.just(Prosody()) | prosodies,
    text=few_texts,
    level=st.sampled_from([-20, -20.0, -23.0]),
)


@given(one=keys, other=keys)
@example(one=replace(KEY, level=0.0), other=replace(KEY, level=-0.0))
@example(one=replace(KEY, text="\ud83d\ude00"), other=replace(KEY, text="\U0001f600"))
@example(one=replace(KEY, voice="ab", model_version="c"), other=replace(KEY, voice="a", model_version="bc"))
def test_key_digests_are_equal_exactly_if_the_keys_are(one: CacheKey, other: CacheKey) -> None:
    assert (one.digest() == other.digest()) == (one == other)


OTHER_VALUES: dict[str, Any] = {
    "voice": "en_US-tone-high",
    "model_version": "/voices/en_US-tone-medium.onnx 2 2",
    "speaker": 0,
    "text": "The door is open!",
    "level": -19.0,
}


@pytest.mark.parametrize(
    "name", [field.name for field in fields(CacheKey) if field.name not in {"prosody", "content"}]
)
def test_every_field_of_the_key_changes_the_digest(name: str) -> None:
    assert replace(KEY, **{name: OTHER_VALUES[name]}).digest() != KEY.digest()


def test_every_field_of_the_prosody_changes_the_digest_differently() -> None:
    changed = [replace(KEY, prosody=replace(Prosody(), **{field.name: 0.5})) for field in fields(Prosody)]
    assert len({KEY.digest(), *(key.digest() for key in changed)}) == 1 + len(fields(Prosody))


def test_the_shared_digest_has_the_content_in_place_of_what_differs_between_machines() -> None:
    known = replace(KEY, content="the same")
    assert KEY.shared_digest() is None
    assert known.digest() == KEY.digest()
    assert known.shared_digest() == replace(known, model_version="elsewhere").shared_digest()
    others = [
        replace(known, **{name: value}) for name, value in OTHER_VALUES.items() if name != "model_version"
    ]
    digests = {each.shared_digest() for each in (*others, known, replace(known, content="other"))}
    assert len(digests) == len(others) + 2


def test_the_digest_is_stable_across_versions() -> None:
    # If this changes, every existing cache directory is invalid: raise the format's version, too.
    assert KEY.digest() == "b640ace98ac856dd9d400813bd205660df1344473077628eb22b47c7e77f59e1"


def test_audio_that_is_not_16_bit_pcm_is_refused() -> None:
    with pytest.raises(ValueError, match="Got 3 bytes at 22050 Hz"):
        make_cache(memory=10_000).put(KEY, RATE, b"abc")
    with pytest.raises(ValueError, match="at 0 Hz"):
        make_cache(memory=10_000).put(KEY, 0, b"ab")


def test_a_negative_size_is_refused() -> None:
    with pytest.raises(ValueError, match="-1"):
        make_cache(memory=-1)


# Memory


class LruModel:
    """Reference model of an LRU cache, kept as simple as possible."""

    def __init__(self, bound: int, entry_bytes: int) -> None:
        self.bound = bound
        self.entry_bytes = entry_bytes
        self.content: list[tuple[int, bytes]] = []

    @property
    def size(self) -> int:
        return sum(len(pcm) + self.entry_bytes for _, pcm in self.content)

    def put(self, number: int, pcm: bytes) -> None:
        if len(pcm) + self.entry_bytes > self.bound // 4:
            return
        self.content = [pair for pair in self.content if pair[0] != number]
        self.content.append((number, pcm))
        while self.size > self.bound:
            del self.content[0]

    def get(self, number: int) -> bytes | None:
        found = [pair for pair in self.content if pair[0] == number]
        self.content = [pair for pair in self.content if pair[0] != number] + found
        return found[0][1] if found else None


samples = st.integers(0, 1300)
steps = st.lists(st.tuples(st.integers(0, 9), st.none() | st.integers(0, 260)), max_size=60)


@given(steps=steps, bound=st.sampled_from([0, 2047, 2048, 4000, 4096]))
def test_memory_is_a_bounded_lru_cache(steps: list[tuple[int, int | None]], bound: int) -> None:
    cache, model = make_cache(memory=bound), LruModel(bound, MEMORY_ENTRY_BYTES)
    for turn, (number, length) in enumerate(steps):
        if length is None:
            expected = model.get(number)
            found = get_without_waiting(cache, number)
            assert (found.pcm if found else None) == expected
        else:
            model.put(number, audio(turn, 2 * length))
            cache.put(key_of(number), RATE, audio(turn, 2 * length))
        counts = cache.statistics()
        assert (counts.memory_entries, counts.memory_bytes) == (len(model.content), model.size)
        assert counts.memory_bytes <= bound


async def test_a_segment_is_returned_with_its_sample_rate() -> None:
    cache = make_cache(memory=100_000)
    cache.put(KEY, 16000, audio(1, 8000))
    assert await cache.get(KEY) == CachedSegment(16000, audio(1, 8000))


def test_a_segment_over_a_quarter_of_the_memory_is_not_cached() -> None:
    cache = make_cache(memory=40_000)
    cache.put(key_of("small"), RATE, bytes(10_000 - MEMORY_ENTRY_BYTES))
    cache.put(key_of("big"), RATE, bytes(10_000 - MEMORY_ENTRY_BYTES + 2))
    assert get_without_waiting(cache, "small")
    assert not get_without_waiting(cache, "big")


def test_nothing_is_cached_without_memory_and_directory() -> None:
    cache = make_cache()
    cache.put(KEY, RATE, b"")
    assert get_without_waiting(cache) is None


async def test_each_hit_and_miss_is_counted_once(tmp_path: Path) -> None:
    async with scanned_cache(tmp_path, memory=10_000) as cache:
        assert await cache.get(KEY) is None
        cache.put(KEY, RATE, audio(1))
        assert await cache.get(KEY)
        assert await cache.get(KEY)
    async with scanned_cache(tmp_path, memory=10_000) as again:
        assert await again.get(KEY)
        assert await again.get(KEY)
    assert (cache.statistics().memory_hits, cache.statistics().misses) == (2, 1)
    counts = again.statistics()
    assert (counts.memory_hits, counts.disk_hits, counts.misses) == (1, 1, 0)
    assert (counts.disk_entries, counts.disk_bytes) == (1, HEADER_BYTES + 1000)


async def test_a_memory_hit_waits_for_no_thread(tmp_path: Path) -> None:
    async with scanned_cache(tmp_path, memory=10_000) as cache:
        cache.put(KEY, RATE, audio(1))
        await cache.flush()
        assert get_without_waiting(cache) == CachedSegment(RATE, audio(1))


# Recording a segment


def test_a_recording_is_cached_only_after_commit() -> None:
    cache = make_cache(memory=10_000)
    recording = cache.record(KEY, RATE)
    recording.add(b"abcd")
    recording.add(b"ef")
    assert get_without_waiting(cache) is None
    recording.commit()
    assert get_without_waiting(cache) == CachedSegment(RATE, b"abcdef")


def test_a_recording_is_committed_at_most_once() -> None:
    cache = make_cache(memory=10_000)
    recording = cache.record(KEY, RATE)
    recording.add(b"ab")
    recording.commit()
    recording.add(b"cd")
    recording.commit()
    assert get_without_waiting(cache) == CachedSegment(RATE, b"ab")


def test_a_recording_too_large_for_any_tier_discards_its_audio() -> None:
    cache = make_cache(memory=8_000)
    recording = cache.record(KEY, RATE)
    recording.add(bytes(2_000))
    assert recording._pieces == [bytes(2_000)]
    recording.add(bytes(2))
    assert recording._pieces is None
    recording.add(bytes(2))
    recording.commit()
    assert get_without_waiting(cache) is None


def test_a_recording_too_large_for_memory_can_still_go_to_disk(tmp_path: Path) -> None:
    recording = make_cache(tmp_path, memory=8_000, on_disk=80_000).record(KEY, RATE)
    recording.add(bytes(10_000))
    assert recording._pieces == [bytes(10_000)]


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
from tests.unit.cache.test_segment_cache import RATE, make_cache, audio, key_of

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


async def test_a_cleared_cache_has_nothing_in_memory_or_on_disk_and_goes_on(tmp_path: Path) -> None:
    stranger = tmp_path / "notes.txt"
    stranger.write_text("not ours")
    async with scanned_cache(tmp_path, memory=1_000_000) as cache:
        for text in ("one", "two"):
            cache.put(key_of(text), RATE, audio(text))
        await cache.flush()
        cleared = await cache.clear()
        assert (cleared.memory_segments, cleared.disk_segments) == (2, 2)
        assert cleared.memory_bytes >= 2000
        assert cleared.disk_bytes > 0
        assert await are_cached(cache, "one", "two") == [False, False]
        assert file_names(tmp_path) == ["notes.txt"]
        assert (cache.statistics().memory_bytes, cache.statistics().disk_entries) == (0, 0)
        cache.put(key_of("three"), RATE, audio("three"))
        await cache.flush()
        assert path_of(tmp_path, "three").exists()
    assert not (await make_cache().clear()).memory_segments
