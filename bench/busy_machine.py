"""Gaps on a busy machine: listeners who play what they get, while other programs burn all cores.

Usage: script/bench --busy --data-dir DIRECTORY --voice NAME [--listeners 1,2,4] [--against COMMAND]

Two servers run, of which one at a time is asked, with the same texts, each first in every other round: this
checkout beside wyoming-piper, or beside another build of it (`--against`). Listeners read at playing speed,
as a player with a small buffer does. What counts is what they hear: when it begins, its gaps, its end.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import shlex
import sys
import tempfile
from asyncio.subprocess import DEVNULL
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from platformdirs import user_data_path
from rich.console import Console
from rich.table import Table

from bench.comparison.harness import TIMEOUT, report_to_json
from bench.comparison.results import MeasurementFailed
from bench.comparison.server_process import MeasuredServer, ServerCommand, run_server, server_commands
from tests.scenarios.process_end import end_process
from wyoming_tts.bench.load_generator import run_round
from wyoming_tts.bench.options import BenchOptions, Input
from wyoming_tts.bench.percentiles import median, ratio
from wyoming_tts.bench.results import LoadCase, LoadFigures, LoadRound
from wyoming_tts.bench.targets.listener import ListenerReport, RequestOutcome
from wyoming_tts.bench.texts import TEXTS, VARIANTS

_BURN = """
import os, sys
while os.getppid() == int(sys.argv[1]):
    for _ in range(1_000_000):
        pass
"""
"""Ends with the process that measures, however that ends."""
_BURNER_PATIENCE = 5.0
_SETTLED_SECONDS = 5.0
"""Without work after which nothing is left to do in the background: it begins after a while of quiet."""
_WIDTH = 140
_COLUMNS = (
    *("text", "listeners", "server", "first audio", "worst", "gaps", "gap seconds", "worst gap"),
    *("total", "end", "end ratio", "not spoken"),
)


def playing_ended_after(heard: ListenerReport) -> float | None:
    """Seconds from the text to the end of a playback that starts with the first audio; None without audio."""
    if heard.ttfa is None or heard.played is None:
        return None
    return heard.ttfa + heard.played.ended_at - heard.played.started_at


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print the table; 1 if a server could not be measured."""
    arguments = _parser().parse_args(argv)
    try:
        measured = asyncio.run(_measure(arguments))
    except MeasurementFailed as error:
        print(error, file=sys.stderr)
        return 1
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    console.print(busy_table(measured))
    if arguments.json is not None:
        arguments.json.write_text(
            json.dumps([_to_json(each) for figures in measured for each in figures], indent=1) + "\n", "utf-8"
        )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="script/bench --busy", description=(__doc__ or "").split("\n\n")[0])
    add = parser.add_argument
    add("--peer-python", type=Path, help=argparse.SUPPRESS)
    add(
        "--data-dir",
        type=Path,
        default=user_data_path("wyoming-tts", appauthor=False),
        help="where voices are",
    )
    add(
        "--voice",
        default="en_US-lessac-medium",
        help="a Piper or Kokoro voice in there (default: %(default)s)",
    )
    add("--server", metavar="COMMAND", help="what starts the server (default: this checkout)")
    add(
        "--against",
        metavar="COMMAND",
        help="what starts the other, such as another checkout's `.venv/bin/wyoming-tts`; `none` measures one "
        "alone (default: wyoming-piper, with a Kokoro voice none)",
    )
    add("--listeners", type=_numbers, default=(1, 2, 4, 8, 24), metavar="NUMBERS", help="default: 1,2,4,8,24")
    add(
        "--texts",
        type=_texts,
        default=("sentence", "paragraph"),
        metavar="NAMES",
        help=f"of {', '.join(TEXTS)}",
    )
    add("--rounds", type=int, default=3, help="of each load and server (default: %(default)s)")
    add("--burners", type=int, default=len(os.sched_getaffinity(0)), help="default: one for each core")
    add(
        "--settle",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="longest wait, before it begins, for what servers compute in the background, such as what they "
        "learn of a Kokoro voice",
    )
    add(
        "--read-ahead",
        type=float,
        default=1.0,
        help="seconds that a player buffers (default: %(default)s); 0 reads all at once",
    )
    add("--json", type=Path, metavar="FILE", help="write what each listener heard")
    return parser


async def _measure(arguments: argparse.Namespace) -> list[tuple[LoadFigures, ...]]:
    with tempfile.TemporaryDirectory(prefix="wyoming-tts-busy-") as scratch:
        commands = server_pair(arguments, Path(scratch))
        async with AsyncExitStack() as stack:
            servers = [
                await stack.enter_async_context(run_server(command, Path(scratch))) for command in commands
            ]
            for server in servers:
                await _warm_up(server, arguments.voice, arguments.settle)
            await stack.enter_async_context(burning_cores(arguments.burners))
            cases = [
                LoadCase(text, Input.PLAIN, clients)
                for text in arguments.texts
                for clients in arguments.listeners
            ]
            measured = [await _measure_case(case, servers, arguments) for case in cases]
            for server in servers:
                print(
                    f"{server.name}: {server.memory().proportional / 1e6:.0f} MB (PSS) after it", flush=True
                )
            return measured


