"""The command `wyoming-tts`: parse, call, print.

`serve` is what runs without a command, so that the flags of wyoming-piper work as they are. What takes
long to import is imported by the command that needs it; `serve` opens its port before that.
"""

from __future__ import annotations

import argparse
import asyncio
import errno
import logging
import os
import socket
import sys
from collections.abc import Callable, Mapping, Sequence

from wyoming_tts import __version__
from wyoming_tts.bench.command import add_bench_flags
from wyoming_tts.errors import SpeechError
from wyoming_tts.settings import LoadedSettings, SettingsError, add_flags, load_settings
from wyoming_tts.transports.listening import Address, bind_tcp

_DESCRIPTION = "A local text-to-speech server that speaks while the text is still arriving."

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130

_LOGGER = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code: 0 done, 1 failed, 2 wrongly called."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or (words[0] not in _COMMANDS and words[0] not in {"-h", "--help", "--version"}):
        words.insert(0, "serve")
    arguments = _parser().parse_args(words)
    try:
        settings = load_settings(vars(arguments), environ=os.environ)
        return _COMMANDS[arguments.command](arguments, settings)
    except SettingsError as error:
        return _told(error, EXIT_USAGE)
    except (CannotListen, SpeechError) as error:
        return _told(error, EXIT_FAILED)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


class CannotListen(Exception):
    """The address cannot be listened on; the message says which, why, and what to do."""


def _told(error: Exception, exit_code: int) -> int:
    print(f"wyoming-tts: {error}", file=sys.stderr)
    return exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="wyoming-tts", description=_DESCRIPTION)
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    serve = commands.add_parser("serve", help="run the server (the default)", description=_DESCRIPTION)
    serve.add_argument("--version", action="version", version=__version__)
    add_flags(serve)

    say = commands.add_parser(
        "say",
        help="speak a text through a server, or without one",
        description="Speak a text. Without --uri a server is looked for in the network; "
        "if there is none, this process speaks by itself.",
        conflict_handler="resolve",
    )
    add_flags(say)
    _add_say_flags(say)

    voices = commands.add_parser("voices", help="list the installed voices")
    voices.add_argument(
        "--language", dest="only_language", help="only voices of this language, as de or en_US"
    )
    add_flags(voices)

    measure = commands.add_parser(
        "bench",
        help="measure a server from outside",
        description="Measure any Wyoming text-to-speech server from outside, or two of them in turn.",
    )
    add_bench_flags(measure)
    return parser


def _add_say_flags(say: argparse.ArgumentParser) -> None:
    say.add_argument(
        "text", nargs="?", help="what to say; read from standard input, as it comes, if left out"
    )
    say.add_argument(
        "--uri", dest="server", metavar="URI", help="the server: tcp://HOST:PORT or unix:///PATH"
    )
    say.add_argument("--language", help="speak with a voice of this language")
    say.add_argument("--out", metavar="FILE", help="write a WAV file; - for standard output")
    say.add_argument(
        "--stream", action="store_true", help="send the text piece by piece, as an assistant does"
    )
    say.add_argument("--play", action="store_true", help="play the audio while it arrives")
    say.add_argument("--ssml", action="store_true", help="the text is SSML")
    say.add_argument(
        "--explain", action="store_true", help="print what would be said, stage by stage, and say nothing"
    )
    say.add_argument(
        "--json",
        action="store_true",
        help='explain as JSON, with no text for each line such as {"text": "…", "voice": "…"} of the input',
    )


def _configure_logging(settings: LoadedSettings, *, quiet: bool = False) -> None:
    level = logging.DEBUG if settings.settings.debug else logging.WARNING if quiet else logging.INFO
    # stdout belongs to the protocol (stdio://) and to audio (say --out -).
    logging.basicConfig(level=level, format=settings.settings.log_format, stream=sys.stderr, force=True)
    for chatty in ("httpx", "httpcore", "asyncio"):
        logging.getLogger(chatty).setLevel(max(level, logging.WARNING))
    for warning in settings.warnings:
        _LOGGER.warning("%s", warning)


def _serve(_: argparse.Namespace, settings: LoadedSettings) -> int:
    _configure_logging(settings)
    sockets = _bound(settings.settings.uri)
    from wyoming_tts import app  # noqa: PLC0415 - takes half a second, in which clients may queue

    try:
        threads_ended = asyncio.run(app.serve(settings.settings, sockets))
    except OSError as error:
        raise _cannot_listen(settings.settings.uri, error) from error
    if not threads_ended:
        # A step is still computing. Waiting for it would take long, and a thread that comes back
        # into a finalizing interpreter may bring the process down with an error.
        logging.shutdown()
        os._exit(0)
    return 0


def _bound(uri: str) -> list[socket.socket]:
    address = Address.of(uri)
    if address.scheme != "tcp":
        return []
    try:
        return bind_tcp(address)
    except OSError as error:
        raise _cannot_listen(uri, error) from error


def _cannot_listen(uri: str, error: OSError) -> CannotListen:
    in_use = " Stop what listens there, or choose another port with --port." * (
        error.errno == errno.EADDRINUSE
    )
    return CannotListen(f"cannot listen on {uri}: {error.strerror or error}.{in_use}")


def _say(arguments: argparse.Namespace, settings: LoadedSettings) -> int:
    _configure_logging(settings, quiet=True)
    from wyoming_tts import commands  # noqa: PLC0415 - as above

    return commands.say(arguments, settings)


def _voices(arguments: argparse.Namespace, settings: LoadedSettings) -> int:
    _configure_logging(settings, quiet=True)
    from wyoming_tts import commands  # noqa: PLC0415 - as above

    return commands.voices(arguments, settings)


def _bench(arguments: argparse.Namespace, settings: LoadedSettings) -> int:
    _configure_logging(settings, quiet=True)
    from wyoming_tts import commands  # noqa: PLC0415 - as above

    return commands.measure(arguments)


_COMMANDS: Mapping[str, Callable[[argparse.Namespace, LoadedSettings], int]] = {
    "serve": _serve,
    "say": _say,
    "voices": _voices,
    "bench": _bench,
}
