"""Command-line flags for all settings, for argparse."""

from __future__ import annotations

import argparse
from itertools import groupby
from typing import Any

from wyoming_tts.settings.descriptions import (
    CONFIG_VARIABLE,
    PATHS,
    SET_BY_FLAG_OF,
    SETTINGS,
    SettingInfo,
)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add `--config` and a flag for every setting.

    Values stay strings, and a flag that is not given leaves no attribute: `load_settings` validates all
    values, wherever they come from.
    """
    parser.add_argument(
        "--config",
        metavar="FILE",
        default=argparse.SUPPRESS,
        help=f"YAML or JSON file with settings; environment and flags take precedence. [{CONFIG_VARIABLE}]",
    )
    for group, settings in groupby(SETTINGS, lambda info: info.group):
        section = parser.add_argument_group(group.value)
        for info in settings:
            if info.name not in SET_BY_FLAG_OF:
                _add_flag(section, info)


def _add_flag(section: Any, info: SettingInfo) -> None:
    """Add a setting's flag; `section` is an argparse group, whose type has no public name."""
    help_text = f"{info.meaning} Default: {info.default}. [{info.variables[0]}]".replace("%", "%%")
    options: dict[str, Any] = {"dest": info.name, "default": argparse.SUPPRESS, "help": help_text}
    if info.name in SET_BY_FLAG_OF.values():
        section.add_argument(info.flags[0], nargs="?", const=True, metavar="NAME", **options)
        options["help"] = f"Switch {info.name} off."
        section.add_argument(info.flags[1], action="store_const", const=False, **options)
    elif info.is_switch:
        section.add_argument(info.flags[0], action=argparse.BooleanOptionalAction, **options)
    else:
        action = "append" if info.is_list else "store"
        section.add_argument(*info.flags, action=action, metavar=_placeholder(info), **options)


def _placeholder(info: SettingInfo) -> str:
    if info.is_number:
        return "SECONDS" if info.unit == "seconds" else "N"
    return "PATH" if info.expects in PATHS else "TEXT"
