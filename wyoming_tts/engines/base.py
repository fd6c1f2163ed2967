"""What an engine is to the rest of the product.

An engine knows one way to make sound and the files it needs for that. It is found through the
entry-point group `wyoming_tts.engines`, so another distribution can bring one: the entry point
names a callable `(EngineOptions) -> Engine`. Importing it must be cheap; heavy libraries are
imported in `load` or `installed`, which run on a worker.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

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
            Unsupported: the segment's format is not one this engine can speak.
            EngineFailed: the model broke; the message says how.
        """
        ...

    def phonemes(self, segment: Segment, spec: VoiceSpec) -> str:
        """What `render` would speak, in the voice's own symbols: IPA, or letters where it has those.

        On one line, with the marks that shape the speech where the engine knows them; empty if there is
        nothing to pronounce. Disturbs no render. Blocks: called on a worker.

        Raises:
            Unsupported: the segment's format is not one this engine can speak.
            EngineFailed: the phonemizer broke; the message says how.
        """
        ...

    def calibration_segment(self, spec: VoiceSpec) -> Segment:
        """A short neutral text this voice can surely speak, by which its level is measured."""
        ...

    def close(self) -> None:
        """Free the model. Called once, when no render is open."""
        ...


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

    def load(self, voice: Voice) -> LoadedVoice:
        """Load `voice.model`. Takes seconds and memory: called on a worker.

        Raises:
            VoiceUnavailable: its files are gone or cannot be loaded; the message says which and why.
        """
        ...
