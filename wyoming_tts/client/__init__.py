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
    text_pieces_from_stdin,
    wav_sink,
)
from wyoming_tts.client.errors import ClientError, ConnectionLost, ListenerGone, ServerError
from wyoming_tts.client.measure import Measure, OnAudio, SpokenReport
from wyoming_tts.client.server_search import FoundServer, find_servers, find_tts_server
from wyoming_tts.client.wyoming import Timeouts, describe, server_address, speak, supports_streaming

__all__ = [
    "ClientError",
    "ConnectionLost",
    "FoundServer",
    "ListenerGone",
    "Measure",
    "OnAudio",
    "PlayerProcess",
    "ServerError",
    "SpokenReport",
    "Timeouts",
    "WavFile",
    "WavStream",
    "describe",
    "find_servers",
    "find_tts_server",
    "server_address",
    "speak",
    "supports_streaming",
    "text_pieces_from_stdin",
    "wav_sink",
]
