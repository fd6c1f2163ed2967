"""Text-to-speech service for Pipecat over the realtime WebSocket, which tells it when each word sounds.

A language model's words are sent as they come, and spoken sentence by sentence while it still writes. Pipecat
passes each word on when it sounds, so that after an interruption its context holds no more than was said.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncGenerator
from typing import Any

from pipecat.frames.frames import Frame, StartFrame, TTSAudioRawFrame, TTSStoppedFrame
from pipecat.services.settings import TTSSettings
from pipecat.services.tts_service import TextAggregationMode, WebsocketTTSService
from websockets.exceptions import WebSocketException
from websockets.protocol import State

PATIENCE = 2.0
"""Seconds after which something has to be heard: another voice for one that is not loaded, or silence."""
_LONGEST_PAUSE = 60.0
"""Seconds without audio after which Pipecat ends a turn, in place of its 3. The server tells each end, but a
language model may pause."""


class WyomingTTSService(WebsocketTTSService):
    """Speaks each turn of a conversation as one response of the server, in any of its voices."""

    def __init__(
        self,
        *,
        url: str = "ws://localhost:8880/v1/audio/speech/stream/ws",
        api_key: str | None = None,
        voice: str | None = None,
        language: str | None = None,
        patience: float = PATIENCE,
        **options: Any,
    ) -> None:
        """Prepare to speak; without a voice it is the server's default. `options` are Pipecat's own."""
        options.setdefault("stop_frame_timeout_s", _LONGEST_PAUSE)
        super().__init__(
            text_aggregation_mode=TextAggregationMode.TOKEN,
            push_text_frames=False,  # they come with the times of words
            push_start_frame=True,
            settings=TTSSettings(model=None, voice=voice, language=language),
            **options,
        )
        self._url = url
        self._patience = patience
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._reading: asyncio.Task[None] | None = None

    def can_generate_metrics(self) -> bool:
        """Whether it measures the time to the first audio."""
        return True

    async def start(self, frame: StartFrame) -> None:
        """Connect when the pipeline starts."""
        await super().start(frame)
        await self._connect()

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        """Append text to the turn's response; its audio comes by `_receive_messages`."""
        if not self._websocket or self._websocket.state is State.CLOSED:
            await self._connect()
        await self._send("input.append", text=text, response_id=context_id)
        yield None

    async def flush_audio(self, context_id: str | None = None) -> None:  # noqa: ARG002 - one turn is written at a time
        """End the text of the turn."""
        await self._send("input.commit")

    async def on_audio_context_interrupted(self, context_id: str) -> None:
        """Stop the response if it is not complete."""
        await self.stop_all_metrics()
        await self._send("response.truncate", response=context_id)
        await super().on_audio_context_interrupted(context_id)

    async def _connect(self) -> None:
        await super()._connect()
        await self._connect_websocket()
        if self._websocket and (self._reading is None or self._reading.done()):
            self._reading = self.create_task(self._receive_task_handler(self._report_error))

    async def _disconnect(self) -> None:
        await super()._disconnect()
        if self._reading:
            await self.cancel_task(self._reading)
            self._reading = None
        await self._disconnect_websocket()

    async def _connect_websocket(self) -> None:
        if self._websocket and self._websocket.state is State.OPEN:
            return
        try:
            self._websocket = await self._websocket_connect(
                self._url, additional_headers=self._headers, compression=None
            )
        except (OSError, WebSocketException) as error:
            self._websocket = None
            await self.push_error(error_msg=f"No connection to {self._url}: {error}", exception=error)
        await self._update_session()

    async def _disconnect_websocket(self) -> None:
        if self._websocket:
            await self._websocket.close()
            self._websocket = None

    async def _update_settings(self, delta: TTSSettings) -> dict[str, Any]:
        changed: dict[str, Any] = await super()._update_settings(delta)
        if changed.keys() & {"voice", "language"}:
            await self._update_session()
        return changed

    async def _update_session(self) -> None:
        language = self._settings.language
        session = {
            "voice": self._settings.voice,
            "language": None if language is None else str(language),
            "patience": self._patience,
            "audio": {"sample_rate": self.sample_rate},
        }
        await self._send("session.update", session=session)

    async def _receive_messages(self) -> None:
        async for message in self._websocket:
            event = json.loads(message)
            if event["type"] == "response.error":
                await self.push_error(error_msg=event["message"])
            context_id = event.get("response")
            if context_id is not None and self.audio_context_available(context_id):
                await self._take(event, context_id)

    async def _take(self, event: dict[str, Any], context_id: str) -> None:
        """Put what the server tells of a response behind what it told before."""
        match event["type"]:
            case "response.output_audio.words":
                words = [(word["word"], word["start_ms"] / 1000) for word in event["words"]]
                await self.add_word_timestamps(words, context_id)
            case "response.output_audio.delta":
                pcm = base64.b64decode(event["delta"])
                frame = TTSAudioRawFrame(pcm, self.sample_rate, 1, context_id=context_id)
                await self.append_to_audio_context(context_id, frame)
            case "response.completed" | "response.error":
                await self.append_to_audio_context(context_id, TTSStoppedFrame(context_id=context_id))
                await self.remove_audio_context(context_id)

    async def _send(self, kind: str, **fields: object) -> None:
        if self._websocket:
            await self._websocket.send(json.dumps({"type": kind, **fields}))
