"""The default voice of a running server: warmed up at the start, and changed only for one that can speak."""

from __future__ import annotations

import logging
import time

from wyoming_tts.assembly.parts import Parts
from wyoming_tts.errors import SpeechError
from wyoming_tts.speech import Voice
from wyoming_tts.voices.library import DefaultVoice

_LOGGER = logging.getLogger(__name__)


async def warm_up(parts: Parts) -> None:
    """Have the default voice, or its stand-in, speak once for nobody; a failure is logged."""
    started = time.perf_counter()
    try:
        spec = await parts.synthesizer.warm_up()
    except SpeechError as error:
        _LOGGER.warning("No voice is ready. %s", error)
    except Exception:  # a voice that breaks in an unforeseen way must not take the server with it
        _LOGGER.exception("No voice is ready.")
    else:
        _note_ready(parts, spec.voice, started)
        await prepare_phrases(parts)


async def change_default(parts: Parts, default: DefaultVoice) -> Voice:
    """Have another voice speak where none is named, once it has spoken for nobody; return which one that is.

    Raises:
        SpeechError: it is not here or cannot speak; the one before stays, as after any other failure.
    """
    started = time.perf_counter()
    spec = await parts.synthesizer.warm_up(parts.library.resolve_default(default))
    parts.library.change_default(default)
    _note_ready(parts, spec.voice, started)
    return spec.voice


async def prepare_phrases(parts: Parts) -> None:
    """Have the default voice speak the phrases of the settings into the cache; a failure is logged."""
    for phrase in parts.settings.prepare:
        try:
            await parts.synthesizer.prepare(phrase)
        except SpeechError as error:
            _LOGGER.warning("The phrase %r could not be prepared. %s", phrase, error)


def _note_ready(parts: Parts, voice: Voice, started: float) -> None:
    parts.readiness.is_ready = True
    _LOGGER.info("Ready: %s speaks (%.1f s).", voice.name, time.perf_counter() - started)
