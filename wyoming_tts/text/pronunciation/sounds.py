"""Sounds that are no words, such as "shh", "hmm" and "brrr", as phonemes; engines would spell them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import regex  # type: ignore[import-untyped]

from wyoming_tts.text.pronunciation.tokens import Respelling


class SoundRules:
    """The sounds of one language."""

    def __init__(self, patterns: Mapping[str, str], phones: Mapping[str, str]) -> None:
        """Take the patterns, whose phonemes have {fields}, and the language's phones for these."""
        self._said = [f"[[{ipa.format(**phones)}]]" for ipa in patterns.values()]
        either = "|".join(f"(?P<s{number}>{pattern})" for number, pattern in enumerate(patterns))
        self._sound_re = regex.compile(rf"(?<![\w'’.@/-])(?i:{either})(?![\w'’@/-]|\.\w)")

    def find(self, text: str) -> Iterator[Respelling]:
        """The phonemes of each sound in a text."""
        for match in self._sound_re.finditer(text):
            yield Respelling(match.start(), match.end(), self._said[int(str(match.lastgroup)[1:])])
