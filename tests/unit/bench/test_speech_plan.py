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


async def heard_at(
    uri: str, input_: Input = Input.PLAIN, *, words_per_second: float = 1000.0
) -> ListenerReport:
    server = make_target(uri, BenchOptions(uri))
    speech = SpeechPlan.for_text(
        TEXT, server, input_, mode=RequestMode.SENTENCES, words_per_second=words_per_second
    )
    return await speech.listen(5.0, asyncio.Barrier(1))


def answering(after: float = 0.0) -> Script:
    async def script(conversation: ScriptedConnection) -> None:
        await conversation.read_until("synthesize")
        await asyncio.sleep(after)
        await conversation.send(START, audio(bytes(4410)), STOP)

    return script


async def test_each_sentence_is_a_request_after_the_reply_to_the_one_before() -> None:
    async with scripted_server(answering(0.15)) as server:
        heard = await heard_at(server.uri)
    assert [event.data["text"] for event in server.received] == ["One two.", "Three four five!", "Six?"]
    assert (heard.outcome, round(heard.audio, 6)) == (RequestOutcome.SPOKEN, 0.3)
    assert heard.ttfa is not None
    assert heard.ttfa >= 0.15
    assert heard.total >= 0.45
    # 0.1 s of audio every 0.15 s: the listener hears the gaps between the sentences.
    assert heard.played is not None
    assert heard.played.underruns == 2
    assert heard.after_sentence is None


async def test_over_http_it_is_the_same() -> None:
    async def answer(asked: ReceivedHttpRequest) -> None:
        await asked.begin(PCM_TYPE)
        await asked.chunk(TENTH)
        await asked.end()

    async with http_server(answer) as server:
        heard = await heard_at(server.uri, Input.STREAM)
    assert [asked.body["input"] for asked in server.asked] == ["One two.", "Three four five!", "Six?"]
    assert heard.audio == pytest.approx(0.3)


async def test_streamed_text_is_asked_for_when_a_sentence_is_complete() -> None:
    async with scripted_server(answering()) as server:
        heard = await heard_at(server.uri, Input.STREAM, words_per_second=20.0)
    assert heard.ttfa is not None
    assert heard.after_sentence is not None
    # "Three" comes after 100 ms; the last sentence is complete with its own word, after 250 ms.
    assert heard.ttfa - heard.after_sentence == pytest.approx(0.1)
    assert heard.after_sentence > 0.0
    assert heard.total >= 0.25


async def test_a_sentence_that_is_not_spoken_ends_the_speech() -> None:
    spoken = 0

    async def script(conversation: ScriptedConnection) -> None:
        nonlocal spoken
        spoken += 1
        await conversation.read_until("synthesize")
        events = [STOP] if spoken == 2 else [START, audio(bytes(4410)), STOP]
        await conversation.send(*events)

    async with scripted_server(script) as server:
        heard = await heard_at(server.uri)
    assert spoken == 2
    assert (heard.outcome, heard.error, round(heard.audio, 6)) == (RequestOutcome.CUT_OFF, "no audio", 0.1)


async def test_nobody_there_is_unreachable_and_frees_the_barrier() -> None:
    async with scripted_server(answering()) as server:
        uri = server.uri
    heard = await heard_at(uri)
    assert (heard.outcome, heard.error, heard.total) == (RequestOutcome.CUT_OFF, "unreachable", 0.0)
