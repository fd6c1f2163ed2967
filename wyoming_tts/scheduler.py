"""Who computes next, and who is let in.

First come the listeners that are about to run dry, then those that have heard nothing yet, then the
rest by when they run dry; one bounded step at a time. So a newcomer starts while long answers are still
being made, and nobody who listens already pays for it with a gap as long as the machine keeps up.
A stream that is far ahead of its listener leaves the machine to those that are not, and one that is
very far ahead rests.

Nothing here has a thread, a task or a clock: times are seconds of any monotonic clock, given as
arguments, so a decision can be tested with invented ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto

from wyoming_tts.errors import Busy


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
    in_background: bool = False
    """Nobody listens (warm-up): it goes after everyone who does."""
    shares_cores: bool = False
    """Its steps can also run on one core beside those of others; else each has the machine to itself."""
    has_cores: bool = True
    """Whether the step that is started has the machine to itself; constant while it runs."""

    def deadline(self) -> float:
        """Return when the listener runs dry, or when work came up if it is dry already."""
        if self.in_background:
            return float("inf")
        if self.playing_since is None:
            return self.work_since
        return max(self.work_since, self.playing_since + self.audio_seconds)

    def work_arrived(self, now: float) -> None:
        """Note that text came in after there was nothing left to render."""
        self.work_since = now

    def delivered(self, seconds: float, now: float) -> None:
        """Note audio handed to the listener; a listener that ran dry starts anew."""
        if self.playing_since is None or self.playing_since + self.audio_seconds < now:
            self.playing_since = now
            self.audio_seconds = 0.0
        self.audio_seconds += seconds


DRY_SOON = 0.2
"""Seconds before it runs dry in which a listener goes before newcomers: what the step that is under way and
its own next one take. More has newcomers wait for nothing: with 0.4 the last of eight on two cores heard
something a quarter later."""

NEWCOMERS_PATIENCE = 1.0
"""Seconds after which a listener that has heard nothing counts like one that is about to run dry:
where the machine cannot keep up, all share the lack."""


def most_urgent(waiting: Iterable[StreamClock], now: float) -> StreamClock | None:
    """Choose the stream whose next step is to run first; the one that asked earlier wins a tie."""
    return min(waiting, key=lambda stream: _urgency(stream, now), default=None)


def _urgency(stream: StreamClock, now: float) -> tuple[int, float]:
    is_new = stream.playing_since is None and not stream.in_background
    due = stream.deadline() + (NEWCOMERS_PATIENCE if is_new else 0.0)
    if due - DRY_SOON <= now:
        return 0, due
    return (1 if is_new else 2), due


@dataclass(frozen=True, slots=True)
class Lookahead:
    """How far ahead of its listener a stream may compute, in seconds of audio."""

    shared: float = 8.0
    """While another stream has less than this: two sentences, enough for a network's moods."""
    alone: float = 30.0
    """Ever: what was computed for a listener that leaves is lost."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do now."""

    start: StreamClock | None = None
    """The stream whose step is to be started."""
    wake_at: float | None = None
    """When to ask again although nothing happens; None if only an event can change the answer."""


_BETWEEN_STEPS = 0.05
"""Seconds within which a stream that has more to say asks again: its audio is being written meanwhile."""


