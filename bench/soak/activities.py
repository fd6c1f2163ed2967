"""Activities of a soak's clients: all transports, barge-in, abrupt ends, uploads and visits of the page."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect
from wyoming.tts import Synthesize, SynthesizeChunk, SynthesizeStart, SynthesizeVoice

from tests.scenarios.paced_listener import (
    PATIENCE,
    Recording,
    hear_over_http,
    hear_over_wyoming,
    numbered_text,
    receive_speech,
)
from wyoming_tts.wyoming_framing import REPLY_LIMITS, EventStream, encode_event, write_event

_WORD_PAUSE = 1 / 12
"""Seconds between two words: the pace of a fast language model."""
_FORMATS = ("mp3", "opus", "flac", "wav")
_RATE = 24_000
_TEXTS_PER_CLIENT = 1_000_000
_RELOAD_EVERY = 0.5
_VISITED = ("/page/voices", "/page/status.json", "/config")


class ActivityFailed(Exception):
    """The server did not do what it should have."""


@dataclass(slots=True)
class SoakClient:
    """One of the clients: where the server is, and what this client has done so far."""

    number: int
    random: Random
    wyoming: tuple[str, int]
    url: str
    voices: tuple[str | None, ...]
    """Voices to choose from; None is the default voice."""
    upload: tuple[Path, Path]
    """Model and json of a voice that clients upload under names of their own."""
    http: httpx.AsyncClient
    _texts: int = field(default=0)

    def next_text(self) -> str:
        """A text that no client has spoken yet, so that no cache answers."""
        self._texts += 1
        return numbered_text(self.number * _TEXTS_PER_CLIENT + self._texts)

    def choose_voice(self) -> str | None:
        """The default voice mostly, and now and then another one."""
        return self.random.choice(self.voices)


Activity = Callable[[SoakClient], Awaitable[Recording | None]]


async def stream_over_wyoming(client: SoakClient) -> Recording:
    """A language model's words, spoken while they arrive."""
    text, voice = client.next_text(), client.choose_voice()
    return await hear_over_wyoming(client.wyoming, text, voice=voice, word_pause=_WORD_PAUSE)


async def speak_over_wyoming(client: SoakClient) -> Recording:
    """A whole text, as Home Assistant sends it without streaming."""
    recording = Recording()
    voice = client.choose_voice()
    request = Synthesize(client.next_text(), voice=SynthesizeVoice(voice) if voice else None)
    async with asyncio.timeout(PATIENCE), _open_wyoming(client) as (reader, writer):
        await write_event(writer, request.event())
        await receive_speech(EventStream(reader, REPLY_LIMITS), recording, end="audio-stop")
    return recording


async def speak_over_http(client: SoakClient) -> Recording:
    """A text as PCM over HTTP."""
    return await hear_over_http(client.http, client.url, client.next_text(), voice=client.choose_voice())


async def speak_encoded(client: SoakClient) -> Recording:
    """A text in a compressed format: only its start is timed."""
    body = {"input": client.next_text(), "response_format": client.random.choice(_FORMATS)}
    recording = Recording()
    async with client.http.stream("POST", f"{client.url}/v1/audio/speech", json=body) as response:
        await _check(response)
        async for _ in response.aiter_bytes():
            recording.mark_audio()
    return recording


async def speak_as_events(client: SoakClient) -> Recording:
    """A text as PCM in server-sent events."""
    body = {"input": client.next_text(), "response_format": "pcm", "stream_format": "sse"}
    recording = Recording()
    async with client.http.stream("POST", f"{client.url}/v1/audio/speech", json=body) as response:
        await _check(response)
        async for line in response.aiter_lines():
            event = json.loads(line.removeprefix("data: ")) if line.startswith("data: ") else {}
            if event.get("type") == "error":
                raise ActivityFailed(line)
            if audio := event.get("audio"):
                recording.add_audio(len(base64.b64decode(audio)) / 2 / _RATE)
    return recording


async def converse(client: SoakClient) -> Recording:
    """A response over the realtime WebSocket, of text in pieces."""
    recording = Recording()
    async with asyncio.timeout(PATIENCE), _open_session(client) as session:
        recording.began = time.monotonic()
        for word in client.next_text().split():
            await _tell(session, type="input.append", text=f"{word} ")
        await _tell(session, type="input.commit")
        await _receive_response(session, recording, end="response.completed")
    return recording


