"""JSON template: the body of a request, with placeholders such as `{text}` for what differs between requests.

A placeholder stands within a string. One that is all of its string becomes the value itself, so that
`"{speed}"` is sent as a number.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

Json: TypeAlias = Any

_PLACEHOLDER: Final = re.compile(r"\{([A-Za-z_]\w*)\}")


class InvalidTemplate(ValueError):
    """It is no template; the message says what is wrong in it."""


class JsonTemplate:
    """An object whose strings may have placeholders."""

    def __init__(self, source: str) -> None:
        """Parse it.

        Raises:
            InvalidTemplate: it is not JSON, or no object.
        """
        try:
            self._value = json.loads(source, parse_constant=_refuse_constant)
        except RecursionError:
            raise InvalidTemplate("it is nested too deeply") from None
        except json.JSONDecodeError as error:
            raise InvalidTemplate(f"it is not JSON: {error.msg} at character {error.pos + 1}") from None
        if not isinstance(self._value, dict):
            raise InvalidTemplate("it is JSON, but not an object in braces")

    @property
    def placeholders(self) -> frozenset[str]:
        """Names of its placeholders."""
        return frozenset(_placeholders(self._value))

    def fill(self, values: Mapping[str, str | float | None]) -> dict[str, Json]:
        """Return the object with these values in place of the placeholders."""
        filled = _fill(self._value, values)
        assert isinstance(filled, dict)
        return filled


def write_template(value: object) -> str:
    """Return the JSON of a template that was written as YAML.

    There `{text}` without quotation marks is a mapping, whose only key has no value: it is meant as a
    placeholder.

    Raises:
        InvalidTemplate: it has values that JSON does not know, such as dates.
    """
    try:
        return json.dumps(_with_bare_placeholders(value), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidTemplate(f"it cannot be sent as JSON: {error}") from None


def fill_text(text: str, values: Mapping[str, str | float | None]) -> str:
    """Return a text with these values in place of its placeholders."""
    return _PLACEHOLDER.sub(lambda match: as_text(values[match[1]]), text)


def placeholders_of(text: str) -> frozenset[str]:
    """Return the names of the placeholders in a text."""
    return frozenset(_PLACEHOLDER.findall(text))


def _fill(value: Json, values: Mapping[str, str | float | None]) -> Json:
    if isinstance(value, dict):
        return {key: _fill(item, values) for key, item in value.items()}
    if isinstance(value, list):
        return [_fill(item, values) for item in value]
    if not isinstance(value, str):
        return value
    whole = _PLACEHOLDER.fullmatch(value)
    return values[whole[1]] if whole else fill_text(value, values)


def _placeholders(value: Json) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _placeholders(item)
    elif isinstance(value, str):
        yield from placeholders_of(value)


def _with_bare_placeholders(value: object) -> object:
    if isinstance(value, list):
        return [_with_bare_placeholders(item) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1 and None in value.values() and isinstance(name := next(iter(value)), str):
        return f"{{{name}}}"
    return {key: _with_bare_placeholders(item) for key, item in value.items()}


def as_text(value: str | float | None) -> str:
    """Return a value as it stands within a text; None is nothing."""
    if value is None:
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _refuse_constant(name: str) -> Json:
    raise InvalidTemplate(f"{name} is not JSON")
