"""`wyoming-tts cache clear`, with and without a running server."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from tests.http.conftest import serving
from tests.http.test_layers import guard_middleware
from tests.scenarios.ports import free_port
from tests.support.redis_server import needs_redis, redis_server
from tests.unit.cache.conftest import KEY, RATE, audio, file_names, make_cache
from wyoming_tts.commands.cli import main


async def clear(*flags: str) -> int:
    """Run the command beside the event loop, as it has one of its own."""
    return await asyncio.to_thread(main, ["cache", "clear", *flags])


async def test_a_running_server_clears_its_memory_and_its_files(capsys: pytest.CaptureFixture[str]) -> None:
    async with serving(middleware=guard_middleware("secret")) as served:
        port = str(served.address[1])
        assert await clear("--http-port", port, "--api-keys", "secret") == 0
        assert capsys.readouterr().out.splitlines() == [
            "memory: removed 2 segments, 0.0 MB.",
            "disk: removed 3 segments, 0.0 MB.",
        ]
        assert await clear("--http-port", port, "--api-keys", "wrong") == 1
    assert "refused with 401" in capsys.readouterr().err


async def test_without_a_server_its_files_are_removed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes.txt").write_text("not ours")
    async with make_cache(tmp_path) as cache:
        cache.put(KEY, RATE, audio(1))
        await cache.flush()
    flags = ("--http-port", str(free_port()), "--cache-dir", str(tmp_path), "--json")
    assert await clear(*flags) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["running"], told["disk"]["segments"]) == (False, 1)
    assert file_names(tmp_path) == ["notes.txt"]


async def test_a_server_that_was_named_has_to_answer(capsys: pytest.CaptureFixture[str]) -> None:
    assert await clear("--url", f"http://127.0.0.1:{free_port()}") == 1
    assert "cannot be reached" in capsys.readouterr().err


@pytest.mark.parametrize("answer", ["<html>", "[1]", "{}", '{"memory": {"segments": "x"}, "disk": 5}'])
async def test_another_server_that_was_named_is_told(answer: str, capsys: pytest.CaptureFixture[str]) -> None:
    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(answer)}\r\n\r\n{answer}".encode())
        writer.close()

    async with await asyncio.start_server(respond, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        assert await clear("--url", f"http://127.0.0.1:{port}") == 1
    assert "It may be another server" in capsys.readouterr().err


async def test_an_empty_url_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert await clear("--url", "", "--http-port", str(free_port()), "--cache-dir", str(tmp_path)) == 0
    assert "No server answered" in capsys.readouterr().out


@needs_redis
async def test_the_shared_cache_loses_our_segments_and_nothing_else(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with redis_server() as redis:
        for number in range(3):
            await redis.ask("SET", f"wyoming-tts:segment:{number}", "x")
        await redis.ask("SET", "somebody:else", "x")
        flags = ("--http-port", str(free_port()), "--cache-url", redis.url)
        assert await clear(*flags, "--keep-shared") == 0
        assert b":4" in await redis.ask("DBSIZE")
        assert await clear(*flags) == 0
        assert "shared: removed 3 segments." in capsys.readouterr().out
        assert b":1" in await redis.ask("DBSIZE")
        assert b"x" in await redis.ask("GET", "somebody:else")


async def test_a_shared_cache_that_is_away_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    port, away = str(free_port()), f"redis://127.0.0.1:{free_port()}"
    assert await clear("--http-port", port, "--cache-url", away) == 1
    assert "The shared cache cannot be cleared" in capsys.readouterr().err


async def test_a_shared_cache_that_hangs_is_told_and_so_is_what_was_cleared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1024):
            pass
        writer.close()

    monkeypatch.setattr("wyoming_tts.cache.redis_store.ANSWER_SECONDS", 0.05)
    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as hung:
        url = f"redis://127.0.0.1:{hung.sockets[0].getsockname()[1]}"
        flags = ("--http-port", str(free_port()), "--cache-dir", str(tmp_path), "--cache-url", url)
        assert await clear(*flags) == 1
    told = capsys.readouterr()
    assert "disk: removed 0 segments" in told.out
    assert "The shared cache cannot be cleared: it gave no answer within 0.05 s." in told.err
    assert "--keep-shared" in told.err
