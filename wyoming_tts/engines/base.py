"""What an engine is to the rest of the product.

An engine knows one way to make sound and the files it needs for that. It is found through the
entry-point group `wyoming_tts.engines`, so another distribution can bring one: the entry point
names a callable `(EngineOptions) -> Engine`. Importing it must be cheap; heavy libraries are
imported in `load` or `installed`, which run on a worker.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeAlias, runtime_checkable

from wyoming_tts.errors import VoiceUnavailable
from wyoming_tts.speech import Prosody, Samples, Segment, Voice, VoiceSpec

ENTRY_POINT_GROUP = "wyoming_tts.engines"


def always() -> bool:
    """Answer `EngineOptions.has_cores` where steps never run beside each other."""
    return True


class MixedVoice(Protocol):
    """A voice mixed from those of an engine's pack."""

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
        """The voices of the pack that it needs."""
        ...

    @property
    def identity(self) -> str:
        """Changes with the sound."""
        ...

    def mixed(self, style: Callable[[str], Samples]) -> Samples:
        """Its style table, shape (n, 1, 256), from those that `style` gives by name."""
        ...


class MixedVoices(Protocol):
    """The mixed voices there are. Both methods read files."""

    def listed(self) -> Sequence[MixedVoice]:
        """Those that are voices like any other."""
        ...

    def find(self, name: str) -> MixedVoice | None:
        """The one of that name, listed or not."""
        ...


class StyleTables(Protocol):
    """Voices beside those of an engine's pack, each a style table in a file of its own. All methods block."""

    def names(self) -> Sequence[str]:
        """Those that are there."""
        ...

    def path(self, name: str) -> Path:
        """The file of the one of that name."""
        ...

    def read(self, name: str) -> Samples:
        """Its table, shape (n, 1, 256).

        Raises:
            SpeechError: the file holds something else or cannot be read.
        """
        ...


@dataclass(frozen=True, slots=True)
class RemoteOptions:
    """Which other servers there are to speak with, and how long they are waited for."""

    upstreams: tuple[str, ...]
    """Addresses: `http://HOST:PORT`, `https://HOST`, `tcp://HOST:PORT`."""
    key: str | None = field(default=None, repr=False)
    """Sent to those that are asked over HTTP."""
    model: str = "tts-1"
    """Asked for over HTTP."""
    voices: tuple[str, ...] = ()
    """`NAME` or `NAME=LANGUAGE`: what servers without a list have; the language holds for listed ones too."""
    connect_timeout: float = 2.0
    """Seconds."""
    first_byte_timeout: float = 10.0
    """Seconds until the first audio, and between two pieces of it."""
    fallback: bool = True
    """Whether another voice may speak where no server does."""


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """What every engine is made with; each takes what concerns it."""

    data_dirs: tuple[Path, ...] = ()
    """Directories searched for voice files, first match wins."""
    download_dir: Path | None = None
    """Where an engine may store resources it fetches itself (piper's g2pW)."""
    use_cuda: bool = False
    intra_op_threads: int = 0
    """Threads onnxruntime uses within one operator; 0 leaves the choice to the engine."""
    has_cores: Callable[[], bool] = always
    """Asked within a step: False where it runs beside others and is to use the calling thread alone."""
    kokoro_model: Path | None = None
    kokoro_voices: Path | None = None
    kokoro_blends: MixedVoices | None = None
    remote: RemoteOptions | None = None
    kokoro_styles: StyleTables | None = None


class LoadedVoice(Protocol):
    """A model in memory, ready to speak with any voice that names it as its `Voice.model`.

    Methods are called on worker threads, never two at once for the same render; two renders of
    one LoadedVoice may run on two threads at the same time.
    """

    @property
    def shares_cores(self) -> bool:
        """Whether a step can also run on one core, beside those of others, as `has_cores` tells it."""
        ...

    def render(self, segment: Segment, spec: VoiceSpec, prosody: Prosody) -> Generator[Samples, None, None]:
        """Render the segment as bounded steps.

        Each `next()` does a bounded piece of work on the calling thread and yields the next mono
        float32 samples at `spec.voice.sample_rate`, or an empty array when that step made none
        (phonemizing). Level and limits are not the engine's: samples come as the model makes them,
        and `prosody.volume` is applied later. Closing the generator cancels; nothing is left over.
        Text without anything to pronounce yields no samples.

        Raises:
            EngineFailed: the model broke; the message says how.
        """
        ...

    def phonemes(self, segment: Segment, spec: VoiceSpec) -> str:
        """What `render` would speak, in the voice's own symbols: IPA, or letters where it has those.

        On one line, with the marks that shape the speech where the engine knows them; empty if there is
        nothing to pronounce. Disturbs no render. Blocks: called on a worker.

        Raises:
            EngineFailed: the phonemizer broke; the message says how.
        """
        ...

    def calibration_segment(self, spec: VoiceSpec) -> Segment:
        """A short neutral text this voice can surely speak, by which its level is measured."""
        ...

    def close(self) -> None:
        """Free the model. Called once, when no render is open."""
        ...


class RemoteVoiceFailed(VoiceUnavailable):
    """No server spoke with a remote voice, nothing was heard, and another voice is to speak instead."""


@runtime_checkable
class RemoteVoice(Protocol):
    """A voice that another server speaks with: awaited on the event loop, it holds no thread."""

    def stream(
        self, segment: Segment, spec: VoiceSpec, prosody: Prosody, *, hops: int = 0
    ) -> AsyncGenerator[Samples, None]:
        """Have the segment spoken, and give it in pieces as it comes; none of them is empty.

        Pieces are as those of `LoadedVoice.render`, small enough to be finished on the event loop.
        What is not asked for is not read, and closing the generator drops the connection. The level
        is what the server makes it; `prosody.volume` is applied later.

        Args:
            segment: What to say.
            spec: With which voice.
            prosody: How.
            hops: Servers that the request came through before this one.

        Raises:
            Unanswered: nobody spoke, and another voice may.
            VoiceUnavailable: nobody spoke.
            Busy: all that could speak have too much to do.
            EngineFailed: it broke off after the first piece.
        """
        ...

    def close(self) -> None:
        """Let go of it. Called once, when no stream is open."""
        ...


ReadyVoice: TypeAlias = LoadedVoice | RemoteVoice
"""What speaks a segment: in steps on a worker, or awaited."""


class Engine(Protocol):
    """One way to make sound."""

    @property
    def name(self) -> str:
        """Short and stable: `piper`."""
        ...

    @property
    def first_segment_max_words(self) -> int:
        """Words after which a first sentence without a boundary is better cut; 0 if it never is.

        For an engine whose first audio waits for the whole segment.
        """
        ...

    def installed(self) -> Sequence[Voice]:
        """The voices that can be spoken with now. Reads files: called on a worker.

        A broken voice is left out with one warning in the log that names the file and the reason.
        """
        ...

    def load(self, voice: Voice) -> ReadyVoice:
        """Load `voice.model`. Takes seconds and memory: called on a worker.

        Raises:
            VoiceUnavailable: its files are gone or cannot be loaded; the message says which and why.
        """
        ...