class Scheduler:
    """The streams that want to compute, and the slots there are for it."""

    def __init__(self, *, slots: int, whole: int = 1, lookahead: Lookahead | None = None) -> None:
        """Divide the machine.

        Args:
            slots: how many steps may run at the same time, one core each.
            whole: how many slots a step takes that runs on several cores. A listener that is alone is
                heard sooner that way; many are served faster with a core each.
            lookahead: how far ahead of its listener a stream may be.
        """
        self._slots = slots
        self._whole = min(whole, slots)
        self._lookahead = lookahead or Lookahead()
        self._waiting: dict[StreamClock, None] = {}  # in order of asking
        self._running: dict[StreamClock, int] = {}  # with the slots it takes
        self._between: dict[StreamClock, float] = {}  # with the end of their last step

    def __repr__(self) -> str:
        return f"<Scheduler slots={self._slots} running={len(self._running)} waiting={len(self._waiting)}>"

    @property
    def slots(self) -> int:
        """How many steps may run at the same time."""
        return self._slots

    @property
    def lookahead(self) -> Lookahead:
        """How far ahead of its listener a stream may be."""
        return self._lookahead

    @property
    def whole_steps(self) -> int:
        """How many steps on several cores may run at the same time."""
        return self._slots // self._whole

    def ask(self, stream: StreamClock) -> None:
        """Put the stream among those that wait for a step."""
        if stream.state is not StepState.IDLE:
            raise RuntimeError(f"The stream asked for a step while {stream.state.name}, expected IDLE.")
        stream.state = StepState.WAITING
        self._between.pop(stream, None)
        self._waiting[stream] = None

    def withdraw(self, stream: StreamClock) -> None:
        """Take a waiting stream back; its listener is gone."""
        if stream.state is StepState.WAITING:
            stream.state = StepState.IDLE
            del self._waiting[stream]

    def start_next(self, now: float) -> Decision:
        """Give free slots to the stream that is due first, if it may go on now."""
        free = self._slots - sum(self._running.values())
        if not free:
            return Decision()
        stream = most_urgent(self._waiting, now)
        if stream is None:
            return Decision()
        resting_until = stream.deadline() - self._lookahead_now(now)
        if resting_until > now and not stream.in_background:
            return Decision(wake_at=resting_until)
        is_contended = self._is_contended(now)
        takes = 1 if stream.shares_cores and (is_contended or self._whole > free) else self._whole
        if takes > free:
            return Decision()
        del self._waiting[stream]
        self._running[stream] = takes
        stream.has_cores = takes == self._whole
        stream.state = StepState.RUNNING
        return Decision(start=stream)

    def step_done(self, stream: StreamClock, now: float) -> None:
        """Free the slots of a step that ended, however it ended."""
        self._running.pop(stream, None)
        self._between[stream] = now
        stream.state = StepState.IDLE

    def lateness(self, now: float) -> float:
        """Return for how long the most overdue stream has been waiting, in seconds; 0 or less if none is."""
        return max((now - stream.deadline() for stream in self._waiting), default=0.0)

    def due(self, now: float) -> int:
        """Count the streams that are not far ahead of their listeners: they share the machine."""
        horizon = now + self._lookahead.shared
        return sum(stream.deadline() < horizon for stream in (*self._waiting, *self._running))

    def _is_contended(self, now: float) -> bool:
        """Whether more streams want to compute than could each have two cores."""
        over = [stream for stream, since in self._between.items() if now - since > _BETWEEN_STEPS]
        for stream in over:
            del self._between[stream]
        horizon = now + self._lookahead.shared
        between = sum(stream.deadline() < horizon for stream in self._between)
        return self.due(now) + between > max(1, self._slots // 2)

    def _lookahead_now(self, now: float) -> float:
        # Only what runs counts: who waits is not due before the stream that is being judged.
        needy = any(stream.deadline() < now + self._lookahead.shared for stream in self._running)
        return self._lookahead.shared if needy else self._lookahead.alone


@dataclass(frozen=True, slots=True)
class AdmissionOptions:
    """How many listeners are served at once."""

    max_streams: int = 16
    """Streams that are being spoken."""
    max_queue: int = 32
    """Streams that wait for one of those to end."""
    max_wait: float = 10.0
    """Seconds: who would wait longer for the first audio is told so at once."""


class Admission:
    """Who is let in, who waits at the door, and who is told to come again later."""

    def __init__(self, options: AdmissionOptions, scheduler: Scheduler) -> None:
        self._options = options
        self._scheduler = scheduler
        self._speaking: dict[StreamClock, float] = {}
        self._queue: dict[StreamClock, None] = {}  # in order of arrival
        self._stream_seconds = 0.0
        self._first_audio_seconds = 0.0

    def __repr__(self) -> str:
        return f"<Admission speaking={len(self._speaking)} queued={len(self._queue)}>"

    @property
    def options(self) -> AdmissionOptions:
        """How many are let in."""
        return self._options

    def change(self, options: AdmissionOptions) -> None:
        """Let others in from now on; who is in stays."""
        self._options = options

    @property
    def speaking(self) -> int:
        """How many are being spoken."""
        return len(self._speaking)

    @property
    def queued(self) -> int:
        """How many wait at the door."""
        return len(self._queue)

    def enter(self, stream: StreamClock, now: float) -> bool:
        """Let the stream in, True, or have it wait at the door, False.

        Raises:
            Busy: the queue is full, or the first audio would take too long.
        """
        is_full = len(self._speaking) >= self._options.max_streams
        if is_full and len(self._queue) >= self._options.max_queue:
            raise Busy(
                f"{len(self._speaking)} utterances are being spoken and {len(self._queue)} wait.",
                hint="Try again later, or raise max_streams or max_queue.",
            )
        wait = self.predicted_wait(now)
        if wait > self._options.max_wait:
            raise Busy(
                f"The first audio would take about {wait:.0f} s, over the limit of "
                f"{self._options.max_wait:g} s.",
                hint="Try again later, or raise max_wait.",
            )
        if not is_full and not self._queue:
            self._speaking[stream] = now
            return True
        self._queue[stream] = None
        return False

    def next_in_line(self, now: float) -> StreamClock | None:
        """Let the first of the queue in, if there is room; the one that has to be told."""
        if not self._queue or len(self._speaking) >= self._options.max_streams:
            return None
        stream = next(iter(self._queue))
        del self._queue[stream]
        self._speaking[stream] = now
        return stream

    def leave(self, stream: StreamClock, now: float) -> None:
        """Note that a stream ended, or went away from the queue."""
        self._queue.pop(stream, None)
        entered = self._speaking.pop(stream, None)
        if entered is not None:
            self._stream_seconds = _smoothed(self._stream_seconds, now - entered)

    def first_audio(self, seconds: float) -> None:
        """Note what a stream's first audio took in compute."""
        self._first_audio_seconds = _smoothed(self._first_audio_seconds, seconds)

    def predicted_wait(self, now: float) -> float:
        """Estimate the seconds until the first audio of a stream that arrives now."""
        turns = (self._scheduler.due(now) + 1) / self._scheduler.whole_steps
        wait = max(self._scheduler.lateness(now), turns * self._first_audio_seconds)
        if len(self._speaking) < self._options.max_streams:
            return wait
        return wait + self._stream_seconds * (len(self._queue) + 1) / self._options.max_streams


def _smoothed(before: float, new: float) -> float:
    return new if before == 0.0 else 0.8 * before + 0.2 * new
