"""Answers of Home Assistant's WebSocket API: the fields that are read of them. Others may come and go."""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, ConfigDict, TypeAdapter


class User(BaseModel):
    """Of `config/auth/list`."""

    id: str
    is_active: bool
    is_owner: bool
    group_ids: list[str]

    @property
    def is_admin(self) -> bool:
        """Whether Home Assistant lets the user change its settings."""
        return self.is_active and (self.is_owner or "system-admin" in self.group_ids)


class Player(BaseModel):
    """A media player, as the template of `house` tells it."""

    id: str
    name: str
    area: str
    state: str
    features: int


class Engine(BaseModel):
    """An entity of the Wyoming integration that speaks, as the template of `house` tells it."""

    id: str
    source: str
    """How its server was added: `hassio` if an add-on announced it."""


class House(BaseModel):
    """What the template of `house` tells."""

    players: list[Player]
    engines: list[Engine]


class RegistryEntry(BaseModel):
    """Of `config/entity_registry/get`."""

    original_name: str | None = None
    """The name that the integration gave, whatever users call it."""


class EngineVoice(BaseModel):
    """Of `tts/engine/voices`."""

    voice_id: str


class EngineVoices(BaseModel):
    """Of `tts/engine/voices`."""

    voices: list[EngineVoice] | None
    """None for a language that the engine does not speak."""


class Choice(BaseModel):
    """Which voice of which engine an assistant speaks with."""

    tts_engine: str | None
    tts_language: str | None
    tts_voice: str | None


class Pipeline(Choice):
    """Of `assist_pipeline/pipeline/list`, with all its fields: whoever updates one has to send them back."""

    model_config = ConfigDict(extra="allow")

    id: str
    name: str
    language: str

    @property
    def choice(self) -> Choice:
        """What it speaks with."""
        return Choice(tts_engine=self.tts_engine, tts_language=self.tts_language, tts_voice=self.tts_voice)


class Pipelines(BaseModel):
    """Of `assist_pipeline/pipeline/list`."""

    pipelines: list[Pipeline]
    preferred_pipeline: str | None


USERS: Final = TypeAdapter(list[User])
HOUSE: Final = TypeAdapter(House)
REGISTRY_ENTRY: Final = TypeAdapter(RegistryEntry)
ENGINE_VOICES: Final = TypeAdapter(EngineVoices)
PIPELINES: Final = TypeAdapter(Pipelines)
STATE: Final = TypeAdapter(str)
"""Of an entity, as a template of `states` tells it."""
NOTHING: Final = TypeAdapter(object)
"""Of commands whose answer is not read."""
