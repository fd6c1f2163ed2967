"""Endpoint that clears the cache of spoken segments, for `wyoming-tts cache clear`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel

from wyoming_tts.transports.http.errors import error_responses, json_response
from wyoming_tts.transports.interfaces import SpeechService

CLEAR_PATH = "/dev/clear_cache"


class Removed(BaseModel):
    """What was removed from a tier of the cache."""

    segments: int
    bytes: int


class ClearedSegments(BaseModel):
    """What was removed from the cache."""

    status: Literal["cleared"]
    memory: Removed
    disk: Removed


def cache_routes(service: SpeechService) -> APIRouter:
    """Return the route that clears the cache."""
    router = APIRouter()

    @router.post(CLEAR_PATH, response_model=ClearedSegments, responses=error_responses())
    async def clear_cache() -> Response:
        """Remove all spoken segments from memory and disk; what is asked for again is computed again."""
        removed = await service.clear_cache()
        return json_response({"status": "cleared"} | {tier: asdict(each) for tier, each in removed.items()})

    return router
