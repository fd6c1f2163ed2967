"""Every setting once: its type, default, range and meaning, and the three places it can come from.

The command line's flags, the environment's names, the configuration file's keys and the table in the
README are made from the one model in `model`. A setting is taken from its flag, else from the
environment, else from the file, else it has its default; `load_settings` remembers which, because a
wrong value is only quickly mended where it was written.
"""

from __future__ import annotations

from wyoming_tts.settings.documents import SETTINGS, SettingInfo, add_flags, settings_table
from wyoming_tts.settings.loading import LoadedSettings, SettingsError, load_settings
from wyoming_tts.settings.model import Group, Settings

__all__ = [
    "SETTINGS",
    "Group",
    "LoadedSettings",
    "SettingInfo",
    "Settings",
    "SettingsError",
    "add_flags",
    "load_settings",
    "settings_table",
]
