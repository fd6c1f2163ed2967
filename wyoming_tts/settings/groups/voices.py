"""Settings of the group Voices: the default voice, and where voices are kept and brought from."""

from __future__ import annotations

import os
from functools import partial
from typing import Literal

from platformdirs import user_data_path

from wyoming_tts.settings.groups.base import Group, SettingsGroup, setting
from wyoming_tts.settings.values.addresses import BucketUrl
from wyoming_tts.settings.values.plain import AnyPath, Name, Number, Paths, Phrases

_setting = partial(setting, Group.VOICES)


class VoicesSettings(SettingsGroup):
    """Fields under the heading Voices."""

    voice: Name = _setting(
        "en_US-lessac-medium",
        "Voice for requests that name none.",
        expects="the name of a voice",
    )
    speaker: Name | None = _setting(
        None,
        "Speaker of the default voice, by name or number.",
        shown="the voice's first",
        expects="the name or number of a speaker",
    )
    engine: str = _setting(
        "auto",
        "Engine to use: piper, kokoro, espeak or a plugin; auto chooses by the voice.",
        expects="auto, or the name of an engine: small letters, digits, '-' and '_'",
        pattern=r"^[a-z][a-z0-9_-]*$",
    )
    data_dir: Paths = _setting(
        lambda: [user_data_path("wyoming-tts", appauthor=False)],
        f"Directories searched for voices, the first match wins; several flags, a list in the file, "
        f"or separated by '{os.pathsep}' in the environment.",
        shown="the user's data directory, ~/.local/share/wyoming-tts on Linux",
        expects="one or more paths",
        min_length=1,
    )
    download_dir: AnyPath = _setting(
        lambda values: values["data_dir"][0],
        "Directory that downloaded voices are stored in.",
        shown="the first data directory",
    )
    kokoro_model: AnyPath | None = _setting(
        None, "Kokoro's model file (.onnx).", shown="searched for in the data directories"
    )
    kokoro_voices: AnyPath | None = _setting(
        None, "Kokoro's voice pack (.bin).", shown="searched for in the data directories"
    )
    voices_url: BucketUrl | None = _setting(
        None,
        "Bucket that voices, imported styles, blends and the lexicon are brought from, into the first data "
        "directory, also with `offline`; credentials come from the environment or the machine's role.",
        shown="none",
        expects="s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or file:///DIRECTORY, without a user or a key",
    )
    voices_sync_interval: Number = _setting(
        300.0,
        "Time between two looks into the bucket; 0 looks at the start alone.",
        unit="seconds",
        ge=0.0,
        le=604_800.0,
    )
    voices_push: bool = _setting(
        False,
        "Write blends and the lexicon into the bucket when they are changed here; the newest version wins, "
        "and the bucket keeps the others.",
    )
    voice_map: Phrases = _setting(
        (),
        "Your own names for voices, such as `butler=en_GB-alan-low`, or `butler=en_GB-alan-low@0.9` with a "
        "pace of its own; several flags, a list in the file, or lines in the environment.",
        shown="OpenAI's names, for similar Kokoro voices",
        expects="texts of the form NAME=VOICE or NAME=VOICE@RATE",
    )
    advertise: Literal["installed", "all"] = _setting(
        "installed",
        "Voices listed to clients: `installed`, or `all`, with those that can be downloaded marked as such.",
    )
