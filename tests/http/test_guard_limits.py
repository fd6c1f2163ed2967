"""Limits of the guard: how large, slow and frequent requests may be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.client import connect

from tests.http.guarded import KEY, SPEECH, client, code, exchange, make_guard, serving
from tests.support.manual_clock import ManualClock
from wyoming_tts.transports.access import RateLimit
from wyoming_tts.transports.http.access_rules import GuardOptions
from wyoming_tts.transports.http.guard import Guard, Message, Receive, Scope, Send


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
