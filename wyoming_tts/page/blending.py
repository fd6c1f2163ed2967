"""The Blend tab's work: Kokoro voices mixed, kept, and handed on.

What is mixed lives in the browser until it is kept. So each answer is about a whole recipe, and whoever
keeps an edit says what it was an edit of: somebody else may have changed the blend meanwhile.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from wyoming_tts.assembly.parts import Parts
from wyoming_tts.engines.kokoro.names import BY_TAG, named_language, named_languages
from wyoming_tts.errors import BadRequest, TooLong, UnknownVoice, VoiceUnavailable
from wyoming_tts.page.blending_view import (
    BlendingView,
    Draft,
    KeptVoice,
    KokoroState,
    MixableKind,
    MixableVoice,
    ReadRecipe,
    RecipePart,
)
from wyoming_tts.page.sample_sentences import sample_sentence
from wyoming_tts.speech import Voice
from wyoming_tts.voices.blends.mixing import Blend, BlendSet
from wyoming_tts.voices.blends.recipes import check_name, parse_recipe
from wyoming_tts.voices.catalogue import BLENDING_ENGINE
from wyoming_tts.voices.names import check_name_is_free
from wyoming_tts.voices.style_files import MAX_BYTES
from wyoming_tts.voices.styles import STYLES_DIRECTORY, ImportedStyles, load_style_table

MOST_VOICES = 6
"""Of one recipe: more sliders than that nobody can tell apart by ear."""
MODEL_VOICE = "af_heart"
"""The voice whose files are the model and the pack of all voices."""
_PATIENCE = 2.0
"""Seconds a request waits for the model: so often the page tells how far it has come."""


class BlendService:
    """Reads, keeps and changes blends for the page, and tells of them."""

    def __init__(self, parts: Parts, fetch: Callable[[str], Awaitable[bool]]) -> None:
        """Touch nothing yet.

        Args:
            parts: Of the server.
            fetch: Has a voice of the catalogue fetched, by name, and tells whether it is here then. What it
                fetches goes on when it is cancelled: the browser asks again.
        """
        self._parts = parts
        self._fetch = fetch
        self.run_blocking = parts.workers.run_blocking
        """For who encodes its answers."""
        self._store = parts.blends.store
        self._styles = ImportedStyles(parts.settings.data_dir[0] / STYLES_DIRECTORY)

    # -- to look at ---------------------------------------------------------------------------------

    async def shelf(self) -> BlendingView:
        """Tell what can be mixed and what is kept, as it is on the disk now."""
        shelf = await self.run_blocking(self._shelf)
        return replace(shelf, fetched_bytes=self._fetched_bytes())

    async def read(self, recipe: str) -> ReadRecipe:
        """Understand a recipe, in any of the ways people write them.

        Raises:
            BadRequest: it is malformed, or mixes more than MOST_VOICES.
            UnknownVoice: it names a voice that is not here.
        """
        read = parse_recipe(recipe)
        if len(read.parts) > MOST_VOICES:
            raise TooLong(
                f"The recipe has {len(read.parts)} voices, expected at most {MOST_VOICES}.",
                hint="Keep some of them as a blend, and mix that.",
            )
        here = {voice.name: voice.language for voice in self._kokoro_voices()}
        spoken = BlendSet().language(Blend.unnamed(read), here)
        return ReadRecipe(
            str(read),
            tuple(RecipePart(part.voice, float(part.weight)) for part in read.parts),
            spoken.tag,
            tuple(sorted({here[name] for name in read.voices})),
        )

    # -- to keep ------------------------------------------------------------------------------------

    async def keep(self, draft: Draft, expected: Draft | None = None) -> BlendingView:
        """Keep a new blend, or put an edited one in the place of what it was when the edit began.

        Raises:
            SpeechError: as by `BlendStore.add` and `BlendStore.replace`; nothing was changed.
        """
        await self.read(draft.recipe)
        blend = draft.blend()
        if expected is None:
            return await self._changed(partial(self._store.add, blend))
        return await self._changed(partial(self._store.replace, blend, expected=expected.blend()))

    async def rename(self, old: str, new: str) -> BlendingView:
        """Give a blend another name, also in the recipes that use it.

        Raises:
            SpeechError: as by `BlendStore.rename`; nothing was changed.
        """
        return await self._changed(partial(self._store.rename, old, new))

    async def duplicate(self, name: str, new: str) -> BlendingView:
        """Keep a copy under another name.

        Raises:
            SpeechError: as by `BlendStore.duplicate`; nothing was changed.
        """
        return await self._changed(partial(self._store.duplicate, name, new))

    async def remove(self, name: str) -> BlendingView:
        """Remove a blend or an imported voice.

        Raises:
            SpeechError: it is a preset or used by others, or cannot be deleted; nothing was changed.
        """
        return await self._changed(partial(self._remove, name))

    # -- to hand on ---------------------------------------------------------------------------------

    async def take_in(self, name: str, file_name: str, content: AsyncIterable[bytes]) -> BlendingView:
        """Import a voice's file as it comes in; only a style table is ever read from it.

        Args:
            name: Of the voice.
            file_name: Its suffix tells the form: `.npy`, `.pt` or `.bin`.
            content: In pieces of any size.

        Raises:
            BadRequest: the name is taken or is none, or the file is too large or holds something else.
            VoiceUnavailable: it cannot be written.
        """
        await self.run_blocking(partial(self._check_free, name))
        directory = await self.run_blocking(partial(TemporaryDirectory, prefix="voice-"))
        path = Path(directory.name) / f"{name}{Path(file_name).suffix.lower()}"
        try:
            await self._received(path, content)
            return await self._changed(partial(self._styles.add, name, path))
        finally:
            await asyncio.shield(self.run_blocking(directory.cleanup))

    async def export(self, name: str) -> bytes:
        """Return the style table of a blend, a recipe or a voice as the content of a `.npy` file.

        Raises:
            UnknownVoice: nothing has that name.
            VoiceUnavailable: Kokoro's files are not here, or cannot be read.
        """
        return await self.run_blocking(partial(self._exported, name))

    async def fetch_model(self) -> BlendingView:
        """Have Kokoro fetched, and wait for it for a while: who sees that it is not here yet asks again.

        Raises:
            VoiceUnavailable: it cannot be fetched.
        """
        try:
            async with asyncio.timeout(_PATIENCE):
                is_here = await self._fetch(MODEL_VOICE)
        except TimeoutError:
            return await self.shelf()
        if not is_here:
            raise VoiceUnavailable(
                "The Kokoro model could not be fetched.",
                hint="Look whether the server reaches the internet and its disk has room; its log says more.",
            )
        return await self.shelf()

    # -- on a worker --------------------------------------------------------------------------------

    async def _changed(self, change: Callable[[], object]) -> BlendingView:
        await self.run_blocking(change)
        await self._parts.refresh_voices()
        return await self.shelf()

    def _shelf(self) -> BlendingView:
        voices = tuple(self._kokoro_voices())
        book, imported = self._store.load(), self._styles.names()
        state = self._state(voices)
        model = self._parts.library.names.find_in_catalogue(MODEL_VOICE)
        speaking = {voice.name for voice in voices}
        languages = self._languages(voices, imported)
        blends = sorted(book.blends.values(), key=lambda blend: blend.name)
        kept = [self._kept(blend, book, languages, speaking) for blend in blends]
        return BlendingView(
            kokoro=state,
            model_bytes=model.size if model and state is not KokoroState.READY else None,
            fetched_bytes=None,
            voices=tuple(self._mixable(voice, imported) for voice in voices),
            kept=(*kept, *(_imported(name, speaking) for name in imported)),
            samples={tag: sample_sentence(tag) for tag in BY_TAG},
        )

    def _languages(self, voices: Iterable[Voice], imported: Iterable[str]) -> dict[str, str]:
        """Of the voices that can be mixed, by name, whether they are here or not."""
        here = {voice.name: voice.language for voice in voices if voice.version is None}
        return self._parts.known.blendable_languages() | here | named_languages(imported)

    def _state(self, voices: tuple[Voice, ...]) -> KokoroState:
        settings = self._parts.settings
        if voices:
            return KokoroState.READY
        if BLENDING_ENGINE not in self._parts.engines or settings.engine not in {"auto", BLENDING_ENGINE}:
            return KokoroState.UNUSED
        return KokoroState.OFFLINE if settings.offline else KokoroState.ABSENT

    def _fetched_bytes(self) -> int | None:
        fetching = self._parts.downloads
        if not fetching.is_downloading(MODEL_VOICE):
            return None
        return next((each.received for each in fetching.status() if each.voice == MODEL_VOICE), None)

    def _kokoro_voices(self) -> Iterable[Voice]:
        return (voice for voice in self._parts.library.voices if voice.engine == BLENDING_ENGINE)

    def _mixable(self, voice: Voice, imported: Iterable[str]) -> MixableVoice:
        if voice.version is None:
            kind = MixableKind.IMPORTED if voice.name in imported else MixableKind.PACK
        else:
            kind = self._kind(voice.name)
        return MixableVoice(voice.name, voice.language, voice.description, kind)

    def _kind(self, name: str) -> MixableKind:
        return MixableKind.PRESET if self._store.is_preset(name) else MixableKind.OWN

    def _kept(
        self, blend: Blend, book: BlendSet, languages: Mapping[str, str], speaking: Iterable[str]
    ) -> KeptVoice:
        try:
            language = book.language(blend, languages).tag
        except UnknownVoice:
            language = ""  # edited by hand, and naming a voice that is not there
        return KeptVoice(_draft(blend), self._kind(blend.name), language, blend.name in speaking)

    def _remove(self, name: str) -> None:
        if name not in self._styles.names():
            self._store.remove(name)
            return
        self._styles.remove(name, users=self._store.load().users(name))

    def _check_free(self, name: str) -> None:
        check_name(name)
        others = (*self._parts.known.blendable_languages(), *self._store.load().blends, *self._styles.names())
        here = (voice.name for voice in self._kokoro_voices())
        check_name_is_free(name, (*others, *here))

    async def _received(self, path: Path, content: AsyncIterable[bytes]) -> None:
        size = 0
        async for piece in content:
            size += len(piece)
            if size > MAX_BYTES:
                raise TooLong(f"The file has more than {MAX_BYTES} bytes.", hint="A Kokoro voice has 523 kB.")
            await self.run_blocking(partial(_append, path, piece))
        if not size:
            raise BadRequest("The file is empty.")

    def _exported(self, name: str) -> bytes:
        languages = self._languages(self._kokoro_voices(), self._styles.names())
        table = load_style_table(
            name, self._store.load(), voices=languages, imported=self._styles, pack=self._pack
        )
        content = io.BytesIO()
        np.save(content, table, allow_pickle=False)
        return content.getvalue()

    def _pack(self) -> Path:
        voice = next(iter(self._kokoro_voices()), None)
        if voice is None:
            raise VoiceUnavailable(
                "Kokoro is not installed: there is nothing to mix.", hint="Download it first."
            )
        return voice.files[1]


def _draft(blend: Blend) -> Draft:
    return Draft(
        blend.name,
        str(blend.recipe),
        blend.language,
        blend.description,
        spherical=blend.spherical,
        normalized=blend.normalized,
    )


def _imported(name: str, speaking: Iterable[str]) -> KeptVoice:
    language = named_language(name).tag
    return KeptVoice(Draft(name, name), MixableKind.IMPORTED, language, name in speaking)


def _append(path: Path, piece: bytes) -> None:
    with path.open("ab") as file:
        file.write(piece)
