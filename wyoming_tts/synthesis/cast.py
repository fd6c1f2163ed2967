"""The voices of an utterance, made ready as they are needed: mostly one, with markup several."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from typing import Self

import numpy as np

from wyoming_tts import audio
from wyoming_tts.engines.base import LoadedVoice
from wyoming_tts.engines.loaded import LoadedVoices
from wyoming_tts.errors import SpeechError
from wyoming_tts.scheduler import StreamClock
from wyoming_tts.speech import Prosody, VoiceRequest, VoiceSpec
from wyoming_tts.voices.library import VoiceLibrary
from wyoming_tts.workers import StepwiseRender, Workers

_LOGGER = logging.getLogger(__name__)

_CALIBRATION_PROSODY = Prosody(noise_scale=0.0, noise_w_scale=0.0)
"""Without noise the measured gain, and with it every sample, is the same after each start."""

_SpeakerKey = tuple[str, str, int | None]


class Levels:
    """The gain of each voice, measured once by a short text it speaks for nobody."""

    def __init__(self, workers: Workers, target_lufs: float) -> None:
        self._workers = workers
        self._target = target_lufs
        self._gains: dict[_SpeakerKey, float] = {}
        self._measuring: dict[_SpeakerKey, asyncio.Lock] = {}

    async def gain(self, spec: VoiceSpec, loaded: LoadedVoice, stream: StreamClock) -> float:
        """Return the linear gain for the voice; the first caller's turn is used to measure it."""
        key = (spec.voice.name, spec.voice.model, spec.speaker)
        async with self._measuring.setdefault(key, asyncio.Lock()):
            if key not in self._gains:
                self._gains[key] = await self._measure(spec, loaded, stream)
        return self._gains[key]

    async def _measure(self, spec: VoiceSpec, loaded: LoadedVoice, stream: StreamClock) -> float:
        render = loaded.render(loaded.calibration_segment(spec), spec, _CALIBRATION_PROSODY)
        async with StepwiseRender(self._workers, stream, render) as steps:
            parts = [samples async for samples in steps]
        samples = np.concatenate(parts) if parts else np.zeros(0, np.float32)
        gain = await self._workers.step(
            stream, lambda: audio.gain_to(self._target, samples, spec.voice.sample_rate)
        )
        _LOGGER.debug("Gain of %s, speaker %s: %.2f.", spec.voice.name, spec.speaker, gain)
        return gain


class Speaker:
    """A voice made ready when it is first needed: what is in the cache needs none in memory."""

    def __init__(self, loaded: LoadedVoices, levels: Levels, spec: VoiceSpec, stream: StreamClock) -> None:
        self.spec = spec
        """Which voice it is."""
        self._loaded = loaded
        self._levels = levels
        self._stream = stream
        self._held = AsyncExitStack()
        self._voice: LoadedVoice | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._held.aclose()

    async def voice(self) -> LoadedVoice:
        """Return the voice in memory; the stream's next steps are its."""
        if self._voice is None:
            self._voice = await self._held.enter_async_context(self._loaded.lease(self.spec.voice))
        self._stream.shares_cores = self._voice.shares_cores
        return self._voice

    async def ready(self) -> tuple[LoadedVoice, float]:
        """Return the voice in memory and its gain."""
        voice = await self.voice()
        return voice, await self._levels.gain(self.spec, voice, self._stream)


class Cast:
    """The speakers of one utterance: its own, and one other at a time where markup asks for it."""

    def __init__(
        self,
        library: VoiceLibrary,
        loaded: LoadedVoices,
        levels: Levels,
        spec: VoiceSpec,
        stream: StreamClock,
    ) -> None:
        self._library = library
        self._loaded = loaded
        self._levels = levels
        self._stream = stream
        self._own = Speaker(loaded, levels, spec, stream)
        self._guest: Speaker | None = None
        self._told: set[VoiceRequest] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._dismiss()
        await self._own.__aexit__()

    async def speaker(self, wanted: VoiceRequest | None) -> Speaker:
        """Return who speaks when this voice is asked for; the own voice where there is no such."""
        spec = None if wanted is None else await self._spec(wanted)
        if spec is None or spec == self._own.spec:
            return self._own
        if self._guest is None or self._guest.spec != spec:
            await self._dismiss()
            self._guest = Speaker(self._loaded, self._levels, spec, self._stream)
        return self._guest

    async def _dismiss(self) -> None:
        guest, self._guest = self._guest, None
        if guest is not None:
            await guest.__aexit__()

    async def _spec(self, wanted: VoiceRequest) -> VoiceSpec | None:
        try:
            return await self._library.resolve(wanted)
        except SpeechError as error:
            # In the middle of a text a voice more or less is no reason to fall silent.
            if wanted not in self._told:
                self._told.add(wanted)
                _LOGGER.warning("%s speaks on: %s", self._own.spec.voice.name, error)
            return None
