"""Background calibration: what can be learned of a voice is learned while nobody else wants to compute.

A voice that can be calibrated is queued when it is spoken with. Calibration begins once no listener has
wanted to compute for a while. A step of it is interrupted as soon as one does, and is done again later.
Meanwhile the model may be freed: then the voice is queued again when it is spoken with again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Final

from wyoming_tts.engines.base import ReadyVoice, SelfCalibrating
from wyoming_tts.engines.model_cache import ModelCache
from wyoming_tts.errors import SpeechError
from wyoming_tts.scheduler import StreamClock
from wyoming_tts.speech import VoiceSpec
from wyoming_tts.synthesis.loudness import SpeakerKey, speaker_key
from wyoming_tts.workers import Preempted, StepwiseRender, Workers

_LOGGER = logging.getLogger(__name__)

QUIET_SECONDS: Final = 2.0
"""Without a listener before it begins: between the sentences of an answer it would only be interrupted."""
_MAX_QUEUED: Final = 64
_MAX_ASKED: Final = 256
"""Voices that are remembered as asked for: of more than those, some are asked once more in vain."""


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

    def request(self, spec: VoiceSpec, loaded: ReadyVoice) -> None:
        """Queue a voice that is spoken with, if its model can be calibrated and it was not queued before."""
        key = speaker_key(spec)
        if key in self._asked or self._queue.full() or not isinstance(loaded, SelfCalibrating):
            return
        while len(self._asked) >= _MAX_ASKED:
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
        seconds, sentences = 0.0, None
        while sentences is None:
            await self._wait_for_quiet()
            begun = self._clock()
            # No lease while it waits: the model is freed as if there were no calibration.
            with self._loaded.lease_loaded(spec.voice) as loaded:
                if not isinstance(loaded, SelfCalibrating):
                    self._asked.pop(speaker_key(spec), None)
                    return
                if await self._workers.run_blocking(partial(loaded.is_calibrated, spec)):
                    return
                with suppress(Preempted):
                    sentences = await self._run_steps(loaded, spec)
            seconds += self._clock() - begun
        _LOGGER.info("Calibrated %s with %d sentences in %.1f s.", spec.voice.name, sentences, seconds)

    async def _wait_for_quiet(self) -> None:
        while (left := QUIET_SECONDS - self._workers.quiet_seconds()) > 0:
            await self._sleep(left)

    async def _run_steps(self, loaded: SelfCalibrating, spec: VoiceSpec) -> int:
        """Calibrate; return the number of sentences that were learned from.

        Raises:
            Preempted: a listener came.
        """
        stream = StreamClock(work_since=self._clock(), in_background=True)
        render = StepwiseRender(self._workers, stream, loaded.calibrate(spec), is_preemptible=True)
        learned = 0
        async with render as steps:
            async for sentences in steps:
                learned = sentences
                if self._workers.quiet_seconds() < QUIET_SECONDS:  # the step has ended nevertheless
                    raise Preempted
        return learned
