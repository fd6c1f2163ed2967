"""Background calibration: what can be learned of a voice is learned while nobody else wants to compute.

A voice that can be calibrated is queued when it is spoken with. A step of its calibration is interrupted as
soon as a listener's stream wants to compute, and begun anew once none has for a while.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import closing
from functools import partial
from typing import Final

from wyoming_tts.engines.base import SelfCalibrating
from wyoming_tts.engines.model_cache import ModelCache
from wyoming_tts.errors import SpeechError
from wyoming_tts.scheduler import StreamClock
from wyoming_tts.speech import VoiceSpec
from wyoming_tts.synthesis.loudness import SpeakerKey, speaker_key
from wyoming_tts.workers import Preempted, Workers

_LOGGER = logging.getLogger(__name__)

QUIET_SECONDS: Final = 2.0
"""After an interruption: between the sentences of an answer it would only be interrupted again."""
_MAX_QUEUED: Final = 64
_MAX_DONE: Final = 256


class VoiceCalibration:
    """The voices that are to be calibrated, one after the other."""

    def __init__(
        self,
        loaded: ModelCache,
        workers: Workers,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """Begin with none.

        Args:
            loaded: the models in memory.
            workers: run the steps.
            clock: monotonic time in seconds.
            sleep: waits for seconds.
        """
        self._loaded = loaded
        self._workers = workers
        self._clock = clock
        self._sleep = sleep
        self._queue: asyncio.Queue[VoiceSpec] = asyncio.Queue(_MAX_QUEUED)
        self._asked: dict[SpeakerKey, None] = {}

    def __repr__(self) -> str:
        return f"<VoiceCalibration queued={self._queue.qsize()}>"

    def request(self, spec: VoiceSpec) -> None:
        """Queue a voice that has just been loaded, if it was not before."""
        key = speaker_key(spec)
        if key in self._asked or self._queue.full():
            return
        while len(self._asked) >= _MAX_DONE:
            del self._asked[next(iter(self._asked))]
        self._asked[key] = None
        self._queue.put_nowait(spec)

    async def run(self) -> None:
        """Calibrate the voices that are queued, until cancelled."""
        while True:
            spec = await self._queue.get()
            try:
                await self._calibrate(spec)
            except SpeechError as error:
                _LOGGER.info("%s could not be calibrated: %s", spec.voice.name, error)
            except Exception:  # an unforeseen failure of a voice must not end the server
                _LOGGER.exception("%s could not be calibrated.", spec.voice.name)

    async def _calibrate(self, spec: VoiceSpec) -> None:
        stream = StreamClock(work_since=self._clock(), in_background=True)
        async with self._loaded.lease(spec.voice) as loaded:
            if not isinstance(loaded, SelfCalibrating):
                return
            while not await self._workers.run_blocking(partial(loaded.is_calibrated, spec)):
                try:
                    await self._run_steps(loaded, spec, stream)
                except Preempted:
                    await self._sleep(QUIET_SECONDS)

    async def _run_steps(self, loaded: SelfCalibrating, spec: VoiceSpec, stream: StreamClock) -> None:
        with closing(loaded.calibrate(spec)) as steps:
            while await self._workers.run_preemptible_step(stream, lambda: next(steps, _END)) is not _END:
                pass


_END: Final = object()
