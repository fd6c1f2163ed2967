"""Command-line flags for all settings, for argparse."""

from __future__ import annotations

import argparse
from collections.abc import Collection
from itertools import groupby
from typing import Any

from wyoming_tts.settings.descriptions import (
    CONFIG_VARIABLE,
    PATHS,
    SET_BY_FLAG_OF,
    SETTINGS,
    SettingInfo,
)
from wyoming_tts.settings.groups.base import Group

_OF_SERVERS = frozenset({Group.LISTENING, Group.ACCESS})
"""Groups that only a server has a use for: a client's `--port` would seem to say where to connect."""


def add_flags(parser: argparse.ArgumentParser, used: Collection[str] | None = None) -> None:
    """Add `--config` and a flag for every setting.

    Values stay strings, and a flag that is not given leaves no attribute: `load_settings` validates all
    values, wherever they come from.

    Args:
        parser: The parser of a command.
        used: Names and groups of the settings that the command uses; all if left out. Others are not in its
            help; those of a server's addresses and access are no flags of it, the rest does no harm.
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
            is_used = used is None or info.name in used or group in used
            if info.name not in SET_BY_FLAG_OF and (is_used or group not in _OF_SERVERS):
                _add_flag(section, info, is_shown=is_used)


def _add_flag(section: Any, info: SettingInfo, *, is_shown: bool) -> None:
    """Add a setting's flag; `section` is an argparse group, whose type has no public name."""
    help_text = f"{info.meaning} Default: {info.default}. [{info.variables[0]}]".replace("%", "%%")
    shown_help = help_text if is_shown else argparse.SUPPRESS
    options: dict[str, Any] = {"dest": info.name, "default": argparse.SUPPRESS, "help": shown_help}
    if info.name in SET_BY_FLAG_OF.values():
        section.add_argument(info.flags[0], nargs="?", const=True, metavar="NAME", **options)
        options["help"] = f"Switch {info.name} off." if is_shown else argparse.SUPPRESS
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
