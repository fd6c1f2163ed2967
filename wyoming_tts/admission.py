"""Admission control: a new stream is served at once, queued, or refused as `Busy`.

Limits on the streams being spoken and on the queue bound what the server takes on; an estimate of the time to
first audio refuses a stream early that could only be served late. As in `scheduler`, there is no clock and no
event loop here: times are arguments, in seconds of any monotonic clock. `synthesis` waits for what is queued.
"""

from __future__ import annotations

from dataclasses import dataclass

from wyoming_tts.errors import Busy
from wyoming_tts.scheduler import Scheduler, StreamClock

_SMOOTHING = 0.2
"""Weight of the newest value in the moving averages that waits are estimated from."""


@dataclass(frozen=True, slots=True)
class AdmissionOptions:
    """Limits on the streams that are served and queued."""

    max_streams: int = 16
    """Streams spoken at the same time."""
    max_queue: int = 32
    """Streams waiting for one of those to end."""
    max_wait: float = 10.0
    """Longest expected time to first audio, in seconds; a stream that would wait longer is refused at
    once."""


class Admission:
    """Decides which streams are served now, which are queued, and which are refused."""

    def __init__(self, options: AdmissionOptions, scheduler: Scheduler) -> None:
        self._options = options
        self._scheduler = scheduler
        self._active: dict[StreamClock, float] = {}  # with the time each was admitted
        self._queue: dict[StreamClock, None] = {}  # in order of arrival
        self._stream_seconds = 0.0
        self._first_audio_seconds = 0.0

    def __repr__(self) -> str:
        return f"<Admission active={len(self._active)} queued={len(self._queue)}>"

    @property
    def options(self) -> AdmissionOptions:
        """The limits in force."""
        return self._options

    def set_options(self, options: AdmissionOptions) -> None:
        """Replace the limits; streams that are already active or queued stay so."""
        self._options = options

    @property
    def active(self) -> int:
        """Number of streams being spoken."""
        return len(self._active)

    @property
    def queued(self) -> int:
        """Number of streams in the queue."""
        return len(self._queue)

    def admit(self, stream: StreamClock, now: float) -> bool:
        """Admit the stream and return True, or queue it and return False.

        Raises:
            Busy: the queue is full, or the first audio would take too long.
        """
        is_full = len(self._active) >= self._options.max_streams
        if is_full and len(self._queue) >= self._options.max_queue:
            raise Busy(
                f"{len(self._active)} utterances are being spoken and {len(self._queue)} are queued.",
                hint="Try again later, or raise max_streams or max_queue.",
            )
        wait = self.predict_wait(now)
        if wait > self._options.max_wait:
            raise Busy(
                f"The first audio would take about {wait:.0f} s, over the limit of "
                f"{self._options.max_wait:g} s.",
                hint="Try again later, or raise max_wait.",
            )
        if not is_full and not self._queue:
            self._active[stream] = now
            return True
        self._queue[stream] = None
        return False

    def admit_next(self, now: float) -> StreamClock | None:
        """Admit the head of the queue if there is room; return it, so that it can be woken."""
        if not self._queue or len(self._active) >= self._options.max_streams:
            return None
        stream = next(iter(self._queue))
        del self._queue[stream]
        self._active[stream] = now
        return stream

    def release(self, stream: StreamClock, now: float) -> None:
        """Free the place of a stream that ended, whether it was active or queued."""
        self._queue.pop(stream, None)
        admitted_at = self._active.pop(stream, None)
        if admitted_at is not None:
            self._stream_seconds = _smoothed(self._stream_seconds, now - admitted_at)

    def record_first_audio(self, seconds: float) -> None:
        """Learn from the compute time that a stream's first audio took."""
        self._first_audio_seconds = _smoothed(self._first_audio_seconds, seconds)

    def predict_wait(self, now: float) -> float:
        """Estimate the seconds until the first audio of a stream that arrives now."""
        rounds = (self._scheduler.count_due(now) + 1) / self._scheduler.multicore_steps
        wait = max(self._scheduler.lateness(now), rounds * self._first_audio_seconds)
        if len(self._active) < self._options.max_streams:
            return wait
        return wait + self._stream_seconds * (len(self._queue) + 1) / self._options.max_streams


def _smoothed(average: float, newest: float) -> float:
    return newest if average == 0.0 else (1 - _SMOOTHING) * average + _SMOOTHING * newest
