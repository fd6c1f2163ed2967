"""Settings of the group Remote servers: other servers whose voices are used, and how they are asked."""

from __future__ import annotations

from functools import partial
from typing import Literal

from wyoming_tts.http_paths import SPEECH_PATH
from wyoming_tts.settings.groups.base import Group, SettingsGroup, setting
from wyoming_tts.settings.values.addresses import Upstreams
from wyoming_tts.settings.values.plain import Name, Number, Phrases, Whole
from wyoming_tts.settings.values.speech_requests import SpeechBody, SpeechPath

_setting = partial(setting, Group.REMOTE)


class RemoteSettings(SettingsGroup):
    """Fields under the heading Remote servers."""

    remote: Upstreams = _setting(
        (),
        "Other servers whose voices are used like local ones: `http://HOST:PORT` for OpenAI's speech API, "
        "`tcp://HOST:PORT` for Wyoming.",
        shown="none",
        expects="addresses such as http://gpu.local:8880 or tcp://192.168.1.5:10200",
    )
    remote_key: Name | None = _setting(
        None, "API key for the remote servers.", shown="none", expects="a text"
    )
    remote_model: Name = _setting("tts-1", "Model name sent in HTTP requests.")
    remote_voices: Phrases = _setting(
        (),
        "Voices of remote servers that do not list them, as `NAME` or `NAME=LANGUAGE`.",
        shown="the servers' lists",
        expects="texts of the form NAME or NAME=LANGUAGE",
    )
    remote_path: SpeechPath = _setting(
        SPEECH_PATH,
        "Path of requests for speech over HTTP, for servers whose API is not OpenAI's; placeholders as in "
        "`remote_body`.",
        expects="a path such as /generate",
    )
    remote_body: SpeechBody = _setting(
        None,
        "Body of these requests: JSON, or a mapping in the file, with the placeholders `{text}`, `{voice}`, "
        "`{speaker}`, `{language}` (en), `{locale}` (en-US), `{speed}`, `{rate}` and `{model}`.",
        shown="OpenAI's",
        expects='a JSON object with the text in it, such as {"text": "{text}", "stream": true}',
    )
    remote_pcm_rate: Whole = _setting(
        24_000,
        "Sample rate of PCM whose server does not state it; WAV states its own.",
        unit="Hz",
        ge=4_000,
        le=192_000,
    )
    remote_pcm_format: Literal["s16le", "f32le"] = _setting(
        "s16le",
        "Samples of PCM without a header: whole numbers of 16 bits, or floating-point numbers of 32 bits.",
    )
    remote_connect_timeout: Number = _setting(
        2.0, "How long connecting may take.", unit="seconds", ge=0.1, le=60.0
    )
    remote_first_byte_timeout: Number = _setting(
        10.0,
        "How long the first audio may take before another server is tried.",
        unit="seconds",
        ge=0.1,
        le=300.0,
    )
    remote_fallback: bool = _setting(True, "Use the embedded voice if no remote server responds.")
