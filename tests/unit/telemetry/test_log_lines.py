"""Log lines of utterances, as text and as JSON."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.telemetry.records import failed, record
from wyoming_tts.speech import Outcome
from wyoming_tts.telemetry import JsonFormatter, format_line, log_record

LOGGER = "wyoming_tts.telemetry.log_lines"


@pytest.fixture
def output() -> Iterator[io.StringIO]:
    """Output of a logger with the JSON formatter."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("wyoming_tts")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield written
    logger.removeHandler(handler)
    logger.setLevel(level)


def parse_lines(output: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(text) for text in output.getvalue().splitlines()]


def test_a_line_reports_the_outcome_and_figures_of_an_utterance() -> None:
    assert format_line(record(held_seconds=0.04, predicted_start=0.3)) == (
        "utterance=ab12cd34 transport=wyoming voice=en_US-lessac-medium requested=lessac reason=alias "
        "outcome=done chars=42 segments=2 "
        "cached=1 wait_ms=250 ttfa_ms=55 held_ms=40 expected_ms=300 audio_s=2.00 wall_s=0.50 "
        "rtf=0.050 xrt=4.00 kbps=1536 underruns=1"
    )


def test_a_failed_utterance_is_logged_with_its_code_and_without_audio_figures() -> None:
    text = format_line(failed("unknown_voice", voice=""))
    assert "outcome=unknown_voice" in text
    assert "voice=- " in text
    assert "ttfa_ms=- held_ms=0 expected_ms=- audio_s=0.00 wall_s=0.50 rtf=- xrt=- kbps=- underruns" in text


@given(st.text(max_size=300))
def test_an_utterance_id_cannot_inject_a_line_or_a_field(name: str) -> None:
    text = format_line(record(id=name))
    assert len(text.splitlines()) == 1
    assert text.isprintable()
    start, _, rest = text.partition(" transport=")
    assert start.startswith("utterance=")
    assert rest.startswith("wyoming ")


@pytest.mark.parametrize(
    ("spoken", "level"),
    [
        (record(), logging.INFO),
        (record(outcome=Outcome.CANCELLED), logging.INFO),
        (failed(), logging.WARNING),
    ],
)
def test_failed_utterances_are_logged_as_warnings(
    spoken: Any, level: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger=LOGGER)
    log_record(spoken)
    assert caplog.record_tuples == [(LOGGER, level, format_line(spoken))]


def test_json_output_contains_the_fields_of_an_utterance(output: io.StringIO) -> None:
    log_record(record())
    (entry,) = parse_lines(output)
    assert entry["level"] == "INFO"
    assert entry["logger"] == LOGGER
    assert entry["message"].startswith("utterance=ab12cd34 ")
    assert entry["time"].endswith("Z")
    assert entry["utterance"] == {
        "id": "ab12cd34",
        "transport": "wyoming",
        "voice": "en_US-lessac-medium",
        "engine": "piper",
        "requested_voice": "lessac",
        "voice_reason": "alias",
        "outcome": "done",
        "error": "",
        "characters": 42,
        "segments": 2,
        "cached_segments": 1,
        "wait": 0.25,
        "ttfa": 0.0554,
        "held": 0.0,
        "predicted_start": None,
        "audio_seconds": 2.0,
        "compute_seconds": 0.1,
        "wall_s": 0.5,
        "rtf": 0.05,
        "xrt": 4.0,
        "kbps": 1536.0,
        "underruns": 1,
        "underrun_seconds": 0.3,
        "model_load_seconds": 0.0,
    }


def raise_error() -> None:
    raise LookupError("two\nlines")


def test_an_exception_is_one_json_line(output: io.StringIO) -> None:
    try:
        raise_error()
    except LookupError:
        logging.getLogger("wyoming_tts.server.app").exception("It broke, %s.", "as it does", stack_info=True)
    (entry,) = parse_lines(output)
    assert entry["message"] == "It broke, as it does."
    assert entry["exception"].startswith("Traceback")
    assert "LookupError: two\nlines" in entry["exception"]
    assert "Stack" in entry["stack"]


@given(st.text(st.characters(), max_size=50))
def test_every_message_is_one_json_line(message: str) -> None:
    made = logging.LogRecord("a", logging.ERROR, __file__, 1, "%s", (message,), None)
    text = JsonFormatter().format(made)
    assert json.loads(text)["message"] == message
    assert text.isascii()
    assert len(text.splitlines()) == 1


def test_exc_info_without_an_exception_adds_no_field(output: io.StringIO) -> None:
    logging.getLogger("wyoming_tts.server.app").error("No exception here.", exc_info=sys.exc_info())
    (entry,) = parse_lines(output)
    assert set(entry) == {"time", "level", "logger", "message"}
