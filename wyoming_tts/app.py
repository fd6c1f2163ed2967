"""Puts the parts together, runs them, and takes them apart in reverse.

The only module besides the command line that knows the settings: it maps them onto each part's own
options, once. Engines are found through their entry points and load their libraries when they must.
"""

from __future__ import annotations

import asyncio
import logging
import math
import signal
import socket
import sys
import time
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Coroutine,
    Iterable,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from wyoming_tts import __version__
from wyoming_tts.blocking import RunBlocking
from wyoming_tts.cache import SegmentCache
from wyoming_tts.client import ListenerGone, Measure, OnAudio, SpokenReport
from wyoming_tts.engines.base import ENTRY_POINT_GROUP, Engine, EngineOptions
from wyoming_tts.engines.loaded import LoadedVoices
from wyoming_tts.errors import SpeechError
from wyoming_tts.options import (
    MEGABYTE,
    admission_options,
    compute_threads,
    engine_options,
    intra_op_threads,
    synthesis_options,
    wyoming_options,
)
from wyoming_tts.scheduler import Admission, Lookahead, Scheduler
from wyoming_tts.settings import Settings, SettingsError
from wyoming_tts.speech import TextFormat, Utterance, Voice, VoiceRequest
from wyoming_tts.synthesis import Explanation, Synthesizer
from wyoming_tts.telemetry import log_record
from wyoming_tts.text.lexicon_file import FILE_NAME as LEXICON_NAME
from wyoming_tts.text.lexicon_file import LexiconFile
from wyoming_tts.text.spoken import SpokenLanguages, read_extra
from wyoming_tts.transports.wyoming_protocol import encode, info_event
from wyoming_tts.transports.wyoming_server import WyomingServer
from wyoming_tts.voices.arrival import DefaultVoiceArrival
from wyoming_tts.voices.catalogue import INDEX_NAME, Catalogue, load_catalogue
from wyoming_tts.voices.downloads import Downloads
from wyoming_tts.voices.hub import DownloadFailed
from wyoming_tts.voices.library import DefaultVoice, VoiceLibrary
from wyoming_tts.voices.progress import presented
from wyoming_tts.workers import Workers

if TYPE_CHECKING:
    from wyoming_tts.transports.discovery import Announcement

_LOGGER = logging.getLogger(__name__)

EMBEDDED_ENGINE = "espeak"
_DEFAULT_VOICES = {"kokoro": "af_heart", EMBEDDED_ENGINE: "espeak-en-us"}
"""What speaks when only the engine was chosen."""
_STEP_PATIENCE = 0.5
"""Seconds a step that still computes is waited for at the end; a second is what stopping may take."""


@dataclass(frozen=True, slots=True)
class ExplainRequest:
    """A text to be explained."""

    text: str
    voice: VoiceRequest
    text_format: TextFormat = TextFormat.PLAIN


@dataclass(frozen=True, slots=True)
class Parts:
    """What speech is made with, however it is asked for."""

    settings: Settings
    workers: Workers
    engines: Mapping[str, Engine]
    known: KnownVoices
    library: VoiceLibrary
    loaded: LoadedVoices
    admission: Admission
    cache: SegmentCache
    lexicon: LexiconFile
    synthesizer: Synthesizer

    async def look_for_voices(self) -> None:
        """Look which voices are installed."""
        voices = await self.workers.run_blocking(partial(_installed, self.engines.values()))
        spoken_with = {EMBEDDED_ENGINE, self.settings.engine}
        self.library.replace(
            voice for voice in voices if self.settings.engine == "auto" or voice.engine in spoken_with
        )


class KnownVoices:
    """The catalogue as it is now: a newer index may come while the server runs."""

    def __init__(self, index: Path, run_blocking: RunBlocking) -> None:
        self._index = index
        self._run_blocking = run_blocking
        self.catalogue = Catalogue(())

    async def read(self) -> None:
        """Read which voices could be fetched."""
        self.catalogue = await self._run_blocking(partial(load_catalogue, self._index))

    def canonical_name(self, name: str) -> str | None:
        """Return the catalogue's name for a name or an alias of a voice."""
        voice = self.catalogue.find(name)
        return voice.name if voice else None


