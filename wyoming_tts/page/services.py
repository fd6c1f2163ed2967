"""All desks of a running server, and the routes by which the page's scripts reach them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from fastapi import APIRouter

from wyoming_tts.assembly.parts import Parts
from wyoming_tts.page import PageServices
from wyoming_tts.page.blending import BlendService
from wyoming_tts.page.blending_routes import blend_routes
from wyoming_tts.page.preview import PreviewService
from wyoming_tts.page.status import ListeningAddresses, StatusService, StatusSource
from wyoming_tts.page.status_routes import status_routes
from wyoming_tts.page.stream_test import StreamTestService
from wyoming_tts.page.stream_test_routes import stream_test_routes
from wyoming_tts.page.voices import VoiceService
from wyoming_tts.page.voices_routes import voice_routes
from wyoming_tts.settings import LoadedSettings
from wyoming_tts.telemetry.log_tail import LogTail
from wyoming_tts.telemetry.recent_utterances import RecentUtterances
from wyoming_tts.transports.listening import host_in_uri
from wyoming_tts.voices.names import find_catalogue_voice

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - from where this machine reaches itself
_LOOK_EVERY = 0.2


def make_page_services(
    parts: Parts,
    *,
    house: StatusSource,
    where: Callable[[], ListeningAddresses],
    loaded: Callable[[], LoadedSettings],
    recent: RecentUtterances,
    log: LogTail,
) -> PageServices:
    """Make what does the page's work. Cheap, but importing this module is not.

    Args:
        parts: Of the server.
        house: Knows how it is doing.
        where: Tells where it listens now.
        loaded: Tells the settings in force.
        recent: What was spoken lately.
        log: What was logged lately.
    """
    return PageServices(
        preview=PreviewService(parts),
        blending=BlendService(parts, partial(_fetch, parts)),
        stream_test=StreamTestService(parts, lambda: own_uri(where())),
        voices=VoiceService(parts),
        status=StatusService(parts, house=house, where=where, loaded=loaded, recent=recent, log=log),
    )


def page_routers(desks: PageServices) -> list[APIRouter]:
    """Return the routes below `/page`; they stand behind the guard like all others."""
    return [
        blend_routes(desks.blending),
        stream_test_routes(desks.stream_test),
        voice_routes(desks.voices),
        status_routes(desks.status),
    ]


def own_uri(where: ListeningAddresses) -> str:
    """Return where this machine reaches its own Wyoming server."""
    if not where.wyoming:
        return where.uri
    host, port = where.wyoming[0]
    return f"tcp://{_EVERYWHERE.get(host, host_in_uri(host))}:{port}"


async def _fetch(parts: Parts, name: str) -> bool:
    """Have a voice fetched and wait for it; the download goes on when this is cancelled."""
    parts.downloads.start(find_catalogue_voice(parts.known.catalogue.voices, name))
    while parts.downloads.is_downloading(name):  # noqa: ASYNC110 - progress is told to nobody in particular
        await asyncio.sleep(_LOOK_EVERY)
    await parts.refresh_voices()
    return any(voice.name == name for voice in parts.library.voices)
