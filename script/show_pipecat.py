"""Demonstration of the services for Pipecat, in its environment: run by script/show-pipecat.

Pipelines speak through a server that the script starts, as a voice agent would: a writer in place of a
language model, a service, an output that plays in real time, and the context of the conversation. First by
the WebSocket, whose words come as they sound, then by OpenAI's API. Each check that passes prints a line; the
first failure ends the run.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator
from typing import Any

from agent_server import LATE_SECONDS, LATE_VOICE, AgentServer, arguments, hold, running_server
from loguru import logger
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    ErrorFrame,
    Frame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    OutputAudioRawFrame,
    StartFrame,
    TTSAudioRawFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.tts_service import TTSService
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import TransportParams
from pipecat.workers.runner import WorkerRunner
from wyoming_openai_tts import WyomingOpenAITTSService
from wyoming_tts_service import WyomingTTSService

RATE = 24_000
TURN = "It is **25 °C** in Dr. Moore's garden, and 3 birds sing. Shall I open the window for you?"
WORDS = [
    *("It", "is", "25 °C", "in", "Dr.", "Moore's", "garden", "and", "3", "birds", "sing"),
    *("Shall", "I", "open", "the", "window", "for", "you"),
]
LONG = "The river runs through the valley, " * 400 + "and the valley lies in the evening light."
TURN_SECONDS = (4, 9)
"""What the turn takes, by any voice."""
IN_TIME = 3
"""Seconds after which Pipecat ends a turn without audio."""
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


class SpeechLog(FrameProcessor):  # type: ignore[misc]
    """Notes what leaves the service, before it is played, and what it reports."""

    def __init__(self) -> None:
        super().__init__()
        self.clear()

    def clear(self) -> None:
        """Forget the turn before."""
        self.seconds = 0.0
        self.first_audio: float | None = None
        self.stopped = asyncio.Event()
        self._start = time.monotonic()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Note what passes, and pass it on."""
        await super().process_frame(frame, direction)
        if isinstance(frame, TTSAudioRawFrame):
            self.first_audio = self.first_audio or time.monotonic() - self._start
            self.seconds += len(frame.audio) / 2 / frame.sample_rate
        elif isinstance(frame, TTSStoppedFrame):
            self.stopped.set()
        await self.push_frame(frame, direction)


