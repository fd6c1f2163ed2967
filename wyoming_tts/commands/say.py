"""`wyoming-tts say`: speaks a text through a server, or in this process, to a file or a player."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Self, TextIO

from wyoming_tts import client
from wyoming_tts.commands import explain, local_speech
from wyoming_tts.commands.console import CommandFailed
from wyoming_tts.settings import LoadedSettings
from wyoming_tts.speech import AudioFormat, TextFormat, VoiceRequest


def say(arguments: argparse.Namespace, settings: LoadedSettings) -> int:
    """Run the command `say`; returns its exit code.

    Raises:
        SpeechError: the text could not be spoken; the message says why.
    """
    if arguments.explain or arguments.json:
        return _explain(arguments, settings)
    try:
        report = asyncio.run(_speak(arguments, settings))
    except client.ClientError as error:
        raise CommandFailed(str(error)) from error
    print(_summary(report), file=sys.stderr)
    return 0


def _explain(arguments: argparse.Namespace, settings: LoadedSettings) -> int:
    voice = _requested_voice(arguments, settings)
    text_format = _text_format(arguments)
    if arguments.json and arguments.text is None:
        return explain.explain_json_lines(settings.settings, voice, text_format)
    text = sys.stdin.read() if arguments.text is None else arguments.text
    show = explain.explain_text_as_json if arguments.json else explain.explain_text
    return show(settings.settings, text, voice, text_format)


def _text_format(arguments: argparse.Namespace) -> TextFormat:
    return TextFormat.SSML if arguments.ssml else TextFormat.PLAIN


async def _speak(arguments: argparse.Namespace, settings: LoadedSettings) -> client.SpeechReport:
    text: str | None = arguments.text
    pieces = client.read_stdin_text() if text is None else client.single_piece(text)
    text_format = _text_format(arguments)
    server = arguments.server or await _discover_server()
    async with _open_outputs(arguments) as on_audio:
        voice = _requested_voice(arguments, settings)
        if server is None:
            return await local_speech.speak(
                settings.settings,
                pieces,
                on_audio=on_audio,
                voice=voice,
                text_format=text_format,
                is_complete=text is not None,
            )
        return await client.speak(
            server,
            pieces,
            on_audio=on_audio,
            voice=voice,
            streaming=arguments.stream or (text is None and await _supports_streaming(server)),
            text_format=text_format,
        )


async def _discover_server() -> str | None:
    print("Looking for a server ...", file=sys.stderr)
    found = await client.discover_tts_server()
    if found is None:
        print("No server found on the network: speaking in this process.", file=sys.stderr)
        return None
    print(f"Found {found.name} at {found.uri}.", file=sys.stderr)
    return found.uri


async def _supports_streaming(server: str) -> bool:
    return client.supports_streaming(await client.describe(server))


def _requested_voice(arguments: argparse.Namespace, settings: LoadedSettings) -> VoiceRequest:
    """Return the voice requested explicitly: defaults are left to the server."""
    given = {name for name in ("voice", "speaker") if settings.sources[name] != "default"}
    return VoiceRequest(
        name=settings.settings.voice if "voice" in given else None,
        language=arguments.language,
        speaker=settings.settings.speaker if "speaker" in given else None,
    )


@asynccontextmanager
async def _open_outputs(arguments: argparse.Namespace) -> AsyncIterator[client.OnAudio]:
    async with AsyncExitStack() as stack:
        outputs: list[client.OnAudio] = []
        if arguments.out is not None:
            wav: client.WavFile | client.WavStream = client.open_wav_output(arguments.out)
            await stack.enter_async_context(wav)
            outputs.append(wav.write)
        if arguments.play:
            outputs.append((await stack.enter_async_context(client.PlayerProcess())).write)
        progress = stack.enter_context(_Progress(sys.stderr))
        outputs.append(progress.write)

        async def on_audio(audio_format: AudioFormat, pcm: bytes) -> None:
            for write in outputs:
                await write(audio_format, pcm)

        yield on_audio


class _Progress:
    """Shows on a terminal how many seconds of audio have arrived."""

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
