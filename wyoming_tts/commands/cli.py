"""Command line `wyoming-tts`: parses the arguments, dispatches to a command, prints errors.

`serve` is the default command, so that the flags of wyoming-piper work unchanged. Modules that take long to
import are imported by the command that needs them; `serve` opens its port before that.
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
from pathlib import Path
from typing import Any, Final, NoReturn

from wyoming_tts import __version__
from wyoming_tts.bench.command import add_bench_flags, run_bench_command
from wyoming_tts.commands.console import CommandFailed
from wyoming_tts.commands.health import add_health_flags, check_health
from wyoming_tts.errors import SpeechError
from wyoming_tts.settings import SETTINGS, Group, LoadedSettings, SettingsError, add_flags, load_settings
from wyoming_tts.telemetry.log_lines import JsonFormatter
from wyoming_tts.transports.listening import ListenAddress, bind_tcp

_DESCRIPTION = "A local text-to-speech server that speaks while the text is still arriving."

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130

_LOGGER = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code: 0 done, 1 failed, 2 invalid usage."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or (words[0] not in _COMMANDS and words[0] not in {"-h", "--help", "--version"}):
        words.insert(0, "serve")
    if words[0] == "serve" and not {"-h", "--help"}.isdisjoint(words):
        _brief_help().print_help()
        return 0
    arguments = _parse(words)
    try:
        settings = load_settings(_flags(arguments), environ=os.environ)
        return _COMMANDS[arguments.command](arguments, settings)
    except SettingsError as error:
        return _print_error(error, EXIT_USAGE)
    except (ListenFailed, SpeechError) as error:
        return _print_error(error, EXIT_FAILED)
    except BrokenPipeError:
        # The output's reader closed it, as `head` does; flushing the buffer at exit must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def run() -> NoReturn:
    """Run the command of the command line as this process, and end it with the command's exit code."""
    code = main()
    if _must_leave_at_once():
        from wyoming_tts.server.forced_exit import end_process  # noqa: PLC0415 - only after speaking in here

        end_process(code)
    sys.exit(code)


def _must_leave_at_once() -> bool:
    """Whether the interpreter is not to be finalized.

    A step may still compute: waiting for it could take for ever, and a thread that returns into a finalizing
    interpreter may crash the process. And tidying up after a server, with its models and its page, takes
    seconds on a busy machine.
    """
    if "wyoming_tts.server.app" in sys.modules:
        return True
    if "wyoming_tts.thread_pool" not in sys.modules:
        return False
    from wyoming_tts.thread_pool import has_threads  # noqa: PLC0415 - only after speaking in here

    return has_threads()


def _flags(arguments: argparse.Namespace) -> dict[str, object]:
    """Return the flags given, without a settings file that the command itself will create."""
    flags = vars(arguments)
    will_create = (
        flags.get("voices_command") == "import-piper" and not Path(flags.get("config") or "").exists()
    )
    return {name: value for name, value in flags.items() if name != "config"} if will_create else flags


class ListenFailed(Exception):
    """The server cannot listen on its address; the message says which, why, and what to do."""


def _print_error(error: Exception, exit_code: int) -> int:
    print(f"wyoming-tts: {error}", file=sys.stderr)
    return exit_code


def _parse(words: Sequence[str]) -> argparse.Namespace:
    parser = _parser(words[0])
    arguments, unknown = parser.parse_known_args(words)
    if unknown:
        flags = {word.partition("=")[0] for word in unknown}
        of_server = [flag for info in SETTINGS for flag in info.flags if flag in flags]
        hint = (
            f" ({of_server[0]} is of the server alone: wyoming-tts serve {of_server[0]})" if of_server else ""
        )
        parser.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")
    return arguments


def _parser(command: str | None = None) -> argparse.ArgumentParser:
    """Make the parser; with the flags of one command only if it is given, because there are hundreds."""
    parser = argparse.ArgumentParser(prog="wyoming-tts", description=_DESCRIPTION)
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (add, help_text, description) in _PARSERS.items():
        added = commands.add_parser(
            name, help=help_text, description=description or help_text, conflict_handler="resolve"
        )
        if command in {None, name}:
            add(added)
    return parser


