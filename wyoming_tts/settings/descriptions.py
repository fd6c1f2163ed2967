"""Descriptions of the settings, derived from the model: their names everywhere, defaults, allowed values."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le
from pydantic.fields import FieldInfo

from wyoming_tts.settings.groups.base import Group
from wyoming_tts.settings.model import PREFIX, Settings

CONFIG_VARIABLE = f"{PREFIX}CONFIG"
"""Names the configuration file if there is no `--config`."""

_OTHER_NAMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"noise_w_scale": ("noise_w",), "debug": ("debug_logging",)}
)
"""Names of settings in wyoming-piper and Home Assistant's Piper add-on, accepted beside ours."""
_OTHER_VARIABLES: Mapping[str, str] = MappingProxyType(
    {"offline": "HF_HUB_OFFLINE", "hub_endpoint": "HF_ENDPOINT"}
)
"""Variables of the hub's own tools, used where ours is not set."""
SET_BY_FLAG_OF: Mapping[str, str] = MappingProxyType({"zeroconf_name": "zeroconf"})
"""Settings without a flag of their own, and the setting whose flag sets them."""

_SWITCH, _PATH = "true or false", "a path"
PATHS = frozenset([_PATH, "one or more paths"])
"""What the settings that take paths expect."""
_TEXT = "a text"
_SELF_EXPLANATORY = frozenset([_SWITCH, _PATH, _TEXT])
"""Expectations that a setting's flag and default already show."""


@dataclass(frozen=True, slots=True)
class SettingInfo:
    """A setting, described for people: in help texts, tables and messages."""

    name: str
    """Key in the file, and field of `Settings`."""
    group: Group
    text: str
    unit: str
    expects: str
    """The allowed values, with the unit: `a number from 0 to 10 seconds`."""
    default: str
    flags: tuple[str, ...]
    """The flag, then its aliases; for a switch the flag and its `--no-...`."""
    names: tuple[str, ...]
    """Keys accepted in a file; `name` is the first."""
    variables: tuple[str, ...]
    """Environment variables, the one that takes precedence first."""
    is_switch: bool
    is_number: bool
    is_list: bool
    separator: str
    """Separates the values of a list in the environment."""

    @property
    def meaning(self) -> str:
        """What it does and what is allowed, on one line."""
        return self.text if self.expects in _SELF_EXPLANATORY else f"{self.text} Allowed: {self.expects}."


def _describe(name: str, field: FieldInfo) -> SettingInfo:
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
        default=str(extra["shown"]) or _format_value(field.default),
        flags=_flags(names, field),
        names=names,
        variables=tuple(variables),
        is_switch=field.annotation is bool,
        is_number=accepts_type(field.annotation, int) or accepts_type(field.annotation, float),
        is_list=accepts_type(field.annotation, tuple),
        separator=os.pathsep if accepts_type(field.annotation, Path) else "\n",
    )


def _flags(names: tuple[str, ...], field: FieldInfo) -> tuple[str, ...]:
    flag = f"--{SET_BY_FLAG_OF.get(names[0], names[0])}".replace("_", "-")
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
    highest = _format_value(limits[Le].le)
    if Gt in limits:
        return f"above {_format_value(limits[Gt].gt)}, at most {highest}"
    return f"from {_format_value(limits[Ge].ge)} to {highest}"


def accepts_type(annotation: Any, value_type: type) -> bool:
    """Whether an annotation accepts values of a type, be it optional or wrapped in Annotated."""
    if value_type in {annotation, get_origin(annotation)}:
        return True
    return any(accepts_type(part, value_type) for part in get_args(annotation))


def _format_value(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


SETTINGS: tuple[SettingInfo, ...] = tuple(
    _describe(name, field) for name, field in Settings.model_fields.items()
)
"""All settings, in the order in which they are shown."""
