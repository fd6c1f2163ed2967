"""The server process: parts, Wyoming, HTTP and background tasks, from start to graceful shutdown."""

from __future__ import annotations

import asyncio
import logging
import os
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
from wyoming_tts.assembly.chosen_default import FILE_NAME as CHOSEN_DEFAULT_FILE
from wyoming_tts.assembly.default_voice import warm_up
from wyoming_tts.assembly.options import wyoming_options
from wyoming_tts.assembly.parts import Parts, assemble, make_workers
from wyoming_tts.page.home_assistant.supervisor import SupervisorAccess
from wyoming_tts.server.access_policy import AccessPolicy
from wyoming_tts.server.cost_keeping import FILE_NAME as COSTS_FILE
from wyoming_tts.server.cost_keeping import kept_costs
from wyoming_tts.server.descriptors import reserve_descriptors
from wyoming_tts.server.forced_exit import ForcedExit
from wyoming_tts.server.http_side import HttpSide
from wyoming_tts.server.reload import CurrentSettings, reload_on_sighup
from wyoming_tts.server.speech_service import ServerSpeechService, agent_line, server_load
from wyoming_tts.server.voice_upkeep import DescribeResponse, follow_bucket, maintain_voices
from wyoming_tts.settings import LoadedSettings, Settings
from wyoming_tts.speech import UtteranceRecord
from wyoming_tts.telemetry import open_telemetry
from wyoming_tts.telemetry.log_tail import LogTail, keep_log_tail
from wyoming_tts.telemetry.recent_utterances import RecentUtterances
from wyoming_tts.transports.agent_check import AgentCheckServer
from wyoming_tts.transports.input_pace import LoopBudget
from wyoming_tts.transports.listening import host_in_uri
from wyoming_tts.transports.wyoming.server import WyomingServer
from wyoming_tts.voices.blends.store import FILE_NAME as BLENDS_FILE
from wyoming_tts.voices.styles import STYLES_DIRECTORY
from wyoming_tts.voices.watching import VOICE_FILES, watch_directories
from wyoming_tts.workers import Workers

if TYPE_CHECKING:
    from zeroconf import Zeroconf

    from wyoming_tts.page import PageServices
    from wyoming_tts.page.status import ListeningAddresses, PeerNamer
    from wyoming_tts.transports.discovery import ZeroconfAnnouncer

_LOGGER = logging.getLogger(__name__)

_FORCED_EXIT_SECONDS = 2.0
"""How much longer than the grace period stopping may take: streams are cancelled, models freed."""

_LAST_STEP_SECONDS = 0.5
"""How long shutdown waits for a step that still computes; all of shutdown should take a second."""


