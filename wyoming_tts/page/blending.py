"""The Blend tab's service: Kokoro voices are mixed, saved, imported and exported.

A mix lives in the browser until it is saved. So each answer is about a whole recipe, and whoever saves an
edit says which state the edit started from: somebody else may have changed the blend in the meantime.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from wyoming_tts.assembly.chosen_default import keep_chosen_default
from wyoming_tts.assembly.parts import Parts
from wyoming_tts.engines.kokoro.names import BY_TAG, named_language, named_languages
from wyoming_tts.errors import BadRequest, TooLong, UnknownVoice, VoiceUnavailable
from wyoming_tts.messages import Message
from wyoming_tts.page.pack_map import MappedVoice, PackMap
from wyoming_tts.page.sample_sentences import sample_sentence
from wyoming_tts.speech import Voice
from wyoming_tts.voices.blends.mixing import Blend, BlendSet
from wyoming_tts.voices.blends.recipes import check_name, parse_recipe
from wyoming_tts.voices.catalogue import BLENDING_ENGINE
from wyoming_tts.voices.names import check_name_is_free
from wyoming_tts.voices.style_files import MAX_BYTES
from wyoming_tts.voices.styles import STYLES_DIRECTORY, ImportedStyles, load_style_table

MAX_VOICES = 6
"""Voices in one recipe; nobody can tell more of them apart by ear."""
MODEL_VOICE = "af_heart"
"""The voice whose download brings the model and the pack with all voices."""


class KokoroState(StrEnum):
    """Whether Kokoro voices can be mixed."""

    READY = "ready"
    ABSENT = "absent"
    """Not installed; the files can be downloaded."""
    OFFLINE = "offline"
    """Not installed, and the server is set to be offline."""
    UNUSED = "unused"
    """The server is set to use other engines only."""


class VoiceOrigin(StrEnum):
    """Where a mixable voice comes from."""

    PACK = "pack"
    IMPORTED = "imported"
    PRESET = "preset"
    OWN = "own"


@dataclass(frozen=True, slots=True)
class MixableVoice:
    """A voice that a row of the mixer can use."""

    name: str
    language: str
    description: str
    kind: VoiceOrigin


@dataclass(frozen=True, slots=True)
class BlendDraft:
    """A blend as edited in the browser, or as it was when the edit began."""

    name: str
    recipe: str
    language: str | None = None
    """The language to speak when the mixed voices have several; None when they share one."""
    description: str = ""
    spherical: bool = False
    normalized: bool = True
    title: str = ""
    """The name as people write it; empty where that is `name`."""

    def blend(self) -> Blend:
        """Return it in the form in which it is stored.

        Raises:
            BadRequest: the recipe or another field is malformed.
        """
        return Blend(
            self.name,
            parse_recipe(self.recipe),
            language=self.language or None,
            description=self.description.strip(),
            spherical=self.spherical,
            normalized=self.normalized,
            title=self.title.strip(),
        )


@dataclass(frozen=True, slots=True)
class SavedVoice:
    """A row of the list: a blend of the user's own, a preset or an imported voice."""

    draft: BlendDraft
    title: str
    """Its name as people write it, also in a file of former versions; empty where that is its name."""
    kind: VoiceOrigin
    language: str
    """The language it speaks; empty if one of its voices is unknown."""
    can_speak: bool
    missing: tuple[str, ...]
    """The voices that it needs and that are not installed."""
    fetch: str
    """The voice of the catalogue whose download brings them; empty if none does."""


@dataclass(frozen=True, slots=True)
class BlendingView:
    """The state of the tab: which voices can be mixed and which blends are saved."""

    kokoro: KokoroState
    model_bytes: int | None
    """Size of the download; None when Kokoro is installed."""
    model_voice: str
    """The voice of the catalogue whose download brings the model."""
    voices: tuple[MixableVoice, ...]
    kept: tuple[SavedVoice, ...]
    samples: Mapping[str, str]
    """A sample sentence by language, to try a mix with."""