def make_workers(settings: Settings, lookahead: Lookahead | None = None) -> Workers:
    """Start the threads; whoever does closes them, after all that uses them."""
    slots = compute_threads(settings)
    return Workers(Scheduler(slots=slots, whole=intra_op_threads(settings), lookahead=lookahead))


@asynccontextmanager
async def working(settings: Settings, lookahead: Lookahead | None = None) -> AsyncIterator[Workers]:
    """Threads for the length of a block."""
    workers = make_workers(settings, lookahead)
    try:
        yield workers
    finally:
        await workers.close()


@asynccontextmanager
async def assembled(settings: Settings, workers: Workers) -> AsyncIterator[Parts]:
    """Make the parts; their models are freed at the end."""
    settings = await workers.run_blocking(partial(_with_voice_by_name, settings))
    engines = await workers.run_blocking(lambda: make_engines(engine_options(settings, workers)))
    if settings.engine not in {"auto", *engines}:
        known_engines = ", ".join(["auto", *sorted(engines)])
        raise SettingsError(
            f"engine: got {settings.engine!r}, expected one that is installed: {known_engines}"
        )
    known = KnownVoices(settings.download_dir / INDEX_NAME, workers.run_blocking)
    await known.read()
    library = VoiceLibrary(
        default=DefaultVoice(settings.voice, settings.speaker),
        embedded_engine=EMBEDDED_ENGINE,
        alias=known.canonical_name,
    )
    loaded = LoadedVoices(
        engines,
        run_blocking=workers.run_blocking,
        capacity=settings.max_loaded_voices,
        memory_bytes=settings.max_model_memory * MEGABYTE or None,
    )
    cache = SegmentCache(
        memory_bytes=settings.cache_memory * MEGABYTE,
        directory=settings.cache_dir,
        disk_bytes=settings.cache_disk * MEGABYTE,
        run_blocking=workers.run_blocking,
    )
    admission = Admission(admission_options(settings), workers.scheduler)
    lexicon = LexiconFile(directory / LEXICON_NAME for directory in settings.data_dir)
    extra = await workers.run_blocking(partial(read_extra, settings.data_dir))
    await workers.run_blocking(lexicon.refresh)
    synthesizer = Synthesizer(
        library=library,
        loaded=loaded,
        workers=workers,
        admission=admission,
        cache=cache,
        options=synthesis_options(settings),
        languages=SpokenLanguages(extra) if settings.spoken_forms else None,
        lexicon=lexicon.current,
        on_record=log_record,
    )
    parts = Parts(settings, workers, engines, known, library, loaded, admission, cache, lexicon, synthesizer)
    await parts.look_for_voices()
    try:
        async with cache:
            yield parts
    finally:
        loaded.close()


class _Description:
    """The answer to `describe`, encoded once for each state of the library."""

    def __init__(self, library: VoiceLibrary, *, supports_streaming: bool) -> None:
        self._library = library
        self._supports_streaming = supports_streaming
        self._voices: tuple[Voice, ...] | None = None
        self._encoded = b""

    def __call__(self) -> bytes:
        if self._voices is not self._library.voices:
            self._voices = self._library.voices
            info = info_event(self._voices, version=__version__, supports_streaming=self._supports_streaming)
            self._encoded = encode(info)
        return self._encoded


async def serve(settings: Settings, sockets: Sequence[socket.socket] = ()) -> bool:
    """Run the server until it is told to stop; False if a thread is still computing then.

    Args:
        settings: All of them.
        sockets: Those of `settings.uri`, listening already; none has it opened here.

    Raises:
        OSError: the address cannot be listened on.
        SettingsError: the engine that was chosen is not installed.
    """
    stop = _stop_signals()
    workers = make_workers(settings)
    async with assembled(settings, workers) as parts:
        server = WyomingServer(
            parts.synthesizer,
            describe=_Description(parts.library, supports_streaming=settings.streaming),
            options=wyoming_options(settings),
            run_blocking=parts.workers.run_blocking,
        )
        async with server:
            if sockets:
                await server.adopt(sockets)
            else:
                await server.start(settings.uri)
            _LOGGER.info("wyoming-tts %s listens on %s.", __version__, _where(server, settings))
            await _run_beside(
                _until_stopped(server, stop, settings.shutdown_grace),
                _announce(settings, server, parts.workers),
                _prepare(parts),
                parts.lexicon.watch(workers.run_blocking),
            )
    return await workers.close(_STEP_PATIENCE)


