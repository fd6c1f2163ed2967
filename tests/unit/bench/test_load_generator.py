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


def speaking(after: float = 0.0, *, streaming: bool = True) -> Script:
    """A server that answers everything, `after` seconds later."""

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


async def quick(options: BenchOptions) -> BenchResult:
    return await run_bench(options, progress=lambda _: None)


def options(uri: str, **changes: object) -> BenchOptions:
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


async def test_every_load_is_measured_as_often_as_asked() -> None:
    told: list[BenchProgress] = []
    async with scripted_server(speaking()) as server:
        wanted = options(
            server.uri, texts=("short", "sentence"), inputs=tuple(Input), clients=(1, 3), warm_up=2
        )
        result = await run_bench(wanted, progress=told.append)
    assert [str(figures.case) for figures in result.figures] == [
        f"{text}, {how}, {clients}"
        for text in ("short", "sentence")
        for how in ("plain", "stream")
        for clients in ("1 client", "3 clients")
    ]
    assert all(len(figures.heard) == 2 * figures.case.clients for figures in result.figures)
    assert all(figures.outcomes == {RequestOutcome.SPOKEN: len(figures.heard)} for figures in result.figures)
    assert [each.done for each in told] == list(range(1, 17))
    assert {each.total for each in told} == {16}
    # A stream has a `synthesize` as well. Two more were the warm-up.
    counted = Counter(server.types)
    assert counted["synthesize"] == 2 + 2 * 2 * (1 + 3) * 2
    assert counted["synthesize-stop"] == 2 * 2 * (1 + 3)


async def test_two_servers_are_asked_in_turn_each_first_in_every_other_round() -> None:
    order: list[str] = []
    async with scripted_server(speaking()) as first, scripted_server(speaking()) as second:
        result = await run_bench(
            options(first.uri, compare=second.uri, rounds=4), progress=lambda each: order.append(each.now)
        )
    assert result.servers == (f"scripted 1 at {first.uri}", f"scripted 1 at {second.uri}")
    assert [now.startswith(result.servers[0]) for now in order] == [
        *(True, False, False, True),
        *(True, False, False, True),
    ]
    assert [len(pair) for pair in result.by_case()] == [2]


async def test_one_table_compares_protocols() -> None:
    async def answer(asked: ReceivedHttpRequest) -> None:
        await asyncio.sleep(0.2)
        await asked.begin(PCM_TYPE)
        await asked.chunk(TENTH)
        await asked.end()

    async with scripted_server(speaking()) as first, http_server(answer) as second:
        result = await quick(options(first.uri, compare=second.uri))
        spoken = [event.data["text"] for event in first.received if Synthesize.is_type(event.type)]
        assert [asked.body["input"] for asked in second.speeches] == spoken
    assert result.servers == ("scripted 1", "HTTP")
    [(ours, theirs)] = result.by_case()
    assert ours.outcomes == theirs.outcomes == {RequestOutcome.SPOKEN: 2}
    assert theirs.ttfa is not None
    assert theirs.ttfa.p50 >= 0.2
    assert compare_figures(ours, theirs).ttfa_p50 is not None
    assert theirs.described is not None


async def test_sentences_make_streamed_text_possible_where_no_server_takes_it() -> None:
    async with scripted_server(speaking(streaming=False)) as server:
        result = await quick(
            options(
                server.uri, inputs=tuple(Input), mode=RequestMode.SENTENCES, texts=("paragraph",), rounds=1
            )
        )
    assert [str(figures.case) for figures in result.figures] == [
        "paragraph, plain, 1 client, sentences",
        "paragraph, stream, 1 client, sentences",
    ]
    # Besides the warm-up.
    assert Counter(server.types)["synthesize"] == 1 + 2 * 5


async def test_at_a_rate_listeners_start_one_after_another_whatever_becomes_of_those_before() -> None:
    all_there = asyncio.Barrier(4)

    async def script(conversation: ScriptedConnection) -> None:
        await conversation.read_until("synthesize")
        await all_there.wait()
        await conversation.send(START, audio(TENTH), STOP)

    async with scripted_server(script) as server:
        case = LoadCase("short", Input.PLAIN, 4, rate=1200.0)
        each = await run_round(server.uri, case, options(server.uri, describe_every=0))
    assert [heard.outcome for heard in each.heard] == [RequestOutcome.SPOKEN] * 4
    assert str(case) == "short, plain, 4 clients, 1200 a minute"
    ttfas = [heard.ttfa for heard in each.heard if heard.ttfa is not None]
    assert ttfas == sorted(ttfas, reverse=True)


