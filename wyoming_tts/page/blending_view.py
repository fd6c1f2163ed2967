"""What the Blend tab is shown, and what it sends: values without any work in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from wyoming_tts.voices.blends.mixing import Blend
from wyoming_tts.voices.blends.recipes import parse_recipe


class KokoroState(StrEnum):
    """Whether there is something to mix."""

    READY = "ready"
    ABSENT = "absent"
    """Its files are not here, and can be fetched."""
    OFFLINE = "offline"
    """Its files are not here, and nothing is fetched."""
    UNUSED = "unused"
    """The server speaks with other engines alone."""


class MixableKind(StrEnum):
    """Where a voice that can be mixed comes from."""

    PACK = "pack"
    IMPORTED = "imported"
    PRESET = "preset"
    OWN = "own"


@dataclass(frozen=True, slots=True)
class MixableVoice:
    """A voice for a row of the mixer."""

    name: str
    language: str
    description: str
    kind: MixableKind


@dataclass(frozen=True, slots=True)
class Draft:
    """A blend as it is written in the page, and as it was when its edit began."""

    name: str
    recipe: str
    language: str | None = None
    """Of those that are mixed, the one that is spoken; None where they have one."""
    description: str = ""
    spherical: bool = False
    normalized: bool = True

    def blend(self) -> Blend:
        """Return it as it is kept.

        Raises:
            BadRequest: something of it is out of form.
        """
        return Blend(
            self.name,
            parse_recipe(self.recipe),
            language=self.language or None,
            description=self.description.strip(),
            spherical=self.spherical,
            normalized=self.normalized,
        )


@dataclass(frozen=True, slots=True)
class KeptVoice:
    """A line of the list: a blend, a preset or an imported voice."""

    draft: Draft
    kind: MixableKind
    language: str
    """That it speaks; empty if one of its voices is not known."""
    can_speak: bool


@dataclass(frozen=True, slots=True)
class BlendingView:
    """All that the tab shows before anything is mixed."""

    kokoro: KokoroState
    model_bytes: int | None
    """Of the files to fetch."""
    fetched_bytes: int | None
    """Of these that are here; None while nobody fetches them."""
    voices: tuple[MixableVoice, ...]
    kept: tuple[KeptVoice, ...]
    samples: Mapping[str, str]
    """A sentence to hear a mix by, for each of these languages."""


@dataclass(frozen=True, slots=True)
class RecipePart:
    """A row of the mixer."""

    voice: str
    weight: float


@dataclass(frozen=True, slots=True)
class ReadRecipe:
    """A recipe, understood."""

    recipe: str
    """In its canonical form."""
    parts: tuple[RecipePart, ...]
    language: str
    """That it speaks if none is named."""
    languages: tuple[str, ...]
    """Of its voices; more than one means that one has to be named."""
