"""The telemetry recorder: passes each utterance's record to the log, the journal and the metrics."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from wyoming_tts.blocking import RunBlocking
from wyoming_tts.telemetry.journal import Journal, move_journal
from wyoming_tts.telemetry.log_lines import log_record

if TYPE_CHECKING:
    from wyoming_tts.speech import UtteranceRecord
    from wyoming_tts.telemetry.prometheus import PrometheusCounters, ServerLoad

_LOGGER = logging.getLogger(__name__)


class Telemetry:
    """Records utterances in the log, and in the journal and the metrics where these are enabled."""

    def __init__(self, *, journal: Journal | None = None, counters: PrometheusCounters | None = None) -> None:
        self.journal = journal
        self.counters = counters

    def on_record(self, record: UtteranceRecord) -> None:
        """Record an utterance that is over; never waits, and never raises into the utterance."""
        try:
            log_record(record)
            if self.journal is not None:
                self.journal.append(record)
            if self.counters is not None:
                self.counters.on_record(record)
        except Exception:
            _LOGGER.exception("An utterance could not be recorded.")

    def count_model_load(self, engine: str, seconds: float) -> None:
        """Count a model load and its seconds; callable from any thread."""
        if self.counters is not None:
            self.counters.count_model_load(engine, seconds)

    def count_response(self, status: int) -> None:
        """Count an HTTP response that begins, by its status code."""
        if self.counters is not None:
            self.counters.count_response(status)

    def count_download(self, outcome: str) -> None:
        """Count a voice download that ended as `done` or `failed`."""
        if self.counters is not None:
            self.counters.count_download(outcome)

    def watch(self, readings: Callable[[], ServerLoad]) -> None:
        """Read the server's load with `readings` each time the metrics are exposed."""
        if self.counters is not None:
            self.counters.watch(readings)

    async def exposition(self) -> bytes:
        """Return the metrics in Prometheus' text format; empty if they are disabled."""
        return b"" if self.counters is None else await self.counters.exposition()


@asynccontextmanager
async def open_telemetry(
    *,
    run_blocking: RunBlocking,
    journal: Path | None,
    former_journal: Path | None = None,
    with_counters: bool = True,
) -> AsyncIterator[Telemetry]:
    """Open telemetry for the length of a block.

    Args:
        run_blocking: Runs work off the event loop.
        journal: The journal's file; None disables it.
        former_journal: Where an earlier version may have left one, which is moved.
        with_counters: Whether to count for the metrics.
    """
    if journal is not None and former_journal is not None:
        await run_blocking(partial(_take_over, former_journal, journal))
    counters = await run_blocking(lambda: _make_counters(run_blocking)) if with_counters else None
    async with AsyncExitStack() as stack:
        opened = Journal(journal, run_blocking) if journal is not None else None
        if opened is not None:
            await stack.enter_async_context(opened)
        yield Telemetry(journal=opened, counters=counters)


def _take_over(former: Path, journal: Path) -> None:
    try:
        move_journal(former, journal)
    except OSError as error:
        _LOGGER.warning(
            "The journal %s cannot be moved to %s: %s. It stays where it is.", former, journal, error
        )


def _make_counters(run_blocking: RunBlocking) -> PrometheusCounters:
    from wyoming_tts.telemetry.prometheus import PrometheusCounters  # noqa: PLC0415 - takes 150 ms, on a worker

    return PrometheusCounters(run_blocking)
