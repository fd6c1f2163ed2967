"""Signals to a running server: graceful shutdown, immediate exit on the second, and reload on SIGHUP."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import httpx
import pytest
from wyoming.event import Event

from tests.support.server_process import SPEAKS_LETTERS, RunningServer, server_process
from tests.support.tones import LETTERS
from tests.support.wyoming_client import WyomingTestClient, event_types, pcm_of

pytestmark = pytest.mark.slow  # each test starts a process

HTTP = ("--http", "--http-port", "0")
TIMEOUT = 25.0


async def _http_port(server: RunningServer) -> int:
    return int((await server.read_until(r"HTTP API listens on http://127\.0\.0\.1:(\d+)"))[1])


async def _start_utterance(client: WyomingTestClient, text: str) -> None:
    """Start a streamed utterance and wait for its first audio, leaving the text open."""
    await client.send(
        Event("synthesize-start", {"voice": {"name": LETTERS.name}}),
        Event("synthesize-chunk", {"text": text}),
    )
    await client.until("audio-chunk")


async def test_a_streaming_utterance_finishes_but_new_connections_are_refused_during_shutdown() -> None:
    async with asyncio.timeout(TIMEOUT), server_process(*SPEAKS_LETTERS, *HTTP) as server:
        port = await _http_port(server)
        async with WyomingTestClient.connect("127.0.0.1", server.port) as client:
            await _start_utterance(client, "A sentence that is spoken. And one that is")
            server.process.send_signal(signal.SIGTERM)
            await server.read_until("Stopping")
            await _wait_until_refused(server.port)
            await _wait_until_refused(port)
            await client.send(Event("synthesize-chunk", {"text": " ended."}), Event("synthesize-stop"))
            events = await client.until("synthesize-stopped")
        assert "error" not in event_types(events)
        assert pcm_of(events)
        assert await server.process.wait() == 0


async def _wait_until_refused(port: int) -> None:
    """Wait until the port refuses connections."""
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
        except ConnectionRefusedError:
            return
        except ConnectionResetError:
            pass  # it was waiting to be accepted when the server stopped listening
        await asyncio.sleep(0.01)


async def test_a_second_signal_exits_at_once() -> None:
    async with (
        asyncio.timeout(TIMEOUT),
        server_process(*SPEAKS_LETTERS, "--shutdown-grace", "300") as server,
    ):
        async with WyomingTestClient.connect("127.0.0.1", server.port) as client:
            await _start_utterance(client, "A sentence that is spoken. And one that is")
            server.process.send_signal(signal.SIGINT)
            await server.read_until("Stopping")
            server.process.send_signal(signal.SIGTERM)
            assert await server.process.wait() == 0
        assert "Traceback" not in await server.read_rest()


async def test_sighup_reloads_settings_and_applies_the_reloadable_ones(tmp_path: Path) -> None:
    config = tmp_path / "settings.yaml"
    config.write_text("api_keys: [first]\n")
    flags = (*SPEAKS_LETTERS, *HTTP, "--http-host", "127.0.0.1", "--config", str(config))
    async with asyncio.timeout(2 * TIMEOUT), server_process(*flags) as server:
        url = f"http://127.0.0.1:{await _http_port(server)}/v1/voices"
        async with httpx.AsyncClient(trust_env=False) as client:
            assert await _status(client, url, "first") == 200
            assert await _status(client, url, "second") == 401

            config.write_text("api_keys: [second]\nstreaming: false\n")
            server.process.send_signal(signal.SIGHUP)
            await server.read_until("Settings reloaded: api_keys")
            await server.read_until("after a restart: streaming")
            assert await _status(client, url, "second") == 200
            assert await _status(client, url, "first") == 401

            config.write_text("api_keys: [third\n")
            server.process.send_signal(signal.SIGHUP)
            await server.read_until("the old ones stay in force")
            assert await _status(client, url, "second") == 200


async def test_adding_the_first_api_key_on_reload_does_not_change_the_bound_host_and_is_logged(
    tmp_path: Path,
) -> None:
    config = tmp_path / "settings.yaml"
    config.write_text("speed: 1\n")
    flags = (*SPEAKS_LETTERS, *HTTP, "--config", str(config))
    async with asyncio.timeout(2 * TIMEOUT), server_process(*flags) as server:
        await _http_port(server)
        config.write_text("api_keys: [first]\n")
        server.process.send_signal(signal.SIGHUP)
        await server.read_until(r"it was 127\.0\.0\.1 by the old settings and would be 0\.0\.0\.0 by the new")


async def _status(client: httpx.AsyncClient, url: str, key: str) -> int:
    return (await client.get(url, headers={"Authorization": f"Bearer {key}"})).status_code
