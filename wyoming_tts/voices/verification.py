"""Verification of installed voices: files against the catalogue's sizes and digests.

Files that are not in the catalogue, as of the user's own voices, are only checked for being complete.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias

from wyoming_tts.errors import SpeechError
from wyoming_tts.regular_files import open_regular_file
from wyoming_tts.speech import Voice
from wyoming_tts.voices.catalogue import CatalogueFile
from wyoming_tts.voices.style_files import read_style_file

CheckForm: TypeAlias = Callable[[Path], object]
"""Raises `ValueError` or `OSError` for a file that is incomplete or malformed."""


class FileState(StrEnum):
    """Result of verifying a file."""

    WHOLE = "whole"
    CHANGED = "changed"
    """A configuration that the user edited: it can be used."""
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class VerifiedFile:
    """A file with its state and, if it differs, the reason."""

    path: Path
    voices: tuple[str, ...]
    """The voices that use it."""
    state: FileState
    reason: str = ""
    is_known: bool = True
    """Whether it is in the catalogue."""


def verify_files(
    voices: Iterable[Voice], known: Mapping[str, CatalogueFile], checks: Mapping[str, CheckForm]
) -> Iterator[VerifiedFile]:
    """Verify each file of the voices, once however many voices share it. Blocks, a second per 300 MB.

    Args:
        voices: The voices to verify.
        known: Size and digest of each catalogue file by its name.
        checks: By suffix, what checks the form of a model (`.onnx`) and of its configuration (`.json`).
    """
    users: dict[Path, list[str]] = {}
    for voice in voices:
        for path in voice.files:
            users.setdefault(path, []).append(voice.name)
    for path, names in users.items():
        expected = known.get(path.name)
        state, reason = _state_of(path, expected, checks)
        yield VerifiedFile(path, tuple(sorted(names)), state, reason, is_known=expected is not None)


def _state_of(
    path: Path, expected: CatalogueFile | None, checks: Mapping[str, CheckForm]
) -> tuple[FileState, str]:
    try:
        check_form(path, checks)
        difference = _difference(path, expected) if expected else ""
    except (OSError, ValueError, zipfile.BadZipFile, SpeechError) as error:
        return FileState.BROKEN, str(error)
    if not difference:
        return FileState.WHOLE, ""
    is_edited = path.suffix == ".json"
    return FileState.CHANGED if is_edited else FileState.BROKEN, difference


def check_form(path: Path, checks: Mapping[str, CheckForm]) -> None:
    """Check that a voice file is complete, by what its ending says it is. Blocks.

    Raises:
        ValueError, OSError, zipfile.BadZipFile, SpeechError: it is not.
    """
    if check := checks.get(path.suffix):
        check(path)
    elif path.suffix == ".npy":
        read_style_file(path)
    else:
        with open_regular_file(path) as file, zipfile.ZipFile(file) as pack:
            pack.namelist()


def _difference(path: Path, expected: CatalogueFile) -> str:
    size = path.stat().st_size
    if expected.size is not None and size != expected.size:
        return f"it has {size} bytes, the catalogue says {expected.size}"
    if expected.digest is None:
        return ""
    algorithm, _, digest = expected.digest.partition(":")
    with open_regular_file(path) as file:
        got = hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()
    return "" if got == digest else f"its {algorithm} is {got}, the catalogue says {digest}"
