"""Default pronunciations, loaded from `data/*.yaml` for each language once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Any, Final

import yaml

from wyoming_tts.languages import fallbacks
from wyoming_tts.text.pronunciation.capitals import CapitalRules
from wyoming_tts.text.pronunciation.heteronyms import HeteronymTagger
from wyoming_tts.text.pronunciation.letters import LetterRules
from wyoming_tts.text.pronunciation.sounds import SoundRules
from wyoming_tts.text.pronunciation.tokens import Respelling, tokenize

LANGUAGES: Final = frozenset(
    "bs ca cs da de el en es fi fr hr hu it nl no pl pt ro ru sk sl sr sv tr uk".split()  # noqa: SIM905 - readable
)
"""Those with data; the text of others is left as it is."""


class DefaultPronunciations:
    """The default pronunciations in one language."""

    def __init__(
        self, sounds: SoundRules, letters: LetterRules, *others: CapitalRules | HeteronymTagger
    ) -> None:
        """Take the rules; the first go first."""
        self._sounds = sounds
        self._of_tokens = [letters, *others]

    def find(self, text: str) -> list[Respelling]:
        """The respellings in a text, in their order; no two overlap."""
        tokens = tokenize(text)
        found = [
            *self._sounds.find(text),
            *(each for rules in self._of_tokens for each in rules.find(tokens)),
        ]
        return list(_without_overlaps(found))


def load_pronunciations(language: str) -> DefaultPronunciations | None:
    """Load a language's data, once; None if there are none. Blocks at the first call."""
    code = next((tag for tag in fallbacks(language) if tag in LANGUAGES), None)
    return _load(code) if code else None


@cache
def _load(code: str) -> DefaultPronunciations:
    sounds, letters = _read("sounds"), _read("letters")
    patterns = (sounds["own"].get(code) or {}) | sounds["patterns"]
    return DefaultPronunciations(
        SoundRules(patterns, sounds["languages"][code]),
        LetterRules.of_section(letters.get(code) or {}),
        *(_english() if code == "en" else ()),
    )


def _english() -> tuple[CapitalRules, HeteronymTagger]:
    data: Mapping[str, Any] = _read("en")
    return CapitalRules.of_section(data["capitals"]), HeteronymTagger(data["heteronyms"])


def _read(name: str) -> Any:
    file = resources.files(__package__).joinpath("data", f"{name}.yaml")
    return yaml.load(file.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - safe


def _without_overlaps(found: Iterable[Respelling]) -> Iterator[Respelling]:
    """In the order of the text; where two overlap, the one that was found first."""
    end = 0
    for each in sorted(found, key=lambda respelling: respelling.start):
        if each.start >= end:
            yield each
            end = each.end
