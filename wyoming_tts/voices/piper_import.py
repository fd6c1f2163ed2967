"""Takes over the data directory of a wyoming-piper server, where it is.

Its voices lie as ours do, so nothing is copied: the directory is named in the setting `data_dir`. What
else can be found out of the old server (its voice, an index of voices of one's own) is told.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

from wyoming_tts.atomic_write import replace_file
from wyoming_tts.speech import Voice
from wyoming_tts.voices.catalogue import INDEX_NAME, CatalogueError, load_catalogue, read_piper_index
from wyoming_tts.voices.names import NameResolver
from wyoming_tts.yaml_files.editing import NotEditable, edit_yaml
from wyoming_tts.yaml_files.reading import InvalidYaml, ScalarMode, format_value, read_yaml

SETTING: Final = "data_dir"

ScanDirectory: TypeAlias = Callable[[Path], tuple[Sequence[Voice], Sequence[tuple[Path, str]]]]
"""Which voices a directory holds, and which files of it are broken and why."""

_OPTIONS = "options.json"
"""What Home Assistant's add-on was set to, in the add-on's data directory."""
_COMPOSE = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
_VOICE_FLAG = re.compile(r"--voice[=\s\"',\]\[-]+([^\s\"',\]]+)")


class PiperImportFailed(Exception):
    """The directory or the settings file cannot be used; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class PiperImport:
    """What was found, and what is to be set."""

    directory: Path
    voices: tuple[Voice, ...]
    broken: tuple[tuple[Path, str], ...]
    """Files that are no voice, each with what is wrong."""
    data_dir: tuple[Path, ...]
    """What the setting is to be: the directories in use, then this one."""
    is_new: bool
    """This one was not among those in use."""
    voice: str | None = None
    """What the old server spoke with, if that can be known."""
    index: Path | None = None
    """Its index of voices, if there is one."""
    own_in_index: tuple[str, ...] = ()
    """Voices that only the index knows; to fetch them `download_dir` has to be this directory."""
    index_problem: str = ""
    """Why the index cannot be read."""
    written: Path | None = None
    """The settings file that names the directory now."""


def import_piper_directory(
    directory: Path,
    *,
    data_dir: Sequence[Path],
    scan_directory: ScanDirectory,
    settings_file: Path | None = None,
) -> PiperImport:
    """Find what is in a wyoming-piper data directory, and have it searched if asked. Blocks.

    Args:
        directory: what `--data-dir` named.
        data_dir: the directories in use now; they stay the first, so that downloads go where they went.
        scan_directory: the Piper engine's eye.
        settings_file: YAML or JSON, where the setting is to be written; made if it is not there. None
            writes nothing.

    Raises:
        TakeoverFailed: there is no such directory, nothing of Piper is in it, or the file cannot be changed.
    """
    directory = directory.expanduser().absolute()
    voices, broken = _scan(directory, scan_directory)
    index, own, problem = _index(directory)
    if not voices and not broken and index is None:
        raise PiperImportFailed(
            f"{directory} holds no Piper voice (NAME.onnx with NAME.onnx.json beside it): "
            "name the directory that --data-dir or --download-dir of wyoming-piper named."
        )
    known = {os.path.realpath(each.expanduser()) for each in data_dir}
    is_new = os.path.realpath(directory) not in known
    dirs = (*data_dir, directory) if is_new else tuple(data_dir)
    if settings_file is not None:
        _write(settings_file, dirs, directory)
    return PiperImport(
        directory,
        tuple(voices),
        tuple(broken),
        dirs,
        is_new,
        voice=_old_voice(directory, voices),
        index=index,
        own_in_index=own,
        index_problem=problem,
        written=settings_file,
    )


def _scan(
    directory: Path, scan_directory: ScanDirectory
) -> tuple[Sequence[Voice], Sequence[tuple[Path, str]]]:
    try:
        next(directory.iterdir(), None)
    except OSError as error:
        raise PiperImportFailed(
            f"{directory} cannot be read: {error.strerror}. Name a directory that this user may read."
        ) from error
    return scan_directory(directory)


def _index(directory: Path) -> tuple[Path | None, tuple[str, ...], str]:
    """The index, the voices that the catalogue lacks, and what is wrong with it."""
    path = directory / INDEX_NAME
    if not path.is_file():
        return None, (), ""
    try:
        names = NameResolver(catalogue=load_catalogue().voices)
        own = tuple(voice.name for voice in read_piper_index(path) if names.find_exact(voice.name) is None)
    except CatalogueError as error:
        return path, (), str(error)
    return path, own, ""


def _old_voice(directory: Path, voices: Sequence[Voice]) -> str | None:
    """By the add-on's options, a compose file here or beside, or because there is but one."""
    named = next(_named_voices(directory), None)
    if named is not None:
        return Path(named).stem if named.endswith(".onnx") else named
    return voices[0].name if len(voices) == 1 else None


def _named_voices(directory: Path) -> Iterator[str]:
    try:
        options = json.loads((directory / _OPTIONS).read_bytes())
    except (OSError, ValueError):
        options = None
    if isinstance(options, dict) and isinstance(options.get("voice"), str) and options["voice"].strip():
        yield options["voice"].strip()
    for path in (place / name for place in (directory, directory.parent) for name in _COMPOSE):
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, ValueError):
            continue
        if match := _VOICE_FLAG.search(text):
            yield match[1]


def _write(file: Path, dirs: Sequence[Path], directory: Path) -> None:
    """Name the directory in the file, if it does not yet; everything else stays as it was."""
    try:
        content = file.read_bytes() if file.exists() else b""
        in_file = _in_json if file.suffix == ".json" else _in_yaml
        changed = in_file(content, str(file), [str(each) for each in dirs], str(directory))
        if changed is not None:
            replace_file(file, changed.encode())
    except (OSError, ValueError, InvalidYaml, NotEditable) as error:
        raise PiperImportFailed(
            f"The settings file {file} cannot be changed: {error}. "
            f"Set {SETTING} yourself: {', '.join(map(str, dirs))}."
        ) from error


def _in_json(content: bytes, _name: str, dirs: list[str], directory: str) -> str | None:
    text = content.decode("utf-8-sig")
    changed = _with_directory(json.loads(text) if text.strip() else {}, dirs, directory)
    return None if changed is None else json.dumps(changed, indent=2, ensure_ascii=False) + "\n"


def _in_yaml(content: bytes, name: str, dirs: list[str], directory: str) -> str | None:
    """Changed in its place, so that comments stay."""
    document = read_yaml(content, name)
    document.raise_problems()
    changed = _with_directory({} if document.value is None else document.value, dirs, directory)
    return None if changed is None else edit_yaml(document, changed, scalars=ScalarMode.TYPED)


def _with_directory(settings: object, dirs: list[str], directory: str) -> dict[str, Any] | None:
    """The settings with the directory named; None if they name it already.

    Raises:
        ValueError: they are no mapping.
    """
    if not isinstance(settings, dict):
        raise ValueError(f"got {format_value(settings)}, expected a mapping of settings to values")  # noqa: TRY004 - told
    key = next((name for name in ("data-dir", SETTING) if name in settings), SETTING)
    now = settings.get(key)
    named = [now] if isinstance(now, str) else list(now or [])
    if directory in named:
        return None
    return {**settings, key: [*named, directory] if named else dirs}
