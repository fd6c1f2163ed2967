"""The joining of log, journal and counters: one place that is told of every utterance."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from wyoming_tts.blocking import RunBlocking
from wyoming_tts.telemetry.journal import Journal
from wyoming_tts.telemetry.log_lines import log_record

if TYPE_CHECKING:
    from wyoming_tts.speech import UtteranceRecord
    from wyoming_tts.telemetry.prometheus import PrometheusCounters, ServerLoad

_LOGGER = logging.getLogger(__name__)


class Telemetry:
    """Tells of utterances, wherever that is wanted."""

    def __init__(self, *, journal: Journal | None = None, counters: PrometheusCounters | None = None) -> None:
        self.journal = journal
        self.counters = counters

    def on_record(self, record: UtteranceRecord) -> None:
        """Tell of an utterance that is over; never waits, and never fails the utterance."""
        try:
            log_record(record)
            if self.journal is not None:
                self.journal.note(record)
            if self.counters is not None:
                self.counters.on_record(record)
        except Exception:
            _LOGGER.exception("An utterance could not be counted.")

    def model_loaded(self, engine: str, seconds: float) -> None:
        """Count the loading of a model; of any thread."""
        if self.counters is not None:
            self.counters.model_loaded(engine, seconds)

    def download_over(self, outcome: str) -> None:
        """Count a download that ended."""
        if self.counters is not None:
            self.counters.download_over(outcome)

    def watch(self, readings: Callable[[], ServerLoad]) -> None:
        """Have the counters ask how full the house is, each time they are shown."""
        if self.counters is not None:
            self.counters.watch(readings)

    async def exposition(self) -> bytes:
        """Return the counters in Prometheus' text format; nothing where none are kept."""
        return b"" if self.counters is None else await self.counters.exposition()


@asynccontextmanager
async def open_telemetry(
    *, run_blocking: RunBlocking, journal: Path | None, with_counters: bool = True
) -> AsyncIterator[Telemetry]:
    """Open what is wanted for the length of a block; `journal` is its file, None writes none."""
    counters = await run_blocking(lambda: _counters(run_blocking)) if with_counters else None
    async with AsyncExitStack() as stack:
        opened = Journal(journal, run_blocking) if journal is not None else None
        if opened is not None:
            await stack.enter_async_context(opened)
        yield Telemetry(journal=opened, counters=counters)


def _counters(run_blocking: RunBlocking) -> PrometheusCounters:
    from wyoming_tts.telemetry.prometheus import PrometheusCounters  # noqa: PLC0415 - takes 150 ms, on a worker

    return PrometheusCounters(run_blocking)
