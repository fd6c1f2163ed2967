"""What the event gate lets through to Gradio, and that it keeps count of who listens."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from starlette.responses import PlainTextResponse

from ui.event_gate import MAX_EVENTS_PER_ADDRESS, EventGate, EventRefused, parse_event, parse_ids
from ui.sessions import SessionLimits, Sessions

HANDLERS = {3: 2, 5: 0}


def body_of(**changes: Any) -> bytes:
    return json.dumps({"session_hash": "abc", "fn_index": 3, "data": ["text", 1.5]} | changes).encode()


def test_an_event_of_the_page_passes_without_what_the_page_does_not_send() -> None:
    body = body_of(
        trigger_id=7, event_data=None, batched=True, simple_format=True, oauth_token="t", event_id="e"
    )
    assert json.loads(parse_event(body, HANDLERS).to_body()) == {
        "session_hash": "abc",
        "fn_index": 3,
        "data": ["text", 1.5],
        "trigger_id": 7,
        "event_data": None,
    }
    assert parse_event(body_of(data=[None, ["a", 1, True]]), HANDLERS).data == [None, ["a", 1, True]]
    assert parse_event(body_of(fn_index=5, data=[]), HANDLERS).fn_index == 5


@pytest.mark.parametrize("number", [4, -1, 2**70, 3.0, "3", None, True, [3], {"a": 3}])
def test_an_event_that_the_page_does_not_have_is_not_found(number: object) -> None:
    with pytest.raises(EventRefused, match="no such event") as refused:
        parse_event(body_of(fn_index=number), HANDLERS)
    assert refused.value.status == 404


@pytest.mark.parametrize(
    "changes",
    [
        {"data": None},
        {"data": {}},
        {"data": []},
        {"data": ["one"]},
        {"data": ["a", "b", "c"]},
        {"data": [{"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}, 1]},
        {"data": [[["nested"]], 1]},
        {"data": ["\ud800", 1]},
        {"session_hash": None},
        {"session_hash": ""},
        {"session_hash": 5},
        {"session_hash": "s" * 65},
        {"session_hash": "../x"},
        {"session_hash": "a\n"},
        {"session_hash": "ä"},
        {"trigger_id": 2**31},
        {"trigger_id": -1},
        {"trigger_id": "x"},
        {"trigger_id": True},
    ],
)
def test_a_malformed_event_is_refused_without_its_values(changes: dict[str, object]) -> None:
    with pytest.raises(EventRefused) as refused:
        parse_event(body_of(**changes), HANDLERS)
    assert refused.value.status == 400
    assert "passwd" not in refused.value.message
    assert "nested" not in refused.value.message


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"null", b"[]", b"5", b"\xff", b"[" * 100_000, b'{"a":' * 5000 + b"1" + b"}" * 5000),
        *(b'{"fn_index":%s}' % number for number in (b"NaN", b"1e400", b"9" * 5000)),
        b'{"fn_index":3,"fn_index":3}',
    ],
)
def test_what_is_not_a_json_object_within_limits_is_refused(body: bytes) -> None:
    with pytest.raises(EventRefused) as refused:
        parse_event(body, HANDLERS)
    assert refused.value.status == 400


def test_requests_that_name_events_are_checked_too() -> None:
    names = ("session_hash", "fn_index", "event_id")
    named = {"session_hash": "a", "fn_index": 1, "event_id": "b"}
    assert json.loads(parse_ids(json.dumps(named | {"more": 1}).encode(), names)) == named
    for change in ({"session_hash": 5}, {"fn_index": 2**80}, {"fn_index": None}, {"event_id": "\0"}):
        with pytest.raises(EventRefused):
            parse_ids(json.dumps(named | change).encode(), names)


@dataclass
class FakeQueue:
    """What the gate asks of Gradio's queue."""

    pending_messages_per_session: dict[str, object] = field(default_factory=dict)
    pending: int = 0
    read: bool = True

    def is_read(self, _session: str) -> bool:
        return self.read

    def pending_of(self, _address: str) -> int:
        return self.pending