def _brief_help() -> argparse.ArgumentParser:
    """Make a parser whose help is that of `serve` with the settings that most people need."""
    brief = argparse.ArgumentParser(
        prog="wyoming-tts serve",
        usage="wyoming-tts [serve] [--SETTING VALUE ...]",
        description=_DESCRIPTION,
        epilog="All settings: wyoming-tts serve --help-all, docs/settings.md; commands: wyoming-tts --help.",
    )
    brief.add_argument("--help-all", action="store_true", help="show all settings and exit")
    add_flags(brief, _MAIN)
    return brief


def _add_serve_flags(serve: argparse.ArgumentParser) -> None:
    serve.add_argument("--help-all", action="help", help="show this help and exit")
    serve.add_argument("--version", action="version", version=__version__)
    add_flags(serve)


def _add_say_flags(say: argparse.ArgumentParser) -> None:
    add_flags(say, _OF_SPEECH)
    say.add_argument(
        "text", nargs="?", help="text to speak; read from standard input as it arrives if left out"
    )
    say.add_argument(
        "--uri", dest="server", metavar="URI", help="server to use: tcp://HOST:PORT or unix:///PATH"
    )
    say.add_argument(
        "--host", dest="server_host", metavar="HOST", help="host of the server to use; default: this machine"
    )
    say.add_argument(
        "--port",
        dest="server_port",
        metavar="N",
        type=int,
        help="port of the server to use; default: that of the settings",
    )
    say.add_argument("--language", help="speak with a voice of this language")
    say.add_argument("--out", metavar="FILE", help="write a WAV file; - for standard output")
    say.add_argument(
        "--stream", action="store_true", help="stream the text piece by piece, as an assistant does"
    )
    say.add_argument("--play", action="store_true", help="play the audio as it arrives")
    say.add_argument(
        "--captions",
        metavar="FILE",
        help="write captions: SRT, WebVTT or JSON, by the name's ending",
    )
    say.add_argument(
        "--karaoke",
        action="store_true",
        help="print each word when it sounds; where nothing plays and the output is no terminal, at once",
    )
    say.add_argument("--ssml", action="store_true", help="the text is SSML")
    say.add_argument(
        "--explain",
        action="store_true",
        help="print how the text is processed, stage by stage, without speaking",
    )
    say.add_argument(
        "--json",
        action="store_true",
        help='explain as JSON; without a text, one result for each input line {"text": "…", "voice": "…"}',
    )


_MAIN: Final = frozenset(
    {"host", "port", "zeroconf_name", "http_host", "http_port", "api_keys", "voice", "data_dir", "speed"}
    | {"volume", "offline", "debug"}
)
"""Settings that the brief help of `serve` shows."""
_OF_VOICES: Final = frozenset({Group.VOICES, Group.DOWNLOADS, Group.COMPUTING, Group.REMOTE, Group.LOGGING})
_OF_SPEECH: Final = _OF_VOICES | {Group.SPEECH, Group.TEXT, Group.LIMITS}
_OF_STATS: Final = frozenset({Group.LOGGING})
_OF_CACHE: Final = frozenset(
    {"http", "http_host", "http_port", "http_certificate", "api_keys", Group.COMPUTING, Group.LOGGING}
)
"""Settings that commands use, by group or name."""

_BUCKET_COMMANDS: Final = {
    "sync": "bring voices, blends and the lexicon from a bucket",
    "push": "write blends and the lexicon into a bucket",
}


