from __future__ import annotations

import json

import pytest

from tests.unit.bench.targets.driven_listener import ManualClock, report_of
from tests.unit.bench.targets.web_servers import (
    CHUNKED,
    PCM_TYPE,
    TENTH,
    Answer,
    ReceivedHttpRequest,
    http_server,
)
from wyoming_tts.bench.options import BenchOptions, Input
from wyoming_tts.bench.targets.http import HttpListener, HttpTarget
from wyoming_tts.bench.targets.listener import ListenerReport, ListenerRequest, RequestOutcome, TimedWrite
from wyoming_tts.client import ClientError

TEXT = "One two. Three four five."


async def heard_at(
    uri: str, options: BenchOptions | None = None, *, idle_timeout: float = 5.0
) -> ListenerReport:
    server = HttpTarget(uri, options or BenchOptions(uri))
    listener = await server.connect(server.make_request(TEXT, Input.PLAIN))
    return (await listener.listen(idle_timeout)).report()


async def heard_from(answer: Answer, *, idle_timeout: float = 5.0) -> ListenerReport:
    async with http_server(answer) as server:
        return await heard_at(server.uri, idle_timeout=idle_timeout)


async def speaking(asked: ReceivedHttpRequest) -> None:
    await asked.begin(PCM_TYPE)
    await asked.chunk(TENTH)
    await asked.end()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> ManualClock:
    clock = ManualClock()
    monkeypatch.setattr("wyoming_tts.bench.targets.listener.time", clock)
    return clock


async def test_a_chunked_reply_is_timed_and_counted(clock: ManualClock) -> None:
    head = f"HTTP/1.1 200 OK\r\n{PCM_TYPE}\r\n{CHUNKED}\r\n\r\n".encode()
    heard = await report_of(
        HttpListener(ListenerRequest((TimedWrite(0.0, b"request"),))),
        clock,
        (0.01, head),
        (0.05, http_chunk(TENTH)),
        (0.2, http_chunk(TENTH + TENTH) + http_chunk(b"")),
    )
    assert (heard.outcome, heard.error) == (RequestOutcome.SPOKEN, "")
    assert heard.audio == pytest.approx(0.3)
    # The headers came earlier, and are not what is heard.
    assert (heard.ttfa, heard.total) == pytest.approx((0.05, 0.2))
    assert heard.played is not None
    assert heard.played.gaps == pytest.approx((0.05,))
    assert heard.after_sentence is None


def http_chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def test_the_request_is_that_of_an_openai_client_for_streamed_pcm() -> None:
    async with http_server(speaking) as server:
        await heard_at(server.uri, BenchOptions(server.uri, voice="tone", api_key="secret"))
        [asked] = server.asked
    assert (asked.method, asked.path) == ("POST", "/v1/audio/speech")
    assert asked.body == {
        "model": "tts-1",
        "input": TEXT,
        "voice": "tone",
        "response_format": "pcm",
        "stream": True,
    }
    assert asked.headers["authorization"] == "Bearer secret"
    assert asked.headers["content-type"] == "application/json"


async def test_without_a_voice_and_a_key_none_is_sent() -> None:
    async with http_server(speaking) as server:
        await heard_at(server.uri + "/behind/")
        [asked] = server.asked
    assert asked.path == "/behind/v1/audio/speech"
    assert "voice" not in asked.body
    assert "authorization" not in asked.headers


@pytest.mark.parametrize(("header", "seconds"), [("X-Sample-Rate: 48000", 0.05), ("X-Sample-Rate: ?", 0.1)])
async def test_the_rate_is_the_servers_own_where_it_tells(header: str, seconds: float) -> None:
    async def answer(asked: ReceivedHttpRequest) -> None:
        await asked.begin(PCM_TYPE, header)
        await asked.chunk(TENTH)
        await asked.end()

    assert (await heard_from(answer)).audio == pytest.approx(seconds)


