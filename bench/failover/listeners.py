"""Load of the failover demonstration: listeners that send request after request and record each outcome."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import httpx
from wyoming.tts import SynthesizeChunk, SynthesizeStart, SynthesizeStop

from bench.failover.cluster import LOOPBACK, PATIENCE, wait_until
from wyoming_tts.wyoming_framing import REPLY_LIMITS, EventStream, ProtocolError, write_event

_WORDS_PER_SECOND = 12
"""Pace of streamed text over Wyoming: that of a fast language model."""
_SENTENCE = (
    "the kettle sings while rain walks over the roof and somebody reads aloud from a long letter "
    "about a harbour where boats wait for the tide and gulls talk of nothing but fish"
)
_HTTP_SENTENCES = 4
"""More audio than a server synthesizes ahead of its listener (30 s), so that requests stay in flight."""


@dataclass(slots=True)
class RequestRecord:
    """A request and its outcome; times by `time.monotonic`."""

    began: float
    port: int = 0
    """The client's port, which HAProxy's log names too."""
    first_audio: float | None = None
    ended: float | None = None
    audio_bytes: int = 0
    failure: str = ""

    @property
    def waited(self) -> float:
        """Seconds from the first text to the first audio."""
        return (self.first_audio or time.monotonic()) - self.began


Listener = Callable[[str, RequestRecord], Awaitable[None]]
"""Sends a request with a text, and receives the speech to its end."""


async def speak_over_wyoming(port: int, text: str, record: RequestRecord) -> None:
    """Stream a text word by word over Wyoming, and receive the speech to its end."""
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    try:
        record.port = writer.get_extra_info("sockname")[1]
        async with asyncio.TaskGroup() as tasks:
            writing = tasks.create_task(_write_words(writer, text))
            await _receive_events(reader, record)
            writing.cancel()
    finally:
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)


async def _write_words(writer: asyncio.StreamWriter, text: str) -> None:
    try:
        await write_event(writer, SynthesizeStart().event())
        for word in text.split():
            await write_event(writer, SynthesizeChunk(f"{word} ").event())
            await asyncio.sleep(1 / _WORDS_PER_SECOND)
        await write_event(writer, SynthesizeStop().event())
    except OSError:
        return  # the reader meets the error too, and records what was lost


async def _receive_events(reader: asyncio.StreamReader, record: RequestRecord) -> None:
    events = EventStream(reader, REPLY_LIMITS)
    try:
        while True:
            event = await events.read_event()
            if event.type == "error":
                record.failure = str(event.data.get("text"))
            elif event.type == "audio-chunk":
                _record_audio(record, event.payload or b"")
            elif event.type == "synthesize-stopped":
                return
    except (OSError, EOFError, ProtocolError) as error:
        record.failure = f"{type(error).__name__}: {error}"


async def speak_over_http(port: int, text: str, record: RequestRecord, *, voice: str = "") -> None:
    """Request a text over HTTP, and receive the speech to its end."""
    body = {"input": text, "response_format": "pcm"} | ({"voice": voice} if voice else {})
    async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as client:
        try:
            async with client.stream(
                "POST", f"http://{LOOPBACK}:{port}/v1/audio/speech", json=body
            ) as response:
                network = response.extensions["network_stream"]
                record.port = network.get_extra_info("client_addr")[1]
                response.raise_for_status()
                async for pcm in response.aiter_raw():
                    _record_audio(record, pcm)
        except httpx.HTTPError as error:
            record.failure = f"{type(error).__name__}: {error}"


async def speak_long_over_http(port: int, voice: str, text: str, record: RequestRecord) -> None:
    """The same with a text that takes longer than a server speaks ahead of its listener."""
    await speak_over_http(port, " ".join([text] * _HTTP_SENTENCES), record, voice=voice)


async def request_speech(port: int, text: str, *, voice: str = "") -> RequestRecord:
    """Request a text over HTTP; returns what came of it."""
    record = RequestRecord(time.monotonic())
    await speak_over_http(port, text, record, voice=voice)
    record.ended = time.monotonic()
    return record


def _record_audio(record: RequestRecord, pcm: bytes) -> None:
    record.first_audio = record.first_audio or time.monotonic()
    record.audio_bytes += len(pcm)


@dataclass
class ListenerLoad:
    """Listeners that send one request after the other until they are cancelled."""

    requests: list[RequestRecord] = field(default_factory=list)
    _numbers: Any = field(default_factory=count)

    @property
    def finished(self) -> list[RequestRecord]:
        """Requests that have ended, with success or not."""
        return [each for each in self.requests if each.ended is not None]

    def since(self, moment: float) -> list[RequestRecord]:
        """Finished requests that began after a moment."""
        return [each for each in self.finished if each.began > moment]

    async def send_requests(self, listener: Listener) -> None:
        """Run one listener."""
        while True:
            number = next(self._numbers)
            text = f"Number {number}: {_SENTENCE[4 * (number % 7) :]}."  # no two alike
            record = RequestRecord(time.monotonic())
            self.requests.append(record)
            try:
                async with asyncio.timeout(PATIENCE):
                    await listener(text, record)
            except OSError as error:  # a timeout as well
                record.failure = record.failure or f"{type(error).__name__}: {error}"
            if not record.audio_bytes:
                record.failure = record.failure or "no audio came"
            record.ended = time.monotonic()

    async def wait_until(self, enough: Callable[[], bool], what: str) -> None:
        """Wait until the listeners' records meet a condition."""

        async def is_enough() -> bool:
            return enough()

        await wait_until(is_enough, f"Timed out waiting for {what}.")


@asynccontextmanager
async def run_listeners(listeners: Sequence[Listener]) -> AsyncIterator[ListenerLoad]:
    """Run listeners until the block ends, which cancels their requests."""
    load = ListenerLoad()
    tasks = [asyncio.create_task(load.send_requests(listener)) for listener in listeners]
    try:
        yield load
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
