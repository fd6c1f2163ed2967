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


async def listen_to(
    uri: str, options: BenchOptions | None = None, *, idle_timeout: float = 5.0
) -> ListenerReport:
    server = HttpTarget(uri, options or BenchOptions(uri))
    listener = await server.connect(server.make_request(TEXT, Input.PLAIN))
    return (await listener.listen(idle_timeout)).report()


async def listen_to_answer(answer: Answer, *, idle_timeout: float = 5.0) -> ListenerReport:
    async with http_server(answer) as server:
        return await listen_to(server.uri, idle_timeout=idle_timeout)


async def answer_with_speech(request: ReceivedHttpRequest) -> None:
    await request.begin(PCM_TYPE)
    await request.chunk(TENTH)
    await request.end()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> ManualClock:
    clock = ManualClock()
    monkeypatch.setattr("wyoming_tts.bench.targets.listener.time", clock)
    return clock


async def test_a_chunked_reply_is_timed_and_counted(clock: ManualClock) -> None:
    head = f"HTTP/1.1 200 OK\r\n{PCM_TYPE}\r\n{CHUNKED}\r\n\r\n".encode()
    report = await report_of(
        HttpListener(ListenerRequest((TimedWrite(0.0, b"request"),))),
        clock,
        (0.01, head),
        (0.05, http_chunk(TENTH)),
        (0.2, http_chunk(TENTH + TENTH) + http_chunk(b"")),
    )
    assert (report.outcome, report.error) == (RequestOutcome.SPOKEN, "")
    assert report.audio == pytest.approx(0.3)
    # The headers arrived earlier and do not count as audio.
    assert (report.ttfa, report.total) == pytest.approx((0.05, 0.2))
    assert report.played is not None
    assert report.played.gaps == pytest.approx((0.05,))
    assert report.after_sentence is None


def http_chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def test_the_request_is_the_one_of_an_openai_client_for_streamed_pcm() -> None:
    async with http_server(answer_with_speech) as server:
        await listen_to(server.uri, BenchOptions(server.uri, voice="tone", api_key="secret"))
        [request] = server.requests
    assert (request.method, request.path) == ("POST", "/v1/audio/speech")
    assert request.body == {
        "model": "tts-1",
        "input": TEXT,
        "voice": "tone",
        "response_format": "pcm",
        "stream": True,
    }
    assert request.headers["authorization"] == "Bearer secret"
    assert request.headers["content-type"] == "application/json"


async def test_voice_and_key_are_omitted_when_unset() -> None:
    async with http_server(answer_with_speech) as server:
        await listen_to(server.uri + "/behind/")
        [request] = server.requests
    assert request.path == "/behind/v1/audio/speech"
    assert "voice" not in request.body
    assert "authorization" not in request.headers


@pytest.mark.parametrize(("header", "seconds"), [("X-Sample-Rate: 48000", 0.05), ("X-Sample-Rate: ?", 0.1)])
async def test_the_sample_rate_header_of_the_server_is_used(header: str, seconds: float) -> None:
    async def answer(request: ReceivedHttpRequest) -> None:
        await request.begin(PCM_TYPE, header)
        await request.chunk(TENTH)
        await request.end()

    assert (await listen_to_answer(answer)).audio == pytest.approx(seconds)


async def test_replies_with_a_length_or_delimited_by_the_close_are_accepted() -> None:
    for answer in (
        lambda request: request.reply("200 OK", TENTH),
        lambda request: request.send(b"HTTP/1.1 200 OK\r\n\r\n" + TENTH),
    ):
        report = await listen_to_answer(answer)
        assert (report.outcome, round(report.audio, 6)) == (RequestOutcome.SPOKEN, 0.1)


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        ("429 Too Many", {"error": {"message": "full", "code": "busy"}}, "busy"),
        ("503 No", {"error": {"message": "not yet", "code": None}}, "http 503"),
        ("422 No", {"detail": "other servers"}, "http 422"),
        ("502 No", ["not an object"], "http 502"),
    ],
)
async def test_a_refusal_is_reported_by_its_error_code(status: str, body: object, error: str) -> None:
    report = await listen_to_answer(lambda request: request.reply(status, json.dumps(body).encode()))
    assert (report.outcome, report.error) == (RequestOutcome.REFUSED, error)
    assert (report.ttfa, report.audio) == (None, 0.0)


async def answer_truncated(request: ReceivedHttpRequest) -> None:
    await request.begin(PCM_TYPE)
    await request.chunk(TENTH)


async def test_an_aborted_body_is_cut_off_with_the_audio_so_far() -> None:
    report = await listen_to_answer(answer_truncated)
    assert (report.outcome, report.error, round(report.audio, 6)) == (RequestOutcome.CUT_OFF, "closed", 0.1)


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "closed"),
        (b"SSH-2.0\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "no audio"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\nContent-Length: 4\r\n\r\nmpeg", "not PCM"),
    ],
)
async def test_a_reply_without_speech_is_cut_off(raw: bytes, why: str) -> None:
    report = await listen_to_answer(lambda request: request.send(raw))
    assert (report.outcome, report.error) == (RequestOutcome.CUT_OFF, why)


async def test_a_stalled_reply_is_hung_after_the_idle_timeout() -> None:
    async def answer(request: ReceivedHttpRequest) -> None:
        await answer_truncated(request)
        await request.closed()

    report = await listen_to_answer(answer, idle_timeout=0.1)
    assert (report.outcome, round(report.audio, 6)) == (RequestOutcome.HUNG, 0.1)


async def test_the_voice_list_serves_as_describe() -> None:
    async with http_server(answer_with_speech) as server:
        latency = await HttpTarget(server.uri, BenchOptions(server.uri)).measure_describe_latency(5.0)
        assert latency is not None
        assert latency > 0.0
    assert await HttpTarget(server.uri, BenchOptions(server.uri)).measure_describe_latency(5.0) is None


async def test_a_failing_voice_list_has_no_latency() -> None:
    async with http_server(answer_with_speech, voices="503 No") as server:
        assert await HttpTarget(server.uri, BenchOptions(server.uri)).measure_describe_latency(5.0) is None


@pytest.mark.parametrize(
    ("voices", "message"),
    [("404 Not Found", "no list of voices: it answered 404"), ("401 No", "--api-key"), ("nonsense", "HTTP")],
)
async def test_a_server_without_speech_is_refused_before_measuring(voices: str, message: str) -> None:
    async with http_server(answer_with_speech, voices=voices) as server:
        with pytest.raises(ClientError, match=message):
            await HttpTarget(server.uri, BenchOptions(server.uri)).identify(streams=False)


async def test_an_unreachable_server_is_refused_before_measuring() -> None:
    async with http_server(answer_with_speech) as server:
        uri = server.uri
    with pytest.raises(ClientError, match=f"No answer from {uri}"):
        await HttpTarget(uri, BenchOptions(uri)).identify(streams=False)


async def test_http_does_not_accept_streamed_text() -> None:
    async with http_server(answer_with_speech) as server:
        with pytest.raises(ClientError, match="--input plain or --mode sentences"):
            await HttpTarget(server.uri, BenchOptions(server.uri)).identify(streams=True)


@pytest.mark.parametrize("uri", ["http://", "http://a:x", "http://a:99999"])
def test_an_invalid_address_is_refused(uri: str) -> None:
    with pytest.raises(ClientError, match="is not an address"):
        HttpTarget(uri, BenchOptions(uri))