async def serve(
    loaded: LoadedSettings,
    sockets: Sequence[socket.socket] = (),
    *,
    reread: Callable[[], LoadedSettings] | None = None,
    forced_exit: ForcedExit | None = None,
) -> None:
    """Run the server until SIGINT, SIGTERM or the end of stdin.

    Args:
        loaded: All settings and their sources.
        sockets: Listening sockets for the setting `uri`; if empty, it is opened here.
        reread: Reads the settings again on SIGHUP; None leaves that signal alone.
        forced_exit: Ends the process when stopping takes longer than the grace period; None never does.

    Raises:
        OSError: the address cannot be opened.
        SettingsError: the chosen engine is not installed.
    """
    settings, supervisor = reserve_descriptors(loaded.settings), SupervisorAccess.take(os.environ)
    stop, announced, recent = StopSignal.on_signals(), _Announced(), RecentUtterances()
    workers = make_workers(settings)
    access, input_budget = AccessPolicy(settings), LoopBudget()

    def on_record(record: UtteranceRecord) -> None:
        reporter.on_record(record)
        recent.on_record(record)

    async with (
        _logged(settings) as log,
        open_telemetry(
            run_blocking=workers.run_blocking,
            journal=settings.metrics_file if settings.metrics else None,
            former_journal=settings.former_metrics_file,
            with_counters=settings.http,
        ) as reporter,
        assemble(settings, workers, on_record=on_record, on_loaded=reporter.count_model_load) as parts,
        kept_costs(parts.costs, settings.state_dir / COSTS_FILE, workers.run_blocking),
    ):
        reporter.watch(partial(server_load, parts))
        current = CurrentSettings(loaded, log)
        server = _make_wyoming_server(parts, settings, access, input_budget)
        speech = ServerSpeechService(parts, reporter.exposition)

        def page_services() -> PageServices:
            # On a worker: Wyoming needs none of these imports.
            from wyoming_tts.page.services import make_page_services  # noqa: PLC0415

            return make_page_services(
                parts,
                server=speech,
                addresses=lambda: _listening_addresses(settings, server, http, announced),
                settings=lambda: current.loaded,
                recent=recent,
                log=log,
                names=_peer_namer(settings, announced),
                supervisor=supervisor,
            )

        http = HttpSide(
            settings,
            speech,
            access,
            run_blocking=workers.run_blocking,
            input_budget=input_budget,
            make_page_services=page_services,
            on_response=reporter.count_response,
        )
        async with server:
            if sockets:
                await server.serve_sockets(sockets)
            else:
                await server.start(settings.uri)
            _LOGGER.info("wyoming-tts %s listens on %s.", __version__, _listening_uris(server, settings))
            await _run_with_background(
                _until_stopped(server, http, stop, _StopWithin(settings.shutdown_grace, forced_exit)),
                _announce(settings, server, parts.workers, stop, announced),
                http.serve(),
                _tell_load_balancer(parts, settings, access, stop),
                follow_bucket(parts),
                maintain_voices(parts, reporter.count_download),
                parts.synthesizer.calibration.run(),
                _follow_remote_servers(parts),
                _reload(parts, access, current, reread),
                parts.lexicon.watch(workers.run_blocking),
                _watch_voices(parts, settings),
            )
    await workers.close(_LAST_STEP_SECONDS)


def _make_wyoming_server(
    parts: Parts, settings: Settings, access: AccessPolicy, input_budget: LoopBudget
) -> WyomingServer:
    return WyomingServer(
        parts.synthesizer,
        describe=DescribeResponse(parts),
        options=wyoming_options(settings),
        run_blocking=parts.workers.run_blocking,
        allow=access.allows,
        input_budget=input_budget,
    )


def _listening_addresses(
    settings: Settings, server: WyomingServer, http: HttpSide, announced: _Announced
) -> ListeningAddresses:
    from wyoming_tts.page.status import ListeningAddresses  # noqa: PLC0415 - imports FastAPI

    return ListeningAddresses(
        wyoming=server.bound,
        uri=settings.uri,
        http=http.bound,
        is_encrypted=http.is_encrypted,
        announced_as=announced.name,
    )


async def _watch_voices(parts: Parts, settings: Settings) -> None:
    async def on_change() -> None:
        before = parts.library.default
        await parts.refresh_voices()
        if parts.library.default != before:
            _LOGGER.info("The default voice is %s now.", parts.library.default.name)
            await warm_up(parts)

    await watch_directories(
        (*settings.data_dir, settings.data_dir[0] / STYLES_DIRECTORY, settings.download_dir),
        on_change,
        run_blocking=parts.workers.run_blocking,
        known=parts.known,
        endings=(*VOICE_FILES, BLENDS_FILE, CHOSEN_DEFAULT_FILE, ".npy"),
    )


async def _run_with_background(
    main: Coroutine[None, None, None], *background: Coroutine[None, None, None]
) -> None:
    """Run `main` to its end with background coroutines, which are cancelled then."""
    async with asyncio.TaskGroup() as tasks:
        background_tasks = [tasks.create_task(each) for each in background]
        await main
        for task in background_tasks:
            task.cancel()


async def _until_first(*coroutines: Coroutine[Any, Any, object]) -> None:
    """Run these until one has finished, then cancel the others."""
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(each) for each in coroutines]
        await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        for task in running:
            task.cancel()