def _add_voices_flags(voices: argparse.ArgumentParser) -> None:
    _add_list_flags(voices)
    commands = voices.add_subparsers(dest="voices_command", metavar="COMMAND")
    voices.set_defaults(voices_command="list", **_NO_FILTERS)
    _add_list_flags(
        _add_command(commands, "list", "list voices, including those that can be downloaded (the default)")
    )

    download = _add_command(commands, "download", "download voices of the catalogue")
    add_flags(download, _OF_VOICES)
    download.add_argument("names", nargs="+", metavar="NAME", help="a name, an alias, or a prefix of one")
    download.add_argument(
        "--precision",
        choices=("fp32", "fp16", "int8"),
        help="precision of Kokoro's model; default: fp32, or the one that is installed",
    )
    _add_json_flag(download)

    remove = _add_command(commands, "remove", "delete voices")
    add_flags(remove, _OF_VOICES)
    remove.add_argument(
        "names", nargs="+", metavar="NAME", help="a name or an alias, or an engine's name for all its voices"
    )
    remove.add_argument("-y", "--yes", action="store_true", help="do not ask for confirmation")
    _add_json_flag(remove)

    verify = _add_command(commands, "verify", "compare installed voices with the catalogue")
    add_flags(verify, _OF_VOICES)
    verify.add_argument("names", nargs="*", metavar="NAME", help="all that are installed if left out")
    _add_json_flag(verify)

    info = _add_command(commands, "info", "show all details of a voice")
    add_flags(info, _OF_VOICES)
    info.add_argument("name", metavar="NAME")
    _add_json_flag(info)

    taken = _add_command(commands, "import-piper", "use a data directory of wyoming-piper where it is")
    add_flags(taken, _OF_VOICES)
    taken.add_argument(
        "directory", metavar="DIR", help="what --data-dir of wyoming-piper named; --config FILE is changed"
    )
    _add_json_flag(taken)

    for name, text in _BUCKET_COMMANDS.items():
        synced = _add_command(commands, name, text)
        add_flags(synced, _OF_VOICES)
        synced.add_argument(
            "url", nargs="?", metavar="URL", help="s3://…, gs:// or file:///…; voices_url if left out"
        )
        _add_json_flag(synced)


def _add_list_flags(voices: argparse.ArgumentParser) -> None:
    add_flags(voices, _OF_VOICES)
    voices.add_argument(
        "--language",
        dest="only_language",
        help="only voices of this language, such as de or en_US",
        **_NO_DEFAULT,
    )
    voices.add_argument("--engine", dest="only_engine", help="only voices of this engine", **_NO_DEFAULT)
    voices.add_argument("--installed", action="store_true", help="only installed voices", **_NO_DEFAULT)
    voices.add_argument("--json", action="store_true", help="print JSON", **_NO_DEFAULT)


def _add_blend_flags(blend: argparse.ArgumentParser) -> None:
    commands = blend.add_subparsers(dest="blend_command", metavar="COMMAND", required=True)
    add = _add_command(commands, "add", "save a blend of Kokoro voices under a name")
    add_flags(add, _OF_SPEECH)
    add.add_argument("name", metavar="NAME")
    add.add_argument("recipe", metavar="RECIPE", help="such as af_bella(2)+af_sky or 60*af_bella+40*af_sky")
    add.add_argument(
        "--language", help="its language, such as en_US; required if its voices speak different languages"
    )
    add.add_argument("--description", default="", help="a description of one line")
    add.add_argument("--spherical", action="store_true", help="interpolate along arcs (spherically)")
    add.add_argument(
        "--no-normalize", dest="normalize", action="store_false", help="use the weights as given"
    )
    add.add_argument("--replace", action="store_true", help="replace an existing blend of that name")
    add.add_argument("--say", metavar="TEXT", help="speak a text with it")
    add.add_argument("--out", metavar="FILE", help="write the speech to a WAV file instead of playing it")

    _add_json_flag(_with_settings(_add_command(commands, "list", "list blends and imported voices")))
    for name, help_text in (
        ("show", "show details of a blend"),
        ("remove", "remove a blend or imported voice"),
    ):
        _with_settings(_add_command(commands, name, help_text)).add_argument("name", metavar="NAME")
    _add_json_flag(commands.choices["show"])
    for name, help_text, file_help in (
        ("import", "import a style table as a voice", ".npy, or a .pt or .bin of Kokoro-FastAPI"),
        ("export", "write a blend or voice as a style table", "a name that ends in .npy or .bin"),
    ):
        moved = _with_settings(_add_command(commands, name, help_text))
        moved.add_argument("name", metavar="NAME")
        moved.add_argument("file", metavar="FILE", help=file_help)


