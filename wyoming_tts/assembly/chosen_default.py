"""The default voice that a user has chosen: kept in the data directory over a restart.

A voice that the settings name takes precedence; without one, the choice holds for as long as it is installed.
Servers that share a data directory share the choice: each looks at the file when the directory has changed.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from wyoming_tts.atomic_write import replace_file
from wyoming_tts.errors import BadRequest
from wyoming_tts.known_files import ABSENT, FileStamp, KnownFiles, stamp_of
from wyoming_tts.messages import Message
from wyoming_tts.regular_files import read_regular_file
from wyoming_tts.settings import Settings
from wyoming_tts.system_reasons import reason_of, system_reason
from wyoming_tts.voices.library import DefaultVoice
from wyoming_tts.yaml_files.reading import InvalidYaml, YamlLimits, read_yaml

FILE_NAME: Final = "default_voice.yaml"
_MAX_BYTES = 10_000

_LOGGER = logging.getLogger(__name__)


def settings_name_a_voice(settings: Settings) -> bool:
    """Whether the settings name the default voice, so that a choice lasts no longer than the server runs."""
    return "voice" in settings.model_fields_set


@dataclass(frozen=True, slots=True)
class Choice:
    """What is chosen now: the voice, or None for that of the settings."""

    voice: DefaultVoice | None


class ChosenDefaultFile:
    """The file of the choice, and whether this server or another one has changed it.

    Where the settings name a voice, it is not looked at. A file that cannot be read, or names none,
    changes nothing: the log says so once.
    """

    def __init__(self, settings: Settings, known: KnownFiles) -> None:
        self._settings = settings
        self._known = known
        self._stamp: FileStamp | None = None
        self._trouble = ""

    def __repr__(self) -> str:
        return f"<ChosenDefaultFile {_path(self._settings)}: {self._trouble or 'readable'}>"

    @property
    def troubles(self) -> Mapping[Path, str]:
        """The file with why it could not be read, if it could not when last tried."""
        return {_path(self._settings): self._trouble} if self._trouble else {}

    def read_change(self) -> Choice | None:
        """Return what was chosen since the last call, if anything. Blocks."""
        path = _path(self._settings)
        if settings_name_a_voice(self._settings):
            return None
        try:
            stamp = _read_stamp(path)
            if stamp is None and self._known.is_away(path.parent):
                return None
            is_same = stamp == self._stamp
            choice = None if is_same else Choice(DefaultVoice(_read_name(path)) if stamp else None)
        except ABSENT:
            return None  # it was removed meanwhile, which the next call finds
        except (OSError, ValueError, InvalidYaml) as error:
            self._note(error)
            return None
        self._stamp = stamp
        self._settle("is used again" if stamp else "is gone")
        return choice

    def _note(self, error: Exception) -> None:
        trouble = reason_of(error)
        if trouble != self._trouble:
            self._trouble = trouble
            _LOGGER.warning(
                "%s is not used, and the default voice stays: %s.", _path(self._settings), trouble
            )

    def _settle(self, news: str) -> None:
        if self._trouble:
            self._trouble = ""
            _LOGGER.info("%s %s.", _path(self._settings), news)


def _read_stamp(path: Path) -> FileStamp | None:
    """Identify the content of the file; None if there is none.

    Raises:
        OSError: it cannot be told.
    """
    try:
        return stamp_of(path)
    except ABSENT:
        return None


def _read_name(path: Path) -> str:
    """Read the name of the chosen voice.

    Raises:
        ValueError: the file names none.
        InvalidYaml: it is no YAML.
        OSError: it cannot be read.
    """
    content = read_regular_file(path, _MAX_BYTES)
    chosen = read_yaml(content, path.name, limits=YamlLimits(size=_MAX_BYTES)).value
    name = chosen.get("voice") if isinstance(chosen, Mapping) else None
    if not (isinstance(name, str) and name.isprintable() and name.strip()):
        raise ValueError("expected `voice: NAME`")
    return name


def keep_chosen_default(settings: Settings, name: str) -> None:
    """Keep the choice of a voice. Blocks.

    Raises:
        BadRequest: it cannot be written.
    """
    content = yaml.safe_dump({"voice": name}, allow_unicode=True)
    try:
        replace_file(_path(settings), f"# The default voice, as chosen on the page.\n{content}".encode())
    except OSError as error:
        raise BadRequest(
            Message(
                "default_not_kept",
                "{name} is the default until the server restarts: the choice cannot be kept ({reason}).",
                name=name,
                reason=system_reason(error),
            )
        ) from error


def forget_chosen_default(settings: Settings) -> None:
    """Return to the voice of the settings from the next start on. Blocks.

    A file that cannot be removed stays, as the log says; what it names counts only while it is installed.
    """
    try:
        _path(settings).unlink(missing_ok=True)
    except OSError as error:
        _LOGGER.warning("%s cannot be removed: %s.", _path(settings), system_reason(error))


def _path(settings: Settings) -> Path:
    return settings.data_dir[0] / FILE_NAME
