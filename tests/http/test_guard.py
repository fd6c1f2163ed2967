"""The guard in front of a small ASGI app: on a real server where the wire matters, otherwise in process."""

from __future__ import annotations

import json
import logging

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.middleware import Middleware
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.http.guarded import KEY, SPEECH, client, code, make_guard, serving
from tests.support.fake_speech_service import FakeSpeechService
from tests.support.fake_synthesizer import run_in_thread
from wyoming_tts.transports.access import AllowedHosts, AllowedNetworks, AllowedOrigins, ApiKeys
from wyoming_tts.transports.http.access_rules import GuardOptions
from wyoming_tts.transports.http.app import HttpOptions, create_app
from wyoming_tts.transports.http.guard import Guard, Message

OPEN = ["/health", "/healthz", "/livez", "/readyz"]


LOGGER = "wyoming_tts.transports.http.guard"


async def test_without_options_every_request_is_served() -> None:
    async with client(make_guard(), peer="203.0.113.9") as http:
        assert (await http.post(SPEECH, content=b"12345")).json() == {"query": "", "body": 5}


async def test_a_request_with_an_empty_body_reaches_the_app() -> None:
    async with client(make_guard()) as http:
        assert (await http.post(SPEECH)).json()["body"] == 0
        assert (await http.get("/v1/models")).json()["body"] == 0


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer sk-another"},
        {"Authorization": f"Basic {KEY}"},
        {"Authorization": "Bearer"},
        {"Authorization": f"Bearer {KEY}x"},
    ],
)
async def test_a_missing_or_wrong_api_key_is_refused_with_401(headers: dict[str, str]) -> None:
    async with client(make_guard(api_keys=("sk-first", KEY))) as http:
        refused = await http.post(SPEECH, headers=headers)
    assert refused.status_code == 401
    assert code(refused) == "invalid_api_key"
    assert refused.headers["WWW-Authenticate"].startswith("Bearer ")
    assert KEY not in refused.text


@pytest.mark.parametrize("key", ["sk-first", KEY, "schlüssel"])
async def test_any_configured_api_key_is_accepted_in_header_or_query(key: str) -> None:
    async with client(make_guard(api_keys=("sk-first", KEY, "schlüssel"))) as http:
        header = {b"Authorization": f"bearer {key}".encode()}
        assert (await http.get("/v1/models", headers=header)).status_code == 200
        assert (await http.get("/v1/models", params={"api_key": key})).status_code == 200


async def test_the_guard_strips_api_key_from_the_query() -> None:
    async with client(make_guard(api_keys=(KEY,))) as http:
        answer = await http.get(f"/synthesize-stream?text=a%20b+c&api_key={KEY}&voice=x&api%5Fkey=other")
    assert answer.json()["query"] == "text=a%20b+c&voice=x"


@pytest.mark.parametrize("keys", [(), (KEY,)])
async def test_api_keys_never_appear_in_logs(keys: tuple[str, ...], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for chatty in ("httpx", "httpcore", "websockets"):  # the client's
        logging.getLogger(chatty).setLevel(logging.WARNING)
    async with serving(make_guard(api_keys=keys)) as port:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
            await http.get("/v1/models", params={"api_key": KEY})
            await http.get("/v1/models", params={"api_key": f"{KEY}-wrong"})
        async with connect(f"ws://127.0.0.1:{port}/ws?api_key={KEY}&a=b") as socket:
            assert await socket.recv() == "a=b"
    assert any("/v1/models" in message for message in caplog.messages)
    assert KEY not in caplog.text


@pytest.mark.parametrize("path", OPEN)
async def test_health_paths_need_no_key_and_accept_any_host(path: str) -> None:
    async with client(make_guard(api_keys=(KEY,)), host="cluster.example.org") as http:
        assert (await http.get(path)).status_code == 200
        assert (await http.get(f"{path}/")).status_code == 401
    async with client(make_guard(), host="cluster.example.org") as http:
        assert (await http.get(path)).status_code == 200


def test_an_empty_api_key_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="empty"):
        make_guard(api_keys=("", KEY))


def test_api_keys_are_stored_as_salted_digests() -> None:
    first, second = ApiKeys([KEY]), ApiKeys([KEY])
    assert KEY not in repr(vars(first))
    assert first._digests != second._digests
    assert first.accepts(KEY)
    assert not first.accepts("")
    assert not ApiKeys()


def test_the_repr_of_the_options_omits_api_keys() -> None:
    assert KEY not in repr(GuardOptions(api_keys=(KEY,)))


@pytest.mark.parametrize(
    ("address", "is_served"),
    [
        ("192.168.1.20", True),
        ("192.168.2.20", False),
        ("::ffff:192.168.1.20", True),
        ("::ffff:192.168.2.20", False),
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("fe80::1%eth0", True),
        ("2001:db8::1", False),
        ("no address", False),
        ("", False),
    ],
)
async def test_only_peers_within_the_allowed_networks_or_loopback_are_served(
    address: str, *, is_served: bool
) -> None:
    networks = ("192.168.1.0/24", "fe80::/10")
    assert AllowedNetworks(networks).allows(address) is is_served
    async with client(make_guard(allow_networks=networks), peer=address) as http:
        answer = await http.get("/health")
    assert answer.status_code == (200 if is_served else 403)


def test_an_empty_network_list_allows_every_address() -> None:
    assert AllowedNetworks().allows("203.0.113.9")


