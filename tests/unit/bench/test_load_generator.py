from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path

import pytest
from wyoming.error import Error
from wyoming.info import Describe
from wyoming.tts import Synthesize, SynthesizeStop, SynthesizeStopped

from tests.support.scripted_server import (
    START,
    STOP,
    Script,
    ScriptedConnection,
    answer_describe,
    audio,
    info,
    scripted_server,
)
from tests.unit.bench.targets.web_servers import PCM_TYPE, ReceivedHttpRequest, http_server
from wyoming_tts.bench.load_generator import BenchProgress, BenchResult, run_bench, run_round
from wyoming_tts.bench.options import BenchOptions, Input, RequestMode
from wyoming_tts.bench.playback import Playback
from wyoming_tts.bench.report import format_failures, print_table, result_to_json
from wyoming_tts.bench.results import LoadCase, LoadFigures, LoadRatios, LoadRound, compare_figures
from wyoming_tts.bench.targets.listener import ListenerReport, RequestOutcome
from wyoming_tts.client import ClientError

TENTH = bytes(4410)
CASE = LoadCase("sentence", Input.PLAIN, 1)


def speak_after(after: float = 0.0, *, streaming: bool = True) -> Script:
    """A server that answers every request after a delay in seconds."""

    async def script(conversation: ScriptedConnection) -> None:
        streamed = False
        while (event := await conversation.read()) is not None:
            if Describe.is_type(event.type):
                await conversation.send(info(streaming=streaming))
            streamed = streamed or event.type == "synthesize-start"
            if event.type == ("synthesize-stop" if streamed else "synthesize"):
                await asyncio.sleep(after)
                await conversation.send(START, audio(TENTH), STOP)
                if streamed:
                    await conversation.send(SynthesizeStopped())

    return script


async def run_quietly(options: BenchOptions) -> BenchResult:
    return await run_bench(options, progress=lambda _: None)


def make_options(uri: str, **changes: object) -> BenchOptions:
    given: dict[str, object] = {
        "texts": ("short",),
        "inputs": (Input.PLAIN,),
        "clients": (1,),
        "rounds": 2,
        "words_per_second": 1000.0,
        "timeout": 5.0,
        "pause": 0.0,
    }
    return BenchOptions(uri, **given | changes)  # type: ignore[arg-type]


async def test_every_load_is_measured_the_requested_number_of_times() -> None:
    progress: list[BenchProgress] = []
    async with scripted_server(speak_after()) as server:
        bench_options = make_options(
            server.uri, texts=("short", "sentence"), inputs=tuple(Input), clients=(1, 3), warm_up=2
        )
        result = await run_bench(bench_options, progress=progress.append)
    assert [str(figures.case) for figures in result.figures] == [
        f"{text}, {how}, {clients}"
        for text in ("short", "sentence")
        for how in ("plain", "stream")
        for clients in ("1 client", "3 clients")
    ]
    assert all(len(figures.heard) == 2 * figures.case.clients for figures in result.figures)
    assert all(figures.outcomes == {RequestOutcome.SPOKEN: len(figures.heard)} for figures in result.figures)
    assert [each.done for each in progress] == list(range(1, 17))
    assert {each.total for each in progress} == {16}
    # Streaming requests send `synthesize` too; the warm-up accounts for two more.
    counted = Counter(server.types)
    assert counted["synthesize"] == 2 + 2 * 2 * (1 + 3) * 2
    assert counted["synthesize-stop"] == 2 * 2 * (1 + 3)