async def test_a_key_is_not_written_down() -> None:
    result = BenchResult(BenchOptions("http://a:1", api_key="secret"), ("ours",), (OURS,))
    assert "secret" not in json.dumps(result_to_json(result))


async def texts_asked_for(**changes: object) -> tuple[list[str], list[str]]:
    async with scripted_server(speaking()) as first, scripted_server(speaking()) as second:
        await quick(options(first.uri, compare=second.uri, clients=(1, 2), **changes))
        asked = [
            [event.data["text"] for event in server.received if Synthesize.is_type(event.type)]
            for server in (first, second)
        ]
    return asked[0], asked[1]


async def test_no_text_comes_twice_and_both_servers_get_the_same() -> None:
    ours, theirs = await texts_asked_for()
    again, _ = await texts_asked_for()
    assert len(ours) == 1 + 2 * (1 + 2)
    assert len({*ours, *again}) == 2 * len(ours)
    # Listeners of one round may connect in any order.
    assert sorted(ours) == sorted(theirs)


async def test_one_text_can_be_repeated_instead() -> None:
    ours, theirs = await texts_asked_for(vary=False, warm_up=0)
    assert {*ours, *theirs} == {"The front door is open."}


async def test_a_servers_delay_is_in_its_figures_and_in_the_ratios() -> None:
    async with scripted_server(speaking()) as quick_one, scripted_server(speaking(0.2)) as slow_one:
        result = await quick(options(quick_one.uri, compare=slow_one.uri, rounds=1))
        [(ours, theirs)] = result.by_case()
    assert ours.ttfa is not None
    assert ours.wall is not None
    assert theirs.ttfa is not None
    assert theirs.wall is not None
    assert min(theirs.ttfa.p50, theirs.wall) >= 0.2
    ratios = compare_figures(ours, theirs)
    assert ratios.ttfa_p50 == pytest.approx(ours.ttfa.p50 / theirs.ttfa.p50)
    assert ratios.wall == pytest.approx(ours.wall / theirs.wall)


async def test_all_listeners_of_a_round_ask_in_the_same_moment() -> None:
    waiting = 0
    all_there = asyncio.Event()

    async def script(conversation: ScriptedConnection) -> None:
        nonlocal waiting
        await conversation.read_until("synthesize")
        waiting += 1
        if waiting == 8:
            all_there.set()
        await all_there.wait()
        await conversation.send(START, audio(TENTH), STOP)

    async with scripted_server(script) as server:
        each = await run_round(
            server.uri, LoadCase("short", Input.PLAIN, 8), options(server.uri, describe_every=0)
        )
    assert [heard.outcome for heard in each.heard] == [RequestOutcome.SPOKEN] * 8


async def test_describe_is_asked_at_its_pace_even_when_it_is_not_answered() -> None:
    asked = 0
    enough = asyncio.Event()

    async def script(conversation: ScriptedConnection) -> None:
        nonlocal asked
        event = await conversation.read()
        assert event is not None
        if Synthesize.is_type(event.type):
            await enough.wait()
            await conversation.send(START, audio(TENTH), STOP)
            return
        asked += 1
        if asked == 5:
            enough.set()
        await enough.wait()  # as a server that is stuck until then
        await conversation.send(info())

    async with scripted_server(script) as server:
        each = await run_round(server.uri, CASE, options(server.uri, describe_every=0.02))
    answered = [latency for latency in each.described if latency is not None]
    assert len(answered) >= 5
    assert max(answered) >= 0.07


async def test_a_round_without_a_server_is_cut_off_and_does_not_fail() -> None:
    async with scripted_server(speaking()) as server:
        uri = server.uri
    each = await run_round(uri, LoadCase("short", Input.PLAIN, 3), options(uri))
    assert [(heard.outcome, heard.error) for heard in each.heard] == [
        (RequestOutcome.CUT_OFF, "unreachable")
    ] * 3


async def test_what_is_refused_is_counted_by_its_code() -> None:
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
        result = await quick(options(server.uri, clients=(4,), rounds=1, warm_up=1))
    [figures] = result.figures
    assert figures.errors == {"busy": 2}
    assert figures.outcomes == {RequestOutcome.SPOKEN: 2, RequestOutcome.REFUSED: 2}
    assert format_failures(figures) == "2 busy"