async def say(
    settings: Settings,
    pieces: AsyncIterable[str],
    *,
    on_audio: OnAudio,
    voice: VoiceRequest,
    text_format: TextFormat = TextFormat.PLAIN,
) -> SpokenReport:
    """Speak in this process: no server, and nothing is fetched.

    Raises:
        SpeechError: the voice is not here or cannot speak.
    """
    measure = Measure()
    utterance = Utterance(pieces, voice, text_format=text_format, transport="command line")
    # Nobody plays in time here: a file is to be written as fast as it can be.
    without_rest = Lookahead(alone=math.inf)
    async with working(settings, without_rest) as workers, assembled(settings, workers) as parts:
        _check_say(parts, voice)
        try:
            async with parts.synthesizer.speak(utterance) as stream:
                measure.text_given()
                await on_audio(stream.format, b"")
                measure.add(stream.format, b"")
                async for chunk in stream:
                    measure.add(chunk.format, chunk.pcm)
                    await on_audio(chunk.format, chunk.pcm)
        except ListenerGone:
            return measure.report(complete=False)
    return measure.report()


async def explain(
    settings: Settings, requests: AsyncIterable[ExplainRequest]
) -> AsyncGenerator[Explanation | SpeechError, None]:
    """Tell of each text what would be said, one after the other; an error for one that cannot be."""
    async with working(settings) as workers, assembled(settings, workers) as parts:
        async for request in requests:
            try:
                yield await parts.synthesizer.explain(
                    Utterance.of(
                        request.text,
                        voice=request.voice,
                        text_format=request.text_format,
                        transport="command line",
                    )
                )
            except SpeechError as error:
                yield error


def _check_say(parts: Parts, voice: VoiceRequest) -> None:
    if voice.name is not None:
        parts.library.installed(voice.name)
    elif voice.language is None and not parts.library.default_is_installed:
        _LOGGER.warning(
            "The voice %s is not installed: %s speaks instead.",
            parts.settings.voice,
            parts.library.stand_in().name,
        )


async def installed_voices(settings: Settings) -> tuple[Voice, ...]:
    """Return what can be spoken with, sorted by name."""
    async with working(settings) as workers, assembled(settings, workers) as parts:
        return parts.library.voices


def make_engines(options: EngineOptions) -> dict[str, Engine]:
    """Make every engine that an installed distribution brings; one that fails is left out, with a line."""
    engines: dict[str, Engine] = {}
    for entry_point in entry_points(group=ENTRY_POINT_GROUP):
        try:
            engine: Engine = entry_point.load()(options)
        except Exception:
            _LOGGER.exception("The engine %s cannot be used.", entry_point.name)
        else:
            engines[engine.name] = engine
    return engines


def _installed(engines: Iterable[Engine]) -> list[Voice]:
    voices: list[Voice] = []
    for engine in engines:
        try:
            voices += [replace(voice, fingerprint=_fingerprint(voice)) for voice in engine.installed()]
        except Exception:
            _LOGGER.exception("The voices of the engine %s cannot be listed.", engine.name)
    return voices


def _fingerprint(voice: Voice) -> str:
    facts = [path.stat() for path in voice.files]
    return ",".join(f"{fact.st_size}-{fact.st_mtime_ns}" for fact in facts)


async def _run_beside(main: Coroutine[None, None, None], *others: Coroutine[None, None, None]) -> None:
    """Run `main` to its end, the others beside it and no longer."""
    async with asyncio.TaskGroup() as tasks:
        beside = [tasks.create_task(other) for other in others]
        await main
        for task in beside:
            task.cancel()


