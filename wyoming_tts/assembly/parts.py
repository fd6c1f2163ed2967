"""Composition root: makes all parts of speech synthesis from the settings and connects them.

Engines are discovered through their entry points and import their libraries only when needed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from urllib.parse import urlsplit

from wyoming_tts.admission import Admission
from wyoming_tts.assembly.bucket import make_bucket_sync
from wyoming_tts.assembly.chosen_default import ChosenDefaultFile, settings_name_a_voice
from wyoming_tts.assembly.options import (
    MEGABYTE,
    admission_options,
    compute_threads,
    engine_options,
    intra_op_threads,
    synthesis_options,
    voice_map,
)
from wyoming_tts.cache import SegmentCache, SharedTier, Store
from wyoming_tts.engines.base import ENTRY_POINT_GROUP, REMOTE_ENGINE, Engine, EngineOptions
from wyoming_tts.engines.kokoro.names import named_languages
from wyoming_tts.engines.model_cache import ModelCache
from wyoming_tts.engines.remote.engine import RemoteEngine
from wyoming_tts.known_files import KnownFiles
from wyoming_tts.scheduler import Lookahead, Scheduler
from wyoming_tts.settings import Settings, SettingsError
from wyoming_tts.speech import UtteranceRecord, Voice
from wyoming_tts.synthesis import CostModel, Synthesizer
from wyoming_tts.telemetry import log_record
from wyoming_tts.text.lexicon.hot_reload import FILE_NAME as LEXICON_NAME
from wyoming_tts.text.lexicon.hot_reload import LexiconFiles
from wyoming_tts.text.normalization import NormalizerRegistry, load_user_entries
from wyoming_tts.text.pronunciation import DefaultPronunciations, load_pronunciations
from wyoming_tts.voices.blends.store import BlendStore
from wyoming_tts.voices.blends.voices import BlendedVoice, BlendResolver, CachedBlends
from wyoming_tts.voices.blends.yaml_format import load_presets
from wyoming_tts.voices.bucket.sync import BucketSync
from wyoming_tts.voices.catalogue import BLENDING_ENGINE, INDEX_NAME, CurrentCatalogue, data_directory
from wyoming_tts.voices.content import VoiceContents
from wyoming_tts.voices.download.service import DownloadService
from wyoming_tts.voices.library import DefaultVoice, VoiceLibrary
from wyoming_tts.voices.listing import list_installed_voices, list_unusable_voices
from wyoming_tts.voices.names import NameRules
from wyoming_tts.voices.styles import STYLES_DIRECTORY, ImportedStyles
from wyoming_tts.workers import Workers

_LOGGER = logging.getLogger(__name__)

EMBEDDED_ENGINE = "espeak"
_DEFAULT_VOICES = {BLENDING_ENGINE: "af_heart", EMBEDDED_ENGINE: "espeak-en-us"}
"""The default voice when only the engine was chosen."""


@dataclass(slots=True)
class Readiness:
    """Whether the default voice, or its stand-in, is warmed up."""

    is_ready: bool = False
    failure: str = ""
    """Why it could not be the last time."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of speech synthesis, shared by all transports and commands."""

    settings: Settings
    workers: Workers
    engines: Mapping[str, Engine]
    catalogue: CurrentCatalogue
    library: VoiceLibrary
    loaded: ModelCache
    admission: Admission
    cache: SegmentCache
    costs: CostModel
    lexicon: LexiconFiles
    blends: CachedBlends
    contents: VoiceContents
    synthesizer: Synthesizer
    known: KnownFiles
    chosen_default: ChosenDefaultFile
    names_default: bool
    """Whether the settings name the default voice, so that another one lasts until the next start."""
    bucket: BucketSync | None = None
    """The sync with a bucket; None if none is configured."""
    readiness: Readiness = field(default_factory=Readiness)
    refreshing: asyncio.Lock = field(default_factory=asyncio.Lock)
    downloads: DownloadService = field(default_factory=DownloadService)

    @property
    def unreadable(self) -> Mapping[Path, str]:
        """The directories and files that could not be read when last tried, each with the reason."""
        return {**self.known.troubles, **self.chosen_default.troubles}

    @property
    def remote(self) -> RemoteEngine | None:
        """The engine that uses other servers; None if none is configured."""
        engine = self.engines.get(REMOTE_ENGINE)
        return engine if isinstance(engine, RemoteEngine) and self.settings.remote else None

    async def refresh_remote_voices(self) -> None:
        """Ask other servers once which voices they have, for commands; a server polls them instead."""
        if self.remote is not None:
            await self.remote.probe(self.workers.run_blocking)
            await self.refresh_voices()

    async def refresh_voices(self) -> None:
        """List the installed voices again, and evict models whose files have changed.

        A default voice that another server on the same data directory has chosen is taken over, too.
        """
        async with self.refreshing:  # otherwise an older listing could overwrite a newer one
            await self.blends.read()
            if choice := await self.workers.run_blocking(self.chosen_default.read_change):
                self.library.choose_default(choice.voice)
            # Of voices with the same name the first wins: local engines come before remote ones.
            engines = sorted(self.engines.values(), key=lambda engine: engine.name == REMOTE_ENGINE)
            look = partial(list_installed_voices, engines, known=self.known, before=self.library.voices)
            voices = await self.workers.run_blocking(look)
            unusable = await self.workers.run_blocking(partial(list_unusable_voices, engines, self.known))
            self.library.replace(
                filter(self._is_enabled, voices), (each for each in unusable if self._is_enabled(each.voice))
            )
            self.loaded.evict_outdated(voices)

    def _is_enabled(self, voice: Voice) -> bool:
        enabled = {EMBEDDED_ENGINE, REMOTE_ENGINE, self.settings.engine}
        return self.settings.engine == "auto" or voice.engine in enabled


