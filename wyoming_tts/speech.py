"""Domain values: an utterance and its voice request, voices, segments, audio chunks and the final record.

All are frozen: a value that crosses a task or a thread cannot change while it is read.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

Samples: TypeAlias = npt.NDArray[np.float32]
"""Mono audio, shape (n,), float32, nominal range -1 to 1."""

SPEED_RANGE: Final = (0.25, 4.0)
"""Bounds of `Prosody.speed`, both in a request and in what an engine renders; the same for the two below."""
VOLUME_RANGE: Final = (0.0, 4.0)
PITCH_RANGE: Final = (0.5, 2.0)
SAMPLE_RATE_RANGE: Final = (8_000, 48_000)
"""Bounds of the sample rate that a client may request and that a voice file may declare, in Hz."""
LEADING_SILENCE_RANGE: Final = (0.0, 10.0)
"""Bounds of the silence before an utterance, in seconds."""
PATIENCE_RANGE: Final = (0.0, 60.0)
"""Seconds."""
LENGTH_SCALE_RANGE: Final = (0.25, 4.0)
"""Bounds of Piper's phoneme length, which `speed` divides: as wide as those of `speed`."""
NOISE_SCALE_RANGE: Final = (0.0, 2.0)
"""Bounds of Piper's two noise scales. Voices are trained for 0.3 to 1; beyond 2 single phonemes last minutes,
because the noise of lengths is an exponent."""
MAX_SPEAKERS: Final = 10_000
"""Most speakers of a voice; the catalogue's have up to 904. Clients are sent the names of all."""


class TextFormat(StrEnum):
    """The format of an utterance's text."""

    PLAIN = "text"
    SSML = "ssml"


SPEAKER_MARK = "#"
"""Separates a voice's name from its speaker where a client can send only one name."""


@dataclass(frozen=True, slots=True)
class VoiceRequest:
    """The voice a client asks for; with all fields None, the server's default voice."""

    name: str | None = None
    language: str | None = None
    speaker: str | None = None
    may_download: bool = True
    """Whether the voice may be downloaded for it if it is missing."""
    patience: float | None = None
    """Seconds for which a voice that is being downloaded is waited for at most; None leaves it to the
    server."""
    rate: float = 1.0
    """Factor of the pace of a voice that is found by its name, as `VoiceAlias.rate`."""
    allowed: tuple[str, ...] = ()
    """Names of the voices that may speak, `*` standing for any part of one; empty allows all."""


@dataclass(frozen=True, slots=True)
class VoiceAlias:
    """What somebody's own name for a voice stands for."""

    voice: str
    """A name that a client could have sent instead."""
    rate: float = 1.0
    """Factor of the pace whenever the voice speaks by that name, within SPEED_RANGE."""


@dataclass(frozen=True, slots=True)
class Prosody:
    """Manner of speaking: of the settings, of a client's request, or of what an engine renders.

    The defaults are neutral. `wyoming_tts.synthesis.prosody` merges the first two into the third.
    """

    speed: float = 1.0
    """Pace relative to the voice's own: 2.0 takes half the time."""
    pitch: float = 1.0
    """Relative pitch, for engines that support it (espeak-ng)."""
    volume: float = 1.0
    """Linear gain on top of loudness normalization."""
    length_scale: float | None = None
    """Piper's phoneme length, divided by `speed`; None takes the voice's own."""
    noise_scale: float | None = None
    """Piper's generator noise; None takes the voice's own."""
    noise_w_scale: float | None = None
    """Piper's phoneme width noise; None takes the voice's own."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A unit of rendering: a sentence or a clause of an utterance."""

    text: str
    pause_before: float = 0.0
    """Seconds of silence between the previous segment and this one; 0 for the first, unless markup asks for
    it."""
    rate: float = 1.0
    """Speed relative to that of its utterance."""
    volume: float = 1.0
    """Linear gain on top of that of its utterance."""
    pitch: float = 1.0
    """Pitch relative to that of its utterance, for engines that support it."""
    voice: VoiceRequest | None = None
    """Voice in place of that of its utterance; None keeps it."""
    is_first: bool = True
    """Whether it is the first of its utterance: early first audio then matters more than the total work."""


@dataclass(frozen=True, slots=True)
class Attribution:
    """Who made a voice, and where it comes from."""

    name: str
    url: str


@dataclass(frozen=True, slots=True)
class Voice:
    """An installed voice, as its engine describes it without loading it."""

    name: str
    """Unique among all engines: `en_US-lessac-medium`, `af_heart`, `espeak-en-us`."""
    engine: str
    """Name of the engine that renders it, such as `piper`, `kokoro` or `espeak`."""
    language: str
    """The tag shown to clients, such as `en_US`; never changed once published."""
    description: str
    sample_rate: int
    """Sample rate in Hz of what `LoadedVoice.render` yields."""
    model: str
    """Identifies what has to be in memory; voices of the same model share one `LoadedVoice`."""
    attribution: Attribution
    speakers: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    """Speaker names and the engine's ids; empty for a single-speaker voice."""
    default_speaker: int | None = None
    version: str | None = None
    files: tuple[Path, ...] = ()
    """Files that the engine loads, the model file first; empty for built-in voices."""
    fingerprint: str = ""
    """Changes with the content of the files; filled in where voices are listed."""


