"""Earliest-deadline-first scheduling: which stream computes its next step.

A stream's deadline is when its listener runs out of audio. Listeners who would run dry if their stream waited
longer come first, then those that have heard nothing yet, then the rest by deadline; one bounded step at a
time. So a newcomer starts while long answers are still being made, and no listener pays for it with a gap. A
stream that is far ahead of its listener leaves the machine to those that are not, and one that is very far
ahead pauses.

There is no thread, task or clock here: times are arguments, in seconds of any monotonic clock, so that every
decision can be tested with invented times. `workers` runs what is decided; `admission` decides which streams
get this far.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from math import inf

from wyoming_tts.demand import (
    NO_BACKLOG,
    Backlog,
    Capacity,
    Demand,
    Work,
    lateness,
    lead_needed,
    lead_needed_on_one_core,
)


class StepState(Enum):
    """What a stream's next step is doing."""

    IDLE = auto()
    WAITING = auto()
    RUNNING = auto()


@dataclass(slots=True, eq=False)
class StreamClock:
    """A stream's playback position, from which its deadline follows."""

    work_since: float
    """When there was something to render again after there was nothing: arrival, or late text."""
    playing_since: float | None = None
    """When the listener got its first audio; None before that."""
    audio_seconds: float = 0.0
    """Audio delivered to the listener since `playing_since`."""
    buffered_seconds: float = 0.0
    """Audio made, but not delivered yet."""
    starts_at_once: bool = False
    """Its audio is delivered as soon as it is made: if its listener runs dry, it was not for want of time."""
    is_held: bool = False
    """Its audio is held back until it can be played without a gap: nobody hears it now."""
    backlog: Backlog = NO_BACKLOG
    """The work that is left, as far as it is known."""
    state: StepState = StepState.IDLE
    running_since: float | None = None
    """When the step being run began; None while none is."""
    in_background: bool = False
    """Nobody listens (warm-up): scheduled after every stream that has a listener."""
    shares_cores: bool = False
    """Its steps can also run on a single core beside those of others; otherwise each takes all cores."""
    has_cores: bool = True
    """Whether the step being run has all cores; constant while it runs."""
    _lead: float = field(default=0.0, repr=False)
    _lead_of: Sequence[Work] = field(default=(), repr=False)
    """The work that needs that lead: it is asked for with each decision about any stream."""
    _one_core_lead: float = field(default=0.0, repr=False)
    _one_core_lead_of: Sequence[Work] = field(default=(), repr=False)

    def deadline(self) -> float:
        """Return when the listener runs dry, or when work arrived if it is dry already."""
        if self.in_background:
            return float("inf")
        if self.playing_since is None:
            return self.work_since
        buffered = 0.0 if self.is_held else self.buffered_seconds
        return max(self.work_since, self.playing_since + self.audio_seconds + buffered)

    def ahead(self, now: float) -> float:
        """Return the seconds of audio that were made and not played yet."""
        if self.playing_since is None:
            return self.buffered_seconds
        return max(0.0, self.playing_since + self.audio_seconds - now) + self.buffered_seconds

    def computed(self, now: float) -> float:
        """Return for how long the step being run has had all cores, at most as long as it was expected to."""
        works = self.backlog.works()
        if self.running_since is None or not self.has_cores or not works:
            return 0.0
        return min(now - self.running_since, works[0].alone)

    def step_left(self, now: float) -> float:
        """Return how long the step being run is expected to go on."""
        elapsed = 0.0 if self.running_since is None else now - self.running_since
        return max(0.0, self.next_step_seconds() - elapsed)

    def lead_needed(self) -> float:
        """Return by how many seconds it has to be ahead of its listener so that no known work is late."""
        works = self.backlog.works()
        if works is not self._lead_of:
            self._lead_of, self._lead = works, lead_needed(works)
        return self._lead

    def one_core_lead(self, capacity: Capacity) -> float:
        """As `lead_needed`, if each of its steps gets one core; of one that shares none it is the same."""
        if not self.shares_cores:
            return self.lead_needed()
        works = self.backlog.works()
        if works is not self._one_core_lead_of:
            self._one_core_lead_of = works
            self._one_core_lead = lead_needed_on_one_core(works, capacity)
        return self._one_core_lead

    @property
    def is_heard(self) -> bool:
        """Whether its listener has got audio, and is to get the rest of it in time."""
        return self.playing_since is not None and not self.is_held

    def next_step_seconds(self) -> float:
        """Return how long its next step is expected to take."""
        works = self.backlog.works()
        return works[0].alone if works else 0.0

    def work_arrived(self, now: float) -> None:
        """Note that text arrived after there was nothing left to render."""
        self.work_since = now

    def delivered(self, seconds: float, now: float) -> None:
        """Note audio handed to the listener; for one that ran dry, playback starts anew."""
        if self.playing_since is None or self.playing_since + self.audio_seconds < now:
            self.playing_since = now
            self.audio_seconds = 0.0
        self.audio_seconds += seconds


DRY_SOON = 0.2
"""Seconds before it runs dry from which a listener goes before newcomers: about the step under way plus its
own next one. More makes newcomers wait for nothing: with 0.4, the last of eight on two cores heard its first
audio a quarter later."""

