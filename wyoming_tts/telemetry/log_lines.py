"""The log's lines: one for each utterance, as text or with all else as JSON objects."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:  # the command line sets up its log before it waits for numpy
    from wyoming_tts.speech import UtteranceRecord

_LOGGER = logging.getLogger(__name__)

Fields: TypeAlias = dict[str, str | int | float | None]

LONGEST_NAME = 200
"""Characters kept of an id or a voice: a client may have chosen them."""


def log_record(record: UtteranceRecord) -> None:
    """Write the utterance's line into the log; failures as warnings."""
    level = logging.WARNING if record.error else logging.INFO
    if _LOGGER.isEnabledFor(level):
        _LOGGER.log(level, "%s", format_line(record), extra={"utterance": record_fields(record)})


def format_line(record: UtteranceRecord) -> str:
    """Return the record as `key=value` fields in a fixed order."""
    shown = {
        "utterance": _plain(record.id),
        "transport": record.transport,
        "voice": _plain(record.voice) if record.voice else "-",
        "outcome": record.error or record.outcome,
        "chars": record.characters,
        "segments": record.segments,
        "cached": record.cached_segments,
        "wait_ms": round(record.wait * 1000),
        "ttfa_ms": "-" if record.ttfa is None else round(record.ttfa * 1000),
        "audio_s": f"{record.audio_seconds:.2f}",
        "rtf": f"{record.compute_seconds / record.audio_seconds:.3f}" if record.audio_seconds else "-",
        "underruns": record.underruns,
    }
    return " ".join(f"{name}={value}" for name, value in shown.items())


def record_fields(record: UtteranceRecord) -> Fields:
    """Return the record as JSON values, times in seconds."""
    spoken = record.audio_seconds
    return {
        "id": record.id[:LONGEST_NAME],
        "transport": record.transport,
        "voice": record.voice[:LONGEST_NAME],
        "engine": record.engine,
        "outcome": str(record.outcome),
        "error": record.error,
        "characters": record.characters,
        "segments": record.segments,
        "cached_segments": record.cached_segments,
        "wait": round(record.wait, 4),
        "ttfa": None if record.ttfa is None else round(record.ttfa, 4),
        "audio_seconds": round(spoken, 3),
        "compute_seconds": round(record.compute_seconds, 4),
        "rtf": round(record.compute_seconds / spoken, 4) if spoken else None,
        "underruns": record.underruns,
        "underrun_seconds": round(record.underrun_seconds, 3),
        "model_load_seconds": round(record.model_load_seconds, 3),
    }


class JsonFormatter(logging.Formatter):
    """Every log record as one line with a JSON object.

    `time` (UTC), `level`, `logger` and `message` are always there, `utterance` where the record is of one,
    `exception` and `stack` where there is one.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, in ASCII, so that no terminal or collector breaks on it."""
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        told: dict[str, object] = {
            "time": when.replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if utterance := getattr(record, "utterance", None):
            told["utterance"] = utterance
        if record.exc_info and record.exc_info[0]:
            told["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            told["stack"] = self.formatStack(record.stack_info)
        return json.dumps(told, default=str)


def _plain(name: str) -> str:
    """Leave a name as it is unless it could be taken for more fields, or for another line."""
    name = name[:LONGEST_NAME]
    is_plain = name.isascii() and name.isprintable() and not set(name) & set(' ="')
    return name if name and is_plain else json.dumps(name)
