"""Names of the espeak-ng voices that the piper package has, to check the one that a voice's json names.

A voice whose phonemizer cannot start would be listed, and fail whoever asks for it. The library itself looks
names up in these files, in this order: a voice's file below `lang`, by its path or its last part, then the
names that the files give themselves. Starting the library for each voice would take 50 ms, on the first start
of a server for a hundred voices as many times.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

_VARIANT = "+"
"""Begins the variant of a voice, `en-us+f3`; one that is unknown changes nothing."""
_NAME_BYTES = 200
"""Of a voice's file: its name is on one of the first lines."""


def has_espeak_voice(name: str) -> bool:
    """Whether the piper package's espeak-ng has the voice; also if its files are not found. Reads files."""
    data = _data_directory()
    if data is None:
        return True
    key = name.partition(_VARIANT)[0].casefold()
    return key in _file_names(data) or key in _given_names(data)


@lru_cache(maxsize=1)
def _data_directory() -> Path | None:
    """Where the package keeps espeak-ng's voices; found without importing it, as it imports onnxruntime."""
    found = importlib.util.find_spec("piper")
    for directory in (found.submodule_search_locations or ()) if found else ():
        data = Path(directory, "espeak-ng-data", "lang")
        if data.is_dir():
            return data
    return None


@lru_cache(maxsize=1)
def _file_names(data: Path) -> frozenset[str]:
    return frozenset(
        name.casefold()
        for path in _voice_files(data)
        for name in (path.name, path.relative_to(data).as_posix())
    )


@lru_cache(maxsize=1)
def _given_names(data: Path) -> frozenset[str]:
    return frozenset(filter(None, map(_given_name, _voice_files(data))))


def _voice_files(data: Path) -> Iterator[Path]:
    return (path for path in data.rglob("*") if path.is_file())


def _given_name(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(_NAME_BYTES).decode("utf-8", "ignore")
    lines = (line.partition(" ") for line in head.splitlines())
    return next((rest.partition("//")[0].strip().casefold() for key, _, rest in lines if key == "name"), "")
