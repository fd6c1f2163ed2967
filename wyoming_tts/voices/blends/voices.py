"""Blends as an engine speaks them: those that are kept, and recipes given in place of a voice's name."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from wyoming_tts.errors import SpeechError
from wyoming_tts.voices.blends.mixing import Blend, BlendBook, StyleTable
from wyoming_tts.voices.blends.recipes import looks_like_recipe, parse_recipe
from wyoming_tts.voices.names import same_name

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BlendedVoice:
    """A blend that can be spoken; it holds all it is made of as that was then."""

    name: str
    """Of the blend; the canonical recipe for one without a name."""
    language: str
    description: str
    made_of: frozenset[str]
    """Voices of the pack."""
    identity: str
    """Changes with the sound."""
    _blend: Blend
    _book: BlendBook

    def mixed(self, style: Callable[[str], StyleTable]) -> StyleTable:
        """Its table, from those of the pack's voices; see `BlendBook.mixed`."""
        return self._book.mixed(self._blend, style)


class BlendedVoices:
    """Looks blends up in what is on the disk now. Blocks."""

    def __init__(self, book: Callable[[], BlendBook], voices: Callable[[], Mapping[str, str]]) -> None:
        """Touch nothing yet.

        Args:
            book: `BlendStore.book`.
            voices: Language tags by name of the pack's voices.
        """
        self._book = book
        self._voices = voices

    def listed(self) -> Sequence[BlendedVoice]:
        """Those with a name whose voices are all known, sorted by name."""
        try:
            book = self._book()
        except SpeechError as error:
            _LOGGER.error("There are no blends: %s", error)  # noqa: TRY400  # the message says it all
            return []
        found = []
        for blend in sorted(book.blends.values(), key=lambda blend: blend.name):
            try:
                found.append(self._voice(blend.name, blend, book))
            except SpeechError as error:
                _LOGGER.debug("The blend %s cannot be spoken: %s", blend.name, error)
        return found

    def find(self, name: str) -> BlendedVoice | None:
        """The blend of that name in any case, or what that recipe describes; None if it is neither.

        Raises:
            BadRequest: it is meant as a recipe and malformed.
            UnknownVoice: the recipe names a voice that is not there.
        """
        book = self._book()
        if (kept := same_name(name, book.blends)) is not None:
            return self._voice(kept, book.blends[kept], book)
        if not looks_like_recipe(name):
            return None
        recipe = parse_recipe(name)
        return self._voice(str(recipe), Blend.unnamed(recipe), book)

    def _voice(self, name: str, blend: Blend, book: BlendBook) -> BlendedVoice:
        spoken = book.language(blend, self._voices())
        if not spoken.is_certain:
            _LOGGER.warning("%s mixes languages and names none: it speaks %s.", name, spoken.tag)
        description = blend.description or f"{blend.recipe} (Kokoro blend)"
        pack = book.pack_voices(blend)
        return BlendedVoice(name, spoken.tag, description, pack, book.identity(blend), blend, book)
