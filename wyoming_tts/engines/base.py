"""Engine interface: what the rest of the product knows of a speech engine, and what engines are made with.

An engine is one way to synthesize speech, with the files that it needs. It is found through the
entry-point group `wyoming_tts.engines`, so another distribution can provide one: the entry point
names a callable `(EngineOptions) -> Engine`. Importing it must be cheap; heavy libraries are
imported in `load` or `installed`, which run on a worker.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import Final, Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np

from wyoming_tts.errors import VoiceUnavailable
from wyoming_tts.http_paths import SPEECH_PATH
from wyoming_tts.known_files import KnownFiles
from wyoming_tts.speech import Prosody, Samples, Segment, TimedSamples, Voice, VoiceSpec, WordTimings

Interruptible: TypeAlias = Callable[[Callable[[], None]], AbstractContextManager[None]]

ENTRY_POINT_GROUP = "wyoming_tts.engines"
_NO_SAMPLES: Final = np.zeros(0, np.float32)
REMOTE_ENGINE: Final = "remote"
"""Name of the engine whose voices speak on other servers, which read texts by themselves."""
"""Of requests for speech by OpenAI's API."""

Rendered: TypeAlias = Samples | WordTimings | TimedSamples
"""What an engine makes of a segment: its audio, and before it or with it, when its words sound."""


@dataclass(frozen=True, slots=True)
class Seam:
    """Between the audio of two renderings of one segment, which do not quite fit: it is not worth keeping."""


def samples_of(rendered: Rendered | Seam) -> Samples:
    """Return the samples of a step: none if it only told when words sound."""
    if isinstance(rendered, TimedSamples):
        return rendered.samples
    return _NO_SAMPLES if isinstance(rendered, (WordTimings, Seam)) else rendered


def always() -> bool:
    """Default of `EngineOptions.has_cores`, for where steps never run in parallel."""
    return True


def uninterruptible(interrupt: Callable[[], None]) -> AbstractContextManager[None]:
    """Default of `EngineOptions.interruptible`, for where nothing limits a step."""
    del interrupt
    return nullcontext()


class StyleBlend(Protocol):
    """A blend of style tables: a voice mixed from those of an engine's voice pack."""

    @property
    def name(self) -> str:
        """As `Voice.name`."""
        ...

    @property
    def language(self) -> str:
        """As `Voice.language`."""
        ...

    @property
    def description(self) -> str:
        """As `Voice.description`."""
        ...

    @property
    def made_of(self) -> frozenset[str]:
        """Names of the voices that it is mixed from."""
        ...

    @property
    def identity(self) -> str:
        """A key that changes with its sound."""
        ...

    def mix(self, style: Callable[[str], Samples]) -> Samples:
        """Mix its style table, shape (n, 1, 256), from those that `style` returns by name."""
        ...


class BlendSource(Protocol):
    """Source of blends. Both methods read files."""

    def list_voices(self, pack: Mapping[str, str]) -> Sequence[StyleBlend]:
        """The stored blends, listed like any other voice; `pack` has the languages of its voices."""
        ...

    def find(self, name: str, pack: Mapping[str, str]) -> StyleBlend | None:
        """The blend of that name, or the one that a recipe describes; None if it is neither."""
        ...


class StyleTables(Protocol):
    """Imported voices beside those of an engine's pack, each a style table in a file. All methods block."""

    def names(self) -> Sequence[str]:
        """Names of all tables."""
        ...

    def path(self, name: str) -> Path:
        """The file of the table of that name."""
        ...

    def read(self, name: str) -> Samples:
        """Read a table, shape (n, 1, 256).

        Raises:
            SpeechError: the file cannot be read, or is not a style table.
        """
        ...


@dataclass(frozen=True, slots=True)
class RemoteOptions:
    """Addresses of the servers of remote voices, and how long to wait for them."""

    upstreams: tuple[str, ...]
    """Addresses: `http://HOST:PORT`, `https://HOST`, `tcp://HOST:PORT`."""
    key: str | None = field(default=None, repr=False)
    """API key, sent to servers over HTTP."""
    model: str = "tts-1"
    """Name of the model to request over HTTP."""
    path: str = SPEECH_PATH
    """Of requests for speech over HTTP, with the same placeholders as the body."""
    body: str | None = None
    """JSON template of these requests; None is that of OpenAI's API."""
    pcm_rate: int = 24_000
    """Of PCM over HTTP that states no rate, in Hz."""
    pcm_format: Literal["s16le", "f32le"] = "s16le"
    """Of PCM over HTTP without a header."""
    voices: tuple[str, ...] = ()
    """`NAME` or `NAME=LANGUAGE`: voices of servers without a list; the language overrides a listed one."""
    connect_timeout: float = 2.0
    """Seconds."""
    first_byte_timeout: float = 10.0
    """Seconds until the first audio, and between two pieces of it."""
    fallback: bool = True
    """Whether another voice may speak if no server does."""


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """Options of all engines; each takes what concerns it."""

    data_dirs: tuple[Path, ...] = ()
    """Directories searched for voice files; the first match wins."""
    download_dir: Path | None = None
    """Where an engine may store resources that it downloads itself (piper's g2pW)."""
    use_cuda: bool = False
    cuda_device: int = 0
    """Number of the GPU, as CUDA counts them."""
    intra_op_threads: int = 0
    """Threads onnxruntime uses within one operator; 0 leaves the choice to the engine."""
    has_cores: Callable[[], bool] = always
    """Called within a step: False if it runs beside others and must use the calling thread alone."""
    interruptible: Interruptible = uninterruptible
    """Called within a step, around a call that may take long, with what makes that call return early."""
    kokoro_model: Path | None = None
    kokoro_voices: Path | None = None
    kokoro_blends: BlendSource | None = None
    kokoro_chunked: bool = True
    """Whether Kokoro may decode in chunks."""
    statistics_dir: Path | None = None
    """Where an engine keeps what it learned of its voices; None: in memory only."""
    remote: RemoteOptions | None = None
    kokoro_styles: StyleTables | None = None
    files: KnownFiles = field(default_factory=KnownFiles)
    """What is known of the files of voices, also while they cannot be read."""


