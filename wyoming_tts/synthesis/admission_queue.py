"""Where those wait who cannot be served at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from wyoming_tts.admission import Admission
from wyoming_tts.scheduler import StreamClock

Clock = Callable[[], float]


class AdmissionQueue:
    """Lets streams in as the admission decides; who has to wait, waits here."""

    def __init__(self, admission: Admission, clock: Clock) -> None:
        self._admission = admission
        self._clock = clock
        self._waiting: dict[StreamClock, asyncio.Future[None]] = {}

    @asynccontextmanager
    async def entered(self, stream: StreamClock) -> AsyncIterator[None]:
        """Hold a place among the streams that are being spoken.

        Raises:
            Busy: there is none, and none soon.
        """
        try:
            if not self._admission.admit(stream, self._clock()):
                self._waiting[stream] = asyncio.get_running_loop().create_future()
                await self._waiting[stream]
            yield
        finally:
            self._waiting.pop(stream, None)
            self._admission.release(stream, self._clock())
            self._call_in()

    def _call_in(self) -> None:
        while (stream := self._admission.admit_next(self._clock())) is not None:
            if not self._waiting[stream].done():
                self._waiting[stream].set_result(None)
