"""Command line of the load test, `wyoming-tts bench`: defines its flags and runs it."""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
from collections.abc import Callable
from math import isfinite, nan
from pathlib import Path
from typing import TypeVar

from wyoming_tts.bench.options import BenchOptions, Input, RequestMode
from wyoming_tts.bench.texts import TEXTS

_DEFAULTS = BenchOptions("")
_T = TypeVar("_T")

_COUNT = re.compile(r"0*[1-9][0-9]{0,8}", re.ASCII)


def add_bench_flags(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags to a parser; `parse_bench_options` reads them."""
    _add_request_flags(parser)
    _add_load_flags(parser)
    parser.add_argument(
        "--json", dest="json_file", metavar="FILE", help="write all measurements; - for standard output"
    )


def _add_request_flags(parser: argparse.ArgumentParser) -> None:
    """What is requested of which server, and how."""
    add = parser.add_argument
    add(
        "server",
        metavar="URI",
        help="the server to measure: tcp://HOST:PORT, unix:///PATH, http://HOST:PORT or ws://HOST:PORT",
    )
    add(
        "--compare",
        metavar="URI",
        help="a second server, or the same in another protocol, measured in turn; ratios are printed",
    )
    add(
        "--text",
        dest="texts",
        type=_texts,
        default=_DEFAULTS.texts,
        metavar="NAMES",
        help=f"texts to speak: {', '.join(TEXTS)} or all (default: {','.join(_DEFAULTS.texts)})",
    )
    add(
        "--input",
        dest="inputs",
        choices=[*Input, "both"],
        help="send the text at once, word by word, or measure both (default: both; plain for a single "
        "request over HTTP, which cannot stream text)",
    )
    add(
        "--mode",
        type=RequestMode,
        choices=list(RequestMode),
        default=_DEFAULTS.mode,
        help="request the whole text, or one sentence after the other, as clients without streaming do "
        "(default: %(default)s)",
    )
    add("--with-voice", metavar="NAME", help="request this voice; default: each server's own")
    add("--api-key", metavar="KEY", help="for HTTP and WebSocket servers that require one")


def _add_load_flags(parser: argparse.ArgumentParser) -> None:
    """How many listeners, how often, at which pace."""
    add = parser.add_argument
    add(
        "--clients",
        type=_list_of(_positive),
        default=_DEFAULTS.clients,
        metavar="NUMBERS",
        help="numbers of concurrent listeners, measured one after the other (default: 1,2,4,8)",
    )
    paced = parser.add_mutually_exclusive_group()
    paced.add_argument(
        "--duration",
        type=_seconds,
        metavar="SECONDS",
        help="let each listener ask again as soon as it was answered, for this long, and tell how many texts "
        "were spoken in a minute",
    )
    paced.add_argument(
        "--rate",
        type=_positive_float,
        metavar="N",
        help="start N listeners a minute, whether or not earlier ones are done, instead of all at once; "
        "--clients is then their number",
    )
    add(
        "--rounds",
        type=_positive,
        help=f"repetitions (default: {_DEFAULTS.rounds}, with --duration 1)",
    )
    add(
        "--words-per-second",
        type=_positive_float,
        default=_DEFAULTS.words_per_second,
        metavar="N",
        help="pace of streamed text; below 5 the listener waits for the text (default: %(default)g)",
    )
    add(
        "--describe-every",
        type=_seconds_or_zero,
        default=_DEFAULTS.describe_every,
        metavar="SECONDS",
        help="send `describe` this often during the load; 0 sends none. A server that spends much on its "
        "answer is slowed down by it (default: %(default)g)",
    )
    add(
        "--read-ahead",
        type=_seconds,
        metavar="SECONDS",
        help="read audio at playing speed, no further ahead of it than this, as a player with a small buffer "
        "does; otherwise it is read as soon as it comes",
    )
    add(
        "--repeat",
        action="store_true",
        help="send the same text every time, as announcements do; otherwise every request gets a text of "
        "its own, so that no server answers from its cache",
    )
    add(
        "--timeout",
        type=_seconds,
        default=_DEFAULTS.timeout,
        metavar="SECONDS",
        help="count a request as hung after this long without receiving a byte (default: %(default)g)",
    )


def parse_bench_options(arguments: argparse.Namespace) -> BenchOptions:
    """Convert parsed flags into the options of a load test."""
    return BenchOptions(
        uri=arguments.server,
        compare=arguments.compare,
        texts=arguments.texts,
        inputs=_inputs(arguments),
        mode=arguments.mode,
        clients=arguments.clients,
        rate=arguments.rate,
        duration=arguments.duration,
        rounds=arguments.rounds or (_DEFAULTS.rounds if arguments.duration is None else 1),
        words_per_second=arguments.words_per_second,
        voice=arguments.with_voice,
        api_key=arguments.api_key,
        timeout=arguments.timeout,
        read_ahead=arguments.read_ahead,
        describe_every=arguments.describe_every,
        vary=not arguments.repeat,
    )


def _inputs(arguments: argparse.Namespace) -> tuple[Input, ...]:
    given = arguments.inputs
    if given is None:
        over_http = any((uri or "").startswith("http") for uri in (arguments.server, arguments.compare))
        given = Input.PLAIN if over_http and arguments.mode is RequestMode.SINGLE else "both"
    return tuple(Input) if given == "both" else (Input(given),)


def run_bench_command(arguments: argparse.Namespace) -> int:
    """Run the load test, print its table and write its JSON; returns the exit code.

    Raises:
        ClientError: a server cannot be reached, or lacks what is to be measured; the file cannot be written.
    """
    # Importing these takes 100 ms, which starting a server need not spend.
    from wyoming_tts.bench.load_generator import run_bench  # noqa: PLC0415
    from wyoming_tts.bench.report import print_table, progress_bar, result_to_json  # noqa: PLC0415

    options = parse_bench_options(arguments)
    to_stdout = arguments.json_file == "-"
    if arguments.json_file is not None and not to_stdout:
        _require_writable(Path(arguments.json_file))
    with progress_bar() as progress:
        result = asyncio.run(run_bench(options, progress=progress))
    if not to_stdout:
        print_table(result)
    if arguments.json_file is not None:
        text = json.dumps(result_to_json(result), indent=1) + "\n"
        if to_stdout:
            sys.stdout.write(text)
        else:
            Path(arguments.json_file).write_text(text, "utf-8")
    return 0


def _require_writable(file: Path) -> None:
    """Check before the measurement, which may take an hour, that its file can be written."""
    from wyoming_tts.client import ClientError  # noqa: PLC0415 - imported by measuring in any case

    try:
        file.open("a").close()
    except OSError as error:
        raise ClientError(f"{file} cannot be written: {error.strerror or error}.") from error


def _texts(given: str) -> tuple[str, ...]:
    names = tuple(TEXTS) if given == "all" else tuple(given.split(","))
    if unknown := [name for name in names if name not in TEXTS]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is not one of {', '.join(TEXTS)}")
    return names


def _list_of(parse: Callable[[str], _T]) -> Callable[[str], tuple[_T, ...]]:
    return lambda given: tuple(parse(part) for part in given.split(","))


def _positive(given: str) -> int:
    if not _COUNT.fullmatch(given.strip()):
        raise argparse.ArgumentTypeError(f"expected a whole number above 0, got {given!r}")
    return int(given)


def _positive_float(given: str) -> float:
    return _parse_float(given, "a number above 0", lambda value: value > 0.0)


def _seconds(given: str) -> float:
    return _parse_float(given, "seconds as a number above 0, such as 30 or 0.5", lambda value: value > 0.0)


def _seconds_or_zero(given: str) -> float:
    return _parse_float(given, "seconds as a number, 0 or more", lambda value: value >= 0.0)


def _parse_float(given: str, expected: str, fits: Callable[[float], bool]) -> float:
    try:
        value = float(given)
    except ValueError:
        value = nan
    if not (isfinite(value) and fits(value)):
        raise argparse.ArgumentTypeError(f"expected {expected}, got {given!r}")
    return value