NEWCOMER_PATIENCE = 1.0
"""Seconds after which a listener that has heard nothing yet counts like one about to run dry, if its start is
not held: where the machine cannot keep up, all of these share the shortage."""


def most_urgent(
    streams: Collection[StreamClock], now: float, *, slack: float = inf, shared: Capacity | None = None
) -> StreamClock | None:
    """Choose the stream whose next step runs first; the one that asked earlier wins a tie.

    Args:
        streams: Those that have asked, and after them those that are about to.
        now: The time.
        slack: For how long the machine can do something else before some listener runs dry, by the demand of
            all who play.
        shared: The machine, if its cores are shared, so that each step gets one.
    """
    if len(streams) < 2:  # noqa: PLR2004 - there is nothing to choose
        return next(iter(streams), None)
    longest = max(streams, key=StreamClock.next_step_seconds)
    second = max(stream.next_step_seconds() for stream in streams if stream is not longest)

    def urgency(stream: StreamClock) -> tuple[int, float]:
        others = second if stream is longest else longest.next_step_seconds()
        lead = stream.lead_needed() if shared is None else stream.one_core_lead(shared)
        # Another stream's step that is begun before it delays it by all of that step.
        return _urgency(stream, now, lead + others, is_short_of_time=others > slack)

    return min(streams, key=urgency)


def _urgency(stream: StreamClock, now: float, lead: float, *, is_short_of_time: bool) -> tuple[int, float]:
    """Rank a stream that must have its next step when it is ahead of its listener by no more than `lead`."""
    due = stream.deadline()
    if stream.in_background:
        return 2, due
    if stream.is_held:
        return 1, due  # who plays goes before who waits
    if stream.playing_since is None:
        due += NEWCOMER_PATIENCE
        return (0 if due - DRY_SOON <= now else 1), due
    if is_short_of_time or due - max(DRY_SOON, lead) <= now:
        return 0, due
    return (2 if stream.state is StepState.WAITING else 3), due