async def test_for_a_duration_listeners_ask_again_once_they_were_answered(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with scripted_server(speak_after(0.02)) as server:
        result = await run_quietly(make_options(server.uri, clients=(2,), rounds=1, duration=0.2))
        texts = [event.data["text"] for event in server.received if Synthesize.is_type(event.type)]
    (figures,) = result.figures
    assert str(figures.case) == "short, plain, 2 clients, 0.2 s"
    assert 4 <= len(figures.heard) == len(texts) - 1  # one is the warm-up
    assert len({*texts}) == len(texts)
    # The last one of each listener ends after the time.
    assert figures.rounds[0].in_time == len(figures.heard) - 2
    assert figures.per_minute == pytest.approx((len(figures.heard) - 2) * 60 / 0.2)
    assert result_to_json(result)["loads"][0]["transactions_per_minute"] == figures.per_minute
    print_table(result)
    assert "Per minute" in capsys.readouterr().out


async def test_what_is_refused_for_a_duration_is_no_transaction() -> None:
    async def refuse(request: ReceivedHttpRequest) -> None:
        await request.reply("429 Too Many Requests", b"")

    async with http_server(refuse) as server:
        case = LoadCase("short", Input.PLAIN, 1, duration=0.05)
        measured = await run_round(server.uri, case, make_options(server.uri, pause=0.01))
    assert len(measured.heard) >= 2
    assert measured.in_time == 0
    assert LoadFigures(case, "refusing", (measured,)).per_minute == 0


async def test_two_servers_alternate_and_take_turns_going_first() -> None:
    order: list[str] = []
    async with scripted_server(speak_after()) as first, scripted_server(speak_after()) as second:
        result = await run_bench(
            make_options(first.uri, compare=second.uri, rounds=4),
            progress=lambda each: order.append(each.now),
        )
    assert result.servers == (f"scripted 1 at {first.uri}", f"scripted 1 at {second.uri}")
    assert [now.startswith(result.servers[0]) for now in order] == [
        *(True, False, False, True),
        *(True, False, False, True),
    ]
    assert [len(pair) for pair in result.by_case()] == [2]


async def test_different_protocols_are_compared_in_one_table() -> None:
    async def answer(request: ReceivedHttpRequest) -> None:
        await asyncio.sleep(0.2)
        await request.begin(PCM_TYPE)
        await request.chunk(TENTH)
        await request.end()

    async with scripted_server(speak_after()) as first, http_server(answer) as second:
        result = await run_quietly(make_options(first.uri, compare=second.uri))
        spoken = [event.data["text"] for event in first.received if Synthesize.is_type(event.type)]
        assert [request.body["input"] for request in second.speeches] == spoken
    assert result.servers == ("scripted 1", "HTTP")
    [(ours, theirs)] = result.by_case()
    assert ours.outcomes == theirs.outcomes == {RequestOutcome.SPOKEN: 2}
    assert theirs.ttfa is not None
    assert theirs.ttfa.p50 >= 0.2
    assert compare_figures(ours, theirs).ttfa_p50 is not None
    assert theirs.described is not None


async def test_sentence_mode_allows_streamed_text_with_any_server() -> None:
    async with scripted_server(speak_after(streaming=False)) as server:
        result = await run_quietly(
            make_options(
                server.uri, inputs=tuple(Input), mode=RequestMode.SENTENCES, texts=("paragraph",), rounds=1
            )
        )
    assert [str(figures.case) for figures in result.figures] == [
        "paragraph, plain, 1 client, sentences",
        "paragraph, stream, 1 client, sentences",
    ]
    # One is the warm-up.
    assert Counter(server.types)["synthesize"] == 1 + 2 * 5


async def test_at_a_fixed_rate_listeners_start_independently_of_earlier_ones() -> None:
    all_connected = asyncio.Barrier(4)

    async def script(conversation: ScriptedConnection) -> None:
        await conversation.read_until("synthesize")
        await all_connected.wait()
        await conversation.send(START, audio(TENTH), STOP)

    async with scripted_server(script) as server:
        case = LoadCase("short", Input.PLAIN, 4, rate=1200.0)
        each = await run_round(server.uri, case, make_options(server.uri, describe_every=0))
    assert [report.outcome for report in each.heard] == [RequestOutcome.SPOKEN] * 4
    assert str(case) == "short, plain, 4 clients, 1200 a minute"
    ttfas = [report.ttfa for report in each.heard if report.ttfa is not None]
    assert ttfas == sorted(ttfas, reverse=True)


async def test_the_api_key_is_not_written_to_the_results() -> None:
    result = BenchResult(BenchOptions("http://a:1", api_key="secret"), ("ours",), (OURS,))
    assert "secret" not in json.dumps(result_to_json(result))


async def requested_texts(**changes: object) -> tuple[list[str], list[str]]:
    async with scripted_server(speak_after()) as first, scripted_server(speak_after()) as second:
        await run_quietly(make_options(first.uri, compare=second.uri, clients=(1, 2), **changes))
        texts = [
            [event.data["text"] for event in server.received if Synthesize.is_type(event.type)]
            for server in (first, second)
        ]
    return texts[0], texts[1]


async def test_texts_never_repeat_and_both_servers_get_the_same() -> None:
    ours, theirs = await requested_texts()
    again, _ = await requested_texts()
    assert len(ours) == 1 + 2 * (1 + 2)
    assert len({*ours, *again}) == 2 * len(ours)
    # Listeners of a round may connect in any order.
    assert sorted(ours) == sorted(theirs)


async def test_text_variation_can_be_disabled() -> None:
    ours, theirs = await requested_texts(vary=False, warm_up=0)
    assert {*ours, *theirs} == {"The front door is open."}


async def test_the_delay_of_a_server_shows_in_its_figures_and_ratios() -> None:
    async with scripted_server(speak_after()) as quick_one, scripted_server(speak_after(0.2)) as slow_one:
        result = await run_quietly(make_options(quick_one.uri, compare=slow_one.uri, rounds=1))
        [(ours, theirs)] = result.by_case()
    assert ours.ttfa is not None
    assert ours.wall is not None
    assert theirs.ttfa is not None
    assert theirs.wall is not None
    assert min(theirs.ttfa.p50, theirs.wall) >= 0.2
    ratios = compare_figures(ours, theirs)
    assert ratios.ttfa_p50 == pytest.approx(ours.ttfa.p50 / theirs.ttfa.p50)
    assert ratios.wall == pytest.approx(ours.wall / theirs.wall)


async def test_all_listeners_of_a_round_send_their_requests_simultaneously() -> None:
    waiting = 0
    all_connected = asyncio.Event()

    async def script(conversation: ScriptedConnection) -> None:
        nonlocal waiting
        await conversation.read_until("synthesize")
        waiting += 1
        if waiting == 8:
            all_connected.set()
        await all_connected.wait()
        await conversation.send(START, audio(TENTH), STOP)

    async with scripted_server(script) as server:
        each = await run_round(
            server.uri, LoadCase("short", Input.PLAIN, 8), make_options(server.uri, describe_every=0)
        )
    assert [report.outcome for report in each.heard] == [RequestOutcome.SPOKEN] * 8


async def test_describe_is_sent_at_its_interval_even_while_unanswered() -> None:
    describe_count = 0
    enough = asyncio.Event()

    async def script(conversation: ScriptedConnection) -> None:
        nonlocal describe_count
        event = await conversation.read()
        assert event is not None
        if Synthesize.is_type(event.type):
            await enough.wait()
            await conversation.send(START, audio(TENTH), STOP)
            return
        describe_count += 1
        if describe_count == 5:
            enough.set()
        await enough.wait()  # simulates a server that is stuck until then
        await conversation.send(info())

    async with scripted_server(script) as server:
        each = await run_round(server.uri, CASE, make_options(server.uri, describe_every=0.02))
    answered = [latency for latency in each.described if latency is not None]
    assert len(answered) >= 5
    assert max(answered) >= 0.07


async def test_an_unreachable_server_is_recorded_as_cut_off() -> None:
    async with scripted_server(speak_after()) as server:
        uri = server.uri
    each = await run_round(uri, LoadCase("short", Input.PLAIN, 3), make_options(uri))
    assert [(report.outcome, report.error) for report in each.heard] == [
        (RequestOutcome.CUT_OFF, "unreachable")
    ] * 3


async def test_refused_requests_are_counted_by_error_code() -> None:
    served = 0

    async def script(conversation: ScriptedConnection) -> None:
        nonlocal served
        while (event := await conversation.read()) is not None:
            if Describe.is_type(event.type):
                await conversation.send(info())
            if Synthesize.is_type(event.type):
                served += 1
                await conversation.send(
                    *((START, audio(TENTH), STOP) if served < 4 else (Error("full", "busy"),))
                )

    async with scripted_server(script) as server:
        result = await run_quietly(make_options(server.uri, clients=(4,), rounds=1, warm_up=1))
    [figures] = result.figures
    assert figures.errors == {"busy": 2}
    assert figures.outcomes == {RequestOutcome.SPOKEN: 2, RequestOutcome.REFUSED: 2}
    assert format_failures(figures) == "2 busy"


async def test_a_server_that_cannot_speak_is_an_immediate_error() -> None:
    async def script(conversation: ScriptedConnection) -> None:
        while (event := await conversation.read()) is not None:
            await conversation.send(info() if Describe.is_type(event.type) else Error("no", "internal"))

    async with scripted_server(script) as server:
        with pytest.raises(ClientError, match="did not speak: the request was refused internal"):
            await run_quietly(make_options(server.uri))


async def test_streamed_text_is_refused_for_a_server_without_streaming() -> None:
    async with scripted_server(answer_describe(info(streaming=False))) as server:
        with pytest.raises(ClientError, match="--input plain"):
            await run_quietly(make_options(server.uri, inputs=tuple(Input)))
        assert SynthesizeStop().event().type not in server.types


async def test_eight_listeners_each_receive_a_minute_of_audio_sent_at_once() -> None:
    minute = b"".join(encode_chunk(TENTH) for _ in range(600))

    async def script(conversation: ScriptedConnection) -> None:
        await conversation.read_until("synthesize")
        await conversation.send(START)
        await conversation.send_bytes(minute)
        await conversation.send(STOP)

    async with scripted_server(script) as server:
        each = await run_round(
            server.uri, LoadCase("short", Input.PLAIN, 8), make_options(server.uri, describe_every=0)
        )
    assert [round(report.audio, 3) for report in each.heard] == [60.0] * 8


def encode_chunk(pcm: bytes) -> bytes:
    data = json.dumps({"rate": 22050, "width": 2, "channels": 1}).encode()
    header = {"type": "audio-chunk", "data_length": len(data), "payload_length": len(pcm)}
    return json.dumps(header).encode() + b"\n" + data + pcm


def make_report(
    ttfa: float, *, gaps: tuple[float, ...] = (), audio: float = 2.0, total: float = 1.0
) -> ListenerReport:
    playback = Playback(0.0, 1.0, gaps)
    return ListenerReport(
        RequestOutcome.SPOKEN, "", ttfa, None, total, audio, playback, Playback(0.0, 1.0, gaps[1:])
    )


OURS = LoadFigures(
    CASE,
    "ours",
    (
        LoadRound((make_report(0.1), make_report(0.3, gaps=(0.2, 0.5))), 1.0, (0.01, 0.02)),
        LoadRound((make_report(0.2), make_report(0.2)), 3.0, (0.03, None)),
        LoadRound((make_report(0.5), make_report(0.7)), 2.0, ()),
    ),
)
THEIRS = LoadFigures(CASE, "theirs", (LoadRound((make_report(0.8), make_report(0.8)), 4.0, (0.3,)),))


def test_figures_aggregate_all_rounds() -> None:
    assert OURS.ttfa is not None
    assert OURS.ttfa.p50 == pytest.approx(0.25)
    assert OURS.wall == 2.0
    assert OURS.audio == 12.0
    assert OURS.real_time_factor == 0.5
    assert (OURS.underruns, OURS.worst_gap, OURS.silence) == (2, 0.5, 0.7)
    assert (OURS.later_underruns, OURS.later_worst_gap) == (1, 0.5)
    assert (OURS.described is not None and OURS.described.count, OURS.unanswered) == (3, 1)
    assert format_failures(OURS) == "1 describe"


def test_ratios_compare_medians_over_the_rounds() -> None:
    # The medians of the rounds' medians are 0.2 and 0.8.
    ratios = compare_figures(OURS, THEIRS)
    assert ratios.ttfa_p50 == pytest.approx(0.25)
    assert ratios.ttfa_p95 == pytest.approx(0.29 / 0.8)
    assert ratios.wall == 0.5
    assert ratios.described_p95 == pytest.approx(0.029 / 0.3)
    nothing = LoadFigures(CASE, "none", ())
    assert compare_figures(OURS, nothing) == LoadRatios(None, None, None, None)


def test_the_table_shows_loads_servers_and_ratios(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(BenchResult(BenchOptions("tcp://a:1", "tcp://b:2"), ("ours", "theirs"), (OURS, THEIRS)))
    shown = capsys.readouterr().out
    rows = [line.split() for line in shown.splitlines()]
    assert rows[1][:6] == ["sentence,", "plain,", "1", "client", "ours", "250/650/690"]
    assert rows[2][:2] == ["theirs", "800/800/800"]
    assert rows[3][:4] == ["ratio", "0.25/0.36", "0.50", "0.097"]


async def test_json_contains_every_round_and_the_ratios(tmp_path: Path) -> None:
    async with scripted_server(speak_after()) as first, scripted_server(speak_after()) as second:
        result = await run_quietly(make_options(first.uri, compare=second.uri, clients=(2,)))
    kept = json.loads(json.dumps(result_to_json(result)))
    assert kept["options"]["compare"] == second.uri
    assert [load["server"] for load in kept["loads"]] == kept["servers"] == list(result.servers)
    assert [len(each["heard"]) for each in kept["loads"][0]["rounds"]] == [2, 2]
    assert kept["loads"][0]["rounds"][0]["heard"][0]["outcome"] == "spoken"
    assert set(kept["ratios"][0]) >= {"text", "clients", "ttfa_p50", "wall"}
