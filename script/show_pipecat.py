"""Demonstration of the service for Pipecat, in its environment: run by script/show-pipecat.

A pipeline speaks three turns through a server that it starts, as a voice agent would: a writer in place of a
language model, the service, an output that plays in real time, and the context of the conversation. Each
check that passes prints a line; the first failure ends the run.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import re
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator
from typing import Any

from loguru import logger
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    EndFrame,
    Frame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    OutputAudioRawFrame,
    StartFrame,
    TTSTextFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import TransportParams
from pipecat.workers.runner import WorkerRunner
from wyoming_tts_service import WyomingTTSService

RATE = 24_000
TURN = "It is **25 °C** in Dr. Moore's garden, and 3 birds sing. Shall I open the window for you?"
WORDS = [
    *("It", "is", "25 °C", "in", "Dr.", "Moore's", "garden", "and", "3", "birds", "sing"),
    *("Shall", "I", "open", "the", "window", "for", "you"),
]
INTERRUPTED_AFTER = 2.6
"""Seconds of playing."""
LATEST = 0.15
"""Seconds by which Pipecat may pass a word on too late, on a busy machine."""


class RealTimeOutput(BaseOutputTransport):  # type: ignore[misc]
    """Plays audio into the void, as fast as a loudspeaker would."""

    def __init__(self) -> None:
        super().__init__(TransportParams(audio_out_enabled=True))
        self._played_until = 0.0

    async def start(self, frame: StartFrame) -> None:
        """Take audio from now on."""
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        """Wait for as long as the audio lasts."""
        now = time.monotonic()
        self._played_until = max(self._played_until, now) + len(frame.audio) / 2 / frame.sample_rate
        await asyncio.sleep(self._played_until - now)
        return True


class WordLog(FrameProcessor):  # type: ignore[misc]
    """Notes when each word passes, in seconds after the bot began to speak."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[tuple[float, str]] = []
        self.started, self.stopped = asyncio.Event(), asyncio.Event()
        self._start = 0.0

    def clear(self) -> None:
        """Forget the turn before."""
        self.words.clear()
        self.started.clear()
        self.stopped.clear()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Note what passes, and pass it on."""
        await super().process_frame(frame, direction)
        if isinstance(frame, BotStartedSpeakingFrame):
            self._start = time.monotonic()
            self.started.set()
        elif isinstance(frame, BotStoppedSpeakingFrame):
            self.stopped.set()
        elif isinstance(frame, TTSTextFrame):
            await self.started.wait()
            self.words.append((time.monotonic() - self._start, frame.text))
            print(f"       {self.words[-1][0]:6.2f} s  {frame.text}", flush=True)
        await self.push_frame(frame, direction)


class Conversation:
    """A running pipeline."""

    def __init__(self, url: str, voice: str) -> None:
        self.log = WordLog()
        self._context = LLMContext()
        parts = [
            WyomingTTSService(url=url, voice=voice),
            RealTimeOutput(),
            self.log,
            LLMContextAggregatorPair(self._context).assistant(),
        ]
        self.worker = PipelineWorker(
            Pipeline(parts),
            params=PipelineParams(audio_out_sample_rate=RATE),
            cancel_on_idle_timeout=False,
            enable_rtvi=False,
        )

    async def write(self, text: str) -> None:
        """Write a turn, word by word, as a language model does."""
        self.log.clear()
        await self.worker.queue_frame(LLMFullResponseStartFrame())
        for token in re.findall(r"\s*\S+", text):
            await self.worker.queue_frame(LLMTextFrame(token))
        await self.worker.queue_frame(LLMFullResponseEndFrame())

    async def remembered(self) -> str:
        """The last turn as the context has it."""
        await asyncio.sleep(0.5)  # the end of the turn follows the last word
        messages: list[dict[str, Any]] = self._context.get_messages()
        return str(messages[-1]["content"]) if messages else ""


async def main() -> None:
    """Run the demonstration."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", required=True, help="the program wyoming-tts")
    parser.add_argument("--voice", default="espeak-en-us")
    parser.add_argument("--data-dir", default=None, help="directory of the voice")
    asked = parser.parse_args()
    logger.remove()
    logger.add(sys.stderr, level="WARNING")
    async with _running_server(asked) as url:
        conversation = Conversation(url, asked.voice)
        runner = WorkerRunner()
        await runner.add_workers(conversation.worker)
        async with asyncio.TaskGroup() as group:
            group.create_task(runner.run())
            async with asyncio.timeout(120):
                await _show_words(conversation)
                await _show_interruption(conversation)
                await _show_words(conversation)
                await conversation.worker.queue_frame(EndFrame())


