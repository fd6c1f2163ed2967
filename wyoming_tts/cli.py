"""The command `wyoming-tts`: parse, call, print.

`serve` is what runs without a command, so that the flags of wyoming-piper work as they are.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Self, TextIO

from wyoming_tts import __version__, app, client
from wyoming_tts.bench.command import add_bench_flags, bench
from wyoming_tts.errors import SpeechError, UnknownVoice
from wyoming_tts.settings import LoadedSettings, SettingsError, add_flags, load_settings
from wyoming_tts.speech import AudioFormat, TextFormat, Voice, VoiceRequest

_DESCRIPTION = "A local text-to-speech server that speaks while the text is still arriving."

EXIT_FAILED = 1
EXIT_USAGE = 2

_LOGGER = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code: 0 done, 1 failed, 2 wrongly called."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or (words[0] not in _COMMANDS and words[0] not in {"-h", "--help", "--version"}):
        words.insert(0, "serve")
    arguments = _parser().parse_args(words)
    try:
        settings = load_settings(vars(arguments), environ=os.environ)
    except SettingsError as error:
        return _told(error, EXIT_USAGE)
    try:
        return _COMMANDS[arguments.command](arguments, settings)
    except app.NoSuchEngine as error:
        return _told(error, EXIT_USAGE)
    except (app.CannotListen, client.ClientError, SpeechError) as error:
        return _told(error, EXIT_FAILED)
    except KeyboardInterrupt:
        return 128 + 2


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
    threads_ended = asyncio.run(app.serve(settings.settings))
    if not threads_ended:
        # A step is still computing. Waiting for it would take long, and a thread that comes back
        # into a finalizing interpreter may bring the process down with an error.
        logging.shutdown()
        os._exit(0)
    return 0


def _say(arguments: argparse.Namespace, settings: LoadedSettings) -> int:
    _configure_logging(settings, quiet=True)
    report = asyncio.run(_spoken(arguments, settings))
    print(_summary(report), file=sys.stderr)
    return 0


async def _spoken(arguments: argparse.Namespace, settings: LoadedSettings) -> client.SpokenReport:
    text: str | None = arguments.text
    pieces = client.text_pieces_from_stdin() if text is None else _one_piece(text)
    text_format = TextFormat.SSML if arguments.ssml else TextFormat.PLAIN
    server = arguments.server or await _found_server()
    async with _sinks(arguments) as on_audio:
        voice = _wanted_voice(arguments, settings)
        if server is None:
            return await app.say(
                settings.settings, pieces, on_audio=on_audio, voice=voice, text_format=text_format
            )
        return await client.speak(
            server,
            pieces,
            on_audio=on_audio,
            voice=voice,
            streaming=arguments.stream or (text is None and await _takes_pieces(server)),
            text_format=text_format,
        )


async def _found_server() -> str | None:
    print("Looking for a server ...", file=sys.stderr)
    found = await client.find_tts_server()
    if found is None:
        print("None found in the network: this process speaks by itself.", file=sys.stderr)
        return None
    print(f"Found {found.name} at {found.uri}.", file=sys.stderr)
    return found.uri


async def _takes_pieces(server: str) -> bool:
    return client.supports_streaming(await client.describe(server))


def _wanted_voice(arguments: argparse.Namespace, settings: LoadedSettings) -> VoiceRequest:
    """Return what was asked for: the server's own defaults are its own matter."""
    given = {name for name in ("voice", "speaker") if settings.sources[name] != "default"}
    return VoiceRequest(
        name=settings.settings.voice if "voice" in given else None,
        language=arguments.language,
        speaker=settings.settings.speaker if "speaker" in given else None,
    )


async def _one_piece(text: str) -> AsyncIterator[str]:
    yield text


@asynccontextmanager
async def _sinks(arguments: argparse.Namespace) -> AsyncIterator[client.OnAudio]:
    async with AsyncExitStack() as stack:
        sinks: list[client.OnAudio] = []
        if arguments.out is not None:
            sink: client.WavFile | client.WavStream = client.wav_sink(arguments.out)
            await stack.enter_async_context(sink)
            sinks.append(sink.write)
        if arguments.play:
            sinks.append((await stack.enter_async_context(client.Player())).write)
        progress = stack.enter_context(_Progress(sys.stderr))
        sinks.append(progress.write)

        async def on_audio(audio_format: AudioFormat, pcm: bytes) -> None:
            for sink in sinks:
                await sink(audio_format, pcm)

        yield on_audio


class _Progress:
    """Counts the seconds of audio that arrived, on a terminal."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._seconds = 0.0
        self._shown = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown:
            self._stream.write("\r\x1b[K")

    async def write(self, audio_format: AudioFormat, pcm: bytes) -> None:
        self._seconds += len(pcm) / audio_format.frame_bytes / audio_format.rate
        if self._stream.isatty():
            self._shown = True
            self._stream.write(f"\r{self._seconds:6.1f} s of audio")
            self._stream.flush()


def _summary(report: client.SpokenReport) -> str:
    if report.format is None or report.ttfa is None:
        return "No audio: there was nothing to speak."
    cut = "" if report.complete else ", cut short"
    return (
        f"{report.seconds:.2f} s at {report.format.rate} Hz{cut}, RMS {report.rms_dbfs:.1f} dBFS, "
        f"peak {report.peak_dbfs:.1f} dBFS, first audio after {report.ttfa * 1000:.0f} ms, "
        f"done after {report.total * 1000:.0f} ms"
    )


def _bench(arguments: argparse.Namespace, settings: LoadedSettings) -> int:
    _configure_logging(settings, quiet=True)
    return bench(arguments)


def _voices(arguments: argparse.Namespace, settings: LoadedSettings) -> int:
    _configure_logging(settings, quiet=True)
    voices = asyncio.run(app.installed_voices(settings.settings))
    wanted = (arguments.only_language or "").replace("-", "_").casefold()
    shown = [
        voice
        for voice in voices
        if f"{voice.language}_".casefold().startswith(f"{wanted}_" if wanted else "")
    ]
    if not shown:
        raise UnknownVoice(
            f"No installed voice speaks {arguments.only_language!r}.", hint="Leave --language out to see all."
        )
    _print_table(shown)
    return 0


def _print_table(voices: Iterable[Voice]) -> None:
    from rich.console import Console  # noqa: PLC0415 - takes 100 ms that serving need not spend
    from rich.table import Table  # noqa: PLC0415

    table = Table("Name", "Language", "Engine", "Speakers", "Rate", "Description", box=None)
    for voice in voices:
        table.add_row(
            voice.name,
            voice.language,
            voice.engine,
            str(max(1, len(voice.speakers))),
            f"{voice.sample_rate} Hz",
            voice.description,
        )
    # A pipe has no width to fit the table into.
    Console(width=None if sys.stdout.isatty() else 200).print(table)


_COMMANDS: Mapping[str, Callable[[argparse.Namespace, LoadedSettings], int]] = {
    "serve": _serve,
    "say": _say,
    "voices": _voices,
    "bench": _bench,
}
