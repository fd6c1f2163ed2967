"""Blends as voices: stored blends, and recipes given in place of a voice's name, resolved for the engine."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from wyoming_tts.blocking import RunBlocking
from wyoming_tts.errors import SpeechError
from wyoming_tts.languages import KOKORO_LETTERS, LanguageTag
from wyoming_tts.speech import Voice
from wyoming_tts.style_tables import StyleTable
from wyoming_tts.voices.blends.mixing import Blend, BlendSet
from wyoming_tts.voices.blends.recipes import looks_like_recipe, parse_recipe
from wyoming_tts.voices.blends.store import BlendStore
from wyoming_tts.voices.catalogue import BLENDING_ENGINE
from wyoming_tts.voices.names import find_name

_LOGGER = logging.getLogger(__name__)
_NO_VOICES: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class BlendedVoice:
    """A blend to speak with; a snapshot of everything it is made of."""

    name: str
    """Name of the blend; its canonical recipe if it has none."""
    language: str
    description: str
    made_of: frozenset[str]
    """Voices of the pack."""
    identity: str
    """Changes with the sound."""
    _blend: Blend
    _book: BlendSet

    def mix(self, style: Callable[[str], StyleTable]) -> StyleTable:
        """Compute its style table from those of the pack's voices; see `BlendSet.mix`."""
        return self._book.mix(self._blend, style)


class BlendResolver:
    """Finds blends by name or recipe among those on the disk. Blocks."""

    def __init__(self, book: Callable[[], BlendSet], voices: Callable[[], Mapping[str, str]]) -> None:
        """Read nothing yet.

        Args:
            book: `BlendStore.load`.
            voices: Language tags by name of the pack's voices.
        """
        self._book = book
        self._voices = voices

    def list_voices(self, pack: Mapping[str, str] = _NO_VOICES) -> Sequence[BlendedVoice]:
        """List the stored blends whose voices all exist, sorted by name.

        Args:
            pack: Language tags by name of voices that exist besides: a pack need not be upstream's.
        """
        try:
            book = self._book()
        except SpeechError as error:
            _LOGGER.error("The blends cannot be listed: %s", error)  # noqa: TRY400  # the message suffices
            return []
        found = []
        for blend in sorted(book.blends.values(), key=lambda blend: blend.name):
            try:
                found.append(self._voice(blend.name, blend, book, pack))
            except SpeechError as error:
                _LOGGER.debug("The blend %s cannot be spoken: %s", blend.name, error)
        return found

    def find(
        self, name: str, pack: Mapping[str, str] = _NO_VOICES, language: str | None = None
    ) -> BlendedVoice | None:
        """Find the blend of that name in any case, or the one of that recipe; None if it is neither.

        Args:
            name: The name of a stored blend, or a recipe.
            pack: As for `list_voices`.
            language: The tag of the language that a recipe is to speak, if Kokoro knows it; None for that of
                its voices.

        Raises:
            BadRequest: the recipe is malformed.
            UnknownVoice: the recipe contains a voice that does not exist.
        """
        book = self._book()
        if (kept := find_name(name, book.blends)) is not None:
            return self._voice(kept, book.blends[kept], book, pack)
        if not looks_like_recipe(name):
            return None
        recipe = parse_recipe(name, (*book.blends, *pack, *self._voices()))
        blend = Blend.unnamed(recipe)
        if language is not None:
            own = book.language(blend, {**pack, **self._voices()}).tag
            blend = replace(blend, language=_spoken_language(own, language))
        return self._voice(str(recipe), blend, book, pack)

    def _voice(self, name: str, blend: Blend, book: BlendSet, pack: Mapping[str, str]) -> BlendedVoice:
        spoken = book.language(blend, {**pack, **self._voices()})
        if not spoken.is_certain:
            _LOGGER.warning("%s mixes languages and specifies none: it speaks %s.", name, spoken.tag)
        description = _describe(name, blend)
        made_of = book.pack_voices(blend)
        return BlendedVoice(name, spoken.tag, description, made_of, book.identity(blend), blend, book)


