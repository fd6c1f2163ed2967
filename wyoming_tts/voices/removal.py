"""Removal of installed voices: plan which files to delete, keep those that other voices share, delete.

Only files in the data directories are deleted, and only a voice's own files or the partial files of an
interrupted download.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from wyoming_tts.errors import BadRequest, SpeechError, UnknownVoice
from wyoming_tts.messages import Message
from wyoming_tts.system_reasons import system_reason
from wyoming_tts.voices.inventory import Inventory, InventoryEntry, is_derived
from wyoming_tts.voices.names import unknown_voice_error

_MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class SharedFile:
    """A file that is kept because other voices use it."""

    path: Path
    requested: tuple[str, ...]
    """The voices whose removal was requested."""
    users: tuple[str, ...]
    """The voices that still use it."""

    def __str__(self) -> str:
        first = ", ".join(self.users[:_MOST_NAMED])
        more = len(self.users) - _MOST_NAMED
        if more <= 0:
            return Message(
                "file_kept", "{path} is kept: it is also used by {names}.", path=self.path, names=first
            )
        return Message(
            "file_kept_for_more",
            "{path} is kept: it is also used by {names} and {count} more.",
            path=self.path,
            names=first,
            count=more,
        )


@dataclass(frozen=True, slots=True)
class RemovalPlan:
    """What removing some voices would delete."""

    names: tuple[str, ...]
    """The voices that will be removed."""
    files: tuple[Path, ...]
    """The files to delete, in order, models first."""
    kept: tuple[SharedFile, ...]
    problems: tuple[str, ...]
    """Why the other voices cannot be removed."""


def plan_removal(inventory: Inventory, names: Iterable[str]) -> RemovalPlan:
    """Plan the removal of voices. Blocks; changes nothing.

    Args:
        inventory: The installed voices.
        names: Names or aliases of voices, or an engine's name for all of its voices. Prefixes are refused:
            what is deleted has to be named in full.
    """
    going: dict[str, tuple[Path, ...]] = {}
    problems: list[str] = []
    for name in names:
        try:
            going |= _files_to_remove(inventory, name)
        except SpeechError as error:
            problems.append(str(error))
    kept = tuple(_shared_files(inventory, going))
    shared = {each.path for each in kept}
    files = dict.fromkeys(path for paths in going.values() for path in paths if path not in shared)
    removed = tuple(name for name, paths in going.items() if not shared.intersection(paths))
    return RemovalPlan(removed, tuple(files), kept, tuple(problems))


def delete_files(plan: RemovalPlan) -> tuple[str, ...]:
    """Delete the files of the plan; return why some could not be deleted. Blocks."""
    problems = []
    for path in plan.files:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            problems.append(
                Message(
                    "not_deleted",
                    "{path} cannot be deleted: {reason}.",
                    path=path,
                    reason=system_reason(error),
                )
            )
    return tuple(problems)


def _files_to_remove(inventory: Inventory, name: str) -> dict[str, tuple[Path, ...]]:
    entry = inventory.find_exact(name)
    if entry is not None and entry.voice is not None:
        if is_derived(entry.voice):
            raise BadRequest(
                Message("is_derived", "{name} is a blend or an imported style.", name=entry.name),
                hint=Message("remove_blend", "See `wyoming-tts blend remove {name}`.", name=entry.name),
            )
        if not entry.voice.files:
            raise BadRequest(
                Message("is_built_in", "{name} is built in and has no files to remove.", name=entry.name)
            )
        return {entry.name: _own_files(inventory, entry.name, entry.voice.files)}
    of_engine = [
        voice for voice in inventory.voices if voice.engine == name and voice.files and not is_derived(voice)
    ]
    if of_engine:
        return {voice.name: _own_files(inventory, voice.name, voice.files) for voice in of_engine}
    if remains := _unusable_files(inventory, entry.name if entry else name, entry):
        return {entry.name if entry else name: remains}
    if entry is not None:
        raise UnknownVoice(Message("voice_not_here", "The voice {name} is not installed.", name=entry.name))
    raise unknown_voice_error(name, [voice.name for voice in inventory.voices])


def _own_files(inventory: Inventory, name: str, files: tuple[Path, ...]) -> tuple[Path, ...]:
    data_directories = {directory.resolve() for directory in inventory.directories}
    for path in files:
        if path.parent.resolve() not in data_directories:
            raise BadRequest(
                Message(
                    "not_in_data",
                    "{name} is in {directory}, which is not a data directory.",
                    name=name,
                    directory=path.parent,
                ),
                hint=Message("delete_by_hand", "Delete it by hand, or add the directory with --data-dir."),
            )
    parts = (path.with_name(f"{path.name}.part") for path in files)
    return (*files, *(part for part in parts if part.is_file()))


def _unusable_files(inventory: Inventory, name: str, entry: InventoryEntry | None) -> tuple[Path, ...]:
    """Files of a voice that cannot be used: broken ones, and partial files of a download."""
    broken = [path for path, _ in inventory.broken if path.name == f"{name}.onnx"]
    with_json = [each for path in broken for each in (path, path.with_name(f"{path.name}.json"))]
    listed = entry.catalogue_voice if entry else None
    parts = [
        directory / f"{file.name}.part"
        for directory in inventory.directories
        for file in (listed.files if listed else ())
    ]
    return tuple(path for path in dict.fromkeys([*with_json, *parts]) if path.is_file())


def _shared_files(inventory: Inventory, going: dict[str, tuple[Path, ...]]) -> Iterator[SharedFile]:
    for path in dict.fromkeys(path for paths in going.values() for path in paths):
        users = tuple(
            voice.name
            for voice in inventory.voices
            if path in voice.files and voice.name not in going and not is_derived(voice)
        )
        if users:
            yield SharedFile(path, tuple(name for name, paths in going.items() if path in paths), users)
