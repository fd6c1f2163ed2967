"""Discovery of Kokoro's files: a model, a voice pack of styles, and imported style tables.

They are validated before a voice is listed, so that a file that is still being copied is noticed then and
not by the first listener; what is wrong with one is logged once.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from wyoming_tts.engines.base import EngineOptions
from wyoming_tts.engines.model_files import (
    BrokenVoice,
    FileComplaints,
    check_complete,
    not_read,
    not_searched,
)
from wyoming_tts.errors import SpeechError, VoiceUnavailable
from wyoming_tts.messages import Message
from wyoming_tts.style_tables import pack_names

T = TypeVar("T")

_MODEL_FILES = ("kokoro*.onnx",)
_PACK_FILES = ("voices*.bin", "voices*.npz")
_EXACT_NAMES = frozenset({"kokoro-v1.0.onnx", "voices-v1.0.bin"})


@dataclass(frozen=True, slots=True)
class FoundFiles:
    """The files that together make Kokoro's voices."""

    model: Path
    pack: Path
    names: frozenset[str]
    """Of the voices in the pack."""
    imported: Mapping[str, Path]
    """Style tables of further voices, by name; none has the name of one in the pack."""


class KokoroFiles:
    """Finds the files in the data directories, or where the settings point to."""

    def __init__(self, options: EngineOptions) -> None:
        self._options = options
        self._complaints = FileComplaints()
        self._broken: list[BrokenVoice] = []
        self.broken: tuple[BrokenVoice, ...] = ()
        """What the last `find` left out, and why."""

    def find(self) -> FoundFiles | None:
        """Look for the files; None if there is no complete model or no complete pack."""
        self._broken = []
        model = self._first(self._options.kokoro_model, _MODEL_FILES, check_complete)
        pack = self._first(self._options.kokoro_voices, _PACK_FILES, pack_names)
        if model and pack:
            found = FoundFiles(model[0], pack[0], pack[1], self._find_imported(pack[1]))
        else:
            found = None
            self._report_half(model and model[0], pack and pack[0])
        self.broken = tuple(self._broken)
        return found

    def _report_half(self, model: Path | None, pack: Path | None) -> None:
        if self._broken:
            return  # the missing half is broken, and reported
        if model:
            self._report(model, Message("no_pack", "there is no voice pack (voices-v1.0.bin) to go with it"))
        if pack:
            self._report(pack, Message("no_model", "there is no model (kokoro-v1.0.onnx) to go with it"))

    def _report(self, path: Path, reason: str) -> None:
        self._broken.append(self._complaints.report(path, reason))

    def _first(
        self, given: Path | None, patterns: tuple[str, ...], check: Callable[[Path], T]
    ) -> tuple[Path, T] | None:
        """The first valid file, with the result of its check."""
        for path in self._candidates(given, patterns):
            try:
                return path, self._options.files.read(path, check)
            except FileNotFoundError:
                self._report(path, Message("no_such_file", "there is no such file"))
            except OSError as error:
                self._report(path, not_read(error))
            except ValueError as error:
                self._report(path, str(error))
        return None

    def _candidates(self, given: Path | None, patterns: tuple[str, ...]) -> list[Path]:
        if given is not None:
            return [given]
        found = [path for directory in self._options.data_dirs for path in self._search(directory, patterns)]
        return sorted(found, key=lambda path: path.name not in _EXACT_NAMES)

    def _search(self, directory: Path, patterns: tuple[str, ...]) -> Iterator[Path]:
        files = self._options.files
        names = files.names(directory)
        if reason := files.troubles.get(directory.absolute()):
            self._broken.append(BrokenVoice(directory, not_searched(reason)))
        for name in sorted(name for pattern in patterns for name in fnmatch.filter(names, pattern)):
            # With a json beside it, it is a Piper voice of that name.
            if f"{name}.json" not in names and (stamp := files.stamp(directory / name)) and stamp.size:
                yield directory / name

    def _find_imported(self, taken: Collection[str]) -> dict[str, Path]:
        styles = self._options.kokoro_styles
        if styles is None:
            return {}
        valid = {}
        for name in styles.names():
            path = styles.path(name)
            if name in taken:
                self._report(
                    path,
                    Message(
                        "pack_goes_first",
                        "the voice pack has a voice {name}, which goes first: rename the file",
                        name=name,
                    ),
                )
            elif self._is_valid(path):
                valid[name] = path
        return valid

    def _is_valid(self, path: Path) -> bool:
        try:
            self._options.files.read(path, self._check_table)
        except (OSError, SpeechError) as error:
            self._report(path, not_read(error) if isinstance(error, OSError) else str(error))
            return False
        return True

    def _check_table(self, path: Path) -> None:
        styles = self._options.kokoro_styles
        assert styles is not None, "only its own tables are checked"
        try:
            styles.read(path.stem)
        except VoiceUnavailable as error:
            raise OSError(str(error)) from error
