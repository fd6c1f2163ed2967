"""Messages with an ID and arguments, which a page can say in its reader's language.

A message is text, in English, and passes through everything that takes a text: errors, log lines, files.
Who has its translations reads `id` and `arguments`, as in gettext or ICU MessageFormat.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, Self


class Message(str):
    """A text made of a template; `str()` of it, and of an exception with it, is the message itself."""

    __slots__ = ("arguments", "id", "template")

    id: str
    template: str
    arguments: Mapping[str, object]
    """Texts, numbers and messages."""

    def __new__(cls, id_: str, template: str, /, **arguments: object) -> Self:
        """Make the text; `template` is as for `str.format`."""
        message = super().__new__(cls, template.format_map(arguments))
        message.id, message.template, message.arguments = id_, template, arguments
        return message

    @classmethod
    def decode(cls, encoded: Any) -> Any:
        """Return a text or number of which `encode_messages` made this, as another process reads it.

        Raises:
            KeyError, TypeError, AttributeError: it is nothing of that kind.
        """
        if not isinstance(encoded, dict):
            return encoded
        arguments = {name: cls.decode(each) for name, each in encoded["arguments"].items()}
        text: str = encoded["text"]
        return cls(str(encoded["id"]), text.replace("{", "{{").replace("}", "}}"), **arguments)

    def __str__(self) -> str:
        return self

    def __getnewargs_ex__(self) -> tuple[tuple[str, str], dict[str, object]]:
        return (self.id, self.template), dict(self.arguments)


def with_hint(message: str, hint: str) -> str:
    """Return a text that says what happened and, if there is a hint, what to do about it."""
    return Message("with_hint", "{message} {hint}", message=message, hint=hint) if hint else message


def said_parts(*parts: str) -> list[Any]:
    """Return texts for JSON, as a page takes them to say them; nothing if the first has no ID."""
    return [encode_messages(each) for each in parts if each] if isinstance(parts[0], Message) else []


def encode_messages(value: Any) -> Any:
    """Return a value for JSON in which each message is an object of its text, ID and arguments.

    A dataclass becomes an object of its fields; `asdict` would also copy what is in them, which takes several
    times as long.
    """
    match value:
        case Message():
            arguments = encode_messages(dict(value.arguments))
            return {"text": str.__str__(value), "id": value.id, "arguments": arguments}
        case str() | int() | float() | None:
            return value
        case dict():
            return {key: encode_messages(each) for key, each in value.items()}
        case list() | tuple():
            return [encode_messages(each) for each in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {name: encode_messages(getattr(value, name)) for name in _field_names(type(value))}
    return str(value)


@cache
def _field_names(kind: type[Any]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))
