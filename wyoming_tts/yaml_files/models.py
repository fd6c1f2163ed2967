"""Models of YAML files that people edit: what a file may hold, and the words for what it should have held."""

from __future__ import annotations

import difflib
from collections.abc import Hashable, Mapping
from types import MappingProxyType, UnionType
from typing import Annotated, Any, Final, TypeAlias, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, BeforeValidator, ConfigDict
from pydantic.fields import FieldInfo

from wyoming_tts.messages import Message

_MAX_VALUE_LENGTH: Final = 80
_TRUE, _FALSE = frozenset({"true", "yes", "on"}), frozenset({"false", "no", "off"})
_EXPECTED: Mapping[str, str] = MappingProxyType(
    {
        "string_type": Message("yaml_text", "text"),
        "bool_type": Message("yaml_true", "true or false"),
        "int_type": Message("yaml_int", "a whole number"),
        "float_type": Message("yaml_number", "a number"),
        "list_type": Message("a_list", "a list"),
        "dict_type": Message("a_mapping", "a mapping"),
        "model_type": Message("a_mapping", "a mapping"),
        "model_attributes_type": Message("a_mapping", "a mapping"),
    }
)

KeyPath: TypeAlias = tuple[Hashable, ...]
"""Keys of mappings and indices of lists, from the root."""


class YamlModel(BaseModel):
    """Base model of a file or of a mapping in it.

    Messages describe what is expected by the field's `description`, or else by the `title` of its model.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _parse_flag(value: object) -> object:
    if not isinstance(value, str):
        return value
    text = value.lower()
    return True if text in _TRUE else False if text in _FALSE else value


Flag: TypeAlias = Annotated[bool, BeforeValidator(_parse_flag)]
"""A boolean where scalars are read as text."""
EMPTY_IF_NONE: Final = BeforeValidator(lambda value: {} if value is None else value)
"""Validates an empty section as an empty mapping."""


def format_value(value: object) -> str:
    """Format a value for a message: text and numbers truncated, others by their kind."""
    if isinstance(value, Mapping):
        return Message("a_mapping", "a mapping")
    if isinstance(value, list | tuple):
        return Message("a_list", "a list")
    if value is None:
        return Message("nothing", "nothing")
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= _MAX_VALUE_LENGTH else f"{text[:_MAX_VALUE_LENGTH]}..."


def describe_error(model: type[YamlModel], detail: Any, loc: KeyPath, path: KeyPath) -> str:
    """Say what pydantic found: what a file has, and what was expected.

    Args:
        model: The model that the file was validated by.
        detail: One of `ValidationError.errors()`.
        loc: Its location, without pydantic's mark of a key.
        path: The part of the location that is in the file.
    """
    kind, value = detail["type"], detail["input"]
    if kind == "value_error":
        return str(detail["ctx"]["error"])
    if kind == "extra_forbidden":
        return _unknown_key_message(loc[-1], _type_at(model, loc[:-1])[0])
    described = _type_at(model, loc)[1]
    if kind == "invalid_key":
        return Message("yaml_quotes", "got a key that is not text, expected it in quotes")
    if kind == "missing":
        return Message(
            "yaml_missing",
            "got no {key}, expected {expected}",
            key=repr(loc[-1]),
            expected=described or Message("one", "one"),
        )
    if kind == "literal_error":
        described = str(detail["ctx"]["expected"]).replace("'", "")
    default = _EXPECTED.get(kind) or str(detail["msg"]).removeprefix("Input should be ")
    expected = described or default
    if not path:
        return Message(
            "yaml_value", "got {value}, expected {expected}", value=format_value(value), expected=expected
        )
    return Message(
        "yaml_value_for",
        "got {value} for {key}, expected {expected}",
        value=format_value(value),
        key=repr(path[-1]),
        expected=expected,
    )


def _unknown_key_message(key: Hashable, owner: Any) -> str:
    names = [*owner.model_fields] if isinstance(owner, type) and issubclass(owner, BaseModel) else []
    *rest, last = names or ["nothing"]
    expected = f"{', '.join(rest)} or {last}" if rest else last
    nearest = difflib.get_close_matches(str(key), names, n=1)
    if not nearest:
        return Message(
            "yaml_unknown", "got the key {key}, expected {expected}", key=format_value(key), expected=expected
        )
    return Message(
        "yaml_unknown_near",
        "got the key {key}, expected {expected}; did you mean {nearest}?",
        key=format_value(key),
        expected=expected,
        nearest=repr(nearest[0]),
    )


def _type_at(kind: Any, path: KeyPath) -> tuple[Any, str]:
    """Return the model's type for the path, and its description of what is expected there."""
    kind, described = _unwrap(kind)
    for step in path:
        kind, described = _unwrap(_inner(kind, step))
    return kind, described


def _inner(kind: Any, step: Hashable) -> Any:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        if step in kind.model_fields:
            info = kind.model_fields[str(step)]
            return Annotated[info.annotation, info]
        kind = get_type_hints(kind, include_extras=True).get("__pydantic_extra__")
    arguments = get_args(kind)
    return arguments[-1] if arguments and get_origin(kind) in (dict, list) else None


def _unwrap(kind: Any) -> tuple[Any, str]:
    """Return the type without annotations and None, and its description."""
    described = ""
    while get_origin(kind) in (Annotated, Union, UnionType):
        arguments = get_args(kind)
        if get_origin(kind) is Annotated:
            texts = [info.description for info in arguments[1:] if isinstance(info, FieldInfo)]
            described = described or next(filter(None, texts), "")
        kind = next((one for one in arguments if one is not type(None)), None)
    if isinstance(kind, type) and issubclass(kind, YamlModel):
        described = described or kind.model_config.get("title") or ""
    return kind, described