class ErrorLog(FrameProcessor):  # type: ignore[misc]
    """Notes what is reported to the beginning of the pipeline."""

    def __init__(self) -> None:
        super().__init__()
        self.errors: asyncio.Queue[str] = asyncio.Queue()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Note errors, and pass everything on."""
        await super().process_frame(frame, direction)
        if isinstance(frame, ErrorFrame):
            self.errors.put_nowait(frame.error)
        await self.push_frame(frame, direction)


class Conversation:
    """A running pipeline."""

    def __init__(self, service: TTSService, rate: int = RATE) -> None:
        self.log, self.speech, self.reports = WordLog(), SpeechLog(), ErrorLog()
        self._context = LLMContext()
        parts = [
            self.reports,
            service,
            self.speech,
            RealTimeOutput(),
            self.log,
            LLMContextAggregatorPair(self._context).assistant(),
        ]
        self.worker = PipelineWorker(
            Pipeline(parts),
            params=PipelineParams(audio_out_sample_rate=rate),
            cancel_on_idle_timeout=False,
            enable_rtvi=False,
        )

    async def write(self, text: str) -> None:
        """Write a turn, word by word, as a language model does."""
        self.log.clear()
        self.speech.clear()
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
    asked = arguments(__doc__)
    logger.remove()
    async with running_server(asked) as server, asyncio.timeout(240):
        async with conversation(WyomingTTSService(url=server.socket, voice=asked.voice)) as speaking:
            await _show_words(speaking)
            await _show_interruption(speaking)
            await _show_words(speaking)
        for rate in (RATE, 16_000):
            service = WyomingOpenAITTSService(base_url=server.api, voice=asked.voice)
            async with conversation(service, rate) as speaking:
                await _show_turn(speaking, rate)
                await _show_interrupted_request(speaking, server)
        await _show_error(server)
        await _show_late_voice(server)


@contextlib.asynccontextmanager
async def conversation(service: TTSService, rate: int = RATE) -> AsyncIterator[Conversation]:
    """Run a pipeline with a service."""
    speaking = Conversation(service, rate)
    runner = WorkerRunner()
    await runner.add_workers(speaking.worker)
    async with asyncio.TaskGroup() as group:
        group.create_task(runner.run())
        yield speaking
        # In Pipecat 1.14 an EndFrame never leaves a service whose last turn had no audio.
        await speaking.worker.cancel()


async def _show_words(conversation: Conversation) -> None:
    print("A turn to its end:", flush=True)
    await conversation.write(TURN)
    await conversation.log.stopped.wait()
    words = [word for _, word in conversation.log.words]
    times = [at for at, _ in conversation.log.words]
    hold(words == WORDS, "each word is told once, as it was written", words)
    hold(
        times == sorted(times) and times[-1] > INTERRUPTED_AFTER, "when it sounds, not when it arrives", times
    )
    hold(await conversation.remembered() == TURN, "the context has the turn as it was written")


async def _show_interruption(conversation: Conversation) -> None:
    print(f"A turn that is interrupted after {INTERRUPTED_AFTER:g} s:", flush=True)
    await conversation.write(TURN)
    await conversation.log.started.wait()
    await asyncio.sleep(INTERRUPTED_AFTER)
    await conversation.worker.queue_frame(InterruptionFrame())
    remembered = await conversation.remembered()
    last = conversation.log.words[-1]
    hold(last[0] < INTERRUPTED_AFTER + LATEST, "no word is told after that", last)
    hold(
        TURN.startswith(remembered) and remembered.rstrip(".,*").endswith(last[1]),
        f"the context ends with the word that sounded: {remembered!r}",
        last,
    )
    told = [word for _, word in conversation.log.words]
    hold(told == WORDS[: len(told)] and len(told) < len(WORDS), "and has no word that did not", told)


async def _show_turn(speaking: Conversation, rate: int) -> None:
    print(f"By OpenAI's API, at {rate} Hz: a turn to its end:", flush=True)
    await speaking.write(TURN)
    await speaking.log.stopped.wait()
    shortest, longest = TURN_SECONDS
    hold(
        shortest < speaking.speech.seconds < longest, f"all of it is spoken: {speaking.speech.seconds:.2f} s"
    )
    hold(await speaking.remembered() == TURN, "the context has the turn as it was written")


async def _show_interrupted_request(speaking: Conversation, server: AgentServer) -> None:
    print("A long turn that is interrupted:", flush=True)
    await speaking.write(LONG)
    await speaking.log.started.wait()
    hold(await server.streams() == 1, "it is being spoken")
    await speaking.worker.queue_frame(InterruptionFrame())
    hold(await server.is_idle(within=3), "no utterance is left on the server")


async def _show_error(server: AgentServer) -> None:
    print("A voice that is not there:", flush=True)
    service = WyomingOpenAITTSService(base_url=server.api, voice="nobody")
    async with conversation(service) as speaking:
        await speaking.write("Hello.")
        error = await speaking.reports.errors.get()
        hold("nobody" in error, f"is reported: {error}")


async def _show_late_voice(server: AgentServer) -> None:
    print(f"A voice whose audio comes after {LATE_SECONDS:g} s, by the WebSocket:", flush=True)
    async with conversation(WyomingTTSService(url=server.socket, voice=LATE_VOICE)) as speaking:
        await speaking.write("Good evening.")
        await speaking.log.stopped.wait()
        first, words = speaking.speech.first_audio, speaking.log.words
        hold(first is not None and first < IN_TIME, f"it gets silence after {first or 0:.2f} s", first)
        hold(words[0][0] > LATE_SECONDS - IN_TIME, "and each word when it sounds, after the silence", words)
    print(f"A voice whose audio comes after {LATE_SECONDS:g} s, while Pipecat waits for 3:", flush=True)
    async with conversation(WyomingOpenAITTSService(base_url=server.api, voice=LATE_VOICE)) as speaking:
        await speaking.write("Hello.")
        await speaking.speech.stopped.wait()
        first, seconds = speaking.speech.first_audio, speaking.speech.seconds
        hold(first is not None and first < IN_TIME, f"it gets silence after {first or 0:.2f} s", first)
        hold(
            seconds > LATE_SECONDS - 2, f"until the speech is there, in the same turn: {seconds:.2f} s in all"
        )
        hold(speaking.reports.errors.empty(), "and reports no error")
    impatient = WyomingOpenAITTSService(base_url=server.api, voice=LATE_VOICE, patience=0)
    async with conversation(impatient) as speaking:
        await speaking.write("Good morning.")  # which is not cached
        error = await speaking.reports.errors.get()
        hold(not speaking.speech.seconds, f"without patience it gives up: {error}")
        hold(await server.is_idle(within=LATE_SECONDS + 5), "no utterance is left on the server")


if __name__ == "__main__":
    asyncio.run(main())
