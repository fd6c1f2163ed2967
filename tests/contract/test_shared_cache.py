"""Two servers that share a cache: what one has spoken the other one says, sample for sample."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.redis_server import needs_redis, redis_server
from tests.support.server_process import SPEAKS_LETTERS, RunningServer, server_process
from tests.support.tones import LETTERS, VOICES
from wyoming_tts import client
from wyoming_tts.speech import AudioFormat, SpokenWord, VoiceRequest

PASSWORD = "open-sesame"
TEXT = "One two, three. Four five!"
FLAGS = ("--http", "--http-port", "0", "--http-host", "127.0.0.1", "--no-ui", *SPEAKS_LETTERS)


async def speak(server: RunningServer, text: str = TEXT) -> tuple[bytes, Sequence[SpokenWord]]:
    """What is heard of a server over Wyoming, and when which word sounds."""
    pcm, words = bytearray(), list[SpokenWord]()

    async def pieces() -> AsyncIterator[str]:
        yield text

    async def keep(_: AudioFormat, more: bytes) -> None:
        pcm.extend(more)

    voice = VoiceRequest(name=LETTERS.name)
    await client.speak(
        server.uri, pieces(), on_audio=keep, on_words=words.extend, voice=voice, streaming=False
    )
    return bytes(pcm), words


async def shared_when(http: httpx.AsyncClient, **least: int) -> dict[str, Any]:
    """What a server tells of its shared cache once some counters have reached this."""
    async with asyncio.timeout(20):
        while True:
            shared: dict[str, Any] = (await http.get("/status")).json()["cache"]["shared"]
            if all(shared[name] >= count for name, count in least.items()):
                return shared
            await asyncio.sleep(0.01)


@pytest.mark.slow  # two servers have to start
@needs_redis
async def test_a_server_says_what_another_one_made(tmp_path: Path) -> None:
    elsewhere = tmp_path / "voices"
    elsewhere.mkdir()
    for file in VOICES.glob(f"{LETTERS.name}.*"):
        os.utime(shutil.copy(file, elsewhere), (1, 1))  # neither path nor time are the same
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(redis_server("--requirepass", PASSWORD))
        shares = ("--cache-url", f"redis://:{PASSWORD}@127.0.0.1:{redis.port}/1")
        one, other = await asyncio.gather(
            stack.enter_async_context(server_process(*FLAGS, *shares)),
            stack.enter_async_context(server_process(*FLAGS, *shares, "--data-dir", str(elsewhere))),
        )
        urls = [
            (await each.read_until(r"HTTP API listens on (http://127\.0\.0\.1:\d+)"))[1]
            for each in (one, other)
        ]
        of_one, of_other = [
            await stack.enter_async_context(httpx.AsyncClient(base_url=url, trust_env=False)) for url in urls
        ]
        for server, http in ((one, of_one), (other, of_other)):
            await shared_when(http, is_usable=True)
            while not (await shared_when(http))["misses"]:  # the voice's files are read in the background
                await speak(server, f"Nobody else says {server.port}.")
        before = await shared_when(of_other)
        made = await speak(one)
        written = await shared_when(of_one, writes=3)
        assert await speak(other) == made
        assert [word.text for word in made[1]] == ["One", "two", "three", "Four", "five"]
        after = await shared_when(of_other)
        assert (after["hits"], after["misses"]) == (before["hits"] + 2, before["misses"]), (written, after)
        assert after["server"] == f"redis://127.0.0.1:{redis.port}/1"
        metrics = (await of_other.get("/metrics")).text
        assert 'wyoming_tts_cache_hits_total{tier="shared"} 2.0' in metrics
        assert "wyoming_tts_shared_cache_usable 1.0" in metrics
        assert PASSWORD not in metrics + (await of_other.get("/status")).text

        await redis.kill()
        texts = [f"Now {word} is gone." for word in ("this", "that", "it all", "the rest")]
        assert [await speak(other, text) for text in texts] == [await speak(one, text) for text in texts]
        for server in (one, other):
            server.process.terminate()
            log = await server.read_rest()
            assert PASSWORD not in log
            assert log.count("cannot be used") == 1, log
