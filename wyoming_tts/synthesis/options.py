"""Synthesis options: the defaults of every utterance, which its own request may override."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from wyoming_tts.speech import Prosody, Start
from wyoming_tts.text.segments import SegmentOptions

FIRST_CUT_WORDS: Final = 8
"""Words of a first segment without a boundary, of a voice whose audio waits for the whole segment."""


@dataclass(frozen=True, slots=True)
class SynthesisOptions:
    """Defaults of every utterance."""

    prosody: Prosody = field(default_factory=Prosody)
    """The server's own, which a client's request is relative to."""
    segments: SegmentOptions = field(default_factory=SegmentOptions)
    max_words: int = 0
    """Most words of an utterance; 0 is no limit. `segments` has that of its characters."""
    first_segment_max_words: int | None = None
    """None leaves it to the voice: FIRST_CUT_WORDS or none."""
    always_cuts_first: bool = False
    """Whether a first sentence is cut at `segments.first_segment` even where its voice needs no cut."""
    flush_idle: float | None = None
    """Seconds without new text after which the text received so far is spoken; None waits for the end of the
    sentence."""
    leading_silence: float = 0.0
    """Seconds of silence before the first word, for speakers that swallow the beginning; handed over with the
    first audio, not before it."""
    trailing_silence: float = 0.0
    """Seconds of silence after the last word, for players that cut off the end."""
    patience: float = 0.0
    """As `Utterance.patience`, unless it says so itself."""
    start: Start = Start.STEADY
    """When the first audio of an utterance is handed over, unless it says so itself."""
    loudness: float = -20.0
    """Target of all voices, in LUFS."""
    renderer: str = ""
    """Identifies the way of rendering: audio cached by an older release is not replayed."""
