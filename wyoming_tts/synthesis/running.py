"""Running utterances: who is being spoken to now, in which state, and how far ahead of its listener.

One whose audio was all delivered is kept for as long as it still plays: most sentences are made within a
moment, and heard for seconds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from wyoming_tts.speech import Outcome
from wyoming_tts.synthesis.job import Job

Clock = Callable[[], float]

_KEPT: Final = 64
"""Utterances that play on after their end, at most."""


class RunState(StrEnum):
    """What an utterance is doing."""

    QUEUED = "queued"
    """It waits in the admission queue for a place."""
    PREPARING = "preparing"
    """Its voice is loaded or its first audio is computed."""
    HELD = "held"
    """Audio is made, and held back until it plays without a gap."""
    SPEAKING = "speaking"
    """Its listener has audio to play."""
    LATE = "late"
    """Its listener has played all audio, and more is being computed."""
    WAITING_FOR_TEXT = "waiting_for_text"
    """Everything that was sent is spoken, and more text may follow."""
    SENT = "sent"
    """All of it is delivered, and still plays."""


@dataclass(frozen=True, slots=True)
class RunningUtterance:
    """An utterance that is being spoken, never its text."""

    id: str
    peer: str
    """Address that it counts for; empty for this process."""
    transport: str
    voice: str
    """Empty until it is resolved."""
    requested_voice: str
    """What was asked for, if another voice speaks than that; else empty."""
    state: RunState
    ahead: float
    """Seconds of audio that are made and not played yet."""
    seconds: float
    """Since the request."""


class RunningUtterances:
    """The utterances that are spoken now, in the order in which they came."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._jobs: dict[Job, None] = {}
        self._sent: deque[tuple[float, RunningUtterance]] = deque(maxlen=_KEPT)

    def __repr__(self) -> str:
        return f"<RunningUtterances {len(self._jobs)}>"

    @contextmanager
    def watching(self, job: Job) -> Iterator[None]:
        """Count an utterance that somebody listens to as running for the length of a block."""
        if job.clock.in_background:
            yield
            return
        self._jobs[job] = None
        try:
            yield
        finally:
            del self._jobs[job]
            self._keep_while_it_plays(job)

    def now(self) -> tuple[RunningUtterance, ...]:
        """Return those that are spoken or still play."""
        now = self._clock()
        playing = (
            replace(one, ahead=ends_at - now, seconds=one.seconds + now - (ends_at - one.ahead))
            for ends_at, one in self._sent
            if ends_at > now
        )
        return (*playing, *(running(job, now) for job in self._jobs))

    def _keep_while_it_plays(self, job: Job) -> None:
        now = self._clock()
        if job.outcome is Outcome.DONE and (ahead := job.clock.ahead(now)) > 0:
            self._sent.append((now + ahead, replace(running(job, now), state=RunState.SENT)))


def running(job: Job, now: float) -> RunningUtterance:
    """Return what an utterance is doing."""
    speaking, utterance = job.speaking_or_none, job.utterance
    requested = speaking.requested if speaking is not None and speaking.is_another else ""
    return RunningUtterance(
        id=utterance.id,
        peer=utterance.peer,
        transport=utterance.transport,
        voice="" if speaking is None else speaking.name,
        requested_voice=requested,
        state=_state(job, now),
        ahead=job.clock.ahead(now),
        seconds=now - job.began_at,
    )


def _state(job: Job, now: float) -> RunState:
    clock = job.clock
    if job.is_queued:
        return RunState.QUEUED
    if clock.is_held and clock.buffered_seconds:
        return RunState.HELD
    if job.has_audio and clock.ahead(now) > 0:
        return RunState.SPEAKING
    if job.lacks_text:
        return RunState.WAITING_FOR_TEXT
    return RunState.LATE if job.has_audio else RunState.PREPARING
