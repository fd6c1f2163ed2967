"""The guard in front of a small ASGI app: on a real server where the wire matters, otherwise in process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import uvicorn
from hypothesis import given
from hypothesis import strategies as st
from starlette.middleware import Middleware
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.support.fake_speech_service import FakeSpeechService
from tests.support.fake_synthesizer import run_in_thread
from tests.support.manual_clock import ManualClock
from wyoming_tts.transports.access import AllowedHosts, AllowedNetworks, AllowedOrigins, ApiKeys, RateLimit
from wyoming_tts.transports.http.access_rules import GuardOptions
from wyoming_tts.transports.http.app import HttpOptions, create_app
from wyoming_tts.transports.http.guard import Guard, Message, Receive, Scope, Send

KEY = "sk-a-key-of-mine"
OPEN = ["/health", "/healthz", "/livez", "/readyz"]
SPEECH = "/v1/audio/speech"
LOGGER = "wyoming_tts.transports.http.guard"


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Echo the query string and the body's length."""
    if scope["type"] == "lifespan":
        return
    query = scope["query_string"].decode()
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": query})
        await send({"type": "websocket.close"})
        return
    message = await receive()
    assert message["type"] == "http.request"
    assert scope["method"] == "GET" or not message.get("more_body")
    received = {"query": query, "body": len(message["body"])}
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-app", b"yes")]})
    await send({"type": "http.response.body", "body": json.dumps(received).encode()})


def make_guard(clock: ManualClock | None = None, **options: Any) -> Guard:
    return Guard(app, GuardOptions(**options), clock=clock or ManualClock())


def client(guard: Guard, peer: str = "192.168.1.20", host: str = "nas.local:8880") -> httpx.AsyncClient:
    transport = httpx.ASGITransport(guard, client=(peer, 5000))
    return httpx.AsyncClient(transport=transport, base_url=f"http://{host}")


def code(response: httpx.Response) -> str:
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return str(error["code"])


@asynccontextmanager
async def serving(guard: Guard) -> AsyncIterator[int]:
    # At debug level websockets logs handshakes as they come in, before the application is called.
    config = uvicorn.Config(
        guard, port=0, lifespan="off", log_config=None, log_level="info", ws="websockets-sansio"
    )
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment]
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110 - it has no event to wait for
            await asyncio.sleep(0.001)
        yield server.servers[0].sockets[0].getsockname()[1]
        server.should_exit = True


