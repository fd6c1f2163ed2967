"""Speakers and assistants of Home Assistant: what the page may do with them, and why not."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import httpx
import pytest

from tests.support.fake_home_assistant import (
    ADMIN,
    OUR_ENGINE,
    RESIDENT,
    TOKEN,
    Engine,
    FakeHomeAssistant,
    Refusal,
    fake_home_assistant,
    pipeline,
    player,
)
from tests.support.page_site import product
from wyoming_tts.bounded_json import InvalidJson
from wyoming_tts.errors import UnknownVoice
from wyoming_tts.page.home_assistant import changes, connection
from wyoming_tts.page.home_assistant import service as service_module
from wyoming_tts.page.home_assistant.answers import HOUSE
from wyoming_tts.page.home_assistant.changes import FILE_NAME
from wyoming_tts.page.home_assistant.problems import HomeAssistantProblem, Problem
from wyoming_tts.page.home_assistant.service import (
    Assistant,
    HomeAssistantService,
    MediaPlayer,
    PlayerOutcome,
)
from wyoming_tts.page.home_assistant.supervisor import SupervisorAccess
from wyoming_tts.speech import Attribution, Voice

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

VOICE = "en_US-letters-low"
CHOIR = "en_GB-choir-low"
SPOKEN = {
    "en_GB": (CHOIR,),
    "en_US": (VOICE, "espeak-en-us"),
    "de_DE": ("de_DE-tones-low", "de_DE-tones-low#bert"),
}
CLOUD = {"tts_engine": "tts.cloud", "tts_language": "en-GB", "tts_voice": "Sonia"}
KITCHEN = "media_player.kitchen"


VOICES = {
    name: Voice(
        name=name,
        engine="piper",
        language=name[:5],
        description=name,
        sample_rate=16_000,
        model=name,
        attribution=Attribution("tests", ""),
        speakers=speakers,
    )
    for name, speakers in {
        VOICE: {},
        "de_DE-tones-low": {"anna": 0, "bert": 1},
        CHOIR: {f"p{number}": number for number in range(109)},
    }.items()
}


def house() -> dict[str, Any]:
    """A house with this add-on, two assistants and some players."""
    return {
        "engines": {OUR_ENGINE: Engine(voices=SPOKEN), "tts.piper": Engine(name="piper", voices=SPOKEN)},
        "pipelines": [pipeline("01a", "Butler", **CLOUD), pipeline("01b", "Home Assistant")],
        "players": [
            player(KITCHEN, "Kitchen display", area="Kitchen"),
            player("media_player.tv", "TV", state="unavailable"),
            player("media_player.remote", "Remote control", features=1),
            player("media_player.old_hidden", "Hidden"),
        ],
    }


@pytest.fixture
async def home() -> AsyncIterator[FakeHomeAssistant]:
    async with fake_home_assistant(**house()) as home:
        yield home


def find_voice(name: str) -> Voice:
    """An installed voice, as the library finds it."""
    if name not in VOICES:
        raise UnknownVoice(f"There is no voice {name}.")
    return VOICES[name]


@pytest.fixture
async def service(home: FakeHomeAssistant, tmp_path: Path) -> HomeAssistantService:
    return await made_service(home.access, tmp_path)


async def made_service(access: SupervisorAccess | None, directory: Path) -> HomeAssistantService:
    """The service as after a start of the server."""
    return await asyncio.to_thread(HomeAssistantService, find_voice, access, directory, asyncio.to_thread)


async def problem_of(service: HomeAssistantService, user: str = ADMIN) -> Problem | None:
    return (await service.view(user)).problem


async def test_an_administrator_sees_the_players_and_assistants(service: HomeAssistantService) -> None:
    seen = await service.view(ADMIN)
    assert seen.problem is None
    assert seen.players == (
        MediaPlayer(KITCHEN, "Kitchen display", "Kitchen", is_available=True),
        MediaPlayer("media_player.tv", "TV", "", is_available=False),
    )
    assert [each.name for each in seen.assistants] == ["Home Assistant", "Butler"], "the preferred one first"
    assert [each.voice for each in seen.assistants] == ["", "Sonia"]
    assert not any(each.is_ours or each.before for each in seen.assistants)


async def test_a_player_speaks_a_text_with_a_voice(
    service: HomeAssistantService, home: FakeHomeAssistant
) -> None:
    await service.speak(ADMIN, KITCHEN, "Dinner is ready.", voice=VOICE)
    await service.speak(ADMIN, KITCHEN, "Essen!", voice="de_DE-tones-low", speaker="bert")
    spoken = {"media_player_entity_id": KITCHEN, "cache": False}
    assert home.services == [
        (
            "tts.speak",
            {"entity_id": OUR_ENGINE},
            {**spoken, "message": "Dinner is ready.", "options": {"voice": VOICE}},
        ),
        (
            "tts.speak",
            {"entity_id": OUR_ENGINE},
            {**spoken, "message": "Essen!", "options": {"voice": "de_DE-tones-low#bert"}},
        ),
    ]


async def test_a_speaker_of_many_can_be_heard_but_not_given_to_an_assistant(
    service: HomeAssistantService, home: FakeHomeAssistant
) -> None:
    await service.speak(ADMIN, KITCHEN, "Hello.", voice=CHOIR, speaker="p7")
    assert home.services[0][2]["options"] == {"voice": CHOIR, "speaker": "p7"}
    with pytest.raises(HomeAssistantProblem) as raised:
        await service.use_voice(ADMIN, "01a", voice=CHOIR, speaker="p7")
    assert raised.value.problem is Problem.SPEAKER_NOT_LISTED
    await service.use_voice(ADMIN, "01a", voice=CHOIR, speaker="p0")  # the usual one
    assert home.pipelines[0]["tts_voice"] == CHOIR


async def test_an_assistant_takes_a_voice_and_keeps_all_else(
    service: HomeAssistantService, home: FakeHomeAssistant
) -> None:
    before = dict(home.pipelines[0])
    await service.use_voice(ADMIN, "01a", voice=VOICE)
    ours = {"tts_engine": OUR_ENGINE, "tts_language": "en_US", "tts_voice": VOICE}
    assert home.pipelines[0] == {**before, **ours}
    (butler,) = (each for each in (await service.view(ADMIN)).assistants if each.id == "01a")
    assert (butler.is_ours, butler.voice, butler.before) == (True, VOICE, "Sonia")


async def test_undo_brings_back_what_an_assistant_spoke_with_before_it_was_changed_here(
    service: HomeAssistantService, home: FakeHomeAssistant
) -> None:
    before = dict(home.pipelines[0])
    await service.use_voice(ADMIN, "01a", voice=VOICE)
    await service.use_voice(ADMIN, "01a", voice="de_DE-tones-low")
    await service.undo(ADMIN, "01a")
    assert home.pipelines[0] == before
    assert not any(each.before for each in (await service.view(ADMIN)).assistants)


async def test_undo_leaves_alone_what_somebody_else_has_changed_since(
    service: HomeAssistantService, home: FakeHomeAssistant
) -> None:
    await service.use_voice(ADMIN, "01a", voice=VOICE)
    home.pipelines[0]["tts_voice"] = "espeak-en-us"
    with pytest.raises(HomeAssistantProblem) as raised:
        await service.undo(ADMIN, "01a")
    assert raised.value.problem is Problem.ASSISTANT_CHANGED
    assert home.pipelines[0]["tts_voice"] == "espeak-en-us"


async def butler(service: HomeAssistantService) -> Assistant:
    """The assistant 01a, as the page sees it."""
    return next(each for each in (await service.view(ADMIN)).assistants if each.id == "01a")


async def test_a_change_can_be_undone_after_a_restart(home: FakeHomeAssistant, tmp_path: Path) -> None:
    before = dict(home.pipelines[0])
    await (await made_service(home.access, tmp_path)).use_voice(ADMIN, "01a", voice=VOICE)
    restarted = await made_service(home.access, tmp_path)
    assert (await butler(restarted)).before == "Sonia"
    await restarted.undo(ADMIN, "01a")
    assert home.pipelines[0] == before
    assert (await butler(await made_service(home.access, tmp_path))).before is None
    assert TOKEN not in (tmp_path / FILE_NAME).read_text()


async def test_that_somebody_else_has_changed_an_assistant_meanwhile_is_told_once(
    home: FakeHomeAssistant, tmp_path: Path
) -> None:
    await (await made_service(home.access, tmp_path)).use_voice(ADMIN, "01a", voice=VOICE)
    home.pipelines[0]["tts_voice"] = "espeak-en-us"
    restarted = await made_service(home.access, tmp_path)
    seen = await butler(restarted)
    assert (seen.before, seen.was_changed) == (None, True)
    assert not (await butler(await made_service(home.access, tmp_path))).was_changed


@pytest.mark.parametrize("content", [b"", b"[]", b'{"01a": {}}', b"x" * 300_000])
async def test_a_damaged_file_of_changes_is_forgotten(
    home: FakeHomeAssistant, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    assert (await butler(await made_service(home.access, tmp_path))).before is None


async def test_where_changes_cannot_be_kept_they_can_be_undone_until_the_next_start(
    home: FakeHomeAssistant, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    service = await made_service(home.access, tmp_path / "file")
    await service.use_voice(ADMIN, "01a", voice=VOICE)
    assert (await butler(service)).before == "Sonia"
    assert "until the next start only" in caplog.text


@pytest.mark.parametrize("odd", ["v" * 250_000, "\ud800"])
async def test_an_odd_name_costs_no_other_assistant_its_undo(
    home: FakeHomeAssistant, tmp_path: Path, odd: str
) -> None:
    home.pipelines[1] |= CLOUD | {"tts_voice": odd}
    service = await made_service(home.access, tmp_path)
    for assistant in ("01a", "01b"):
        await service.use_voice(ADMIN, assistant, voice=VOICE)
    assert [*await asyncio.to_thread(changes.read_changes, tmp_path)] == ["01a"]
    await service.undo(ADMIN, "01b")
    assert home.pipelines[1]["tts_voice"] == odd


async def test_only_so_many_changes_are_kept(
    home: FakeHomeAssistant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_module, "MAX_CHANGES", 1)
    service = await made_service(home.access, tmp_path)
    for assistant in ("01a", "01b"):
        await service.use_voice(ADMIN, assistant, voice=VOICE)
    assert [*await asyncio.to_thread(changes.read_changes, tmp_path)] == ["01b"]


@pytest.mark.parametrize(
    ("before", "after", "outcome"),
    [
        ("idle", ("playing",), PlayerOutcome.PLAYING),
        ("idle", ("buffering", "playing"), PlayerOutcome.PLAYING),
        ("idle", ("unavailable",), PlayerOutcome.GONE),
        ("idle", ("idle",), PlayerOutcome.TAKEN),
        ("playing", ("playing",), PlayerOutcome.TAKEN),
    ],
    ids=["plays", "plays soon", "goes away", "says nothing", "played before"],
)
async def test_what_a_player_does_with_a_text_is_told(
    service: HomeAssistantService,
    home: FakeHomeAssistant,
    monkeypatch: pytest.MonkeyPatch,
    *,
    before: str,
    after: tuple[str, ...],
    outcome: PlayerOutcome,
) -> None:
    if outcome is PlayerOutcome.TAKEN:
        monkeypatch.setattr(service_module, "_WATCH_SECONDS", 0.05)
    home.players[0].state, home.states_after_speech = before, after
    assert await service.speak(ADMIN, KITCHEN, "Hello.", voice=VOICE) is outcome
    assert len(home.services) == 1


async def test_only_an_administrator_who_comes_by_the_ingress_may_act(
    service: HomeAssistantService, home: FakeHomeAssistant
) -> None:
    before = [dict(each) for each in home.pipelines]
    for user, problem in {
        "": Problem.NOT_BY_INGRESS,
        RESIDENT: Problem.NOT_ADMIN,
        "nobody": Problem.NOT_ADMIN,
    }.items():
        assert await problem_of(service, user) is problem
        for act in (
            service.speak(user, KITCHEN, "Boo", voice=VOICE),
            service.use_voice(user, "01a", voice=VOICE),
            service.undo(user, "01a"),
        ):
            with pytest.raises(HomeAssistantProblem) as raised:
                await act
            assert raised.value.problem is problem
    assert (home.services, home.pipelines) == ([], before)


async def test_a_server_that_is_no_add_on_says_so(tmp_path: Path) -> None:
    assert await problem_of(await made_service(None, tmp_path)) is Problem.NOT_AN_ADDON


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        ({"status": HTTPStatus.BAD_GATEWAY}, Problem.UNREACHABLE),
        ({"status": HTTPStatus.BAD_REQUEST}, Problem.UNREACHABLE),
        ({"status": HTTPStatus.FORBIDDEN}, Problem.NOT_ALLOWED),
        ({"breaks_off": True}, Problem.UNREACHABLE),
        ({"engines": {}}, Problem.NOT_SET_UP),
        ({"engines": {"tts.piper": Engine(name="piper", voices=SPOKEN)}}, Problem.NOT_SET_UP),
        ({"pipelines": [{"id": "01"}]}, Problem.REFUSED),
    ],
)
async def test_what_keeps_the_page_from_the_house_is_told(
    service: HomeAssistantService, home: FakeHomeAssistant, fault: dict[str, Any], problem: Problem
) -> None:
    for name, value in fault.items():
        setattr(home, name, value)
    assert await problem_of(service) is problem


async def test_a_token_that_is_not_taken_and_a_supervisor_that_is_away_are_told(
    home: FakeHomeAssistant, tmp_path: Path
) -> None:
    wrong = SupervisorAccess(home.access.address, "another")
    assert await problem_of(await made_service(wrong, tmp_path)) is Problem.NOT_ALLOWED
    away = SupervisorAccess("http://127.0.0.1:9", TOKEN)
    assert await problem_of(await made_service(away, tmp_path)) is Problem.UNREACHABLE


@pytest.mark.parametrize("status", [HTTPStatus.FOUND, HTTPStatus.PERMANENT_REDIRECT])
async def test_a_supervisor_that_redirects_never_gets_the_token_sent_elsewhere(
    service: HomeAssistantService, home: FakeHomeAssistant, status: HTTPStatus
) -> None:
    async with fake_home_assistant(**house()) as other:
        home.status, home.location = status, other.access.websocket
        assert await problem_of(service) is Problem.UNREACHABLE
        assert other.connections == 0


async def test_a_home_assistant_that_does_not_answer_is_given_up(
    service: HomeAssistantService, home: FakeHomeAssistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_SECONDS", 0.05)
    home.is_silent = True
    assert await problem_of(service) is Problem.UNREACHABLE


@pytest.mark.parametrize(
    ("engines", "problem"),
    [
        ({"tts.a": Engine(), "tts.b": Engine(voices={"en_US": ("other",)})}, Problem.VOICE_NOT_LISTED),
        ({"tts.a": Engine(voices=SPOKEN), "tts.b": Engine(voices=SPOKEN)}, Problem.SEVERAL),
        ({"tts.a": Engine(voices=SPOKEN), "tts.b": Engine(voices=SPOKEN, source="zeroconf")}, None),
        ({"tts.a": Engine(voices=SPOKEN, source="user")}, None),
    ],
    ids=["the voice is not listed", "two add-ons", "the add-on before another machine", "added by hand"],
)
async def test_the_engine_that_is_this_server_is_found_or_the_reason_told(
    service: HomeAssistantService,
    home: FakeHomeAssistant,
    engines: dict[str, Engine],
    problem: Problem | None,
) -> None:
    home.engines = engines
    if problem is None:
        await service.use_voice(ADMIN, "01a", voice=VOICE)
        assert home.pipelines[0]["tts_engine"] == "tts.a"
        return
    with pytest.raises(HomeAssistantProblem) as raised:
        await service.use_voice(ADMIN, "01a", voice=VOICE)
    assert raised.value.problem is problem


async def test_players_that_are_away_or_none_at_all_are_not_asked(
    service: HomeAssistantService, home: FakeHomeAssistant
) -> None:
    for name in ("media_player.tv", "media_player.remote", "media_player.nowhere", "light.kitchen"):
        with pytest.raises(HomeAssistantProblem) as raised:
            await service.speak(ADMIN, name, "Hello", voice=VOICE)
        assert raised.value.problem is Problem.PLAYER_AWAY
    assert home.services == []


async def test_what_home_assistant_says_to_a_refusal_is_told(
    service: HomeAssistantService, home: FakeHomeAssistant
) -> None:
    home.refusal = Refusal("home_assistant_error", "The cast device\nis gone" + "!" * 1000)
    with pytest.raises(HomeAssistantProblem, match="It says: The cast device is gone") as raised:
        await service.speak(ADMIN, KITCHEN, "Hello", voice=VOICE)
    assert raised.value.problem is Problem.REFUSED
    assert len(raised.value.message) < 400


async def test_an_unknown_voice_or_assistant_changes_nothing(
    service: HomeAssistantService, home: FakeHomeAssistant
) -> None:
    before = [dict(each) for each in home.pipelines]
    with pytest.raises(UnknownVoice):
        await service.use_voice(ADMIN, "01a", voice="nobody")
    with pytest.raises(HomeAssistantProblem):
        await service.use_voice(ADMIN, "01z", voice=VOICE)
    assert home.pipelines == before


async def test_neither_token_nor_text_is_logged_even_with_debug(
    service: HomeAssistantService, home: FakeHomeAssistant, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await service.speak(ADMIN, KITCHEN, "A secret sentence.", voice=VOICE)
    home.status = HTTPStatus.BAD_GATEWAY
    await service.view(ADMIN)
    lines = [each.getMessage() for each in caplog.records if each.name != "websockets.server"]  # the fake's
    assert any(KITCHEN in line for line in lines)
    assert not any("secret sentence" in line or TOKEN in line for line in lines)
    assert TOKEN not in repr(home.access)


def test_the_token_is_taken_out_of_the_environment_that_children_inherit() -> None:
    environment = {"SUPERVISOR_TOKEN": TOKEN, "HASSIO_TOKEN": TOKEN, "PATH": os.defpath}
    access = SupervisorAccess.take(environment)
    assert access == SupervisorAccess("http://supervisor", TOKEN)
    assert access.websocket == "ws://supervisor/core/websocket"
    assert environment == {"PATH": os.defpath}
    assert SupervisorAccess.take(environment) is None


async def test_the_routes_believe_the_ingress_alone_who_the_user_is(
    home: FakeHomeAssistant, tmp_path: Path
) -> None:
    body = {"player": KITCHEN, "text": "Hello.", "voice": VOICE}
    user = {"X-Remote-User-Id": ADMIN}
    path = "page/home-assistant"
    async with (
        product(tmp_path, ingress_peer="127.0.0.1", supervisor=home.access) as site,
        httpx.AsyncClient(base_url=site.url, headers=user) as client,
    ):
        stranger = await client.post(f"{path}/speak", json=body)
        assert (stranger.status_code, stranger.json()["error"]["code"]) == (403, Problem.NOT_BY_INGRESS)
        assert (await client.get(path)).json()["problem"] == Problem.NOT_BY_INGRESS
        assert home.services == []

        client.headers["X-Ingress-Path"] = "/api/hassio_ingress/token"
        assert (await client.post(f"{path}/speak", json=body)).json() == {"state": "playing"}
        assert len(home.services) == 1
        used = await client.post(f"{path}/use", json={"assistant": "01a", "voice": VOICE})
        assert [each["voice"] for each in used.json()["assistants"]] == ["", VOICE]
        undone = await client.post(f"{path}/undo", json={"assistant": "01a"})
        assert [each["voice"] for each in undone.json()["assistants"]] == ["", "Sonia"]
        for changed in ({"player": "light.kitchen"}, {"player": f"{KITCHEN}, all"}, {"text": "a" * 1001}):
            refused = await client.post(f"{path}/speak", json=body | changed)
            assert refused.status_code in {400, 413}
        assert len(home.services) == 1
        report = await client.get("page/report.md")
        assert TOKEN not in report.text


class Scripted:
    """A socket on which replies come, whatever is asked."""

    def __init__(self, *replies: object) -> None:
        self._replies = iter(replies)

    async def send(self, _: str) -> None:
        """Take a command."""

    async def recv(self) -> str:
        """Return the next reply."""
        return json.dumps(next(self._replies))


@pytest.mark.parametrize(
    "replies",
    [
        [[]],
        [{"id": 1, "type": "result", "success": False, "error": "text"}],
        [{"id": 1, "type": "result", "success": True}, {"id": 1, "type": "event", "event": "text"}],
        [{"id": 1, "type": "result", "success": True}, {"id": 1, "type": "event"}],
    ],
)
async def test_replies_of_another_form_are_not_understood(replies: list[object]) -> None:
    socket = connection.HomeAssistantConnection(cast("ClientConnection", Scripted(*replies)))
    with pytest.raises(InvalidJson):
        await socket.render("{}", HOUSE)
