"""Wyoming client, with the input and output of a command line around it.

`wyoming` asks a server for its voices and for speech, and `server_discovery` finds servers on the network
(mDNS). `text_input` reads standard input, `audio_output` writes WAV files and plays audio, and `speech_meter`
measures what was heard; none of these three knows the protocol, so speech synthesized in this process uses
them too. `errors` are the client's own.
"""

from __future__ import annotations

from wyoming_tts.client.audio_output import PlayerProcess, WavFile, WavStream, open_wav_output
from wyoming_tts.client.errors import ClientError, ConnectionLost, OutputClosed, ServerError
from wyoming_tts.client.server_discovery import (
    DiscoveredServer,
    discover_servers,
    discover_tts_server,
    has_tts,
)
from wyoming_tts.client.speech_meter import OnAudio, OnWords, SpeechMeter, SpeechReport
from wyoming_tts.client.text_input import read_stdin_text, single_piece
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
    "OnWords",
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
    "has_tts",
    "open_wav_output",
    "parse_server_address",
    "read_stdin_text",
    "single_piece",
    "speak",
    "supports_streaming",
]
