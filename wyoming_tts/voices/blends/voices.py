"""Blends as an engine speaks them: those that are kept, and recipes given in place of a voice's name."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from wyoming_tts.blocking import RunBlocking
from wyoming_tts.errors import SpeechError
from wyoming_tts.speech import Voice
from wyoming_tts.voices.blends.mixing import Blend, BlendSet, StyleTable
from wyoming_tts.voices.blends.recipes import looks_like_recipe, parse_recipe
from wyoming_tts.voices.blends.store import BlendStore
from wyoming_tts.voices.catalogue import BLENDING_ENGINE
from wyoming_tts.voices.names import find_name

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
    _book: BlendSet

    def mix(self, style: Callable[[str], StyleTable]) -> StyleTable:
        """Its table, from those of the pack's voices; see `BlendSet.mixed`."""
        return self._book.mix(self._blend, style)


class BlendResolver:
    """Looks blends up in what is on the disk now. Blocks."""

    def __init__(self, book: Callable[[], BlendSet], voices: Callable[[], Mapping[str, str]]) -> None:
        """Touch nothing yet.

        Args:
            book: `BlendStore.load`.
            voices: Language tags by name of the pack's voices.
        """
        self._book = book
        self._voices = voices

    def list_voices(self) -> Sequence[BlendedVoice]:
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
        if (kept := find_name(name, book.blends)) is not None:
            return self._voice(kept, book.blends[kept], book)
        if not looks_like_recipe(name):
            return None
        recipe = parse_recipe(name)
        return self._voice(str(recipe), Blend.unnamed(recipe), book)

    def _voice(self, name: str, blend: Blend, book: BlendSet) -> BlendedVoice:
        spoken = book.language(blend, self._voices())
        if not spoken.is_certain:
            _LOGGER.warning("%s mixes languages and names none: it speaks %s.", name, spoken.tag)
        description = blend.description or f"{blend.recipe} (Kokoro blend)"
        pack = book.pack_voices(blend)
        return BlendedVoice(name, spoken.tag, description, pack, book.identity(blend), blend, book)


class CachedBlends:
    """The blends on the disk, and as they were last read."""

    def __init__(
        self,
        store: BlendStore,
        *,
        run_blocking: RunBlocking,
        as_voice: Callable[[Voice, BlendedVoice], Voice],
    ) -> None:
        """Read nothing yet.

        Args:
            store: Where they are kept.
            run_blocking: Reads them.
            as_voice: Makes a blend of one of the voices that it mixes, as their engine speaks it.
        """
        self.store = store
        """Blocks: for `run_blocking`."""
        self._run_blocking = run_blocking
        self._as_voice = as_voice
        self._book = BlendSet()

    async def read(self) -> None:
        """Read them; if they cannot be, those that were read before stay."""
        try:
            self._book = await self._run_blocking(self.store.load)
        except SpeechError as error:
            _LOGGER.error("The blends read before stay in use. %s", error)  # noqa: TRY400 - it says it all

    def voice(self, name: str, installed: Iterable[Voice]) -> Voice | None:
        """Return the voice that speaks as a blend's name or recipe says; touches no file.

        Args:
            name: The name of a kept blend or a recipe, which may be of one voice alone.
            installed: All voices that are here.

        Returns:
            None if nothing can be blended, or the name is neither.

        Raises:
            SpeechError: the recipe is malformed, or one of its voices is not here.
        """
        here = {
            voice.name: voice
            for voice in installed
            if voice.engine == BLENDING_ENGINE and voice.version is None
        }
        if not here:
            return None
        languages = {voice.name: voice.language for voice in here.values()}
        found = BlendResolver(lambda: self._book, lambda: languages).find(name)
        if found is not None:
            return self._as_voice(_made_of([here[part] for part in sorted(found.made_of)], found), found)
        own = find_name(name, here)
        return here[own] if own is not None else None


def _made_of(parts: list[Voice], blend: BlendedVoice) -> Voice:
    """The first of the voices with the files of all, and a fingerprint that changes with each of them."""
    files = dict.fromkeys(path for part in parts for path in part.files)
    prints = dict.fromkeys(part.fingerprint for part in parts)
    return replace(parts[0], files=tuple(files), fingerprint=",".join([*prints, blend.identity]))
