"""The server as an add-on's process: it reaches Home Assistant, and its children have no token."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.fake_home_assistant import (
    ADMIN,
    OUR_ENGINE,
    TOKEN,
    Engine,
    fake_home_assistant,
    pipeline,
)
from tests.support.server_process import SPEAKS_LETTERS, server_process

INGRESS = {"X-Ingress-Path": "/api/hassio_ingress/token", "X-Remote-User-Id": ADMIN}


def descendants(process: int) -> Iterator[int]:
    """Process numbers of all children, and of theirs."""
    for listing in Path(f"/proc/{process}/task").glob("*/children"):
        for child in map(int, read_of_process(listing).split()):
            yield child
            yield from descendants(child)


def read_of_process(path: Path) -> bytes:
    """Read a file of /proc; nothing of a process that has ended meanwhile."""
    try:
        return path.read_bytes()
    except (ProcessLookupError, FileNotFoundError):
        return b""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_an_add_on_reaches_home_assistant_with_a_token_that_its_children_do_not_have(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    house = {"engines": {OUR_ENGINE: Engine()}, "pipelines": [pipeline("01", "Butler")]}
    async with fake_home_assistant(**house) as home:
        monkeypatch.setenv("SUPERVISOR_TOKEN", TOKEN)
        monkeypatch.setenv("SUPERVISOR_URL", home.access.address)
        flags = ("--http", "--http-port", "0", "--ingress-peer", "127.0.0.1", "--state-dir", str(tmp_path))
        async with server_process(*SPEAKS_LETTERS, *flags) as server:
            address = (await server.read_until(r"HTTP API listens on (http\S+?)\.?$"))[1]
            async with httpx.AsyncClient(base_url=address, headers=INGRESS) as client:
                answer = await client.get("page/home-assistant")
                assert [each["name"] for each in answer.json()["assistants"]] == ["Butler"]
                await client.post("page/audition/explain", json={"text": "Hello", "voice": "espeak-en-us"})
            children = descendants(server.process.pid)
            environments = {child: read_of_process(Path(f"/proc/{child}/environ")) for child in children}
            assert any(map(len, environments.values())), "espeak-ng runs in processes of their own"
            assert [child for child, its in environments.items() if TOKEN.encode() in its] == []
