"""Taking voices off the disk: what would go, what stays because others need it, and doing it.

Only what lies in the data directories is touched, and only files that make a voice, or the part of one
whose download broke off.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from wyoming_tts.errors import BadRequest, SpeechError, UnknownVoice
from wyoming_tts.voices.inventory import Inventory, InventoryEntry, is_derived
from wyoming_tts.voices.names import unknown_voice_error

_MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class SharedFile:
    """A file that stays because others speak with it."""

    path: Path
    wanted: tuple[str, ...]
    """The voices that were to go."""
    users: tuple[str, ...]
    """Those that stay."""

    def __str__(self) -> str:
        some = ", ".join(self.users[:_MOST_NAMED])
        more = f" and {len(self.users) - _MOST_NAMED} more" if len(self.users) > _MOST_NAMED else ""
        return f"{self.path} is kept: {some}{more} speak with it, too."


@dataclass(frozen=True, slots=True)
class RemovalPlan:
    """What a request to remove voices comes to."""

    names: tuple[str, ...]
    """The voices that will be gone."""
    files: tuple[Path, ...]
    """In the order they are to go, models first."""
    kept: tuple[SharedFile, ...]
    problems: tuple[str, ...]
    """Why others cannot be removed."""


def plan_removal(inventory: Inventory, names: Iterable[str]) -> RemovalPlan:
    """Find out what would go. Looks at files, changes none.

    Args:
        inventory: what is here.
        names: names or aliases of voices, or an engine's name for all of its voices. No beginnings of
            names: what is deleted is to be named.
    """
    going: dict[str, tuple[Path, ...]] = {}
    problems: list[str] = []
    for name in names:
        try:
            going |= _meant(inventory, name)
        except SpeechError as error:
            problems.append(str(error))
    kept = tuple(_kept(inventory, going))
    shared = {each.path for each in kept}
    files = dict.fromkeys(path for paths in going.values() for path in paths if path not in shared)
    gone = tuple(name for name, paths in going.items() if not shared.intersection(paths))
    return RemovalPlan(gone, tuple(files), kept, tuple(problems))


def delete_files(removal: RemovalPlan) -> tuple[str, ...]:
    """Delete the files; why some could not be."""
    problems = []
    for path in removal.files:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            problems.append(f"{path} cannot be deleted: {error.strerror or error}.")
    return tuple(problems)


def _meant(inventory: Inventory, name: str) -> dict[str, tuple[Path, ...]]:
    entry = inventory.find_exact(name)
    if entry is not None and entry.voice is not None:
        if is_derived(entry.voice):
            raise BadRequest(
                f"{entry.name} is a blend or an imported style.",
                hint=f"See `wyoming-tts blend remove {entry.name}`.",
            )
        if not entry.voice.files:
            raise BadRequest(f"{entry.name} is built in and has no files to remove.")
        return {entry.name: _own_files(inventory, entry.name, entry.voice.files)}
    of_engine = [
        voice for voice in inventory.voices if voice.engine == name and voice.files and not is_derived(voice)
    ]
    if of_engine:
        return {voice.name: _own_files(inventory, voice.name, voice.files) for voice in of_engine}
    if left := _left_over(inventory, entry.name if entry else name, entry):
        return {entry.name if entry else name: left}
    if entry is not None:
        raise UnknownVoice(f"The voice {entry.name} is not installed.")
    raise unknown_voice_error(name, [voice.name for voice in inventory.voices])


def _own_files(inventory: Inventory, name: str, files: tuple[Path, ...]) -> tuple[Path, ...]:
    homes = {directory.resolve() for directory in inventory.directories}
    for path in files:
        if path.parent.resolve() not in homes:
            raise BadRequest(
                f"{name} lies in {path.parent}, which is no data directory.",
                hint="Delete it there by hand, or name the directory with --data-dir.",
            )
    parts = (path.with_name(f"{path.name}.part") for path in files)
    return (*files, *(part for part in parts if part.is_file()))


def _left_over(inventory: Inventory, name: str, entry: InventoryEntry | None) -> tuple[Path, ...]:
    """Files of a voice that cannot be spoken with: broken, or broken off."""
    broken = [path for path, _ in inventory.broken if path.name == f"{name}.onnx"]
    with_json = [each for path in broken for each in (path, path.with_name(f"{path.name}.json"))]
    known = entry.catalogue_voice if entry else None
    parts = [
        directory / f"{file.name}.part"
        for directory in inventory.directories
        for file in (known.files if known else ())
    ]
    return tuple(path for path in dict.fromkeys([*with_json, *parts]) if path.is_file())


def _kept(inventory: Inventory, going: dict[str, tuple[Path, ...]]) -> Iterator[SharedFile]:
    for path in dict.fromkeys(path for paths in going.values() for path in paths):
        users = tuple(
            voice.name
            for voice in inventory.voices
            if path in voice.files and voice.name not in going and not is_derived(voice)
        )
        if users:
            yield SharedFile(path, tuple(name for name, paths in going.items() if path in paths), users)
