"""What is told of an utterance when it is over: one log line, never its text."""

from __future__ import annotations

import logging

from wyoming_tts.speech import Outcome, UtteranceRecord

_LOGGER = logging.getLogger(__name__)


def log_record(record: UtteranceRecord) -> None:
    """Write the utterance's line into the log; failures as warnings."""
    level = logging.WARNING if record.outcome is Outcome.FAILED else logging.INFO
    _LOGGER.log(level, "%s", line(record))


def line(record: UtteranceRecord) -> str:
    """Return the record as `key=value` fields in a fixed order."""
    fields = {
        "utterance": record.id,
        "transport": record.transport,
        "voice": record.voice or "-",
        "outcome": record.error if record.outcome is Outcome.FAILED else record.outcome,
        "chars": record.characters,
        "segments": record.segments,
        "ttfa_ms": "-" if record.ttfa is None else round(record.ttfa * 1000),
        "audio_s": f"{record.audio_seconds:.2f}",
        "rtf": f"{record.compute_seconds / record.audio_seconds:.3f}" if record.audio_seconds else "-",
    }
    return " ".join(f"{name}={value}" for name, value in fields.items())