@dataclass(frozen=True, slots=True)
class RecipePart:
    """One voice of a recipe with its weight: a row of the mixer."""

    voice: str
    weight: float


@dataclass(frozen=True, slots=True)
class ParsedRecipe:
    """A parsed recipe and the languages of its voices."""

    recipe: str
    """Its canonical form."""
    parts: tuple[RecipePart, ...]
    language: str
    """The language it speaks if none is chosen."""
    languages: tuple[str, ...]
    """Languages of its voices; with more than one, one has to be chosen."""


class BlendService:
    """Lists, parses, saves and changes blends for the page."""

    def __init__(self, parts: Parts) -> None:
        """Store what is needed; no file is touched yet."""
        self._parts = parts
        self.run_blocking = parts.workers.run_blocking
        """Also used by `blend_routes`, to encode large answers."""
        self._store = parts.blends.store
        self._styles = ImportedStyles(parts.settings.data_dir[0] / STYLES_DIRECTORY)
        self._map = PackMap()

    async def view(self) -> BlendingView:
        """Return which voices can be mixed and which blends are saved, read from disk."""
        return await self.run_blocking(self._read_view)

    async def map(self) -> tuple[MappedVoice, ...]:
        """Return where the voices of the pack and the imported ones lie, of those that can speak.

        Raises:
            SpeechError: Kokoro is not installed, or a file of its voices cannot be read.
        """
        return await self.run_blocking(self._read_map)

    async def parse(self, recipe: str) -> ParsedRecipe:
        """Parse a recipe in any of the notations that people use.

        Raises:
            BadRequest: it is malformed, or has more than MAX_VOICES voices.
            UnknownVoice: it names a voice that is not installed.
        """
        languages = {voice.name: voice.language for voice in self._kokoro_voices()}
        parsed = parse_recipe(recipe, languages)
        if len(parsed.parts) > MAX_VOICES:
            raise TooLong(
                Message(
                    "too_many_voices",
                    "The recipe has {count} voices, expected at most {most}.",
                    count=len(parsed.parts),
                    most=MAX_VOICES,
                ),
                hint=Message("save_some", "Save some of them as a blend, and mix that."),
            )
        spoken = BlendSet().language(Blend.unnamed(parsed), languages)
        return ParsedRecipe(
            str(parsed),
            tuple(RecipePart(part.voice, float(part.weight)) for part in parsed.parts),
            spoken.tag,
            tuple(sorted({languages[name] for name in parsed.voices})),
        )

    async def save(self, draft: BlendDraft, expected: BlendDraft | None = None) -> BlendingView:
        """Save a new blend, or replace one that is still as it was when the edit began.

        Raises:
            SpeechError: as for `BlendStore.add` and `BlendStore.replace`; nothing was changed.
        """
        await self.parse(draft.recipe)
        blend = draft.blend()
        if expected is None:
            return await self._apply(partial(self._store.add, blend))
        return await self._apply(partial(self._store.replace, blend, expected=expected.blend()))

    async def rename(self, old: str, new: str, title: str = "") -> BlendingView:
        """Give a blend another name, also in the recipes that use it; the default voice stays the default.

        Raises:
            SpeechError: as for `BlendStore.rename`, when nothing was changed; or it is the default voice,
                which could not be kept.
        """
        default = self._parts.library.default
        view = await self._apply(partial(self._store.rename, old, new, title.strip()))
        if default.name == old:
            self._parts.library.choose_default(replace(default, name=new))
            await self.run_blocking(partial(keep_chosen_default, self._parts.settings, new))
        return view

    async def duplicate(self, name: str, new: str, title: str = "") -> BlendingView:
        """Save a copy under another name.

        Raises:
            SpeechError: as for `BlendStore.duplicate`; nothing was changed.
        """
        return await self._apply(partial(self._store.duplicate, name, new, title.strip()))

    async def remove(self, name: str) -> BlendingView:
        """Remove a blend or an imported voice.

        Raises:
            SpeechError: it is a preset, is part of another blend or cannot be deleted; nothing was changed.
        """
        return await self._apply(partial(self._remove, name))

    async def import_voice(self, name: str, file_name: str, content: AsyncIterable[bytes]) -> BlendingView:
        """Import a voice file as it is received; only a style table is ever read from it.

        Args:
            name: The name of the new voice.
            file_name: Its suffix gives the format: `.npy`, `.pt` or `.bin`.
            content: The bytes of the file, in pieces of any size.

        Raises:
            BadRequest: the name is taken or invalid, or the file is too large or not a style table.
            VoiceUnavailable: the file cannot be written.
        """
        await self.run_blocking(partial(self._check_free, name))
        directory = await self.run_blocking(partial(TemporaryDirectory, prefix="voice-"))
        path = Path(directory.name) / f"{name}{Path(file_name).suffix.lower()}"
        try:
            await self._receive(path, content)
            return await self._apply(partial(self._styles.add, name, path))
        finally:
            await asyncio.shield(self.run_blocking(directory.cleanup))

    async def export(self, name: str) -> bytes:
        """Return the style table of a blend, a recipe or a voice as the content of a `.npy` file.

        Raises:
            UnknownVoice: no blend or voice has that name.
            VoiceUnavailable: Kokoro's files are not installed or cannot be read.
        """
        return await self.run_blocking(partial(self._export, name))

    def title(self, name: str) -> str:
        """Return the name of a blend as people write it; empty where that is its name. Does no I/O."""
        return self._parts.blends.title(name)

    async def _apply(self, change: Callable[[], object]) -> BlendingView:
        await self.run_blocking(change)
        await self._parts.refresh_voices()
        return await self.view()

    def _read_view(self) -> BlendingView:
        voices = tuple(self._kokoro_voices())
        book, imported = self._store.load(), self._styles.names()
        state = self._state(voices)
        model = self._parts.library.names.find_in_catalogue(MODEL_VOICE)
        installed = {voice.name for voice in voices}
        languages = self._languages(voices, imported)
        blends = sorted(book.blends.values(), key=lambda blend: blend.name)
        kept = [self._saved(blend, book, languages, installed) for blend in blends]
        return BlendingView(
            kokoro=state,
            model_bytes=model.size if model and state is not KokoroState.READY else None,
            model_voice=MODEL_VOICE,
            voices=tuple(self._mixable(voice, imported) for voice in voices),
            kept=(*kept, *(_imported(name, installed) for name in imported)),
            samples={tag: sample_sentence(tag) for tag in BY_TAG},
        )

    def _languages(self, voices: Iterable[Voice], imported: Iterable[str]) -> dict[str, str]:
        """Map each mixable voice, installed or not, to its language."""
        installed = {voice.name: voice.language for voice in voices if voice.version is None}
        return self._parts.catalogue.blendable_languages() | installed | named_languages(imported)

    def _state(self, voices: tuple[Voice, ...]) -> KokoroState:
        if voices:
            return KokoroState.READY
        if not self._uses_kokoro():
            return KokoroState.UNUSED
        return KokoroState.OFFLINE if self._parts.settings.offline else KokoroState.ABSENT

    def _kokoro_voices(self) -> Iterable[Voice]:
        return (voice for voice in self._parts.library.blendable if voice.engine == BLENDING_ENGINE)

    def _mixable(self, voice: Voice, imported: Iterable[str]) -> MixableVoice:
        if voice.version is None:
            kind = VoiceOrigin.IMPORTED if voice.name in imported else VoiceOrigin.PACK
        else:
            kind = self._kind(voice.name)
        return MixableVoice(voice.name, voice.language, voice.description, kind)

    def _kind(self, name: str) -> VoiceOrigin:
        return VoiceOrigin.PRESET if self._store.is_preset(name) else VoiceOrigin.OWN

    def _saved(
        self, blend: Blend, book: BlendSet, languages: Mapping[str, str], installed: Iterable[str]
    ) -> SavedVoice:
        try:
            language = book.language(blend, languages).tag
        except UnknownVoice:
            language = ""  # the file was edited by hand and names a voice that does not exist
        can_speak = blend.name in installed
        missing = sorted(book.pack_voices(blend) - {*installed})
        fetch = self._fetchable(missing, installed)
        return SavedVoice(
            _draft(blend),
            blend.shown_title,
            self._kind(blend.name),
            language,
            can_speak,
            tuple(missing),
            fetch,
        )

    def _fetchable(self, missing: list[str], installed: Iterable[str]) -> str:
        """The voice to download for those that are missing: the same for all, as they come in one pack."""
        listed = self._parts.catalogue.blendable_languages()
        can_fetch = not self._parts.settings.offline and self._uses_kokoro() and set(missing) <= listed.keys()
        if not missing or not can_fetch:
            return ""
        return missing[0] if MODEL_VOICE in installed else MODEL_VOICE

    def _uses_kokoro(self) -> bool:
        is_chosen = self._parts.settings.engine in {"auto", BLENDING_ENGINE}
        return is_chosen and BLENDING_ENGINE in self._parts.engines

    def _remove(self, name: str) -> None:
        if name not in self._styles.names():
            self._store.remove(name)
            return
        self._styles.remove(name, users=self._store.load().users(name))

    def _check_free(self, name: str) -> None:
        check_name(name)
        others = (
            *self._parts.catalogue.blendable_languages(),
            *self._store.load().blends,
            *self._styles.names(),
        )
        installed = (voice.name for voice in self._kokoro_voices())
        check_name_is_free(name, (*others, *installed))

    async def _receive(self, path: Path, content: AsyncIterable[bytes]) -> None:
        size = 0
        async for piece in content:
            size += len(piece)
            if size > MAX_BYTES:
                raise TooLong(
                    Message("style_too_large", "The file has more than {most} bytes.", most=MAX_BYTES),
                    hint=Message("one_style", "Choose the file of a single Kokoro voice, which has 523 kB."),
                )
            await self.run_blocking(partial(_append, path, piece))
        if not size:
            raise BadRequest(Message("file_empty", "The file is empty."))

    def _export(self, name: str) -> bytes:
        languages = self._languages(self._kokoro_voices(), self._styles.names())
        table = load_style_table(
            name, self._store.load(), voices=languages, imported=self._styles, pack=self._pack_path
        )
        content = io.BytesIO()
        np.save(content, table, allow_pickle=False)
        return content.getvalue()

    def _read_map(self) -> tuple[MappedVoice, ...]:
        speaking = {
            voice.name: voice.language
            for voice in self._parts.library.voices
            if voice.engine == BLENDING_ENGINE and voice.version is None
        }
        imported = {name: self._styles.path(name) for name in self._styles.names() if name in speaking}
        return self._map.read(self._pack_path(), imported, speaking)

    def _pack_path(self) -> Path:
        voice = next(iter(self._kokoro_voices()), None)
        if voice is None:
            raise VoiceUnavailable(
                Message("no_kokoro", "Kokoro is not installed, so there is nothing to mix."),
                hint=Message("download_first", "Download it first."),
            )
        return voice.files[1]


def _draft(blend: Blend) -> BlendDraft:
    return BlendDraft(
        blend.name,
        str(blend.recipe),
        blend.language,
        blend.description,
        spherical=blend.spherical,
        normalized=blend.normalized,
        title=blend.title,
    )


def _imported(name: str, installed: Iterable[str]) -> SavedVoice:
    language = named_language(name).tag
    can_speak = name in installed
    return SavedVoice(
        BlendDraft(name, name), "", VoiceOrigin.IMPORTED, language, can_speak, missing=(), fetch=""
    )


def _append(path: Path, piece: bytes) -> None:
    with path.open("ab") as file:
        file.write(piece)
