"""Pipecat's OpenAI text-to-speech service with this server's voices, at the sample rate of the pipeline.

Pipecat's own class refuses every voice that is not OpenAI's, and takes 24 kHz for granted. It also ends a
turn after 3 seconds without audio, so each request says how long something may take to be heard.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from pipecat.frames.frames import ErrorFrame, Frame, StartFrame, TTSAudioRawFrame
from pipecat.services.openai.tts import OpenAITTSService

PATIENCE = 2.0
"""Seconds, less than Pipecat's 3: then another voice speaks for one that is not loaded, or silence is
sent."""


class WyomingOpenAITTSService(OpenAITTSService):
    """Speaks each sentence by a request of its own, in any of the server's voices."""

    def __init__(
        self,
        *,
        base_url: str = "http://localhost:8880/v1",
        api_key: str = "none",
        voice: str | None = None,
        language: str | None = None,
        speed: float | None = None,
        patience: float = PATIENCE,
        **options: Any,
    ) -> None:
        """Prepare to speak; without a voice it is the server's default. `options` are Pipecat's own."""
        settings = self.Settings(model="tts-1", voice=voice, language=language, speed=speed)
        super().__init__(api_key=api_key, base_url=base_url, settings=settings, **options)
        self._patience = patience

    async def start(self, frame: StartFrame) -> None:
        """Start without the warning about rates other than 24 kHz."""
        await super(OpenAITTSService, self).start(frame)

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        """Speak a sentence; closing the generator closes the request, which stops the synthesis."""
        try:
            async with self._client.audio.speech.with_streaming_response.create(
                **self._request(text)
            ) as answer:
                await self.start_tts_usage_metrics(text)
                async for pcm in answer.iter_bytes(self.chunk_size):
                    await self.stop_ttfb_metrics()
                    yield TTSAudioRawFrame(pcm, self.sample_rate, 1, context_id=context_id)
        except Exception as error:  # noqa: BLE001 - in mid-body it is of the HTTP client, whichever that is
            yield ErrorFrame(error=f"No speech from {self._client.base_url}: {error}")

    def _request(self, text: str) -> dict[str, Any]:
        settings = self._settings
        language = None if settings.language is None else str(settings.language)
        own = {"language": language, "sample_rate": self.sample_rate, "patience": self._patience}
        request: dict[str, Any] = {
            "input": text,
            "model": settings.model,
            "response_format": "pcm",
            "voice": settings.voice,
            "extra_body": own,
        }
        return request | ({"speed": settings.speed} if settings.speed else {})
