"""Bounded JSON parsing: JSON of a peer, within limits of its values, nesting and numbers.

Parsing holds the interpreter's lock from the first byte to the last, on whatever thread it runs, so
what one peer sends would stop everybody's audio. Long strings take next to nothing (2 ms for 1 MB),
but each object and array has to be made, and is then visited by the garbage collector: 1 MB of
`[],[],` takes 150 ms and 30 MB. No message that is read here has more than a few dozen values, so
they are counted before anything is parsed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from math import isinf
from typing import Any, NoReturn

from wyoming_tts.messages import Message

MAX_DIGITS = 40
"""Digits of a whole number. Lengths, rates and ids have at most 20, and Python cannot print over 4,300."""


class InvalidJson(ValueError):
    """It is not JSON, or not JSON that is unambiguous. The message quotes none of it."""


class JsonOverLimit(InvalidJson):
    """It has more values than its limit, or nests deeper."""


@dataclass(frozen=True, slots=True)
class JsonLimits:
    """Limits of one JSON text."""

    values: int = 1000
    """Values in all, keys not counted: 0.5 ms of parsing at the worst."""
    depth: int = 32
    """Nesting of objects and arrays."""


def parse_json(raw: bytes | str, limits: JsonLimits) -> Any:
    """Parse a JSON text; bytes are UTF-8.

    Raises:
        InvalidJson: it is malformed, an object has a key twice, or a number cannot be computed with;
            JsonOverLimit if it is over a limit.
    """
    data = raw if isinstance(raw, bytes) else raw.encode(errors="surrogatepass")
    check_values(data, limits.values)
    try:
        value = _DECODER.decode(raw.decode() if isinstance(raw, bytes) else raw)
    except RecursionError:
        raise _nested_too_deep(limits.depth) from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InvalidJson(str(error)) from None
    if data.count(b"{") + data.count(b"[") > limits.depth:
        _check_depth(value, limits.depth)
    return value


def check_values(raw: bytes, limit: int) -> None:
    """Check, without parsing it, that a JSON text has at most `limit` values. Malformed JSON may pass.

    Raises:
        JsonOverLimit: it has more.
    """
    if _count_marks(raw) < limit:  # in strings, too: seldom as many in a text to speak
        return
    unescaped = raw.replace(b"\\\\", b"").replace(b'\\"', b"")
    # Each string is a key or a value, and splitting at quotation marks is cheap only if there are few.
    if unescaped.count(b'"') > 4 * limit or _count_marks(b"".join(unescaped.split(b'"')[::2])) >= limit:
        raise JsonOverLimit(Message("json_values", "it has more than {most} values", most=limit))


def _count_marks(raw: bytes) -> int:
    """The values in JSON without strings, less the outermost one: each follows a bracket or a comma."""
    return raw.count(b"[") + raw.count(b"{") + raw.count(b",")


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(pairs)
    if len(unique) < len(pairs):
        raise InvalidJson(Message("json_key_twice", "an object has a key twice"))
    return unique


def _refuse_constant(name: str) -> NoReturn:
    raise InvalidJson(Message("json_constant", "{name} is not a value of JSON", name=name))


def _parse_int(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise InvalidJson(
            Message(
                "json_digits",
                "a number has {count} digits, more than {most}",
                count=len(digits),
                most=MAX_DIGITS,
            )
        )
    return int(digits)


def _parse_float(written: str) -> float:
    value = float(written)
    if isinf(value):
        raise InvalidJson(Message("json_number", "a number is too large"))
    return value


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique_keys,
    parse_constant=_refuse_constant,
    parse_int=_parse_int,
    parse_float=_parse_float,
)
"""Made once: json.loads with options makes one for each call, which takes longer than parsing."""


def _check_depth(value: object, depth: int) -> None:
    level: list[Any] = [value]
    for _ in range(depth):
        level = [inner for outer in level for inner in _containers(outer)]
        if not level:
            return
    raise _nested_too_deep(depth)


def _nested_too_deep(depth: int) -> JsonOverLimit:
    return JsonOverLimit(Message("json_depth", "it is nested in more than {most} levels", most=depth))


def _containers(outer: object) -> Iterator[Any]:
    values = outer.values() if isinstance(outer, dict) else outer if isinstance(outer, list) else ()
    return (value for value in values if isinstance(value, dict | list))