async def _until_stopped(server: WyomingServer, stop: asyncio.Event, grace: float) -> None:
    async with asyncio.TaskGroup() as tasks:
        ends = [tasks.create_task(stop.wait()), tasks.create_task(server.wait_finished())]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for task in ends:
            task.cancel()
    _LOGGER.info("Stopping.")
    await server.stop(grace)


def _stop_signals() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    return stop


def _where(server: WyomingServer, settings: Settings) -> str:
    return ", ".join(f"tcp://{_in_uri(host)}:{port}" for host, port in server.bound) or settings.uri


def _in_uri(host: str) -> str:
    return f"[{host}]" if ":" in host else host


async def _announce(settings: Settings, server: WyomingServer, workers: Workers) -> None:
    if not (settings.zeroconf and server.bound):
        return
    host = urlsplit(settings.uri).hostname or ""
    # It takes a while to import, and nobody waits for it.
    discovery = await workers.run_blocking(partial(import_module, "wyoming_tts.transports.discovery"))
    announcement: Announcement = discovery.Announcement(
        server.bound[0][1], host=host, name=settings.zeroconf_name, run_blocking=workers.run_blocking
    )
    await announcement.run()


async def _prepare(parts: Parts) -> None:
    """Get the default voice ready: fetched if need be, loaded, run once."""
    settings = parts.settings
    with presented(sys.stderr) as on_progress:
        downloads = Downloads(
            settings.download_dir,
            run_blocking=parts.workers.run_blocking,
            offline=settings.offline,
            mirror=settings.hub_endpoint,
            on_progress=on_progress,
        )
        async with downloads:
            if settings.update_voices:
                await _update_catalogue(parts, downloads)
            if parts.library.default_is_installed:
                await _warm_up(parts)
                return
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_fetch_default(parts, downloads))
                tasks.create_task(_warm_up(parts))  # the stand-in


async def _update_catalogue(parts: Parts, downloads: Downloads) -> None:
    try:
        await downloads.fetch_index()
    except DownloadFailed as error:
        _LOGGER.warning("The list of voices could not be updated, the one here stays. %s", error)
    else:
        await parts.known.read()


async def _fetch_default(parts: Parts, downloads: Downloads) -> None:
    name, offline = parts.settings.voice, parts.settings.offline
    stand_in = parts.library.stand_in().name
    voice = parts.known.catalogue.find(name)
    if voice is None or offline:
        why = "fetching is switched off (offline)" if voice else "no catalogue knows it"
        _LOGGER.warning("The voice %s is not installed and %s: %s speaks instead.", name, why, stand_in)
        return
    arrival = DefaultVoiceArrival(
        voice,
        downloads=downloads,
        on_installed=parts.look_for_voices,
        stand_in=stand_in,
        patience=parts.settings.download_wait,
    )
    parts.library.expect_default(arrival.wait)
    await arrival.run()
    await _warm_up(parts)


async def _prepare_phrases(parts: Parts) -> None:
    for phrase in parts.settings.prepare:
        try:
            await parts.synthesizer.prepare(phrase)
        except SpeechError as error:
            _LOGGER.warning("The phrase %r could not be prepared. %s", phrase, error)


async def _warm_up(parts: Parts) -> None:
    started = time.perf_counter()
    try:
        spec = await parts.synthesizer.warm_up()
    except SpeechError as error:
        _LOGGER.warning("No voice is ready. %s", error)
    except Exception:  # a voice that breaks in an unforeseen way must not take the server with it
        _LOGGER.exception("No voice is ready.")
    else:
        _LOGGER.info("Ready: %s speaks (%.1f s).", spec.voice.name, time.perf_counter() - started)
        await _prepare_phrases(parts)


def _with_voice_by_name(settings: Settings) -> Settings:
    """Give the default voice by name: it may be set by its file, as in wyoming-piper, or by its engine."""
    if "voice" not in settings.model_fields_set and settings.engine in _DEFAULT_VOICES:
        return settings.model_copy(update={"voice": _DEFAULT_VOICES[settings.engine]})
    path = Path(settings.voice).expanduser()
    if path.suffix != ".onnx" or not path.is_file():
        return settings
    return settings.model_copy(
        update={"voice": path.stem, "data_dir": (path.parent.absolute(), *settings.data_dir)}
    )
