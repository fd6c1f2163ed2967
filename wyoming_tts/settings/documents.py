"""Settings as people meet them: flags with their help, names in the environment, a table for the docs."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le
from pydantic.fields import FieldInfo

from wyoming_tts.settings.model import PREFIX, Group, Settings

CONFIG_VARIABLE = f"{PREFIX}CONFIG"
"""Names the configuration file where there is no `--config`."""

_OTHER_NAMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"noise_w_scale": ("noise_w",), "debug": ("debug_logging",)}
)
"""What wyoming-piper and Home Assistant's Piper add-on call a setting, accepted beside our name."""
_OTHER_VARIABLES: Mapping[str, str] = MappingProxyType(
    {"offline": "HF_HUB_OFFLINE", "hub_endpoint": "HF_ENDPOINT"}
)
"""Variables of the hub's own tools, honoured where ours is not set."""
_SET_BY = MappingProxyType({"zeroconf_name": "zeroconf"})
"""Settings without a flag of their own, and the one whose flag sets them."""


_SWITCH, _PATH = "true or false", "a path"
_PATHS = "one or more paths"
_TEXT = "a text"
_OBVIOUS = frozenset([_SWITCH, _PATH, _TEXT])
"""What need not be said of a setting whose flag and default show it."""


@dataclass(frozen=True, slots=True)
class SettingInfo:
    """A setting as it is shown to people."""

    name: str
    """The file's key, and the field of `Settings`."""
    group: Group
    text: str
    unit: str
    expects: str
    """What is allowed, with the unit: `a number from 0 to 10 seconds`."""
    default: str
    flags: tuple[str, ...]
    """The flag first, then its other spellings; `--no-...` for a switch."""
    names: tuple[str, ...]
    """Keys accepted in a file, `name` first."""
    variables: tuple[str, ...]
    """Names accepted in the environment, the strongest first."""
    is_switch: bool
    is_number: bool
    is_list: bool
    separator: str
    """Between the values of a list in the environment."""

    @property
    def meaning(self) -> str:
        """What it does and what is allowed, in one line."""
        return self.text if self.expects in _OBVIOUS else f"{self.text} Allowed: {self.expects}."


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add `--config` and a flag for every setting.

    Values stay the strings they were typed as, a flag not given leaves no attribute: `load_settings`
    judges values wherever they come from.
    """
    parser.add_argument(
        "--config",
        metavar="FILE",
        default=argparse.SUPPRESS,
        help=f"YAML or JSON file with settings; environment and flags are stronger. [{CONFIG_VARIABLE}]",
    )
    for group, settings in groupby(SETTINGS, lambda info: info.group):
        section = parser.add_argument_group(group.value)
        for info in settings:
            if info.name not in _SET_BY:
                _add_flag(section, info)


def settings_table() -> str:
    """All settings as a Markdown table, grouped, without a line break at its end."""
    return "\n".join(_table_lines())


def _table_lines() -> Iterator[str]:
    yield _row("Setting", "Flag", "Environment", "Default", "Meaning")
    yield _row(*["---"] * 5)
    for group, settings in groupby(SETTINGS, lambda info: info.group):
        yield _row(f"**{group.value}**", "", "", "", "")
        for info in settings:
            yield _row(
                _code(info.name), _code(*info.flags), _code(*info.variables), info.default, info.meaning
            )


def _row(*cells: str) -> str:
    escaped = (cell.replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(escaped)} |"


def _code(*names: str) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _add_flag(section: Any, info: SettingInfo) -> None:
    """Add one flag; `section` is argparse's group, whose type has no public name."""
    help_text = f"{info.meaning} Default: {info.default}. [{info.variables[0]}]".replace("%", "%%")
    given: dict[str, Any] = {"dest": info.name, "default": argparse.SUPPRESS, "help": help_text}
    if info.name in _SET_BY.values():
        section.add_argument(info.flags[0], nargs="?", const=True, metavar="NAME", **given)
        given["help"] = f"Switch {info.name} off."
        section.add_argument(info.flags[1], action="store_const", const=False, **given)
    elif info.is_switch:
        section.add_argument(info.flags[0], action=argparse.BooleanOptionalAction, **given)
    else:
        action = "append" if info.is_list else "store"
        section.add_argument(*info.flags, action=action, metavar=_placeholder(info), **given)


def _placeholder(info: SettingInfo) -> str:
    if info.is_number:
        return "SECONDS" if info.unit == "seconds" else "N"
    return "PATH" if info.expects in {_PATH, _PATHS} else "TEXT"


def _described(name: str, field: FieldInfo) -> SettingInfo:
    extra = field.json_schema_extra
    assert isinstance(extra, dict)
    names = (name, *_OTHER_NAMES.get(name, ()))
    variables = [PREFIX + key.upper() for key in names]
    if name in _OTHER_VARIABLES:
        variables.append(_OTHER_VARIABLES[name])
    return SettingInfo(
        name=name,
        group=Group(str(extra["group"])),
        text=field.description or "",
        unit=str(extra["unit"]),
        expects=str(extra["expects"]) or _expects(field, str(extra["unit"])),
        default=str(extra["shown"]) or _written(field.default),
        flags=_flags(names, field),
        names=names,
        variables=tuple(variables),
        is_switch=field.annotation is bool,
        is_number=accepts_type(field.annotation, int) or accepts_type(field.annotation, float),
        is_list=accepts_type(field.annotation, tuple),
        separator=os.pathsep if accepts_type(field.annotation, Path) else "\n",
    )


def _flags(names: tuple[str, ...], field: FieldInfo) -> tuple[str, ...]:
    flag = f"--{_SET_BY.get(names[0], names[0])}".replace("_", "-")
    if field.annotation is bool:
        return (flag, flag.replace("--", "--no-"))
    return (flag, *(f"--{name}".replace("_", "-") for name in names[1:]))


def _expects(field: FieldInfo, unit: str) -> str:
    if field.annotation is bool:
        return _SWITCH
    if accepts_type(field.annotation, Path):
        return _PATH
    if field.annotation is str:
        return _TEXT
    if get_origin(field.annotation) is Literal:
        return " or ".join(map(str, get_args(field.annotation)))
    kind = "whole number" if accepts_type(field.annotation, int) else "number"
    return f"a {kind} {_range(field)} {unit}".rstrip()


def _range(field: FieldInfo) -> str:
    limits: dict[type, Any] = {type(limit): limit for limit in field.metadata}
    highest = _written(limits[Le].le)
    if Gt in limits:
        return f"above {_written(limits[Gt].gt)}, at most {highest}"
    return f"from {_written(limits[Ge].ge)} to {highest}"


def accepts_type(annotation: Any, kind: type) -> bool:
    """Whether values of the annotation are of that kind, beside None or wrapped in Annotated."""
    if kind in {annotation, get_origin(annotation)}:
        return True
    return any(accepts_type(part, kind) for part in get_args(annotation))


def _written(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


SETTINGS: tuple[SettingInfo, ...] = tuple(
    _described(name, field) for name, field in Settings.model_fields.items()
)
"""All settings, in the order in which they are shown."""
