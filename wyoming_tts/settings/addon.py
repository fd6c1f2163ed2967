"""The settings as options of a Home Assistant add-on, with their types in the Supervisor's schema language.

The Supervisor checks what a user enters against `schema` before the server sees it, and passes on only the
names it knows. The schema language is limited: a bound below zero makes an older Supervisor refuse the whole
add-on, and `str` accepts only text, not even the number of a speaker.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le

from wyoming_tts.settings.descriptions import SETTINGS, SettingInfo, accepts_type
from wyoming_tts.settings.model import SECRETS, Settings

FIXED: Mapping[str, str] = MappingProxyType(
    {
        "host": "Other containers have to reach it; the ports are set on the add-on's page.",
        "port": "Discovery and the watchdog rely on it; the ports are set on the add-on's page.",
        "uri": "The same.",
        "agent_port": "No load balancer stands before an add-on.",
        "zeroconf": "Home Assistant hears of the add-on from the Supervisor, and would find it twice.",
        "zeroconf_name": "The same.",
        "http": "Ingress needs it.",
        "http_host": "Ingress comes from another container.",
        "http_port": "Ingress and the watchdog rely on it.",
        "http_certificate": "Ingress does not speak TLS to an add-on; a proxy in front does to others.",
        "http_key": "The same.",
        "ui": "It is what ingress shows.",
        "ingress_peer": "The Supervisor's proxy has one address, everywhere.",
        "data_dir": "What is mapped into the container is known.",
        "download_dir": "Only /data stays.",
        "kokoro_model": "It is found in the data directories.",
        "kokoro_voices": "The same.",
        "voices_url": "An add-on is given no credentials for a bucket.",
        "voices_sync_interval": "The same.",
        "voices_push": "The same.",
        "use_cuda": "No graphics card is let into the container.",
        "cuda_device": "The same.",
        "cache_url": "An add-on is one server.",
        "shutdown_grace": "The Supervisor does not wait for long.",
        "state_dir": "Only /data stays.",
        "metrics_file": "The same.",
    }
)
"""Settings that a user of the add-on cannot change, and why."""

_ALWAYS_SHOWN = frozenset(["voice"])
"""Options with a value by default, beside switches that are on: a form shows a switch without a value as
off."""
_TEXT_OR_NUMBER = frozenset(["speaker"])
"""Text settings that people write as numbers."""
_SMALLEST = "0.01"
"""In place of "above 0", which the schema cannot express."""
_NOTES = MappingProxyType(
    {"allow_networks": "Home Assistant itself comes from 172.30.32.0/23, which has to be among them."}
)
"""Remarks that only apply to the add-on."""
_OTHER_PLACES = re.compile(r"[;,] several flags, a list in the file, or lines in the environment")
"""Does not apply to a form."""


@dataclass(frozen=True, slots=True)
class AddonOption:
    """A setting as an option of the add-on."""

    info: SettingInfo
    schema: str | tuple[str]
    """Type in the schema language; a tuple of one for a list of that type."""
    value: str | bool | None
    """Value before a user changes it; None if the option is left out then."""

    @property
    def name(self) -> str:
        """Its key: the name in Home Assistant's Piper add-on, where that has the option."""
        return self.info.names[-1]

    @property
    def description(self) -> str:
        """What it does, what is allowed, and its default."""
        parts = [_OTHER_PLACES.sub("", self.info.meaning), _NOTES.get(self.info.name, "")]
        if self.value is None:
            parts.append(f"Default: {self.info.default}")
        return " ".join(filter(None, parts))


def addon_options() -> tuple[AddonOption, ...]:
    """Return all options, in the order in which settings are shown."""
    return tuple(_option(info) for info in SETTINGS if info.name not in FIXED)


def _option(info: SettingInfo) -> AddonOption:
    default = Settings.model_fields[info.name].default
    value = default if default is True or info.name in _ALWAYS_SHOWN else None
    schema = _schema(info) if value is not None else f"{_schema(info)}?"
    return AddonOption(info, (schema,) if info.is_list else schema, value)


def _schema(info: SettingInfo) -> str:
    field = Settings.model_fields[info.name]
    if info.is_switch:
        return "bool"
    if info.is_number:
        return _with_bounds("int" if accepts_type(field.annotation, int) else "float", field.metadata)
    if get_origin(field.annotation) is Literal:
        return f"list({'|'.join(get_args(field.annotation))})"
    if info.name in _TEXT_OR_NUMBER:
        return "match(.*)"
    return "password" if info.name in SECRETS else "str"


def _with_bounds(kind: str, metadata: list[Any]) -> str:
    limits = {type(limit): limit for limit in metadata}
    if Gt in limits:
        return f"{kind}({_SMALLEST},{limits[Le].le:g})"
    lowest, highest = limits[Ge].ge, limits[Le].le
    return kind if lowest < 0 else f"{kind}({_format_number(lowest)},{_format_number(highest)})"


def _format_number(number: float) -> str:
    return str(int(number)) if number == int(number) else str(number)