async def test_a_reply_may_also_have_a_length_or_end_with_the_connection() -> None:
    for answer in (
        lambda asked: asked.reply("200 OK", TENTH),
        lambda asked: asked.send(b"HTTP/1.1 200 OK\r\n\r\n" + TENTH),
    ):
        heard = await heard_from(answer)
        assert (heard.outcome, round(heard.audio, 6)) == (RequestOutcome.SPOKEN, 0.1)


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        ("429 Too Many", {"error": {"message": "full", "code": "busy"}}, "busy"),
        ("503 No", {"error": {"message": "not yet", "code": None}}, "http 503"),
        ("422 No", {"detail": "other servers"}, "http 422"),
        ("502 No", ["not an object"], "http 502"),
    ],
)
async def test_a_refusal_is_told_by_its_code(status: str, body: object, told: str) -> None:
    heard = await heard_from(lambda asked: asked.reply(status, json.dumps(body).encode()))
    assert (heard.outcome, heard.error) == (RequestOutcome.REFUSED, told)
    assert (heard.ttfa, heard.audio) == (None, 0.0)


async def cut(asked: ReceivedHttpRequest) -> None:
    await asked.begin(PCM_TYPE)
    await asked.chunk(TENTH)


async def test_a_body_that_is_aborted_is_cut_off_with_what_was_heard() -> None:
    heard = await heard_from(cut)
    assert (heard.outcome, heard.error, round(heard.audio, 6)) == (RequestOutcome.CUT_OFF, "closed", 0.1)


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "closed"),
        (b"SSH-2.0\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "no audio"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\nContent-Length: 4\r\n\r\nmpeg", "not PCM"),
    ],
)
async def test_a_reply_that_is_no_speech_is_cut_off(raw: bytes, why: str) -> None:
    heard = await heard_from(lambda asked: asked.send(raw))
    assert (heard.outcome, heard.error) == (RequestOutcome.CUT_OFF, why)


async def test_silence_for_too_long_is_a_hang() -> None:
    async def answer(asked: ReceivedHttpRequest) -> None:
        await cut(asked)
        await asked.closed()

    heard = await heard_from(answer, idle_timeout=0.1)
    assert (heard.outcome, round(heard.audio, 6)) == (RequestOutcome.HUNG, 0.1)


async def test_the_list_of_voices_stands_for_describe() -> None:
    async with http_server(speaking) as server:
        latency = await HttpTarget(server.uri, BenchOptions(server.uri)).measure_describe_latency(5.0)
        assert latency is not None
        assert latency > 0.0
    assert await HttpTarget(server.uri, BenchOptions(server.uri)).measure_describe_latency(5.0) is None


async def test_a_server_without_voices_answers_nothing() -> None:
    async with http_server(speaking, voices="503 No") as server:
        assert await HttpTarget(server.uri, BenchOptions(server.uri)).measure_describe_latency(5.0) is None


@pytest.mark.parametrize(
    ("voices", "told"),
    [("404 Not Found", "no list of voices: it answered 404"), ("401 No", "--api-key"), ("nonsense", "HTTP")],
)
async def test_what_is_no_server_of_speech_is_told_before_anything_is_measured(
    voices: str, told: str
) -> None:
    async with http_server(speaking, voices=voices) as server:
        with pytest.raises(ClientError, match=told):
            await HttpTarget(server.uri, BenchOptions(server.uri)).identify(streams=False)


async def test_nobody_there_is_told_too() -> None:
    async with http_server(speaking) as server:
        uri = server.uri
    with pytest.raises(ClientError, match=f"No answer from {uri}"):
        await HttpTarget(uri, BenchOptions(uri)).identify(streams=False)


async def test_http_takes_no_streamed_text() -> None:
    async with http_server(speaking) as server:
        with pytest.raises(ClientError, match="--input plain or --mode sentences"):
            await HttpTarget(server.uri, BenchOptions(server.uri)).identify(streams=True)


@pytest.mark.parametrize("uri", ["http://", "http://a:x", "http://a:99999"])
def test_an_address_that_is_none_is_refused(uri: str) -> None:
    with pytest.raises(ClientError, match="is not an address"):
        HttpTarget(uri, BenchOptions(uri))
