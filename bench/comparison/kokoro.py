"""Kokoro section: this server beside kokoro-onnx's own streaming, with the same model.

Run as a program, this module is the other side: it speaks each line of standard input through
`create_stream` and prints the times of its audio, measured in the process itself without a socket between.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.comparison.harness import (
    BenchSetup,
    collect_ttfas,
    require_spoken,
    rounds_to_json,
    run_load,
    run_servers,
)
from bench.comparison.results import MeasurementFailed, SectionResult, compare_medians
from bench.comparison.server_process import add_flags
from wyoming_tts.bench.options import Input
from wyoming_tts.bench.results import LoadCase, LoadRound
from wyoming_tts.bench.texts import TEXTS, vary_text

_VOICE = "af_heart"
"""The pack's first voice is used where it does not have this one."""
_PARAGRAPH = LoadCase("paragraph", Input.PLAIN, 1)
_LINE_LIMIT = 1 << 20


async def measure_kokoro(setup: BenchSetup, python: Path, model: Path, voices: Path) -> SectionResult:
    """First audio and total time of a paragraph."""
    files = ("--kokoro-model", str(model), "--kokoro-voices", str(voices))
    setup = replace(setup, voice=_voice_of(voices))
    own = add_flags(setup.own, "Kokoro", ("--engine", "kokoro", "--voice", setup.voice, *files))
    theirs: list[dict[str, Any]] = []
    ours: list[LoadRound] = []
    async with run_servers(setup, own) as (server,), _library(python, model, voices, setup.voice) as library:
        await _create_speech(library, TEXTS["sentence"])
        for number in range(setup.rounds):
            setup.report_progress(f"kokoro: round {number + 1} of {setup.rounds}")
            first = setup.texts.take(1)
            turns = ["library", "server"]
            for turn in turns if number % 2 == 0 else reversed(turns):
                if turn == "library":
                    theirs.append(await _create_speech(library, vary_text(TEXTS["paragraph"], first)))
                else:
                    ours.append(
                        require_spoken(server, await run_load(setup, server, _PARAGRAPH, first=first))
                    )
    return SectionResult(
        "kokoro",
        "The paragraph, one listener. On the left kokoro-onnx's `create_stream`, timed in its own process.",
        (
            compare_medians(
                "Kokoro: TTFA, paragraph",
                [each["ttfa"] for each in theirs],
                collect_ttfas(ours),
                at_most=1 / 6,
            ),
            compare_medians(
                "Kokoro: wall time, paragraph",
                [each["wall"] for each in theirs],
                [each.wall for each in ours],
                at_most=0.85,
            ),
        ),
        {"create_stream": theirs} | rounds_to_json({"server": ours}),
    )


@asynccontextmanager
async def _library(python: Path, model: Path, voices: Path, voice: str) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        *(str(python), "-m", "bench.comparison.kokoro", str(model), str(voices), voice),
        stdin=PIPE,
        stdout=PIPE,
        limit=_LINE_LIMIT,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _create_speech(process: Process, text: str) -> dict[str, Any]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(text.encode() + b"\n")
    await process.stdin.drain()
    line = await process.stdout.readline()
    if not line:
        raise MeasurementFailed("kokoro-onnx ended; its output is above.")
    answer: dict[str, Any] = json.loads(line)
    return answer


def _voice_of(pack: Path) -> str:
    with np.load(pack) as voices:
        return _VOICE if _VOICE in voices.files else str(voices.files[0])


async def _create(engine: Any, text: str, voice: str) -> dict[str, Any]:
    started_at = time.perf_counter()
    first_at = None
    samples = rate = 0
    async for audio, rate in engine.create_stream(text, voice, lang="en-us"):  # noqa: B007 -- used after it
        first_at = first_at or time.perf_counter()
        samples += len(audio)
    assert first_at is not None
    ended_at = time.perf_counter()
    return {"ttfa": first_at - started_at, "wall": ended_at - started_at, "audio": samples / rate}


def main() -> None:
    """Speak the lines of standard input and print a line of JSON for each."""
    from kokoro_onnx import Kokoro  # noqa: PLC0415 -- the measuring process does not need it

    model, pack, voice = sys.argv[1:]
    engine = Kokoro(model, pack)
    for line in sys.stdin:
        print(json.dumps(asyncio.run(_create(engine, line.strip(), voice))), flush=True)


if __name__ == "__main__":
    main()
