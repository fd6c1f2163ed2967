"""Captions file: the times of spoken words, written once the speech is complete."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from wyoming_tts.atomic_write import replace_file
from wyoming_tts.captions import CaptionFormat, CaptionWriter
from wyoming_tts.commands.console import CommandFailed
from wyoming_tts.settings import SettingsError
from wyoming_tts.speech import SpokenWord
from wyoming_tts.system_reasons import system_reason


class CaptionsFile:
    """Captions that are written to a file, whose name tells their format.

    Raises:
        SettingsError: the name ends in none that is known.
    """

    def __init__(self, name: str) -> None:
        self._path = Path(name)
        self._writer = CaptionWriter(_format_of(self._path))
        self._written: list[str] = []

    def add_text(self, text: str) -> None:
        """Take more of the text, as it was written."""
        self._writer.add_text(text)

    def add_words(self, words: Iterable[SpokenWord]) -> None:
        """Take the next words."""
        self._written.append(self._writer.add_words(words))

    def write(self, seconds: float) -> None:
        """Write the file, all at once; `seconds` is the length of the audio.

        Raises:
            CommandFailed: it cannot be written.
        """
        self._written.append(self._writer.finish(seconds))
        try:
            replace_file(self._path, "".join(self._written).encode("utf-8", "replace"))
        except OSError as error:
            raise CommandFailed(f"Cannot write {self._path}: {system_reason(error)}.") from error


def _format_of(path: Path) -> CaptionFormat:
    try:
        return CaptionFormat(path.suffix.removeprefix("."))
    except ValueError:
        *others, last = (f".{form}" for form in CaptionFormat)
        endings = f"{', '.join(others)} or {last}"
        raise SettingsError(f"Got {path} for captions, expected a name that ends in {endings}.") from None
