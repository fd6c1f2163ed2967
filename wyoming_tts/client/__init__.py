"""A Wyoming client: what the command line, the benchmark and the page speak through.

`finding` finds servers, `remote` talks to them; `local` is this machine's end, text from stdin and audio
to files and players; `measure` is the arithmetic on what was heard. `local` and `measure` know
nothing of Wyoming, so speech made in this process goes through the same sinks and figures.
"""

from __future__ import annotations

from wyoming_tts.client.audio_output import (
    PlayerProcess,
    WavFile,
    WavStream,
    open_wav_output,
    read_stdin_text,
)
from wyoming_tts.client.errors import ClientError, ConnectionLost, OutputClosed, ServerError
from wyoming_tts.client.server_discovery import DiscoveredServer, discover_servers, discover_tts_server
from wyoming_tts.client.speech_meter import OnAudio, SpeechMeter, SpeechReport
from wyoming_tts.client.wyoming import (
    ClientTimeouts,
    describe,
    parse_server_address,
    speak,
    supports_streaming,
)

__all__ = [
    "ClientError",
    "ClientTimeouts",
    "ConnectionLost",
    "DiscoveredServer",
    "OnAudio",
    "OutputClosed",
    "PlayerProcess",
    "ServerError",
    "SpeechMeter",
    "SpeechReport",
    "WavFile",
    "WavStream",
    "describe",
    "discover_servers",
    "discover_tts_server",
    "open_wav_output",
    "parse_server_address",
    "read_stdin_text",
    "speak",
    "supports_streaming",
]