class CachedBlends:
    """The stored blends as they were last read, for callers on the event loop."""

    def __init__(
        self,
        store: BlendStore,
        *,
        run_blocking: RunBlocking,
        as_voice: Callable[[Voice, BlendedVoice], Voice],
    ) -> None:
        """Start without blends; `read` loads them.

        Args:
            store: The store of the blends.
            run_blocking: Reads the store away from the event loop.
            as_voice: Turns a voice of the blend into the voice of the blend itself, as their engine needs it.
        """
        self.store = store
        """Blocks: use it in `run_blocking`."""
        self._run_blocking = run_blocking
        self._as_voice = as_voice
        self._book = BlendSet()

    async def read(self) -> None:
        """Read the blends again; if that fails, the previous ones stay."""
        try:
            self._book = await self._run_blocking(self.store.load)
        except SpeechError as error:
            _LOGGER.error("The blends cannot be read. %s", error)  # noqa: TRY400 - the message suffices

    def is_preset(self, name: str) -> bool:
        """Whether it is a preset that is not overridden. Does no I/O."""
        preset = self.store.presets.get(name)
        return preset is not None and self._book.blends.get(name) == preset

    def title(self, name: str) -> str:
        """The name of a stored blend as people write it; empty where that is its name. Does no I/O."""
        blend = self._book.blends.get(name)
        return "" if blend is None else blend.shown_title

    def voice(self, name: str, installed: Iterable[Voice], language: str | None = None) -> Voice | None:
        """Return the voice of a blend's name or recipe. Does no I/O.

        Args:
            name: The name of a stored blend, or a recipe, which may consist of one voice alone.
            installed: All installed voices.
            language: As for `BlendResolver.find`.

        Returns:
            None if nothing can be blended, or the name is neither.

        Raises:
            SpeechError: the recipe is malformed, or one of its voices is not installed.
        """
        here = {
            voice.name: voice
            for voice in installed
            if voice.engine == BLENDING_ENGINE and voice.version is None
        }
        if not here:
            return None
        languages = {voice.name: voice.language for voice in here.values()}
        found = BlendResolver(lambda: self._book, lambda: languages).find(name, language=language)
        if found is not None:
            return self._as_voice(_combine([here[part] for part in sorted(found.made_of)], found), found)
        own = find_name(name, here)
        return here[own] if own is not None else None


def _spoken_language(own: str, wanted: str) -> str | None:
    """Kokoro's language for a tag: of the region asked for, else of the voices' own; None where it has none.

    Args:
        own: The tag of the voices' own language.
        wanted: The tag that was asked for.
    """
    tag = LanguageTag.parse(wanted)
    spoken = [
        each for each in (own, *KOKORO_LETTERS.values()) if LanguageTag.parse(each).is_same_language(tag)
    ]
    return min(spoken, key=lambda each: LanguageTag.parse(each).differs_in_region(tag), default=None)


def _describe(name: str, blend: Blend) -> str:
    """How clients such as Home Assistant list a blend: its name, then what is said of it."""
    if name == str(blend.recipe):
        return f"{name} (Kokoro blend)"
    title = blend.shown_title
    shown = title or name[:1].upper() + name[1:].replace("_", " ")
    if blend.description and blend.description != title:
        return f"{shown}: {blend.description}"
    return title or f"{shown} (Kokoro blend)"


def _combine(parts: list[Voice], blend: BlendedVoice) -> Voice:
    """The first of the voices with the files of all, and a fingerprint that covers each of them."""
    files = dict.fromkeys(path for part in parts for path in part.files)
    prints = dict.fromkeys(part.fingerprint for part in parts)
    return replace(parts[0], files=tuple(files), fingerprint=",".join([*prints, blend.identity]))
