"""Listing of installed voices: what the engines find, each with a fingerprint of its files. Blocks."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Protocol

from wyoming_tts.speech import Voice

_LOGGER = logging.getLogger(__name__)


class ListsVoices(Protocol):
    """What is needed of an engine."""

    @property
    def name(self) -> str:
        """Of the engine."""
        ...

    def installed(self) -> Sequence[Voice]:
        """The voices whose files are here."""
        ...


def installed_voices(engines: Iterable[ListsVoices]) -> list[Voice]:
    """The voices of all engines, in their order; an engine that fails is left out, with a line in the log."""
    voices: list[Voice] = []
    for engine in engines:
        try:
            voices += filter(None, map(_with_fingerprint, engine.installed()))
        except Exception:
            _LOGGER.exception("The voices of the engine %s cannot be listed.", engine.name)
    return voices


def _with_fingerprint(voice: Voice) -> Voice | None:
    try:
        facts = [path.stat() for path in voice.files]
    except OSError:
        return None  # deleted since it was listed
    files = [f"{fact.st_size}-{fact.st_mtime_ns}" for fact in facts]
    return replace(voice, fingerprint=",".join([*files, voice.version or ""]))
