"""Remote servers as an engine: voice discovery, probing and the hop limit."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from functools import partial

import pytest

from tests.support import scripted_server as scripted
from tests.support.fake_synthesizer import run_in_thread
from tests.support.scripted_http_server import (
    ReceivedRequest,
    as_pcm,
    scripted_http_server,
    text_of,
    upstream,
)
from tests.support.scripted_server import scripted_server
from wyoming_tts.backoff import Backoff
from wyoming_tts.engines.base import Engine, EngineOptions, RemoteOptions, RemoteVoice, samples_of
from wyoming_tts.engines.remote import pool as remote_upstreams
from wyoming_tts.engines.remote.engine import MAX_HOPS, RemoteEngine
from wyoming_tts.engines.remote.lists import ATTRIBUTION_PREFIX
from wyoming_tts.engines.remote.upstream import UpstreamFault, UpstreamFaultKind
from wyoming_tts.errors import VoiceUnavailable
from wyoming_tts.speech import Attribution, Prosody, Segment, Voice, VoiceSpec

NOBODY = "http://127.0.0.1:1"


@asynccontextmanager
async def remote(
    *addresses: str, voices: tuple[str, ...] = (), fallback: bool = False
) -> AsyncIterator[RemoteEngine]:
    options = RemoteOptions(addresses, voices=voices, connect_timeout=1.0, fallback=fallback)
    engine = await run_in_thread(lambda: RemoteEngine(EngineOptions(remote=options)))
    try:
        yield engine
    finally:
        await engine.aclose()


async def wait_until(condition: Callable[[], bool]) -> None:
    """Poll until a condition holds that no event signals."""
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.01)


def named(engine: RemoteEngine) -> dict[str, Voice]:
    return {voice.name: voice for voice in engine.installed()}


async def speak(
    engine: RemoteEngine, name: str, segment: Segment, *, speaker: int | None = None, hops: int = 0
) -> str:
    voice = await run_in_thread(lambda: engine.load(named(engine)[name]))
    assert isinstance(voice, RemoteVoice)
    async with aclosing(
        voice.stream(segment, VoiceSpec(named(engine)[name], speaker), Prosody(speed=1.5), hops=hops)
    ) as pieces:
        return text_of(as_pcm([samples_of(rendered) async for rendered in pieces]))


async def test_without_servers_there_are_no_voices_and_nothing_to_watch() -> None:
    engine: Engine = RemoteEngine(EngineOptions())
    assert engine.installed() == ()
    assert isinstance(engine, RemoteEngine)
    await engine.watch(pytest.fail, run_in_thread)
    await engine.wait_probed()


async def test_every_voice_that_a_server_lists_can_be_used() -> None:
    async with (
        scripted_http_server(
            upstream([{"name": "far", "engine": "piper", "language": "de_DE", "speakers": ["a", "b"]}])
        ) as one,
        scripted_server(scripted.answer_describe(scripted.info())) as two,
        remote(one.address, two.uri) as engine,
    ):
        assert engine.installed() == ()
        await engine.probe(run_in_thread)
        far, tone = named(engine)["far"], named(engine)["tone"]
        assert (far.engine, far.language, far.sample_rate) == ("remote", "de_DE", 24_000)
        assert far.attribution == Attribution(
            ATTRIBUTION_PREFIX + one.address.removeprefix("http://"), one.address
        )
        assert (tone.language, tone.sample_rate) == ("en_US", 22_050)
        assert await speak(engine, "far", Segment("Hallo"), speaker=1, hops=1) == "Hallo"
    request = one.spoken[0]
    assert (request.json["speaker"], request.json["speed"], request.headers["x-hops"]) == ("b", 1.5, "2")


async def test_a_server_without_a_voice_list_has_the_configured_voices() -> None:
    async def no_list(request: ReceivedRequest) -> None:
        await request.answer(404)

    async with (
        scripted_http_server(no_list) as bare,
        scripted_http_server(upstream(["dora"])) as listing,
        remote(bare.address, listing.address, NOBODY, voices=("dora=es_ES", "alloy")) as engine,
    ):
        assert {voice.name: voice.language for voice in engine.installed()} == {
            "dora": "es_ES",
            "alloy": "en_US",
        }
        await engine.probe(run_in_thread)
        having = {
            name: [one.upstream.address for one in engine._pool.upstreams if name in one.voices]
            for name in named(engine)
        }
        assert having == {
            "dora": [bare.address, listing.address, NOBODY],
            "alloy": [bare.address, NOBODY],
        }
        assert named(engine)["dora"].language == "es_ES"


async def test_a_voice_keeps_its_identity_until_its_servers_or_their_listings_change() -> None:
    listing: dict[str, object] = {"name": "far", "engine": "piper", "version": "1"}
    async with (
        scripted_http_server(upstream([listing])) as one,
        scripted_http_server(upstream(["far"])) as two,
    ):
        models = []
        for addresses in (
            (one.address,),
            (one.address,),
            (one.address, two.address),
            (two.address, one.address),
        ):
            async with remote(*addresses) as engine:
                await engine.probe(run_in_thread)
                models.append(named(engine)["far"].model)
        assert models[0] == models[1]
        assert len(set(models)) == 3


async def test_a_voice_changes_its_identity_with_what_its_server_is_asked() -> None:
    models = set()
    standard = RemoteOptions((NOBODY,), voices=("far",), pcm_rate=44_100)
    for options in (
        standard,
        replace(standard, path="/generate"),
        replace(standard, body='{"text": "{text}", "cfg": 2}'),
        replace(standard, body='{"text": "{text}", "cfg": 3}'),
    ):
        engine = await run_in_thread(partial(RemoteEngine, EngineOptions(remote=options)))
        assert named(engine)["far"].sample_rate == 44_100
        models.add(named(engine)["far"].model)
        await engine.aclose()
    assert len(models) == 4


async def test_a_request_in_a_ring_of_servers_ends_at_the_hop_limit() -> None:
    async with scripted_http_server(upstream()) as server, remote(server.address) as engine:
        await engine.probe(run_in_thread)
        with pytest.raises(VoiceUnavailable, match="through 3 servers"):
            await speak(engine, "af_far", Segment("Hi"), hops=MAX_HOPS)
        assert not server.spoken


async def test_voices_are_discovered_in_the_background_and_stay_when_their_server_goes_down(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(remote_upstreams, "PROBE_INTERVAL", 0.01)
    monkeypatch.setattr(remote_upstreams, "_BACKOFF", Backoff(first_delay=0.01, max_delay=30.0))
    caplog.set_level(logging.INFO, "wyoming_tts.engines.remote.engine")
    has, changed = ["af_far"], asyncio.Queue[list[str]]()
    is_up = True

    async def script(request: ReceivedRequest) -> None:
        if is_up:
            await upstream(has)(request)
        else:
            request.writer.close()

    async with scripted_http_server(script) as server, remote(server.address) as engine:

        async def on_change() -> None:
            changed.put_nowait(sorted(named(engine)))

        async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(engine.watch(on_change, run_in_thread))
            await engine.wait_probed()
            assert await changed.get() == ["af_far"]
            has.append("bf_far")
            assert await changed.get() == ["af_far", "bf_far"]
            is_up = False
            requests_before = len(server.asked)
            await wait_until(lambda: len(server.asked) >= requests_before + 4)
            assert sorted(named(engine)) == ["af_far", "bf_far"]
            assert changed.empty()
            assert sum("is down" in message for message in caplog.messages) == 1
            has[:] = ["cf_far"]
            is_up = True
            assert await changed.get() == ["cf_far"]
            watching.cancel()


async def test_a_request_that_finds_a_server_down_triggers_a_probe() -> None:
    async with (
        scripted_http_server(upstream()) as server,
        remote(server.address) as engine,
        asyncio.timeout(10),
        asyncio.TaskGroup() as tasks,
    ):
        watching = tasks.create_task(engine.watch(lambda: asyncio.sleep(0), run_in_thread))
        await engine.wait_probed()
        looks, [health] = len(server.asked), engine._pool.upstreams
        fault = UpstreamFault(UpstreamFaultKind.DOWN, "gone")
        health.request_failed(fault, now=asyncio.get_running_loop().time())
        assert health.down_until > 0
        await wait_until(lambda: not health.down_until)
        assert len(server.asked) > looks
        watching.cancel()


async def test_a_voice_list_that_crashes_its_parser_does_not_affect_other_servers(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with scripted_http_server(upstream()) as server, remote(server.address) as engine:
        [health] = engine._pool.upstreams

        async def list_voices(run_blocking: object) -> None:
            raise LookupError

        monkeypatch.setattr(health.upstream, "list_voices", list_voices)
        await engine.probe(run_in_thread)
        assert health.failed_probes == 1
    assert "cannot be read" in caplog.text


async def test_waiting_for_the_first_probe_does_not_wait_for_an_unreachable_server() -> None:
    async with remote(NOBODY) as engine:
        watching = asyncio.create_task(engine.watch(lambda: asyncio.sleep(0), run_in_thread))
        async with asyncio.timeout(5):
            await engine.wait_probed()
        watching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await watching


async def test_api_keys_do_not_appear_in_any_repr() -> None:
    options = RemoteOptions((NOBODY,), key="hidden")
    engine = await run_in_thread(lambda: RemoteEngine(EngineOptions(remote=options)))
    representation = json.dumps(
        [repr(options), repr(replace(options, model="x")), repr(engine), repr(engine._pool.upstreams)]
    )
    assert "hidden" not in representation
    await engine.aclose()
