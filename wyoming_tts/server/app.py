"""The server process: parts, Wyoming, HTTP and background tasks, from start to graceful shutdown."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from wyoming_tts import __version__
from wyoming_tts.assembly.options import wyoming_options
from wyoming_tts.assembly.parts import Parts, assemble, make_workers
from wyoming_tts.server.http_side import AccessPolicy, HttpSide
from wyoming_tts.server.reload import CurrentSettings, reload_on_sighup
from wyoming_tts.server.speech_service import ServerSpeechService, server_load
from wyoming_tts.server.voice_upkeep import DescribeResponse, maintain_voices
from wyoming_tts.settings import LoadedSettings, Settings
from wyoming_tts.speech import UtteranceRecord
from wyoming_tts.telemetry import open_telemetry
from wyoming_tts.telemetry.log_tail import LogTail, keep_log_tail
from wyoming_tts.telemetry.recent_utterances import RecentUtterances
from wyoming_tts.transports.listening import host_in_uri
from wyoming_tts.transports.wyoming.server import WyomingServer
from wyoming_tts.voices.blends.store import FILE_NAME as BLENDS_FILE
from wyoming_tts.voices.styles import STYLES_DIRECTORY
from wyoming_tts.voices.watching import VOICE_FILES, watch_directories
from wyoming_tts.workers import Workers

if TYPE_CHECKING:
    from wyoming_tts.page import PageServices
    from wyoming_tts.transports.discovery import ZeroconfAnnouncer

_LOGGER = logging.getLogger(__name__)

_STEP_PATIENCE = 0.5
"""Seconds a step that still computes is waited for at the end; a second is what stopping may take."""


async def serve(
    loaded: LoadedSettings,
    sockets: Sequence[socket.socket] = (),
    *,
    reread: Callable[[], LoadedSettings] | None = None,
) -> bool:
    """Run the server until it is told to stop; False if a thread is still computing then.

    Args:
        loaded: All settings, and how they came to be.
        sockets: Those of the setting `uri`, listening already; none has it opened here.
        reread: Reads the settings again, at SIGHUP; None leaves that signal alone.

    Raises:
        OSError: the address cannot be listened on.
        SettingsError: the engine that was chosen is not installed.
    """
    settings = loaded.settings
    stop, announced, recent = StopSignal.on_signals(), _Announced(), RecentUtterances()
    workers = make_workers(settings)
    doorkeeper = AccessPolicy(settings)

    def on_record(record: UtteranceRecord) -> None:
        told.on_record(record)
        recent.on_record(record)

    async with (
        _logged(settings) as log,
        open_telemetry(
            run_blocking=workers.run_blocking,
            journal=settings.metrics_file if settings.metrics else None,
            with_counters=settings.http,
        ) as told,
        assemble(settings, workers, on_record=on_record, on_loaded=told.model_loaded) as parts,
    ):
        told.watch(partial(server_load, parts))
        in_force = CurrentSettings(loaded, log)
        server = WyomingServer(
            parts.synthesizer,
            describe=DescribeResponse(parts),
            options=wyoming_options(settings),
            run_blocking=parts.workers.run_blocking,
            allow=doorkeeper.allows,
        )
        house = ServerSpeechService(parts, told.exposition)

        def make_desks() -> PageServices:
            # On a worker: what it brings is not needed to serve Wyoming.
            from wyoming_tts.page import services as desks  # noqa: PLC0415
            from wyoming_tts.page import status  # noqa: PLC0415

            def where() -> status.ListeningAddresses:
                return status.ListeningAddresses(
                    server.bound, settings.uri, http.bound, http.is_encrypted, announced.name
                )

            return desks.make_page_services(
                parts, house=house, where=where, loaded=lambda: in_force.loaded, recent=recent, log=log
            )

        http = HttpSide(settings, house, doorkeeper, run_blocking=workers.run_blocking, desks=make_desks)
        async with server:
            if sockets:
                await server.serve_sockets(sockets)
            else:
                await server.start(settings.uri)
            _LOGGER.info("wyoming-tts %s listens on %s.", __version__, _where(server, settings))
            await _run_beside(
                _until_stopped(server, http, stop, settings.shutdown_grace),
                _announce(settings, server, parts.workers, stop, announced),
                http.serve(),
                maintain_voices(parts, told.download_over),
                _follow_remote_servers(parts),
                _reload(parts, doorkeeper, in_force, reread),
                parts.lexicon.watch(workers.run_blocking),
                watch_directories(
                    (*settings.data_dir, settings.data_dir[0] / STYLES_DIRECTORY, settings.download_dir),
                    parts.refresh_voices,
                    run_blocking=workers.run_blocking,
                    endings=(*VOICE_FILES, BLENDS_FILE, ".npy"),
                ),
            )
    return await workers.close(_STEP_PATIENCE)


async def _run_beside(main: Coroutine[None, None, None], *others: Coroutine[None, None, None]) -> None:
    """Run `main` to its end, the others beside it and no longer."""
    async with asyncio.TaskGroup() as tasks:
        beside = [tasks.create_task(other) for other in others]
        await main
        for task in beside:
            task.cancel()


async def _first_of(*ways: Coroutine[Any, Any, object]) -> None:
    """Go all these ways until the end of one is reached."""
    async with asyncio.TaskGroup() as tasks:
        ends = [tasks.create_task(way) for way in ways]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for task in ends:
            task.cancel()


class StopSignal:
    """That the server is to stop: soon, and then at once."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.at_once = asyncio.Event()

    @classmethod
    def on_signals(cls) -> StopSignal:
        """One that the process is told by SIGINT or SIGTERM; the second of them means at once."""
        stop = cls()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.ask)
        return stop

    def ask(self) -> None:
        """Ask, for the first or the second time."""
        if self.asked.is_set():
            self.at_once.set()
        self.asked.set()


