"""Gradio's queue without polling: events run within their limits, and nothing wakes up without one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import gradio as gr
import httpx
import pytest

from ui.application import make_application, patch
from ui.event_driven_queue import MAX_UNREAD_MESSAGES, EventDrivenQueue
from ui.words import Words
from wyoming_tts.transports.http.page_mount import run_lifespan

SECRET = "my-diary"


class Handlers:
    """What the events of a small page do."""

    def __init__(self) -> None:
        self.release = asyncio.Event()
        self.running = 0
        self.most_running = 0
        self.steps = 0
        self.ended = asyncio.Event()

    async def echo(self, text: str) -> str:
        return text

    async def wait(self, text: str) -> str:
        self.running += 1
        self.most_running = max(self.running, self.most_running)
        await self.release.wait()
        self.running -= 1
        return text

    async def fail(self, text: str) -> str:
        raise ValueError(text)

    async def go_on_for_ever(self, text: str) -> AsyncGenerator[str, None]:
        try:
            while True:
                self.steps += 1
                yield f"{text} {self.steps}"
        finally:
            self.ended.set()


ECHO, WAIT, FAIL, ENDLESS = range(4)


class SmallPage:
    """A page of four events behind the gate, and a browser for it."""

    def __init__(self) -> None:
        patch()
        self.handlers = handlers = Handlers()
        with gr.Blocks(analytics_enabled=False) as self.blocks:
            text, output = gr.Textbox(), gr.Textbox()
            gr.State(value=False)
            for handler in (handlers.echo, handlers.wait, handlers.fail, handlers.go_on_for_ever):
                gr.Button().click(handler, text, output, api_visibility="private", concurrency_limit=2)
        self.blocks.queue()
        self.app = make_application(self.blocks, Words())

    @property
    def queue(self) -> EventDrivenQueue:
        queue = self.blocks._queue
        assert isinstance(queue, EventDrivenQueue)
        return queue

    @asynccontextmanager
    async def open(self) -> AsyncIterator[httpx.AsyncClient]:
        transport = httpx.ASGITransport(self.app, client=("10.0.0.1", 1))
        async with (
            run_lifespan(self.app),
            httpx.AsyncClient(transport=transport, base_url="http://page/gradio_api/") as client,
        ):
            yield client
            self.queue.close()


async def join(client: httpx.AsyncClient, number: int, session: str = "me", text: str = "hello") -> int:
    body = {"session_hash": session, "fn_index": number, "data": [text]}
    return (await client.post("queue/join", json=body)).status_code


async def messages(client: httpx.AsyncClient, session: str = "me") -> list[dict[str, Any]]:
    """Read a session's messages until its events are over."""
    answer = await client.get("queue/data", params={"session_hash": session})
    return [json.loads(line.removeprefix("data: ")) for line in answer.text.split("\n\n") if line]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - Gradio has no event for it
            await asyncio.sleep(0)


@pytest.fixture
def page() -> SmallPage:
    return SmallPage()


async def test_an_event_is_processed_and_its_result_sent(page: SmallPage) -> None:
    async with page.open() as client:
        assert await join(client, ECHO) == 200
        kinds = {message["msg"]: message for message in await messages(client)}
    assert kinds["process_completed"]["output"]["data"] == ["hello"]
    assert "close_stream" in kinds


async def test_events_over_their_limit_start_when_others_end(page: SmallPage) -> None:
    async with page.open() as client:
        for number in range(5):
            assert await join(client, WAIT, text=str(number)) == 200
        reading = asyncio.create_task(messages(client))
        await until(lambda: page.handlers.running == 2)
        page.handlers.release.set()
        completed = [message for message in await reading if message["msg"] == "process_completed"]
    assert sorted(message["output"]["data"][0] for message in completed) == list("01234")
    assert page.handlers.most_running == 2


async def test_without_an_event_nothing_wakes_up(page: SmallPage) -> None:
    loop = asyncio.get_running_loop()
    before = {id(handle) for handle in loop._scheduled}  # type: ignore[attr-defined]
    async with page.open() as client:
        await join(client, ECHO)
        await messages(client)
        waking = [
            handle
            for handle in loop._scheduled  # type: ignore[attr-defined]
            if not handle.cancelled() and id(handle) not in before
        ]
        delays = [handle.when() - loop.time() for handle in waking]
    assert all(delay > 5.0 for delay in delays), waking


async def test_a_failed_event_logs_nothing_that_was_written(
    page: SmallPage, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    async with page.open() as client:
        await join(client, FAIL, text=SECRET)
        failed = [each for each in await messages(client) if each["msg"] == "process_completed"]
        page.blocks.fns[ECHO].inputs.append(page.blocks.fns[ECHO].inputs[0])  # one value too few: Gradio's
        await join(client, ECHO, session="other", text=SECRET)
        await messages(client, "other")
    assert not failed[0]["success"]
    assert "ValueError in test_event_driven_queue.py" in caplog.text
    assert caplog.text.count("An event of the page failed") >= 2
    assert SECRET not in caplog.text + "".join(capfd.readouterr())


async def test_an_endless_event_that_nobody_reads_ends(page: SmallPage) -> None:
    async with page.open() as client:
        assert await join(client, ENDLESS) == 200
        async with asyncio.timeout(20):
            await page.handlers.ended.wait()
        assert await join(client, ECHO) == 429
        assert await join(client, ECHO, session="other") == 200
    assert page.handlers.steps <= MAX_UNREAD_MESSAGES + 1


async def test_a_forgotten_session_leaves_nothing_behind(page: SmallPage) -> None:
    async with page.open() as client:
        for number in range(3):
            await join(client, WAIT, session="gone", text=str(number))
        await until(lambda: page.handlers.running == 2)
        page.queue.forget("gone")
        page.handlers.release.set()
        await join(client, ECHO)
        await messages(client)
        await until(lambda: not page.queue._asyncio_tasks)
    kept = (page.queue.pending_messages_per_session, page.queue.pending_event_ids_session)
    assert all("gone" not in each for each in kept)
    assert page.queue.event_ids_to_events == {}
    assert page.queue.pending_of("10.0.0.1") == 0


async def test_hundreds_of_invented_sessions_leave_no_more_than_an_addresss_share(page: SmallPage) -> None:
    async with page.open() as client:
        for number in range(200):
            await until(lambda: not page.queue.pending_of("10.0.0.1"))
            assert await join(client, ECHO, session=f"s{number}") == 200
        await until(lambda: not page.queue._asyncio_tasks)
    assert len(page.queue.pending_messages_per_session) <= 64
    assert len(page.blocks.state_holder.session_data) <= 64
    assert len(page.queue.pending_event_ids_session) <= 64
