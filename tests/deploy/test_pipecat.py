"""The service for Pipecat against the real WebSocket, on a stand-in for what it uses of Pipecat.

`script/show-pipecat` runs it in the real package.
"""

from __future__ import annotations

import asyncio
import runpy
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from websockets.asyncio.client import connect

from tests.support.fake_synthesizer import RATE, FakeSynthesizer, speech_pcm
from tests.support.realtime_server import realtime_server

SERVICE = Path(__file__).parents[2] / "deploy" / "pipecat" / "wyoming_tts_service.py"


@dataclass
class Frame:
    pcm: bytes = b""
    rate: int = 0
    channels: int = 0
    context_id: str = ""


class Stopped(Frame):
    """The frame that ends a context."""


@dataclass
class Context:
    """What was put into an audio context, in order."""

    items: list[object] = field(default_factory=list)
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class WebsocketTTSService:
    """Pipecat's class of that name, as far as the service uses it."""

    sample_rate = RATE

    def __init__(self, *, settings: Any, **options: Any) -> None:
        self._settings, self._options = settings, options
        self._websocket: Any = None
        self.contexts: dict[str, Context] = {}
        self.errors: list[str] = []

    async def start(self, _: object) -> None: ...

    async def stop_all_metrics(self) -> None: ...

    async def on_audio_context_interrupted(self, context_id: str) -> None:
        del self.contexts[context_id]

    async def _connect(self) -> None: ...

    async def _disconnect(self) -> None: ...

    async def _report_error(self, _: object) -> None: ...

    async def _websocket_connect(self, url: str, **options: Any) -> Any:
        return await connect(url, **options)

    async def _receive_task_handler(self, _: object) -> None:
        await self._receive_messages()  # type: ignore[attr-defined]

    def create_task(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return asyncio.create_task(work)

    async def cancel_task(self, task: asyncio.Task[None]) -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    def audio_context_available(self, context_id: str) -> bool:
        return context_id in self.contexts

    async def add_word_timestamps(self, words: list[tuple[str, float]], context_id: str) -> None:
        self.contexts[context_id].items += words

    async def append_to_audio_context(self, context_id: str, frame: Frame) -> None:
        self.contexts[context_id].items.append(frame)

    async def remove_audio_context(self, context_id: str) -> None:
        self.contexts[context_id].ended.set()

    async def push_error(self, *, error_msg: str) -> None:
        self.errors.append(error_msg)


@pytest.fixture
def make_service(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """The service's class, with the stand-in below it."""
    frames = {"Frame": Frame, "StartFrame": Frame, "TTSAudioRawFrame": Frame, "TTSStoppedFrame": Stopped}
    tts = {
        "WebsocketTTSService": WebsocketTTSService,
        "TextAggregationMode": SimpleNamespace(TOKEN="token"),
    }
    modules: dict[str, dict[str, Any]] = {
        "pipecat": {},
        "pipecat.frames": {},
        "pipecat.frames.frames": frames,
        "pipecat.services": {},
        "pipecat.services.settings": {"TTSSettings": SimpleNamespace},
        "pipecat.services.tts_service": tts,
    }
    for name, content in modules.items():
        module = ModuleType(name)
        module.__dict__.update(content)
        monkeypatch.setitem(sys.modules, name, module)
    made: Callable[..., Any] = runpy.run_path(str(SERVICE))["WyomingTTSService"]
    return made


@asynccontextmanager
async def connected(make_service: Callable[..., Any], fake: FakeSynthesizer) -> AsyncIterator[Any]:
    fake.tells_words = True
    async with realtime_server(fake) as server:
        service = make_service(url=server.url, voice="amy", language="en")
        await service.start(Frame())
        try:
            yield service
        finally:
            await service._disconnect()
    assert service.errors == []


async def say(service: Any, context_id: str, *tokens: str) -> Context:
    context = service.contexts[context_id] = Context()
    for token in tokens:
        assert [frame async for frame in service.run_tts(token, context_id)] == [None]
    return context


async def test_a_turn_is_one_response_with_its_words_before_their_audio(
    make_service: Callable[..., Any],
) -> None:
    fake = FakeSynthesizer()
    async with connected(make_service, fake) as service:
        context = await say(service, "turn", "Good", " morning")
        await service.flush_audio("turn")
        await context.ended.wait()

    seconds = 5 * 300 / RATE
    first, good, second, morning, stopped = context.items
    assert (first, second) == (("Good", 0.0), ("morning", round(seconds, 3)))
    assert (good, morning) == (
        Frame(speech_pcm("Good"), RATE, 1, "turn"),
        Frame(speech_pcm(" morning"), RATE, 1, "turn"),
    )
    assert isinstance(stopped, Stopped)
    (utterance,) = fake.utterances
    assert (utterance.voice.name, utterance.voice.language) == ("amy", "en")
    assert (utterance.patience, utterance.keeps_alive) == (2.0, True)


async def test_an_interruption_stops_the_response_and_the_next_turn_is_spoken(
    make_service: Callable[..., Any],
) -> None:
    fake = FakeSynthesizer()
    held = asyncio.Event()

    async def hold(_: object, number: int) -> None:
        if number:
            await held.wait()

    fake.on_chunk = hold
    async with connected(make_service, fake) as service:
        await say(service, "first", "Good", " morning")
        await fake.until(lambda: fake.pulled == 1)
        await service.on_audio_context_interrupted("first")
        await fake.until(lambda: fake.left == 1)
        held.set()
        context = await say(service, "second", "Yes?")
        await service.flush_audio("second")
        await context.ended.wait()

    assert context.items[:2] == [("Yes", 0.0), Frame(speech_pcm("Yes?"), RATE, 1, "second")]


async def test_a_turn_that_is_complete_can_be_interrupted_while_it_plays(
    make_service: Callable[..., Any],
) -> None:
    async with connected(make_service, FakeSynthesizer()) as service:
        context = await say(service, "turn", "Good")
        await service.flush_audio("turn")
        await context.ended.wait()
        await service.on_audio_context_interrupted("turn")
        last = await say(service, "next", "Yes?")
        await service.flush_audio("next")
        await last.ended.wait()


async def test_a_server_that_is_not_there_is_reported(make_service: Callable[..., Any]) -> None:
    service = make_service(url="ws://127.0.0.1:9/nothing")
    service.push_error = lambda error_msg, exception: remember(service, error_msg, exception)
    await service.start(Frame())
    assert service.errors[0].startswith("No connection to ws://127.0.0.1:9/nothing: ")


async def remember(service: Any, message: str, _: Exception) -> None:
    service.errors.append(message)
