"""The default voice that a user has chosen: kept in the data directory over a restart.

A voice that the settings name takes precedence; without one, the choice holds for as long as it is installed.
Servers that share a data directory share the choice: each looks at the file when the directory has changed.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import yaml

from wyoming_tts.atomic_write import replace_file
from wyoming_tts.known_files import ABSENT, KnownFiles, is_absent
from wyoming_tts.regular_files import read_regular_file
from wyoming_tts.settings import Settings
from wyoming_tts.voices.library import DefaultVoice
from wyoming_tts.yaml_files.reading import InvalidYaml, YamlLimits, read_yaml

FILE_NAME: Final = "default_voice.yaml"
_MAX_BYTES = 10_000

_LOGGER = logging.getLogger(__name__)


def settings_name_a_voice(settings: Settings) -> bool:
    """Whether the settings name the default voice, so that a choice lasts no longer than the server runs."""
    return "voice" in settings.model_fields_set


class ChosenDefaultFile:
    """The file of the choice, and whether this server or another one has changed it."""

    def __init__(self, settings: Settings, known: KnownFiles) -> None:
        self._settings = settings
        self._known = known
        self._stamp: tuple[int, int, int] | None = None

    def has_changed(self) -> bool:
        """Whether it was changed since the last call; never if the settings name a voice. Blocks."""
        path = _path(self._settings)
        if settings_name_a_voice(self._settings):
            return False
        try:
            status = path.stat()
            stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
        except ABSENT:
            stamp = None
        except OSError:
            return False  # what was chosen holds until it can be read again
        if stamp is None and self._known.is_away(path.parent):
            return False
        has_changed, self._stamp = stamp != self._stamp, stamp
        return has_changed

    def read(self) -> DefaultVoice | None:
        """Return the voice that was chosen; None if none was. Blocks."""
        return read_chosen_default(self._settings)


def read_chosen_default(settings: Settings) -> DefaultVoice | None:
    """Return the voice that was chosen; None if none was, or if the settings name one. Blocks."""
    path = _path(settings)
    if settings_name_a_voice(settings):
        return None
    try:
        return None if is_absent(path) else DefaultVoice(_read_name(path))
    except (OSError, ValueError, InvalidYaml) as error:
        _LOGGER.warning("The chosen default voice cannot be read: %s: %s", path, error)
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
        OSError: it cannot be written.
    """
    content = yaml.safe_dump({"voice": name}, allow_unicode=True)
    replace_file(_path(settings), f"# The default voice, as chosen on the page.\n{content}".encode())


def forget_chosen_default(settings: Settings) -> None:
    """Return to the voice of the settings from the next start on. Blocks."""
    _path(settings).unlink(missing_ok=True)


def _path(settings: Settings) -> Path:
    return settings.data_dir[0] / FILE_NAME
