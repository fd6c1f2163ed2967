"""Command line of the comparison: measures the sections, prints their table, and writes docs/benchmarks.md.

Usage: script/bench --model VOICE.onnx [--high VOICE.onnx] [--kokoro MODEL.onnx VOICES.bin] [--only NAMES]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shlex
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path

from platformdirs import user_data_path
from rich.console import Console

from bench.comparison.harness import BenchSetup
from bench.comparison.kokoro import measure_kokoro
from bench.comparison.machine import describe_machine, package_versions
from bench.comparison.performance import (
    measure_busy,
    measure_large_voice,
    measure_listeners,
    measure_sentence,
    measure_start,
)
from bench.comparison.report import BenchmarkPage, make_terminal_table, render_markdown
from bench.comparison.results import MeasurementFailed, SectionResult
from bench.comparison.robustness import measure_disconnect, measure_overload, measure_slow_reader
from bench.comparison.server_process import server_commands

_PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"
_SECTIONS = ("sentence", "busy", "listeners", "start", "high", "kokoro", "unread", "disconnect", "crowd")
_BUSY_MACHINE = 0.5
_TERMINAL_WIDTH = 140


def main() -> int:
    """Run the comparison; 0 if every target is met, 1 if one is missed or a server failed."""
    arguments = _parser().parse_args()
    started_at = time.perf_counter()
    facts = describe_machine()
    if float(facts["Load average before"]) > _BUSY_MACHINE * len(os.sched_getaffinity(0)):
        _print_note("The machine is busy: these figures will not be reliable.")
    outcomes: list[SectionResult] = []
    failed: list[str] = []
    for name, measure in _selected_sections(arguments).items():
        try:
            outcomes.append(asyncio.run(_run_section(measure, arguments)))
        except MeasurementFailed as error:
            failed.append(f"{name} failed: {error}")
    Console(width=None if sys.stdout.isatty() else _TERMINAL_WIDTH).print(make_terminal_table(outcomes))
    for line in failed:
        _print_note(line)
    if not failed:
        _write(arguments, outcomes, facts, time.perf_counter() - started_at)
    return int(bool(failed) or any(row.met is False for outcome in outcomes for row in outcome.rows))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="script/bench", description="This server beside wyoming-piper.")
    add = parser.add_argument
    add("--peer-python", type=Path, required=True, help=argparse.SUPPRESS)
    add(
        "--model", type=Path, metavar="VOICE.onnx", help="the voice; --data-dir and --voice name it otherwise"
    )
    add(
        "--data-dir",
        type=Path,
        default=user_data_path("wyoming-tts", appauthor=False),
        help="where voices are",
    )
    add("--voice", default="en_US-lessac-medium", help="a voice in there (default: %(default)s)")
    add("--high", type=Path, metavar="VOICE.onnx", help="a larger voice, for its row")
    add("--kokoro", type=Path, nargs=2, metavar=("MODEL", "VOICES"), help="Kokoro's files, for its rows")
    add("--rounds", type=int, default=7, help="of each measurement (default: %(default)s)")
    add("--only", type=_section_names, metavar="NAMES", help=f"some of {','.join(_SECTIONS)}; prints alone")
    add("--out", type=Path, help=f"where to write the page (default: {_PAGE.name}, if all was measured)")
    return parser


def _section_names(given: str) -> tuple[str, ...]:
    names = tuple(given.split(","))
    if unknown := [name for name in names if name not in _SECTIONS]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is not one of {', '.join(_SECTIONS)}")
    return names


_Measure = Callable[[BenchSetup], Awaitable[SectionResult]]


def _selected_sections(arguments: argparse.Namespace) -> Mapping[str, _Measure]:
    every: dict[str, _Measure] = {
        "sentence": measure_sentence,
        "busy": measure_busy,
        "listeners": measure_listeners,
        "start": measure_start,
    }
    if arguments.high is not None:
        every["high"] = lambda setup: measure_large_voice(_with_voice(setup, arguments))
    if arguments.kokoro is not None:
        every["kokoro"] = partial(_kokoro, arguments)
    every |= {"unread": measure_slow_reader, "disconnect": measure_disconnect, "crowd": measure_overload}
    return {name: each for name, each in every.items() if arguments.only is None or name in arguments.only}


async def _run_section(measure: _Measure, arguments: argparse.Namespace) -> SectionResult:
    with tempfile.TemporaryDirectory(prefix="wyoming-tts-bench-") as scratch:
        model = _model(arguments).absolute()
        peer, own = server_commands(
            arguments.peer_python.absolute(), Path(sys.executable), model, Path(scratch)
        )
        return await measure(BenchSetup(peer, own, model.stem, arguments.rounds, Path(scratch), _print_note))


def _model(arguments: argparse.Namespace) -> Path:
    model: Path = arguments.model or arguments.data_dir / f"{arguments.voice}.onnx"
    return model


def _with_voice(setup: BenchSetup, arguments: argparse.Namespace) -> BenchSetup:
    model = arguments.high.absolute()
    peer, own = server_commands(arguments.peer_python.absolute(), Path(sys.executable), model, setup.logs)
    return replace(setup, peer=peer, own=own, voice=model.stem)


async def _kokoro(arguments: argparse.Namespace, setup: BenchSetup) -> SectionResult:
    model, voices = (path.absolute() for path in arguments.kokoro)
    return await measure_kokoro(setup, Path(sys.executable), model, voices)


def _write(
    arguments: argparse.Namespace, outcomes: list[SectionResult], facts: Mapping[str, str], took: float
) -> None:
    out = arguments.out or (None if arguments.only else _PAGE)
    if out is None:
        return
    page = BenchmarkPage(
        date=date.today().isoformat(),  # noqa: DTZ011 -- the day where it was measured
        command=_command(),
        rounds=arguments.rounds,
        machine=facts,
        versions=package_versions(arguments.peer_python),
        voices=_voices(arguments),
        outcomes=outcomes,
        took=took,
    )
    out.parent.mkdir(exist_ok=True)
    out.write_text(render_markdown(page), "utf-8")
    _print_note(f"Written: {out}")


def _command() -> str:
    """The command line, without this machine's paths."""
    words = [Path(word).name if "/" in word else word for word in sys.argv[1:]]
    position = words.index("--peer-python")
    del words[position : position + 2]
    return shlex.join(["script/bench", *words])


def _voices(arguments: argparse.Namespace) -> dict[str, str]:
    files = {"Voice": _model(arguments), "Larger voice": arguments.high}
    if arguments.kokoro is not None:
        files["Kokoro"] = arguments.kokoro[0]
    return {
        role: f"`{path.name}`, {path.stat().st_size / 1e6:.0f} MB" for role, path in files.items() if path
    }


def _print_note(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