async def _until_stopped(server: WyomingServer, http: HttpSide, stop: StopSignal, grace: float) -> None:
    await _first_of(stop.asked.wait(), server.wait_finished())
    stop.asked.set()  # who waits for it is to know, whatever the reason
    _LOGGER.info("Stopping.")

    async def both() -> None:
        await asyncio.gather(server.stop(grace), http.stop(grace))

    await _first_of(both(), stop.at_once.wait())


async def _follow_remote_servers(parts: Parts) -> None:
    if parts.remote is not None:
        await parts.remote.watch(parts.refresh_voices, parts.workers.run_blocking)


async def _reload(
    parts: Parts,
    doorkeeper: AccessPolicy,
    in_force: CurrentSettings,
    reread: Callable[[], LoadedSettings] | None,
) -> None:
    if reread is not None:
        await reload_on_sighup(parts, doorkeeper, in_force, reread)


@asynccontextmanager
async def _logged(settings: Settings) -> AsyncIterator[LogTail]:
    with keep_log_tail(settings.secrets) as log:
        yield log


@dataclass(slots=True)
class _Announced:
    """Under which name the server can be found, once it can."""

    by: ZeroconfAnnouncer | None = None

    @property
    def name(self) -> str | None:
        return self.by.name if self.by is not None else None


def _where(server: WyomingServer, settings: Settings) -> str:
    return ", ".join(f"tcp://{host_in_uri(host)}:{port}" for host, port in server.bound) or settings.uri


async def _announce(
    settings: Settings, server: WyomingServer, workers: Workers, stop: StopSignal, announced: _Announced
) -> None:
    if not (settings.zeroconf and server.bound):
        return
    host = urlsplit(settings.uri).hostname or ""
    # It takes a while to import, and nobody waits for it.
    discovery = await workers.run_blocking(partial(import_module, "wyoming_tts.transports.discovery"))
    announcement: ZeroconfAnnouncer = discovery.Announcement(
        server.bound[0][1], host=host, name=settings.zeroconf_name, run_blocking=workers.run_blocking
    )
    announced.by = announcement
    await _first_of(announcement.run(), stop.asked.wait())  # nobody new is to find a server that ends
