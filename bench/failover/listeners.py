"""Listeners that keep asking three servers behind HAProxy, and note what became of each request."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import httpx
from wyoming.tts import SynthesizeChunk, SynthesizeStart, SynthesizeStop

from bench.failover.cluster import LOOPBACK, PATIENCE, wait_until
from wyoming_tts.wyoming_framing import REPLY_LIMITS, EventStream, ProtocolError, write_event

LISTENERS = 5
"""Of our own; each asks again as soon as it was answered."""
_WORDS_PER_SECOND = 12
"""Pace of text over Wyoming: of a quick language model."""
_SENTENCE = (
    "the kettle sings while rain walks over the roof and somebody reads aloud from a long letter "
    "about a harbour where boats wait for the tide and gulls talk of nothing but fish"
)
_HTTP_SENTENCES = 5
"""More sound than a server makes ahead of its listener (30 s): it speaks as long as the rest lasts."""


@dataclass(slots=True)
class RequestRecord:
    """One request; times by `time.monotonic`."""

    began: float
    port: int = 0
    """The client's: HAProxy's log names it too."""
    first_audio: float | None = None
    ended: float | None = None
    audio_bytes: int = 0
    failure: str = ""

    @property
    def waited(self) -> float:
        """Seconds from the first text to the first audio."""
        return (self.first_audio or time.monotonic()) - self.began


Listener = Callable[[int, str, RequestRecord], Awaitable[None]]


async def speak_over_wyoming(port: int, text: str, utterance: RequestRecord) -> None:
    """Send a text word by word, as it is written, and hear it to its end."""
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    try:
        utterance.port = writer.get_extra_info("sockname")[1]
        async with asyncio.TaskGroup() as tasks:
            writing = tasks.create_task(_write_words(writer, text))
            await _hear_events(reader, utterance)
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
        return  # what reads meets it too, and knows what was lost


async def _hear_events(reader: asyncio.StreamReader, utterance: RequestRecord) -> None:
    events = EventStream(reader, REPLY_LIMITS)
    try:
        while True:
            event = await events.read_event()
            if event.type == "error":
                utterance.failure = str(event.data.get("text"))
            elif event.type == "audio-chunk":
                _note(utterance, event.payload or b"")
            elif event.type == "synthesize-stopped":
                return
    except (OSError, EOFError, ProtocolError) as error:
        utterance.failure = f"{type(error).__name__}: {error}"


async def speak_over_http(port: int, text: str, utterance: RequestRecord) -> None:
    """Ask for all of a text at once, and hear it to its end."""
    wanted = {"input": " ".join([text] * _HTTP_SENTENCES), "response_format": "pcm"}
    async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as client:
        try:
            async with client.stream(
                "POST", f"http://{LOOPBACK}:{port}/v1/audio/speech", json=wanted
            ) as response:
                network = response.extensions["network_stream"]
                utterance.port = network.get_extra_info("client_addr")[1]
                response.raise_for_status()
                async for pcm in response.aiter_bytes():
                    _note(utterance, pcm)
        except httpx.HTTPError as error:
            utterance.failure = f"{type(error).__name__}: {error}"


def _note(utterance: RequestRecord, pcm: bytes) -> None:
    utterance.first_audio = utterance.first_audio or time.monotonic()
    utterance.audio_bytes += len(pcm)


@dataclass
class ListenerLoad:
    """Listeners that ask, one request after the other, until they are told that it is enough."""

    listener: Listener
    port: int
    utterances: list[RequestRecord] = field(default_factory=list)
    _numbers: Any = field(default_factory=count)

    @property
    def finished(self) -> list[RequestRecord]:
        """Those that ended, in whatever way."""
        return [each for each in self.utterances if each.ended is not None]

    def since(self, moment: float) -> list[RequestRecord]:
        """Those that began later, and are over."""
        return [each for each in self.finished if each.began > moment]

    async def keep_asking(self) -> None:
        """Be one listener."""
        while True:
            number = next(self._numbers)
            text = f"Number {number}: {_SENTENCE[4 * (number % 7) :]}."  # no two alike
            utterance = RequestRecord(time.monotonic())
            self.utterances.append(utterance)
            try:
                async with asyncio.timeout(PATIENCE):
                    await self.listener(self.port, text, utterance)
            except OSError as error:  # a timeout as well
                utterance.failure = utterance.failure or f"{type(error).__name__}: {error}"
            if not utterance.audio_bytes:
                utterance.failure = utterance.failure or "no audio came"
            utterance.ended = time.monotonic()

    async def wait_until(self, enough: Callable[[], bool], what: str) -> None:
        """Wait for the listeners."""

        async def is_enough() -> bool:
            return enough()

        await wait_until(is_enough, f"It never came to this: {what}.")


@asynccontextmanager
async def run_listeners(listener: Listener, port: int) -> AsyncIterator[ListenerLoad]:
    """Have listeners ask as long as the block lasts; what they ask at its end is heard to its end."""
    load = ListenerLoad(listener, port)
    tasks = [asyncio.create_task(load.keep_asking()) for _ in range(LISTENERS)]
    try:
        yield load
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
