"""Tokens of other sites' browsers over real sockets: what they open, and what they are told otherwise."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from starlette.middleware import Middleware
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from tests.http.conftest import Served, serving
from tests.support.fake_speech_service import FakeSpeechService
from tests.support.fake_synthesizer import RATE, FakeSynthesizer
from tests.support.manual_clock import ManualClock
from tests.support.realtime_server import RealtimeClient, RunningRealtimeServer, realtime_server
from tests.support.signed_tokens import KEY_ID, KEYS, ORIGIN, OTHER_SECRET, SECRET, signed
from wyoming_tts.speech import Utterance
from wyoming_tts.transports.http.access_rules import GuardOptions
from wyoming_tts.transports.http.app import HttpOptions
from wyoming_tts.transports.http.guard import Guard

API_KEY = "sk-of-the-owner"
SPEECH = "/v1/audio/speech"
BODY = {"input": "Hi there", "response_format": "pcm"}
BROWSER = {
    "User-Agent": "Mozilla/5.0",
    "Accept-Language": "en",
    "Sec-Fetch-Site": "cross-site",
    "Sec-Fetch-Mode": "cors",
    "Origin": ORIGIN,
}


NOW = 1_800_000_000.0


def guarding(clock: ManualClock | None = None, **options: Any) -> Guard:
    chosen = {"api_keys": (API_KEY,), "token_keys": KEYS, "cors_origins": (ORIGIN,), **options}
    return Guard(None, GuardOptions(**chosen), wall_clock=clock or ManualClock(NOW))


@asynccontextmanager
async def serving_tokens(guard: Guard | None = None, **http: Any) -> AsyncIterator[Served]:
    layer = Middleware((guard or guarding()).wrap)
    async with serving(HttpOptions(**http), FakeSpeechService(), [layer]) as served:
        yield served


def token(secret: str = SECRET, **claims: Any) -> str:
    return signed(secret, **{"now": NOW, **claims})


def bearer(sent: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {sent}"}


def told(answer: httpx.Response) -> tuple[int, str]:
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return answer.status_code, error["code"]


async def test_a_token_opens_speech_and_the_list_of_voices_and_nothing_else() -> None:
    sent = token(origin=ORIGIN)
    spoken = {"input": "Hi", "model": "tts-1", "voice": "af_heart"}
    async with serving_tokens() as served:
        client, with_token = served.client, bearer(sent) | BROWSER
        for path in (SPEECH, f"{SPEECH}/stream", "/dev/captioned_speech"):
            for extra in ({"response_format": "pcm"}, {"response_format": "wav", "stream_format": "sse"}):
                answer = await client.post(path, json=spoken | extra, headers=with_token)
                assert answer.status_code == 200, (path, answer.text)
                assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
                assert "cross-origin-resource-policy" not in answer.headers
        assert (await client.get("/v1/audio/voices", headers=with_token)).status_code == 200
        media = {name: value for name, value in BROWSER.items() if name != "Origin"}
        media |= {"Sec-Fetch-Mode": "no-cors", "Referer": f"{ORIGIN}/"}  # <audio src>
        url = f"/synthesize-stream?text=Hi&access_token={sent}"
        assert (await client.get(url, headers=media)).headers["Content-Type"] == "audio/wav"
        closed = [
            ("GET", path)
            for path in (
                "/",
                "/status",
                "/metrics",
                "/v1/voices",
                "/v1/models",
                "/openapi.json",
                "/v1/download/a.mp3",
            )
        ]
        closed += [
            ("POST", path) for path in ("/v1/audio/voices/combine", "/dev/unload", "/dev/phonemize", "/login")
        ]
        for method, path in closed:
            answer = await client.request(method, path, headers=with_token, json={})
            assert answer.status_code in {401, 403}, (path, answer.text)
        assert told(await client.get("/status", headers=with_token)) == (403, "token_forbidden")
        assert (await client.get("/status", headers=bearer(API_KEY))).status_code == 200
    assert {each.voice.may_download for each in served.service.utterances} == {False}


async def test_why_a_token_is_refused_is_told_in_openais_form_and_to_listed_pages() -> None:
    now = NOW
    async with serving_tokens() as served:
        for sent, expected in {
            token(exp=now - 60): (401, "token_expired"),
            token(OTHER_SECRET): (401, "token_invalid"),
            token(alg="none"): (401, "token_invalid"),
            token(origin="https://shop.example"): (403, "token_forbidden"),
            "no.token": (401, "invalid_api_key"),
        }.items():
            for headers, query in ((bearer(sent), ""), ({}, f"?access_token={sent}")):
                answer = await served.client.post(SPEECH + query, json=BODY, headers=headers | BROWSER)
                assert told(answer) == expected
                assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
                assert sent not in answer.text
                assert ("invalid_token" in answer.headers.get("WWW-Authenticate", "")) == (
                    expected[1] in {"token_expired", "token_invalid"}
                )
        stranger = bearer(token()) | BROWSER | {"Origin": "https://evil.example"}
        assert told(await served.client.post(SPEECH, json=BODY, headers=stranger)) == (
            403,
            "origin_not_allowed",
        )
        assert told(await served.client.post(SPEECH, json=BODY)) == (401, "invalid_api_key")
    assert served.service.utterances == []


async def test_a_refused_token_in_the_address_lets_no_page_use_a_visitors_login() -> None:
    """A page of another port is of the same site, to which browsers send the cookie."""
    neighbour = BROWSER | {"Origin": "http://127.0.0.1:1", "Sec-Fetch-Site": "same-site"}
    async with serving_tokens() as served:
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        login = await served.client.post("/login", content=f"key={API_KEY}", headers=form)
        assert login.status_code == 303
        for sent in (token(OTHER_SECRET), token(exp=1)):
            answer = await served.client.get(f"/v1/audio/voices?access_token={sent}", headers=neighbour)
            assert told(answer) == (403, "origin_not_allowed")


async def test_with_keys_for_tokens_alone_nobody_else_gets_in() -> None:
    async with serving_tokens(guarding(api_keys=())) as served:
        assert told(await served.client.post(SPEECH, json=BODY)) == (401, "invalid_api_key")
        assert (await served.client.get("/status")).status_code == 401
        assert (await served.client.get("/livez")).status_code == 200
        assert (await served.client.post(SPEECH, json=BODY, headers=bearer(token()))).status_code == 200


async def test_a_quota_of_requests_and_characters_is_held_for_all_requests_of_a_token() -> None:
    async with serving_tokens() as served:
        sent = bearer(token(requests=3, characters=20, jti="a"))
        texts = {"Hi there": 200, "A text that is much longer": 429, "Hi": 200, "H": 200, "i": 429}
        for text, status in texts.items():
            answer = await served.client.post(SPEECH, json=BODY | {"input": text}, headers=sent)
            assert answer.status_code == status, text
        assert told(answer) == (429, "token_used_up")
        assert answer.json()["error"]["type"] == "insufficient_quota"
    assert len(served.service.utterances) == 3


async def test_only_so_many_streams_of_a_token_are_open_at_the_same_time() -> None:
    sent = bearer(token(streams=1, jti="a"))
    async with serving_tokens() as served:

        async def ask_again(_: Utterance) -> None:
            served.service.on_enter = nothing
            answer = await served.client.post(SPEECH, json=BODY, headers=sent)
            assert told(answer) == (429, "busy")
            assert (await served.client.get("/v1/audio/voices", headers=sent)).status_code == 200

        async def nothing(_: Utterance) -> None:
            pass

        served.service.on_enter = ask_again
        for _ in range(2):
            assert (await served.client.post(SPEECH, json=BODY, headers=sent)).status_code == 200


async def test_what_is_spoken_with_a_token_is_not_kept_for_a_download() -> None:
    body = BODY | {"return_download_link": True}
    async with serving_tokens(kept_audio_bytes=10**6) as served:
        assert (
            "X-Download-Path"
            in (await served.client.post(SPEECH, json=body, headers=bearer(API_KEY))).headers
        )
        answer = await served.client.post(SPEECH, json=body, headers=bearer(token()))
    assert answer.status_code == 200
    assert "X-Download-Path" not in answer.headers


async def test_keys_rotate_while_the_server_runs() -> None:
    guard, old, new = guarding(), bearer(token()), bearer(token(OTHER_SECRET, kid="next"))
    async with serving_tokens(guard) as served:
        for sent in (old, new):
            assert (await served.client.post(SPEECH, json=BODY, headers=sent)).status_code == 200
        guard.reconfigure(GuardOptions(token_keys={"next": OTHER_SECRET}))
        assert told(await served.client.post(SPEECH, json=BODY, headers=old)) == (401, "token_invalid")
        assert (await served.client.post(SPEECH, json=BODY, headers=new)).status_code == 200


@asynccontextmanager
async def realtime(
    server: RunningRealtimeServer, sent: str, prefix: str = "bearer.", **headers: str
) -> AsyncIterator[RealtimeClient]:
    """Connect as a page does, which cannot set `Authorization`."""
    protocols = [Subprotocol("realtime"), Subprotocol(prefix + sent)]
    extra = {"Origin": ORIGIN} | headers
    async with connect(
        server.url, subprotocols=protocols, additional_headers=extra, close_timeout=2
    ) as socket:
        assert socket.subprotocol == "realtime"
        client = RealtimeClient(socket)
        await client.until("session.created")
        await client.send("session.update", session={"audio": {"sample_rate": RATE}})
        yield client


async def test_a_websocket_takes_the_token_as_a_subprotocol() -> None:
    speaking = FakeSynthesizer()
    async with realtime_server(speaking, guard=guarding()) as server:
        for prefix in ("bearer.", "openai-insecure-api-key."):
            for credential in (token(origin=ORIGIN, voices=["af_*"]), API_KEY):
                async with realtime(server, credential, prefix) as client:
                    await client.send("response.create", input="Hi")
                    await client.until("response.completed")
        for refused, status in ((token(OTHER_SECRET), 401), (token(origin="https://shop.example"), 403)):
            with pytest.raises(InvalidStatus) as caught:
                async with realtime(server, refused):
                    pass
            assert caught.value.response.status_code == status
    asked = [(each.voice.may_download, each.voice.allowed) for each in speaking.utterances]
    assert asked == [(False, ("af_*",)), (True, ())] * 2


async def test_a_token_that_expires_during_a_websocket_ends_what_is_spoken_and_refuses_the_next() -> None:
    clock = ManualClock(NOW)
    async with (
        realtime_server(FakeSynthesizer(), guard=guarding(clock), flush_idle=0.0) as server,
        realtime(server, token()) as client,
    ):
        await client.send("input.append", text="One. ")
        await client.until("response.output_audio.delta")
        clock.now += 3600
        await client.send("input.append", text="Two. ", event_id="late")
        error = await client.until("response.error", event_id="late")
        assert error["code"] == "token_expired"
        assert "Get a new token" in error["message"]
        await client.until("response.completed")
        await client.send("input.append", text="Dropped. ")
        await client.send("input.commit")
        await client.send("response.create", response_id="next", input="Three")
        assert (await client.until("response.error"))["response"] == "next"


async def test_text_over_a_websocket_counts_as_it_arrives() -> None:
    async with (
        realtime_server(FakeSynthesizer(), guard=guarding()) as server,
        realtime(server, token(characters=8, requests=2, jti="a")) as client,
    ):
        for text in ("abcd", "efgh", "i"):
            await client.send("input.append", text=text)
        assert (await client.until("response.error"))["code"] == "token_used_up"
        await client.until("response.completed")
        await client.send("input.commit")
        for name in ("empty", "more"):
            await client.send("response.create", response_id=name, input="")
        assert (await client.until("response.error"))["response"] == "more"


async def test_tokens_never_appear_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    good, bad = token(), token(OTHER_SECRET)
    async with (
        serving_tokens(log_requests=True) as served,
        realtime_server(FakeSynthesizer(), guard=guarding()) as server,
    ):
        for sent in (good, bad):
            await served.client.post(SPEECH, json=BODY, headers=bearer(sent))
            await served.client.post(f"{SPEECH}?access_token={sent}", json=BODY)
            await served.client.get(f"/synthesize-stream?text=Hi&%61ccess_token={sent}")
            await served.client.get(f"/nowhere?access_token={sent}")
        async with realtime(server, good) as client:
            await client.send("response.create", input="Hi")
            await client.until("response.completed")
        with pytest.raises(InvalidStatus):
            async with realtime(server, bad):
                pass
    ours = [record for record in caplog.records if record.name.partition(".")[0] not in {"httpx", "httpcore"}]
    logged = [record.getMessage() for record in ours if record.name != "websockets.client"]
    assert any("refused POST" in line for line in logged)
    assert [line for line in logged for sent in (good, bad) if sent in line] == []
    assert KEY_ID in repr(guarding()._rules._tokens)
    assert SECRET not in repr(GuardOptions(token_keys=KEYS))
