"""Soak: many clients of all kinds for a long time, and whether anything fails or grows.

`script/soak --minutes 30 --clients 20 --model VOICE.onnx`. The clients pause between two texts as people do,
so the server is busy but not overloaded, and every error and every gap is one too many.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import os
import re
import shlex
import shutil
import sys
import tempfile
import time
from asyncio.subprocess import DEVNULL, Process
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

import httpx
from rich.console import Console

from bench.soak.activities import ACTIVITIES, ActivityFailed, SoakClient
from bench.soak.figures import Sample, SoakFigures
from tests.scenarios.paced_listener import PATIENCE
from tests.scenarios.ports import free_ports
from tests.scenarios.process_footprint import footprint_of

_TONE_VOICE = Path(__file__).parents[2] / "tests" / "voices" / "en_US-letters-low.onnx"
"""Uploaded and deleted, and spoken with where no model is given."""
_EMBEDDED = "espeak-en-us"
_LOOPBACK = "127.0.0.1"
_WARM_UP = 300.0
_SAMPLE_EVERY = 5.0
_STARTS_WITHIN = 60.0
_SHOWN_ERRORS = 20
_WIDTH = 120
"""Characters of the tables, which go into files as well."""


@dataclass(frozen=True, slots=True)
class SoakedServer:
    """A running server."""

    process: Process
    wyoming: tuple[str, int]
    url: str
    log: Path


async def soak(options: argparse.Namespace, directory: Path) -> SoakFigures:
    """Run the server and its clients for the wanted time."""
    seconds = options.minutes * 60
    figures = SoakFigures(warm_up=min(_WARM_UP, seconds / 2))
    async with run_server(options, directory) as server:
        tasks = [
            asyncio.create_task(_run_client(number, server, options, figures))
            for number in range(options.clients)
        ]
        try:
            await _sample(server, seconds, figures)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    for line in _log_errors(server.log):
        figures.add_error("log", line)
    return figures


@asynccontextmanager
async def run_server(options: argparse.Namespace, directory: Path) -> AsyncIterator[SoakedServer]:
    """Run the server on free loopback ports, with the model in a data directory of its own."""
    model: Path = options.model or _TONE_VOICE
    for path in (model, model.with_name(f"{model.name}.json")):
        shutil.copy(path, directory)
    wyoming, http = free_ports(2)
    log = directory / "server.log"
    command = (
        *shlex.split(options.server),
        *("--uri", f"tcp://{_LOOPBACK}:{wyoming}", "--http-host", _LOOPBACK, "--http-port", str(http)),
        *("--voice", model.stem, "--data-dir", str(directory), "--no-zeroconf", "--offline"),
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WYOMING_")}
    with log.open("wb") as written:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=DEVNULL, stdout=written, stderr=written, env=environment
        )
    server = SoakedServer(process, (_LOOPBACK, wyoming), f"http://{_LOOPBACK}:{http}", log)
    try:
        await _wait_until_ready(server)
        yield server
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _wait_until_ready(server: SoakedServer) -> None:
    async with asyncio.timeout(_STARTS_WITHIN), httpx.AsyncClient(trust_env=False) as client:
        while server.process.returncode is None:
            try:
                if (await client.get(f"{server.url}/readyz")).is_success:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.1)
    raise ActivityFailed(f"the server ended:\n{server.log.read_text('utf-8', 'replace')[-2000:]}")


async def _sample(server: SoakedServer, seconds: float, figures: SoakFigures) -> None:
    began = time.monotonic()
    while (at := time.monotonic() - began) < seconds:
        if server.process.returncode is not None:
            figures.add_error("server", f"it ended with {server.process.returncode}")
            return
        figures.samples.append(Sample(at, footprint_of(server.process.pid)))
        await asyncio.sleep(_SAMPLE_EVERY)


async def _run_client(
    number: int, server: SoakedServer, options: argparse.Namespace, figures: SoakFigures
) -> None:
    random = Random(number)  # noqa: S311 -- the same activities each time
    async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as http:
        client = SoakClient(
            number=number,
            random=random,
            wyoming=server.wyoming,
            url=server.url,
            voices=(None, None, None, None, _EMBEDDED),
            upload=(_TONE_VOICE, _TONE_VOICE.with_name(f"{_TONE_VOICE.name}.json")),
            http=http,
        )
        while True:
            await asyncio.sleep(random.expovariate(1 / options.pause))
            await _act(client, figures)


async def _act(client: SoakClient, figures: SoakFigures) -> None:
    """Do something, and wait until a person would have heard it."""
    activity = client.random.choices(list(ACTIVITIES), weights=list(ACTIVITIES.values()))[0]
    name = activity.__name__
    try:
        recording = await activity(client)
    except (ActivityFailed, httpx.HTTPError, OSError, EOFError) as error:  # a timeout as well
        figures.add_error(name, f"{type(error).__name__}: {error}")
        return
    figures.add_done(name)
    if recording is not None:
        figures.add_heard(name, recording.heard())
        await asyncio.sleep(max(0.0, recording.plays_until - time.monotonic()))


def _log_errors(log: Path) -> list[str]:
    lines = log.read_text("utf-8", "replace").splitlines()
    return [line for line in lines if re.search(r" (ERROR|CRITICAL) |^Traceback", line)]


def _write_samples(path: Path, figures: SoakFigures) -> None:
    rows = [{"at": round(each.at, 1), **asdict(each.footprint)} for each in figures.samples]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


def report(figures: SoakFigures, console: Console) -> int:
    """Print tables and problems; return the exit status."""
    console.print(figures.activity_table(), figures.footprint_table())
    for message, count in Counter(figures.errors).most_common(_SHOWN_ERRORS):
        console.print(f"{count} x {message}", markup=False, soft_wrap=True)
    problems = list(figures.problems())
    console.print("; ".join(problems) if problems else "No error, no gap.")
    return 1 if problems else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="script/soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--model", type=Path, metavar="VOICE.onnx", help="default voice; else one of tones")
    parser.add_argument(
        "--server",
        metavar="COMMAND",
        default=f"{shlex.quote(sys.executable)} -m wyoming_tts",
        help="command that starts the server, instead of this checkout's",
    )
    parser.add_argument("--pause", type=float, default=12.0, help="mean seconds between two activities")
    parser.add_argument("--samples", type=Path, metavar="FILE", help="write all samples there, as CSV")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="soak-") as directory:
        figures = asyncio.run(soak(options, Path(directory)))
    if options.samples:
        _write_samples(options.samples, figures)
    return report(figures, Console(width=_WIDTH))


if __name__ == "__main__":
    sys.exit(main())