@dataclass(frozen=True, slots=True)
class UnusableVoice:
    """A voice whose files are installed, but which cannot speak, as something else is missing."""

    voice: Voice
    reason: str
    """As a clause about the voice: `it needs the package misaki`."""
    hint: str
    """What to do about it."""


class VoiceReason(StrEnum):
    """Why a voice speaks an utterance."""

    REQUESTED = "requested"
    """It was asked for by its own name."""
    ALIAS = "alias"
    """It was asked for by another name: a mapped one, one of OpenAI's, a beginning."""
    LANGUAGE = "language"
    """It speaks the language that was asked for."""
    DEFAULT = "default"
    """Nothing was asked for."""
    FALLBACK = "fallback"
    """The voice that was asked for cannot speak now."""


@dataclass(frozen=True, slots=True)
class SpeakingVoice:
    """The voice that speaks an utterance, and why."""

    name: str
    reason: VoiceReason = VoiceReason.REQUESTED
    requested: str = ""
    """The name, else the language, that was asked for; empty if neither was."""

    @property
    def is_another(self) -> bool:
        """Whether it is not the one that was asked for by that name."""
        return self.reason not in {VoiceReason.REQUESTED, VoiceReason.DEFAULT}


@dataclass(frozen=True, slots=True)
class VoiceSpec:
    """A request resolved to one installed voice and one speaker of it."""

    voice: Voice
    speaker: int | None = None
    rate: float = 1.0
    """Factor of its pace, of the alias that it was requested by."""
    reason: VoiceReason = field(default=VoiceReason.REQUESTED, compare=False)


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """Format of PCM on the wire: signed little-endian integers; `rate` in Hz, `width` in bytes."""

    rate: int
    width: int = 2
    channels: int = 1

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample of all channels."""
        return self.width * self.channels


@dataclass(frozen=True, slots=True)
class WordTiming:
    """When a word of a segment sounds, as its engine tells."""

    begin: int
    """Offset of the word in `Segment.text`, in code points; of its end below."""
    end: int
    first_sample: int
    """Of the segment's audio at the voice's rate, where the word begins; where it ends below."""
    end_sample: int


@dataclass(frozen=True, slots=True)
class WordTimings:
    """The timings of further words of a segment, in order: told before the audio of the first of them.

    They do not overlap; the pauses between them belong to no word.
    """

    words: tuple[WordTiming, ...]
    estimated: bool = False
    """Whether they were spread by the words' lengths, because nobody knows better."""

    def later(self, samples: int) -> WordTimings:
        """Return those of the same words after so many more samples."""
        words = (
            replace(word, first_sample=word.first_sample + samples, end_sample=word.end_sample + samples)
            for word in self.words
        )
        return replace(self, words=tuple(words))

    def at_speed(self, speed: float) -> WordTimings:
        """Return those of the same audio, stretched so that it is this many times faster."""
        words = (
            replace(
                word, first_sample=round(word.first_sample / speed), end_sample=round(word.end_sample / speed)
            )
            for word in self.words
        )
        return replace(self, words=tuple(words))


@dataclass(frozen=True, slots=True, eq=False)
class TimedSamples:
    """Audio whose words are timed only by the step that makes it, with their timings."""

    samples: Samples
    timings: WordTimings


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """A word of an utterance as it was written, and when it is heard."""

    text: str
    """As written: `25 °C`, which lasts as long as "twenty-five degrees Celsius"."""
    begin: int
    """Offset in the utterance's text, in code points; of its end below."""
    end: int
    utf16_begin: int
    """The same in UTF-16 code units, by which JavaScript and Java count."""
    utf16_end: int
    start_time: float
    """Seconds after the first sample of the stream."""
    end_time: float
    estimated: bool = False
    """As `WordTimings.estimated`."""


@dataclass(frozen=True, slots=True)
class AudioChunk:
    """A piece of a stream's audio; chunks come in order and without gaps."""

    format: AudioFormat
    pcm: bytes
    first_sample: int
    """Samples per channel of the stream before this chunk."""
    words: tuple[SpokenWord, ...] = ()
    """The words that begin in this chunk, in order; no word is told twice."""

    @property
    def samples(self) -> int:
        """Samples per channel in this chunk."""
        return len(self.pcm) // self.format.frame_bytes

    @property
    def seconds(self) -> float:
        """Duration of this chunk."""
        return self.samples / self.format.rate


def _new_id() -> str:
    return secrets.token_hex(4)


async def _one_piece(text: str) -> AsyncIterator[str]:
    yield text


