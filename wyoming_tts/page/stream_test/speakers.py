"""Speech clients of a stream test, by kind: they send one text to one server and pass on what is heard."""

from __future__ import annotations

from collections.abc import AsyncIterable
from functools import partial
from typing import Protocol

from wyoming_tts.client import ClientTimeouts, OnAudio, OnWords, speak
from wyoming_tts.page.stream_test.request import ClientKind
from wyoming_tts.page.stream_test.targets import StreamTestTarget
from wyoming_tts.speech import VoiceRequest

_TIMEOUTS = ClientTimeouts(connect=5.0, answer=30.0)


class Speaker(Protocol):
    """Has one server speak a text by one protocol, on a connection of its own."""

    async def __call__(self, pieces: AsyncIterable[str], *, on_audio: OnAudio, on_words: OnWords) -> object:
        """Send the pieces as they come, and pass on what is heard.

        Raises:
            ClientError: as for `client.speak`.
        """
        ...


def make_speaker(kind: ClientKind, target: StreamTestTarget, voice: str) -> Speaker:
    """Make a speaker for a voice, or for the server's default if that is empty.

    Blocks: what the web needs is imported now, so that no client waits for it.
    """
    name = voice.strip() or None
    if kind.is_web:
        from wyoming_tts.page.stream_test import web_clients  # noqa: PLC0415

        by_web = web_clients.speak_over_http if kind is ClientKind.HTTP else web_clients.speak_over_realtime
        return partial(by_web, target, voice=name, timeouts=_TIMEOUTS)
    return partial(_speak_wyoming, target.uri, voice=VoiceRequest(name=name), streaming=kind.streams_text)


async def _speak_wyoming(
    uri: str,
    pieces: AsyncIterable[str],
    *,
    on_audio: OnAudio,
    on_words: OnWords,
    voice: VoiceRequest,
    streaming: bool,
) -> None:
    await speak(
        uri,
        pieces,
        on_audio=on_audio,
        on_words=on_words,
        voice=voice,
        streaming=streaming,
        timeouts=_TIMEOUTS,
    )
