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

from wyoming_tts.languages import language_code
from wyoming_tts.text.normalization.language_data import has_language_data
from wyoming_tts.text.normalization.normalizer import TextNormalizer, protect_nothing
from wyoming_tts.yaml_files.reading import MAX_BYTES, InvalidYaml, read_yaml

_LOGGER = logging.getLogger(__name__)

FILE_NAME = "spoken.yaml"
"""In a data directory: by language, entries that go over those of the product."""

Extra = Mapping[str, Mapping[str, Any]]


class NormalizerRegistry:
    """Hands out normalizers; the data of a language is read once."""

    def __init__(self, extra: Extra = MappingProxyType({})) -> None:
        """Take what a user adds, by language code."""
        self._extra = extra
        self._normalizers: dict[str, TextNormalizer] = {}

    def is_loaded(self, language: str) -> bool:
        """Whether `normalizer` has nothing to read for it."""
        code = language_code(language)
        return code in self._normalizers or not has_language_data(code)

    def load(self, language: str) -> None:
        """Read a language's data: blocks."""
        code = language_code(language)
        if self.is_loaded(code):
            return
        try:
            self._normalizers[code] = TextNormalizer(code, extra=self._extra.get(code))
        except ValueError as error:
            _LOGGER.error("%s is left out for %r: %s", FILE_NAME, code, error)  # noqa: TRY400 - says it all
            self._normalizers[code] = TextNormalizer(code)

    def normalizer(self, language: str, protected: Callable[[str], bool] = protect_nothing) -> TextNormalizer:
        """Return the language's normalizer, one that changes nothing where there is no data.

        Args:
            language: such as `en` or `en_US`.
            protected: whether a token, without the punctuation around it, is to be left alone.
        """
        code = language_code(language)
        if not has_language_data(code):
            return TextNormalizer("")
        self.load(code)
        return self._normalizers[code].protecting(protected)


def load_user_entries(directories: Iterable[Path]) -> Extra:
    """Read the `spoken.yaml` of each directory, the first that has an entry for a language wins: blocks.

    What is wrong with a file is told in the log, all at once. A language with mistakes is left out, as is a
    file that cannot be read.
    """
    found: dict[str, Mapping[str, Any]] = {}
    for directory in directories:
        path = directory / FILE_NAME
        try:
            entries, problems = _content(path)
        except FileNotFoundError:
            continue
        except OSError as error:
            _LOGGER.error("%s is left out: %s", path, error)  # noqa: TRY400 - what is wrong is in the message
            continue
        except InvalidYaml as error:
            _LOGGER.error("%s is left out:\n%s", path, error)  # noqa: TRY400 - the same
            continue
        if problems:
            _LOGGER.error("Languages are left out of %s:\n%s", path, problems)
        for code, own in entries.items():
            found.setdefault(code, own)
    return found


def _content(path: Path) -> tuple[Extra, InvalidYaml | None]:
    """The entries of the languages without mistakes, and the mistakes of the others.

    Raises:
        InvalidYaml: there is no language in it that can be used.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    from wyoming_tts.text.normalization.schema import UserEntries  # noqa: PLC0415 - only who has a file pays for it

    document = read_yaml(data, str(path))
    document.validated(UserEntries)
    broken = {problem.path[:1] for problem in document.problems}
    if () in broken:
        document.raise_problems()
    entries = {
        language_code(code): own or {}
        for code, own in (document.value or {}).items()
        if (code,) not in broken
    }
    return entries, InvalidYaml(document.problems) if broken else None
