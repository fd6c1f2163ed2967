"""Where a rule of a lexicon applies: to which voices, and in a text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

EVERY_LANGUAGE: Final = "all"


@dataclass(frozen=True, slots=True)
class Scope:
    """What a rule applies to: one voice by name, else a language with all its regions."""

    language: str = EVERY_LANGUAGE
    voice: str = ""


@dataclass(frozen=True, slots=True)
class RulePosition:
    """File and line of a rule."""

    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Hit:
    """A stretch of a text that a rule matches, and what stands in its place."""

    start: int
    end: int
    replacement: str
    position: RulePosition


EVERYWHERE: Final = Scope()
UNPLACED: Final = RulePosition()
"""Of a rule that stands in no file."""
