"""Stream tests against a real Wyoming server, and their limits."""

from __future__ import annotations

import io
import wave
from contextlib import aclosing

import pytest

from tests.page.stream_test_service import TEXT, last_frame, speaking_service
from tests.support.fake_synthesizer import RATE, speech_pcm
from wyoming_tts.errors import BadRequest, Busy, SpeechError, TooLong
from wyoming_tts.page.stream_test.client import ClientEventKind, ClientState
from wyoming_tts.page.stream_test.request import (
    ClientKind,
    StreamTestLimits,
    StreamTestRequest,
    check_request,
)
from wyoming_tts.page.stream_test.run import StreamTestFrame


def client_events(frame: StreamTestFrame, client: int = 1) -> list[ClientEventKind]:
    return [line.what for line in frame.lines if line.client == client]


async def test_a_streaming_client_sends_words_at_a_pace_and_receives_audio() -> None:
    async with speaking_service() as (service, _):
        frame = await last_frame(service, StreamTestRequest(TEXT, words_per_second=100.0))
    lane = frame.lanes[0]
    assert lane.state is ClientState.SPOKEN
    sent = [piece for piece in lane.text if isinstance(piece, tuple)]
    assert "".join(piece for _, piece in sent) == TEXT
    assert (len(sent), len(lane.text)) == (6, 6)
    assert sent[-1][0] - sent[0][0] > 0.045
    assert lane.audio == pytest.approx(len(speech_pcm(TEXT)) / 2 / RATE, abs=0.002)
    assert lane.ttfa is not None
    assert lane.ttfa < 1.0
    seen = client_events(frame)
    assert seen[:2] == [ClientEventKind.CONNECTED, ClientEventKind.TEXT]
    assert seen.index(ClientEventKind.AUDIO_START) < seen.index(ClientEventKind.FIRST_AUDIO)
    assert seen[-1] is ClientEventKind.ENDED
    assert seen.count(ClientEventKind.TEXT_END) == 1


async def test_without_streaming_the_text_is_sent_in_one_event() -> None:
    async with speaking_service() as (service, fake):
        frame = await last_frame(service, StreamTestRequest(TEXT, kind=ClientKind.WYOMING_PLAIN))
    assert len(frame.lanes[0].text) == 1
    assert len(fake.utterances) == 1


async def test_sixteen_clients_have_sixteen_lanes_and_one_summary() -> None:
    async with speaking_service() as (service, fake):
        frame = await last_frame(service, StreamTestRequest("Hello.", clients=16, vary=True, voice="tone"))
    assert [lane.client for lane in frame.lanes] == list(range(1, 17))
    assert frame.summary is not None
    assert (frame.summary.clients, frame.summary.spoken) == (16, 16)
    assert frame.summary.ttfa_p50 is not None
    assert frame.summary.ttfa_p95 is not None
    assert 0 < frame.summary.ttfa_p50 <= frame.summary.ttfa_p95
    assert frame.summary.real_time_factor is not None
    assert {utterance.voice.name for utterance in fake.utterances} == {"tone"}


async def test_a_run_is_compared_with_the_previous_one_of_its_session() -> None:
    async with speaking_service() as (service, _):
        first = await last_frame(service, StreamTestRequest("Hello."))
        other = await last_frame(service, StreamTestRequest("Hello."), session="someone else")
        second = await last_frame(service, StreamTestRequest("Hello.", clients=2))
    assert first.before is None
    assert other.before is None
    assert second.before == first.summary
    assert second.run != first.run


async def test_the_recorded_client_is_available_as_wav() -> None:
    async with speaking_service() as (service, _):
        frame = await last_frame(service, StreamTestRequest("Hello.", clients=2, recorded=2))
        wav = service.wav(frame.run, 2)
        assert [lane.recorded > 0 for lane in frame.lanes] == [False, True]
        assert service.wav(frame.run, 1) is service.wav(frame.run, 3) is service.wav("other", 2) is None
    assert wav is not None
    with wave.open(io.BytesIO(wav)) as sound:
        assert sound.getframerate() == RATE
        assert sound.readframes(sound.getnframes()) == speech_pcm("Hello.")


