"""Word error rates of two servers: `python -m bench.said_right DIRECTORY --recognizer DIRECTORY`.

DIRECTORY is one of `script/real-voices`. The texts of `sentences.yaml` are said by this server and, with
`--peer-python`, by wyoming-piper, with the same voice. A recognizer writes down what it hears, which is
compared with the words that a careful speaker would say. `script/bench` makes the environment of the peer.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
import yaml
from rich.console import Console
from rich.table import Table

from bench.comparison.results import MeasurementFailed
from bench.comparison.server_process import MeasuredServer, run_server, server_commands
from bench.kokoro_fidelity.recognition import Recognizer, Words, count_errors
from wyoming_tts import client
from wyoming_tts.speech import AudioFormat, Samples

_VOICE = "en_US-joe-medium"
_WIDTH = 150
_FULL_SCALE = 32768
_DIGIT_RE = re.compile(r"\d")


@dataclass(frozen=True, slots=True)
class Heard:
    """What was heard of a text that one server said."""

    server: str
    text: str
    expected: Sequence[str]
    words: Sequence[str]

    @property
    def errors(self) -> int:
        """Words that were replaced, left out or added."""
        return count_errors(self.expected, self.words)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; 1 if a server could not be measured."""
    arguments = _parser().parse_args(argv)
    try:
        heard = asyncio.run(_measure(arguments))
    except MeasurementFailed as error:
        print(error, file=sys.stderr)
        return 1
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    console.print(_table(heard))
    for server, errors, words in _totals(heard):
        console.print(f"{server}: {errors} errors in {words} words, WER {errors / words:.1%}")
    return 0


@dataclass(frozen=True, slots=True)
class Row:
    """A text, and the words that it is to be said in."""

    text: str
    words: str
    has_digits: bool
    """Whether figures are said digit by digit; the recognizer writes them as numbers all the same."""


def rows() -> list[Row]:
    """The texts."""
    content = files(__package__).joinpath("sentences.yaml").read_text("utf-8")
    return [Row(text, words, "digits" in rest) for text, words, *rest in yaml.safe_load(content)]


async def _measure(arguments: argparse.Namespace) -> list[Heard]:
    recognizer = Recognizer(arguments.recognizer, threads=arguments.threads)
    own = Path(sys.executable)
    model = (arguments.directory / f"{_VOICE}.onnx").absolute()
    found: list[Heard] = []
    with tempfile.TemporaryDirectory(prefix="wyoming-tts-said-right-") as scratch:
        peer = (arguments.peer_python or own).absolute()
        commands = server_commands(peer, own, model, Path(scratch))
        for command in commands if arguments.peer_python else commands[1:]:
            async with run_server(command, Path(scratch)) as server:
                for row in rows():
                    found.append(await _hear(server, row, recognizer))
                    print(f"{server.name}: {row.text!r}", file=sys.stderr, flush=True)
    return found


async def _hear(server: MeasuredServer, row: Row, recognizer: Recognizer) -> Heard:
    samples, rate = await _speak(server.uri, row.text)
    language = Words("en")
    heard = recognizer.recognize(samples, "en", rate=rate)
    if row.has_digits:
        heard = _DIGIT_RE.sub(r"\g<0> ", heard)
    return Heard(server.name, row.text, language.of(row.words), language.of(heard))


async def _speak(uri: str, text: str) -> tuple[Samples, int]:
    pieces_heard: list[bytes] = []
    rates: set[int] = set()

    async def pieces() -> AsyncIterator[str]:
        yield text

    async def keep(audio: AudioFormat, pcm: bytes) -> None:
        rates.add(audio.rate)
        pieces_heard.append(pcm)

    await client.speak(uri, pieces(), on_audio=keep)
    if len(rates) != 1:
        raise MeasurementFailed(f"{uri} made audio of {len(rates)} rates of {text!r}.")
    samples = np.frombuffer(b"".join(pieces_heard), "<i2") / np.float32(_FULL_SCALE)
    return samples.astype(np.float32), rates.pop()


def _table(heard: Sequence[Heard]) -> Table:
    """The texts of which a server was not understood."""
    shown = Table("text", "server", "errors", "heard", box=None)
    for each in sorted(heard, key=lambda each: each.text):
        if each.errors:
            shown.add_row(each.text.replace("\n", "⏎"), each.server, str(each.errors), " ".join(each.words))
    return shown


def _totals(heard: Sequence[Heard]) -> list[tuple[str, int, int]]:
    return [
        (
            server,
            sum(each.errors for each in heard if each.server == server),
            sum(len(each.expected) for each in heard if each.server == server),
        )
        for server in dict.fromkeys(each.server for each in heard)
    ]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.said_right", description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--recognizer", type=Path, required=True)
    parser.add_argument("--peer-python", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    return parser


if __name__ == "__main__":
    sys.exit(main())
