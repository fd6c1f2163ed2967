"""Text-to-speech for LiveKit agents: LiveKit's OpenAI plugin, with this server's address and voices."""

from __future__ import annotations

from livekit.agents import tts
from livekit.plugins import openai


def make_tts(
    *,
    voice: str,
    base_url: str = "http://localhost:8880/v1",
    api_key: str = "none",
    response_format: str = "pcm",
) -> tts.TTS:
    """Make the plugin's TTS, which LiveKit gives one sentence at a time.

    For the model `tts-1` the plugin takes the audio itself; for others it asks for server-sent events with
    the audio in base64, which work as well. PCM needs no decoding and comes in the smallest pieces.
    """
    return openai.TTS(
        model="tts-1",
        voice=voice,
        base_url=base_url,
        api_key=api_key,
        response_format=response_format,
    )
