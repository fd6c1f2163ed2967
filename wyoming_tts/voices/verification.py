"""Whether what is installed is still what was fetched.

A voice that the catalogue knows is compared with it to the last bit; of anybody's own voices only their
being complete can be told.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias

from wyoming_tts.errors import SpeechError
from wyoming_tts.speech import Voice
from wyoming_tts.voices.catalogue import CatalogueFile
from wyoming_tts.voices.style_files import read_style_file

CheckComplete: TypeAlias = Callable[[Path], None]
"""Raises `ValueError` or `OSError` for a model that is not all there."""


class FileState(StrEnum):
    """What a look at a file's content says."""

    WHOLE = "whole"
    CHANGED = "changed"
    """A configuration that somebody edited: it can be used."""
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class VerifiedFile:
    """A file, and what is wrong with it."""

    path: Path
    voices: tuple[str, ...]
    """Who speaks with it."""
    state: FileState
    reason: str = ""
    is_known: bool = True
    """The catalogue says what it must be."""


def verify_files(
    voices: Iterable[Voice], known: Mapping[str, CatalogueFile], check_complete: CheckComplete
) -> Iterator[VerifiedFile]:
    """Check each file of the voices, once however many share it. Blocks, a second per 300 MB.

    Args:
        voices: those to be looked at.
        known: what each file must be, by its name.
        check_complete: looks into a model.
    """
    users: dict[Path, list[str]] = {}
    for voice in voices:
        for path in voice.files:
            users.setdefault(path, []).append(voice.name)
    for path, names in users.items():
        expected = known.get(path.name)
        state, reason = _judged(path, expected, check_complete)
        yield VerifiedFile(path, tuple(sorted(names)), state, reason, is_known=expected is not None)


def _judged(
    path: Path, expected: CatalogueFile | None, check_complete: CheckComplete
) -> tuple[FileState, str]:
    try:
        _check_form(path, check_complete)
        difference = _difference(path, expected) if expected else ""
    except (OSError, ValueError, zipfile.BadZipFile, SpeechError) as error:
        return FileState.BROKEN, str(error)
    if not difference:
        return FileState.WHOLE, ""
    is_edited = path.suffix == ".json"
    return FileState.CHANGED if is_edited else FileState.BROKEN, difference


def _check_form(path: Path, check_complete: CheckComplete) -> None:
    if path.suffix == ".onnx":
        check_complete(path)
    elif path.suffix == ".json":
        json.loads(path.read_bytes())
    elif path.suffix == ".npy":
        read_style_file(path)
    else:
        with zipfile.ZipFile(path) as pack:
            pack.namelist()


def _difference(path: Path, expected: CatalogueFile) -> str:
    size = path.stat().st_size
    if expected.size is not None and size != expected.size:
        return f"it has {size} bytes, the catalogue says {expected.size}"
    if expected.digest is None:
        return ""
    algorithm, _, wanted = expected.digest.partition(":")
    with path.open("rb") as file:
        got = hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()
    return "" if got == wanted else f"its {algorithm} is {got}, the catalogue says {wanted}"