def _add_stats_flags(parser: argparse.ArgumentParser) -> None:
    from wyoming_tts.telemetry.stats import add_stats_flags  # noqa: PLC0415 - of this command alone

    add_flags(parser, _OF_STATS)
    add_stats_flags(parser)


def _add_token_flags(parser: argparse.ArgumentParser) -> None:
    from wyoming_tts.commands.token import add_token_flags  # noqa: PLC0415 - as above

    add_token_flags(parser)


def _add_cache_flags(cache: argparse.ArgumentParser) -> None:
    from wyoming_tts.commands.cache import add_cache_flags  # noqa: PLC0415 - as above

    commands = cache.add_subparsers(dest="cache_command", metavar="COMMAND", required=True)
    clear = _add_command(
        commands, "clear", "remove all spoken segments from memory, disk and the shared cache"
    )
    add_flags(clear, _OF_CACHE)
    add_cache_flags(clear)


def _add_completion_flags(completion: argparse.ArgumentParser) -> None:
    completion.add_argument("shell", metavar="SHELL", help="bash, zsh, fish, tcsh or powershell")


def _add_command(commands: Any, name: str, help_text: str) -> argparse.ArgumentParser:
    """Add a command to what `add_subparsers` returned, whose type has no public name."""
    added: argparse.ArgumentParser = commands.add_parser(
        name, help=help_text, description=help_text, conflict_handler="resolve"
    )
    return added


