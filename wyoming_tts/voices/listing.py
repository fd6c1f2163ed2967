"""Lists of what the engines find installed, each voice with the fingerprint of its files."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain
from typing import Protocol

from wyoming_tts.known_files import KnownFiles
from wyoming_tts.speech import UnusableVoice, Voice

_LOGGER = logging.getLogger(__name__)


class VoiceProvider(Protocol):
    """The part of an engine that lists its voices."""

    @property
    def name(self) -> str:
        """Name of the engine."""
        ...

    def installed(self) -> Sequence[Voice]:
        """The voices whose files are installed. Blocks."""
        ...


def list_installed_voices(
    engines: Iterable[VoiceProvider], *, known: KnownFiles | None = None, before: Sequence[Voice] = ()
) -> list[Voice]:
    """List the voices of all engines, in their order, with fingerprints of their files. Blocks.

    Args:
        engines: The engines; one that fails keeps the voices that it had, with a line in the log.
        known: What is known of the files, also while they cannot be read.
        before: The voices of the previous list.
    """
    known = known or KnownFiles()
    voices: list[Voice] = []
    for engine in engines:
        try:
            voices += filter(None, [_with_fingerprint(voice, known) for voice in engine.installed()])
        except Exception:
            _LOGGER.exception("The voices of the engine %s cannot be listed.", engine.name)
            voices += (voice for voice in before if voice.engine == engine.name)
    return voices


def list_unusable_voices(engines: Iterable[VoiceProvider], known: KnownFiles) -> list[UnusableVoice]:
    """List what the engines found installed but unable to speak when they were last listed. Blocks."""
    unusable: Iterable[UnusableVoice] = chain.from_iterable(
        getattr(engine, "unusable", ()) for engine in engines
    )
    stamped = ((each, _with_fingerprint(each.voice, known)) for each in unusable)
    return [replace(each, voice=voice) for each, voice in stamped if voice is not None]


def _with_fingerprint(voice: Voice, known: KnownFiles) -> Voice | None:
    """The voice with its fingerprint; None if a file was deleted meanwhile."""
    stamps = [stamp for path in voice.files if (stamp := known.stamp(path)) is not None]
    if len(stamps) < len(voice.files):
        return None
    files = [_as_text(stamp.size, stamp.mtime_ns) for stamp in stamps]
    return replace(voice, fingerprint=",".join([*files, voice.version or ""]))


def stamp_of(status: os.stat_result) -> str:
    """A file's part of the fingerprints of its voices."""
    return _as_text(status.st_size, status.st_mtime_ns)


def _as_text(size: int, mtime_ns: int) -> str:
    return f"{size}-{mtime_ns}"