async def interrupt(client: SoakClient) -> None:
    """Barge-in: a response is cancelled while it plays, and another one spoken to its end."""
    async with asyncio.timeout(PATIENCE), _open_session(client) as session:
        await _tell(session, type="response.create", input=client.next_text())
        while isinstance(await session.recv(), str):
            pass
        await _tell(session, type="barge")
        await _receive_response(session, Recording(), end="response.canceled")
        await _tell(session, type="response.create", input="Yes?")
        await _receive_response(session, Recording(), end="response.completed")


async def leave_early(client: SoakClient) -> None:
    """A connection that is reset in the middle of a text."""
    async with asyncio.timeout(PATIENCE), _open_wyoming(client) as (reader, writer):
        await write_event(writer, SynthesizeStart().event())
        await write_event(writer, SynthesizeChunk(client.next_text()).event())
        await reader.readexactly(client.random.choice((1, 20_000)))
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()


async def leave_unfinished(client: SoakClient) -> None:
    """A connection that ends in the middle of an event."""
    event = encode_event(Synthesize(client.next_text()).event())
    async with _open_wyoming(client) as (_, writer):
        writer.write(event[: client.random.randrange(1, len(event))])
        await writer.drain()


async def upload_and_delete(client: SoakClient) -> Recording:
    """A voice that is uploaded, spoken with, and deleted."""
    name = f"en_US-soak{client.number}-low"
    model, config = client.upload
    for suffix, path in ((".onnx.json", config), (".onnx", model)):
        content = await asyncio.to_thread(path.read_bytes)
        upload = f"{client.url}/page/voices/upload/{name}{suffix}"
        await _check(await client.http.post(upload, content=content))
    recording = await hear_over_http(client.http, client.url, client.next_text(), voice=name)
    plan = await client.http.post(f"{client.url}/page/voices/plan-removal", json={"name": name})
    await _check(plan)
    body = {"name": name, "files": plan.json()["files"]}
    await _check(await client.http.post(f"{client.url}/page/voices/remove", json=body))
    return recording


async def visit_page(client: SoakClient) -> None:
    """The page, and what it asks for."""
    await _check(await client.http.get(f"{client.url}/", headers={"Accept": "text/html"}))
    await _wait_until_built(client)
    for path in _VISITED:
        await _check(await client.http.get(f"{client.url}{path}"))


async def _wait_until_built(client: SoakClient) -> None:
    """Ask again while the page is being built, which the first visit starts."""
    async with asyncio.timeout(PATIENCE):
        config = await client.http.get(f"{client.url}/config")
        while config.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            await asyncio.sleep(_RELOAD_EVERY)
            config = await client.http.get(f"{client.url}/config")


async def scrape(client: SoakClient) -> None:
    """What monitoring asks for."""
    for path in ("/metrics", "/healthz", "/readyz", "/v1/audio/voices"):
        await _check(await client.http.get(f"{client.url}{path}"))


ACTIVITIES: dict[Activity, int] = {
    stream_over_wyoming: 6,
    speak_over_wyoming: 3,
    speak_over_http: 3,
    speak_encoded: 3,
    speak_as_events: 2,
    converse: 3,
    interrupt: 2,
    leave_early: 2,
    leave_unfinished: 1,
    upload_and_delete: 1,
    visit_page: 1,
    scrape: 1,
}
"""Activities with their weights."""


async def _check(response: httpx.Response) -> None:
    if response.is_error:
        await response.aread()
        raise ActivityFailed(f"HTTP {response.status_code} at {response.url.path}: {response.text[:200]}")


@asynccontextmanager
async def _open_wyoming(
    client: SoakClient,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(*client.wyoming)
    try:
        yield reader, writer
    finally:
        writer.close()


@asynccontextmanager
async def _open_session(client: SoakClient) -> AsyncIterator[ClientConnection]:
    url = client.url.replace("http", "ws", 1) + "/v1/audio/speech/stream/ws"
    async with connect(url, proxy=None) as session:
        audio = {"format": "pcm", "sample_rate": _RATE, "binary": True}
        await _tell(session, type="session.update", session={"voice": client.choose_voice(), "audio": audio})
        yield session


async def _tell(socket_: ClientConnection, /, **message: Any) -> None:
    await socket_.send(json.dumps(message))


async def _receive_response(session: ClientConnection, recording: Recording, *, end: str) -> None:
    async for message in session:
        if isinstance(message, bytes):
            recording.add_audio(len(message) / 2 / _RATE)
            continue
        event = json.loads(message)
        if event["type"] == "response.error":
            raise ActivityFailed(message)
        if event["type"] == end:
            return
    raise ActivityFailed(f"the session ended before {end}")