async def exchange(port: int, request: bytes) -> tuple[int, bytes]:
    """Send raw bytes; return the status and the whole response."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    return int(answer.split()[1]), answer


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


@pytest.mark.parametrize(
    ("origin", "is_allowed"),
    [
        ("http://nas.local:8880", True),
        ("https://nas.local:8880", True),
        ("http://nas.local:3000", False),
        ("https://listed.example.org", True),
        ("https://LISTED.example.org", True),
        ("https://listed.example.org.evil.example", False),
        ("https://evil.example", False),
        ("null", False),
    ],
)
async def test_post_is_allowed_only_from_the_same_or_a_listed_origin(
    origin: str, *, is_allowed: bool
) -> None:
    async with client(make_guard(cors_origins=("https://listed.example.org",))) as http:
        answer = await http.post(SPEECH, headers={"Origin": origin})
    assert answer.status_code == (200 if is_allowed else 403)
    if not is_allowed:
        assert code(answer) == "origin_not_allowed"
        assert "access-control-allow-origin" not in answer.headers


PLAYER = "/synthesize-stream?text=hi&voice=x"
CROSS_SITE = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "audio"}
VISIT = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
BROWSER = {"User-Agent": "Mozilla/5.0 (X11)", "Accept-Language": "en"}
WINDOW = {**BROWSER, "Accept": "text/html"}


@pytest.mark.parametrize("headers", [CROSS_SITE, {**BROWSER, "Referer": "http://evil.example/"}, VISIT])
@pytest.mark.parametrize("path", [PLAYER, "/v1/models", "/config", "/health", "/metrics", "/login"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"])
async def test_no_method_and_no_path_is_served_to_a_page_of_another_origin(
    method: str, path: str, headers: dict[str, str]
) -> None:
    async with client(make_guard()) as http:
        answer = await http.request(method, path, headers=headers)
    assert answer.status_code == 403
    if method != "HEAD":
        assert code(answer) == "origin_not_allowed"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (VISIT, 200),
        ({**WINDOW, "Referer": "http://evil.example/"}, 200),
        (VISIT | {"Sec-Fetch-Dest": "iframe"}, 403),
        (CROSS_SITE, 403),
        ({"Origin": "http://evil.example"}, 403),
    ],
)
async def test_of_another_origins_requests_only_a_window_that_goes_to_the_page_is_served(
    headers: dict[str, str], status: int
) -> None:
    async with client(make_guard()) as http:
        assert (await http.get("/", headers=headers)).status_code == status
        assert (await http.post("/", headers=headers)).status_code == 403


async def test_a_browser_that_tells_nothing_may_read_but_cause_nothing() -> None:
    async with client(make_guard()) as http:
        reads = [await http.get(path, headers=BROWSER) for path in ("/v1/voices", "/", "/config", "/status")]
        effects = [await http.get(PLAYER, headers=BROWSER), await http.post(SPEECH, headers=BROWSER)]
    assert [answer.status_code for answer in reads] == [200] * 4
    assert [code(answer) for answer in effects] == ["origin_not_allowed"] * 2
    assert "HTTPS" in effects[0].text


@pytest.mark.parametrize("headers", [WINDOW, VISIT | {"Sec-Fetch-Site": "none"}])
async def test_a_window_that_goes_to_speech_gets_a_player_that_its_user_starts(
    headers: dict[str, str],
) -> None:
    async with client(make_guard()) as http:
        answer = await http.get(f"{PLAYER}&speed=%221", headers=headers)
        played = await http.get(PLAYER, headers={**BROWSER, "Referer": f"http://nas.local:8880{PLAYER}"})
    assert "x-app" not in answer.headers
    assert '<audio controls preload="none" src="?text=hi&amp;voice=x&amp;speed=%221">' in answer.text
    assert "frame-ancestors 'self'" in answer.headers["content-security-policy"]
    assert played.headers["x-app"] == "yes"


@pytest.mark.parametrize("headers", [{}, {"User-Agent": "VLC/3.0"}, {"User-Agent": "Mozilla/4.0 CrKey/1.5"}])
async def test_players_and_programs_are_served_speech(headers: dict[str, str]) -> None:
    async with client(make_guard()) as http:
        assert (await http.get(PLAYER, headers=headers)).headers["x-app"] == "yes"
        assert (await http.post(SPEECH, headers=headers)).headers["x-app"] == "yes"


@pytest.mark.parametrize("headers", [CROSS_SITE, BROWSER, WINDOW])
async def test_a_key_in_the_address_lets_a_pages_audio_in(headers: dict[str, str]) -> None:
    async with client(make_guard(api_keys=(KEY,))) as http:
        served = await http.get(f"{PLAYER}&api_key={KEY}", headers=headers)
        refused = await http.get(f"{PLAYER}&api_key=sk-guess", headers=CROSS_SITE)
        posted = await http.post(f"{SPEECH}?api_key={KEY}", headers=CROSS_SITE)
    assert served.headers["x-app"] == "yes"
    assert "cross-origin-resource-policy" not in served.headers
    assert [code(refused), code(posted)] == ["origin_not_allowed"] * 2


async def test_a_listed_page_may_use_everything_by_origin_or_referer() -> None:
    async with client(make_guard(cors_origins=("https://listed.example.org",))) as http:
        for named in ({"Origin": "https://listed.example.org"}, {"Referer": "https://listed.example.org/a"}):
            answer = await http.get(PLAYER, headers={**CROSS_SITE, **named})
            assert answer.status_code == 200
            assert "cross-origin-resource-policy" not in answer.headers


async def test_other_sites_may_not_embed_what_browsers_are_answered() -> None:
    async with client(make_guard()) as http:
        answers = [await http.get("/v1/models", headers=headers) for headers in (BROWSER, CROSS_SITE)]
        assert [answer.headers["cross-origin-resource-policy"] for answer in answers] == ["same-origin"] * 2
        assert "cross-origin-resource-policy" not in (await http.get("/v1/models")).headers


async def test_an_origins_default_port_equals_no_port() -> None:
    async with client(make_guard(), host="nas.local") as http:
        assert (await http.post(SPEECH, headers={"Origin": "https://nas.local"})).status_code == 200
        assert (await http.post(SPEECH, headers={"Origin": "http://nas.local:80"})).status_code == 200
        assert (await http.post(SPEECH, headers={"Origin": "http://nas.local:81"})).status_code == 403


PREFLIGHT = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,x-stainless-lang",
    "Access-Control-Request-Private-Network": "true",
}


async def test_a_cors_preflight_from_a_listed_origin_needs_no_key() -> None:
    guard = make_guard(api_keys=(KEY,), cors_origins=("https://page.example.org",))
    async with client(guard) as http:
        answer = await http.options(SPEECH, headers={"Origin": "https://page.example.org", **PREFLIGHT})
    assert answer.status_code == 204
    assert answer.headers["Access-Control-Allow-Origin"] == "https://page.example.org"
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]
    assert answer.headers["Access-Control-Allow-Headers"] == "authorization,x-stainless-lang"
    assert answer.headers["Access-Control-Allow-Private-Network"] == "true"


@pytest.mark.parametrize("origins", [(), ("https://other.example.org",)])
async def test_a_cors_preflight_from_an_unlisted_origin_is_refused(origins: tuple[str, ...]) -> None:
    async with client(make_guard(cors_origins=origins)) as http:
        answer = await http.options(SPEECH, headers={"Origin": "https://page.example.org", **PREFLIGHT})
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers


async def test_responses_and_refusals_carry_cors_headers_for_a_listed_origin() -> None:
    guard = make_guard(api_keys=(KEY,), cors_origins=("https://page.example.org",))
    origin = {"Origin": "https://page.example.org"}
    async with client(guard) as http:
        served = await http.get("/v1/models", headers={"Authorization": f"Bearer {KEY}", **origin})
        refused = await http.get("/v1/models", headers=origin)
        foreign = await http.get("/health", headers={"Origin": "https://evil.example"})
    assert [served.status_code, refused.status_code, foreign.status_code] == [200, 401, 403]
    for answer in (served, refused):
        assert answer.headers["Access-Control-Allow-Origin"] == "https://page.example.org"
        assert answer.headers["Vary"] == "Origin"
    assert "access-control-allow-origin" not in foreign.headers


async def test_a_star_allows_every_origin() -> None:
    async with client(make_guard(cors_origins=("*",)), host="any.example.org") as http:
        answer = await http.post(SPEECH, headers={"Origin": "https://evil.example"})
    assert answer.headers["Access-Control-Allow-Origin"] == "https://evil.example"


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


async def test_a_content_length_over_the_limit_is_refused_without_reading_the_body() -> None:
    async with serving(make_guard(max_body_bytes=1000)) as port:
        request = f"POST {SPEECH} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1001\r\n\r\n"
        status, answer = await exchange(port, request.encode())
    assert status == 413
    assert b"body_too_large" in answer
    assert b"connection: close" in answer.lower()


async def test_a_chunked_body_that_exceeds_the_limit_is_refused_with_413() -> None:
    async with serving(make_guard(max_body_bytes=1000)) as port:
        head = f"POST {SPEECH} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        status, answer = await exchange(port, head.encode() + 3 * (b"1f4\r\n" + b"x" * 500 + b"\r\n"))
    assert status == 413
    assert b"body_too_large" in answer


async def test_a_body_at_the_size_limit_is_accepted() -> None:
    async with client(make_guard(max_body_bytes=1000)) as http:
        assert (await http.post(SPEECH, content=b"x" * 1000)).json()["body"] == 1000
        assert (await http.post(SPEECH, content=b"x" * 1001)).status_code == 413


LISTS = b'{"input":[' + b"[]," * 10_000 + b"[]]}"


@pytest.mark.parametrize("body", [LISTS, LISTS.decode().encode("utf-16"), b"\n " + LISTS])
@pytest.mark.parametrize("kind", ["application/json", "text/plain", ""])
async def test_a_body_that_would_take_long_to_parse_is_refused(body: bytes, kind: str) -> None:
    async with client(make_guard()) as http:
        refused = await http.post(SPEECH, content=body, headers={"Content-Type": kind})
        as_text = await http.post(SPEECH, json={"input": LISTS.decode()})
        uploaded = await http.post(SPEECH, files={"file": LISTS + b"\0"})
    assert refused.status_code in {400, 413}
    assert code(refused) in {"bad_request", "body_too_large"}
    assert (as_text.status_code, uploaded.status_code) == (200, 200)


@pytest.mark.parametrize(
    "path", ["/page/voices/upload/en_US-a-low.onnx", "/page/blends/import?name=a&file=a.bin"]
)
async def test_files_of_any_bytes_pass_as_they_are_not_parsed_as_json(path: str) -> None:
    async with client(make_guard()) as http:
        response = await http.post(path, content=b"\0[" * 20_000)
    assert response.json()["body"] == 40_000


async def test_an_incomplete_request_body_times_out_with_408() -> None:
    async with serving(make_guard(body_timeout=0.05)) as port:
        request = f"POST {SPEECH} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhalf"
        status, answer = await exchange(port, request.encode())
    assert status == 408
    assert b"body_timeout" in answer


async def test_a_client_disconnect_during_the_body_never_reaches_the_app() -> None:
    messages: list[Message] = [
        {"type": "http.request", "body": b"half", "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Message:
        return messages.pop(0)

    async def send(message: Message) -> None:
        raise AssertionError(message)

    async def unreachable(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError("half a body was passed on")

    scope = {"type": "http", "method": "POST", "path": SPEECH, "headers": [], "query_string": b""}
    await Guard(unreachable, GuardOptions())(scope, receive, send)
    assert not messages


async def test_the_body_of_a_refused_request_is_not_read() -> None:
    async with serving(make_guard(api_keys=(KEY,))) as port:
        request = f"POST {SPEECH} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nonly this"
        status, answer = await exchange(port, request.encode())
    assert status == 401
    assert b"connection: close" in answer.lower()


async def test_a_client_over_the_rate_limit_gets_retry_after() -> None:
    clock = ManualClock()
    async with client(make_guard(clock, requests_per_minute=3)) as http:
        statuses = [(await http.post(SPEECH)).status_code for _ in range(3)]
        refused = await http.post(SPEECH)
        lists = await http.get("/v1/models")
        streamed = await http.get("/synthesize-stream?text=a")
        clock.now += int(refused.headers["Retry-After"])
        again = await http.post(SPEECH)
    assert statuses == [200, 200, 200]
    assert (refused.status_code, code(refused), refused.headers["Retry-After"]) == (
        429,
        "rate_limit_exceeded",
        "20",
    )
    assert (lists.status_code, streamed.status_code, again.status_code) == (200, 429, 200)


@pytest.mark.parametrize("path", ["captioned_speech", "dialogue", "generate_from_phonemes", "phonemize"])
async def test_every_path_that_takes_work_counts_against_the_rate_limit(path: str) -> None:
    async with client(make_guard(requests_per_minute=1)) as http:
        assert [(await http.post(f"/dev/{path}")).status_code for _ in range(2)] == [200, 429]


async def test_opening_a_websocket_is_no_speech_request() -> None:
    guard = make_guard(requests_per_minute=1)
    async with serving(guard) as port:
        for _ in range(3):
            async with connect(f"ws://127.0.0.1:{port}/ws"):
                pass
    async with client(guard, peer="127.0.0.1") as http:
        assert [(await http.post(SPEECH)).status_code for _ in range(2)] == [200, 429]


async def test_the_rate_limit_counts_each_client_by_itself() -> None:
    guard = make_guard(requests_per_minute=1)
    for peer in ("192.168.1.20", "192.168.1.21"):
        async with client(guard, peer=peer) as http:
            assert [(await http.post(SPEECH)).status_code for _ in range(2)] == [200, 429]


async def test_requests_without_a_key_do_not_use_up_the_rate_limit() -> None:
    async with client(make_guard(api_keys=(KEY,), requests_per_minute=1)) as http:
        for _ in range(3):
            assert (await http.post(SPEECH)).status_code == 401
        assert (await http.post(SPEECH, params={"api_key": KEY})).status_code == 200


@given(
    st.lists(st.floats(0, 30), min_size=1, max_size=60),
    st.integers(1, 20),
)
def test_no_minute_admits_more_requests_than_twice_the_rate(pauses: list[float], per_minute: int) -> None:
    limit = RateLimit(per_minute)
    now, admitted = 0.0, []
    for pause in pauses:
        now += pause
        wait = limit.take("10.0.0.1", now)
        if not wait:
            admitted.append(now)
        else:
            now += wait  # waiting that long must be enough
            assert not limit.take("10.0.0.1", now)
            admitted.append(now)
    for start in admitted:
        assert sum(start <= at < start + 60 for at in admitted) <= 2 * per_minute


def test_the_rate_limits_address_table_is_bounded() -> None:
    limit = RateLimit(1, max_addresses=10)
    for number in range(100):
        limit.take(f"10.0.0.{number}", float(number))
    assert len(limit) == 10


def test_addresses_of_one_ipv6_prefix_share_a_rate_limit() -> None:
    limit = RateLimit(1)
    assert not limit.take("2001:db8::1", 0)
    assert limit.take("2001:db8::2", 0)
    assert not limit.take("2001:db8:0:1::1", 0)
    assert not limit.take("192.168.1.1", 0)
    assert limit.take("::ffff:192.168.1.1", 0)


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
