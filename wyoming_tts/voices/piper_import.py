"""Import of a wyoming-piper data directory in place: it is added to the setting `data_dir`.

Both servers use the same layout, so nothing is copied. What else can be found of the old server (its voice,
an index with custom voices) is reported.
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
from wyoming_tts.known_files import is_absent
from wyoming_tts.speech import Voice
from wyoming_tts.voices.catalogue import INDEX_NAME, CatalogueError, load_catalogue, read_piper_index
from wyoming_tts.voices.names import NameResolver
from wyoming_tts.yaml_files.editing import NotEditable, edit_yaml
from wyoming_tts.yaml_files.models import format_value
from wyoming_tts.yaml_files.reading import InvalidYaml, ScalarMode, read_yaml

SETTING: Final = "data_dir"

ScanDirectory: TypeAlias = Callable[[Path], tuple[Sequence[Voice], Sequence[tuple[Path, str]]]]
"""Lists the voices in a directory, and the broken files in it with the reason."""

_OPTIONS = "options.json"
"""Options of Home Assistant's add-on, in the add-on's data directory."""
_COMPOSE = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
_VOICE_FLAG = re.compile(r"--voice[=\s\"',\]\[-]+([^\s\"',\]]+)")


class PiperImportFailed(Exception):
    """The directory or the settings file cannot be used; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class PiperImport:
    """Result of an import: what was found, and what has to be set."""

    directory: Path
    voices: tuple[Voice, ...]
    broken: tuple[tuple[Path, str], ...]
    """Files that cannot be used, each with the reason."""
    data_dir: tuple[Path, ...]
    """New value of the setting: the directories in use, then this one."""
    is_new: bool
    """Whether this directory was not in use yet."""
    voice: str | None = None
    """The old server's voice, if it can be determined."""
    index: Path | None = None
    """Path of its index of voices, if there is one."""
    own_in_index: tuple[str, ...] = ()
    """Voices that are only in its index; to download them `download_dir` has to be this directory."""
    index_problem: str = ""
    """Why the index cannot be read."""
    written: Path | None = None
    """The settings file to which the directory was added."""


def import_piper_directory(
    directory: Path,
    *,
    data_dir: Sequence[Path],
    scan_directory: ScanDirectory,
    settings_file: Path | None = None,
) -> PiperImport:
    """Inspect a wyoming-piper data directory, and add it to the settings file if there is one. Blocks.

    Args:
        directory: The value of wyoming-piper's `--data-dir`.
        data_dir: The directories in use now; they stay first, so that downloads go where they went.
        scan_directory: Lists the Piper voices in a directory.
        settings_file: YAML or JSON file to which the setting is written, created if it does not exist.
            None writes nothing.

    Raises:
        PiperImportFailed: there is no such directory, it holds no Piper voice, or the file cannot be changed.
    """
    directory = directory.expanduser().absolute()
    voices, broken = _scan(directory, scan_directory)
    index, own, problem = _index(directory)
    if not voices and not broken and index is None:
        raise PiperImportFailed(
            f"{directory} holds no Piper voice (NAME.onnx with NAME.onnx.json beside it): "
            "expected the directory of wyoming-piper's --data-dir or --download-dir."
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
    """Path of the index, the voices that the catalogue lacks, and why the index cannot be read."""
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
    """From the add-on's options, a compose file here or in the parent directory, or the only voice."""
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
    """Add the directory to the file, if it is missing; everything else is preserved."""
    try:
        content = b"" if is_absent(file) else file.read_bytes()
        edit = _edit_json if file.suffix == ".json" else _edit_yaml
        changed = edit(content, str(file), [str(each) for each in dirs], str(directory))
        if changed is not None:
            replace_file(file, changed.encode())
    except (OSError, ValueError, InvalidYaml, NotEditable) as error:
        raise PiperImportFailed(
            f"The settings file {file} cannot be changed: {error}. "
            f"Set {SETTING} by hand: {', '.join(map(str, dirs))}."
        ) from error


def _edit_json(content: bytes, _name: str, dirs: list[str], directory: str) -> str | None:
    text = content.decode("utf-8-sig")
    changed = _with_directory(json.loads(text) if text.strip() else {}, dirs, directory)
    return None if changed is None else json.dumps(changed, indent=2, ensure_ascii=False) + "\n"


def _edit_yaml(content: bytes, name: str, dirs: list[str], directory: str) -> str | None:
    """Edit in place, so that comments are preserved."""
    document = read_yaml(content, name)
    document.raise_problems()
    changed = _with_directory({} if document.value is None else document.value, dirs, directory)
    return None if changed is None else edit_yaml(document, changed, scalars=ScalarMode.TYPED)


def _with_directory(settings: object, dirs: list[str], directory: str) -> dict[str, Any] | None:
    """The settings with the directory added; None if they contain it already.

    Raises:
        ValueError: they are not a mapping.
    """
    if not isinstance(settings, dict):
        raise ValueError(f"got {format_value(settings)}, expected a mapping of settings to values")  # noqa: TRY004 - caught with the others
    key = next((name for name in ("data-dir", SETTING) if name in settings), SETTING)
    value = settings.get(key)
    present = [value] if isinstance(value, str) else list(value or [])
    if directory in present:
        return None
    return {**settings, key: [*present, directory] if present else dirs}