def make_workers(settings: Settings, lookahead: Lookahead | None = None) -> Workers:
    """Start the worker threads; the caller closes them after everything that uses them."""
    scheduler = Scheduler(
        slots=compute_threads(settings), multicore_slots=intra_op_threads(settings), lookahead=lookahead
    )
    return Workers(scheduler, step_seconds=settings.step_timeout)


@asynccontextmanager
async def open_workers(settings: Settings, lookahead: Lookahead | None = None) -> AsyncIterator[Workers]:
    """Run worker threads for the duration of a block."""
    workers = make_workers(settings, lookahead)
    try:
        yield workers
    finally:
        await workers.close()


@asynccontextmanager
async def assemble(
    settings: Settings,
    workers: Workers,
    *,
    on_record: Callable[[UtteranceRecord], None] = log_record,
    on_loaded: Callable[[str, float], None] = lambda _engine, _seconds: None,
) -> AsyncIterator[Parts]:
    """Make the parts; leaving the block frees their models.

    Args:
        settings: All settings.
        workers: Closed by the caller, after this block.
        on_record: Called with the record of each finished utterance.
        on_loaded: Called with each loaded model, as by `ModelCache`.

    Raises:
        SettingsError: the chosen engine is not installed.
    """
    names_default = settings_name_a_voice(settings)
    settings = await workers.run_blocking(partial(_with_voice_by_name, settings))
    bucket = make_bucket_sync(settings, workers.run_blocking)
    catalogue = CurrentCatalogue(settings.download_dir / INDEX_NAME, workers.run_blocking)
    await catalogue.read()
    known = KnownFiles()
    styles = ImportedStyles(settings.data_dir[0] / STYLES_DIRECTORY, known)
    blendable = partial(_blendable_languages, catalogue, styles)
    store = await workers.run_blocking(
        partial(_make_blend_store, settings, lambda: _installed_languages(library) | blendable(), known)
    )
    blends = CachedBlends(store, run_blocking=workers.run_blocking, as_voice=_as_voice)
    options = replace(
        engine_options(settings, workers),
        kokoro_blends=BlendResolver(store.load, blendable),
        kokoro_styles=styles,
        files=known,
    )
    engines = await workers.run_blocking(partial(_make_required_engines, settings, options))
    library: VoiceLibrary = _make_library(settings, catalogue, blends)
    loaded = ModelCache(
        engines,
        run_blocking=workers.run_blocking,
        capacity=settings.max_loaded_voices,
        memory_bytes=settings.max_model_memory * MEGABYTE or None,
        on_loaded=on_loaded,
    )
    cache, contents = _make_cache(settings, workers), VoiceContents(workers.run_blocking)
    admission = Admission(admission_options(settings), workers.scheduler)
    costs = CostModel(slots=workers.scheduler.slots, capacity=workers.scheduler.capacity)
    lexicon = LexiconFiles((directory / LEXICON_NAME for directory in settings.data_dir), known)
    await workers.run_blocking(lexicon.refresh)
    user_entries = await workers.run_blocking(partial(load_user_entries, settings.data_dir))
    synthesizer = Synthesizer(
        library=library,
        loaded=loaded,
        workers=workers,
        admission=admission,
        cache=cache,
        content=contents.identity if settings.cache_url else _unknown_content,
        costs=costs,
        options=synthesis_options(settings),
        languages=NormalizerRegistry(user_entries) if settings.spoken_forms else None,
        lexicon=lexicon.current,
        pronunciations=_pronunciations if settings.spoken_forms else None,
        on_record=on_record,
        lookahead=workers.scheduler.lookahead,
        hops=lambda utterance: utterance.hops,
    )
    parts = Parts(
        settings=settings,
        workers=workers,
        engines=engines,
        catalogue=catalogue,
        library=library,
        loaded=loaded,
        admission=admission,
        cache=cache,
        costs=costs,
        lexicon=lexicon,
        blends=blends,
        contents=contents,
        synthesizer=synthesizer,
        known=known,
        chosen_default=ChosenDefaultFile(settings, known),
        names_default=names_default,
        bucket=bucket,
    )
    await parts.refresh_voices()
    async with _closing(parts):
        yield parts


