"""Two servers on one data directory: what is chosen on the page of one holds for the other, too."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import httpx
import pytest
from wyoming.event import Event

from tests.support.server_process import RunningServer, server_process
from tests.support.tones import LETTERS, VOICES
from tests.support.wyoming_client import WyomingTestClient

pytestmark = pytest.mark.slow  # starts two processes

TIMEOUT = 50.0


async def _spoken_rate(server: RunningServer) -> int:
    async with WyomingTestClient.connect("127.0.0.1", server.port) as client:
        await client.send(Event("synthesize", {"text": "A."}))
        return int((await client.until("audio-start"))[-1].data["rate"])


async def test_a_default_voice_that_is_chosen_on_one_server_speaks_on_the_other(tmp_path: Path) -> None:
    for ending in (".onnx", ".onnx.json"):
        shutil.copy(VOICES / f"{LETTERS.name}{ending}", tmp_path)
    flags = ("--data-dir", str(tmp_path), "--offline", "--http", "--http-port", "0")
    async with asyncio.timeout(TIMEOUT), server_process(*flags) as one, server_process(*flags) as other:
        ports = [
            int((await each.read_until(r"HTTP API listens on http://127\.0\.0\.1:(\d+)"))[1])
            for each in (one, other)
        ]
        pages = [f"http://127.0.0.1:{port}/page/voices" for port in ports]
        async with httpx.AsyncClient() as client:
            chosen = await client.post(f"{pages[0]}/default", json={"name": LETTERS.name})
            assert chosen.json()["lasts"]
            await other.read_until(f"The default voice is {LETTERS.name} now")
            rows = (await client.get(pages[1])).json()["voices"]
            assert [row["name"] for row in rows if row["is_default"]] == [LETTERS.name]
        assert await _spoken_rate(other) == LETTERS.rate
