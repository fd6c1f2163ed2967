"""What a transport is given: speech, and for HTTP also what can be asked for and how the server is doing.

Written as protocols, so that no transport knows how speech is made, and a test needs no engine.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from wyoming_tts.speech import AudioChunk, AudioFormat, Utterance


class AudioStream(Protocol):
    """An utterance on its way to a listener: its audio in order, pulled when there is room for it."""

    @property
    def format(self) -> AudioFormat:
        """The format of all its chunks; its rate is the one that the utterance asks for."""
        ...

    def __aiter__(self) -> AsyncIterator[AudioChunk]: ...


class SpeechSynthesis(Protocol):
    """What a transport needs of the synthesizer."""

    def speak(self, utterance: Utterance) -> AbstractAsyncContextManager[AudioStream]:
        """Entering resolves the voice and may wait for it; leaving the block cancels the work.

        Raises:
            SpeechError: on entering or while iterating; the utterance ends there.
        """
        ...


@dataclass(frozen=True, slots=True)
class AvailableVoice:
    """A voice that can be asked for by name."""

    name: str
    language: str
    """As `en_US`."""
    engine: str
    description: str
    speakers: tuple[str, ...] = ()
    """Empty for a voice of one speaker."""
    sample_rate: int | None = None
    """Hz; None where that is known only once it is installed."""
    is_installed: bool = True
    """False: it is fetched when it is asked for."""


class SpeechService(SpeechSynthesis, Protocol):
    """What the HTTP API speaks for."""

    def voices(self) -> Sequence[AvailableVoice]:
        """What can be asked for, by name. Called on the event loop: quick."""
        ...

    async def blend(self, recipe: str, name: str | None) -> AvailableVoice:
        """Mix Kokoro voices by a recipe; kept under the name if there is one.

        Raises:
            SpeechError: the recipe or the name cannot be used, or a voice of it is not here.
        """
        ...

    def is_ready(self) -> bool:
        """Whether the default voice, or its stand-in, has spoken once."""
        ...

    async def status(self) -> Mapping[str, object]:
        """How the server is doing, as JSON: versions, engines, voices, load, queue, memory, uptime."""
        ...

    async def metrics(self) -> bytes:
        """The same in Prometheus' text format."""
        ...
