"""The status service and its routes: server state, recent utterances, addresses, log and settings."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterable, Mapping
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient

from tests.support.fake_synthesizer import run_in_thread
from tests.support.parts import running_parts
from tests.support.tones import LETTERS
from tests.unit.telemetry.records import failed, record
from wyoming_tts.assembly.parts import Parts
from wyoming_tts.page.status import (
    AdvertisedAddress,
    ListeningAddresses,
    SettingInForce,
    StatusService,
    TimeToFirstAudio,
    status_routes,
)
from wyoming_tts.server.speech_service import ServerSpeechService
from wyoming_tts.settings import LoadedSettings, Settings, load_settings
from wyoming_tts.settings.model import SECRETS
from wyoming_tts.speech import Utterance
from wyoming_tts.telemetry.log_tail import LogTail, keep_log_tail
from wyoming_tts.telemetry.recent_utterances import RecentUtterances
from wyoming_tts.text.feed import TextFeed

KEYS = ("sk-first-of-two", "sk-second-of-two")


@pytest.fixture
async def parts() -> AsyncIterator[Parts]:
    async with running_parts() as parts:
        yield parts


def _loaded(**given: Any) -> LoadedSettings:
    return load_settings(given, environ={})


def service_of(parts: Parts, **changes: Any) -> StatusService:
    given: dict[str, Any] = {
        "server": ServerSpeechService(parts),
        "addresses": ListeningAddresses,
        "settings": _loaded,
        "recent": RecentUtterances(),
        "log": LogTail(),
    }
    return StatusService(parts, **given | changes)


def _settings(parts: Parts, loaded: LoadedSettings) -> dict[str, SettingInForce]:
    return {setting.name: setting for setting in service_of(parts, settings=lambda: loaded).settings()}


async def test_the_status_of_an_idle_server_is_reported(parts: Parts) -> None:
    status = await service_of(parts).status()
    assert status.server["default_voice"] == LETTERS.name
    assert status.server["load"]["streams"] == 0  # type: ignore[index]
    assert status.spoken == ()
    assert (status.listeners, status.latency) == ((), ())


async def test_recent_utterances_are_reported_without_their_text() -> None:
    recent = RecentUtterances()
    async with running_parts() as parts:
        service = service_of(parts, recent=recent)
        parts.synthesizer._on_record = recent.on_record
        async with parts.synthesizer.speak(Utterance.of("secretly", transport="http")) as stream:
            audio_seconds = sum([chunk.seconds async for chunk in stream])
        status = await service.status()
    (spoken,) = status.spoken
    assert (spoken.transport, spoken.voice, spoken.outcome) == ("http", LETTERS.name, "done")
    assert spoken.audio_seconds == pytest.approx(audio_seconds)
    assert [latency.p50 for latency in status.latency] == [spoken.ttfa]
    assert "secretly" not in str(status)


async def test_utterances_are_listed_newest_first_with_the_reason_of_failures(parts: Parts) -> None:
    recent = RecentUtterances()
    recent.on_record(record(ttfa=0.1, audio_seconds=2.0, compute_seconds=0.5))
    recent.on_record(failed("busy"))
    status = await service_of(parts, recent=recent).status()
    assert (status.spoken[-1].xrt, status.spoken[-1].kbps) == (4.0, 1536.0)
    assert status.spoken[-1].requested_voice == "lessac"
    assert [(one.outcome, one.error, one.rtf) for one in status.spoken] == [
        ("failed", "busy", None),
        ("done", "", 0.25),
    ]
    assert status.spoken_count == 2


async def test_latencies_are_reported_by_engine_in_order_with_percentiles(parts: Parts) -> None:
    recent = RecentUtterances(clock=count(1000).__next__)
    for hundredths in range(100):
        recent.on_record(record(ttfa=hundredths / 100, engine="piper" if hundredths else "kokoro"))
    kokoro, piper = (await service_of(parts, recent=recent).status()).latency
    assert (kokoro.engine, kokoro.values, kokoro.p95) == ("kokoro", (TimeToFirstAudio(1000, 0.0),), 0.0)
    assert (piper.engine, len(piper.values), piper.values[-1]) == ("piper", 99, TimeToFirstAudio(1099, 0.99))
    assert piper.p50 == pytest.approx(0.5)
    assert piper.p95 == pytest.approx(0.941)


async def test_who_is_spoken_to_is_reported_by_name_from_the_first_text_to_the_end(parts: Parts) -> None:
    feed, asked = TextFeed(), list[set[str]]()

    def names(addresses: Iterable[str]) -> Mapping[str, str]:
        asked.append(set(addresses))
        return {"192.0.2.7": "kitchen"}

    service = service_of(parts, names=names)
    utterance = Utterance(feed, transport="wyoming", peer="192.0.2.7")
    async with parts.synthesizer.speak(utterance) as stream:
        pulling = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        (before,) = (await service.status()).listeners
        await feed.put("One sentence is here. Then")
        await pulling
        (during,) = (await service.status()).listeners
        feed.close()
        rest = [chunk async for chunk in stream]
    (after,) = (await service.status()).listeners
    assert rest
    assert (before.name, before.peer, before.transport) == ("kitchen", "192.0.2.7", "wyoming")
    assert [before.state, during.state, after.state] == ["waiting_for_text", "speaking", "sent"]
    assert (during.voice, during.requested_voice) == (LETTERS.name, "")
    assert 0 < during.ahead < after.ahead
    assert asked[-1] == {"192.0.2.7"}
    assert "sentence" not in str(during)


async def test_home_assistant_is_known_to_its_addon() -> None:
    async with running_parts(ingress_peer="172.30.32.2") as parts:
        for peer in ("172.30.32.1", "172.30.32.2", "172.30.33.9"):
            async with parts.synthesizer.speak(Utterance(TextFeed(), peer=peer)):
                (listener,) = (await service_of(parts).status()).listeners
            assert (listener.name == "Home Assistant") == (peer != "172.30.33.9")


async def test_an_overlong_voice_name_from_a_client_is_truncated(parts: Parts) -> None:
    recent = RecentUtterances()
    recent.on_record(record(voice="v" * 100_000))
    status = await service_of(parts, recent=recent).status()
    assert len(status.spoken[0].voice) <= 200


async def test_listening_addresses_are_reported_as_urls(parts: Parts) -> None:
    listening = ListeningAddresses(
        wyoming=[("127.0.0.1", 10200), ("::1", 10200)],
        http=[("127.0.0.1", 8880)],
        is_encrypted=True,
        announced_as="house",
    )
    addresses = (await service_of(parts, addresses=lambda: listening).status()).addresses
    assert addresses.wyoming == (
        AdvertisedAddress("127.0.0.1", 10200, "tcp://127.0.0.1:10200"),
        AdvertisedAddress("::1", 10200, "tcp://[::1]:10200"),
    )
    assert [address.url for address in addresses.http] == ["https://127.0.0.1:8880"]
    assert addresses.announced_as == "house"


async def test_a_wildcard_listening_address_is_replaced_by_reachable_ones(parts: Parts) -> None:
    listening = ListeningAddresses(wyoming=[("0.0.0.0", 10200)])
    addresses = (await service_of(parts, addresses=lambda: listening).status()).addresses
    assert not {"0.0.0.0", "127.0.0.1"} & {address.host for address in addresses.wyoming}


async def test_only_log_lines_after_the_given_number_are_reported(parts: Parts) -> None:
    logger = logging.Logger("of-a-test")  # noqa: LOG001 - pytest listens to the tree
    with keep_log_tail(logger=logger) as tail:
        service = service_of(parts, log=tail)
        logger.info("one")
        first = await service.status()
        logger.info("two")
        second = await service.status(log_after=first.log[-1].number)
    assert [line.text for line in first.log] == ["one"]
    assert [line.text for line in second.log] == ["two"]


async def test_every_setting_is_reported_with_its_source(parts: Parts, tmp_path: Path) -> None:
    file = tmp_path / "options.json"
    file.write_text(json.dumps({"speed": 1.5}))
    flags = {"config": str(file), "port": "1234", "zeroconf": False}
    loaded = await run_in_thread(partial(load_settings, flags, environ={"WYOMING_TTS_VOLUME": "2"}))
    reported = _settings(parts, loaded)
    assert list(reported) == list(Settings.model_fields)
    assert (reported["speed"].value, reported["speed"].source) == ("1.5", f"file {file}, key speed")
    assert (reported["port"].value, reported["port"].source) == ("1234", "flag --port")
    assert (reported["volume"].value, reported["volume"].source) == ("2", "environment WYOMING_TTS_VOLUME")
    assert (reported["zeroconf"].value, reported["zeroconf"].source) == ("false", "flag --no-zeroconf")
    assert (reported["http_port"].value, reported["http_port"].is_default) == ("8880", True)
    assert reported["http_certificate"].value == "no TLS"


async def test_secret_settings_reveal_neither_value_nor_count_nor_length(parts: Parts) -> None:
    signing = ["web=" + "a" * 32, "app=" + "b" * 40]
    one = _settings(parts, _loaded(api_keys=["x"], remote_key="y", token_keys=signing[:1]))
    other = _settings(parts, _loaded(api_keys=list(KEYS), remote_key="yyyy-yyyy-yyyy", token_keys=signing))
    assert [one[name] for name in SECRETS] == [other[name] for name in SECRETS]
    assert all(one[name].is_secret and not one[name].value for name in SECRETS)
    assert not any(_settings(parts, _loaded())[name].is_secret for name in SECRETS)


def test_every_setting_named_like_a_secret_is_treated_as_one() -> None:
    named_like_secrets = {
        name
        for name, field in Settings.model_fields.items()
        if any(word in name for word in ("key", "token", "secret", "password"))
        and "Path" not in str(field.annotation)
        and field.annotation is not int
    }
    assert named_like_secrets == SECRETS
    signing = "0123456789abcdef" * 2
    given = Settings(api_keys=KEYS, remote_key="third", token_keys=(f"web={signing}",))
    assert set(given.secrets) == {*KEYS, "third", signing}


@pytest.mark.parametrize(
    ("url", "reported"),
    [
        ("http://me:hush@host:8880", "http://***@host:8880"),
        ("http://host/speech?key=hush", "http://host/speech?***"),
        ("tcp://host:10200", "tcp://host:10200"),
    ],
)
async def test_remote_urls_are_reported_without_credentials_and_queries(
    parts: Parts, url: str, reported: str
) -> None:
    settings = _settings(parts, _loaded(remote=[url]))
    assert settings["remote"].value == reported


async def test_a_long_setting_value_is_truncated(parts: Parts) -> None:
    reported = _settings(parts, _loaded(prepare=["phrase"] * 10_000))
    assert len(reported["prepare"].value) < 400


@pytest.fixture
async def client(parts: Parts) -> AsyncIterator[AsyncClient]:
    recent = RecentUtterances()
    recent.on_record(record())
    loaded = _loaded(api_keys=list(KEYS), remote=["http://me:hush@host:1"], remote_key="sk-of-remote")
    logger = logging.Logger("of-a-test")  # noqa: LOG001 - pytest listens to the tree
    with keep_log_tail(loaded.settings.secrets, logger=logger) as tail:
        logger.info("a client came with %s", KEYS[0])
        app = FastAPI()
        app.include_router(status_routes(service_of(parts, settings=lambda: loaded, recent=recent, log=tail)))
        async with AsyncClient(transport=ASGITransport(app), base_url="http://house") as client:
            yield client


async def test_the_status_is_served_as_json_with_no_store(client: AsyncClient) -> None:
    answer = await client.get("/page/status.json")
    reported = answer.json()
    assert answer.headers["cache-control"] == "no-store"
    assert reported["spoken"][0]["transport"] == "wyoming"
    assert reported["log"][0]["text"] == "a client came with ***"
    assert {"server", "model_bytes", "addresses", "spoken_count", "latency"} < set(reported)


async def test_the_after_parameter_returns_only_newer_log_lines(client: AsyncClient) -> None:
    assert (await client.get("/page/status.json", params={"after": 1})).json()["log"] == []
    assert (await client.get("/page/status.json", params={"after": -1})).status_code == 422


async def test_no_response_contains_a_secret(client: AsyncClient) -> None:
    for path in ("/page/status.json", "/page/settings.json"):
        text = (await client.get(path)).text
        assert not any(word in text for word in (*KEYS, "sk-of-remote", "hush")), path
