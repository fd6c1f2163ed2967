"""Takes over the data directory of a wyoming-piper server, where it is.

Its voices lie as ours do, so nothing is copied: the directory is named in the setting `data_dir`. What
else can be found out of the old server (its voice, an index of voices of one's own) is told.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

from wyoming_tts.speech import Voice
from wyoming_tts.voices.catalogue import INDEX_NAME, CatalogueError, load_catalogue, read_index
from wyoming_tts.voices.names import NameResolver

SETTING: Final = "data_dir"

LookInto: TypeAlias = Callable[[Path], tuple[Sequence[Voice], Sequence[tuple[Path, str]]]]
"""Which voices a directory holds, and which files of it are broken and why."""

_OPTIONS = "options.json"
"""What Home Assistant's add-on was set to, in the add-on's data directory."""
_COMPOSE = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
_VOICE_FLAG = re.compile(r"--voice[=\s\"',\]\[-]+([^\s\"',\]]+)")


class TakeoverFailed(Exception):
    """The directory or the settings file cannot be used; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Takeover:
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


def import_piper(
    directory: Path,
    *,
    data_dir: Sequence[Path],
    look_into: LookInto,
    settings_file: Path | None = None,
) -> Takeover:
    """Find what is in a wyoming-piper data directory, and have it searched if asked. Blocks.

    Args:
        directory: what `--data-dir` named.
        data_dir: the directories in use now; they stay the first, so that downloads go where they went.
        look_into: the Piper engine's eye.
        settings_file: YAML or JSON, where the setting is to be written; made if it is not there. None
            writes nothing.

    Raises:
        TakeoverFailed: there is no such directory, nothing of Piper is in it, or the file cannot be changed.
    """
    directory = directory.expanduser().absolute()
    voices, broken = _looked_into(directory, look_into)
    index, own, problem = _index(directory)
    if not voices and not broken and index is None:
        raise TakeoverFailed(
            f"{directory} holds no Piper voice (NAME.onnx with NAME.onnx.json beside it): "
            "name the directory that --data-dir or --download-dir of wyoming-piper named."
        )
    known = {os.path.realpath(each.expanduser()) for each in data_dir}
    is_new = os.path.realpath(directory) not in known
    dirs = (*data_dir, directory) if is_new else tuple(data_dir)
    if settings_file is not None:
        _write(settings_file, dirs, directory)
    return Takeover(
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


def _looked_into(directory: Path, look_into: LookInto) -> tuple[Sequence[Voice], Sequence[tuple[Path, str]]]:
    try:
        next(directory.iterdir(), None)
    except OSError as error:
        raise TakeoverFailed(
            f"{directory} cannot be read: {error.strerror}. Name a directory that this user may read."
        ) from error
    return look_into(directory)


def _index(directory: Path) -> tuple[Path | None, tuple[str, ...], str]:
    """The index, the voices that the catalogue lacks, and what is wrong with it."""
    path = directory / INDEX_NAME
    if not path.is_file():
        return None, (), ""
    try:
        names = NameResolver(known=load_catalogue().voices)
        own = tuple(voice.name for voice in read_index(path) if names.exactly(voice.name) is None)
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
        text = file.read_text(encoding="utf-8-sig") if file.exists() else ""
        changed = _with_directory(text, [str(each) for each in dirs], str(directory), file.suffix == ".json")
        if changed != text:
            _replace(file, changed)
    except (OSError, ValueError) as error:
        raise TakeoverFailed(
            f"The settings file {file} cannot be changed: {error}. "
            f"Set {SETTING} yourself: {', '.join(map(str, dirs))}."
        ) from error


def _with_directory(text: str, dirs: list[str], directory: str, is_json: bool) -> str:  # noqa: FBT001
    if not is_json:
        return _in_yaml(text, dirs, directory)
    content = _mapping(json.loads(text) if text.strip() else {})
    key = _key(content)
    now = content.get(key)
    named = [now] if isinstance(now, str) else list(now or [])
    if directory in named:
        return text
    content[key] = [*named, directory] if named else dirs
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _in_yaml(text: str, dirs: list[str], directory: str) -> str:
    """Changed in its place, so that comments stay."""
    import yaml  # noqa: PLC0415  # only who writes pays for it

    try:
        root: Any = yaml.compose(text, Loader=yaml.SafeLoader)
        content: Any = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"it is no YAML: {error}") from error
    key = _key(_mapping(content or {}))
    if not content or key not in content:
        if root is not None and root.flow_style:
            raise ValueError("its settings are in one pair of braces")
        return f"{text}{'' if not text or text.endswith(chr(10)) else chr(10)}{SETTING}: {_quoted(dirs)}\n"
    named = content[key] if isinstance(content[key], list) else [content[key]]
    if directory in named:
        return text
    node = next(value for name, value in root.value if name.value == key)
    return _with_item(text, node, directory, dirs)


def _with_item(text: str, node: Any, directory: str, dirs: list[str]) -> str:
    start, end = node.start_mark.index, node.end_mark.index
    if isinstance(node.value, str):
        one = _quoted([node.value, directory] if node.value else dirs)
        return f"{text[:start]}{'' if text[start - 1].isspace() else ' '}{one}{text[end:]}"
    if not node.value:
        return text[:start] + _quoted(dirs) + text[end:]
    last = node.value[-1].end_mark.index
    between = ", " if node.flow_style else f"\n{' ' * node.start_mark.column}- "
    return f"{text[:last]}{between}{json.dumps(directory, ensure_ascii=False)}{text[last:]}"


def _mapping(content: object) -> dict[Any, Any]:
    if isinstance(content, dict):
        return content
    raise ValueError("it holds no mapping of settings to values")


def _quoted(dirs: list[str]) -> str:
    return json.dumps(dirs, ensure_ascii=False)


def _key(content: dict[Any, Any]) -> str:
    """How the file writes the setting's name."""
    return next((name for name in ("data-dir", SETTING) if name in content), SETTING)


def _replace(file: Path, text: str) -> None:
    """Put the file there as a whole or not at all, with the rights that it had."""
    target = Path(os.path.realpath(file))
    target.parent.mkdir(parents=True, exist_ok=True)
    mode = target.stat().st_mode & 0o777 if target.exists() else 0o644
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", dir=target.parent, prefix=f".{target.name}.", delete=False
    ) as new:
        try:
            new.write(text)
            new.flush()
            os.fsync(new.fileno())
            Path(new.name).chmod(mode)
            Path(new.name).replace(target)
        except BaseException:
            Path(new.name).unlink(missing_ok=True)
            raise
