"""Command line `wyoming-tts`: dispatches to a command, prints errors.

`serve` is the default command, so that the flags of wyoming-piper work unchanged. Modules that take long to
import are imported by the command that needs them; `serve` opens its port before that.
"""

from __future__ import annotations

import argparse
import asyncio
import errno
import gc
import logging
import os
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from wyoming_tts.bench.command import run_bench_command
from wyoming_tts.commands.command_line import make_brief_help, make_parser, parse_command_line
from wyoming_tts.commands.console import CommandFailed
from wyoming_tts.commands.health import check_health
from wyoming_tts.errors import SpeechError
from wyoming_tts.settings import LoadedSettings, SettingsError, load_settings
from wyoming_tts.telemetry.log_lines import JsonFormatter
from wyoming_tts.transports.listening import ListenAddress, bind_tcp

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
        make_brief_help().print_help()
        return 0
    arguments = parse_command_line(words)
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
    gc.disable()  # what modules are made of stays for ever, and is looked through again and again
    from wyoming_tts.server import app  # noqa: PLC0415 - takes half a second, in which clients may queue
    from wyoming_tts.server.forced_exit import ForcedExit  # noqa: PLC0415 - as above

    gc.freeze()
    gc.enable()
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
    print(shtab.complete(make_parser(), arguments.shell))
    return 0


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
