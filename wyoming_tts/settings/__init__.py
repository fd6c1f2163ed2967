"""Settings: each defined once, with its type, default, range and meaning.

`groups` define them, with types from `values`; `model` is all of them. Derived from it are `descriptions`
(names, defaults and allowed values for people), the command line's `flags`, the `markdown_table` of the
documents, the schema of the Helm `chart` and the options of the Home Assistant `addon`.
`loading` takes a setting from its flag, else from the environment, else from the file, else its default, and
remembers which: a wrong value is quickest corrected where it was written.
"""

from __future__ import annotations

from wyoming_tts.settings.descriptions import SETTINGS, SettingInfo
from wyoming_tts.settings.flags import add_flags
from wyoming_tts.settings.groups.base import Group
from wyoming_tts.settings.loading import (
    DEFAULT,
    LoadedSettings,
    Place,
    SettingsError,
    load_settings,
    place_for,
)
from wyoming_tts.settings.markdown_table import settings_table
from wyoming_tts.settings.model import Settings

__all__ = [
    "DEFAULT",
    "SETTINGS",
    "Group",
    "LoadedSettings",
    "Place",
    "SettingInfo",
    "Settings",
    "SettingsError",
    "add_flags",
    "load_settings",
    "place_for",
    "settings_table",
]
