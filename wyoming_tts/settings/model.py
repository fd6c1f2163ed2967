"""The settings model: all settings as one class, made of their groups.

Nothing here reads flags, variables or files. Everything that shows or reads settings is derived from this
model, so no part can know a setting that another one lacks. The settings themselves are in `groups`, which
says how to add one, and the types of their values in `values`.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from pydantic import ConfigDict

from wyoming_tts.settings.groups.access import AccessSettings
from wyoming_tts.settings.groups.computing import ComputingSettings
from wyoming_tts.settings.groups.downloads import DownloadsSettings
from wyoming_tts.settings.groups.limits import LimitsSettings
from wyoming_tts.settings.groups.listening import ListeningSettings
from wyoming_tts.settings.groups.logging import JOURNAL_NAME, LoggingSettings
from wyoming_tts.settings.groups.remote import RemoteSettings
from wyoming_tts.settings.groups.speech import SpeechSettings
from wyoming_tts.settings.groups.text import TextSettings
from wyoming_tts.settings.groups.voices import VoicesSettings

PREFIX = "WYOMING_TTS_"
"""Prefix of every setting's environment variable."""

SECRETS = frozenset({"api_keys", "remote_key", "token_keys"})
"""Settings whose values are never shown."""


class Settings(
    # From the last shown to the first: pydantic takes the fields of the last base first.
    LoggingSettings,
    RemoteSettings,
    ComputingSettings,
    LimitsSettings,
    DownloadsSettings,
    TextSettings,
    SpeechSettings,
    VoicesSettings,
    AccessSettings,
    ListeningSettings,
):
    """All settings, from keywords only; `load_settings` reads flags, environment and file."""

    model_config = ConfigDict(defer_build=False)  # unlike a group alone

    @property
    def former_metrics_file(self) -> Path | None:
        """Where earlier versions recorded utterances by default; None if `metrics_file` was chosen."""
        return None if "metrics_file" in self.model_fields_set else self.download_dir / JOURNAL_NAME

    @property
    def secrets(self) -> tuple[str, ...]:
        """What is never shown, wherever it may come from."""
        signing = (entry.partition("=")[2] for entry in self.token_keys)
        password = urlsplit(self.cache_url or "").password
        given = [self.remote_key, password, password and unquote(password)]
        return (*self.api_keys, *signing, *filter(None, given))
