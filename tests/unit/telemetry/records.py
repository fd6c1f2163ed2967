"""Factories of utterance records."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from wyoming_tts.speech import Outcome, UtteranceRecord

_SPOKEN = UtteranceRecord(
    id="ab12cd34",
    transport="wyoming",
    voice="en_US-lessac-medium",
    engine="piper",
    characters=42,
    segments=2,
    ttfa=0.0554,
    audio_seconds=2.0,
    compute_seconds=0.1,
    outcome=Outcome.DONE,
    wait=0.25,
    underruns=1,
    underrun_seconds=0.3,
    cached_segments=1,
    wall_seconds=0.5,
    audio_bytes=96_000,
    requested_voice="lessac",
    voice_reason="alias",
)


def record(**changes: Any) -> UtteranceRecord:
    """A successful utterance with these changes."""
    return replace(_SPOKEN, **changes)


def failed(error: str = "busy", **changes: Any) -> UtteranceRecord:
    """An utterance that failed before any audio."""
    nothing = {
        "ttfa": None,
        "audio_seconds": 0.0,
        "compute_seconds": 0.0,
        "segments": 0,
        "underruns": 0,
        "audio_bytes": 0,
    }
    return record(**{**nothing, "outcome": Outcome.FAILED, "error": error, **changes})
