"""Measures what a voice costs here: processor time for a second of audio, loading time, memory.

Usage: python -m bench.fleet_simulator.measure --data-dir DIRECTORY --voice NAME [--clients 1,8] [--rounds 3]
       python -m bench.fleet_simulator.measure --encode FILE.wav

The figures go into `costs.yaml` by hand. Processor time is counted, not time on the clock: so other programs
on the machine change little.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import secrets
import sys
import tempfile
import time
import urllib.request
import wave
from pathlib import Path

from bench.comparison.results import MeasurementFailed
from bench.comparison.server_process import MeasuredServer, add_flags, run_server, server_commands
from tests.scenarios.ports import free_port
from wyoming_tts.bench.load_generator import run_round
from wyoming_tts.bench.options import BenchOptions, Input
from wyoming_tts.bench.results import LoadCase
from wyoming_tts.bench.texts import VARIANTS
from wyoming_tts.encoders.encoder import Encoding, make_encoder

_TIMEOUT = 600.0
_SAMPLE_BYTES = 2
_PIECE_BYTES = 8_192


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, default=Path())
    parser.add_argument("--voice", default="en_US-lessac-medium")
    parser.add_argument("--encode", type=Path, help="measure encoders instead, with this speech")
    parser.add_argument(
        "--clients", type=lambda text: [int(each) for each in text.split(",")], default=[1, 8]
    )
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    if arguments.encode is not None:
        _measure_encoders(arguments.encode, arguments.rounds)
        return 0
    try:
        asyncio.run(_measure(arguments))
    except MeasurementFailed as error:
        print(error, file=sys.stderr)
        return 1
    return 0


async def _measure(arguments: argparse.Namespace) -> None:
    model = arguments.data_dir / f"{arguments.voice}.onnx"
    http_port = free_port()
    with tempfile.TemporaryDirectory(prefix="wyoming-tts-costs-") as scratch:
        _, own = server_commands(Path(sys.executable), Path(sys.executable), model, Path(scratch))
        command = add_flags(own, arguments.voice, ["--http-port", str(http_port), "--no-ui"])
        async with run_server(command, Path(scratch)) as server:
            await server.wait_until_idle(2.0, within=_TIMEOUT)
            megabytes = server.memory().proportional / 1e6
            print(f"ready after {server.processor_time():.1f} s of processor time, {megabytes:.0f} MB (PSS)")
            await _spoken_seconds(server, clients=1)
            await server.wait_until_idle(5.0, within=_TIMEOUT)  # what it learns of a voice in the background
            for clients in arguments.clients:
                costs = sorted([await _cost(server, clients=clients) for _ in range(arguments.rounds)])
                shown = ", ".join(f"{1000 * cost:.0f}" for cost in costs)
                print(f"{clients} clients: {shown} ms of processor time a second of audio", flush=True)
            loaded = await asyncio.to_thread(_load_seconds, http_port)
            print(f"loaded in {loaded:.2f} s, {server.memory().proportional / 1e6:.0f} MB (PSS) in the end")


def _measure_encoders(path: Path, rounds: int) -> None:
    with wave.open(str(path)) as speech:
        rate, pcm = speech.getframerate(), speech.readframes(speech.getnframes())
    seconds = len(pcm) / _SAMPLE_BYTES / rate
    for encoding in (Encoding.OPUS, Encoding.MP3, Encoding.AAC):
        costs = sorted(_encoding_seconds(encoding, rate, pcm) / seconds for _ in range(rounds))
        shown = ", ".join(f"{1000 * cost:.1f}" for cost in costs)
        print(f"{encoding}: {shown} ms of processor time a second of audio")


def _encoding_seconds(encoding: Encoding, rate: int, pcm: bytes) -> float:
    encoder = make_encoder(encoding, rate)
    began = time.process_time()
    for start in range(0, len(pcm), _PIECE_BYTES):
        encoder.encode(pcm[start : start + _PIECE_BYTES])
    encoder.finish()
    taken = time.process_time() - began
    encoder.close()
    return taken


async def _cost(server: MeasuredServer, *, clients: int) -> float:
    await server.wait_until_idle()
    before = server.processor_time()
    seconds = await _spoken_seconds(server, clients=clients)
    await server.wait_until_idle()
    return (server.processor_time() - before) / seconds


async def _spoken_seconds(server: MeasuredServer, *, clients: int) -> float:
    """Have a paragraph spoken to some clients at once; return the seconds of audio."""
    options = BenchOptions(server.uri, timeout=_TIMEOUT, describe_every=0.0)
    case = LoadCase("paragraph", Input.PLAIN, clients)
    spoken = await run_round(server.uri, case, options, secrets.randbelow(VARIANTS))
    seconds = sum(heard.audio for heard in spoken.heard)
    if not seconds:
        raise MeasurementFailed(f"Nothing was spoken: {spoken.heard[0].outcome} {spoken.heard[0].error}")
    return seconds


def _load_seconds(http_port: int) -> float:
    """Return the mean time that loading a model took, by the server's metrics."""
    with urllib.request.urlopen(f"http://127.0.0.1:{http_port}/metrics", timeout=_TIMEOUT) as answer:
        metrics = answer.read().decode()

    def total(name: str) -> float:
        return sum(
            float(value) for value in re.findall(rf"^{name}_total{{.*}} (\S+)$", metrics, re.MULTILINE)
        )

    return total("wyoming_tts_model_load_seconds") / max(1.0, total("wyoming_tts_model_loads"))


if __name__ == "__main__":
    sys.exit(main())
