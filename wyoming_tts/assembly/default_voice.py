"""The voices that a running server has ready: the default voice, changed safely, and those preloaded."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final

from wyoming_tts.assembly.parts import Parts
from wyoming_tts.errors import SpeechError
from wyoming_tts.speech import Voice, VoiceRequest
from wyoming_tts.voices.library import DefaultVoice

_LOGGER = logging.getLogger(__name__)


RETRY_SECONDS: Final = 30.0
"""Between two tries to warm up a voice: what failed for want of memory or a share may work by then."""


async def warm_up_until_ready(
    parts: Parts, *, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
) -> None:
    """Warm up the default voice or its stand-in, again and again until one is ready."""
    await warm_up(parts)
    while not parts.readiness.is_ready:
        await sleep(RETRY_SECONDS)
        await warm_up(parts)


async def warm_up(parts: Parts) -> None:
    """Warm up the default voice or its stand-in by a silent synthesis; a failure is logged once."""
    started = time.perf_counter()
    try:
        spec = await parts.synthesizer.warm_up()
    except SpeechError as error:
        if parts.readiness.failure != str(error):
            _LOGGER.warning("No voice is ready. %s", error)
        parts.readiness.failure = str(error)
    except Exception as error:  # an unforeseen failure of a voice must not end the server
        if parts.readiness.failure != repr(error):
            _LOGGER.exception("No voice is ready.")
        parts.readiness.failure = repr(error)
    else:
        _note_ready(parts, spec.voice, started)
        await prepare_phrases(parts)


async def preload_voices(parts: Parts) -> None:
    """Load and warm up the voices of the setting `preload`, in order; what fails is logged and left out."""
    for name in parts.settings.preload:
        started = time.perf_counter()
        try:
            spec = await parts.library.resolve(VoiceRequest(name=name))
            if _would_displace(parts, spec.voice):
                _LOGGER.warning("%s is not preloaded: max_loaded_voices are in memory.", name)
                continue
            await parts.synthesizer.warm_up(spec)
        except SpeechError as error:
            _LOGGER.warning("%s is not preloaded. %s", name, error)
        except Exception:  # an unforeseen failure of a voice must not end the server
            _LOGGER.exception("%s is not preloaded.", name)
        else:
            _LOGGER.info("Preloaded: %s (%.1f s).", spec.voice.name, time.perf_counter() - started)


def _would_displace(parts: Parts, voice: Voice) -> bool:
    models = parts.loaded.models
    return voice.model not in models and len(models) >= parts.settings.max_loaded_voices


async def change_default(parts: Parts, default: DefaultVoice) -> Voice:
    """Change the default voice to that of changed settings after warming it up, and return it.

    Raises:
        SpeechError: it is not installed or cannot speak; the default voice stays as it was.
    """
    voice = await _warmed_up(parts, default)
    parts.library.change_default(default)
    return voice


async def choose_default(parts: Parts, default: DefaultVoice) -> Voice:
    """Use a voice in place of the configured default after warming it up, and return it.

    Raises:
        SpeechError: it is not installed or cannot speak; the default voice stays as it was.
    """
    voice = await _warmed_up(parts, default)
    parts.library.choose_default(DefaultVoice(voice.name, default.speaker))
    return voice


async def _warmed_up(parts: Parts, default: DefaultVoice) -> Voice:
    started = time.perf_counter()
    spec = await parts.synthesizer.warm_up(parts.library.resolve_default(default))
    _note_ready(parts, spec.voice, started)
    return spec.voice


async def prepare_phrases(parts: Parts) -> None:
    """Synthesize the phrases of the setting `prepare` into the cache; a failure is logged."""
    for phrase in parts.settings.prepare:
        try:
            await parts.synthesizer.prepare(phrase)
        except SpeechError as error:
            _LOGGER.warning("The phrase %r could not be prepared. %s", phrase, error)


def _note_ready(parts: Parts, voice: Voice, started: float) -> None:
    parts.readiness.is_ready = True
    _LOGGER.info("Ready: %s speaks (%.1f s).", voice.name, time.perf_counter() - started)
