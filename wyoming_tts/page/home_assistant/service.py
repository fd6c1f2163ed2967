"""Speakers and assistants of Home Assistant: the page has them speak, and choose a voice of this server.

It acts with the add-on's rights, which are those of an administrator. So each request has to come from one,
whom the ingress names: otherwise anybody with a way to this server could reach into the house.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Callable, Container, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from wyoming_tts.blocking import RunBlocking
from wyoming_tts.page.home_assistant.answers import (
    ENGINE_VOICES,
    HOUSE,
    NOTHING,
    PIPELINES,
    REGISTRY_ENTRY,
    STATE,
    USERS,
    Choice,
    House,
    Pipeline,
)
from wyoming_tts.page.home_assistant.changes import MAX_CHANGES, Change, keep_changes, read_changes
from wyoming_tts.page.home_assistant.problems import CommandRefused, HomeAssistantProblem, Problem
from wyoming_tts.page.home_assistant.supervisor import SupervisorAccess
from wyoming_tts.speech import SPEAKER_MARK, Voice
from wyoming_tts.transports.wyoming.protocol import MAX_ADVERTISED_SPEAKERS, PROGRAM

if TYPE_CHECKING:
    from wyoming_tts.page.home_assistant.connection import HomeAssistantConnection

_LOGGER = logging.getLogger(__name__)

_MAX_CONNECTIONS = 4
_MAX_ENGINES = 16
_PLAY_MEDIA = 512
"""`MediaPlayerEntityFeature.PLAY_MEDIA`: the player takes what it is to play from Home Assistant."""
_AWAY, _PLAYING = "unavailable", "playing"
_WATCH_SECONDS = 4.0
"""Until a player that took a text tells that it plays: cast devices take two or three."""
_PLAYER: Final = re.compile(r"media_player\.[a-z0-9_]{1,200}")
_HOUSE = """
{%- set found = namespace(players=[], engines=[]) -%}
{%- for player in states.media_player if not is_hidden_entity(player.entity_id) -%}
  {%- set found.players = found.players + [{
    "id": player.entity_id, "name": player.name, "area": area_name(player.entity_id) or "",
    "state": player.state, "features": player.attributes.get("supported_features", 0) | int(0)}] -%}
{%- endfor -%}
{%- for engine in integration_entities("wyoming") if engine.startswith("tts.") -%}
  {%- set found.engines = found.engines + [{
    "id": engine, "source": config_entry_attr(config_entry_id(engine), "source") or ""}] -%}
{%- endfor -%}
{{ {"players": found.players, "engines": found.engines} | to_json }}
"""
"""Asks for what is needed of the house and no more: all states are megabytes in a large one."""
_ADDON_SOURCE = "hassio"
"""How an entry came that an add-on announced, as this one does."""


@dataclass(frozen=True, slots=True)
class MediaPlayer:
    """A media player of Home Assistant that can play speech."""

    id: str
    name: str
    area: str
    """Empty if it is in none."""
    is_available: bool


@dataclass(frozen=True, slots=True)
class Assistant:
    """A voice assistant of Home Assistant, there called a pipeline."""

    id: str
    name: str
    language: str
    engine: str
    """The entity that speaks; empty if none does."""
    voice: str
    """As the engine names it; empty if none is chosen."""
    is_ours: bool
    """Whether this server speaks for it."""
    before: str | None
    """The voice that `undo` brings back, or the engine if it had none; None if there is nothing to undo."""
    was_changed: bool
    """Whether somebody else has changed it since it was changed from here. That is told once."""


@dataclass(frozen=True, slots=True)
class HouseView:
    """What can be used in Home Assistant, or why nothing can."""

    problem: Problem | None
    message: str
    players: tuple[MediaPlayer, ...] = ()
    assistants: tuple[Assistant, ...] = ()


class PlayerOutcome(StrEnum):
    """What is known of a player a moment after it took a text."""

    PLAYING = "playing"
    TAKEN = "taken"
    """It did not say that it plays: it may be slow, or have been playing before."""
    GONE = "gone"


class HomeAssistantService:
    """Acts in Home Assistant for the page. Runs on the event loop, but is made on a worker: that imports.

    Args:
        find_voice: Returns an installed voice by its name, or raises a `SpeechError`.
        access: How Home Assistant is reached; None where this server is no add-on.
        directory: Where what can be undone is kept over a restart.
        run: Runs what touches files.
    """

    def __init__(
        self,
        find_voice: Callable[[str], Voice],
        access: SupervisorAccess | None,
        directory: Path,
        run: RunBlocking,
    ) -> None:
        self._find_voice = find_voice
        self._connect = None if access is None else _connector(access)
        self._connections = asyncio.Semaphore(_MAX_CONNECTIONS)
        self._changing = asyncio.Lock()
        self._directory = directory
        self._run = run
        self._changes = {} if access is None else read_changes(directory)

    async def view(self, user: str) -> HouseView:
        """Return the players and assistants, or the problem that keeps the user from them.

        Args:
            user: The ID of Home Assistant's user that the ingress names; empty if it names none.
        """
        seen = dict(self._changes)
        try:
            async with self._open(user) as connection:
                house = await connection.render(_HOUSE, HOUSE)
                engines = await _our_engines(connection, house)
                pipelines = await _pipelines(connection)
        except HomeAssistantProblem as error:
            return HouseView(error.problem, error.message)
        stale = self._stale(seen, pipelines)
        assistants = tuple(self._assistant(pipeline, engines, stale) for pipeline in pipelines)
        if stale:
            async with self._changing:
                for assistant in stale:
                    self._changes.pop(assistant, None)
                await self._keep()
        return HouseView(None, "", tuple(_players(house)), assistants)

    async def speak(
        self, user: str, player: str, text: str, *, voice: str, speaker: str = ""
    ) -> PlayerOutcome:
        """Have a player speak a text, and return what is known of it after `_WATCH_SECONDS` at most.

        Raises:
            HomeAssistantProblem: it cannot be done.
            SpeechError: the voice is not installed.
        """
        found = self._find_voice(voice)
        async with self._open(user) as connection:
            house = await connection.render(_HOUSE, HOUSE)
            states = {each.id: each.state for each in house.players}
            if player not in {each.id for each in _players(house) if each.is_available}:
                raise HomeAssistantProblem(Problem.PLAYER_AWAY)
            options = _options(found, speaker)
            await connection.command(
                "call_service",
                NOTHING,
                domain="tts",
                service="speak",
                target={"entity_id": await _engine_with(connection, house, found, options["voice"])},
                service_data={
                    "media_player_entity_id": player,
                    "message": text,
                    "cache": False,
                    "options": options,
                },
            )
            _LOGGER.info("Home Assistant speaks on %s with %s.", player, options["voice"])
            return await _outcome(connection, player, before=states[player])

    async def use_voice(self, user: str, assistant: str, *, voice: str, speaker: str = "") -> None:
        """Have an assistant speak with a voice of this server.

        Raises:
            HomeAssistantProblem: it cannot be done.
            SpeechError: the voice is not installed.
        """
        found = self._find_voice(voice)
        options = _options(found, speaker)
        if "speaker" in options:  # an assistant has a voice and nothing more
            raise HomeAssistantProblem(Problem.SPEAKER_NOT_LISTED)
        listed = options["voice"]
        async with self._changing, self._open(user) as connection:
            engine = await _engine_with(connection, await connection.render(_HOUSE, HOUSE), found, listed)
            now = await _pipeline(connection, assistant)
            after = Choice(tts_engine=engine, tts_language=found.language, tts_voice=listed)
            if after == now.choice:
                return
            change = self._change_of(now)
            await _update(connection, now, after)
            self._changes.pop(assistant, None)
            self._changes[assistant] = Change(before=change.before if change else now.choice, after=after)
            await self._keep()
        _LOGGER.info("Home Assistant's assistant %r speaks with %s.", now.name, listed)

    async def undo(self, user: str, assistant: str) -> None:
        """Give an assistant back what it spoke with before it was changed from here.

        Raises:
            HomeAssistantProblem: it cannot be done, or somebody else has changed it since.
        """
        async with self._changing, self._open(user) as connection:
            now = await _pipeline(connection, assistant)
            if (change := self._change_of(now)) is None:
                raise HomeAssistantProblem(Problem.ASSISTANT_CHANGED)
            await _update(connection, now, change.before)
            del self._changes[assistant]
            await self._keep()

    @asynccontextmanager
    async def _open(self, user: str) -> AsyncIterator[HomeAssistantConnection]:
        """Connect for a user, who has to be an administrator."""
        if self._connect is None:
            raise HomeAssistantProblem(Problem.NOT_AN_ADDON)
        if not user:
            raise HomeAssistantProblem(Problem.NOT_BY_INGRESS)
        async with self._connections, self._connect() as connection:
            users = await connection.command("config/auth/list", USERS)
            if not any(each.is_admin for each in users if each.id == user):
                raise HomeAssistantProblem(Problem.NOT_ADMIN)
            yield connection

    async def _keep(self) -> None:
        for assistant in [*self._changes][:-MAX_CHANGES]:
            del self._changes[assistant]
        await self._run(partial(keep_changes, self._directory, dict(self._changes)))

    def _stale(self, seen: Mapping[str, Change], pipelines: Iterable[Pipeline]) -> set[str]:
        """The assistants that somebody else has changed or removed since.

        Args:
            seen: The changes before Home Assistant was asked: what was changed meanwhile is not judged.
            pipelines: Its answer.
        """
        if self._changing.locked():
            return set()
        choices = {each.id: each.choice for each in pipelines}
        return {
            assistant
            for assistant, change in self._changes.items()
            if seen.get(assistant) is change and choices.get(assistant) != change.after
        }

    def _change_of(self, pipeline: Pipeline) -> Change | None:
        """What was changed from here, unless somebody else has changed it since."""
        change = self._changes.get(pipeline.id)
        return change if change is not None and change.after == pipeline.choice else None

    def _assistant(self, pipeline: Pipeline, engines: Container[str], stale: Container[str]) -> Assistant:
        change = self._change_of(pipeline)
        return Assistant(
            id=pipeline.id,
            name=pipeline.name,
            language=pipeline.language,
            engine=pipeline.tts_engine or "",
            voice=pipeline.tts_voice or "",
            is_ours=pipeline.tts_engine in engines,
            before=None if change is None else change.before.tts_voice or change.before.tts_engine or "",
            was_changed=pipeline.id in stale,
        )


def _connector(
    access: SupervisorAccess,
) -> Callable[[], AbstractAsyncContextManager[HomeAssistantConnection]]:
    # Only an add-on needs the WebSocket client.
    from wyoming_tts.page.home_assistant.connection import open_connection  # noqa: PLC0415

    return partial(open_connection, access)


def _players(house: House) -> Iterable[MediaPlayer]:
    for each in house.players:
        if each.features & _PLAY_MEDIA and _PLAYER.fullmatch(each.id):
            yield MediaPlayer(each.id, each.name, each.area, each.state != _AWAY)


async def _outcome(connection: HomeAssistantConnection, player: str, *, before: str) -> PlayerOutcome:
    """Return what the state of a player tells that has taken a text."""
    template = f'{{{{ states("{player}") | to_json }}}}'
    with suppress(TimeoutError):
        async with asyncio.timeout(_WATCH_SECONDS), aclosing(connection.watch(template, STATE)) as states:
            async for state in states:
                if state == _AWAY:
                    return PlayerOutcome.GONE
                if state == _PLAYING != before:
                    return PlayerOutcome.PLAYING
    return PlayerOutcome.TAKEN


async def _our_engines(connection: HomeAssistantConnection, house: House) -> list[str]:
    """Return the engines that a server like this one provides, by the name that it gave them itself.

    Raises:
        HomeAssistantProblem: there is none.
    """
    named = [
        engine
        for engine in house.engines[:_MAX_ENGINES]
        if await _original_name(connection, engine.id) == PROGRAM
    ]
    if not named:
        raise HomeAssistantProblem(Problem.NOT_SET_UP)
    of_addons = [engine.id for engine in named if engine.source == _ADDON_SOURCE]
    return of_addons or [engine.id for engine in named]


async def _original_name(connection: HomeAssistantConnection, entity: str) -> str | None:
    try:
        entry = await connection.command("config/entity_registry/get", REGISTRY_ENTRY, entity_id=entity)
    except CommandRefused:  # it is gone
        return None
    return entry.original_name


async def _engine_with(connection: HomeAssistantConnection, house: House, voice: Voice, listed: str) -> str:
    """Return the engine that is this server: the one of its name that lists the voice."""
    engines = await _our_engines(connection, house)
    able = [engine for engine in engines if listed in await _voices(connection, engine, voice.language)]
    if len(able) != 1:
        raise HomeAssistantProblem(Problem.SEVERAL if able else Problem.VOICE_NOT_LISTED)
    return able[0]


async def _voices(connection: HomeAssistantConnection, engine: str, language: str) -> set[str]:
    try:
        answer = await connection.command(
            "tts/engine/voices", ENGINE_VOICES, engine_id=engine, language=language
        )
    except CommandRefused:  # it is not loaded
        return set()
    return {each.voice_id for each in answer.voices or ()}


async def _pipelines(connection: HomeAssistantConnection) -> Sequence[Pipeline]:
    """Return all of them, the preferred one first."""
    answer = await connection.command("assist_pipeline/pipeline/list", PIPELINES)
    return sorted(answer.pipelines, key=lambda each: each.id != answer.preferred_pipeline)


async def _pipeline(connection: HomeAssistantConnection, assistant: str) -> Pipeline:
    found = next((each for each in await _pipelines(connection) if each.id == assistant), None)
    if found is None:
        raise HomeAssistantProblem(Problem.ASSISTANT_CHANGED)
    return found


async def _update(connection: HomeAssistantConnection, pipeline: Pipeline, choice: Choice) -> None:
    """Change a pipeline. All its fields are sent back: those that are missing fall to their defaults."""
    fields = {**pipeline.model_dump(exclude={"id"}), **choice.model_dump()}
    await connection.command("assist_pipeline/pipeline/update", NOTHING, pipeline_id=pipeline.id, **fields)


def _options(voice: Voice, speaker: str) -> dict[str, str]:
    """Return the options of `tts.speak` for a voice, or one of its speakers."""
    if voice.speakers.get(speaker) in {None, voice.default_speaker or 0}:
        return {"voice": voice.name}
    if 1 < len(voice.speakers) <= MAX_ADVERTISED_SPEAKERS:
        return {"voice": f"{voice.name}{SPEAKER_MARK}{speaker}"}
    return {"voice": voice.name, "speaker": speaker}
