"""The bodies of the page's requests: JSON objects without unknown keys."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

VoiceName: TypeAlias = Annotated[str, Field(min_length=1, max_length=200)]


class RequestBody(BaseModel):
    """A JSON object; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid")


class VoiceNameBody(RequestBody):
    """The voice or blend to act on."""

    name: VoiceName
