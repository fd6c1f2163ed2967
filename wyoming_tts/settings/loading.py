"""Loads settings from flags, environment and file, and remembers where each value came from."""

from __future__ import annotations

import difflib
import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from wyoming_tts.json_template import InvalidTemplate
from wyoming_tts.settings.descriptions import CONFIG_VARIABLE, SETTINGS, SettingInfo
from wyoming_tts.settings.model import PREFIX, SECRETS, Settings
from wyoming_tts.settings.values.token_keys import InvalidTokenKey
from wyoming_tts.yaml_files.reading import MAX_BYTES, InvalidYaml, read_yaml

DEFAULT = "default"
"""The source of a setting that was not given."""

_SWITCH_WORDS = frozenset(["true", "false", "yes", "no", "on", "off", "t", "f", "y", "n", "1", "0"])
_SHOWN_CHARACTERS = 80
_IN_FILE = re.compile(r"file (?P<path>.+?)( line \d+)?, key (?P<key>\S+)")
_MAY_BE_EMPTY = frozenset(["auto_punctuation", "first_segment_boundaries"])
"""Settings whose flag means "no characters" with an empty string."""
_SERVICE_LINK = re.compile(rf"{PREFIX}(SERVICE_(HOST|PORT)\w*|PORT_\d+_(TCP|UDP)\w*)")
"""Variables with which Kubernetes and Docker describe a service named `wyoming-tts`; one of them has the name
of our port's variable and holds a URI. The server must start despite them."""
_INFO_OF_NAME: Mapping[str, SettingInfo] = MappingProxyType(
    {name: info for info in SETTINGS for name in info.names}
)
_VARIABLES = frozenset([CONFIG_VARIABLE, *(variable for info in SETTINGS for variable in info.variables)])


class SettingsError(Exception):
    """A setting is invalid; the message says on one line which, its value and source, and what is allowed."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.splitlines()))


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """The settings, and where they came from."""

    settings: Settings
    sources: Mapping[str, str]
    """Source of every setting's value: `flag --port`, `environment WYOMING_TTS_PORT`,
    `file settings.yaml line 3, key port`, `file options.json, key port` or `default`."""
    warnings: tuple[str, ...]
    """Lines for the log about values that have no effect."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a setting was given, and what would have to stand there for another value."""

    name: str
    """A flag, an environment variable or the name of a file; empty for a default."""
    text: str
    """As `--voice NAME`, `WYOMING_TTS_VOICE=NAME` or `voice: NAME`."""


def place_for(setting: str, value: str, source: str) -> Place:
    """Return where a setting was given according to its source, and what to write there for a value."""
    kind, _, where = source.partition(" ")
    if kind == "flag":
        return Place(where, f"{where} {shlex.quote(value)}")
    if kind == "environment":
        return Place(where, f"{where}={value}")
    given = _IN_FILE.fullmatch(source)
    if given is None:
        return Place("", f"{setting}: {value}")
    return Place(Path(given["path"]).name, f"{given['key']}: {value}")


@dataclass(frozen=True, slots=True)
class _Given:
    value: object
    origin: str


_Layer: TypeAlias = dict[str, _Given]


def load_settings(flags: Mapping[str, object], *, environ: Mapping[str, str]) -> LoadedSettings:
    """Merge file, environment and flags; each takes precedence over the one before it.

    Empty values count as not set, so that an empty field of a form or an empty shell variable does no harm;
    only the flag `--auto-punctuation ""` means the empty string.

    Args:
        flags: Parsed flags of a parser that `add_flags` was called with; other keys are ignored.
            `config` names the file.
        environ: The environment's variables.

    Raises:
        SettingsError: the file cannot be read or has an unknown key, or a value is not allowed.
    """
    environ = _without_service_links(environ)
    file = str(flags.get("config") or environ.get(CONFIG_VARIABLE) or "")
    given: _Layer = {}
    for layer in (_read_file_layer(file), _read_environment_layer(environ), _read_flags_layer(flags)):
        given.update(_split_instance_name(layer))
    settings = _validate(given)
    warnings = (*_warn_unknown_variables(environ), *_warn_without_effect(settings, given))
    sources = {info.name: given[info.name].origin if info.name in given else DEFAULT for info in SETTINGS}
    return LoadedSettings(settings, MappingProxyType(sources), warnings)


def _read_flags_layer(flags: Mapping[str, object]) -> _Layer:
    layer: _Layer = {}
    for info in SETTINGS:
        value = flags.get(info.name)
        if info.name not in _MAY_BE_EMPTY:
            value = _drop_blanks(value)
        if value is not None:
            flag = info.flags[-1] if value is False else info.flags[0]
            layer[info.name] = _Given(value, f"flag {flag}")
    return layer


