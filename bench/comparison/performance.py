"""Performance sections: latency of first audio, concurrent listeners, start-up time."""

from __future__ import annotations

from dataclasses import asdict

from bench.comparison.harness import (
    CLAUSE,
    SENTENCE,
    TIMEOUT,
    BenchSetup,
    collect_ttfas,
    rounds_to_json,
    run_interleaved,
    run_servers,
)
from bench.comparison.results import ComparisonRow, SectionResult, compare_medians, format_megabytes
from bench.comparison.server_process import add_flags, run_burner, run_server
from wyoming_tts.bench.options import Input
from wyoming_tts.bench.percentiles import percentile
from wyoming_tts.bench.results import LoadCase, LoadFigures, LoadRound

LISTENERS = 8
_PARAGRAPHS = LoadCase("paragraph", Input.PLAIN, LISTENERS)
_UNCUT = ("--first-segment-max-words", "0", "--first-segment-boundaries", "")


async def measure_sentence(setup: BenchSetup) -> SectionResult:
    """First audio of a sentence for a single listener, with default settings and with the sentence uncut."""
    how = "One listener, plain input; the time from writing the request to the first audio event."
    return await _measure_sentence(setup, "sentence", how, "")


async def measure_busy(setup: BenchSetup) -> SectionResult:
    """The same beside a program that takes one core."""
    how = (
        "As `sentence`, while another program of the same priority, a loop that does nothing else, takes one "
        "of the cores."
    )
    async with run_burner():
        return await _measure_sentence(setup, "busy", how, ", a core taken")


async def _measure_sentence(setup: BenchSetup, section: str, how: str, circumstance: str) -> SectionResult:
    uncut = add_flags(setup.own, "uncut", _UNCUT)
    async with run_servers(setup, setup.peer, setup.own, uncut) as running:
        rounds = await run_interleaved(setup, section, running, SENTENCE)
        clause_rounds = await run_interleaved(setup, f"{section}, clause", running[:2], CLAUSE)
    theirs, ours, whole = (collect_ttfas(rounds[server.name]) for server in running)
    their_clause, our_clause = (collect_ttfas(clause_rounds[server.name]) for server in running[:2])
    name = f"TTFA{circumstance}, 29-word sentence"
    return SectionResult(
        section,
        how,
        (
            compare_medians(f"{name}, default settings", theirs, ours, at_most=1 / 6),
            compare_medians(
                "the same with a first clause of 14 words", their_clause, our_clause, at_most=1 / 6
            ),
            compare_medians("the same with no text cut", theirs, whole, at_most=1 / 4),
        ),
        {"sentence": rounds_to_json(rounds), "clause": rounds_to_json(clause_rounds)},
    )


async def measure_large_voice(setup: BenchSetup) -> SectionResult:
    """First audio of a sentence with a large voice."""
    async with run_servers(setup, setup.peer, setup.own) as running:
        rounds = await run_interleaved(setup, "high", running, SENTENCE)
    theirs, ours = (collect_ttfas(rounds[server.name]) for server in running)
    row = compare_medians('TTFA, 29-word sentence, a "high" voice', theirs, ours, at_most=1 / 7)
    return SectionResult(
        "high", "As `measure_sentence`, both servers on the larger voice.", (row,), rounds_to_json(rounds)
    )


async def measure_listeners(setup: BenchSetup) -> SectionResult:
    """Eight concurrent listeners: first audio, underruns, `describe` latency, total time and memory."""
    async with run_servers(setup, setup.peer, setup.own) as running:
        quiet = await run_interleaved(setup, "listeners", running, _PARAGRAPHS)
        with_describe = await run_interleaved(
            setup, "listeners, describe", running, _PARAGRAPHS, describe_every=0.1
        )
        memory = [server.memory() for server in running]
    peer, own = (server.name for server in running)
    sizes = {server.name: asdict(size) for server, size in zip(running, memory, strict=True)}
    return SectionResult(
        "listeners",
        f"{LISTENERS} listeners connect, then request the paragraph at the same moment. `describe` is sent "
        "every 100 ms on a new connection, in separate rounds, so that what a server computes for its "
        "answers does not count as time for speech. Memory is read after all these rounds; "
        "PSS divides what processes share.",
        (
            *_listening_rows(quiet[peer], quiet[own]),
            compare_medians(
                "`describe` p95 under that load",
                _describe_p95(with_describe[peer]),
                _describe_p95(with_describe[own]),
                at_most=1 / 50,
                limit=0.05,
            ),
            compare_medians(
                "resident memory after that load",
                [memory[0].resident],
                [memory[1].resident],
                at_most=1.1,
                form=format_megabytes,
            ),
            compare_medians(
                "the same, PSS",
                [memory[0].proportional],
                [memory[1].proportional],
                at_most=None,
                form=format_megabytes,
            ),
        ),
        {"quiet": rounds_to_json(quiet), "with describe": rounds_to_json(with_describe), "memory": sizes},
    )


def _listening_rows(theirs: list[LoadRound], ours: list[LoadRound]) -> tuple[ComparisonRow, ...]:
    load_name = f"{LISTENERS} listeners, paragraph"
    their_gaps, our_gaps = (LoadFigures(_PARAGRAPHS, "", tuple(rounds)) for rounds in (theirs, ours))
    return (
        compare_medians(f"TTFA p95, {load_name}", _ttfa_p95(theirs), _ttfa_p95(ours), at_most=1 / 8),
        ComparisonRow(
            "underruns of those listeners",
            _gaps(their_gaps),
            _gaps(our_gaps),
            None,
            "0",
            our_gaps.underruns == 0,
        ),
        compare_medians(
            f"total wall time, {load_name}",
            [each.wall for each in theirs],
            [each.wall for each in ours],
            at_most=1.1,
        ),
    )


def _gaps(figures: LoadFigures) -> str:
    worst = f", worst {figures.worst_gap * 1000:.0f} ms" if figures.underruns else ""
    return f"{figures.underruns}{worst}"


async def measure_start(setup: BenchSetup) -> SectionResult:
    """Time from the start of a process to its first accepted connection."""
    opened: dict[str, list[float]] = {setup.peer.name: [], setup.own.name: []}
    pair = [setup.peer, setup.own]
    for number in range(setup.rounds + 1):
        setup.report_progress(f"start: round {number} of {setup.rounds}")
        for command in pair if number % 2 == 0 else reversed(pair):
            async with run_server(command, setup.logs) as server:
                if number:  # the first start of each only compiles and caches
                    opened[command.name].append(server.opened_after)
    theirs, ours = opened.values()
    return SectionResult(
        "start",
        "From starting the process to the first connection that it accepts, byte code and files cached.",
        (compare_medians("start to open port", theirs, ours, at_most=1.5),),
        {"opened_after": opened},
    )


def _ttfa_p95(rounds: list[LoadRound]) -> list[float]:
    return [percentile(collect_ttfas([each]), 95.0) for each in rounds]


def _describe_p95(rounds: list[LoadRound]) -> list[float]:
    # One without an answer counts as the longest wait.
    return [
        percentile([latency if latency is not None else TIMEOUT for latency in each.described], 95.0)
        for each in rounds
        if each.described
    ]
