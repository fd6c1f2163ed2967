"""The voices of an utterance, made ready as they are needed: mostly one, with markup several."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from wyoming_tts import audio
from wyoming_tts.engines.base import LoadedVoice, ReadyVoice, RemoteVoice
from wyoming_tts.engines.loaded import LoadedVoices
from wyoming_tts.errors import SpeechError
from wyoming_tts.scheduler import StreamClock
from wyoming_tts.speech import Prosody, Voice, VoiceRequest, VoiceSpec
from wyoming_tts.voices.library import VoiceLibrary
from wyoming_tts.workers import StepwiseRender, Workers

_LOGGER = logging.getLogger(__name__)

_CALIBRATION_PROSODY = Prosody(noise_scale=0.0, noise_w_scale=0.0)
"""Without noise the measured gain, and with it every sample, is the same after each start."""

_MAX_LEVELS = 256  # anybody may ask for recipes without end

_SpeakerKey = tuple[str, str, int | None, str]


@dataclass(slots=True)
class _MeasuredGain:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    gain: float | None = None
    askers: int = 0


class VoiceLoudness:
    """The gain of each voice as its files are now, measured once by a short text it speaks for nobody.

    Those that were asked for last are kept.
    """

    def __init__(self, workers: Workers, target_lufs: float, *, most: int = _MAX_LEVELS) -> None:
        self._workers = workers
        self._target = target_lufs
        self._most = most
        self._levels: dict[_SpeakerKey, _MeasuredGain] = {}  # the most recently asked for last

    def __repr__(self) -> str:
        return f"<Levels of {len(self._levels)} speakers>"

    def __len__(self) -> int:
        return len(self._levels)

    async def gain(self, spec: VoiceSpec, loaded: LoadedVoice, stream: StreamClock) -> float:
        """Return the linear gain for the voice; the first caller's turn is used to measure it."""
        key = _key(spec)
        level = self._levels.setdefault(key, _MeasuredGain())
        self._levels[key] = self._levels.pop(key)
        level.askers += 1
        try:
            async with level.lock:
                if level.gain is None:
                    level.gain = await self._measure(spec, loaded, stream)
            return level.gain
        finally:
            level.askers -= 1
            self._forget_the_oldest()

    def _forget_the_oldest(self) -> None:
        for key, level in list(self._levels.items()):
            if level.askers:
                continue  # it is being measured, and others may be waiting for that
            if level.gain is None or len(self._levels) > self._most:
                del self._levels[key]

    async def _measure(self, spec: VoiceSpec, loaded: LoadedVoice, stream: StreamClock) -> float:
        render = loaded.render(loaded.calibration_segment(spec), spec, _CALIBRATION_PROSODY)
        async with StepwiseRender(self._workers, stream, render) as steps:
            parts = [samples async for samples in steps]
        samples = np.concatenate(parts) if parts else np.zeros(0, np.float32)
        gain = await self._workers.run_step(
            stream, lambda: audio.gain_to(self._target, samples, spec.voice.sample_rate)
        )
        _LOGGER.debug("Gain of %s, speaker %s: %.2f.", spec.voice.name, spec.speaker, gain)
        return gain


class Speaker:
    """A voice made ready when it is first needed: what is in the cache needs none in memory."""

    def __init__(
        self, loaded: LoadedVoices, levels: VoiceLoudness, spec: VoiceSpec, stream: StreamClock
    ) -> None:
        self.spec = spec
        """Which voice it is."""
        self._loaded = loaded
        self._levels = levels
        self._stream = stream
        self._held = AsyncExitStack()
        self._voice: ReadyVoice | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._held.aclose()

    async def voice(self) -> ReadyVoice:
        """Return the voice that is ready to speak; the stream's next steps are its."""
        if self._voice is None:
            self._voice = await self._held.enter_async_context(self._loaded.lease(self.spec.voice))
        if not isinstance(self._voice, RemoteVoice):
            self._stream.shares_cores = self._voice.shares_cores
        return self._voice

    async def ready(self) -> tuple[ReadyVoice, float]:
        """Return the voice and its gain; that of a remote one is its server's affair."""
        voice = await self.voice()
        if isinstance(voice, RemoteVoice):
            return voice, 1.0
        return voice, await self._levels.gain(self.spec, voice, self._stream)


class Speakers:
    """The speakers of one utterance: its own, and one other at a time where markup asks for it."""

    def __init__(
        self,
        library: VoiceLibrary,
        loaded: LoadedVoices,
        levels: VoiceLoudness,
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
        self._replaced: dict[_SpeakerKey, VoiceSpec] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._dismiss()
        await self._own.__aexit__()

    async def speaker(self, wanted: VoiceRequest | None) -> Speaker:
        """Return who speaks when this voice is asked for; the own voice where there is no such."""
        found = None if wanted is None else await self._spec(wanted)
        spec = found or self._own.spec
        spec = self._replaced.get(_key(spec), spec)
        if spec == self._own.spec:
            return self._own
        if self._guest is None or self._guest.spec != spec:
            await self._dismiss()
            self._guest = Speaker(self._loaded, self._levels, spec, self._stream)
        return self._guest

    def replace(self, speaker: Speaker) -> Voice:
        """Have the embedded voice of its language speak in place of a speaker, to the utterance's end.

        Raises:
            VoiceUnavailable: there is none.
        """
        voice = self._library.fallback_voice(speaker.spec.voice.language)
        self._replaced[_key(speaker.spec)] = VoiceSpec(voice)
        return voice

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


def _key(spec: VoiceSpec) -> _SpeakerKey:
    return spec.voice.name, spec.voice.model, spec.speaker, spec.voice.fingerprint
