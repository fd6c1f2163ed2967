"""The default voice of a running server: warm-up at the start, and a safe change at run time."""

from __future__ import annotations

import logging
import time

from wyoming_tts.assembly.parts import Parts
from wyoming_tts.errors import SpeechError
from wyoming_tts.speech import Voice
from wyoming_tts.voices.library import DefaultVoice

_LOGGER = logging.getLogger(__name__)


async def warm_up(parts: Parts) -> None:
    """Warm up the default voice or its stand-in by a silent synthesis; a failure is logged."""
    started = time.perf_counter()
    try:
        spec = await parts.synthesizer.warm_up()
    except SpeechError as error:
        _LOGGER.warning("No voice is ready. %s", error)
    except Exception:  # an unforeseen failure of a voice must not end the server
        _LOGGER.exception("No voice is ready.")
    else:
        _note_ready(parts, spec.voice, started)
        await prepare_phrases(parts)


async def change_default(parts: Parts, default: DefaultVoice) -> Voice:
    """Change the default voice after warming it up, and return it.

    Raises:
        SpeechError: it is not installed or cannot speak; the default voice stays as it was.
    """
    started = time.perf_counter()
    spec = await parts.synthesizer.warm_up(parts.library.resolve_default(default))
    parts.library.change_default(default)
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
