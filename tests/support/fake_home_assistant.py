"""Fake of Home Assistant behind the Supervisor's proxy: its WebSocket API, as strict as its own schemas."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any

from jinja2 import Environment
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from wyoming_tts.page.home_assistant.supervisor import SupervisorAccess

TOKEN = "token-of-the-supervisor"
ADMIN, RESIDENT = "736e3ae1b4b94b8ebebef7da3cb90844", "c629980670f64b528e5fbbe043bcaed3"
OUR_ENGINE = "tts.wyoming_tts"
PIPELINE_FIELDS = frozenset(
    [
        "conversation_engine",
        "conversation_language",
        "language",
        "name",
        "stt_engine",
        "stt_language",
        "tts_engine",
        "tts_language",
        "tts_voice",
        "wake_word_entity",
        "wake_word_id",
    ]
)
"""Those that an update has to bring. `prefer_local_intents` may be left out, and is false then."""


class Refusal(Exception):
    """An error response to a command."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def pipeline(identity: str, name: str, **fields: object) -> dict[str, Any]:
    """An assistant as `assist_pipeline/pipeline/list` tells it."""
    return {
        **dict.fromkeys(PIPELINE_FIELDS),
        "id": identity,
        "name": name,
        "language": "en",
        "conversation_engine": "conversation.home_assistant",
        "conversation_language": "en",
        "prefer_local_intents": True,
        **fields,
    }


def player(identity: str, name: str, *, area: str = "", state: str = "idle", features: int = 152_461) -> Any:
    """A media player."""
    return SimpleNamespace(
        entity_id=identity, name=name, area=area, state=state, attributes={"supported_features": features}
    )


class _States:
    """The object `states` of templates."""

    def __init__(self, players: list[Any]) -> None:
        self.media_player = players

    def __call__(self, entity: str) -> str:
        return next((each.state for each in self.media_player if each.entity_id == entity), "unknown")


