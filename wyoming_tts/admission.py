"""Admission control: which streams may compute now, which wait for a place, and which are refused as `Busy`.

A stream holds one of a limited number of places only while it has text to compute and a listener who reads.
A place that its stream does not need now goes to whoever asks for one: a stream that waits for text, whose
client does not read, or that is far ahead of its listener asks again when it has work. One that has held a
place before goes ahead of the newcomers of its address and is never refused. Places are shared fairly between
the addresses of clients: one address may hold all of them only while no other asks.

A newcomer gets a place only if the machine can carry it: if, by the demand of all streams with it, it can
start soon and nobody hears a gap. Otherwise it waits, and a limit on the queue and the predicted start refuse
newcomers that could only be served late. While nobody else speaks, nobody is refused. The same demand tells
when a stream that holds a place can start.

As in `scheduler`, there is no clock and no event loop here: times are arguments, in seconds of any monotonic
clock. `synthesis` waits for what is queued.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from math import inf

from wyoming_tts.demand import (
    Demand,
    Work,
    can_start_within,
    earliest_start,
    lateness,
    lead_needed,
    machine_seconds,
)
from wyoming_tts.errors import Busy
from wyoming_tts.messages import Message
from wyoming_tts.scheduler import Scheduler, StreamClock

REST = 0.25
"""Seconds without work after which a place may go to another stream: longer than the pauses of a client that
reads everything at once, or of a text that is being written."""

_RECHECK = 0.25
"""Seconds after which it is judged again whether the machine can carry a newcomer that waits: playing alone
changes that."""


@dataclass(frozen=True, slots=True)
class AdmissionOptions:
    """Limits on the streams that are served and queued."""

    max_streams: int = 16
    """Streams spoken at the same time."""
    max_queue: int = 32
    """New streams waiting for a place."""
    max_wait: float = 10.0
    """Longest wait of a new stream for others, in seconds. One that is expected to start later is refused at
    once, one that still has no place by then is refused then."""
    max_hold: float = 10.0
    """Longest time for which a stream's start is held back so that it plays without a gap, in seconds."""


class PlaceState(Enum):
    """Whether a stream holds a place."""

    OUTSIDE = auto()
    WAITING = auto()
    HELD = auto()


@dataclass(slots=True, eq=False)
class Place:
    """One stream's place among those that may compute, or its wait for one."""

    stream: StreamClock
    peer: str = ""
    """Address that it counts for."""
    state: PlaceState = PlaceState.OUTSIDE
    is_newcomer: bool = True
    """Whether it never held a place: only then it can be refused."""
    waiting_since: float = 0.0
    rests_since: float | None = None
    """Since when its stream has had no work; None while it has some."""
    predicted_start: float | None = None
    """Seconds from its arrival to its first audio, as expected on its arrival."""
    refusal: Busy | None = None
    """Why it was refused while it waited."""

    @property
    def is_held(self) -> bool:
        """Whether its stream may compute."""
        return self.state is PlaceState.HELD

    @property
    def rested_at(self) -> float:
        """When its stream will have rested long enough for it to go to another."""
        return inf if self.rests_since is None else self.rests_since + REST


