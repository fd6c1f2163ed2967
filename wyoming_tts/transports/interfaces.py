"""Interfaces of the speech service: how transports reach the synthesizer and the server's state.

They are typing protocols, so that no transport depends on how speech is made, and tests need no engine.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from wyoming_tts.speech import AudioChunk, AudioFormat, SpeakingVoice, Utterance


class AudioStream(Protocol):
    """The audio of one utterance in order, computed as the listener pulls it (backpressure)."""

    @property
    def format(self) -> AudioFormat:
        """The format of every chunk, at the sample rate that the utterance asks for."""
        ...

    @property
    def voice(self) -> SpeakingVoice:
        """The voice that speaks, and why; it may change before a chunk, where the first one fails."""
        ...

    def __aiter__(self) -> AsyncIterator[AudioChunk]: ...


class SpeechSynthesis(Protocol):
    """Speech synthesis: all that the Wyoming and the realtime transport need."""

    def speak(self, utterance: Utterance) -> AbstractAsyncContextManager[AudioStream]:
        """Speak an utterance: entering resolves its voice and may wait for it, leaving cancels the work.

        Raises:
            SpeechError: on entering or while iterating, which ends the utterance.
        """
        ...


@dataclass(frozen=True, slots=True)
class AvailableVoice:
    """A voice that clients can request by name, installed or not."""

    name: str
    language: str
    """A tag such as `en_US`."""
    engine: str
    description: str
    speakers: tuple[str, ...] = ()
    """Names of the speakers; empty for a single-speaker voice."""
    sample_rate: int | None = None
    """Hz; None where it is unknown until the voice is installed."""
    is_installed: bool = True
    """False: it is downloaded when a client requests it, unless there is a problem."""
    problem: str = ""
    """Why it cannot speak although its files are there, and what to do about it."""


@dataclass(frozen=True, slots=True)
class UnloadedModels:
    """The models that were unloaded, by name."""

    freed: Sequence[str]
    in_use: Sequence[str]
    """Those that are freed once the streams that speak with them have ended."""


@dataclass(frozen=True, slots=True)
class RemovedSegments:
    """Segments that were removed from a tier of the cache."""

    segments: int
    bytes: int


@dataclass(frozen=True, slots=True)
class ServiceHealth:
    """Whether the server can speak, and with what, without names of voices or files: anyone may ask."""

    not_ready: str = ""
    """Why it cannot speak, as sentences; empty if it can: the default voice, or its fallback, is warm, and
    the next utterance would not be refused as busy."""
    degraded: str = ""
    """What is wrong although it speaks, as a sentence; empty if nothing is."""
    engines: Sequence[str] = ()
    device: str = "cpu"
    """Where models compute: `cpu`, or `cuda:` and the device's number."""
    voices_loaded: int = 0
    """Models in memory."""


class SpeechService(SpeechSynthesis, Protocol):
    """Speech synthesis with the voices and the state of the server: what the HTTP API serves."""

    def voices(self) -> Sequence[AvailableVoice]:
        """The voices that clients can request. Called on the event loop, so it must not block."""
        ...

    async def phonemes(self, utterance: Utterance) -> Sequence[str]:
        """The phonemes of an utterance in IPA, of one segment after the other; nothing is rendered.

        Raises:
            SpeechError: as for `speak`.
        """
        ...

    async def blend(self, recipe: str, name: str | None) -> AvailableVoice:
        """Blend Kokoro voices by a recipe, and save the blend if it is given a name.

        Raises:
            SpeechError: the recipe or the name is invalid, or one of the voices is missing.
        """
        ...

    async def unload_models(self) -> UnloadedModels:
        """Free the memory of all models; they are loaded again when they are needed."""
        ...

    async def clear_cache(self) -> Mapping[str, RemovedSegments]:
        """Remove all spoken segments from the cache; return what was removed from `memory` and from `disk`.

        Raises:
            SpeechError: the directory cannot be read or changed.
        """
        ...

    def health(self) -> ServiceHealth:
        """Whether the server can speak now. Called on the event loop."""
        ...

    async def status(self) -> Mapping[str, object]:
        """The server's status as a JSON object: versions, engines, voices, load, queue, memory, uptime."""
        ...

    async def metrics(self) -> bytes:
        """The server's metrics in Prometheus' text format."""
        ...
