"""The commands beside `serve`: they speak and measure, and print what came of it."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Self, TextIO

from wyoming_tts import client
from wyoming_tts.bench.command import run_bench_command
from wyoming_tts.commands import explain, local_speech
from wyoming_tts.commands.console import CommandFailed
from wyoming_tts.settings import LoadedSettings
from wyoming_tts.speech import AudioFormat, TextFormat, VoiceRequest


def say(arguments: argparse.Namespace, settings: LoadedSettings) -> int:
    """Speak a text, through a server if there is one.

    Raises:
        SpeechError: it could not be spoken; the message says why.
    """
    if arguments.explain or arguments.json:
        return _explain(arguments, settings)
    try:
        report = asyncio.run(_spoken(arguments, settings))
    except client.ClientError as error:
        raise CommandFailed(str(error)) from error
    print(_summary(report), file=sys.stderr)
    return 0


def measure(arguments: argparse.Namespace) -> int:
    """Measure a server.

    Raises:
        SpeechError: it could not be measured; the message says why.
    """
    try:
        return run_bench_command(arguments)
    except client.ClientError as error:
        raise CommandFailed(str(error)) from error


def _explain(arguments: argparse.Namespace, settings: LoadedSettings) -> int:
    voice = _wanted_voice(arguments, settings)
    text_format = _text_format(arguments)
    if arguments.json and arguments.text is None:
        return explain.explain_json_lines(settings.settings, voice, text_format)
    text = sys.stdin.read() if arguments.text is None else arguments.text
    show = explain.explain_text_as_json if arguments.json else explain.explain_text
    return show(settings.settings, text, voice, text_format)


def _text_format(arguments: argparse.Namespace) -> TextFormat:
    return TextFormat.SSML if arguments.ssml else TextFormat.PLAIN


async def _spoken(arguments: argparse.Namespace, settings: LoadedSettings) -> client.SpeechReport:
    text: str | None = arguments.text
    pieces = client.read_stdin_text() if text is None else _one_piece(text)
    text_format = _text_format(arguments)
    server = arguments.server or await _found_server()
    async with _sinks(arguments) as on_audio:
        voice = _wanted_voice(arguments, settings)
        if server is None:
            return await local_speech.speak(
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
    found = await client.discover_tts_server()
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
            sink: client.WavFile | client.WavStream = client.open_wav_output(arguments.out)
            await stack.enter_async_context(sink)
            sinks.append(sink.write)
        if arguments.play:
            sinks.append((await stack.enter_async_context(client.PlayerProcess())).write)
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


def _summary(report: client.SpeechReport) -> str:
    if report.format is None or report.ttfa is None:
        return "No audio: there was nothing to speak."
    cut = "" if report.complete else ", cut short"
    return (
        f"{report.seconds:.2f} s at {report.format.rate} Hz{cut}, RMS {report.rms_dbfs:.1f} dBFS, "
        f"peak {report.peak_dbfs:.1f} dBFS, first audio after {report.ttfa * 1000:.0f} ms, "
        f"done after {report.total * 1000:.0f} ms"
    )