class Admission:
    """Decides which streams hold a place, which wait for one, and which are refused."""

    def __init__(self, options: AdmissionOptions, scheduler: Scheduler) -> None:
        self._options = options
        self._scheduler = scheduler
        self._held: dict[Place, None] = {}
        self._held_by: Counter[str] = Counter()
        self._waiting: dict[Place, None] = {}  # in order of asking
        self._usual_works: Sequence[Work] = ()

    def __repr__(self) -> str:
        return f"<Admission held={len(self._held)} queued={self.queued}>"

    @property
    def options(self) -> AdmissionOptions:
        """The limits in force."""
        return self._options

    def set_options(self, options: AdmissionOptions) -> None:
        """Replace the limits; streams that hold a place or wait already go on."""
        self._options = options

    def count_active(self, now: float) -> int:
        """Count the streams being spoken: those with a place that have work, or whose audio still plays."""
        return sum(place.rests_since is None or place.stream.deadline() > now for place in self._held)

    @property
    def queued(self) -> int:
        """Number of streams that wait for a place."""
        return len(self._waiting)

    def admit(self, place: Place, now: float) -> bool:
        """Give the stream a place and return True, or queue it and return False.

        Raises:
            Busy: it is a newcomer, and the queue is full or its first audio would take too long.
        """
        if place.is_newcomer:
            self._check_newcomer(place, now)
        place.state, place.waiting_since = PlaceState.WAITING, now
        self._waiting[place] = None
        self.settle(now)
        return place.is_held

    def keep(self, place: Place, now: float) -> bool:
        """Note that the stream has work, and return whether it still holds its place."""
        if place.rests_since is not None:
            place.rests_since = None
        if self._waiting:
            self.settle(now)
        return place.is_held

    def rest(self, place: Place, now: float) -> None:
        """Note that the stream has no work for now: after a while its place may go to another."""
        if place.is_held and place.rests_since is None:
            place.rests_since = now

    def release(self, place: Place, now: float) -> None:
        """Free the place of a stream that ended, or end its wait for one."""
        self._waiting.pop(place, None)
        if place.is_held:
            self._take(place, now)
        place.state = PlaceState.OUTSIDE
        self.settle(now)

    def settle(self, now: float) -> None:
        """Give places to the streams whose turn it is, and refuse newcomers that have waited too long.

        What was decided is in each one's `state` and `refusal`.
        """
        while self._waiting and self._admit_next(now):
            pass
        for place in self._newcomers():
            if place.waiting_since + self._options.max_wait <= now:
                self._refuse(
                    place,
                    self._busy(
                        Message(
                            "busy_none_ended",
                            "{speaking} utterances are being spoken and none ended within {seconds} s.",
                            speaking=len(self._held),
                            seconds=f"{self._options.max_wait:g}",
                        )
                    ),
                )

    def wake_at(self, now: float) -> float | None:
        """Return when to `settle` although nothing happened by then; None if nothing will have changed."""
        if not self._waiting:
            return None
        overdue = [place.waiting_since + self._options.max_wait for place in self._newcomers()]
        rested = [place.rested_at for place in self._held]
        needed = [self._needs_audio_at(place) for place in self._waiting]
        recheck = [now + _RECHECK] if self._has_room() else []  # then it is the machine that is full
        return min((at for at in (*overdue, *rested, *needed, *recheck) if now < at < inf), default=None)

    def will_hold(self, place: Place, now: float) -> bool:
        """Whether a stream that starts to play now will not run dry, nor make others, by what is known."""
        stream = place.stream
        works, ahead = stream.backlog.works(), stream.ahead(now)
        busy = self._scheduler.busy_for(stream, now)  # by a step that cannot be interrupted
        if stream.lead_needed() + busy > ahead + stream.computed(now):
            return False
        others = [other for other in self._others(place) if not other.stream.is_held]
        late = self._late_on_one_core([stream, *(other.stream for other in others)], now)
        if late > 1:
            return False
        playing = self._demands(others, now)
        if not playing:
            return True
        # If one core is not enough for one of them, it has all of them except when another is urgent.
        demands = [Demand(works, ahead), *playing]
        return lateness(demands, self._scheduler.capacity, in_turns=late > 0) <= -busy

    def _late_on_one_core(self, heard: Sequence[StreamClock], now: float) -> int:
        """Count those that will run dry with one core each, if there are too many to have more."""
        capacity, horizon = self._scheduler.capacity, now + self._scheduler.lookahead.shared
        near = [each for each in heard if each.backlog.works() and each.deadline() < horizon]
        if not capacity.is_crowded(len(near)):
            return 0
        return sum(each.one_core_lead(capacity) > each.ahead(now) for each in near)

    def predict_wait(self, now: float, peer: str = "", works: Sequence[Work] | None = None) -> float:
        """Estimate for how long others delay a stream that arrives now from an address.

        Args:
            now: The time.
            peer: The address.
            works: What it has to compute; None takes what the last newcomer had.
        """
        works = self._usual_works if works is None else works
        delay = self._earliest_start(works, self._held, now) - lead_needed(works)
        if self._has_place_for(peer, now):
            return delay + self._queued_seconds(peer)
        place_free = min(map(self._machine_seconds, self._held), default=0.0)
        return max(delay, place_free) + self._queued_seconds(peer)

    def committed_share(self, now: float) -> float:
        """Return the share of the machine's time that all streams take to play on; above 1 they run late."""
        return sum(
            self._machine_seconds(place) / (audio + max(0.0, place.stream.ahead(now)))
            for place in (*self._held, *self._waiting)
            if (audio := sum(work.audio for work in place.stream.backlog.works()))
        )

    def _queued_seconds(self, peer: str) -> float:
        """For how long the streams that wait before a newcomer of an address occupy the machine."""
        # Addresses take turns, so of each other one at most as many go before it as of its own.
        seconds, turns = 0.0, Counter[str]()
        own = sum(place.peer == peer for place in self._waiting)
        for place in self._waiting:
            turns[place.peer] += 1
            if place.peer == peer or turns[place.peer] <= own + 1:
                seconds += self._machine_seconds(place)
        return seconds

    def _machine_seconds(self, place: Place) -> float:
        works = place.stream.backlog.works()
        return machine_seconds(works, capacity=self._scheduler.capacity, streams=len(self._held) + 1)

    def _others(self, place: Place) -> list[Place]:
        return [other for other in self._held if other is not place]

    @staticmethod
    def _demands(places: Iterable[Place], now: float) -> list[Demand]:
        """The demand of streams that have work."""
        streams = [place.stream for place in places if not place.stream.in_background]
        return [demand for demand in (_demand(stream, now) for stream in streams) if demand.works]

    def _earliest_start(self, works: Sequence[Work], others: Collection[Place], now: float) -> float:
        return earliest_start(works, *self._playing_and_held(others, now), self._scheduler.capacity)

    def _playing_and_held(
        self, places: Collection[Place], now: float
    ) -> tuple[Sequence[Demand], Sequence[Demand]]:
        """Return the demand of streams that are heard, and of those whose start may wait."""
        may_wait = {place for place in places if place.stream.is_held or place.stream.starts_at_once}
        playing = self._demands((place for place in places if place not in may_wait), now)
        return playing, self._demands((place for place in places if place in may_wait), now)

    def _can_carry(self, place: Place, now: float) -> bool:
        """Whether the machine can carry a newcomer beside all that are served."""
        playing, held = self._playing_and_held(self._others(place), now)
        if not playing and not held:
            return True
        works, max_hold = place.stream.backlog.works(), self._options.max_hold
        return can_start_within(max_hold, works, playing, held, self._scheduler.capacity)

    def _check_newcomer(self, place: Place, now: float) -> None:
        peer = place.peer
        if not self._has_place_for(peer, now) and len(self._newcomers()) >= self._options.max_queue:
            self._make_room_in_queue(peer)
        works = place.stream.backlog.works()
        self._usual_works = works or self._usual_works
        wait = self.predict_wait(now, peer, works)
        place.predicted_start = wait + min(place.stream.lead_needed(), self._options.max_hold)
        if wait > self._options.max_wait:
            raise Busy(
                Message(
                    "busy_wait",
                    "{speaking} utterances are being spoken and {queued} are queued: this one would wait "
                    "for about {wait} s, over the limit of {most} s.",
                    speaking=len(self._held),
                    queued=self.queued,
                    wait=f"{wait:.1f}",
                    most=f"{self._options.max_wait:g}",
                ),
                hint=Message("later_or_max_wait", "Try again later, or raise max_wait."),
            )

    def _make_room_in_queue(self, peer: str) -> None:
        """Refuse the last newcomer of the address with most of them, unless that is nearly `peer` itself."""
        newcomers = self._newcomers()
        waiting = Counter(place.peer for place in newcomers)
        most = max(waiting.values(), default=0)
        if waiting[peer] + 2 > most:
            raise self._queue_full(len(newcomers))
        last = [place for place in newcomers if waiting[place.peer] == most][-1]
        self._refuse(last, self._queue_full(len(newcomers)))

    def _newcomers(self) -> list[Place]:
        return [place for place in self._waiting if place.is_newcomer]

    def _refuse(self, place: Place, refusal: Busy) -> None:
        del self._waiting[place]
        place.state = PlaceState.OUTSIDE
        place.refusal = refusal

    def _queue_full(self, queued: int) -> Busy:
        return self._busy(
            Message(
                "busy_queue",
                "{speaking} utterances are being spoken and {queued} are queued.",
                speaking=len(self._held),
                queued=queued,
            )
        )

    def _busy(self, message: str) -> Busy:
        return Busy(
            message,
            hint=Message("later_or_raise", "Try again later, or raise max_streams, max_queue or max_wait."),
        )

    def _admit_next(self, now: float) -> bool:
        """Admit the waiting stream whose turn it is, if there is a place and the machine can carry it."""
        candidates: Collection[Place] = self._waiting
        spare: Place | None = None
        if not self._has_room():
            spare = self._find_rested(now)
            if spare is None:
                candidates = [place for place in self._waiting if self._needs_audio(place, now)]
                spare = self._find_far_ahead(now) if candidates else None
            if spare is None:
                candidates = [place for place in candidates if self._is_entitled(place.peer)]
                spare = self._find_above_share() if candidates else None
            if spare is None:
                return False
        chosen = min(candidates, key=self._turn)
        if chosen.is_newcomer and not self._can_carry(chosen, now):
            return False
        if spare is not None:
            self._take(spare, now)
        self._grant(chosen, now)
        return True

    def _has_place_for(self, peer: str, now: float) -> bool:
        """Whether a newcomer of an address would be admitted."""
        if self._has_room() or self._is_entitled(peer):
            return True
        return self._find_rested(now) is not None or self._find_far_ahead(now) is not None

    def _has_room(self) -> bool:
        return len(self._held) < self._options.max_streams

    def _needs_audio(self, place: Place, now: float) -> bool:
        """Whether a stream's listener has so little left to play that it should compute now."""
        return self._needs_audio_at(place) <= now

    def _needs_audio_at(self, place: Place) -> float:
        return place.stream.deadline() - self._scheduler.lookahead.needed(place.stream)

    def _find_rested(self, now: float) -> Place | None:
        """Find a place whose stream has had no work for a while: the one that rests longest."""
        longest = min(self._held, key=lambda place: place.rested_at, default=None)
        return longest if longest is not None and longest.rested_at <= now else None

    def _find_far_ahead(self, now: float) -> Place | None:
        """Find a place whose stream is far ahead of its listener: the farthest."""
        farthest = self._farthest_ahead(self._held)
        return None if farthest is None or self._needs_audio(farthest, now) else farthest

    def _is_entitled(self, peer: str) -> bool:
        """Whether another address has to hand a place to this one, because it holds at least two more."""
        return self._held_by[peer] + 2 <= max(self._held_by.values(), default=0)

    def _find_above_share(self) -> Place | None:
        """Find a place of the address that holds the most: the one needed last."""
        most = max(self._held_by.values(), default=0)
        return self._farthest_ahead(place for place in self._held if self._held_by[place.peer] == most)

    @staticmethod
    def _farthest_ahead(places: Iterable[Place]) -> Place | None:
        return max(places, key=lambda place: place.stream.deadline(), default=None)

    def _turn(self, place: Place) -> tuple[bool, int, bool, float]:
        """Return what sorts waiting places: the address that holds the fewest first, its newcomers last."""
        since = place.waiting_since if place.is_newcomer else place.stream.deadline()
        return place.stream.in_background, self._held_by[place.peer], place.is_newcomer, since

    def _grant(self, place: Place, now: float) -> None:
        del self._waiting[place]
        self._held[place] = None
        self._held_by[place.peer] += 1
        if not place.is_newcomer:
            place.stream.work_arrived(now)  # the time without a place is no lateness of the machine
        place.state, place.is_newcomer = PlaceState.HELD, False
        place.rests_since = None

    def _take(self, place: Place, now: float) -> None:
        self.rest(place, now)
        del self._held[place]
        self._held_by[place.peer] -= 1
        if not self._held_by[place.peer]:
            del self._held_by[place.peer]
        place.state = PlaceState.OUTSIDE


def _demand(stream: StreamClock, now: float) -> Demand:
    works, ahead = stream.backlog.works(), stream.ahead(now)
    return Demand(works, max(ahead, stream.lead_needed()) if stream.starts_at_once else ahead)
