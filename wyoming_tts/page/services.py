"""Composition of the page: makes all services of a running server, and collects their HTTP routes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fastapi import APIRouter

from wyoming_tts.assembly.parts import Parts
from wyoming_tts.page import PageServices
from wyoming_tts.page.audition import AuditionService, audition_routes
from wyoming_tts.page.blend_routes import blend_routes
from wyoming_tts.page.blending import BlendService
from wyoming_tts.page.bug_report import BugReporter, bug_report_routes
from wyoming_tts.page.home_assistant.routes import home_assistant_routes
from wyoming_tts.page.home_assistant.service import HomeAssistantService
from wyoming_tts.page.home_assistant.supervisor import SupervisorAccess
from wyoming_tts.page.lexicon import LexiconService, lexicon_routes
from wyoming_tts.page.status import (
    BoundSockets,
    ListeningAddresses,
    PeerNamer,
    StatusService,
    StatusSource,
    no_names,
    status_routes,
)
from wyoming_tts.page.stream_test.request import ClientKind
from wyoming_tts.page.stream_test.routes import stream_test_routes
from wyoming_tts.page.stream_test.service import StreamTestService
from wyoming_tts.page.stream_test.targets import OwnAddresses
from wyoming_tts.page.voice_routes import voice_routes
from wyoming_tts.page.voices import VoiceService
from wyoming_tts.settings import LoadedSettings, Settings
from wyoming_tts.telemetry.log_tail import LogTail
from wyoming_tts.telemetry.recent_utterances import RecentUtterances
from wyoming_tts.transports.listening import host_in_uri

_LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - how this machine reaches itself


def make_page_services(
    parts: Parts,
    *,
    server: StatusSource,
    addresses: Callable[[], ListeningAddresses],
    settings: Callable[[], LoadedSettings],
    recent: RecentUtterances,
    log: LogTail,
    names: PeerNamer = no_names,
    supervisor: SupervisorAccess | None = None,
) -> PageServices:
    """Make the services of all tabs. Cheap, but importing this module is not.

    Args:
        parts: The server's parts.
        server: Provides the server's state.
        addresses: Returns where the server is listening.
        settings: Returns the settings in force.
        recent: The latest utterances.
        log: The latest log lines.
        names: Returns the names that are known of clients' addresses.
        supervisor: How an add-on reaches Home Assistant; None for any other server.
    """
    status = StatusService(
        parts,
        server=server,
        addresses=addresses,
        settings=settings,
        recent=recent,
        log=log,
        names=names,
    )
    return PageServices(
        audition=AuditionService(parts),
        blending=BlendService(parts),
        stream_test=StreamTestService(
            parts,
            lambda: own_addresses(addresses(), settings().settings.api_keys),
            targets=parts.settings.stream_test_targets,
            flush_idle=lambda kind: flush_idle(settings().settings, kind),
        ),
        voices=VoiceService(parts, lambda: settings().sources["voice"]),
        lexicon=LexiconService(parts),
        status=status,
        bug_report=BugReporter(status, lambda: parts.library.voices, log.redact),
        home_assistant=HomeAssistantService(
            parts.library.installed, supervisor, parts.settings.data_dir[0], parts.workers.run_blocking
        ),
    )


def page_routers(services: PageServices) -> list[APIRouter]:
    """Return the routes below `/page`; the guard protects them like all others."""
    return [
        audition_routes(services.audition),
        blend_routes(services.blending),
        stream_test_routes(services.stream_test),
        voice_routes(services.voices),
        lexicon_routes(services.lexicon),
        status_routes(services.status),
        bug_report_routes(services.bug_report),
        home_assistant_routes(services.home_assistant),
    ]


def own_addresses(addresses: ListeningAddresses, api_keys: Sequence[str] = ()) -> OwnAddresses:
    """Return where this machine reaches its own server."""
    scheme = "https" if addresses.is_encrypted else "http"
    return OwnAddresses(
        f"tcp://{_own_host(addresses.wyoming)}" if addresses.wyoming else addresses.uri,
        f"{scheme}://{_own_host(addresses.http)}" if addresses.http else "",
        next(iter(api_keys), None),
    )


def flush_idle(settings: Settings, kind: ClientKind) -> float:
    """Return how long this server waits for text before it speaks what it has, in seconds; 0 for ever."""
    is_realtime = kind is ClientKind.REALTIME
    return (settings.realtime_flush_idle_ms if is_realtime else settings.flush_idle_ms) / 1000


def _own_host(bound: BoundSockets) -> str:
    host, port = bound[0]
    return f"{_LOOPBACK.get(host, host_in_uri(host))}:{port}"
