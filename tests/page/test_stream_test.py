"""Stream tests against a real Wyoming server, and against servers that misbehave."""

from __future__ import annotations

import asyncio
import io
import json
import socket
import wave
from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from itertools import pairwise
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from wyoming.error import Error
from wyoming.tts import SynthesizeStopped

from tests.support.fake_synthesizer import RATE, FakeSynthesizer, run_in_thread, speech_pcm
from tests.support.parts import running_parts
from tests.support.scripted_server import START, STOP, ScriptedConnection, audio, scripted_server
from wyoming_tts.client import ClientError, DiscoveredServer, OnAudio, OnWords
from wyoming_tts.errors import BadRequest, Busy, SpeechError, TooLong
from wyoming_tts.page.stream_test import client as recorder
from wyoming_tts.page.stream_test.client import (
    ClientEvent,
    ClientEventKind,
    ClientRecorder,
    ClientState,
    EvenSample,
    EventLog,
)
from wyoming_tts.page.stream_test.gaps import Gap, GapCount, GapOwner
from wyoming_tts.page.stream_test.request import (
    ClientKind,
    StreamTestLimits,
    StreamTestRequest,
    check_request,
    parse_address,
)
from wyoming_tts.page.stream_test.routes import stream_test_routes
from wyoming_tts.page.stream_test.run import StreamTestFrame, StreamTestRun, as_json, as_translatable_json
from wyoming_tts.page.stream_test.service import StreamTestService
from wyoming_tts.page.stream_test.targets import OwnAddresses, StreamTestTarget, StreamTestTargets
from wyoming_tts.speech import AudioFormat, SpokenWord
from wyoming_tts.transports.wyoming.protocol import info_event
from wyoming_tts.transports.wyoming.server import WyomingServer
from wyoming_tts.wyoming_framing import encode_event

TEXT = "One two three. Four five six."
HALF_SECOND = bytes(22050)


def describe() -> bytes:
    return encode_event(info_event([], version="1", supports_streaming=True))


@asynccontextmanager
async def service_for(own: str, **options: Any) -> AsyncIterator[StreamTestService]:
    async with running_parts() as parts:
        service = StreamTestService(parts, lambda: OwnAddresses(own), **options)
        yield service
        await service.close()


@asynccontextmanager
async def speaking_service(**options: Any) -> AsyncIterator[tuple[StreamTestService, FakeSynthesizer]]:
    """The service and a real server; neither may leave a task behind."""
    fake = FakeSynthesizer()
    before = asyncio.all_tasks()
    async with WyomingServer(fake, describe=describe, run_blocking=run_in_thread) as server:
        await server.start("tcp://127.0.0.1:0")
        host, port = server.bound[0][:2]
        async with service_for(f"tcp://{host}:{port}", **options) as service:
            yield service, fake
    assert fake.entered == fake.left
    assert asyncio.all_tasks() == before


async def last_frame(
    service: StreamTestService, request: StreamTestRequest, session: str = "me"
) -> StreamTestFrame:
    frames = [frame async for frame in service.run(session, request)]
    assert [frame.over for frame in frames] == [False] * (len(frames) - 1) + [True]
    return frames[-1]


def client_events(frame: StreamTestFrame, client: int = 1) -> list[ClientEventKind]:
    return [line.what for line in frame.lines if line.client == client]


def closed_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


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


@pytest.mark.parametrize(
    "target",
    [
        "unix:///run/docker.sock",
        "http://localhost:1",
        "localhost:port",
        "localhost:99999",
        "user@localhost",
        "localhost/path",
        "local\nhost",
        "h" * 300,
    ],
)
def test_a_malformed_target_is_refused(target: str) -> None:
    with pytest.raises(BadRequest, match="as the address of a server"):
        parse_address(target)


@pytest.mark.parametrize(
    ("target", "uri"),
    [
        ("nas.local", "tcp://nas.local:10200"),
        (" 10.0.0.5:1234 ", "tcp://10.0.0.5:1234"),
        ("tcp://[fe80::1]:10200", "tcp://[fe80::1]:10200"),
        ("[::1]", "tcp://[::1]:10200"),
    ],
)
def test_a_target_address_defaults_to_tcp_and_port_10200(target: str, uri: str) -> None:
    assert parse_address(target) == uri


