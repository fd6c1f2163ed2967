"""The access log of HTTP and WebSockets: a line for each request, without what is secret."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Callable

import pytest

from tests.http.conftest import serving
from tests.http.test_layers import guard_middleware
from tests.support.fake_synthesizer import RATE, FakeSynthesizer, speech_pcm
from tests.support.realtime_server import realtime_client, realtime_server
from wyoming_tts.speech import Utterance
from wyoming_tts.transports.access_log import AccessEntry, log_access
from wyoming_tts.transports.http.app import HttpOptions

LOGGER = "wyoming_tts.transports.access_log"
SPEECH = "/v1/audio/speech"

Lines = Callable[[], list[str]]


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Lines:
    """Return the lines of the access log."""
    caplog.set_level(logging.INFO, logger=LOGGER)
    return lambda: [record.getMessage() for record in caplog.records if record.name == LOGGER]


async def test_each_request_is_a_line(lines: Lines, caplog: pytest.LogCaptureFixture) -> None:
    body = {"input": "secret text", "response_format": "pcm", "sample_rate": RATE}
    async with serving(HttpOptions(log_requests=True), middleware=guard_middleware("hidden-key")) as served:
        await served.client.post(f"{SPEECH}?api_key=hidden-key", json=body)
        await served.client.post(SPEECH, json=body)
        await served.client.request("HEAD", "/healthz")
    spoken, refused, health = lines()
    sent = len(speech_pcm("secret text"))
    assert re.fullmatch(
        rf"client=127\.0\.0\.1 transport=http method=POST path=/v1/audio/speech status=200 bytes={sent} "
        r"seconds=\d+\.\d+ request=[0-9a-f]{16} complete=yes",
        spoken,
    )
    assert "method=POST path=/v1/audio/speech status=401" in refused
    assert "method=HEAD path=/healthz status=200" in health
    assert "hidden-key" not in caplog.text
    assert "secret" not in caplog.text
    fields = next(record.__dict__["request"] for record in caplog.records if record.name == LOGGER)
    assert (fields["status"], fields["bytes"], fields["complete"]) == ("200", sent, True)


async def test_a_query_that_is_quoted_as_a_path_is_in_no_log(
    lines: Lines, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with serving(HttpOptions(log_requests=True), middleware=guard_middleware("hidden-key")) as served:
        await served.client.get("/v1/audio/voices%3Fapi_key=hidden-key")
        await served.client.get(
            "/v1/nothing%3Fapi_key=hidden-key", headers={"Authorization": "Bearer hidden-key"}
        )
    refused, missing = lines()
    assert r'path="/v1/audio/voices?\u2026" status=401' in refused
    assert "status=404" in missing
    told = [record.getMessage() for record in caplog.records if record.name.startswith("wyoming_tts")]
    assert "refused GET" in "".join(told)
    assert "hidden-key" not in "".join(told)


async def test_nothing_is_logged_unless_it_is_wanted(lines: Lines) -> None:
    async with serving() as served:
        await served.client.get("/healthz")
    assert not lines()


async def test_an_answer_whose_client_goes_away_is_not_complete(lines: Lines) -> None:
    async def written() -> AsyncIterator[str]:
        yield "one"
        await asyncio.Event().wait()

    async def is_being_written(utterance: Utterance) -> None:
        object.__setattr__(utterance, "text", written())

    body = {"input": "one two", "response_format": "pcm"}
    async with serving(HttpOptions(log_requests=True)) as served:
        served.service.on_enter = is_being_written
        async with served.client.stream("POST", SPEECH, json=body) as answer:
            await anext(answer.aiter_raw())
    (line,) = lines()
    assert "status=200" in line
    assert line.endswith("complete=no")


async def test_a_websocket_is_a_line_at_its_end(lines: Lines) -> None:
    async with realtime_server(FakeSynthesizer(), log_requests=True) as server:
        async with realtime_client(f"{server.url}?api_key=hidden") as client:
            await client.send("response.create", input="one")
            await client.until("response.completed")
        await server.until(lambda: bool(lines()))
    (line,) = lines()
    assert "transport=websocket method=GET path=/v1/audio/speech/stream/ws status=101" in line
    assert "hidden" not in line


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/download/0123456789abcdef.mp3", r'"/download/\u2026"'),
        ("/gradio_api/heartbeat/session", r'"/gradio_api/heartbeat/\u2026"'),
        ("/a b\nstatus=200", r'"/a b\nstatus=200"'),
        ("/" + "x" * 1000, "/" + "x" * 199),
    ],
)
def test_a_path_can_neither_tell_a_secret_nor_forge_a_line(path: str, shown: str, lines: Lines) -> None:
    log_access(AccessEntry("", "http", "GET", path, "404", 0, 0.1))
    (line,) = lines()
    assert f"path={shown} status=404" in line
    assert line.isprintable()