async def _show_words(conversation: Conversation) -> None:
    print("A turn to its end:", flush=True)
    await conversation.write(TURN)
    await conversation.log.stopped.wait()
    words = [word for _, word in conversation.log.words]
    times = [at for at, _ in conversation.log.words]
    _hold(words == WORDS, "each word is told once, as it was written", words)
    _hold(
        times == sorted(times) and times[-1] > INTERRUPTED_AFTER, "when it sounds, not when it arrives", times
    )
    _hold(await conversation.remembered() == TURN, "the context has the turn as it was written")


async def _show_interruption(conversation: Conversation) -> None:
    print(f"A turn that is interrupted after {INTERRUPTED_AFTER:g} s:", flush=True)
    await conversation.write(TURN)
    await conversation.log.started.wait()
    await asyncio.sleep(INTERRUPTED_AFTER)
    await conversation.worker.queue_frame(InterruptionFrame())
    remembered = await conversation.remembered()
    last = conversation.log.words[-1]
    _hold(last[0] < INTERRUPTED_AFTER + LATEST, "no word is told after that", last)
    _hold(
        TURN.startswith(remembered) and remembered.rstrip(".,*").endswith(last[1]),
        f"the context ends with the word that sounded: {remembered!r}",
        last,
    )
    told = [word for _, word in conversation.log.words]
    _hold(told == WORDS[: len(told)] and len(told) < len(WORDS), "and has no word that did not", told)


@contextlib.asynccontextmanager
async def _running_server(asked: argparse.Namespace) -> AsyncIterator[str]:
    """Run a server on a free loopback port; gives the address of its WebSocket."""
    voices = ("--data-dir", asked.data_dir) if asked.data_dir else ()
    server = await asyncio.create_subprocess_exec(
        *(
            asked.server,
            "serve",
            "--uri",
            "tcp://127.0.0.1:0",
            "--http-host",
            "127.0.0.1",
            "--http-port",
            "0",
        ),
        *("--no-zeroconf", "--no-ui", "--no-metrics", "--offline", "--voice", asked.voice, *voices),
        stdin=DEVNULL,
        stderr=PIPE,
    )
    try:
        async with asyncio.timeout(60):
            port = await _http_port(server)
        yield f"ws://127.0.0.1:{port}/v1/audio/speech/stream/ws"
    finally:
        server.terminate()
        await server.communicate()


async def _http_port(server: asyncio.subprocess.Process) -> int:
    assert server.stderr is not None
    port, is_ready = 0, False
    while line := (await server.stderr.readline()).decode():
        if found := re.search(r"HTTP API listens on http://\S+:(\d+)", line):
            port = int(found[1])
        is_ready = is_ready or ": Ready: " in line
        if port and is_ready:
            return port
    raise CheckFailed("The server ended before it listened.")


class CheckFailed(Exception):
    """A check failed."""


def _hold(holds: bool, what: str, got: object = None) -> None:  # noqa: FBT001 -- the condition itself
    if not holds:
        raise CheckFailed(f"{what}: it does not hold" + (f": {got}" if got is not None else "."))
    print(f"ok     {what}", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
