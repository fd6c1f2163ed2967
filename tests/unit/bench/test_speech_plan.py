from __future__ import annotations

import asyncio

import pytest

from tests.support.scripted_server import START, STOP, Script, ScriptedConnection, audio, scripted_server
from tests.unit.bench.targets.web_servers import PCM_TYPE, TENTH, ReceivedHttpRequest, http_server
from wyoming_tts.bench.options import BenchOptions, Input, RequestMode
from wyoming_tts.bench.speech_plan import SpeechPlan
from wyoming_tts.bench.targets.listener import ListenerReport, RequestOutcome
from wyoming_tts.bench.targets.target import make_target

TEXT = "One two. Three four five! Six?"


async def listen_to(
    uri: str, input_: Input = Input.PLAIN, *, words_per_second: float = 1000.0
) -> ListenerReport:
    server = make_target(uri, BenchOptions(uri))
    speech = SpeechPlan.for_text(
        TEXT, server, input_, mode=RequestMode.SENTENCES, words_per_second=words_per_second
    )
    return await speech.listen(5.0, asyncio.Barrier(1))


def answer_after(after: float = 0.0) -> Script:
    async def script(conversation: ScriptedConnection) -> None:
        await conversation.read_until("synthesize")
        await asyncio.sleep(after)
        await conversation.send(START, audio(bytes(4410)), STOP)

    return script


async def test_each_sentence_is_requested_after_the_reply_to_the_previous_one() -> None:
    async with scripted_server(answer_after(0.15)) as server:
        report = await listen_to(server.uri)
    assert [event.data["text"] for event in server.received] == ["One two.", "Three four five!", "Six?"]
    assert (report.outcome, round(report.audio, 6)) == (RequestOutcome.SPOKEN, 0.3)
    assert report.ttfa is not None
    assert report.ttfa >= 0.15
    assert report.total >= 0.45
    # 0.1 s of audio every 0.15 s: the listener hears the gaps between the sentences.
    assert report.played is not None
    assert report.played.underruns == 2
    assert report.after_sentence is None


async def test_sentences_are_requested_one_by_one_over_http() -> None:
    async def answer(request: ReceivedHttpRequest) -> None:
        await request.begin(PCM_TYPE)
        await request.chunk(TENTH)
        await request.end()

    async with http_server(answer) as server:
        report = await listen_to(server.uri, Input.STREAM)
    assert [request.body["input"] for request in server.requests] == ["One two.", "Three four five!", "Six?"]
    assert report.audio == pytest.approx(0.3)


async def test_streamed_text_is_requested_once_a_sentence_is_complete() -> None:
    async with scripted_server(answer_after()) as server:
        report = await listen_to(server.uri, Input.STREAM, words_per_second=20.0)
    assert report.ttfa is not None
    assert report.after_sentence is not None
    # "Three" comes after 100 ms; the last sentence is complete with its own word, after 250 ms.
    assert report.ttfa - report.after_sentence == pytest.approx(0.1)
    assert report.after_sentence > 0.0
    assert report.total >= 0.25


async def test_a_sentence_that_fails_ends_the_speech() -> None:
    spoken = 0

    async def script(conversation: ScriptedConnection) -> None:
        nonlocal spoken
        spoken += 1
        await conversation.read_until("synthesize")
        events = [STOP] if spoken == 2 else [START, audio(bytes(4410)), STOP]
        await conversation.send(*events)

    async with scripted_server(script) as server:
        report = await listen_to(server.uri)
    assert spoken == 2
    assert (report.outcome, report.error, round(report.audio, 6)) == (RequestOutcome.CUT_OFF, "no audio", 0.1)


async def test_an_unreachable_server_releases_the_barrier() -> None:
    async with scripted_server(answer_after()) as server:
        uri = server.uri
    report = await listen_to(uri)
    assert (report.outcome, report.error, report.total) == (RequestOutcome.CUT_OFF, "unreachable", 0.0)
