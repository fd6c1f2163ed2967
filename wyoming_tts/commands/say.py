"""`wyoming-tts say`: speaks a text through a server, or in this process, to a file or a player.

The words can be shown while they sound, and their times be written as captions.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Self, TextIO
from urllib.parse import urlsplit

from wyoming_tts import client
from wyoming_tts.commands import explain, local_speech, server_explanation
from wyoming_tts.commands.captions_file import CaptionsFile
from wyoming_tts.commands.console import CommandFailed, escape_unencodable_output, print_note
from wyoming_tts.commands.karaoke import Karaoke, make_karaoke
from wyoming_tts.commands.own_server import own_server, tcp_uri
from wyoming_tts.commands.server_explanation import ExplainingServer
from wyoming_tts.settings import SETTINGS, Group, LoadedSettings, Settings, SettingsError
from wyoming_tts.speech import AudioFormat, SpokenWord, TextFormat, VoiceRequest
from wyoming_tts.transports.listening import host_in_uri

_ASKED_OF_SERVERS = frozenset({"voice", "speaker"})
"""Settings that a client can ask of a server, by the Wyoming protocol."""


def say(arguments: argparse.Namespace, settings: LoadedSettings) -> int:
    """Run the command `say`; returns its exit code.

    Raises:
        SpeechError: the text could not be spoken; the message says why.
        SettingsError: the flags do not fit together.
    """
    if arguments.explain or arguments.json:
        if arguments.captions or arguments.karaoke:
            raise SettingsError(
                "--explain does not speak, so there are no times for --captions and --karaoke."
            )
        return _explain(arguments, settings)
    if arguments.server_url:
        raise SettingsError("--url is of --explain alone: speech comes from --uri, or --host and --port.")
    captions = CaptionsFile(arguments.captions) if arguments.captions is not None else None
    try:
        report = asyncio.run(_speak(arguments, settings, captions))
    except client.ClientError as error:
        raise CommandFailed(str(error)) from error
    if captions is not None:
        captions.write(report.seconds)
    print(_summary(report), file=sys.stderr)
    return 0


def _explain(arguments: argparse.Namespace, settings: LoadedSettings) -> int:
    voice = _requested_voice(arguments, settings)
    text_format = _text_format(arguments)
    explainer = _explainer(arguments, settings)
    if arguments.json and arguments.text is None:
        return explain.explain_json_lines(explainer, voice, text_format)
    text = sys.stdin.read() if arguments.text is None else arguments.text
    show = explain.explain_text_as_json if arguments.json else explain.explain_text
    return show(explainer, text, voice, text_format)


def _explainer(arguments: argparse.Namespace, loaded: LoadedSettings) -> explain.Explain:
    """Return what explains: the named server, or this process.

    Raises:
        SettingsError: the flags do not fit together, or the server has no address of HTTP.
    """
    named = _named_server(arguments, loaded.settings)
    url = arguments.server_url or (named and _http_url(named, loaded.settings))
    if not url:
        return partial(local_speech.explain, loaded.settings)
    _require_none_of_local_speech(url, loaded)
    key = next(iter(loaded.settings.api_keys), "")
    return partial(server_explanation.explain, ExplainingServer(url.rstrip("/"), key))


def _http_url(server: str, settings: Settings) -> str:
    """Return where a server that is named by its Wyoming address explains."""
    host = urlsplit(server).hostname
    if not host or not settings.http_port:
        raise SettingsError(
            f"{server} explains over HTTP: name it with --url http://HOST:PORT, or name no server, to "
            "explain in this process."
        )
    return f"http://{host_in_uri(host)}:{settings.http_port}"


def _require_none_of_local_speech(server: str, loaded: LoadedSettings) -> None:
    if local_flags := _flags_of_local_speech(loaded):
        raise SettingsError(
            f"{local_flags[0]} does not reach the server {server}, whose own settings hold: "
            "set it there, or name no server, to speak in this process."
        )


def _text_format(arguments: argparse.Namespace) -> TextFormat:
    return TextFormat.SSML if arguments.ssml else TextFormat.PLAIN


async def _speak(
    arguments: argparse.Namespace, settings: LoadedSettings, captions: CaptionsFile | None
) -> client.SpeechReport:
    text: str | None = arguments.text
    text_format = _text_format(arguments)
    async with _open_outputs(arguments, captions) as outputs:
        pieces = outputs.read(client.read_stdin_text() if text is None else client.single_piece(text))
        server = await _server(arguments, settings)
        voice = _requested_voice(arguments, settings)
        if server is None:
            report = await local_speech.speak(
                settings.settings,
                pieces,
                on_audio=outputs.write,
                on_words=outputs.add_words,
                voice=voice,
                text_format=text_format,
                is_complete=text is not None,
            )
        else:
            report = await client.speak(
                server,
                pieces,
                on_audio=outputs.write,
                on_words=outputs.add_words,
                voice=voice,
                streaming=arguments.stream or (text is None and await _supports_streaming(server)),
                text_format=text_format,
            )
    if outputs.words and report.samples and not outputs.has_words:
        print_note("Nobody told when the words sound: neither this voice nor this server does.")
    return report


async def _server(arguments: argparse.Namespace, loaded: LoadedSettings) -> str | None:
    """Find the server: the named one, this machine's, or one on the network; None to speak in here."""
    named = _named_server(arguments, loaded.settings)
    if named is not None:
        _require_none_of_local_speech(named, loaded)
        return named
    if local_flags := _flags_of_local_speech(loaded):
        print_note(f"{local_flags[0]} is given, which a server does not take: speaking in this process.")
        return None
    own = own_server(loaded.settings)
    if own is not None and await client.has_tts(own):
        print_note(f"The server on this machine speaks: {own}.")
        return own
    return await _discover_server()


