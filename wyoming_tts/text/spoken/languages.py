"""The languages whose figures can be said, each read when it is first needed.

Reading one takes a tenth of a second, so it is done on a worker. What is not read yet when a text
comes to it is read there and then: late is better than wrong.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from wyoming_tts.languages import language_code
from wyoming_tts.text.spoken.language import has_data
from wyoming_tts.text.spoken.speller import Speller, nothing_protected

_LOGGER = logging.getLogger(__name__)

FILE_NAME = "spoken.yaml"
"""In a data directory: by language, entries that go over those of the product."""
_MAX_BYTES = 1_000_000

Extra = Mapping[str, Mapping[str, Any]]


class SpokenLanguages:
    """Hands out spellers; the data of a language is read once."""

    def __init__(self, extra: Extra = MappingProxyType({})) -> None:
        """Take what a user adds, by language code."""
        self._extra = extra
        self._read: dict[str, Speller] = {}

    def is_read(self, language: str) -> bool:
        """Whether `speller` has nothing to read for it."""
        code = language_code(language)
        return code in self._read or not has_data(code)

    def read(self, language: str) -> None:
        """Read a language's data: blocks."""
        code = language_code(language)
        if self.is_read(code):
            return
        try:
            self._read[code] = Speller(code, extra=self._extra.get(code))
        except ValueError as error:
            _LOGGER.error("%s is left out for %r: %s", FILE_NAME, code, error)  # noqa: TRY400 - says it all
            self._read[code] = Speller(code)

    def speller(self, language: str, protected: Callable[[str], bool] = nothing_protected) -> Speller:
        """Return the language's speller, one that changes nothing where there is no data.

        Args:
            language: such as `en` or `en_US`.
            protected: whether a token, without the punctuation around it, is to be left alone.
        """
        code = language_code(language)
        if not has_data(code):
            return Speller("")
        self.read(code)
        return self._read[code].protecting(protected)


def read_extra(directories: Iterable[Path]) -> Extra:
    """Read the `spoken.yaml` of each directory, the first that has an entry for a language wins: blocks.

    A file that cannot be read is left out, with an error in the log.
    """
    found: dict[str, Mapping[str, Any]] = {}
    for directory in directories:
        path = directory / FILE_NAME
        try:
            content = _content(path)
        except FileNotFoundError:
            continue
        except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
            _LOGGER.error("%s is left out: %s", path, error)  # noqa: TRY400 - what is wrong is in the message
            continue
        for code, entries in content.items():
            found.setdefault(code, entries)
    return found


def _content(path: Path) -> dict[str, Mapping[str, Any]]:
    with path.open("rb") as file:
        data = file.read(_MAX_BYTES + 1)
    if len(data) > _MAX_BYTES:
        raise ValueError(f"it has more than {_MAX_BYTES} bytes")
    content = yaml.safe_load(data) or {}
    if not isinstance(content, dict) or not all(isinstance(entries, dict) for entries in content.values()):
        raise ValueError("expected languages such as `en:`, each with entries as en.yaml has them")
    return {language_code(str(code)): entries for code, entries in content.items()}
