"""The shared tier of the cache over real sockets: a Redis server, one that hangs, one that talks nonsense."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.scenarios.ports import free_port
from tests.support.certificates import write_certificate
from tests.support.redis_server import (
    fake_redis_server,
    needs_redis,
    redis_server,
    server_options_with_tls,
    until,
)
from tests.unit.cache.conftest import KEY, RATE, TWO_WORDS, audio, in_executor
from wyoming_tts.backoff import Backoff
from wyoming_tts.cache import CachedSegment, CacheKey, SegmentCache, SharedStatistics, SharedTier
from wyoming_tts.cache import shared as shared_module
from wyoming_tts.cache.entry_format import encode
from wyoming_tts.cache.redis_store import RedisStore

SHARED_KEY = replace(KEY, content="the same on each machine")
SEGMENT = CachedSegment(RATE, audio(1), TWO_WORDS)
PREFIX = b"wyoming-tts:segment:"
OWN_GET = b"wyoming-tts:probe"
NOTHING = b"$-1\r\n"


@asynccontextmanager
async def shared_cache(
    url: str, *, memory: int = 0, directory: Path | None = None, is_waited_for: bool = True
) -> AsyncIterator[SegmentCache]:
    """A cache as each machine has one; by default without a memory of its own."""
    tier = SharedTier(lambda: RedisStore(url), "redis://there", run_blocking=in_executor)
    cache = SegmentCache(
        memory_bytes=memory, directory=directory, disk_bytes=10**6, run_blocking=in_executor, shared=tier
    )
    async with cache:
        if is_waited_for:
            await until(lambda: tier.is_usable)
        yield cache


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the tier try again soon, and answers of a busy machine be in time."""
    monkeypatch.setattr(shared_module, "_BACKOFF", Backoff(first_delay=0.01, max_delay=0.01))
    monkeypatch.setattr(shared_module, "GET_SECONDS", 5.0)


def counts(cache: SegmentCache) -> SharedStatistics:
    shared = cache.statistics().shared
    assert shared is not None
    return shared


def put(cache: SegmentCache, key: CacheKey = SHARED_KEY, segment: CachedSegment = SEGMENT) -> None:
    cache.put(key, segment.rate, segment.pcm, segment.timings)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


@needs_redis
async def test_a_segment_that_one_machine_has_spoken_is_the_same_on_another_whose_paths_differ(
    tmp_path: Path,
) -> None:
    there = replace(SHARED_KEY, model_version="/elsewhere/en_US-tone-medium.onnx 3 4")
    async with redis_server() as server, shared_cache(server.url) as one:
        put(one)
        put(one, replace(KEY, text="Its content is not known."))
        await one.flush()
        assert counts(one).writes == 1
        async with shared_cache(server.url, memory=100_000, directory=tmp_path) as other:
            assert await other.get(there) == SEGMENT
            assert (
                await other.get(replace(KEY, model_version="/a 5 6", content="another voice of this name"))
                is None
            )
            assert await other.get(replace(there, content=None, text="Unknown.")) is None
            await server.kill()
            assert await other.get(there) == SEGMENT  # from its memory
            assert (counts(other).hits, counts(other).misses) == (1, 1)
    async with shared_cache(server.url, directory=tmp_path, is_waited_for=False) as other:
        assert await other.get(there) == SEGMENT  # from its disk


@needs_redis
async def test_an_encrypted_server_with_a_password_is_used(tmp_path: Path) -> None:
    certificate, key = await in_executor(lambda: write_certificate(tmp_path))
    port = free_port()
    options = (*server_options_with_tls(certificate, key, port), "--requirepass", "p@ss/word")
    async with redis_server(*options, port=port):
        url = f"rediss://:p%40ss%2Fword@127.0.0.1:{port}/2?ssl_ca_certs={certificate}"
        async with shared_cache(url) as one, shared_cache(url) as other:
            put(one)
            await one.flush()
            assert await other.get(SHARED_KEY) == SEGMENT


