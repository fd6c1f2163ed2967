"""Localization: the page's texts in all languages; the browser picks the language."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, TypeAlias

import yaml

LANGUAGES = ("en", "de", "fr")
"""The first is the fallback."""
MESSAGE_LANGUAGES = LANGUAGES[1:]
"""Those that the server's messages are translated to; they are in the first one already."""

Texts: TypeAlias = Mapping[str, str]

_NO_BREAK_SPACE = "\N{NO-BREAK SPACE}"
_FRENCH_SPACES = re.compile(r" (?=[:;?!»])|(?<=«) ")


class Words:
    """All texts of the page by name, such as `player.play`."""

    def __init__(self) -> None:
        self._texts = {language: read_texts(language) for language in LANGUAGES}

    def labels(self) -> dict[str, dict[str, str]]:
        """Return the texts that Gradio shows, by language and name; all others reach their scripts."""
        return {
            language: {name: text for name, text in texts.items() if name.startswith("page.")}
            for language, texts in self._texts.items()
        }

    def text(self, name: str, language: str = LANGUAGES[0]) -> str:
        """Return a text in one language.

        Raises:
            KeyError: there is no text of that name.
        """
        try:
            return self._texts[language][name]
        except KeyError:
            message = f"There is no text {name!r}: add it to ui/words/{language}.yaml."
            raise KeyError(message) from None

    def section(self, tab: str) -> dict[str, dict[str, str]]:
        """Return the texts of one tab by language and short name, for its script.

        `localize` of `ui/js/common.js` picks the language.
        """
        start = f"{tab}."
        return {
            language: {name[len(start) :]: text for name, text in texts.items() if name.startswith(start)}
            for language, texts in self._texts.items()
        }


@cache
def read_texts(language: str) -> Texts:
    """Read all texts of a language. Reads a file: blocks."""
    source = files("ui").joinpath("words", f"{language}.yaml").read_text(encoding="utf-8")
    texts = _flatten(_load(source))
    return MappingProxyType({name: _typeset(text, language) for name, text in texts})


@cache
def read_messages(language: str) -> Texts:
    """Read the translations of the server's messages by ID. Reads a file: blocks."""
    source = files("ui").joinpath("words", "messages", f"{language}.yaml").read_text(encoding="utf-8")
    texts = _load(source)
    return MappingProxyType({name: _typeset(text, language) for name, text in texts.items()})


def _load(source: str) -> Any:
    return yaml.load(source, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - safe


def _typeset(text: str, language: str) -> str:
    """Keep French signs in the line of their word: a space belongs there, which would break before them."""
    return _FRENCH_SPACES.sub(_NO_BREAK_SPACE, text) if language == "fr" else text


def _flatten(tree: Mapping[str, Any], start: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, value in tree.items():
        if isinstance(value, Mapping):
            found += _flatten(value, f"{start}{name}.")
        elif value is not None:
            found.append((f"{start}{name}", str(value)))
    return found