async def _warm_up(server: MeasuredServer, voice: str, settle: float) -> None:
    case = LoadCase("sentence", Input.PLAIN, 1)
    options = BenchOptions(server.uri, voice=voice, timeout=TIMEOUT, describe_every=0.0)
    (heard,) = (await run_round(server.uri, case, options, secrets.randbelow(VARIANTS))).heard
    if heard.outcome is not RequestOutcome.SPOKEN:
        raise MeasurementFailed(f"{server.name} did not speak: {heard.outcome} {heard.error}".strip() + ".")
    if settle:
        await server.wait_until_idle(_SETTLED_SECONDS, within=settle)
    await server.wait_until_idle()


async def _measure_case(
    case: LoadCase, servers: Sequence[MeasuredServer], arguments: argparse.Namespace
) -> tuple[LoadFigures, ...]:
    rounds: Mapping[str, list[LoadRound]] = {server.name: [] for server in servers}
    for number in range(arguments.rounds):
        print(f"{case}: round {number + 1} of {arguments.rounds}", file=sys.stderr, flush=True)
        texts = secrets.randbelow(VARIANTS)
        for server in servers if number % 2 == 0 else reversed(servers):
            options = BenchOptions(
                server.uri,
                voice=arguments.voice,
                timeout=TIMEOUT,
                describe_every=0.0,
                read_ahead=arguments.read_ahead or None,
            )
            rounds[server.name].append(await run_round(server.uri, case, options, texts))
            await server.wait_until_idle()
    return tuple(LoadFigures(case, name, tuple(each)) for name, each in rounds.items())


def server_pair(arguments: argparse.Namespace, scratch: Path) -> tuple[ServerCommand, ...]:
    """Commands of the server, and of the one beside it if there is one.

    Raises:
        MeasurementFailed: there is no wyoming-piper to measure beside.
    """
    model = (arguments.data_dir / f"{arguments.voice}.onnx").absolute()
    python = (arguments.peer_python or Path(sys.executable)).absolute()
    peer, own = server_commands(python, Path(sys.executable), model, scratch)
    flags = own.words[own.words.index("--voice") :]
    server = ServerCommand("server", (*shlex.split(arguments.server), *flags)) if arguments.server else own
    if arguments.against == "none" or (arguments.against is None and not model.exists()):
        return (server,)
    if arguments.against is not None:
        return (server, ServerCommand("against", (*shlex.split(arguments.against), *flags)))
    if arguments.peer_python is None:
        raise MeasurementFailed(
            "There is no wyoming-piper: run script/bench --busy, or name --against COMMAND."
        )
    return (server, peer)


@asynccontextmanager
async def burning_cores(count: int) -> AsyncIterator[None]:
    """Have processes of ordinary priority compute without a rest while the block runs."""
    command = (sys.executable, "-S", "-c", _BURN, str(os.getpid()))
    burners = [await asyncio.create_subprocess_exec(*command, stdin=DEVNULL) for _ in range(count)]
    try:
        yield
    finally:
        for burner in burners:
            await end_process(burner, patience=_BURNER_PATIENCE)


def busy_table(measured: Iterable[tuple[LoadFigures, ...]]) -> Table:
    """The table of all loads, each on one server or two; a ratio is the first one's end to the other's."""
    shown = Table(*_COLUMNS, box=None)
    for figures in measured:
        for number, each in enumerate(figures):
            shown.add_row(*_cells(each, figures[number + 1] if number + 1 < len(figures) else None))
    return shown


def _cells(figures: LoadFigures, against: LoadFigures | None) -> tuple[str, ...]:
    spoken = _spoken(figures)
    begins = [each.ttfa for each in spoken if each.ttfa is not None]
    times = None if against is None else ratio(_median_end(figures), _median_end(against))
    return (
        *(figures.case.text, str(figures.case.clients), figures.server),
        *(_seconds(median(begins)), _seconds(max(begins, default=None))),
        f"{figures.underruns} / {len(figures.heard)}",
        *(_seconds(figures.silence), _seconds(figures.worst_gap)),
        *(_seconds(figures.total), _seconds(_median_end(figures))),
        "" if times is None else f"{times:.2f}",
        ", ".join(f"{count} {outcome}" for outcome, count in _failures(figures).items()),
    )


def _median_end(figures: LoadFigures) -> float | None:
    return median(playing_ended_after(each) for each in _spoken(figures))


def _failures(figures: LoadFigures) -> Counter[str]:
    """Number of utterances that were not spoken, by the server's error or by how they ended."""
    failed = (each for each in figures.heard if each.outcome is not RequestOutcome.SPOKEN)
    return Counter(each.error or str(each.outcome) for each in failed)


def _spoken(figures: LoadFigures) -> list[ListenerReport]:
    return [each for each in figures.heard if each.outcome is RequestOutcome.SPOKEN]


def _to_json(figures: LoadFigures) -> dict[str, object]:
    return {
        "case": str(figures.case),
        "server": figures.server,
        "rounds": [
            [{**report_to_json(heard), "error": heard.error} for heard in each.heard]
            for each in figures.rounds
        ],
    }


def _numbers(given: str) -> tuple[int, ...]:
    return tuple(int(number) for number in given.split(","))


def _texts(given: str) -> tuple[str, ...]:
    names = tuple(given.split(","))
    if unknown := [name for name in names if name not in TEXTS]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is not one of {', '.join(TEXTS)}")
    return names


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


if __name__ == "__main__":
    sys.exit(main())