async def test_only_the_latest_runs_are_kept() -> None:
    async with speaking_service(limits=StreamTestLimits(kept=2)) as (service, _):
        runs = [
            (await last_frame(service, StreamTestRequest("Hi."), session=str(number))).run
            for number in range(3)
        ]
        assert [service.wav(run, 1) is not None for run in runs] == [False, True, True]
        assert await service.report(runs[0]) is None


async def test_stop_ends_all_clients_at_once() -> None:
    async with speaking_service() as (service, _):
        frames = service.run("me", StreamTestRequest(TEXT, clients=3, words_per_second=0.5))
        async for frame in frames:
            if all(lane.text for lane in frame.lanes):
                await service.stop("nobody")
                await service.stop("me")
    assert frame.over
    assert {lane.state for lane in frame.lanes} == {ClientState.STOPPED}


async def test_closing_the_frame_iterator_ends_the_run() -> None:
    async with speaking_service() as (service, fake):
        async with aclosing(service.run("me", StreamTestRequest(TEXT, words_per_second=0.5))) as frames:
            await anext(frames)
            await fake.until(lambda: fake.entered == 1)
        await fake.until(lambda: fake.left == 1)
        assert (await last_frame(service, StreamTestRequest("Again."))).lanes[0].state is ClientState.SPOKEN


async def test_an_unwatched_run_is_stopped() -> None:
    async with speaking_service(limits=StreamTestLimits(unwatched=0.15)) as (service, fake):
        frames = service.run("me", StreamTestRequest(TEXT, words_per_second=0.5))
        await anext(frames)
        await fake.until(lambda: fake.left == 1)
        assert [frame.lanes[0].state async for frame in frames] == [ClientState.STOPPED]


async def test_a_run_times_out_after_its_maximum_duration() -> None:
    async with speaking_service(limits=StreamTestLimits(seconds=0.3)) as (service, _):
        frame = await last_frame(service, StreamTestRequest(TEXT, words_per_second=0.5))
    assert frame.lanes[0].state is ClientState.TIMED_OUT
    assert 0.25 < frame.seconds < 2.0


async def test_concurrent_runs_are_limited_per_session_and_in_total() -> None:
    slow = StreamTestRequest(TEXT, words_per_second=0.5)
    async with speaking_service(limits=StreamTestLimits(at_once=2)) as (service, _):
        running = [service.run(session, slow) for session in ("a", "b")]
        for frames in running:
            await anext(frames)
        with pytest.raises(Busy, match="Your last run"):
            await anext(service.run("a", slow))
        with pytest.raises(Busy, match="2 stream tests"):
            await anext(service.run("c", slow))
        await service.close()
        for frames in running:
            assert [frame.over async for frame in frames] == [True]
        assert (await last_frame(service, StreamTestRequest("Hi."), session="c")).over


@pytest.mark.parametrize(
    ("invalid", "error"),
    [
        (StreamTestRequest("  "), BadRequest),
        (StreamTestRequest("x" * 5001), TooLong),
        (StreamTestRequest("Hi.", clients=0), BadRequest),
        (StreamTestRequest("Hi.", clients=17), BadRequest),
        (StreamTestRequest("Hi.", recorded=17), BadRequest),
        (StreamTestRequest("Hi.", words_per_second=0.0), BadRequest),
        (StreamTestRequest("Hi.", words_per_second=float("nan")), BadRequest),
        (StreamTestRequest("Hi.", voice="v" * 201), BadRequest),
    ],
)
def test_an_invalid_stream_test_request_is_refused(
    invalid: StreamTestRequest, error: type[SpeechError]
) -> None:
    with pytest.raises(error):
        check_request(invalid, StreamTestLimits())
