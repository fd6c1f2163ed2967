"""The Supervisor's validation of add-on manifests and options, reimplemented because it has no package.

Stricter where older releases were: the oldest one still in use accepts no negative bounds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeAlias

Type: TypeAlias = str | list[str]

SLUG = re.compile(r"[-_.A-Za-z0-9]+")
PORT = re.compile(r"\d+(/tcp|/udp)?")
WATCHDOG = re.compile(r"(https?|tcp)://\[HOST\]:(\[PORT:\d+\]|\d+).*")
REQUIRED = frozenset(["name", "version", "slug", "description", "arch"])
KNOWN = REQUIRED | frozenset(
    re.findall(
        r"\w+",
        """url startup boot init stage ports ports_description watchdog webui ingress ingress_port
        ingress_entry ingress_stream panel_icon panel_title panel_admin homeassistant host_network map
        environment privileged apparmor hassio_api hassio_role homeassistant_api auth_api services discovery
        backup_exclude backup_pre backup_post backup options schema image ulimits timeout tmpfs""",
    )
)
"""Other keys are dropped silently; deprecated ones are left out here."""
MAPS = frozenset(["share", "app_config", "homeassistant_config", "media", "ssl", "backup"])
_WORD = re.compile(
    r"(?P<word>bool|email|url|port|str|password|int|float)(\((?P<low>[\d.]*),(?P<high>[\d.]*)\))?"
    r"|match\((?P<match>.*)\)|list\((?P<list>.+)\)"
)
_TRUTHS = {"true": True, "false": False, "yes": True, "no": False, "on": True, "off": False}


class InvalidOptions(Exception):
    """The Supervisor rejects the options."""


def is_type(written: Type) -> bool:
    """Whether a schema may contain this type: a type expression, or a list of one."""
    if isinstance(written, list):
        return len(written) == 1 and is_type(written[0])
    match = _WORD.fullmatch(written.removesuffix("?"))
    return match is not None and (match["low"] is None or match["word"] in {"int", "float"})


def validate_options(manifest: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """The contents of options.json when a user enters these options; unknown names are dropped.

    Raises:
        InvalidOptions: a value is not of its type, or one is missing.
    """
    schema: Mapping[str, Type] = manifest["schema"]
    options = {**manifest["options"], **values}
    missing = {name for name, kind in schema.items() if not _is_optional(kind)} - set(options)
    if missing:
        raise InvalidOptions(f"Missing: {missing}")
    return {name: _value(schema[name], value) for name, value in options.items() if name in schema}


def _is_optional(kind: Type) -> bool:
    return (kind[0] if isinstance(kind, list) else kind).endswith("?")


def _value(kind: Type, value: Any) -> Any:
    if isinstance(kind, list):
        if not isinstance(value, list):
            raise InvalidOptions(f"{value!r} is not a list")
        return [_value(kind[0], item) for item in value]
    match = _WORD.fullmatch(kind.removesuffix("?"))
    if value is None or match is None:
        raise InvalidOptions(f"{value!r} for {kind}")
    if match["list"] is not None:
        return _require_valid(str(value), kind, is_right=str(value) in match["list"].split("|"))
    if match["match"] is not None:
        return _require_valid(str(value), kind, is_right=re.match(match["match"], str(value)) is not None)
    if match["word"] in {"int", "float"}:
        return _number(match, value)
    if match["word"] == "bool":
        return value if isinstance(value, bool) else _TRUTHS[str(value).lower()]
    return _require_valid(value, kind, is_right=isinstance(value, str))


def _number(match: re.Match[str], value: Any) -> float:
    try:
        number: float = int(value) if match["word"] == "int" else float(value)
    except (TypeError, ValueError) as error:
        raise InvalidOptions(f"{value!r} is not a number") from error
    is_right = float(match["low"] or "-inf") <= number <= float(match["high"] or "inf")
    _require_valid(number, match[0], is_right=is_right)
    return number


def _require_valid(value: Any, kind: str, *, is_right: bool) -> Any:
    if not is_right:
        raise InvalidOptions(f"{value!r} is not a {kind}")
    return value