@dataclass(frozen=True, slots=True)
class Lookahead:
    """How far ahead of its listener a stream may compute, in seconds of audio."""

    shared: float = 8.0
    """While another stream has less than this: two sentences, enough to ride out network jitter."""
    alone: float = 30.0
    """In any case: audio computed for a listener that leaves is wasted."""

    def needed(self, stream: StreamClock) -> float:
        """Return how far a stream is ahead when it can leave the machine to others."""
        return max(self.shared, min(stream.lead_needed(), self.alone))


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do now."""

    start: StreamClock | None = None
    """The stream whose step is to be started."""
    wake_at: float | None = None
    """When to decide again although nothing happens; None if only an event can change the answer."""


_BETWEEN_STEPS = 0.05
"""Seconds within which a stream that has more to render asks again: meanwhile its audio is being written. A
step of a less urgent stream that begins in this moment delays it by all of that step: so did two of five
texts of four listeners have a gap on a machine that could just carry them."""


@dataclass(frozen=True, slots=True)
class _Load:
    """What the machine has to do, as far as a decision depends on it."""

    is_contended: bool
    """Whether more streams want to compute than could have two cores each."""
    slack: float
    """For how long it can work for who waits before somebody who is heard runs dry."""
    late: StreamClock | None
    """The only stream that is heard and would run dry with one core: its steps get all. Of several each gets
    one, because cores that are shared do a third more."""


class Scheduler:
    """The streams that want to compute, and the compute slots there are."""

    def __init__(self, *, slots: int, multicore_slots: int = 1, lookahead: Lookahead | None = None) -> None:
        """Divide the machine.

        Args:
            slots: How many steps may run at the same time, one core each.
            multicore_slots: How many slots a step takes that runs on several cores. A single listener gets
                its first audio sooner that way; many are served faster with a core each.
            lookahead: How far ahead of its listener a stream may compute.
        """
        self._slots = slots
        self._multicore_slots = min(multicore_slots, slots)
        self._lookahead = lookahead or Lookahead()
        self._waiting: dict[StreamClock, None] = {}  # in order of asking
        self._running: dict[StreamClock, int] = {}  # with the slots each takes
        self._between: dict[StreamClock, float] = {}  # with the end of each one's last step

    def __repr__(self) -> str:
        return f"<Scheduler slots={self._slots} running={len(self._running)} waiting={len(self._waiting)}>"

    @property
    def slots(self) -> int:
        """How many steps may run at the same time."""
        return self._slots

    @property
    def lookahead(self) -> Lookahead:
        """How far ahead of its listener a stream may compute."""
        return self._lookahead

    @property
    def capacity(self) -> Capacity:
        """How many steps on several cores may run at the same time."""
        return Capacity(self._slots // self._multicore_slots, self._slots)

    def request_step(self, stream: StreamClock) -> None:
        """Queue the stream's next step.

        Raises:
            RuntimeError: it has one queued or running already.
        """
        if stream.state is not StepState.IDLE:
            raise RuntimeError(f"The stream requested a step while {stream.state.name}, expected IDLE.")
        stream.state = StepState.WAITING
        self._between.pop(stream, None)
        self._waiting[stream] = None

    def withdraw(self, stream: StreamClock) -> None:
        """Drop the stream's queued step; its listener is gone."""
        if stream.state is StepState.WAITING:
            stream.state = StepState.IDLE
            del self._waiting[stream]

    def start_next(self, now: float) -> Decision:
        """Give free slots to the most urgent stream, if it may compute now."""
        free = self._slots - sum(self._running.values())
        if not free or not self._waiting:
            return Decision()
        load = self._load(now)
        candidates = [*self._waiting, *self._asking_soon(now)]
        while (stream := self._most_urgent(candidates, now, load)).state is not StepState.WAITING:
            free -= self._slots_needed(stream, load, free)
            if free <= 0:
                return Decision(wake_at=self._between[stream] + _BETWEEN_STEPS)
            candidates.remove(stream)
        return self._start(stream, now, load, free)

    def _most_urgent(self, streams: Collection[StreamClock], now: float, load: _Load) -> StreamClock:
        shared = self.capacity if load.is_contended else None
        stream = most_urgent(streams, now, slack=load.slack, shared=shared)
        assert stream is not None, "somebody waits"
        return stream

    def _start(self, stream: StreamClock, now: float, load: _Load, free: int) -> Decision:
        """Start a stream's step in one of the free slots or all of them, if it may compute now."""
        paused_until = self._paused_until(stream, now)
        if paused_until > now and not stream.in_background:
            return Decision(wake_at=paused_until)
        if stream.is_held and load.late in self._running and stream.next_step_seconds() > load.slack:
            return Decision()  # else that one, which is heard, would never have all cores again
        takes = self._slots_needed(stream, load, free)
        if takes > free:
            return Decision()
        del self._waiting[stream]
        self._running[stream] = takes
        stream.has_cores = takes == self._multicore_slots
        stream.state = StepState.RUNNING
        stream.running_since = now
        return Decision(start=stream)

    def _slots_needed(self, stream: StreamClock, load: _Load, free: int) -> int:
        """Return how many slots a stream's next step takes."""
        is_crowded = self._multicore_slots > free or (load.is_contended and stream is not load.late)
        return 1 if stream.shares_cores and is_crowded else self._multicore_slots

    def step_overdue(self, stream: StreamClock) -> None:
        """Free the slots of a step that takes unusually long, so that others run beside it; it goes on."""
        self._running.pop(stream, None)

    def step_done(self, stream: StreamClock, now: float) -> None:
        """Free the slots of a step that ended, however it ended."""
        self._running.pop(stream, None)
        self._between[stream] = now
        stream.state = StepState.IDLE
        stream.running_since = None

    def _load(self, now: float) -> _Load:
        """Judge what the machine has to do."""
        is_contended = self._is_contended(now)
        heard = [s for s in (*self._waiting, *self._running, *self._between) if s.is_heard]
        late = [stream for stream in heard if stream.one_core_lead(self.capacity) > stream.ahead(now)]
        slack = inf
        if any(stream.is_held for stream in self._waiting):
            slack = -lateness([Demand(s.backlog.works(), s.ahead(now)) for s in heard], self.capacity)
        return _Load(is_contended, slack, late[0] if len(late) == 1 else None)

    def busy_for(self, stream: StreamClock, now: float) -> float:
        """Return for how long the running steps of others leave no core to a stream, as expected."""
        others = [other for other in self._running if other is not stream]
        takes = 1 if stream.shares_cores else self._multicore_slots
        if sum(self._running[other] for other in others) + takes <= self._slots:
            return 0.0
        return min((other.step_left(now) for other in others), default=0.0)

    def count_due(self, now: float) -> int:
        """Count the streams that are not far ahead of their listeners: they share the machine."""
        horizon = now + self._lookahead.shared
        return sum(stream.deadline() < horizon for stream in (*self._waiting, *self._running))

    def _asking_soon(self, now: float) -> list[StreamClock]:
        """Return the streams between two steps: a step of another that is begun now may make them late."""
        return [
            stream
            for stream, since in self._between.items()
            if now < since + _BETWEEN_STEPS and stream.backlog.works()
        ]

    def _is_contended(self, now: float) -> bool:
        """As `_Load.is_contended`."""
        expired = [stream for stream, since in self._between.items() if now - since > _BETWEEN_STEPS]
        for stream in expired:
            del self._between[stream]
        horizon = now + self._lookahead.shared
        between = sum(stream.deadline() < horizon for stream in self._between)
        return self.count_due(now) + between > max(1, self._slots // 2)

    def _paused_until(self, stream: StreamClock, now: float) -> float:
        """Return until when a stream that is ahead leaves the machine to others that are not."""
        # Waiting streams do not count: they are not due before the stream being judged.
        horizon, shared = now + self._lookahead.shared, stream.deadline() - self._lookahead.needed(stream)
        if any(other.deadline() < horizon for other in self._running):
            return shared
        alone = stream.deadline() - self._lookahead.alone
        ended = [since for other, since in self._between.items() if other.deadline() < horizon]
        return max(alone, min(shared, max(ended) + _BETWEEN_STEPS)) if ended else alone