def _with_settings(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    add_flags(parser, _OF_VOICES)
    return parser


def _add_json_flag(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")


def _configure_logging(settings: LoadedSettings, *, quiet: bool = False) -> None:
    level = logging.DEBUG if settings.settings.debug else logging.WARNING if quiet else logging.INFO
    # stdout is for the protocol (stdio://) and for audio (say --out -).
    logging.basicConfig(level=level, format=settings.settings.log_format, stream=sys.stderr, force=True)
    for chatty in ("httpx", "httpcore", "asyncio", "watchfiles", "websockets", "uvicorn"):
        logging.getLogger(chatty).setLevel(max(level, logging.WARNING))
    if settings.settings.log_style == "json":
        for handler in logging.getLogger().handlers:
            handler.setFormatter(JsonFormatter())
    for warning in settings.warnings:
        _LOGGER.warning("%s", warning)


def _serve(arguments: argparse.Namespace, settings: LoadedSettings) -> int:
    _configure_logging(settings)

    def reload_settings() -> LoadedSettings:
        return load_settings(vars(arguments), environ=os.environ)

    sockets = _bind(settings.settings.uri)
    from wyoming_tts.server import app  # noqa: PLC0415 - takes half a second, in which clients may queue
    from wyoming_tts.server.forced_exit import ForcedExit  # noqa: PLC0415 - as above

    try:
        asyncio.run(app.serve(settings, sockets, reread=reload_settings, forced_exit=ForcedExit()))
    except OSError as error:
        raise _cannot_listen(settings.settings.uri, error) from error
    return 0


def _bind(uri: str) -> list[socket.socket]:
    address = ListenAddress.parse(uri)
    if address.scheme != "tcp":
        return []
    try:
        return bind_tcp(address)
    except OSError as error:
        raise _cannot_listen(uri, error) from error


def _cannot_listen(uri: str, error: OSError) -> ListenFailed:
    in_use = " Stop what listens there, or choose another port with --port." * (
        error.errno == errno.EADDRINUSE
    )
    return ListenFailed(f"cannot listen on {uri}: {error.strerror or error}.{in_use}")


def _say(arguments: argparse.Namespace, settings: LoadedSettings) -> int:
    _configure_logging(settings, quiet=True)
    from wyoming_tts.commands import say as commands  # noqa: PLC0415 - as above

    return commands.say(arguments, settings)


def _voices(arguments: argparse.Namespace, settings: LoadedSettings) -> int:
    # Without progress bars, the log shows the progress of a download.
    logs_progress = arguments.voices_command == "download" and not sys.stderr.isatty()
    _configure_logging(settings, quiet=not logs_progress)
    from wyoming_tts.commands import voices as voice_commands  # noqa: PLC0415 - as above

    return voice_commands.run_voices_command(arguments, settings)


def _blend(arguments: argparse.Namespace, settings: LoadedSettings) -> int:
    _configure_logging(settings, quiet=True)
    from wyoming_tts.commands import blends as blend_commands  # noqa: PLC0415 - as above

    return blend_commands.run_blend_command(arguments, settings)


def _bench(arguments: argparse.Namespace, settings: LoadedSettings) -> int:
    _configure_logging(settings, quiet=True)
    from wyoming_tts.client import ClientError  # noqa: PLC0415 - as above

    try:
        return run_bench_command(arguments)
    except ClientError as error:
        raise CommandFailed(str(error)) from error


def _health(arguments: argparse.Namespace, settings: LoadedSettings) -> int:
    return check_health(arguments, settings.settings)


def _stats(arguments: argparse.Namespace, settings: LoadedSettings) -> int:
    _configure_logging(settings, quiet=True)
    from wyoming_tts.telemetry.stats import run_stats  # noqa: PLC0415 - as above

    return run_stats(arguments, settings.settings.metrics_file, settings.settings.former_metrics_file)


def _token(arguments: argparse.Namespace, settings: LoadedSettings) -> int:
    from wyoming_tts.commands.token import mint_token  # noqa: PLC0415 - as above

    return mint_token(arguments, settings.settings)


def _cache(arguments: argparse.Namespace, settings: LoadedSettings) -> int:
    _configure_logging(settings, quiet=True)
    from wyoming_tts.commands.cache import run_cache_command  # noqa: PLC0415 - as above

    return run_cache_command(arguments, settings)


def _completion(arguments: argparse.Namespace, _: LoadedSettings) -> int:
    import shtab  # noqa: PLC0415 - as above

    if arguments.shell not in shtab.SUPPORTED_SHELLS:
        known = ", ".join(shtab.SUPPORTED_SHELLS)
        raise SettingsError(f"There is no completion for {arguments.shell!r}, expected one of: {known}.")
    print(shtab.complete(_parser(), arguments.shell))
    return 0


_NO_DEFAULT: Mapping[str, Any] = {"default": argparse.SUPPRESS}
"""`voices` and `voices list` have the same flags: one that the inner parser did not get is the outer's."""
_NO_FILTERS: Mapping[str, Any] = {
    "only_language": None,
    "only_engine": None,
    "installed": False,
    "json": False,
}

_PARSERS: Mapping[str, tuple[Callable[[argparse.ArgumentParser], None], str, str]] = {
    "serve": (_add_serve_flags, "run the server (the default)", _DESCRIPTION),
    "say": (
        _add_say_flags,
        "speak a text through a server, or without one",
        (
            "Speak a text through a server: that of --uri, else the one on this machine, else one found on "
            "the network. Without one, or with flags that no server takes, it is spoken in this process."
        ),
    ),
    "voices": (_add_voices_flags, "list, download, verify and remove voices", ""),
    "blend": (_add_blend_flags, "create and manage blends of Kokoro voices", ""),
    "bench": (
        add_bench_flags,
        "measure a server's latency under load",
        "Measure any text-to-speech server from outside, or two of them in turn.",
    ),
    "health": (
        add_health_flags,
        "check whether a server answers",
        "Check whether a server answers: the exit code is 0 if it does, else 1.",
    ),
    "stats": (_add_stats_flags, "summarize what was spoken", ""),
    "token": (
        _add_token_flags,
        "make a token for a browser",
        "Make a short-lived token for a browser with a key of token_keys, as a site's own backend does.",
    ),
    "cache": (_add_cache_flags, "clear the cache of spoken segments", ""),
    "completion": (_add_completion_flags, "print a script that completes commands in a shell", ""),
}

_COMMANDS: Mapping[str, Callable[[argparse.Namespace, LoadedSettings], int]] = {
    "serve": _serve,
    "say": _say,
    "voices": _voices,
    "blend": _blend,
    "bench": _bench,
    "health": _health,
    "stats": _stats,
    "token": _token,
    "cache": _cache,
    "completion": _completion,
}
