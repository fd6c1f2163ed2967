"""The command line's grammar: which commands and flags there are, and what their help says."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from wyoming_tts import __version__
from wyoming_tts.bench.command import add_bench_flags
from wyoming_tts.commands.health import add_health_flags
from wyoming_tts.settings import SETTINGS, Group, add_flags

_DESCRIPTION = "A local text-to-speech server that speaks while the text is still arriving."
_MAIN: Final = frozenset(
    {"host", "port", "zeroconf_name", "http_host", "http_port", "api_keys", "voice", "data_dir", "speed"}
    | {"volume", "offline", "debug"}
)
"""Settings that the brief help of `serve` shows."""
_BRIEF_COMMANDS: Final = frozenset({"say", "voices", "blend"})
_OF_BRIEF_COMMANDS: Final = frozenset(
    {"voice", "speaker", "data_dir", "download_dir", "speed", "volume", "offline", "debug", "config"}
)
"""Settings that their brief helps show; `--help-all` shows all."""
_SETTING_NAMES: Final = frozenset(info.name for info in SETTINGS)
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
_NO_DEFAULT: Mapping[str, Any] = {"default": argparse.SUPPRESS}
"""`voices` and `voices list` have the same flags: one that the inner parser did not get is the outer's."""
_NO_FILTERS: Mapping[str, Any] = {
    "only_language": None,
    "only_engine": None,
    "installed": False,
    "json": False,
}


def parse_command_line(words: Sequence[str]) -> argparse.Namespace:
    """Parse a command and its flags; argparse ends the process after help, and with 2 for invalid usage."""
    parser = make_parser(words[0])
    if words[0] in _BRIEF_COMMANDS and not {"-h", "--help"}.isdisjoint(words):
        _hide_settings(parser)
    arguments, unknown = parser.parse_known_args(words)
    if unknown:
        flags = {word.partition("=")[0] for word in unknown}
        of_server = [flag for info in SETTINGS for flag in info.flags if flag in flags]
        hint = (
            f" ({of_server[0]} is of the server alone: wyoming-tts serve {of_server[0]})" if of_server else ""
        )
        parser.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")
    return arguments


def make_parser(command: str | None = None) -> argparse.ArgumentParser:
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
            if name in _BRIEF_COMMANDS:
                _add_full_help(added)
    return parser


def _add_full_help(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--help-all", action="help", help="show all settings, too, and exit")
    for each in _subparsers(parser):
        _add_full_help(each)


def _hide_settings(parser: argparse.ArgumentParser) -> None:
    """Leave settings that few people need out of the help, which has hundreds of lines with them."""
    for action in parser._actions:  # noqa: SLF001 - argparse has no public way to them
        if action.dest in _SETTING_NAMES - _OF_BRIEF_COMMANDS:
            action.help = argparse.SUPPRESS
    for each in _subparsers(parser):
        _hide_settings(each)


def _subparsers(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    kinds = (
        each
        for each in parser._actions  # noqa: SLF001 - as above
        if isinstance(each, argparse._SubParsersAction)  # noqa: SLF001 - as above
    )
    return [each for kind in kinds for each in dict.fromkeys(kind.choices.values())]


def make_brief_help() -> argparse.ArgumentParser:
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
        help="print how the text is processed, stage by stage, without speaking: by a named server, or here",
    )
    say.add_argument(
        "--url",
        dest="server_url",
        metavar="URL",
        help="HTTP API of the server that explains, http(s)://HOST:PORT; default: that port of --host",
    )
    say.add_argument(
        "--json",
        action="store_true",
        help='explain as JSON; without a text, one result for each input line {"text": "…", "voice": "…"}',
    )


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
    add.add_argument("--title", default="", help="its name as people write it, such as 'Küchenstimme'")
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