class World:
    """A gate before an app that echoes, and what was forgotten."""

    def __init__(self) -> None:
        self.now = 0.0
        self.forgotten: list[str] = []
        self.queue = FakeQueue()
        self.failure: Exception | None = None
        self.heard: list[int] = []
        self.sessions = Sessions(SessionLimits(total=8, per_address=2, unheard=600.0))
        self.gate = EventGate(
            self._echo,
            handlers=HANDLERS,
            queue=self.queue,  # type: ignore[arg-type]
            forget=self.forgotten.append,
            sessions=self.sessions,
            clock=lambda: self.now,
        )

    async def _echo(self, scope: Any, receive: Any, send: Any) -> None:
        if self.failure is not None:
            raise self.failure
        self.heard.append(sum(each.connections for each in self.sessions._sessions.values()))
        body = (await receive()).get("body", b"")
        await PlainTextResponse(body)(scope, receive, send)


@asynccontextmanager
async def client_of(world: World, address: str = "10.0.0.1") -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(world.gate, client=(address, 1), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://page/gradio_api/") as client:
        yield client


async def test_a_refusal_is_an_answer_that_the_page_can_show() -> None:
    async with client_of(World()) as client:
        answer = await client.post("queue/join", content=body_of(fn_index=99))
        assert (answer.status_code, list(answer.json())) == (404, ["detail"])
        assert (await client.post("cancel", content=b"[]")).status_code == 400
        assert (await client.post("reset", content=b"{}")).status_code == 400
        assert (await client.get("heartbeat/a.b")).status_code == 400


async def test_invented_sessions_are_forgotten_one_after_the_other() -> None:
    world = World()
    async with client_of(world) as client:
        for number in range(50):
            answer = await client.post("queue/join", content=body_of(session_hash=f"s{number}"))
            assert answer.status_code == 200
            assert json.loads(answer.text)["session_hash"] == f"s{number}"
    assert len(world.sessions) == 2
    assert world.forgotten == [f"s{number}" for number in range(48)]


async def test_unheard_sessions_are_forgotten_when_their_time_is_over() -> None:
    world = World()
    async with client_of(world) as client:
        await client.post("queue/join", content=body_of())
        assert world.gate._timer is not None
        world.now = 600.0
        world.gate._timer._callback(*world.gate._timer._args)  # type: ignore[attr-defined]
    assert world.forgotten == ["abc"]
    assert world.gate._timer is None, "Without a session nothing may wake up the server."


async def test_a_session_is_heard_while_a_connection_to_it_lasts() -> None:
    world = World()
    world.queue.pending_messages_per_session["abc"] = object()
    async with client_of(world) as client:
        assert (await client.get("heartbeat/abc")).status_code == 200
        assert (await client.get("queue/data", params={"session_hash": "abc"})).status_code == 200
    assert world.heard == [1, 1]
    assert world.sessions.next_expiry() == 600.0


@pytest.mark.parametrize("query", ["", "?session_hash=", "?session_hash=nobody", "?session_hash=%00%ff"])
async def test_the_stream_of_an_unknown_session_is_not_found_and_makes_none(query: str) -> None:
    world = World()
    async with client_of(world) as client:
        assert (await client.get(f"queue/data{query}")).status_code == 404
    assert len(world.sessions) == 0


async def test_an_address_has_a_share_of_the_queue() -> None:
    world = World()
    world.queue.pending = MAX_EVENTS_PER_ADDRESS
    async with client_of(world) as client:
        assert (await client.post("queue/join", content=body_of())).status_code == 429
        world.queue.pending -= 1
        assert (await client.post("queue/join", content=body_of())).status_code == 200


async def test_a_session_that_nobody_reads_gets_no_further_event() -> None:
    world = World()
    world.queue.read = False
    async with client_of(world) as client:
        assert (await client.post("queue/join", content=body_of())).status_code == 429
    assert len(world.sessions) == 0


async def test_a_failure_of_gradio_is_logged_without_its_message(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    world.failure = KeyError("my diary")
    async with client_of(world) as client:
        assert (await client.post("queue/join", content=body_of())).status_code == 500
    assert "KeyError" in caplog.text
    assert "diary" not in caplog.text
