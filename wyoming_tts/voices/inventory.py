"""Inventory of voices: which are here and which could be, seen together, with what is broken."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from wyoming_tts.languages import LanguageTag
from wyoming_tts.speech import Voice
from wyoming_tts.voices.catalogue import (
    BLENDING_ENGINE,
    CatalogueVoice,
)
from wyoming_tts.voices.names import NameResolver, ResolvedName


@dataclass(frozen=True, slots=True)
class InventoryEntry:
    """A voice as far as it is known: installed, in the catalogue, or both."""

    name: str
    voice: Voice | None
    catalogue_voice: CatalogueVoice | None

    @classmethod
    def of(cls, found: ResolvedName) -> Self:
        """The voice that a name was found to mean."""
        return cls(found.name, found.voice, found.catalogue_voice)

    @property
    def language(self) -> str:
        """The tag its engine publishes."""
        return self._one.language

    @property
    def engine(self) -> str:
        """Name of the engine that speaks with it."""
        return self._one.engine

    @property
    def speakers(self) -> int:
        """How many there are."""
        if self.voice is not None:
            return max(1, len(self.voice.speakers))
        return self._one.speakers if isinstance(self._one, CatalogueVoice) else 1

    @property
    def _one(self) -> Voice | CatalogueVoice:
        found = self.voice or self.catalogue_voice
        assert found is not None, "an entry is made of one of them"
        return found

    def speaks(self, wanted: LanguageTag) -> bool:
        """Whether it speaks the language, in that region if one was told."""
        tag = LanguageTag.parse(self.language)
        return tag.is_same_language(wanted) and not tag.differs_in_region(wanted)


@dataclass(frozen=True, slots=True)
class Inventory:
    """What the engines found, beside what the catalogue knows."""

    names: NameResolver
    """What names mean among them."""
    broken: tuple[tuple[Path, str], ...]
    """Files that look like a voice and are none, with the reason."""
    directories: tuple[Path, ...]
    """Where voices are searched for."""

    @property
    def voices(self) -> Sequence[Voice]:
        """Installed, blends among them."""
        return self.names.voices

    def entries(self) -> tuple[InventoryEntry, ...]:
        """All voices, sorted by name."""
        here = {voice.name: voice for voice in self.voices}
        known = {voice.name: voice for voice in self.names.catalogue}
        return tuple(
            InventoryEntry(name, here.get(name), known.get(name)) for name in sorted({*here, *known})
        )

    def find_exact(self, name: str) -> InventoryEntry | None:
        """The voice that has this very name or alias."""
        found = self.names.find_exact(name)
        return InventoryEntry.of(found) if found is not None else None

    def find(self, name: str) -> InventoryEntry:
        """The voice that a name means, as it does for who speaks.

        Raises:
            SpeechError: as by `NameResolver.resolve`.
        """
        return InventoryEntry.of(self.names.resolve(name))


def is_blend(voice: Voice) -> bool:
    """Whether the voice is mixed from others and has no files of its own."""
    return voice.engine == BLENDING_ENGINE and voice.version is not None


def is_derived(voice: Voice) -> bool:
    """Whether it speaks with the pack's files and is none of the pack: a blend or an imported style."""
    is_imported = any(path.suffix == ".npy" for path in voice.files)
    return is_blend(voice) or (voice.engine == BLENDING_ENGINE and is_imported)


def find_complete_directory(voice: CatalogueVoice, directories: Iterable[Path]) -> Path | None:
    """The directory that holds all files of the voice, the model of its full size. Blocks.

    A configuration of another size is one that somebody changed.
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
