"""What assistants spoke with before they were changed from the page: kept over a restart, to be undone.

The file names assistants, engines and voices, and holds nothing secret.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, TypeAdapter

from wyoming_tts.atomic_write import replace_file
from wyoming_tts.known_files import is_absent
from wyoming_tts.page.home_assistant.answers import Choice
from wyoming_tts.regular_files import read_regular_file
from wyoming_tts.system_reasons import system_reason

FILE_NAME: Final = "home_assistant_changes.json"
MAX_CHANGES: Final = 100
"""Assistants; of a hundred the one that was changed first is forgotten."""
_MAX_BYTES = 200_000
_MAX_CHANGE_BYTES = _MAX_BYTES // MAX_CHANGES

_LOGGER = logging.getLogger(__name__)


class Change(BaseModel):
    """What an assistant spoke with before it was changed from here, and since."""

    model_config = ConfigDict(frozen=True)

    before: Choice
    after: Choice


_CHANGES: Final = TypeAdapter(dict[str, Change])


def read_changes(directory: Path) -> dict[str, Change]:
    """Return the changes by assistant, oldest first; none if they cannot be read, which is logged. Blocks."""
    path = directory / FILE_NAME
    try:
        return {} if is_absent(path) else _parse(read_regular_file(path, _MAX_BYTES))
    except OSError as error:
        _LOGGER.warning("What can be undone in Home Assistant cannot be read: %s.", system_reason(error))
    except ValueError:  # pydantic's are, too
        _LOGGER.warning("What can be undone in Home Assistant is forgotten: %s is damaged.", path)
    return {}


def _parse(content: bytes) -> dict[str, Change]:
    if len(content) > _MAX_BYTES:
        raise ValueError("too long")
    return _CHANGES.validate_json(content)


def keep_changes(directory: Path, changes: Mapping[str, Change]) -> None:
    """Keep the changes; those that cannot be written last until the next start, which is logged. Blocks."""
    kept = {assistant: change for assistant, change in changes.items() if _can_be_read(assistant, change)}
    if len(kept) < len(changes):
        _LOGGER.warning(
            "What was changed in Home Assistant can be undone until the next start only where a name is "
            "too long for %s, or cannot be written as UTF-8.",
            directory / FILE_NAME,
        )
    try:
        replace_file(directory / FILE_NAME, _CHANGES.dump_json(kept))
    except OSError as error:
        _LOGGER.warning(
            "What was changed in Home Assistant can be undone until the next start only: %s cannot be "
            "written: %s.",
            directory / FILE_NAME,
            system_reason(error),
        )


def _can_be_read(assistant: str, change: Change) -> bool:
    """Whether a file with the change can be read again: one odd name must not cost others their undo."""
    try:
        return len(_CHANGES.dump_json({assistant: change})) <= _MAX_CHANGE_BYTES
    except ValueError:  # a lone surrogate, which JSON may bring and UTF-8 cannot encode
        return False
