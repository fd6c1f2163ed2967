"""Registry of text normalizers, one for each language, loaded when first needed.

Loading one takes a tenth of a second, so it is done on a worker. A language that is not loaded yet
when markup switches to it is loaded at once: late is better than wrong.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from wyoming_tts.languages import LanguageTag, language_code
from wyoming_tts.text.normalization.language_data import differs_by_region, spoken_language
from wyoming_tts.text.normalization.normalizer import TextNormalizer, protect_nothing
from wyoming_tts.yaml_files.reading import MAX_BYTES, InvalidYaml, read_yaml

_LOGGER = logging.getLogger(__name__)

FILE_NAME = "spoken.yaml"
"""In a data directory: a user's entries by language, which override the product's."""

Extra = Mapping[str, Mapping[str, Any]]


class NormalizerRegistry:
    """Loads the normalizer of each language once, and that of a territory where it speaks otherwise."""

    def __init__(self, extra: Extra = MappingProxyType({})) -> None:
        """Take the user's entries, by language code."""
        self._extra = extra
        self._normalizers: dict[LanguageTag, TextNormalizer] = {}

    def is_loaded(self, language: str) -> bool:
        """Whether `normalizer` returns at once for this language."""
        return _key(language) in self._normalizers or not spoken_language(language)

    def load(self, language: str) -> None:
        """Load a language's data; blocks."""
        if self.is_loaded(language):
            return
        code, key = spoken_language(language), _key(language)
        usual = replace(key, region=None)
        if key != usual and not differs_by_region(code, key.region or ""):
            self.load(code)
            self._normalizers[key] = self._normalizers[usual]
            return
        tag = f"{code}_{key.region}" if key.region else code
        extra = self._extra.get(code) or self._extra.get(language_code(language))
        try:
            self._normalizers[key] = TextNormalizer(tag, extra=extra)
        except ValueError as error:
            _LOGGER.error("%s is ignored for %r: %s", FILE_NAME, code, error)  # noqa: TRY400 - says it all
            self._normalizers[key] = TextNormalizer(tag)

    def normalizer(self, language: str, protected: Callable[[str], bool] = protect_nothing) -> TextNormalizer:
        """Return the language's normalizer; without data for it, one that changes nothing.

        That of a territory has to be loaded before; otherwise it is one that is loaded.

        Args:
            language: such as `en` or `en_US`.
            protected: whether a token, without the punctuation around it, must not be changed.
        """
        if not spoken_language(language):
            return TextNormalizer("")
        found = self._normalizers.get(_key(language)) or self._of_another_territory(language)
        if found is None:
            self.load(language)
            found = self._normalizers[_key(language)]
        return found.protecting(protected)

    def _of_another_territory(self, language: str) -> TextNormalizer | None:
        """The loaded normalizer that the voice of a text has; to load another would hold up all others."""
        tag = LanguageTag.parse(language)
        same = (loaded for key, loaded in self._normalizers.items() if key.is_same_language(tag))
        return next(same, None)


def _key(language: str) -> LanguageTag:
    """The tag of a language, without the territory that the language alone most likely means."""
    tag = LanguageTag.parse(language)
    return replace(tag, region=None) if tag.is_likely_region else tag


def load_user_entries(directories: Iterable[Path]) -> Extra:
    """Load the `spoken.yaml` of each directory; the first with a section for a language wins. Blocks.

    All errors of a file are logged at once. A language with errors is ignored, as is a file that cannot be
    read.
    """
    found: dict[str, Mapping[str, Any]] = {}
    for directory in directories:
        path = directory / FILE_NAME
        try:
            entries, problems = _load_file(path)
        except FileNotFoundError:
            continue
        except OSError as error:
            _LOGGER.error("%s is ignored: %s", path, error)  # noqa: TRY400 - what is wrong is in the message
            continue
        except InvalidYaml as error:
            _LOGGER.error("%s is ignored:\n%s", path, error)  # noqa: TRY400 - the same
            continue
        if problems:
            _LOGGER.error("Languages in %s are ignored:\n%s", path, problems)
        for code, own in entries.items():
            found.setdefault(code, own)
    return found


def _load_file(path: Path) -> tuple[Extra, InvalidYaml | None]:
    """The entries of the languages without errors, and the errors of the others.

    Raises:
        InvalidYaml: no language in it can be used.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    from wyoming_tts.text.normalization.schema import UserEntries  # noqa: PLC0415 - only who has a file pays for it

    document = read_yaml(data, str(path))
    document.validate(UserEntries)
    broken = {problem.path[:1] for problem in document.problems}
    if () in broken:
        document.raise_problems()
    entries = {
        language_code(code): own or {}
        for code, own in (document.value or {}).items()
        if (code,) not in broken
    }
    return entries, InvalidYaml(document.problems) if broken else None