class Start(StrEnum):
    """When a stream's first audio is handed over, where the machine is slower than the speech."""

    STEADY = "steady"
    """Once the rest will arrive in time, so that it plays without a gap."""
    AT_ONCE = "at_once"
    """As soon as it is made: for a player that has a buffer of its own."""

    @classmethod
    def _missing_(cls, value: object) -> Start | None:
        name = str(value).replace("-", "_").replace(" ", "_")
        return next((start for start in cls if start == name), None)


@dataclass(frozen=True, slots=True, eq=False)
class Utterance:
    """One request to speak. `text` is iterated only once, as it arrives."""

    text: AsyncIterable[str]
    voice: VoiceRequest = VoiceRequest()
    prosody: Prosody = Prosody()
    """As the client requests, relative to the server's settings: factors multiply, scales replace."""
    text_format: TextFormat = TextFormat.PLAIN
    transport: str = "python"
    """Name of the transport that received it, for logs and metrics."""
    id: str = field(default_factory=_new_id)
    flush_idle: float | None = None
    """Seconds without new text after which the text received so far is spoken; 0 never does, None takes the
    server's setting."""
    hops: int = 0
    """Servers that it passed through before this one."""
    sample_rate: int | None = None
    """Sample rate of the audio in Hz, within SAMPLE_RATE_RANGE; None takes the voice's own."""
    start: Start | None = None
    """When its first audio is handed over; None takes the server's setting."""
    leading_silence: float | None = None
    """Seconds of silence before its first audio, within LEADING_SILENCE_RANGE; None takes the server's
    setting."""
    patience: float | None = None
    """Seconds within which the client has to hear something, within PATIENCE_RANGE; None takes the server's
    setting, 0 waits as long as it takes. Then the embedded voice speaks if the requested one is not loaded
    yet, and silence is sent until there is speech, if `keeps_alive`."""
    keeps_alive: bool = False
    """Whether silence may be sent before the speech: its audio is played while it arrives, and nothing else
    is made of it."""
    peer: str = ""
    """Address of the client. Places among the streams are shared fairly between addresses; empty for this
    process."""
    is_complete: bool = False
    """Whether its whole text is known from the start, not written while it is spoken."""
    pause_tags: bool = False
    """Whether `[pause:1s]` in its plain text is a pause although the server reads such tags as text."""
    voice_tags: bool = False
    """Whether `[voice:NAME]` and the like are tags in its plain text in any case."""
    voice_aliases: Mapping[str, VoiceAlias] = field(default_factory=dict)
    """Names of its own for voices, which take precedence over all others."""
    named_voices: tuple[VoiceRequest, ...] = ()
    """Voices that its text is known to name, which must be there before it begins. One that turns out to be
    unknown in the middle of a text is replaced by the utterance's own."""

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
        """Make an utterance whose whole text is known."""
        return cls(
            _one_piece(text),
            voice or VoiceRequest(),
            prosody,
            text_format,
            transport,
            sample_rate=sample_rate,
            is_complete=True,
        )


class Outcome(StrEnum):
    """How an utterance ended."""

    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class UtteranceRecord:
    """Measurements of an utterance that is over; never its text."""

    id: str
    transport: str
    voice: str
    engine: str
    characters: int
    segments: int
    ttfa: float | None
    """Time to first audio: seconds from the text of the first segment to its first audio; None without
    audio."""
    audio_seconds: float
    compute_seconds: float
    outcome: Outcome
    error: str = ""
    """Code of the error if the outcome is FAILED."""
    wait: float = 0.0
    """Seconds in the admission queue."""
    underruns: int = 0
    """How often the listener ran dry although there was text to speak."""
    underrun_seconds: float = 0.0
    cached_segments: int = 0
    """How many of the segments came from the cache."""
    held_seconds: float = 0.0
    """For how long audio was held back, so that it plays without a gap, while the listener heard nothing."""
    predicted_start: float | None = None
    """Seconds to the first audio as expected on arrival; None if it never asked for a place."""
    model_load_seconds: float = 0.0
    """Seconds spent on waiting for models to be loaded."""
    wall_seconds: float = 0.0
    """Seconds from the request to the end of the utterance, as its client saw it."""
    audio_bytes: int = 0
    """Size of its audio as PCM, before any encoding."""
    requested_voice: str = ""
    """As `SpeakingVoice.requested`."""
    voice_reason: str = ""
    """Why `voice` speaks; empty where none was found."""

    @property
    def rtf(self) -> float | None:
        """Real-time factor: compute seconds for a second of audio; None without audio."""
        return self.compute_seconds / self.audio_seconds if self.audio_seconds else None

    @property
    def xrt(self) -> float | None:
        """Times real time: seconds of audio delivered in a second; None without audio."""
        return self.audio_seconds / self.wall_seconds if self.audio_seconds and self.wall_seconds else None

    @property
    def kbps(self) -> float | None:
        """Kilobits of PCM delivered in a second; None without audio."""
        return self.audio_bytes * 8 / 1000 / self.wall_seconds if self.xrt else None
