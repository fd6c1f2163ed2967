"""Which voices are here and which could be, seen together, and what a name means among them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from wyoming_tts.errors import UnknownVoice
from wyoming_tts.languages import LanguageTag
from wyoming_tts.speech import Voice
from wyoming_tts.voices.catalogue import (
    Catalogue,
    CatalogueFile,
    CatalogueVoice,
    data_directory,
    read_kokoro,
)

KOKORO_MODELS = ("fp32", "fp16", "int8")
"""The exports of Kokoro's model; one of them is enough."""

_BLENDING_ENGINE = "kokoro"
_NEAREST = 3
_MOST_NAMED = 10
_LONGEST_NAME = 80


@dataclass(frozen=True, slots=True)
class Entry:
    """A voice as far as it is known: installed, in the catalogue, or both."""

    name: str
    voice: Voice | None
    known: CatalogueVoice | None

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
        found = self.voice or self.known
        assert found is not None, "an entry is made of one of them"
        return found

    def speaks(self, wanted: LanguageTag) -> bool:
        """Whether it speaks the language, in that region if one was told."""
        tag = LanguageTag.parse(self.language)
        return tag.speaks(wanted) and not tag.is_elsewhere(wanted)


@dataclass(frozen=True, slots=True)
class Inventory:
    """What the engines found, beside what the catalogue knows."""

    voices: tuple[Voice, ...]
    """Installed, blends among them."""
    broken: tuple[tuple[Path, str], ...]
    """Files that look like a voice and are none, with the reason."""
    catalogue: Catalogue
    directories: tuple[Path, ...]
    """Where voices are searched for."""

    def entries(self) -> tuple[Entry, ...]:
        """All voices, sorted by name."""
        here = {voice.name: voice for voice in self.voices}
        known = {voice.name: voice for voice in self.catalogue.voices}
        return tuple(Entry(name, here.get(name), known.get(name)) for name in sorted({*here, *known}))

    def exactly(self, name: str) -> Entry | None:
        """The voice of that name or alias; upper and lower case are one."""
        known = self.catalogue.find(name)
        wanted = (known.name if known else name).casefold()
        voice = next((voice for voice in self.voices if voice.name.casefold() == wanted), None)
        if voice is None and known is None:
            return None
        return Entry(voice.name if voice else known.name if known else name, voice, known)

    def find(self, name: str) -> Entry:
        """The voice that a name, an alias or the beginning of one name means; installed ones go first.

        Raises:
            UnknownVoice: there is none, or several begin so.
        """
        if (entry := self.exactly(name)) is not None:
            return entry
        here = [voice.name for voice in self.voices]
        found = begun(name, here) or begun(name, [voice.name for voice in self.catalogue.voices])
        entry = self.exactly(found) if found else None
        if entry is None:
            raise unknown(name, [*here, *(voice.name for voice in self.catalogue.voices)])
        return entry


def is_blend(voice: Voice) -> bool:
    """Whether the voice is mixed from others and has no files of its own."""
    return voice.engine == _BLENDING_ENGINE and voice.version is not None


def is_derived(voice: Voice) -> bool:
    """Whether it speaks with the pack's files and is none of the pack: a blend or an imported style."""
    is_imported = any(path.suffix == ".npy" for path in voice.files)
    return is_blend(voice) or (voice.engine == _BLENDING_ENGINE and is_imported)


def known_voice(catalogue: Catalogue, name: str) -> CatalogueVoice:
    """The voice of the catalogue that a name, an alias or the beginning of one name means.

    Raises:
        UnknownVoice: there is none, or several begin so.
    """
    if (voice := catalogue.find(name)) is not None:
        return voice
    names = [voice.name for voice in catalogue.voices]
    found = begun(name, names)
    voice = catalogue.find(found) if found else None
    if voice is None:
        raise unknown(name, names)
    return voice


def begun(beginning: str, names: Iterable[str]) -> str | None:
    """The only name that begins so; None if none does.

    Raises:
        UnknownVoice: several do.
    """
    folded = beginning.casefold()
    found = sorted(name for name in names if folded and name.casefold().startswith(folded))
    if len(found) > 1:
        more = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
        raise UnknownVoice(
            f"{len(found)} voices begin with {beginning[:_LONGEST_NAME]!r}.",
            hint=f"Say which: {', '.join(found[:_MOST_NAMED])}{more}.",
        )
    return next(iter(found), None)


def unknown(name: str, names: Iterable[str]) -> UnknownVoice:
    """The error for a name that is none, with the nearest that are."""
    name = name[:_LONGEST_NAME]
    by_folded = {each.casefold(): each for each in names}
    nearest = difflib.get_close_matches(name.casefold(), by_folded, n=_NEAREST, cutoff=0.5)
    told = " or ".join(by_folded[folded] for folded in nearest)
    hint = f"Did you mean {told}?" if told else "See `wyoming-tts voices list` for all names."
    return UnknownVoice(f"There is no voice {name!r}.", hint=hint)


def complete_in(voice: CatalogueVoice, directories: Iterable[Path]) -> Path | None:
    """The directory that holds all files of the voice, the model of its full size. Blocks.

    A configuration of another size is one that somebody changed.
    """
    for directory in directories:
        sizes = [_size(directory / file.name) for file in voice.files]
        if all(sizes) and sizes[0] == (voice.files[0].size or sizes[0]):
            return directory
    return None


def other_exports(voice: CatalogueVoice) -> tuple[CatalogueVoice, ...]:
    """The same voice with each export of its model, if it is one of Kokoro's. Reads a file.

    Raises:
        CatalogueError: the product's own catalogue is missing or malformed.
    """
    return tuple(
        replace(voice, files=export.files, quality=export.quality)
        for export in _one_of_each_export()
        if export.engine == voice.engine and export.files[1:] == voice.files[1:]
    )


def catalogue_files(catalogue: Catalogue) -> Mapping[str, CatalogueFile]:
    """What each file must be, by its name on disk, Kokoro's other exports among them. Reads a file.

    Raises:
        CatalogueError: the product's own catalogue is missing or malformed.
    """
    voices = [*catalogue.voices, *_one_of_each_export()]
    return {file.name: file for voice in voices for file in voice.files}


def _one_of_each_export() -> Iterator[CatalogueVoice]:
    for model in KOKORO_MODELS:
        yield from read_kokoro(data_directory() / "kokoro.yaml", model)[:1]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
