"""Inventory of voices: installed and catalogue voices side by side, with broken files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from wyoming_tts.languages import LanguageTag
from wyoming_tts.speech import UnusableVoice, Voice
from wyoming_tts.voices.catalogue import (
    BLENDING_ENGINE,
    DEFAULT_KOKORO_MODEL,
    KOKORO_MODELS,
    CatalogueVoice,
)
from wyoming_tts.voices.names import NameResolver, ResolvedName

_QUALITY = re.compile(r"-(x_low|low|medium|high)\Z")
_KOKORO_MODEL = re.compile(rf"kokoro-v1\.0(?:\.({'|'.join(KOKORO_MODELS)}))?\.onnx")
"""The file name of upstream's exports; that of the reference does not name it."""


@dataclass(frozen=True, slots=True)
class InventoryEntry:
    """A voice that is installed, in the catalogue, or both."""

    name: str
    voice: Voice | None
    catalogue_voice: CatalogueVoice | None

    @classmethod
    def of(cls, found: ResolvedName) -> Self:
        """Make the entry of a resolved name."""
        return cls(found.name, found.voice, found.catalogue_voice)

    @property
    def language(self) -> str:
        """Language tag as its engine publishes it."""
        return self._any.language

    @property
    def engine(self) -> str:
        """Name of its engine."""
        return self._any.engine

    @property
    def quality(self) -> str:
        """Piper's level, or the precision of the Kokoro model that is here or would come, else empty."""
        if self.voice is not None and self.voice.engine == BLENDING_ENGINE:
            return _precision_of(self.voice)
        in_name = _QUALITY.search(self.name)
        known = self.catalogue_voice
        return known.quality if known else in_name[1] if in_name else ""

    @property
    def speakers(self) -> int:
        """Number of speakers."""
        if self.voice is not None:
            return max(1, len(self.voice.speakers))
        return self._any.speakers if isinstance(self._any, CatalogueVoice) else 1

    @property
    def _any(self) -> Voice | CatalogueVoice:
        found = self.voice or self.catalogue_voice
        assert found is not None, "an entry has at least one of them"
        return found

    def speaks(self, wanted: LanguageTag) -> bool:
        """Whether it speaks the language, in its region if that has one."""
        tag = LanguageTag.parse(self.language)
        return tag.is_same_language(wanted) and not tag.differs_in_region(wanted)


@dataclass(frozen=True, slots=True)
class Inventory:
    """All voices, installed or in the catalogue, and the files that are broken."""

    names: NameResolver
    """Resolves names among them."""
    broken: tuple[tuple[Path, str], ...]
    """Files that look like a voice but cannot be used, each with the reason."""
    directories: tuple[Path, ...]
    """The directories that are searched for voices."""
    unusable: tuple[UnusableVoice, ...] = ()
    """Installed voices that cannot speak."""

    @property
    def voices(self) -> Sequence[Voice]:
        """The installed voices, including blends."""
        return self.names.voices

    def entries(self) -> tuple[InventoryEntry, ...]:
        """All voices, sorted by name."""
        installed = {voice.name: voice for voice in self.voices}
        listed = {voice.name: voice for voice in self.names.catalogue}
        return tuple(
            InventoryEntry(name, installed.get(name), listed.get(name))
            for name in sorted({*installed, *listed})
        )

    def find_exact(self, name: str) -> InventoryEntry | None:
        """Find the voice with exactly this name or alias."""
        found = self.names.find_exact(name)
        return InventoryEntry.of(found) if found is not None else None

    def find(self, name: str) -> InventoryEntry:
        """Find the voice that a name means, as in a request to speak.

        Raises:
            SpeechError: as `NameResolver.resolve` does.
        """
        return InventoryEntry.of(self.names.resolve(name))


def is_blend(voice: Voice) -> bool:
    """Whether the voice is a blend of others, without files of its own."""
    return voice.engine == BLENDING_ENGINE and voice.version is not None


def is_derived(voice: Voice) -> bool:
    """Whether it uses the pack's files but is not in the pack: a blend or an imported style."""
    is_imported = any(path.suffix == ".npy" for path in voice.files)
    return is_blend(voice) or (voice.engine == BLENDING_ENGINE and is_imported)


def find_complete_directory(voice: CatalogueVoice, directories: Iterable[Path]) -> Path | None:
    """Find the directory that holds all files of the voice, the model in its full size. Blocks.

    The size of the configuration is not compared: users may edit it.
    """
    for directory in directories:
        sizes = [_size(directory / file.name) for file in voice.files]
        if all(sizes) and sizes[0] == (voice.files[0].size or sizes[0]):
            return directory
    return None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _precision_of(voice: Voice) -> str:
    """The precision of an installed Kokoro model, by its file: the catalogue knows only its own choice."""
    match = _KOKORO_MODEL.fullmatch(voice.files[0].name) if voice.files else None
    return "" if match is None else match[1] or DEFAULT_KOKORO_MODEL
