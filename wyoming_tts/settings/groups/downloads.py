"""Settings of the group Downloads: where voices are downloaded from, and who waits for them."""

from __future__ import annotations

from functools import partial
from typing import Literal

from wyoming_tts.settings.groups.base import Group, SettingsGroup, setting
from wyoming_tts.settings.values.addresses import WebAddress
from wyoming_tts.settings.values.plain import Number

_setting = partial(setting, Group.DOWNLOADS)


class DownloadsSettings(SettingsGroup):
    """Fields under the heading Downloads."""

    update_voices: bool = _setting(False, "Download the current list of Piper voices at the start.")
    on_missing_voice: Literal["wait", "fallback", "error"] = _setting(
        "wait",
        "A request for a voice that is being downloaded: `wait` up to `download_wait` before another voice "
        "of its language speaks instead, `fallback` to it at once, or refuse with an `error`.",
    )
    download_wait: Number = _setting(
        20.0,
        "How long a request waits for a voice that is being downloaded, before another one speaks.",
        unit="seconds",
        ge=0.0,
        le=300.0,
    )
    offline: bool = _setting(False, "Download nothing; use only installed voices.")
    hub_endpoint: WebAddress = _setting(
        "https://huggingface.co",
        "Where voices are downloaded from: the Hugging Face hub or a mirror of it.",
        expects="an http:// or https:// address",
    )
