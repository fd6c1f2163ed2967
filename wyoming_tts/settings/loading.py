"""From flags, environment and file to `Settings`, remembering for each value where it came from."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

from pydantic import ValidationError

from wyoming_tts.settings.documents import CONFIG_VARIABLE, SETTINGS, SettingInfo
from wyoming_tts.settings.model import PREFIX, Settings
from wyoming_tts.yaml_files.reading import MAX_BYTES, InvalidYaml, read_yaml

DEFAULT = "default"
"""The origin of a setting that was not given."""

_SWITCH_WORDS = frozenset(["true", "false", "yes", "no", "on", "off", "t", "f", "y", "n", "1", "0"])
_SHOWN_CHARACTERS = 80
_MAY_BE_EMPTY = frozenset(["auto_punctuation", "first_segment_boundaries"])
"""Whose flags mean "none of them" by an empty string."""
_SERVICE_LINK = re.compile(rf"{PREFIX}(SERVICE_(HOST|PORT)\w*|PORT_\d+_(TCP|UDP)\w*)")
"""Kubernetes and Docker describe a service named `wyoming-tts` in such variables, and put a URI into one
that is named like our port's; the server must start beside them."""
_INFO_OF_NAME: Mapping[str, SettingInfo] = MappingProxyType(
    {name: info for info in SETTINGS for name in info.names}
)
_VARIABLES = frozenset([CONFIG_VARIABLE, *(variable for info in SETTINGS for variable in info.variables)])


class SettingsError(Exception):
    """A setting cannot be used. One line: which, the value and where it came from, what is allowed."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.splitlines()))


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """The settings, and how they came to be."""

    settings: Settings
    sources: Mapping[str, str]
    """For every setting where its value came from: `flag --port`, `environment WYOMING_TTS_PORT`,
    `file settings.yaml line 3, key port`, `file options.json, key port` or `default`."""
    warnings: tuple[str, ...]
    """Lines for the log: what was given without having an effect."""


@dataclass(frozen=True, slots=True)
class _Given:
    value: object
    origin: str


_Layer: TypeAlias = dict[str, _Given]


def load_settings(flags: Mapping[str, object], *, environ: Mapping[str, str]) -> LoadedSettings:
    """Read the file, the environment and the flags, the later the stronger.

    Empty values count as not set, so that an unfilled field of a form or an unset shell variable does no
    harm; only the flag `--auto-punctuation ""` means the empty string.

    Args:
        flags: What was parsed by a parser that `add_flags` was called with; other keys are ignored.
            Its `config` names the file.
        environ: The environment's variables.

    Raises:
        SettingsError: The file cannot be read or has an unknown key, or a value is not allowed.
    """
    environ = _without_service_links(environ)
    file = str(flags.get("config") or environ.get(CONFIG_VARIABLE) or "")
    given: _Layer = {}
    for layer in (_from_file(file), _from_environment(environ), _from_flags(flags)):
        given.update(_with_instance_name(layer))
    settings = _validated(given)
    warnings = (*_unknown_variables(environ), *_without_effect(settings, given))
    sources = {info.name: given[info.name].origin if info.name in given else DEFAULT for info in SETTINGS}
    return LoadedSettings(settings, MappingProxyType(sources), warnings)


def _from_flags(flags: Mapping[str, object]) -> _Layer:
    layer: _Layer = {}
    for info in SETTINGS:
        value = flags.get(info.name)
        if info.name not in _MAY_BE_EMPTY:
            value = _cleaned(value)
        if value is not None:
            flag = info.flags[-1] if value is False else info.flags[0]
            layer[info.name] = _Given(value, f"flag {flag}")
    return layer


def _from_environment(environ: Mapping[str, str]) -> _Layer:
    layer: _Layer = {}
    for info in SETTINGS:
        variable = next((name for name in info.variables if not _is_blank(environ.get(name))), "")
        text = environ.get(variable)
        value = _cleaned(text.split(info.separator) if text and info.is_list else text)
        if value is not None:
            layer[info.name] = _Given(value, f"environment {variable}")
    return layer


def _from_file(file: str) -> _Layer:
    layer: _Layer = {}
    for key, place, value in _file_entries(file):
        name = str(key).replace("-", "_")
        if name not in _INFO_OF_NAME:
            raise SettingsError(f"{place}: got the key {key!r}, expected a setting{_suggestion(name)}")
        if (meant := _cleaned(value)) is not None:
            layer[_INFO_OF_NAME[name].name] = _Given(meant, f"{place}, key {key}")
    return layer


def _file_entries(file: str) -> Iterator[tuple[object, str, object]]:
    """The file's keys, where each stands, and its values."""
    if not file:
        return
    content, lines = _read_file(file)
    if not isinstance(content, dict | None):
        raise SettingsError(f"file {file}: got {_cut(content)}, expected a mapping of settings to values")
    for key, value in (content or {}).items():
        yield key, f"file {file}{f' line {lines[key]}' if key in lines else ''}", value