@dataclass(frozen=True)
class Engine:
    """An entity of the Wyoming integration that speaks."""

    name: str = "wyoming-tts"
    source: str = "hassio"
    voices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Voices by language."""


@dataclass
class FakeHomeAssistant:
    """A house, and what was done in it."""

    pipelines: list[dict[str, Any]] = field(default_factory=list)
    players: list[Any] = field(default_factory=list)
    engines: dict[str, Engine] = field(default_factory=dict)
    services: list[Any] = field(default_factory=list)
    """The services that were called, with their data."""
    states_after_speech: tuple[str, ...] = ("playing",)
    """Of a player that took a text, one after the other."""
    refusal: Refusal | None = None
    """To services."""
    status: HTTPStatus | None = None
    """Of the Supervisor, which then opens no connection."""
    location: str = ""
    """To which that status redirects."""
    connections: int = 0
    breaks_off: bool = False
    """After it took the token, as the Supervisor does while it cannot connect."""
    is_silent: bool = False
    """To commands."""
    access: SupervisorAccess = field(init=False)

    async def serve(self, socket: ServerConnection) -> None:
        """Serve a connection."""
        self.connections += 1
        await _send(socket, {"type": "auth_required", "ha_version": "2026.2.3"})
        auth = json.loads(await socket.recv())
        assert set(auth) == {"type", "access_token"}
        if auth["access_token"] != TOKEN:
            await _send(socket, {"type": "auth_invalid", "message": "Invalid access"})
            return
        await _send(socket, {"type": "auth_ok", "ha_version": "2026.2.3"})
        if self.breaks_off:
            return
        last = 0
        try:
            async for message in socket:
                command = json.loads(message)
                number, kind = command.pop("id"), command.pop("type")
                assert number > last, "Identifiers have to increase."
                last = number
                if self.is_silent:
                    continue
                await self._answer(socket, number, kind, command)
        except ConnectionClosed:
            pass

    async def _answer(self, socket: ServerConnection, number: int, kind: str, command: Any) -> None:
        try:
            result = self._handlers()[kind](**command)
        except Refusal as error:
            failure = {"code": error.code, "message": str(error)}
            await _send(socket, {"id": number, "type": "result", "success": False, "error": failure})
            return
        rendered = kind == "render_template"
        answer = None if rendered else result
        await _send(socket, {"id": number, "type": "result", "success": True, "result": answer})
        if rendered:
            event = {"result": result, "listeners": {"all": False}}
            await _send(socket, {"id": number, "type": "event", "event": event})
            await self._tell_changes(socket, number, command["template"])

    async def _tell_changes(self, socket: ServerConnection, number: int, template: str) -> None:
        """Render a template of one player's state again for each state that follows."""
        if "states(" not in template:
            return
        for state in self.states_after_speech[1:]:
            for each in self.players:
                each.state = state
            event = {"result": self._render(template), "listeners": {"all": False}}
            await _send(socket, {"id": number, "type": "event", "event": event})

    def _handlers(self) -> Mapping[str, Callable[..., Any]]:
        return {
            "config/auth/list": self._users,
            "render_template": self._render,
            "config/entity_registry/get": self._registry_entry,
            "tts/engine/voices": self._voices,
            "assist_pipeline/pipeline/list": lambda: {
                "pipelines": self.pipelines,
                "preferred_pipeline": self.pipelines[-1]["id"] if self.pipelines else None,
            },
            "assist_pipeline/pipeline/update": self._update,
            "call_service": self._call_service,
        }

    def _users(self) -> list[dict[str, Any]]:
        groups = {ADMIN: "system-admin", RESIDENT: "system-users"}
        return [
            {"id": user, "name": user, "is_owner": False, "is_active": True, "group_ids": [group]}
            for user, group in groups.items()
        ]

    def _render(self, template: str) -> str:
        areas = {each.entity_id: each.area or None for each in self.players}
        environment = Environment(autoescape=False)
        environment.filters["to_json"] = json.dumps
        return environment.from_string(template).render(
            states=_States(self.players),
            is_hidden_entity=lambda entity: entity.endswith("_hidden"),
            area_name=areas.get,
            integration_entities=lambda name: [*self.engines, "stt.other"] if name == "wyoming" else [],
            config_entry_id=lambda entity: f"entry of {entity}",
            config_entry_attr=lambda entry, name: getattr(
                self.engines[entry.removeprefix("entry of ")], name
            ),
        )

    def _registry_entry(self, entity_id: str) -> dict[str, Any]:
        if entity_id not in self.engines:
            raise Refusal("not_found", "Entity not found")
        return {
            "entity_id": entity_id,
            "platform": "wyoming",
            "original_name": self.engines[entity_id].name,
            "name": "What the user calls it",
        }

    def _voices(self, engine_id: str, language: str) -> dict[str, Any]:
        if engine_id not in self.engines:
            raise Refusal("not_found", f"tts engine {engine_id} not found")
        names = self.engines[engine_id].voices.get(language)
        voices = None if names is None else [{"voice_id": name, "name": name.title()} for name in names]
        return {"voices": voices}

    def _update(self, pipeline_id: str, **fields: Any) -> dict[str, Any]:
        missing, unknown = PIPELINE_FIELDS - set(fields), set(fields) - PIPELINE_FIELDS
        if missing or unknown - {"prefer_local_intents"}:
            raise Refusal("invalid_format", f"missing {missing}, unknown {unknown}")
        index = next((i for i, each in enumerate(self.pipelines) if each["id"] == pipeline_id), None)
        if index is None:
            raise Refusal("not_found", f"Unable to find pipeline_id {pipeline_id}")
        self.pipelines[index] = {"prefer_local_intents": False, **fields, "id": pipeline_id}
        return self.pipelines[index]

    def _call_service(self, domain: str, service: str, service_data: Any, target: Any) -> dict[str, Any]:
        if self.refusal:
            raise self.refusal
        assert set(service_data) == {"media_player_entity_id", "message", "cache", "options"}
        self.services.append((f"{domain}.{service}", target, service_data))
        for each in self.players:
            if each.entity_id == service_data["media_player_entity_id"] and self.states_after_speech:
                each.state = self.states_after_speech[0]
        return {"context": {"id": "01"}}


async def _send(socket: ServerConnection, message: object) -> None:
    await socket.send(json.dumps(message))


@asynccontextmanager
async def fake_home_assistant(**house: Any) -> AsyncIterator[FakeHomeAssistant]:
    """Run one at a free port of loopback."""
    home = FakeHomeAssistant(**house)

    def refuse(connection: ServerConnection, request: Request) -> Response | None:
        assert request.path == "/core/websocket"
        if home.status is None:
            return None
        response = connection.respond(home.status, "")
        if home.location:
            response.headers["Location"] = home.location
        return response

    async with serve(home.serve, "127.0.0.1", 0, process_request=refuse) as server:
        port = server.sockets[0].getsockname()[1]
        home.access = SupervisorAccess(f"http://127.0.0.1:{port}", TOKEN)
        yield home


@contextmanager
def home_assistant_in_a_thread(**house: Any) -> Iterator[FakeHomeAssistant]:
    """The same, for tests with Playwright, which occupies their event loop."""
    loop, over = asyncio.new_event_loop(), asyncio.Event()
    running: list[FakeHomeAssistant] = []
    is_up = threading.Event()

    async def live() -> None:
        async with fake_home_assistant(**house) as home:
            running.append(home)
            is_up.set()
            await over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(live(),), name="home assistant")
    thread.start()
    try:
        assert is_up.wait(10)
        yield running[0]
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(10)
        loop.close()
