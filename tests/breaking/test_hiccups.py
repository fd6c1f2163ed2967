"""A server that is out of descriptors, and one whose share is unmounted: its voices stay."""

from __future__ import annotations

import asyncio
import os
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from tests.breaking.conftest import StartServer
from tests.breaking.server_under_attack import AttackedServer
from tests.support.tones import LETTERS, LOW

NOTICED_WITHIN = 40.0
"""Seconds; a directory is looked at every 30 s even if nothing notifies of a change."""
_NO_DESCRIPTORS = 8
"""Fewer than the server has open."""


class Client:
    """A client with one connection, which a server without descriptors keeps serving."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def voices(self) -> set[str]:
        """Names of the installed voices."""
        answer = await self._http.get("/v1/audio/voices")
        listed = answer.raise_for_status().json()["voices"]
        return {voice if isinstance(voice, str) else voice["id"] for voice in listed}

    async def speak(self, text: str) -> int:
        """Bytes of audio of a voice that is loaded."""
        body = {"model": "tts-1", "voice": LOW.name, "input": text, "response_format": "pcm"}
        return len((await self._http.post("/v1/audio/speech", json=body)).raise_for_status().content)

    async def ready(self) -> dict[str, object]:
        answer: dict[str, object] = (await self._http.get("/readyz")).raise_for_status().json()
        return answer


@asynccontextmanager
async def connected(server: AttackedServer) -> AsyncIterator[Client]:
    limits = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=None)
    async with httpx.AsyncClient(base_url=server.url, limits=limits, timeout=30) as http:
        yield Client(http)


async def logged(server: AttackedServer, text: str) -> None:
    """Wait for a line of the log, or for one that none of these tests wants: that a model was evicted."""
    await server.until(
        lambda: text in server.log or "Evicted" in server.log,
        seconds=NOTICED_WITHIN,
        what=f"a log line with {text!r}",
    )


async def check_that_a_deletion_is_noticed(server: AttackedServer, client: Client) -> None:
    before = await client.voices()
    for ending in (".onnx", ".onnx.json"):
        (server.data_dir / f"{LETTERS.name}{ending}").unlink()
    async with asyncio.timeout(NOTICED_WITHIN):
        while LETTERS.name in await client.voices():  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.1)
    assert before - await client.voices() == {LETTERS.name}


async def test_voices_stay_while_there_are_no_descriptors(start_server: StartServer) -> None:
    async with start_server() as server, connected(server) as client:
        before = await client.voices()
        assert LOW.name in before
        assert await client.speak("One.")
        limit = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (_NO_DESCRIPTORS, limit[1]))
        os.utime(server.data_dir / f"{LETTERS.name}.onnx")
        await logged(server, "Too many open files")
        assert await client.voices() == before
        assert await client.speak("Two.")
        assert "degraded" in await client.ready()
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, limit)
        os.utime(server.data_dir / f"{LETTERS.name}.onnx")
        await logged(server, f"{server.data_dir} can be read again")
        assert server.log.count("Too many open files") < 5
        assert await client.voices() == before
        await check_that_a_deletion_is_noticed(server, client)


async def test_voices_stay_while_their_share_is_away(start_server: StartServer) -> None:
    async with start_server() as server, connected(server) as client:
        (server.data_dir / "lexicon.yaml").write_text("en: {MQTT: em queue}", "utf-8")
        await logged(server, "has 1 entry")
        before = await client.voices()
        assert await client.speak("One.")
        share = server.data_dir.rename(server.data_dir.with_name("unmounted"))
        server.data_dir.mkdir()
        await logged(server, "is gone or empty")
        assert await client.voices() == before
        assert await client.speak("Two.")
        assert "degraded" in await client.ready()
        server.data_dir.rmdir()
        share.rename(server.data_dir)
        await logged(server, f"{server.data_dir} can be read again")
        answer = await client.ready()
        assert (answer["status"], "degraded" in answer) == ("ready", False)
        assert await client.voices() == before
        assert "its entries no longer apply" not in server.log
        assert server.log.count("is gone or empty") == 1
        await check_that_a_deletion_is_noticed(server, client)
