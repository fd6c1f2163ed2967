"""The values that flow through the product, from a request to the audio that answers it.

All are frozen: a value that crosses a task or a thread never changes behind its reader's back.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

Samples: TypeAlias = npt.NDArray[np.float32]
"""Mono audio, shape (n,), float32, nominal range -1 to 1."""

SPEEDS: Final = (0.25, 4.0)
"""Least and most of `Prosody.speed`, in what a client asks and in what an engine is given."""
VOLUMES: Final = (0.0, 4.0)
PITCHES: Final = (0.5, 2.0)
SAMPLE_RATES: Final = (8_000, 48_000)
"""Lowest and highest rate that can be asked for, in Hz."""


class TextFormat(StrEnum):
    """How an utterance's text is to be read."""

    PLAIN = "text"
    SSML = "ssml"


SPEAKER_MARK = "#"
"""Between a voice's name and a speaker of it, where a client can send only one name."""


@dataclass(frozen=True, slots=True)
class VoiceRequest:
    """What a client said about the voice; all None asks for the server's default voice."""

    name: str | None = None
    language: str | None = None
    speaker: str | None = None


@dataclass(frozen=True, slots=True)
class Prosody:
    """How to speak: what the settings say, what a client asks on top of that, or what an engine is given.

    Neutral values change nothing. `wyoming_tts.synthesis.prosody` merges the three.
    """

    speed: float = 1.0
    """Pace relative to the voice's own: 2.0 takes half the time."""
    pitch: float = 1.0
    """Relative pitch, for engines that can (espeak-ng)."""
    volume: float = 1.0
    """Linear gain on top of the voice's level."""
    length_scale: float | None = None
    """Piper's phoneme length in place of the voice's own; `speed` divides it."""
    noise_scale: float | None = None
    """Piper's generator noise in place of the voice's own."""
    noise_w_scale: float | None = None
    """Piper's phoneme width noise in place of the voice's own."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of an utterance that is rendered in one go: a sentence or a clause."""

    text: str
    pause_before: float = 0.0
    """Seconds of silence between the segment before and this one; 0 for the first."""
    rate: float = 1.0
    """Pace relative to that of its utterance."""
    volume: float = 1.0
    """Linear gain on top of that of its utterance."""
    pitch: float = 1.0
    """Relative to that of its utterance, for engines that can."""
    voice: VoiceRequest | None = None
    """Another voice than that of its utterance."""
    is_first: bool = True
    """Nothing of its utterance was heard before: the first sound matters more than the work as a whole."""


@dataclass(frozen=True, slots=True)
class Attribution:
    """Who made a voice, and where it comes from."""

    name: str
    url: str


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice whose files are on this machine, as an engine describes it without loading it."""

    name: str
    """Unique among all engines: `en_US-lessac-medium`, `af_heart`, `espeak-en-us`."""
    engine: str
    """Name of the engine that renders it: `piper`, `kokoro`, `espeak`."""
    language: str
    """The tag shown to clients, `en_US`; never changed once published."""
    description: str
    sample_rate: int
    """Hz of what `LoadedVoice.render` yields."""
    model: str
    """Identity of what has to be in memory; voices with one model share one `LoadedVoice`."""
    attribution: Attribution
    speakers: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    """Speaker name to the engine's id; empty for a voice of one speaker."""
    default_speaker: int | None = None
    version: str | None = None
    files: tuple[Path, ...] = ()
    """What the engine reads to load it, the model file first; empty for built-in voices."""
    fingerprint: str = ""
    """Tells one content of the files from the next; filled in where voices are listed."""


@dataclass(frozen=True, slots=True)
class VoiceSpec:
    """A request resolved to one installed voice and one speaker of it."""

    voice: Voice
    speaker: int | None = None


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """Format of PCM on the wire: signed little-endian integers."""

    rate: int
    width: int = 2
    channels: int = 1

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample of all channels."""
        return self.width * self.channels


@dataclass(frozen=True, slots=True)
class AudioChunk:
    """Some audio of a stream, in order and without gaps."""

    format: AudioFormat
    pcm: bytes
    first_sample: int
    """Samples of the stream before this chunk."""

    @property
    def samples(self) -> int:
        """Samples per channel in this chunk."""
        return len(self.pcm) // self.format.frame_bytes

    @property
    def seconds(self) -> float:
        """Playing time of this chunk."""
        return self.samples / self.format.rate


def _new_id() -> str:
    return secrets.token_hex(4)


async def _one_piece(text: str) -> AsyncIterator[str]:
    yield text


@dataclass(frozen=True, slots=True, eq=False)
class Utterance:
    """One request to speak. `text` is iterated once, as it arrives."""

    text: AsyncIterable[str]
    voice: VoiceRequest = VoiceRequest()
    prosody: Prosody = Prosody()
    """As the client asks, relative to the server's settings: factors multiply theirs, scales replace them."""
    text_format: TextFormat = TextFormat.PLAIN
    transport: str = "python"
    """Which door it came through, for logs and metrics."""
    id: str = field(default_factory=_new_id)
    flush_idle: float | None = None
    """Seconds without new text after which what is there is spoken, 0 for never; None takes the server's
    settings."""
    hops: int = 0
    """Servers that it came through before this one."""
    sample_rate: int | None = None
    """Hz of the audio, within SAMPLE_RATES; None takes the voice's own."""

    @classmethod
    def of(
        cls,
        text: str,
        *,
        voice: VoiceRequest | None = None,
        prosody: Prosody = Prosody(),
        text_format: TextFormat = TextFormat.PLAIN,
        transport: str = "python",
        sample_rate: int | None = None,
    ) -> Utterance:
        """An utterance whose whole text is known."""
        return cls(
            _one_piece(text),
            voice or VoiceRequest(),
            prosody,
            text_format,
            transport,
            sample_rate=sample_rate,
        )


class Outcome(StrEnum):
    """How an utterance ended."""

    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class UtteranceRecord:
    """What is known of an utterance once it is over; never its text."""

    id: str
    transport: str
    voice: str
    engine: str
    characters: int
    segments: int
    ttfa: float | None
    """Seconds from the first segment's text being there to its first audio; None without audio."""
    audio_seconds: float
    compute_seconds: float
    outcome: Outcome
    error: str = ""
    """The error's code when the outcome is FAILED."""
    wait: float = 0.0
    """Seconds at the door, until another stream ended."""
    underruns: int = 0
    """Times the listener ran dry although there was text to speak."""
    underrun_seconds: float = 0.0
    cached_segments: int = 0
    """Of the segments, those that were spoken before."""
    model_load_seconds: float = 0.0
    """Waiting for models that were not in memory."""
