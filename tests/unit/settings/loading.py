"""What tests of the settings load them from: flags and the environment."""

from __future__ import annotations

import argparse
import math
import shlex
from collections.abc import Mapping
from functools import cache

import pytest
from annotated_types import Ge, Gt, Le

from wyoming_tts.settings import (
    SETTINGS,
    LoadedSettings,
    SettingInfo,
    Settings,
    SettingsError,
    add_flags,
    load_settings,
)

NUMBERS = [info for info in SETTINGS if info.is_number]
INFO = {info.name: info for info in SETTINGS}


@cache
def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_flags(parser)
    return parser


def parse_flags(line: str) -> dict[str, object]:
    return vars(_parser().parse_args(shlex.split(line)))


def load(line: str = "", environ: Mapping[str, str] | None = None) -> LoadedSettings:
    return load_settings(parse_flags(line), environ=environ or {})


def refusal(line: str = "", environ: Mapping[str, str] | None = None) -> str:
    with pytest.raises(SettingsError) as error:
        load(line, environ)
    message = str(error.value)
    assert "\n" not in message
    return message


def bounds(info: SettingInfo) -> tuple[float, float]:
    """The smallest and the largest allowed value."""
    found = {type(limit): limit for limit in Settings.model_fields[info.name].metadata}
    lowest = found[Ge].ge if Ge in found else math.nextafter(found[Gt].gt, math.inf)
    return lowest, found[Le].le