class Names:
    """Resolves names to 10.0.0.7, and counts how often."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[str] = []
        monkeypatch.setattr("wyoming_tts.page.stream_test.targets.socket.getaddrinfo", self._resolve)

    def _resolve(self, host: str, port: int, **_: object) -> list[Any]:
        self.asked.append(host)
        if host == "gone.lan":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.7", port))]


def targets(*allowed: str) -> StreamTestTargets:
    own = OwnAddresses("tcp://127.0.0.1:10200", "https://127.0.0.1:8880", api_key="secret")
    return StreamTestTargets(lambda: own, allowed, run_blocking=run_in_thread)


async def test_any_other_target_is_refused_by_one_message_and_never_resolved(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = Names(monkeypatch)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        ports = (listening.getsockname()[1], closed_port(), 22)
        hosts = (
            "127.0.0.1",
            "localhost",
            "[::1]",
            "router.lan",
            "no-such-host.invalid",
            "0x7f000001",
            "127.1",
        )
        messages: set[str] = set()
        for target in [f"{host}:{port}" for host in hosts for port in ports]:
            with pytest.raises(BadRequest) as refused:
                await targets("nas.lan", "10.0.0.5:1234").resolve(target)
            messages.add(str(refused.value))
        listening.setblocking(False)
        with pytest.raises(BlockingIOError):
            listening.accept()
    assert len(messages) == 1
    assert "stream_test_targets" in messages.pop()
    assert names.asked == []


async def test_this_server_is_a_target_and_so_are_those_of_the_setting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = Names(monkeypatch)
    known = targets("NAS.lan", "10.0.0.5:1234", "gone.lan")
    assert (await known.resolve(" ")).uri == "tcp://127.0.0.1:10200"
    assert (await known.resolve("127.0.0.1")).uri == "tcp://127.0.0.1:10200"
    assert (await known.resolve("10.0.0.5:1234")).uri == "tcp://10.0.0.5:1234"
    assert names.asked == []
    assert (await known.resolve("nas.lan:10200")).uri == "tcp://10.0.0.7:10200"
    assert names.asked == ["nas.lan"]
    for other_port in ("nas.lan:22", "10.0.0.5"):
        with pytest.raises(BadRequest, match="stream_test_targets"):
            await known.resolve(other_port)
    with pytest.raises(BadRequest, match=r"gone\.lan has no address"):
        await known.resolve("gone.lan")


async def test_a_target_is_reached_by_the_protocol_of_the_client_and_only_this_server_gets_its_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Names(monkeypatch)
    known = targets("nas.lan:8880", "10.0.0.5:1234")
    own = StreamTestTarget("https://127.0.0.1:8880", "secret", is_own=True)
    for kind in (ClientKind.HTTP, ClientKind.REALTIME):
        assert [await known.resolve(target, kind) for target in ("", "127.0.0.1:10200", "127.0.0.1")] == [
            own
        ] * 3
        assert await known.resolve("nas.lan", kind) == StreamTestTarget("http://10.0.0.7:8880")
        assert await known.resolve("10.0.0.5:1234", kind) == StreamTestTarget("http://10.0.0.5:1234")
        for other in ("10.0.0.5", "127.0.0.1:22"):
            with pytest.raises(BadRequest, match="stream_test_targets"):
                await known.resolve(other, kind)
    for kind in (ClientKind.WYOMING_STREAM, ClientKind.WYOMING_PLAIN):
        wyoming = await known.resolve("127.0.0.1:8880", kind)
        assert wyoming == StreamTestTarget("tcp://127.0.0.1:10200", is_own=True)
    without_http = StreamTestTargets(lambda: OwnAddresses("tcp://127.0.0.1:1"), run_blocking=run_in_thread)
    with pytest.raises(BadRequest, match="HTTP"):
        await without_http.resolve("", ClientKind.HTTP)


async def test_a_server_found_on_the_network_is_a_target_from_then_on() -> None:
    async def search(_: float) -> list[DiscoveredServer]:
        return [DiscoveredServer("kitchen", f"tcp://127.0.0.1:{port}", ("127.0.0.1",))]

    port = closed_port()
    request = StreamTestRequest("Hi.", target=f"127.0.0.1:{port}")
    async with service_for("tcp://127.0.0.1:1", search=search) as service:
        with pytest.raises(BadRequest, match="search for it"):
            await last_frame(service, request)
        await service.find()
        assert (await last_frame(service, request)).lanes[0].state is ClientState.FAILED


def test_a_limited_number_of_found_servers_is_remembered() -> None:
    known = targets()
    known.add(DiscoveredServer(str(number), f"tcp://10.0.0.5:{number}", ()) for number in range(1, 1000))
    assert len(known._found) == 64
    assert "tcp://10.0.0.5:999" in known._found


async def run_against(
    script: Callable[[ScriptedConnection], Any], request: StreamTestRequest
) -> StreamTestFrame:
    async with scripted_server(script) as server, service_for(server.uri) as service:
        return await last_frame(service, request)


async def test_a_refused_connection_is_a_failed_lane() -> None:
    async with service_for(f"tcp://127.0.0.1:{closed_port()}") as service:
        frame = await last_frame(service, StreamTestRequest(TEXT, clients=2))
    assert [lane.state for lane in frame.lanes] == [ClientState.FAILED] * 2
    assert "No connection" in frame.lanes[0].error
    assert frame.summary is not None
    assert (frame.summary.spoken, frame.summary.ttfa_p50) == (0, None)


class Clock:
    """Stands for the module `time`."""

    now = 0.0

    def __call__(self) -> float:
        return self.now

    perf_counter = __call__


async def test_gaps_are_counted_by_whose_they_are_and_together_as_in_the_benchmark(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    monkeypatch.setattr("wyoming_tts.page.stream_test.run.time", clock)

    async def speaker(pieces: AsyncIterable[str], *, on_audio: OnAudio, on_words: OnWords) -> None:
        """Half a second of audio with one word."""
        position = 0.0

        async def say(word: str) -> None:
            nonlocal position
            begin = TEXT.index(word)
            end = begin + len(word)
            on_words((SpokenWord(word, begin, end, begin, end, position, position + 0.5),))
            await on_audio(AudioFormat(1000), bytes(1000))
            position += 0.5

        answers = iter(("One", "two", None, "three", "three", None))
        async for _ in pieces:  # one a second
            if answer := next(answers):
                await say(answer)
            clock.now += 1
        await say("six")

    request = StreamTestRequest(TEXT, words_per_second=200.0)
    run = StreamTestRun(request, "tcp://127.0.0.1:1", speaker, StreamTestLimits())
    run.start(on_over=lambda: None)
    assert await run.is_over_within(10.0)
    gaps = [(gap.at, gap.seconds, str(gap.owner)) for gap in run.frame().lanes[0].gaps]
    assert gaps == [
        (0.5, 0.5, "text"),
        (1.5, 1.5, "text"),  # what completes the sentence comes while the player is dry
        (3.5, 0.5, "server"),
        (4.5, 1.5, "text"),  # the text may go on
    ]
    summary = run.summary()
    assert (summary.gaps, summary.gaps_text, summary.gaps_server, summary.gaps_unknown) == (4, 3, 1, 0)
    assert (summary.silence, summary.silence_text, summary.silence_server) == (4.0, 3.5, 0.5)


async def test_a_connection_closed_mid_stream_is_a_failed_lane_with_the_audio_received() -> None:
    async def script(connection: ScriptedConnection) -> None:
        await connection.read_until("synthesize-stop")
        await connection.send(START, audio(HALF_SECOND))

    lane = (await run_against(script, StreamTestRequest(TEXT, words_per_second=200.0))).lanes[0]
    assert lane.state is ClientState.FAILED
    assert "closed the connection" in lane.error
    assert lane.audio == 0.5


async def test_a_busy_error_is_a_refused_lane() -> None:
    async def script(connection: ScriptedConnection) -> None:
        await connection.read_until("synthesize-start")
        await connection.send(Error("Too many streams.", "busy"), SynthesizeStopped())
        await connection.closed()

    frame = await run_against(script, StreamTestRequest(TEXT, words_per_second=200.0))
    assert frame.lanes[0].state is ClientState.REFUSED
    assert "busy" in frame.lanes[0].error
    assert "busy" in frame.lines[-1].detail


async def test_a_server_that_never_finishes_is_a_timed_out_lane() -> None:
    async def script(connection: ScriptedConnection) -> None:
        await connection.read_until("synthesize")
        await connection.send(START, audio(HALF_SECOND))
        await connection.closed()

    limits = StreamTestLimits(seconds=0.5)
    async with scripted_server(script) as server, service_for(server.uri, limits=limits) as service:
        lane = (await last_frame(service, StreamTestRequest(TEXT, kind=ClientKind.WYOMING_PLAIN))).lanes[0]
    assert lane.state is ClientState.TIMED_OUT
    assert lane.audio == 0.5


async def test_speech_without_audio_and_a_server_of_another_protocol_are_failed_lanes() -> None:
    async def silent(connection: ScriptedConnection) -> None:
        await connection.read_until("synthesize")
        await connection.send(START, STOP)
        await connection.closed()

    async def other_protocol(connection: ScriptedConnection) -> None:
        await connection.send_bytes(b"SSH-2.0-OpenSSH\r\n")
        await connection.closed()

    for script, words in ((silent, "without any audio"), (other_protocol, "not Wyoming")):
        lane = (await run_against(script, StreamTestRequest(TEXT, kind=ClientKind.WYOMING_PLAIN))).lanes[0]
        assert lane.state is ClientState.FAILED
        assert words in lane.error


async def test_a_crashing_client_is_a_failed_lane_that_hides_internal_details(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("/secret/path")

    monkeypatch.setattr("wyoming_tts.page.stream_test.speakers.speak", broken)
    async with service_for("tcp://127.0.0.1:1") as service:
        lane = (await last_frame(service, StreamTestRequest(TEXT))).lanes[0]
    assert lane.state is ClientState.FAILED
    assert "ZeroDivisionError" in lane.error
    assert "secret" not in lane.error
    assert "/secret/path" in caplog.text


async def test_the_simulated_player_records_an_underrun_and_resumes() -> None:
    clock, log = Clock(), EventLog()
    lane = ClientRecorder(1, log, clock, records=False)
    for at, seconds in ((1.0, 0.5), (1.2, 0.5), (2.5, 1.0)):
        clock.now = at
        await lane.on_audio(AudioFormat(1000), bytes(int(2000 * seconds)))
    snapshot = lane.snapshot()
    assert snapshot.buffer == ((1.0, 0.5), (1.2, 0.8), (2.5, 1.0))
    assert snapshot.gaps == (Gap(2.0, 0.5, GapOwner.UNKNOWN),)
    assert snapshot.gap_counts[GapOwner.UNKNOWN] == GapCount(1, 0.5)
    assert lane.result().played is not None
    assert lane.result().played.gaps == (0.5,)  # type: ignore[union-attr]
    assert [line.what for line in log.newest()] == ["first_audio", "chunk", "chunk", "underrun"]


def _word(text: str, start: float) -> SpokenWord:
    return SpokenWord(text, 0, 1, 0, 1, start, start + 0.1)


async def test_words_are_placed_where_the_player_plays_them_also_after_a_gap() -> None:
    clock = Clock()
    lane = ClientRecorder(1, EventLog(), clock, records=True)
    told = ((1.0, [("It", 0.0), ("is", 0.4)]), (1.2, [("now", 0.6)]), (2.5, [("late", 1.25)]))
    for at, words in told:
        clock.now = at
        lane.on_words(tuple(_word(*word) for word in words))
        await lane.on_audio(AudioFormat(1000), bytes(1000))
    assert lane.snapshot().words == ((1.0, "It"), (1.4, "is"), (1.6, "now"), (2.75, "late"))


async def test_words_are_kept_of_the_recorded_client_alone_and_not_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recorder, "MAX_WORDS", 3)
    kept, other = (ClientRecorder(1, EventLog(), Clock(), records=records) for records in (True, False))
    for lane in (kept, other):
        lane.on_words(tuple(_word("so", number / 10) for number in range(5)))
        await lane.on_audio(AudioFormat(1000), bytes(1000))
    assert (len(kept.snapshot().words), other.snapshot().words) == (3, ())


async def test_recorded_audio_chunks_and_events_of_a_client_are_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recorder, "MAX_RECORDED_SECONDS", 2.0)
    monkeypatch.setattr(recorder, "MAX_CHUNKS", 500)
    clock, log = Clock(), EventLog(100)
    lane = ClientRecorder(1, log, clock, records=True)
    for number in range(500):
        clock.now = number / 10
        lane.text_sent("word")
        await lane.on_audio(AudioFormat(1000), bytes(20))
    with pytest.raises(ClientError, match="more than 500"):
        await lane.on_audio(AudioFormat(1000), bytes(20))
    snapshot = lane.snapshot()
    assert snapshot.recorded == 2.0
    assert max(len(snapshot.text), len(snapshot.buffer), len(snapshot.gaps)) <= 60
    assert snapshot.chunks == 500
    assert (log.count, len(log.newest())) == (1499, 100)


def test_an_even_sample_keeps_items_at_equal_distances() -> None:
    thinned = EvenSample[int](8)
    for number in range(100):
        thinned.add(number)
    kept = list(thinned)
    assert kept[0] == 0
    assert len(kept) <= 8
    assert len({after - before for before, after in pairwise(kept)}) == 1


def test_a_frame_is_serialized_as_plain_json() -> None:
    line = ClientEvent(0.5, 1, ClientEventKind.ENDED, "spoken ✓")
    frame_json = json.loads(as_json(StreamTestFrame("id", False, 1.0, (), (line,), 1)))
    assert frame_json["lines"] == [{"at": 0.5, "client": 1, "what": "ended", "detail": "spoken ✓"}]
    assert frame_json["summary"] is None


async def test_server_discovery_runs_one_search_at_a_time() -> None:
    searches: list[float] = []
    at_once = 0

    async def search(seconds: float) -> list[DiscoveredServer]:
        nonlocal at_once
        at_once += 1
        assert at_once == 1
        await asyncio.sleep(0)
        searches.append(seconds)
        at_once -= 1
        return [DiscoveredServer("house", "tcp://10.0.0.5:10200", ("10.0.0.5",))]

    async with service_for("tcp://127.0.0.1:1", search=search) as service:
        first, second = await asyncio.gather(service.find(), service.find())
    assert [server.name for server in first + second] == ["house"] * 2
    assert len(searches) == 2
    assert max(searches) <= 5.0


async def test_a_hanging_search_times_out_with_no_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wyoming_tts.page.stream_test.service._MAX_SEARCH_SECONDS", 0.05)

    async def search(_: float) -> list[DiscoveredServer]:
        await asyncio.Event().wait()
        return []

    async with service_for("tcp://127.0.0.1:1", search=search) as service:
        assert await service.find() == ()


async def test_a_runs_report_and_its_audio_with_ranges_are_served_over_http() -> None:
    async with speaking_service() as (service, _):
        frame = await last_frame(service, StreamTestRequest("Hello."))
        wav = service.wav(frame.run, 1)
        assert wav is not None
        app = FastAPI()
        app.include_router(stream_test_routes(service))
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test/page/stream-test/") as client:
            report = await client.get(f"{frame.run}/run.json")
            whole = await client.get(f"{frame.run}/1.wav")
            part = await client.get(f"{frame.run}/1.wav", headers={"Range": "bytes=4-7"})
            tail = await client.get(f"{frame.run}/1.wav", headers={"Range": "bytes=-4"})
            out_of_range = await client.get(f"{frame.run}/1.wav", headers={"Range": f"bytes={len(wav)}-"})
            missing = [
                (await client.get(path)).status_code
                for path in ("x/1.wav", "x/run.json", f"{frame.run}/2.wav")
            ]
    run_json = report.json()
    assert run_json["order"]["text"] == "Hello."
    assert run_json["lanes"][0]["state"] == "spoken"
    assert [line["what"] for line in run_json["log"]][-1] == "ended"
    assert "attachment" in report.headers["content-disposition"]
    assert (whole.content, whole.headers["content-type"]) == (wav, "audio/wav")
    assert (part.status_code, part.content) == (206, wav[4:8])
    assert part.headers["content-range"] == f"bytes 4-7/{len(wav)}"
    assert (tail.content, out_of_range.status_code) == (wav[-4:], 416)
    assert missing == [404, 404, 404]


async def test_a_run_is_streamed_as_events_and_ends_with_its_request() -> None:
    async with speaking_service() as (service, _):
        app = FastAPI()
        app.include_router(stream_test_routes(service))
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test/page/stream-test/") as client:
            answer = await client.post("run", json={"session": "me", "text": "Hello.", "clients": 2})
            refused = await client.post("run", json={"session": "me/you", "text": "Hello."})
    frames = [json.loads(line.removeprefix("data: ")) for line in answer.text.split("\n\n") if line]
    assert answer.headers["content-type"] == "text/event-stream"
    assert frames[-1]["over"]
    assert [lane["state"] for lane in frames[-1]["lanes"]] == ["spoken", "spoken"]
    assert refused.status_code == 422


async def test_half_a_character_in_a_text_ends_no_run() -> None:
    async with speaking_service() as (service, _):
        app = FastAPI()
        app.include_router(stream_test_routes(service))
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test/page/stream-test/") as client:
            body = rb'{"session": "a", "text": "Hello \ud83d."}'
            run = await client.post("run", content=body, headers={"Content-Type": "application/json"})
            frames = [json.loads(event.removeprefix("data: ")) for event in run.text.split("\n\n") if event]
            report = await client.get(f"{frames[-1]['run']}/run.json")
    assert report.json()["order"]["text"] == "Hello \ud83d."
    assert report.json()["lanes"][0]["state"] == "spoken"


async def test_an_error_of_a_lane_is_sent_with_its_id_and_saved_as_text() -> None:
    async with service_for(f"tcp://127.0.0.1:{closed_port()}") as service:
        frame = await last_frame(service, StreamTestRequest(TEXT))
        sent = json.loads(as_translatable_json(frame))["lanes"][0]["error"]
        report = await service.report(frame.run)
    assert sent["id"] == "no_connection"
    assert sent["arguments"]["reason"]["id"] == "connection_refused"
    assert report is not None
    assert json.loads(report)["lanes"][0]["error"] == sent["text"] == frame.lanes[0].error
