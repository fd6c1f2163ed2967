"""The voices of one utterance, loaded when they are first needed: mostly one, several with markup."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, AsyncExitStack
from dataclasses import replace
from typing import Self

from wyoming_tts.engines.base import ReadyVoice, RemoteVoice
from wyoming_tts.engines.model_cache import ModelCache
from wyoming_tts.errors import SpeechError, VoiceUnavailable
from wyoming_tts.scheduler import StreamClock
from wyoming_tts.speech import Voice, VoiceRequest, VoiceSpec
from wyoming_tts.synthesis.loudness import SpeakerKey, VoiceLoudness, speaker_key
from wyoming_tts.voices.library import VoiceLibrary
from wyoming_tts.voices.names import VoiceAliases

_LOGGER = logging.getLogger(__name__)


class VoiceNotReady(Exception):
    """A voice is still being loaded, and its listener does not wait for it any longer."""

    def __init__(self, voice: Voice) -> None:
        super().__init__(f"The voice {voice.name} is still being loaded:")


WaitForVoice = Callable[[VoiceSpec], Awaitable[bool]]
"""Loads a voice; False if its listener does not wait for it any longer."""


OnSubstituted = Callable[[VoiceSpec, Voice, Exception], None]
"""Called where the embedded voice is going to speak for another one, with the reason."""


async def wait_for_any_voice(_: VoiceSpec) -> bool:
    """Wait for as long as it takes."""
    return True


class VoiceLease:
    """A voice leased when it is first needed: segments that come from the cache need no model in memory.

    Leaving the `async with` ends the lease.
    """

    def __init__(
        self,
        loaded: ModelCache,
        loudness: VoiceLoudness,
        spec: VoiceSpec,
        stream: StreamClock,
        *,
        wait: WaitForVoice = wait_for_any_voice,
    ) -> None:
        self.spec = spec
        """The voice and the speaker of it."""
        self._loaded = loaded
        self._loudness = loudness
        self._stream = stream
        self._wait = wait
        self._lease = AsyncExitStack()
        self._voice: ReadyVoice | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.release()

    async def release(self) -> None:
        """Give the model back to the cache, which may free it; it is leased again when it is needed."""
        self._voice = None
        await self._lease.aclose()

    @property
    def is_loaded(self) -> bool:
        """Whether the voice is in memory, and stays there."""
        return self._voice is not None

    async def load(self) -> ReadyVoice:
        """Return the loaded voice, which renders the next steps of the stream.

        Raises:
            SpeechError: as for `ModelCache.lease`.
        """
        if self._voice is None:
            self._voice = await self._lease.enter_async_context(self._loaded.lease(self.spec.voice))
        if not isinstance(self._voice, RemoteVoice):
            self._stream.shares_cores = self._voice.shares_cores
        return self._voice

    async def load_with_gain(self) -> tuple[ReadyVoice, float]:
        """Return the loaded voice and its gain; 1.0 for a remote voice, whose own server sets its loudness.

        Raises:
            VoiceNotReady: the listener does not wait for it any longer.
            SpeechError: as for `load`.
        """
        if self._voice is None and not await self._wait(self.spec):
            raise VoiceNotReady(self.spec.voice)
        voice = await self.load()
        if isinstance(voice, RemoteVoice):
            return voice, 1.0
        with self.quarantining():
            return voice, await self._loudness.gain(self.spec, voice, self._stream)

    def quarantining(self) -> AbstractContextManager[None]:
        """As `ModelCache.quarantining`, around steps of this voice."""
        return self._loaded.quarantining(self.spec.voice)


class UtteranceVoices:
    """The voice leases of one utterance: its own, and one other at a time where markup requests it."""

    def __init__(
        self,
        library: VoiceLibrary,
        loaded: ModelCache,
        loudness: VoiceLoudness,
        spec: VoiceSpec,
        stream: StreamClock,
        *,
        may_download: bool = True,
        allowed: tuple[str, ...] = (),
        patience: float | None = None,
        wait: WaitForVoice = wait_for_any_voice,
        on_substituted: OnSubstituted = lambda _spec, _voice, _reason: None,
        aliases: VoiceAliases | None = None,
    ) -> None:
        """Lease `spec` when it is needed; the options are those of the utterance's `VoiceRequest`."""
        self._library = library
        self._aliases = aliases or VoiceAliases({})
        self._may_download = may_download
        self._allowed = allowed
        self._patience = patience
        self._loaded = loaded
        self._loudness = loudness
        self._stream = stream
        self._wait = wait
        self._on_substituted = on_substituted
        self._is_settled = False
        self._main = self._lease(spec)
        self._other: VoiceLease | None = None
        self._warned: set[VoiceRequest] = set()
        self._substitutes: dict[SpeakerKey, VoiceSpec] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.release()

    async def find(self, request: VoiceRequest | None) -> VoiceLease:
        """Return the lease for a segment's voice; the utterance's own for None or an unknown voice."""
        found = None if request is None else await self._resolve(request)
        spec = found or self._main.spec
        spec = self._substitutes.get(speaker_key(spec), spec)
        if spec == self._main.spec:
            return self._main
        if self._other is None or self._other.spec != spec:
            await self._release_other()
            self._other = self._lease(spec)
        return self._other

    async def settle(self) -> None:
        """Settle whether the utterance's own voice speaks: its listener is told now, and waits no more.

        It speaks if it is ready. Neither the end of a load changes that later, nor the loss of its model.
        """
        main = self._main
        if self._is_settled or self._is_substituted(main.spec):
            return
        can_wait = main.is_loaded or not self._has_substitute(main.spec.voice)
        if can_wait or await self._wait(main.spec):
            self._is_settled = not self._is_substituted(main.spec)
        else:
            self.substitute(main, VoiceNotReady(main.spec.voice))

    def substitute(self, lease: VoiceLease, reason: Exception) -> None:
        """Replace a voice, for the rest of the utterance, by the embedded voice of its language.

        Raises:
            VoiceUnavailable: there is none.
        """
        if self._is_substituted(lease.spec):
            return  # since its listener's patience ended
        voice = self._library.embedded_voice(lease.spec.voice.language)
        self._substitutes[speaker_key(lease.spec)] = VoiceSpec(voice)
        self._on_substituted(lease.spec, voice, reason)

    def _lease(self, spec: VoiceSpec) -> VoiceLease:
        wait = self._wait_for if self._has_substitute(spec.voice) else wait_for_any_voice
        return VoiceLease(self._loaded, self._loudness, spec, self._stream, wait=wait)

    async def _wait_for(self, spec: VoiceSpec) -> bool:
        """Wait for a voice that another one may speak for."""
        is_settled = self._is_settled and spec == self._main.spec
        is_ready = is_settled or await self._wait(spec)
        return is_ready and not self._is_substituted(spec)

    def _is_substituted(self, spec: VoiceSpec) -> bool:
        return speaker_key(spec) in self._substitutes

    def _has_substitute(self, voice: Voice) -> bool:
        try:
            return self._library.embedded_voice(voice.language) != voice
        except VoiceUnavailable:
            return False

    async def release(self) -> None:
        """End the leases until voices are needed again: an idle utterance keeps no model in memory."""
        await self._release_other()
        await self._main.release()

    async def _release_other(self) -> None:
        other, self._other = self._other, None
        if other is not None:
            await other.__aexit__()

    async def _resolve(self, request: VoiceRequest) -> VoiceSpec | None:
        try:
            named = self._aliases.apply(request)
            bound = replace(
                named, may_download=self._may_download, allowed=self._allowed, patience=self._patience
            )
            return await self._library.resolve(bound)
        except SpeechError as error:
            # In the middle of a text a missing voice is no reason to fall silent.
            if request not in self._warned:
                self._warned.add(request)
                _LOGGER.warning("%s keeps speaking: %s", self._main.spec.voice.name, error)
            return None
