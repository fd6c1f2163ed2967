"""Upstream servers with the OpenAI speech API, well-behaved and misbehaving."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace

import pytest

from tests.support.fake_synthesizer import run_in_thread
from tests.support.scripted_http_server import (
    ReceivedRequest,
    Script,
    ScriptedHttpServer,
    as_floats,
    as_pcm,
    pcm_of,
    say,
    say_as_voxcpm,
    scripted_http_server,
    text_of,
    upstream,
    wav,
)
from wyoming_tts.engines.base import RemoteOptions
from wyoming_tts.engines.remote.http import HttpUpstream
from wyoming_tts.engines.remote.lists import ListedVoice
from wyoming_tts.engines.remote.upstream import UpstreamFault, UpstreamFaultKind, UpstreamRequest

LISTED = ListedVoice("af_far", "en_US", "Far")
REQUEST = UpstreamRequest("af_far", "Hello there", hops=1)
OPTIONS = RemoteOptions((), key="secret", connect_timeout=0.5, first_byte_timeout=5.0)


@asynccontextmanager
async def http_upstream(
    script: Script, options: RemoteOptions = OPTIONS
) -> AsyncIterator[tuple[HttpUpstream, ScriptedHttpServer]]:
    async with scripted_http_server(script) as server:
        client = HttpUpstream(server.address, options)
        try:
            yield client, server
        finally:
            await client.aclose()


async def synthesize(
    client: HttpUpstream, request: UpstreamRequest = REQUEST, listed: ListedVoice = LISTED
) -> bytes:
    async with aclosing(client.speak(request, listed)) as pieces:
        return as_pcm([samples async for samples in pieces])


async def fault_of(script: Script) -> UpstreamFault:
    async with http_upstream(upstream(speak=script)) as (client, _):
        with pytest.raises(UpstreamFault) as caught:
            await synthesize(client)
    return caught.value


async def test_text_is_synthesized_by_a_server_that_sends_chunked_pcm() -> None:
    async with http_upstream(upstream()) as (client, server):
        assert text_of(await synthesize(client, replace(REQUEST, speed=9.0))) == "Hello there"
    [request] = server.spoken
    assert request.path == "/v1/audio/speech"
    assert request.json == {
        "model": "tts-1",
        "input": "Hello there",
        "voice": "af_far",
        "response_format": "pcm",
        "speed": 4.0,
        "stream": True,
    }
    assert (request.headers["x-hops"], request.headers["authorization"]) == ("1", "Bearer secret")


async def test_speaker_and_sample_rate_are_sent_to_a_server_that_lists_them() -> None:
    async with http_upstream(upstream()) as (client, server):
        request = replace(REQUEST, speaker="ann", rate=16_000)
        await synthesize(client, request, replace(LISTED, rate=16_000, speakers=("ann",)))
    assert (server.spoken[0].json["speaker"], server.spoken[0].json["sample_rate"]) == ("ann", 16_000)


@pytest.mark.parametrize(("reads", "expected_text"), [(True, "Hi [[həˈləʊ]]!"), (False, "Hi !")])
async def test_phonemes_are_sent_to_servers_that_support_them(reads: bool, expected_text: str) -> None:  # noqa: FBT001
    async with http_upstream(upstream()) as (client, server):
        await synthesize(
            client, replace(REQUEST, text="Hi [[həˈləʊ]]!"), replace(LISTED, reads_phonemes=reads)
        )
    assert server.spoken[0].json["input"] == expected_text


async def test_wav_of_any_rate_is_resampled_to_the_requested_rate() -> None:
    async def answer(request: ReceivedRequest) -> None:
        await request.answer(body=wav(pcm_of("abc"), rate=12_000), kind="audio/wav")

    async with http_upstream(upstream(speak=answer)) as (client, _):
        assert len(await synthesize(client)) == pytest.approx(2 * len(pcm_of("abc")), abs=200)


@pytest.mark.parametrize(
    ("kind", "headers"), [("audio/pcm;rate=12000", {}), ("audio/pcm", {"X_Sample_Rate": "12000"})]
)
async def test_raw_pcm_has_the_rate_given_in_its_headers(kind: str, headers: dict[str, str]) -> None:
    async def answer(request: ReceivedRequest) -> None:
        await request.answer(200, pcm_of("abc"), kind, **headers)

    async with http_upstream(upstream(speak=answer)) as (client, _):
        assert len(await synthesize(client)) == pytest.approx(2 * len(pcm_of("abc")), abs=200)


async def test_the_first_audio_arrives_before_the_rest_is_synthesized() -> None:
    go_on = asyncio.Event()

    async def answer(request: ReceivedRequest) -> None:
        await request.head(Transfer_Encoding="chunked")
        await request.chunk(pcm_of("a"))
        await go_on.wait()
        await request.chunk(pcm_of("b"))
        await request.send(b"0\r\n\r\n")

    async with (
        http_upstream(upstream(speak=answer)) as (client, _),
        aclosing(client.speak(REQUEST, LISTED)) as pieces,
    ):
        assert text_of(as_pcm([await anext(pieces)])) == "a"
        go_on.set()
        assert text_of(as_pcm([samples async for samples in pieces])) == "b"


OWN_API = replace(
    OPTIONS,
    path="/tts/{voice}/stream?lang={language}",
    body=json.dumps(
        {
            "target_text": "{text}",
            "reference": "/voices/{voice}.wav",
            "locale": "{locale}",
            "speed": "{speed}",
            "cfg_value": 2.0,
        }
    ),
    pcm_rate=44_100,
    pcm_format="f32le",
)


async def test_a_server_with_an_api_of_its_own_is_asked_as_the_settings_say() -> None:
    listed = ListedVoice("Zoë/1", "zh_CN", "Zoë")
    request = UpstreamRequest("Zoë/1", 'Say "{voice}".', speed=1.25, rate=44_100)
    async with http_upstream(upstream(speak=say_as_voxcpm), OWN_API) as (client, server):
        assert text_of(await synthesize(client, request, listed)) == 'Say "{voice}".'
    [received] = server.spoken
    assert received.path == "/tts/Zo%C3%AB%2F1/stream?lang=zh"
    assert received.json == {
        "target_text": 'Say "{voice}".',
        "reference": "/voices/Zoë/1.wav",
        "locale": "zh-CN",
        "speed": 1.25,
        "cfg_value": 2.0,
    }


@pytest.mark.parametrize("floats", [False, True])
async def test_a_server_with_an_api_of_its_own_may_stream_wav(*, floats: bool) -> None:
    async def answer(request: ReceivedRequest) -> None:
        pcm = pcm_of(request.json["target_text"])
        body = wav(as_floats(pcm) if floats else pcm, length=0, floats=floats)
        await request.chunked([body], "audio/wav")

    async with http_upstream(upstream(speak=answer), OWN_API) as (client, _):
        assert text_of(await synthesize(client)) == "Hello there"


async def test_pcm_that_states_its_rate_has_that_rate() -> None:
    options = replace(OPTIONS, pcm_rate=44_100)
    stated = answering(200, pcm_of("abc"), "audio/pcm", X_Sample_Rate="24000")
    async with http_upstream(upstream(speak=stated), options) as (client, _):
        assert text_of(await synthesize(client)) == "abc"


@pytest.mark.parametrize("status", [400, 404, 405, 422])
async def test_a_server_with_an_api_of_its_own_need_not_know_what_a_voice_list_is(status: int) -> None:
    async with http_upstream(answering(status), OWN_API) as (client, _):
        assert await client.list_voices(run_in_thread) is None


async def test_cancelling_closes_the_connection_at_once() -> None:
    gone = asyncio.Event()

    async def answer(request: ReceivedRequest) -> None:
        await request.head(Transfer_Encoding="chunked")
        await request.chunk(pcm_of("a"))
        await request.closed()
        gone.set()
        request.writer.close()

    async with http_upstream(upstream(speak=answer)) as (client, _):
        async with aclosing(client.speak(REQUEST, LISTED)) as pieces:
            await anext(pieces)
        await gone.wait()


async def test_backpressure_reaches_a_server_whose_audio_is_not_read() -> None:
    sent = 0

    async def answer(request: ReceivedRequest) -> None:
        nonlocal sent
        await request.head(Transfer_Encoding="chunked")
        for _ in range(2000):
            await request.chunk(bytes(32_768))
            sent += 32_768

    async with (
        http_upstream(upstream(speak=answer)) as (client, _),
        aclosing(client.speak(REQUEST, LISTED)) as pieces,
    ):
        await anext(pieces)
        before = -1
        while before != sent:
            before = sent
            await asyncio.sleep(0.1)
        assert sent < 16_000_000  # the capacity of the two socket buffers, of 64 MB in total


async def test_connections_are_reused() -> None:
    async with http_upstream(upstream()) as (client, server):
        for _ in range(3):
            await synthesize(client)
        assert len({id(request.writer) for request in server.asked}) == 1


async def cut_in_the_middle(request: ReceivedRequest) -> None:
    await request.head(Transfer_Encoding="chunked")
    await request.chunk(pcm_of("abc"))
    request.writer.close()


async def cut_before_its_length(request: ReceivedRequest) -> None:
    await request.head(Content_Length="9999")
    await request.send(pcm_of("a"))
    request.writer.close()


async def hang_up(request: ReceivedRequest) -> None:
    request.writer.close()


async def send_huge_headers(request: ReceivedRequest) -> None:
    await request.send(b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 1_000_000)
    await request.closed()


async def send_no_http(request: ReceivedRequest) -> None:
    await request.send(b"SSH-2.0-OpenSSH_9.9\r\n\r\n")
    request.writer.close()


def answering(status: int, body: bytes = b"", kind: str = "application/json", **headers: str) -> Script:
    async def answer(request: ReceivedRequest) -> None:
        await request.answer(status, body, kind, **headers)

    return answer


OPENAI_ERROR = b'{"error":{"message":"No voice af_far.","code":"unknown_voice"}}'


@pytest.mark.parametrize(
    ("script", "kind", "expected_message"),
    [
        (cut_in_the_middle, UpstreamFaultKind.DOWN, "broke"),
        (cut_before_its_length, UpstreamFaultKind.DOWN, "broke"),
        (hang_up, UpstreamFaultKind.DOWN, "broke"),
        (send_huge_headers, UpstreamFaultKind.DOWN, "broke"),
        (send_no_http, UpstreamFaultKind.DOWN, "broke"),
        (answering(200, b"ID3", "audio/mpeg"), UpstreamFaultKind.FAILED, "audio/mpeg"),
        (answering(200, b"<html>", "text/html; charset=utf-8"), UpstreamFaultKind.FAILED, "text/html"),
        (
            answering(200, pcm_of("a"), "audio/pcm", Content_Encoding="gzip"),
            UpstreamFaultKind.FAILED,
            "compressed",
        ),
        (answering(500, b"oh\nno"), UpstreamFaultKind.FAILED, "500: oh no"),
        (answering(503, b"", Retry_After="3"), UpstreamFaultKind.BUSY, "503"),
        (answering(503), UpstreamFaultKind.FAILED, "503"),
        (answering(404, OPENAI_ERROR), UpstreamFaultKind.REFUSED, "404: No voice af_far"),
        (answering(422, b'{"detail":[{"loc":["body"]}]}'), UpstreamFaultKind.REFUSED, "422"),
        (answering(401, b"x" * 100_000), UpstreamFaultKind.REFUSED, "401: xxx"),
        (answering(302, Location="/elsewhere"), UpstreamFaultKind.REFUSED, "302"),
    ],
)
async def test_each_failure_maps_to_its_fault_kind(
    script: Script, kind: UpstreamFaultKind, expected_message: str
) -> None:
    fault = await fault_of(script)
    assert fault.kind is kind, str(fault)
    assert expected_message in str(fault)
    assert len(str(fault)) < 300
    assert "secret" not in str(fault)


async def test_the_fault_of_a_busy_server_carries_its_retry_after() -> None:
    fault = await fault_of(answering(429, OPENAI_ERROR, Retry_After="7"))
    assert (fault.kind, fault.retry_after) == (UpstreamFaultKind.BUSY, 7.0)
    fault = await fault_of(answering(429, Retry_After="Wed, 21 Oct 2026 07:28:00 GMT"))
    assert (fault.kind, fault.retry_after) == (UpstreamFaultKind.BUSY, 1.0)


async def test_a_refused_connection_is_reported_at_once() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        client = HttpUpstream(f"http://127.0.0.1:{free.getsockname()[1]}", OPTIONS)
        with pytest.raises(UpstreamFault, match="no connection") as caught:
            await synthesize(client)
        await client.aclose()
    assert caught.value.kind is UpstreamFaultKind.DOWN


async def test_the_base_path_and_password_are_sent_to_the_server_and_never_shown() -> None:
    async with scripted_http_server(upstream(path="/tts/v1/voices")) as server:
        address = server.address.replace("//", "//me:hidden@")
        client = HttpUpstream(f"{address}/tts/v1", OPTIONS)
        assert client.address == f"{server.address}/tts/v1"
        assert await client.list_voices(run_in_thread) == (ListedVoice("af_far", "en_US", "af_far"),)
        await synthesize(client)
        await client.aclose()
    assert server.spoken[0].path == "/tts/v1/audio/speech"


@pytest.mark.parametrize("path", ["/v1/voices", "/v1/audio/voices"])
async def test_the_voice_list_is_found_at_any_of_its_known_paths(path: str) -> None:
    async with http_upstream(upstream(path=path)) as (client, _):
        assert await client.list_voices(run_in_thread) == (ListedVoice("af_far", "en_US", "af_far"),)


@pytest.mark.parametrize(
    "script", [answering(404), answering(200, b"<html>", "text/html"), answering(200, b'{"a":1}')]
)
async def test_a_server_without_a_voice_list_has_none(script: Script) -> None:
    async with http_upstream(script) as (client, _):
        assert await client.list_voices(run_in_thread) is None


@pytest.mark.parametrize(
    ("script", "expected_message"),
    [
        (answering(401), "401"),
        (answering(200, b"x" * 2_000_001), "over"),
        (hang_up, "broke"),
        (answering(500), "500"),
    ],
)
async def test_an_unavailable_voice_list_is_a_fault(script: Script, expected_message: str) -> None:
    async with http_upstream(script) as (client, _):
        with pytest.raises(UpstreamFault, match=expected_message):
            await client.list_voices(run_in_thread)


async def test_fifty_streams_run_concurrently() -> None:
    together = asyncio.Barrier(50)

    async def answer(request: ReceivedRequest) -> None:
        await together.wait()
        await say(request)

    async with http_upstream(upstream(speak=answer)) as (client, _):
        requests = [replace(REQUEST, text=f"{number} there") for number in range(50)]
        audio = await asyncio.gather(*(synthesize(client, request) for request in requests))
    assert [text_of(pcm) for pcm in audio] == [request.text for request in requests]
