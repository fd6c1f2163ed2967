"""The latest utterances in memory, for the web page: their records, never their text."""

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
    """The record of an utterance, with the time at which it ended."""

    time: float
    """Seconds since 1970."""
    record: UtteranceRecord


class RecentUtterances:
    """The latest records and the latest with a first audio, `kept` of each.

    The latter are kept separately, so that many failures do not push them out.
    """

    def __init__(self, kept: int = KEPT, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._count = 0
        self._ended: deque[TimedRecord] = deque(maxlen=kept)
        self._heard: deque[TimedRecord] = deque(maxlen=kept)

    def __repr__(self) -> str:
        return f"<RecentUtterances {len(self._ended)} of {self._count}>"

    @property
    def count(self) -> int:
        """Number of utterances since the start."""
        return self._count

    @property
    def heard(self) -> tuple[TimedRecord, ...]:
        """Those that had a first audio, the oldest first."""
        return tuple(self._heard)

    def on_record(self, record: UtteranceRecord) -> None:
        """Add the record of an utterance; called on the event loop."""
        self._count += 1
        ended = TimedRecord(self._clock(), record)
        self._ended.append(ended)
        if record.ttfa is not None:
            self._heard.append(ended)

    def newest(self, count: int = KEPT) -> tuple[TimedRecord, ...]:
        """Return up to `count` records, the newest first."""
        return tuple(self._ended)[-1 : -count - 1 : -1]
