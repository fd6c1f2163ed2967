"""What holds for every utterance that does not say otherwise."""

from __future__ import annotations

from dataclasses import dataclass, field

from wyoming_tts.speech import Prosody
from wyoming_tts.text.segments import SegmentOptions


@dataclass(frozen=True, slots=True)
class SynthesisOptions:
    """What holds for every utterance that does not say otherwise."""

    prosody: Prosody = field(default_factory=Prosody)
    """The settings', which a client's is relative to."""
    segments: SegmentOptions = field(default_factory=SegmentOptions)
    first_segment_max_words: int | None = None
    """None takes what the voice's engine wishes for."""
    flush_idle: float | None = None
    """Seconds without new text after which what is there is spoken; None waits for a sentence's end."""
    trailing_silence: float = 0.0
    """Seconds behind the last word, for players that cut off the end."""
    loudness: float = -20.0
    """LUFS that every voice is brought to."""
    renderer: str = ""
    """Tells one way of rendering from the next: audio kept by an older release is not replayed."""