def _named_server(arguments: argparse.Namespace, settings: Settings) -> str | None:
    host, port = arguments.server_host, arguments.server_port
    if host is None and port is None:
        uri: str | None = arguments.server
        return uri
    if arguments.server is not None:
        raise SettingsError("--uri already says which server: leave out --host and --port.")
    return tcp_uri(host or "127.0.0.1", settings.port if port is None else port)


def _flags_of_local_speech(loaded: LoadedSettings) -> list[str]:
    """Return the flags given whose settings a client cannot ask a server for."""
    return [
        loaded.sources[info.name].removeprefix("flag ")
        for info in SETTINGS
        if loaded.sources[info.name].startswith("flag ")
        and info.name not in _ASKED_OF_SERVERS
        and info.group is not Group.LOGGING
    ]


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


class _Outputs:
    """What the text, its words and its audio are handed to."""

    def __init__(self) -> None:
        self.audio: list[client.OnAudio] = []
        self.words: list[CaptionsFile | Karaoke] = []
        self.karaoke: Karaoke | None = None
        self.has_words = False

    async def read(self, pieces: AsyncIterable[str]) -> AsyncIterator[str]:
        """Pass text on, which those who show its words have to know before."""
        async for piece in pieces:
            for words in self.words:
                words.add_text(piece)
            yield piece

    def add_words(self, words: tuple[SpokenWord, ...]) -> None:
        """Take the words of further audio."""
        self.has_words = True
        for shown in self.words:
            shown.add_words(words)

    async def write(self, audio_format: AudioFormat, pcm: bytes) -> None:
        """Take further audio."""
        try:
            for write in self.audio:
                await write(audio_format, pcm)
        except client.OutputClosed:
            if self.karaoke is not None:
                self.karaoke.stop()
            raise


@asynccontextmanager
async def _open_outputs(
    arguments: argparse.Namespace, captions: CaptionsFile | None
) -> AsyncIterator[_Outputs]:
    outputs = _Outputs()
    if captions is not None:
        outputs.words.append(captions)
    async with AsyncExitStack() as stack:
        if arguments.karaoke:
            outputs.karaoke = await stack.enter_async_context(_open_karaoke(arguments))
            outputs.words.append(outputs.karaoke)
        if arguments.out is not None:
            wav: client.WavFile | client.WavStream = client.open_wav_output(arguments.out)
            await stack.enter_async_context(wav)
            outputs.audio.append(wav.write)
        if arguments.play:
            outputs.audio.append((await stack.enter_async_context(client.PlayerProcess())).write)
        if outputs.karaoke is not None:
            outputs.audio.append(outputs.karaoke.write)
        else:
            outputs.audio.append(stack.enter_context(_Progress(sys.stderr)).write)
        yield outputs


def _open_karaoke(arguments: argparse.Namespace) -> Karaoke:
    if arguments.out == "-":
        stream = sys.stderr
    else:
        stream = sys.stdout
        escape_unencodable_output()
    return make_karaoke(stream, is_played=arguments.play, colours=not os.environ.get("NO_COLOR"))


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