@pytest.mark.parametrize(
    ("host", "is_allowed"),
    [
        ("192.168.1.5:8880", True),
        ("[2001:db8::5]:8880", True),
        ("localhost:8880", True),
        ("tts.localhost", True),
        ("nas", True),
        ("NAS:8880", True),
        ("nas.local", True),
        ("nas.local.", True),
        ("nas.fritz.home", True),
        ("nas.lan:80", True),
        ("nas.home.arpa", True),
        ("tts.internal", True),
        ("box.example.org", True),
        ("page.example.org:3000", True),
        ("evil.example.org", False),
        ("nas.local.evil.example", False),
        ("192.168.1.5.evil.example", False),
        ("evil.example:8880", False),
        ("local.", True),
        ("[::1", False),
        ("", False),
    ],
)
async def test_without_a_key_an_unknown_host_header_is_refused(host: str, *, is_allowed: bool) -> None:
    guard = make_guard(host_names=("Box.example.org",), cors_origins=("https://page.example.org",))
    async with client(guard) as http:
        answer = await http.get("/v1/models", headers={"Host": host})
    assert answer.status_code == (200 if is_allowed else 403)
    if not is_allowed:
        assert code(answer) == "host_not_allowed"


async def test_with_a_key_any_host_header_is_accepted() -> None:
    async with client(make_guard(api_keys=(KEY,)), host="tts.example.org") as http:
        answer = await http.get("/v1/models", headers={"Authorization": f"Bearer {KEY}"})
    assert answer.status_code == 200


@given(st.text(max_size=40))
def test_no_host_header_crashes_the_host_and_origin_checks(host: str) -> None:
    AllowedHosts().allows(host)
    AllowedOrigins(["https://page.example.org"]).allows(host, host)


async def test_websocket_handshakes_are_refused_like_requests() -> None:
    async with serving(make_guard(api_keys=(KEY,))) as port:
        uri = f"ws://127.0.0.1:{port}/v1/audio/speech/stream/ws"
        with pytest.raises(InvalidStatus) as keyless:
            await connect(uri)
        with pytest.raises(InvalidStatus) as foreign:
            await connect(f"{uri}?api_key={KEY}", additional_headers={"Origin": "https://evil.example"})
        async with connect(uri, additional_headers={"Authorization": f"Bearer {KEY}"}) as socket:
            assert await socket.recv() == ""
        async with connect(
            f"{uri}?api_key={KEY}", additional_headers={"Origin": f"http://127.0.0.1:{port}"}
        ) as socket:
            assert await socket.recv() == ""
    assert keyless.value.response.status_code == 401
    assert json.loads(keyless.value.response.body)["error"]["code"] == "invalid_api_key"
    assert foreign.value.response.status_code == 403


async def test_a_health_path_accepts_no_websocket_without_a_key() -> None:
    async with serving(make_guard(api_keys=(KEY,))) as port:
        with pytest.raises(InvalidStatus):
            await connect(f"ws://127.0.0.1:{port}/health")


async def test_without_the_denial_response_extension_a_refused_websocket_is_closed() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": "/", "headers": [], "query_string": b"", "client": ("10.0.0.1", 1)}

    async def receive() -> Message:
        raise AssertionError("receive was called")

    await make_guard(api_keys=(KEY,))(scope, receive, send)
    assert sent == [{"type": "websocket.close", "code": 1008}]


async def test_reconfigured_options_apply_from_the_next_request() -> None:
    guard = make_guard(api_keys=("old",))
    async with client(guard) as http:
        guard.reconfigure(GuardOptions(api_keys=(KEY,), requests_per_minute=1))
        assert (await http.post(SPEECH, params={"api_key": "old"})).status_code == 401
        assert (await http.post(SPEECH, params={"api_key": KEY})).status_code == 200
        guard.reconfigure(GuardOptions(api_keys=(KEY, "third"), requests_per_minute=1))
        assert (await http.post(SPEECH, params={"api_key": "third"})).status_code == 429
        with pytest.raises(ValueError):
            guard.reconfigure(GuardOptions(allow_networks=("nonsense",)))
        assert (await http.get("/v1/models")).status_code == 401


async def test_a_refusal_is_logged_without_the_query_and_escaped(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger=LOGGER)
    async with client(make_guard(api_keys=(KEY,))) as http:
        await http.get("/synthesize-stream%0Aforged?text=a%20secret&api_key=wrong")
    (message,) = caplog.messages
    assert message.startswith(
        "192.168.1.20: refused GET '/synthesize-stream\\nforged': The API key is wrong."
    )


async def test_the_guard_runs_inside_the_request_id_middleware() -> None:
    guard = Guard(None, GuardOptions(api_keys=(KEY,), max_body_bytes=100))
    layers = [Middleware(guard.wrap)]
    api = create_app(FakeSpeechService(), HttpOptions(), run_blocking=run_in_thread, middleware=layers)
    speech_request = {"model": "tts-1", "input": "hello", "voice": "af_heart", "response_format": "pcm"}
    transport = httpx.ASGITransport(api)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        refused = await http.post(SPEECH, json=speech_request, headers={"X-Request-ID": "mine"})
        spoken = await http.post(SPEECH, json=speech_request, params={"api_key": KEY})
        long = await http.post(SPEECH, json={**speech_request, "input": "a" * 100}, params={"api_key": KEY})
    assert (refused.status_code, refused.headers["X-Request-ID"]) == (401, "mine")
    assert (spoken.status_code, long.status_code) == (200, 413)
    assert len(spoken.content) > 1000