@needs_redis
async def test_a_server_that_dies_is_used_again_when_it_is_back(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    port = free_port()
    async with redis_server(port=port) as server, shared_cache(server.url) as cache:
        await server.kill()
        while counts(cache).is_usable:
            assert await cache.get(SHARED_KEY) is None
        errors = counts(cache).errors
        put(cache)
        await cache.flush()
        assert counts(cache).writes_dropped == 1
        await until(lambda: counts(cache).errors > errors)  # it is tried again
        async with redis_server(port=port):
            await until(lambda: counts(cache).is_usable)
            put(cache)
            await cache.flush()
            assert await cache.get(SHARED_KEY) == SEGMENT
    lines = [record.getMessage() for record in caplog.records if "shared cache" in record.getMessage()]
    assert len(lines) == 2, lines
    assert "redis://there cannot be used" in lines[0]
    assert lines[1].endswith("is used again.")


@needs_redis
async def test_what_is_flushed_or_evicted_or_foreign_is_a_miss(caplog: pytest.LogCaptureFixture) -> None:
    name = SHARED_KEY.shared_digest()
    assert name is not None
    key, entry = PREFIX + name.encode(), b"".join(encode(name, SEGMENT))
    foreign = {
        "of another program": ("SET", key, b"hello"),
        "cut off": ("SET", key, entry[:-1]),
        "a sample changed": ("SET", key, entry[:-1] + bytes([entry[-1] ^ 1])),
        "of another segment": ("SET", key, b"".join(encode("0" * 64, SEGMENT))),
        "empty": ("SET", key, b""),
        "a list": ("RPUSH", key, b"hello"),
    }
    async with redis_server() as server, shared_cache(server.url) as cache:
        for what, command in foreign.items():
            await server.ask("FLUSHALL")
            assert await cache.get(SHARED_KEY) is None, what
            await server.ask(*command)
            assert await cache.get(SHARED_KEY) is None, what
            put(cache)
            await cache.flush()
            assert await cache.get(SHARED_KEY) == SEGMENT, what
        assert counts(cache).is_usable
        assert counts(cache).errors == len(foreign)
    assert len(warnings(caplog)) == 1, warnings(caplog)


@needs_redis
async def test_a_full_server_is_read_and_not_written_to(caplog: pytest.LogCaptureFixture) -> None:
    async with redis_server() as server, shared_cache(server.url) as cache:
        put(cache)
        await cache.flush()
        await server.ask("CONFIG", "SET", "maxmemory", "1")
        for number in range(5):
            put(cache, replace(SHARED_KEY, text=str(number)))
            await cache.flush()
        assert await cache.get(SHARED_KEY) == SEGMENT
        found = counts(cache)
        assert (found.is_usable, found.errors, found.writes_dropped) == (True, 1, 5)
    assert ["takes no entries" in line for line in warnings(caplog)] == [True]


@needs_redis
async def test_a_wrong_password_is_told_once_and_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with redis_server("--requirepass", "right") as server:
        url = server.url.replace("//", "//:sesame@")
        async with shared_cache(url, is_waited_for=False) as cache:
            await until(lambda: counts(cache).errors >= 3)
            assert await cache.get(SHARED_KEY) is None
    assert ["password" in line for line in warnings(caplog)] == [True]
    assert "sesame" not in caplog.text


async def test_of_a_server_that_hangs_nobody_waits_for_an_answer_and_nothing_is_asked_any_more(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    answering = True

    def answer(_: list[bytes]) -> bytes | None:
        return NOTHING if answering else None

    async with fake_redis_server(answer) as fake, shared_cache(fake.url) as cache:
        monkeypatch.setattr(shared_module, "_BACKOFF", Backoff(first_delay=60, max_delay=60))
        monkeypatch.setattr(shared_module, "GET_SECONDS", 0.02)
        answering = False
        await asyncio.gather(*(cache.get(SHARED_KEY) for _ in range(30)))
        assert not counts(cache).is_usable
        asked = len(fake.received)
        put(cache)
        await cache.flush()
        assert await cache.get(SHARED_KEY) is None
        assert len(fake.received) == asked
        assert counts(cache).misses == 0
    assert len(warnings(caplog)) == 1
    assert "no answer within 20 ms" in warnings(caplog)[0]


async def test_a_server_that_is_too_slow_from_the_beginning_is_not_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shared_module, "GET_SECONDS", 0.0)
    async with fake_redis_server(lambda _: NOTHING) as fake:
        async with shared_cache(fake.url, is_waited_for=False) as cache:
            await until(lambda: counts(cache).errors >= 2)
            assert await cache.get(SHARED_KEY) is None
        assert {command[-1] for command in fake.received} == {OWN_GET}


NONSENSE: dict[str, bytes] = {
    "another protocol": b"HTTP/1.1 200 OK\r\n\r\n",
    "a length that is no number": b"$abc\r\n",
    "a length without end": b"$9999999999999\r\n" + b"x" * 1000,
    "a negative length": b"$-7\r\n",
    "a number": b":7\r\n",
    "a list": b"*1\r\n$1\r\nx\r\n",
    "a list in a list in a list": b"*1\r\n" * 2_000,
    "text": b"+OK\r\n",
    "an error": b"-ERR no\r\n",
    "zeros": bytes(100),
    "an answer too many": NOTHING * 3,
}


async def test_nonsense_for_an_answer_is_a_miss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_module, "GET_SECONDS", 0.02)
    for what, nonsense in NONSENSE.items():
        async with fake_redis_server(_only_for_listeners(nonsense)) as fake, shared_cache(fake.url) as cache:
            put(cache)
            for _ in range(4):
                assert await cache.get(SHARED_KEY) is None, what


