"""HTTP routes of the section "In Home Assistant": JSON in and out."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Header, Response
from pydantic import Field

from wyoming_tts.page import paths
from wyoming_tts.page.home_assistant.service import HomeAssistantService
from wyoming_tts.page.request_body import RequestBody, VoiceName
from wyoming_tts.transports.http.errors import json_response

_MAX_TEXT = 1_000
"""Home Assistant carries the text in a URL, and who tries a voice waits for the end of it."""
_User = Annotated[str, Header(alias="X-Remote-User-Id", max_length=100)]
"""Home Assistant's user: of any peer but the ingress this header is dropped before it comes here."""


class VoiceBody(RequestBody):
    """A voice of this server, and a speaker of it if it is not the default one."""

    voice: VoiceName
    speaker: Annotated[str, Field(max_length=200)] = ""


class SpeakBody(VoiceBody):
    """A text, and the player that is to speak it."""

    player: Annotated[str, Field(pattern=r"^media_player\.[a-z0-9_]{1,200}$")]
    text: Annotated[str, Field(min_length=1, max_length=_MAX_TEXT)]


class UseBody(VoiceBody):
    """An assistant that is to speak with the voice."""

    assistant: Annotated[str, Field(min_length=1, max_length=100)]


class UndoBody(RequestBody):
    """An assistant that is to speak as it did before."""

    assistant: Annotated[str, Field(min_length=1, max_length=100)]


def home_assistant_routes(service: HomeAssistantService) -> APIRouter:
    """Return the routes below `paths.HOME_ASSISTANT`. Each asks Home Assistant who the user is."""
    router = APIRouter(include_in_schema=False)

    @router.get(f"/{paths.HOME_ASSISTANT}")
    async def view(user: _User = "") -> Response:
        return json_response(asdict(await service.view(user)))

    @router.post(f"/{paths.HOME_ASSISTANT}/speak")
    async def speak(body: SpeakBody, user: _User = "") -> Response:
        state = await service.speak(user, body.player, body.text, voice=body.voice, speaker=body.speaker)
        return json_response({"state": state})

    @router.post(f"/{paths.HOME_ASSISTANT}/use")
    async def use(body: UseBody, user: _User = "") -> Response:
        await service.use_voice(user, body.assistant, voice=body.voice, speaker=body.speaker)
        return json_response(asdict(await service.view(user)))

    @router.post(f"/{paths.HOME_ASSISTANT}/undo")
    async def undo(body: UndoBody, user: _User = "") -> Response:
        await service.undo(user, body.assistant)
        return json_response(asdict(await service.view(user)))

    return router