def _read_environment_layer(environ: Mapping[str, str]) -> _Layer:
    layer: _Layer = {}
    for info in SETTINGS:
        variable = next((name for name in info.variables if not _is_blank(environ.get(name))), "")
        text = environ.get(variable)
        value = _drop_blanks(text.split(info.separator) if text and info.is_list else text)
        if value is not None:
            layer[info.name] = _Given(value, f"environment {variable}")
    return layer


def _read_file_layer(file: str) -> _Layer:
    layer: _Layer = {}
    for key, place, value in _file_entries(file):
        name = str(key).replace("-", "_")
        if name not in _INFO_OF_NAME:
            raise SettingsError(f"{place}: got the key {key!r}, expected a setting{_suggestion(name)}")
        if (cleaned := _drop_blanks(value)) is not None:
            layer[_INFO_OF_NAME[name].name] = _Given(cleaned, f"{place}, key {key}")
    return layer


def _file_entries(file: str) -> Iterator[tuple[object, str, object]]:
    """Yield the file's keys, the position of each, and its value."""
    if not file:
        return
    content, lines = _read_file(file)
    if not isinstance(content, dict | None):
        raise SettingsError(f"file {file}: got {_cut(content)}, expected a mapping of settings to values")
    for key, value in (content or {}).items():
        yield key, f"file {file}{f' line {lines[key]}' if key in lines else ''}", value


def _read_file(file: str) -> tuple[object, Mapping[object, int]]:
    """Return the file's content, and the line of each key; lines are not known for JSON."""
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


def _drop_blanks(value: object) -> object:
    """Return the value without blank items of a list; None if it is blank itself."""
    if isinstance(value, list):
        return [item for item in value if not _is_blank(item)] or None
    return None if _is_blank(value) else value


def _split_instance_name(layer: _Layer) -> _Layer:
    """Split `zeroconf: NAME` into `zeroconf: true` and `zeroconf_name: NAME`."""
    announced = layer.get("zeroconf")
    if announced and isinstance(announced.value, str) and announced.value.lower() not in _SWITCH_WORDS:
        return {**layer, "zeroconf": _Given(True, announced.origin), "zeroconf_name": announced}
    return layer


def _validate(given: _Layer) -> Settings:
    try:
        return Settings.model_validate({name: one.value for name, one in given.items()})
    except ValidationError as error:
        wrong = {str(detail["loc"][0]): detail for detail in error.errors() if detail["loc"]}
        messages = [
            _invalid_value_message(name, given[name]) + _reason(detail)
            for name, detail in wrong.items()
            if name in given
        ]
        if not messages:
            raise
        more = f" (and {len(messages) - 1} more)" if len(messages) > 1 else ""
        raise SettingsError(messages[0] + more) from error


def _invalid_value_message(name: str, given: _Given) -> str:
    info = _INFO_OF_NAME[name]
    value = _without_password(given.value) if name == "cache_url" else given.value
    shown = "a value" if name in SECRETS else _cut(value)
    return f"{name}: got {shown} from {given.origin}, expected {info.expects}"


def _reason(detail: ErrorDetails) -> str:
    """What is wrong in a value that is too long to see it, or not shown."""
    error = detail.get("ctx", {}).get("error")
    return f": {error}" if isinstance(error, InvalidTemplate | InvalidTokenKey) else ""


def _without_password(url: object) -> object:
    return f"...@{url.rpartition('@')[2]}" if isinstance(url, str) and "@" in url else url


def _cut(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= _SHOWN_CHARACTERS else f"{shown[:_SHOWN_CHARACTERS]}..."


def _suggestion(name: str) -> str:
    """Suggest the closest setting; `no_ui` is a flag's spelling of `ui: false`."""
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


def _warn_unknown_variables(environ: Mapping[str, str]) -> Iterator[str]:
    for variable in environ:
        if variable.startswith(PREFIX) and variable not in _VARIABLES:
            nearest = difflib.get_close_matches(variable, _VARIABLES, n=1)
            hint = f"; did you mean {nearest[0]}?" if nearest else ""
            yield f"environment {variable}: no setting has that name, it is ignored{hint}"


def _warn_without_effect(settings: Settings, given: _Layer) -> Iterator[str]:
    uri = given.get("uri")
    for name in ("host", "port"):
        if uri and name in given:
            yield f"{name} from {given[name].origin} is ignored: uri from {uri.origin} says where to listen"
    if "zeroconf" in given and settings.zeroconf and not settings.uri.startswith("tcp:"):
        yield f"zeroconf from {given['zeroconf'].origin} is ignored: {settings.uri} cannot be announced"