def _read_file(file: str) -> tuple[object, Mapping[object, int]]:
    """What the file holds, and in which line each key is; of JSON no lines are known."""
    path = Path(file)
    try:
        with path.open("rb") as opened:
            data = opened.read(MAX_BYTES + 1)
        if path.suffix == ".json" and data.strip():
            return json.loads(data.decode("utf-8-sig")), {}
        document = read_yaml(data, file)
        document.raise_problems()
    except (OSError, ValueError, RecursionError) as error:
        raise SettingsError(f"file {file}: cannot be read, expected YAML or JSON: {error}") from error
    except InvalidYaml as error:
        raise SettingsError(f"file {error}") from error
    keys = document.value if isinstance(document.value, dict) else ()
    return document.value, {key: document.key_position((key,)).line for key in keys}


def _is_blank(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _cleaned(value: object) -> object:
    """The value, None for one that says nothing; an unfilled line of a list says nothing either."""
    if isinstance(value, list):
        return [item for item in value if not _is_blank(item)] or None
    return None if _is_blank(value) else value


def _with_instance_name(layer: _Layer) -> _Layer:
    """`zeroconf` may hold the instance's name instead of true: it then says both."""
    announced = layer.get("zeroconf")
    if announced and isinstance(announced.value, str) and announced.value.lower() not in _SWITCH_WORDS:
        return {**layer, "zeroconf": _Given(True, announced.origin), "zeroconf_name": announced}
    return layer


def _validated(given: _Layer) -> Settings:
    try:
        return Settings.model_validate({name: one.value for name, one in given.items()})
    except ValidationError as error:
        wrong = dict.fromkeys(str(detail["loc"][0]) for detail in error.errors() if detail["loc"])
        messages = [_wrong_value(name, given[name]) for name in wrong if name in given]
        if not messages:
            raise
        more = f" (and {len(messages) - 1} more)" if len(messages) > 1 else ""
        raise SettingsError(messages[0] + more) from error


def _wrong_value(name: str, given: _Given) -> str:
    info = _INFO_OF_NAME[name]
    return f"{name}: got {_cut(given.value)} from {given.origin}, expected {info.expects}"


def _cut(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= _SHOWN_CHARACTERS else f"{shown[:_SHOWN_CHARACTERS]}..."


def _suggestion(name: str) -> str:
    """The nearest setting; `no_ui` is a flag's way of saying `ui: false`."""
    opposite = _INFO_OF_NAME.get(name.removeprefix("no_"))
    if opposite and opposite.is_switch:
        return f"; did you mean {opposite.name!r}, with the value false?"
    nearest = difflib.get_close_matches(name, _INFO_OF_NAME, n=1)
    return f"; did you mean {nearest[0]!r}?" if nearest else "; --help lists all settings"


def _without_service_links(environ: Mapping[str, str]) -> Mapping[str, str]:
    own = {variable: text for variable, text in environ.items() if not _SERVICE_LINK.fullmatch(variable)}
    port = f"{PREFIX}PORT"
    if len(own) < len(environ) and "://" in own.get(port, ""):
        del own[port]
    return own


def _unknown_variables(environ: Mapping[str, str]) -> Iterator[str]:
    for variable in environ:
        if variable.startswith(PREFIX) and variable not in _VARIABLES:
            nearest = difflib.get_close_matches(variable, _VARIABLES, n=1)
            hint = f"; did you mean {nearest[0]}?" if nearest else ""
            yield f"environment {variable}: no setting has that name, it is ignored{hint}"


def _without_effect(settings: Settings, given: _Layer) -> Iterator[str]:
    uri = given.get("uri")
    for name in ("host", "port"):
        if uri and name in given:
            yield f"{name} from {given[name].origin} is ignored: uri from {uri.origin} says where to listen"
    if "zeroconf" in given and settings.zeroconf and not settings.uri.startswith("tcp:"):
        yield f"zeroconf from {given['zeroconf'].origin} is ignored: {settings.uri} cannot be announced"
