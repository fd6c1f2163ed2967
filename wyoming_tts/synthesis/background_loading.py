"""Voices that are loaded in the background: a listener waits within its patience, and the load goes on.

A load that ended with the patience of whoever asked for it would begin anew with each of their sentences,
and the voice would never be ready.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, Self

from wyoming_tts.speech import VoiceSpec
from wyoming_tts.synthesis.loudness import SpeakerKey, speaker_key

_LOGGER = logging.getLogger(__name__)

_MAX_LOADS: Final = 4
"""At a time, as listeners who no longer wait may ask for one voice after the other."""


class BackgroundLoading:
    """The loads in progress by voice; leaving the `async with` cancels them."""

    def __init__(self, load: Callable[[VoiceSpec], Awaitable[object]]) -> None:
        """Begin with none; `load` loads a voice and all that its first audio needs."""
        self._load = load
        self._loads: dict[SpeakerKey, asyncio.Task[None]] = {}

    def __repr__(self) -> str:
        return f"<BackgroundLoading loads={len(self._loads)}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        loads = list(self._loads.values())
        for load in loads:
            load.cancel()
        if loads:
            await asyncio.wait(loads)

    async def wait(self, spec: VoiceSpec, seconds: float) -> bool:
        """Load a voice; return whether that ended in time. If it failed, using the voice tells why."""
        load = self._begin(spec)
        if load is None:
            return False
        return bool((await asyncio.wait([load], timeout=max(0.0, seconds)))[0])

    def _begin(self, spec: VoiceSpec) -> asyncio.Task[None] | None:
        """The load of the voice, begun if need be; None if too many others are in progress."""
        key = speaker_key(spec)
        if key not in self._loads:
            if len(self._loads) >= _MAX_LOADS:
                return None
            self._loads[key] = asyncio.create_task(self._run(spec))
            self._loads[key].add_done_callback(lambda _: self._loads.pop(key))
        return self._loads[key]

    async def _run(self, spec: VoiceSpec) -> None:
        try:
            await self._load(spec)
        except Exception as error:  # noqa: BLE001 - raised again where the voice is used
            _LOGGER.debug("%s could not be loaded: %s", spec.voice.name, error)