class LoadedVoice(Protocol):
    """A model in memory, ready to speak with any voice whose `Voice.model` it is.

    Methods are called on worker threads, never two at once for the same render; two renders of
    one LoadedVoice may run on two threads at the same time.
    """

    @property
    def shares_cores(self) -> bool:
        """Whether a step can run on a single core, beside steps of others, when `has_cores` says so."""
        ...

    def render(self, segment: Segment, spec: VoiceSpec, prosody: Prosody) -> Generator[Rendered, None, None]:
        """Render the segment in bounded steps.

        Each `next()` does a bounded amount of work on the calling thread and yields the next mono
        float32 samples at `spec.voice.sample_rate`, an empty array if that step made none (phonemizing), or
        when the next words sound; both at once where that is known only once there is audio. Loudness is not
        the engine's concern: samples are as the model makes them, and `prosody.volume` is applied later.
        Closing the generator cancels the render and leaves nothing behind.
        Text without anything to pronounce yields no samples.

        Raises:
            EngineFailed: the model broke; the message says how.
        """
        ...

    def phonemes(self, segment: Segment, spec: VoiceSpec) -> str:
        """What `render` would speak, in the voice's own symbols: IPA, or letters if it was trained on those.

        On one line, with punctuation if the engine knows it; empty if there is nothing to pronounce.
        Open renders are not affected. Blocks: called on a worker.

        Raises:
            EngineFailed: the phonemizer broke; the message says how.
        """
        ...

    def calibration_segment(self, spec: VoiceSpec) -> Segment:
        """A short neutral text that this voice can certainly speak, by which its loudness is measured."""
        ...

    def close(self) -> None:
        """Free the model. Called once, when no render is open."""
        ...


class FirstCut(Enum):
    """Where a first sentence is cut, so that its beginning is heard early."""

    AFTER_WORDS = auto()
    """After its first clause, or after some words if that is longer: audio waits for a whole segment."""
    AFTER_CLAUSE = auto()
    """After its first clause: audio comes sooner for a shorter segment."""
    WHILE_ARRIVING = auto()
    """The same, but only while the rest of the text is not known: audio hardly depends on the length."""


class RemoteVoiceFailed(VoiceUnavailable):
    """No server spoke before any audio came, and another voice may speak instead."""


@runtime_checkable
class RemoteVoice(Protocol):
    """A voice of another server: it is awaited on the event loop and occupies no thread."""

    def stream(
        self, segment: Segment, spec: VoiceSpec, prosody: Prosody, *, hops: int = 0
    ) -> AsyncGenerator[Rendered | Seam, None]:
        """Request the segment, and yield its audio as it arrives, in pieces that are never empty.

        When its words sound is told as `LoadedVoice.render` does. After a `Seam`, another server goes on with
        the segment.

        Samples are as those of `LoadedVoice.render`, in pieces small enough to process on the event loop.
        The server is read only as the generator is (backpressure), and closing it drops the connection.
        Loudness is as the server makes it; `prosody.volume` is applied later.

        Args:
            segment: What to say.
            spec: The voice.
            prosody: How to say it.
            hops: Servers that the request passed through before this one.

        Raises:
            RemoteVoiceFailed: no server spoke, and another voice may.
            VoiceUnavailable: no server spoke.
            Busy: every server that could speak is overloaded.
            EngineFailed: the server broke off after the first piece, and no other goes on.
        """
        ...

    def close(self) -> None:
        """Release it. Called once, when no stream is open."""
        ...


@runtime_checkable
class SelfCalibrating(Protocol):
    """A loaded model that speaks better, or sooner, once it knows a voice: a LoadedVoice may be one."""

    def is_calibrated(self, spec: VoiceSpec) -> bool:
        """Whether there is nothing to learn of the voice. May read a file: called on a worker."""
        ...

    def calibrate(self, spec: VoiceSpec) -> Generator[int, None, None]:
        """Learn in bounded steps, each of which `next()` runs on the calling thread.

        Each yields the number of sentences that the voice was learned from by now. A step may be interrupted
        by `EngineOptions.interruptible`; what was learned before stays, and a later call goes on from there.

        Raises:
            SpeechError: the voice cannot speak.
        """
        ...


ReadyVoice: TypeAlias = LoadedVoice | RemoteVoice
"""A voice that is ready to speak: in steps on a worker, or awaited."""


class Engine(Protocol):
    """One way to synthesize speech."""

    @property
    def name(self) -> str:
        """Short and stable: `piper`."""
        ...

    def first_cut(self, voice: Voice, prosody: Prosody) -> FirstCut:
        """Where to cut a first sentence that will be spoken like this, as far as is known without loading it.

        Called on the event loop: it must not block.
        """
        ...

    def installed(self) -> Sequence[Voice]:
        """The voices that can speak now. Reads files: called on a worker.

        A broken voice is left out, with one warning in the log that names the file and the reason. An engine
        may list those in `broken`, and in `unusable` voices whose files are sound but lack something else.
        """
        ...

    def load(self, voice: Voice) -> ReadyVoice:
        """Load `voice.model`. Takes seconds and memory: called on a worker.

        Raises:
            VoiceUnavailable: a file is gone or cannot be loaded; the message says which and why.
        """
        ...