async def test_a_server_that_does_not_speak_is_told_at_once() -> None:
    async def script(conversation: ScriptedConnection) -> None:
        while (event := await conversation.read()) is not None:
            await conversation.send(info() if Describe.is_type(event.type) else Error("no", "internal"))

    async with scripted_server(script) as server:
        with pytest.raises(ClientError, match="did not speak: the request was refused internal"):
            await quick(options(server.uri))


async def test_streamed_text_is_not_sent_to_a_server_that_takes_none() -> None:
    async with scripted_server(answer_describe(info(streaming=False))) as server:
        with pytest.raises(ClientError, match="--input plain"):
            await quick(options(server.uri, inputs=tuple(Input)))
        assert SynthesizeStop().event().type not in server.types


async def test_eight_listeners_each_hear_a_minute_that_comes_all_at_once() -> None:
    minute = b"".join(wire_bytes(TENTH) for _ in range(600))

    async def script(conversation: ScriptedConnection) -> None:
        await conversation.read_until("synthesize")
        await conversation.send(START)
        await conversation.send_bytes(minute)
        await conversation.send(STOP)

    async with scripted_server(script) as server:
        each = await run_round(
            server.uri, LoadCase("short", Input.PLAIN, 8), options(server.uri, describe_every=0)
        )
    assert [round(heard.audio, 3) for heard in each.heard] == [60.0] * 8


def wire_bytes(pcm: bytes) -> bytes:
    data = json.dumps({"rate": 22050, "width": 2, "channels": 1}).encode()
    header = {"type": "audio-chunk", "data_length": len(data), "payload_length": len(pcm)}
    return json.dumps(header).encode() + b"\n" + data + pcm


def heard(
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
        LoadRound((heard(0.1), heard(0.3, gaps=(0.2, 0.5))), 1.0, (0.01, 0.02)),
        LoadRound((heard(0.2), heard(0.2)), 3.0, (0.03, None)),
        LoadRound((heard(0.5), heard(0.7)), 2.0, ()),
    ),
)
THEIRS = LoadFigures(CASE, "theirs", (LoadRound((heard(0.8), heard(0.8)), 4.0, (0.3,)),))


def test_figures_are_of_all_rounds_together() -> None:
    assert OURS.ttfa is not None
    assert OURS.ttfa.p50 == pytest.approx(0.25)
    assert OURS.wall == 2.0
    assert OURS.audio == 12.0
    assert OURS.real_time_factor == 0.5
    assert (OURS.underruns, OURS.worst_gap, OURS.silence) == (2, 0.5, 0.7)
    assert (OURS.later_underruns, OURS.later_worst_gap) == (1, 0.5)
    assert (OURS.described is not None and OURS.described.count, OURS.unanswered) == (3, 1)
    assert format_failures(OURS) == "1 describe"


def test_ratios_are_of_the_medians_over_the_rounds() -> None:
    # The medians of the rounds' middles are 0.2 and 0.8.
    ratios = compare_figures(OURS, THEIRS)
    assert ratios.ttfa_p50 == pytest.approx(0.25)
    assert ratios.ttfa_p95 == pytest.approx(0.29 / 0.8)
    assert ratios.wall == 0.5
    assert ratios.described_p95 == pytest.approx(0.029 / 0.3)
    nothing = LoadFigures(CASE, "none", ())
    assert compare_figures(OURS, nothing) == LoadRatios(None, None, None, None)


def test_the_table_names_loads_servers_and_ratios(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(BenchResult(BenchOptions("tcp://a:1", "tcp://b:2"), ("ours", "theirs"), (OURS, THEIRS)))
    shown = capsys.readouterr().out
    rows = [line.split() for line in shown.splitlines()]
    assert rows[1][:6] == ["sentence,", "plain,", "1", "client", "ours", "250/650/690"]
    assert rows[2][:2] == ["theirs", "800/800/800"]
    assert rows[3][:4] == ["ratio", "0.25/0.36", "0.50", "0.097"]


async def test_json_holds_every_round_and_the_ratios(tmp_path: Path) -> None:
    async with scripted_server(speaking()) as first, scripted_server(speaking()) as second:
        result = await quick(options(first.uri, compare=second.uri, clients=(2,)))
    kept = json.loads(json.dumps(result_to_json(result)))
    assert kept["options"]["compare"] == second.uri
    assert [load["server"] for load in kept["loads"]] == kept["servers"] == list(result.servers)
    assert [len(each["heard"]) for each in kept["loads"][0]["rounds"]] == [2, 2]
    assert kept["loads"][0]["rounds"][0]["heard"][0]["outcome"] == "spoken"
    assert set(kept["ratios"][0]) >= {"text", "clients", "ttfa_p50", "wall"}
