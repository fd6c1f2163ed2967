"""Segments in memory: keys, bounds, and what is recorded of a stream."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.unit.cache.conftest import (
    KEY,
    MEMORY_ENTRY_BYTES,
    RATE,
    LruModel,
    are_cached,
    audio,
    file_names,
    get_without_waiting,
    key_of,
    make_cache,
    path_of,
    scanned_cache,
)
from wyoming_tts.cache import CachedSegment, CacheKey
from wyoming_tts.cache.entry_format import HEADER_BYTES
from wyoming_tts.speech import Prosody

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
