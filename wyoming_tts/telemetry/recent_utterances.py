"""The last utterances, kept in memory for whoever looks at the server: when and how, never what."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wyoming_tts.speech import UtteranceRecord

KEPT = 100


@dataclass(frozen=True, slots=True)
class TimedRecord:
    """An utterance that is over."""

    time: float
    """When it ended, in seconds since 1970."""
    record: UtteranceRecord


class RecentUtterances:
    """The last records and the last latencies, each as many as `kept`.

    Latencies are kept apart: many that fail, and so have none, do not push them out.
    """

    def __init__(self, kept: int = KEPT, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._count = 0
        self._ended: deque[TimedRecord] = deque(maxlen=kept)
        self._latencies: deque[float] = deque(maxlen=kept)

    def __repr__(self) -> str:
        return f"<RecentUtterances {len(self._ended)} of {self._count}>"

    @property
    def count(self) -> int:
        """How many there were since the start."""
        return self._count

    @property
    def latencies(self) -> tuple[float, ...]:
        """Seconds to the first audio, the oldest first."""
        return tuple(self._latencies)

    def on_record(self, record: UtteranceRecord) -> None:
        """Keep an utterance that is over; on the event loop."""
        self._count += 1
        self._ended.append(TimedRecord(self._clock(), record))
        if record.ttfa is not None:
            self._latencies.append(record.ttfa)

    def newest(self, most: int = KEPT) -> tuple[TimedRecord, ...]:
        """Return the last ones, the newest first."""
        return tuple(self._ended)[-1 : -most - 1 : -1]
