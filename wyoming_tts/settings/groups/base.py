"""What groups of settings share: their headings, how values are taken, and the making of a field."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Group(StrEnum):
    """Headings under which settings are shown."""

    LISTENING = "Listening"
    ACCESS = "Access"
    VOICES = "Voices"
    SPEECH = "Speech"
    TEXT = "Text"
    DOWNLOADS = "Downloads"
    LIMITS = "Limits"
    COMPUTING = "Computing"
    REMOTE = "Remote servers"
    LOGGING = "Logging"


class SettingsGroup(BaseModel):
    """Base of the groups. None is used alone, so pydantic builds no validator for one (`defer_build`)."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        validate_default=True,
        allow_inf_nan=False,
        coerce_numbers_to_str=True,
        str_strip_whitespace=True,
        defer_build=True,
    )


def setting(
    group: Group,
    default: object,
    text: str,
    *,
    unit: str = "",
    shown: str = "",
    expects: str = "",
    **limits: Any,
) -> Any:
    """Make a field; each group's module has this as `_setting`, with its group given.

    `shown` describes a computed default; `expects` describes the allowed values where type and limits do not.
    """
    extra: dict[str, Any] = {"group": group, "unit": unit, "shown": shown, "expects": expects}
    defaults = {"default_factory": default} if callable(default) else {"default": default}
    return Field(**defaults, description=text, json_schema_extra=extra, **limits)
