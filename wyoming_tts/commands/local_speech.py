"""Local speech: synthesis in the process of a command, without a server."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterable
from dataclasses import dataclass

from wyoming_tts.assembly.embedding import open_parts
from wyoming_tts.assembly.parts import Parts
from wyoming_tts.client import OnAudio, OnWords, OutputClosed, SpeechMeter, SpeechReport
from wyoming_tts.errors import SpeechError
from wyoming_tts.settings import Settings
from wyoming_tts.speech import TextFormat, Utterance, VoiceRequest
from wyoming_tts.synthesis import Explanation

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ExplainRequest:
    """A text to explain: its stages on the way to sound."""

    text: str
    voice: VoiceRequest
    text_format: TextFormat = TextFormat.PLAIN


async def speak(
    settings: Settings,
    pieces: AsyncIterable[str],
    *,
    on_audio: OnAudio,
    on_words: OnWords | None = None,
    voice: VoiceRequest,
    text_format: TextFormat = TextFormat.PLAIN,
    is_complete: bool = False,
) -> SpeechReport:
    """Synthesize a text and hand its audio over as it is made; `is_complete` as in `Utterance`.

    `on_words` gets the words before the audio in which they begin. Needs no server and downloads nothing.

    Raises:
        SpeechError: the voice is not installed or cannot speak.
    """
    meter = SpeechMeter()
    utterance = Utterance(
        pieces, voice, text_format=text_format, transport="command line", is_complete=is_complete
    )
    async with open_parts(settings) as parts:
        _check_voice(parts, voice)
        try:
            async with parts.synthesizer.speak(utterance) as stream:
                meter.mark_text_sent()
                await on_audio(stream.format, b"")
                meter.add_audio(stream.format, b"")
                async for chunk in stream:
                    meter.add_audio(chunk.format, chunk.pcm)
                    if on_words is not None and chunk.words:
                        on_words(chunk.words)
                    await on_audio(chunk.format, chunk.pcm)
        except OutputClosed:
            return meter.report(complete=False)
    return meter.report()


async def explain(
    settings: Settings, requests: AsyncIterable[ExplainRequest]
) -> AsyncGenerator[Explanation | SpeechError, None]:
    """Yield for each request the stages of its text, in order, or the error of one that cannot be spoken."""
    async with open_parts(settings) as parts:
        async for request in requests:
            try:
                yield await parts.synthesizer.explain(
                    Utterance.of(
                        request.text,
                        voice=request.voice,
                        text_format=request.text_format,
                        transport="command line",
                    )
                )
            except SpeechError as error:
                yield error


def _check_voice(parts: Parts, voice: VoiceRequest) -> None:
    if voice.name is not None:
        parts.library.installed(voice.name)
    elif voice.language is None and not parts.library.default_is_installed:
        _LOGGER.warning(
            "The voice %s is not installed: %s speaks instead.",
            parts.settings.voice,
            parts.library.fallback_voice().name,
        )