def _only_for_listeners(nonsense: bytes) -> Callable[[list[bytes]], bytes]:
    return lambda command: NOTHING if command[-1] == OWN_GET else nonsense


async def test_entries_beyond_what_may_wait_and_large_ones_are_dropped() -> None:
    held = asyncio.Event()

    class HeldStore:
        def look_up(self) -> None: ...

        async def get(self, key: str) -> bytes | None:
            return None

        async def set(self, key: str, value: bytes) -> None:
            await held.wait()

        async def reset(self) -> None: ...

        async def aclose(self) -> None: ...

    tier = SharedTier(HeldStore, "there", run_blocking=in_executor)
    tier.open()
    await until(lambda: tier.is_usable)
    for number in range(20):
        tier.write_later(str(number), CachedSegment(RATE, bytes(900_000)))
    tier.write_later("large", CachedSegment(RATE, bytes(1024 * 1024)))
    assert tier.statistics().writes_dropped == 11
    held.set()
    await tier.flush()
    assert tier.statistics().writes == 9
    await tier.close()


async def test_without_a_server_neither_start_nor_end_waits_for_it() -> None:
    async with shared_cache(f"redis://127.0.0.1:{free_port()}", is_waited_for=False) as cache:
        put(cache)
        assert await cache.get(SHARED_KEY) is None
        assert cache.statistics().misses == 1


async def test_a_name_that_is_not_found_or_looked_up_for_ever_delays_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with shared_cache("redis://nobody.invalid", is_waited_for=False) as cache:
        await until(lambda: counts(cache).errors > 0)
    assert "its name is not found" in warnings(caplog)[0]
    found = threading.Event()
    monkeypatch.setattr(RedisStore, "look_up", lambda _: found.wait(10))
    monkeypatch.setattr(shared_module, "_CONNECT_SECONDS", 0.01)
    monkeypatch.setattr(shared_module, "_CLOSE_SECONDS", 0.01)
    async with shared_cache("redis://slow.invalid", is_waited_for=False) as cache:
        await until(lambda: counts(cache).errors > 0)
        assert await cache.get(SHARED_KEY) is None
    assert not found.is_set()
    found.set()


async def test_certificates_that_cannot_be_read_are_told_and_nothing_fails(
    caplog: pytest.LogCaptureFixture,
) -> None:
    url = "rediss://127.0.0.1:1?ssl_ca_certs=/nowhere.pem"
    async with shared_cache(url, is_waited_for=False) as cache:
        await until(lambda: counts(cache).errors > 0)
        assert await cache.get(SHARED_KEY) is None
    assert "a certificate cannot be read: No such file" in warnings(caplog)[0]
