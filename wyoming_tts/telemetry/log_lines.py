"""Structured logging: one line per utterance as `key=value` fields, and a JSON formatter for all records."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:  # the command line sets up its log before it waits for numpy
    from wyoming_tts.speech import UtteranceRecord

_LOGGER = logging.getLogger(__name__)

Fields: TypeAlias = dict[str, str | int | float | None]

MAX_NAME_LENGTH = 200
"""Characters kept of an id or a voice name, which a client may have chosen."""


def log_record(record: UtteranceRecord) -> None:
    """Log the utterance's line, as a warning if it failed."""
    level = logging.WARNING if record.error else logging.INFO
    if _LOGGER.isEnabledFor(level):
        _LOGGER.log(level, "%s", format_line(record), extra={"utterance": record_fields(record)})


def format_line(record: UtteranceRecord) -> str:
    """Return the record as `key=value` fields in a fixed order."""
    shown = {
        "utterance": _quote(record.id),
        "transport": record.transport,
        "voice": _quote(record.voice) if record.voice else "-",
        "requested": _quote(record.requested_voice) if record.requested_voice else "-",
        "reason": record.voice_reason or "-",
        "outcome": record.error or record.outcome,
        "chars": record.characters,
        "segments": record.segments,
        "cached": record.cached_segments,
        "wait_ms": round(record.wait * 1000),
        "ttfa_ms": _milliseconds(record.ttfa),
        "held_ms": _milliseconds(record.held_seconds),
        "expected_ms": _milliseconds(record.predicted_start),
        "audio_s": f"{record.audio_seconds:.2f}",
        "wall_s": f"{record.wall_seconds:.2f}",
        "rtf": "-" if record.rtf is None else f"{record.rtf:.3f}",
        "xrt": "-" if record.xrt is None else f"{record.xrt:.2f}",
        "kbps": "-" if record.kbps is None else round(record.kbps),
        "underruns": record.underruns,
    }
    return " ".join(f"{name}={value}" for name, value in shown.items())


def _milliseconds(seconds: float | None) -> str:
    return "-" if seconds is None else str(round(seconds * 1000))


def record_fields(record: UtteranceRecord) -> Fields:
    """Return the record as JSON values, times in seconds."""
    return {
        "id": record.id[:MAX_NAME_LENGTH],
        "transport": record.transport,
        "voice": record.voice[:MAX_NAME_LENGTH],
        "engine": record.engine,
        "requested_voice": record.requested_voice[:MAX_NAME_LENGTH],
        "voice_reason": record.voice_reason,
        "outcome": str(record.outcome),
        "error": record.error,
        "characters": record.characters,
        "segments": record.segments,
        "cached_segments": record.cached_segments,
        "wait": round(record.wait, 4),
        "ttfa": None if record.ttfa is None else round(record.ttfa, 4),
        "held": round(record.held_seconds, 3),
        "predicted_start": None if record.predicted_start is None else round(record.predicted_start, 3),
        "audio_seconds": round(record.audio_seconds, 3),
        "compute_seconds": round(record.compute_seconds, 4),
        "wall_s": round(record.wall_seconds, 3),
        "rtf": None if record.rtf is None else round(record.rtf, 4),
        "xrt": None if record.xrt is None else round(record.xrt, 3),
        "kbps": None if record.kbps is None else round(record.kbps, 1),
        "underruns": record.underruns,
        "underrun_seconds": round(record.underrun_seconds, 3),
        "model_load_seconds": round(record.model_load_seconds, 3),
    }


class JsonFormatter(logging.Formatter):
    """Formats every log record as a JSON object on one line.

    `time` (UTC), `level`, `logger` and `message` are always there; `utterance`, `request`, `exception` and
    `stack` where the record has one.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, in ASCII, so that no terminal or collector breaks on it."""
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        values: dict[str, object] = {
            "time": when.replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if utterance := getattr(record, "utterance", None):
            values["utterance"] = utterance
        if request := getattr(record, "request", None):
            values["request"] = request
        if record.exc_info and record.exc_info[0]:
            values["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            values["stack"] = self.formatStack(record.stack_info)
        return json.dumps(values, default=str)


def _quote(name: str) -> str:
    """Quote a name that could be taken for several fields or for another line."""
    name = name[:MAX_NAME_LENGTH]
    is_plain = name.isascii() and name.isprintable() and not set(name) & set(' ="')
    return name if name and is_plain else json.dumps(name)
