"""Synthesis options: the defaults of every utterance, which its own request may override."""

from __future__ import annotations

from dataclasses import dataclass, field

from wyoming_tts.speech import Prosody, Start
from wyoming_tts.text.segments import SegmentOptions


@dataclass(frozen=True, slots=True)
class SynthesisOptions:
    """Defaults of every utterance."""

    prosody: Prosody = field(default_factory=Prosody)
    """The server's own, which a client's request is relative to."""
    segments: SegmentOptions = field(default_factory=SegmentOptions)
    first_segment_max_words: int | None = None
    """None takes the default of the voice's engine."""
    flush_idle: float | None = None
    """Seconds without new text after which the text received so far is spoken; None waits for the end of the
    sentence."""
    trailing_silence: float = 0.0
    """Seconds of silence after the last word, for players that cut off the end."""
    start: Start = Start.STEADY
    """When the first audio of an utterance is handed over, unless it says so itself."""
    loudness: float = -20.0
    """Target of all voices, in LUFS."""
    renderer: str = ""
    """Identifies the way of rendering: audio cached by an older release is not replayed."""