class StopSignal:
    """A request to stop the server: first gracefully, and when repeated at once."""

    def __init__(self) -> None:
        self.requested = asyncio.Event()
        self.immediate = asyncio.Event()

    @classmethod
    def on_signals(cls) -> StopSignal:
        """Make one that SIGINT and SIGTERM set; the second signal stops the server at once."""
        stop = cls()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.request)
        return stop

    def request(self) -> None:
        """Request a graceful stop or, the second time, an immediate one."""
        if self.requested.is_set():
            self.immediate.set()
        self.requested.set()


@dataclass(frozen=True, slots=True)
class _StopWithin:
    """How long stopping may take, and what ends the process then."""

    grace: float
    forced_exit: ForcedExit | None

    def enforce(self, seconds: float) -> None:
        if self.forced_exit is not None:
            self.forced_exit.arm(seconds)


async def _until_stopped(
    server: WyomingServer, http: HttpSide, stop: StopSignal, within: _StopWithin
) -> None:
    await _until_first(stop.requested.wait(), server.wait_finished())
    stop.requested.set()  # also when stdin has ended: others wait for this event
    _LOGGER.info("Stopping.")
    within.enforce(within.grace + _FORCED_EXIT_SECONDS)

    async def stop_gracefully() -> None:
        await asyncio.gather(server.stop(within.grace), http.stop(within.grace))

    async def stop_at_once() -> None:
        await stop.immediate.wait()
        within.enforce(_FORCED_EXIT_SECONDS)

    await _until_first(stop_gracefully(), stop_at_once())
    within.enforce(_FORCED_EXIT_SECONDS)


async def _tell_load_balancer(
    parts: Parts, settings: Settings, access: AccessPolicy, stop: StopSignal
) -> None:
    if settings.agent_port is None:
        return

    def line() -> str:
        return "drain" if stop.requested.is_set() else agent_line(parts)

    agent = AgentCheckServer(line, run_blocking=parts.workers.run_blocking, allow=access.allows)
    await agent.serve(urlsplit(settings.uri).hostname or settings.host, settings.agent_port)


async def _follow_remote_servers(parts: Parts) -> None:
    if parts.remote is not None:
        await parts.remote.watch(parts.refresh_voices, parts.workers.run_blocking)


async def _reload(
    parts: Parts,
    access: AccessPolicy,
    current: CurrentSettings,
    reread: Callable[[], LoadedSettings] | None,
) -> None:
    if reread is not None:
        await reload_on_sighup(parts, access, current, reread)


@asynccontextmanager
async def _logged(settings: Settings) -> AsyncIterator[LogTail]:
    with keep_log_tail(settings.secrets) as log:
        yield log


@dataclass(slots=True)
class _Announced:
    """The zeroconf announcement of the server, once there is one."""

    announcement: ZeroconfAnnouncer | None = None

    @property
    def name(self) -> str | None:
        return self.announcement.name if self.announcement is not None else None

    @property
    def zeroconf(self) -> Zeroconf | None:
        return self.announcement.zeroconf if self.announcement is not None else None


def _peer_namer(settings: Settings, announced: _Announced) -> PeerNamer:
    if not settings.zeroconf:
        from wyoming_tts.page.status import no_names  # noqa: PLC0415 - imports FastAPI

        return no_names
    from wyoming_tts.transports.peer_names import PeerNames  # noqa: PLC0415 - imports zeroconf

    return PeerNames(lambda: announced.zeroconf)


def _listening_uris(server: WyomingServer, settings: Settings) -> str:
    return ", ".join(f"tcp://{host_in_uri(host)}:{port}" for host, port in server.bound) or settings.uri


async def _announce(
    settings: Settings, server: WyomingServer, workers: Workers, stop: StopSignal, announced: _Announced
) -> None:
    if not (settings.zeroconf and server.bound):
        return
    host = urlsplit(settings.uri).hostname or ""
    # Slow to import, and nothing waits for it.
    discovery = await workers.run_blocking(partial(import_module, "wyoming_tts.transports.discovery"))
    announcement: ZeroconfAnnouncer = discovery.ZeroconfAnnouncer(
        server.bound[0][1], host=host, name=settings.zeroconf_name, run_blocking=workers.run_blocking
    )
    announced.announcement = announcement
    await _until_first(announcement.run(), stop.requested.wait())  # a stopping server must not be discovered
