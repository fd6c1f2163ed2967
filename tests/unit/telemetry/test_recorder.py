"""Telemetry as a whole: log, journal and counters."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from tests.support.fake_synthesizer import run_in_thread
from tests.unit.telemetry.records import record
from wyoming_tts.telemetry import Telemetry, open_telemetry
from wyoming_tts.telemetry.prometheus import ServerLoad


async def test_an_utterance_is_logged_journaled_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="wyoming_tts.telemetry")
    path = tmp_path / "metrics.jsonl"
    async with open_telemetry(run_blocking=run_in_thread, journal=path) as telemetry:
        telemetry.watch(lambda: ServerLoad(queued_streams=7))
        telemetry.on_record(record())
        text = (await telemetry.exposition()).decode()
    assert 'wyoming_tts_characters_total{engine="piper",transport="wyoming"} 42.0' in text
    assert "wyoming_tts_queued_streams 7.0" in text
    assert '"id":"ab12cd34"' in path.read_text()
    assert caplog.messages == [message for message in caplog.messages if "utterance=ab12cd34" in message]


async def test_journal_and_counters_can_be_disabled() -> None:
    async with open_telemetry(run_blocking=run_in_thread, journal=None, with_counters=False) as telemetry:
        telemetry.watch(ServerLoad)
        telemetry.on_record(record())
        assert await telemetry.exposition() == b""
    assert telemetry.journal is None


async def test_an_error_in_telemetry_does_not_propagate(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def on_record(self, _: object) -> None:
            raise OSError("no more counters")

    Telemetry(counters=Broken()).on_record(record())  # type: ignore[arg-type]
    assert "could not be recorded" in caplog.text
