"""Who computes next.

A stream that has sent nothing is due at once; one that plays is due when its listener runs dry.
The earliest of those moments goes first, one bounded step at a time, so that a newcomer starts
while long answers are still being made and no listener runs dry as long as the machine keeps up.

Nothing here has a thread, a task or a clock: times are seconds of any monotonic clock, given as
arguments, so a decision can be tested with invented ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto


class StepState(Enum):
    """Where a stream stands between two steps."""

    IDLE = auto()
    WAITING = auto()
    RUNNING = auto()


@dataclass(slots=True, eq=False)
class StreamClock:
    """What the scheduler knows of one stream."""

    work_since: float
    """When there was something to render after there was nothing: arrival, or late text."""
    playing_since: float | None = None
    """When the listener got its first audio; None before."""
    audio_seconds: float = 0.0
    """Audio the listener has been given since `playing_since`."""
    state: StepState = StepState.IDLE

    def deadline(self) -> float:
        """Return when the listener runs dry, or when work came up if it is dry already."""
        if self.playing_since is None:
            return self.work_since
        return max(self.work_since, self.playing_since + self.audio_seconds)


def earliest_deadline(waiting: Iterable[StreamClock]) -> StreamClock | None:
    """Choose the stream whose next step is due first; the one that waited longer wins a tie."""
    return min(waiting, key=StreamClock.deadline, default=None)


class Scheduler:
    """The streams that want to compute, and the slots there are for it."""

    def __init__(self, *, slots: int) -> None:
        self._slots = slots
        self._waiting: dict[StreamClock, None] = {}  # in order of asking
        self._running: set[StreamClock] = set()

    def __repr__(self) -> str:
        return f"<Scheduler slots={self._slots} running={len(self._running)} waiting={len(self._waiting)}>"

    @property
    def slots(self) -> int:
        """How many steps may run at the same time."""
        return self._slots

    def ask(self, stream: StreamClock) -> None:
        """Put the stream among those that wait for a step."""
        if stream.state is not StepState.IDLE:
            raise RuntimeError(f"The stream asked for a step while {stream.state.name}, expected IDLE.")
        stream.state = StepState.WAITING
        self._waiting[stream] = None

    def withdraw(self, stream: StreamClock) -> None:
        """Take a waiting stream back; its listener is gone."""
        if stream.state is StepState.WAITING:
            stream.state = StepState.IDLE
            del self._waiting[stream]

    def start_next(self) -> StreamClock | None:
        """Give a free slot to the stream that is due first; None without slot or stream."""
        if len(self._running) >= self._slots:
            return None
        stream = earliest_deadline(self._waiting)
        if stream is None:
            return None
        del self._waiting[stream]
        self._running.add(stream)
        stream.state = StepState.RUNNING
        return stream

    def step_done(self, stream: StreamClock) -> None:
        """Free the slot of a step that ended, however it ended."""
        self._running.discard(stream)
        stream.state = StepState.IDLE

    @staticmethod
    def work_arrived(stream: StreamClock, now: float) -> None:
        """Note that text came in for a stream that had nothing left to render."""
        stream.work_since = now

    @staticmethod
    def delivered(stream: StreamClock, seconds: float, now: float) -> None:
        """Note audio handed to the listener; a listener that ran dry starts anew."""
        if stream.playing_since is None or stream.playing_since + stream.audio_seconds < now:
            stream.playing_since = now
            stream.audio_seconds = 0.0
        stream.audio_seconds += seconds
