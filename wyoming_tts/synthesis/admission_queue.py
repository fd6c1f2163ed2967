"""The queue of streams that wait for a place among those that may compute; `Admission` decides about them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from wyoming_tts.admission import Admission, Place, PlaceState
from wyoming_tts.scheduler import StreamClock

Clock = Callable[[], float]


class AdmissionQueue:
    """Suspends streams until `Admission` gives them a place, in the order that it decides."""

    def __init__(self, admission: Admission, clock: Clock) -> None:
        self._admission = admission
        self._clock = clock
        self._waiting: dict[Place, asyncio.Future[None]] = {}
        self._alarm: asyncio.TimerHandle | None = None

    @contextmanager
    def place(self, stream: StreamClock, peer: str) -> Iterator[Place]:
        """Yield the place of a stream, not held yet; whatever becomes of it is over with the block."""
        place = Place(stream, peer)
        try:
            yield place
        finally:
            self._waiting.pop(place, None)
            self._admission.release(place, self._clock())
            self._wake()

    def keep(self, place: Place) -> bool:
        """Note that the stream has work; return whether it holds its place, else it has to `wait` for one."""
        is_held = self._admission.keep(place, self._clock())
        if self._waiting:
            self._wake()
        return is_held

    def rest(self, place: Place) -> None:
        """Note that the stream has no work for now: its place may go to another."""
        self._admission.rest(place, self._clock())
        if self._waiting:
            self._set_alarm()

    async def wait(self, place: Place) -> None:
        """Wait until the stream holds a place; that is at once while there are enough.

        Raises:
            Busy: it is new, and there is none, or none became free in time.
        """
        is_held = self._admission.admit(place, self._clock())
        if not is_held:
            self._waiting[place] = asyncio.get_running_loop().create_future()
        if self._waiting:
            self._wake()
        if not is_held:
            await self._waiting[place]
            del self._waiting[place]
        if place.refusal is not None:
            raise place.refusal

    def _wake(self) -> None:
        """Wake the streams that `Admission` has decided about."""
        for place, decided in self._waiting.items():
            # One that was admitted and lost its place again meanwhile goes on, too: it gets somewhere then.
            if place.state is not PlaceState.WAITING and not decided.done():
                decided.set_result(None)
        self._set_alarm()

    def _set_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        now = self._clock()
        wake_at = self._admission.wake_at(now)
        if wake_at is not None:
            loop = asyncio.get_running_loop()
            self._alarm = loop.call_later(wake_at - now, self._settle)

    def _settle(self) -> None:
        self._admission.settle(self._clock())
        self._wake()