@asynccontextmanager
async def _closing(parts: Parts) -> AsyncIterator[None]:
    try:
        async with (
            parts.cache,
            parts.synthesizer.loading,
            _unloading_idle_models(parts.loaded, parts.settings.unload_after),
        ):
            yield
    finally:
        await parts.contents.aclose()
        parts.loaded.close()
        if parts.remote is not None:
            await parts.remote.aclose()


@asynccontextmanager
async def _unloading_idle_models(loaded: ModelCache, after: float) -> AsyncIterator[None]:
    if not after:
        yield
        return
    unloading = asyncio.create_task(loaded.unload_idle(after))
    try:
        yield
    finally:
        unloading.cancel()
        await asyncio.wait([unloading])


def _make_required_engines(settings: Settings, options: EngineOptions) -> dict[str, Engine]:
    engines = make_engines(options)
    if settings.engine not in {"auto", *engines}:
        installed = ", ".join(["auto", *sorted(engines)])
        raise SettingsError(f"engine: got {settings.engine!r}, expected one that is installed: {installed}")
    return engines


def _pronunciations(voice: Voice) -> DefaultPronunciations | None:
    """The default pronunciations for a voice; none for another server's, which reads the text by its own."""
    return None if voice.engine == REMOTE_ENGINE else load_pronunciations(voice.language)


def _make_library(settings: Settings, catalogue: CurrentCatalogue, blends: CachedBlends) -> VoiceLibrary:
    library = VoiceLibrary(
        default=DefaultVoice(settings.voice, settings.speaker),
        embedded_engine=EMBEDDED_ENGINE,
        catalogue=lambda: catalogue.current.voices,
        rules=NameRules(
            voice_map=voice_map(settings),
            blend=lambda name, language: blends.voice(name, library.blendable, language),
        ),
    )
    return library


def _unknown_content(_: Voice) -> None:
    """Nobody asks for it where nothing is shared: models need not be read."""


def _open_store(url: str) -> Store:
    from wyoming_tts.cache.redis_store import RedisStore  # noqa: PLC0415 - on a worker, if there is one at all

    return RedisStore(url)


def _make_shared_tier(settings: Settings, workers: Workers) -> SharedTier | None:
    if settings.cache_url is None:
        return None
    parts = urlsplit(settings.cache_url)
    shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"
    return SharedTier(partial(_open_store, settings.cache_url), shown, run_blocking=workers.run_blocking)


def _make_cache(settings: Settings, workers: Workers) -> SegmentCache:
    return SegmentCache(
        memory_bytes=settings.cache_memory * MEGABYTE,
        directory=settings.cache_dir,
        disk_bytes=settings.cache_disk * MEGABYTE,
        run_blocking=workers.run_blocking,
        shared=_make_shared_tier(settings, workers),
    )


def make_engines(options: EngineOptions) -> dict[str, Engine]:
    """Make the engines of all installed distributions; one that fails is logged and left out."""
    engines: dict[str, Engine] = {}
    for entry_point in entry_points(group=ENTRY_POINT_GROUP):
        try:
            engine: Engine = entry_point.load()(options)
        except Exception:
            _LOGGER.exception("The engine %s cannot be used.", entry_point.name)
        else:
            engines[engine.name] = engine
    return engines


def _as_voice(part: Voice, blend: BlendedVoice) -> Voice:
    from wyoming_tts.engines.kokoro.engine import blended_voice  # noqa: PLC0415 - only if Kokoro is installed

    return blended_voice(part, blend)


def _blendable_languages(catalogue: CurrentCatalogue, styles: ImportedStyles) -> dict[str, str]:
    """Map the voices that can be blended, including imported ones, to their languages."""
    return named_languages(styles.names()) | catalogue.blendable_languages()


def _installed_languages(library: VoiceLibrary) -> dict[str, str]:
    """Map the installed voices that blends are made of to their languages: a pack need not be upstream's."""
    return {
        voice.name: voice.language
        for voice in library.blendable
        if voice.engine == BLENDING_ENGINE and voice.version is None
    }


def _make_blend_store(
    settings: Settings, voices: Callable[[], Mapping[str, str]], known: KnownFiles
) -> BlendStore:
    presets = load_presets(data_directory())
    return BlendStore(settings.data_dir[0], voices=voices, presets=presets, known=known)


def configured_default_voice(settings: Settings) -> DefaultVoice:
    """Return the default voice of the settings. Reads files: blocks."""
    settings = _with_voice_by_name(settings)
    return DefaultVoice(settings.voice, settings.speaker)


def _with_voice_by_name(settings: Settings) -> Settings:
    """Set the default voice by name; settings may give its file, as in wyoming-piper, or only the engine."""
    if "voice" not in settings.model_fields_set and settings.engine in _DEFAULT_VOICES:
        return settings.model_copy(update={"voice": _DEFAULT_VOICES[settings.engine]})
    path = Path(settings.voice).expanduser()
    if path.suffix != ".onnx" or not path.is_file():
        return settings
    return settings.model_copy(
        update={"voice": path.stem, "data_dir": (path.parent.absolute(), *settings.data_dir)}
    )
