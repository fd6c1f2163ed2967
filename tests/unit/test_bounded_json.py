"""JSON of a peer: counted before it is parsed, and only values that can be computed with."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wyoming_tts.bounded_json import (
    MAX_DIGITS,
    InvalidJson,
    JsonLimits,
    JsonOverLimit,
    check_values,
    parse_json,
)

LIMITS = JsonLimits(values=10, depth=4)

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**18), 10**18)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(alphabet=st.sampled_from(list('a",[]{}\\é😀\n'))),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(alphabet='a",[\\'), inner),
    max_leaves=20,
)


def count(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(map(count, inner))


@given(value=VALUES, ascii_only=st.booleans())
def test_whatever_is_within_the_limits_is_parsed_as_by_json(value: Any, *, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    limits = JsonLimits(values=2 * count(value) + 1)
    assert parse_json(text, limits) == value == parse_json(text.encode(), limits)


@given(VALUES)
def test_more_values_than_the_limit_are_refused_wherever_brackets_are_in_strings(value: Any) -> None:
    values = count(value)
    if values > 1:
        with pytest.raises(JsonOverLimit):
            check_values(json.dumps(value).encode(), values // 2)


@pytest.mark.parametrize(
    "raw",
    [
        b"[" + b"[]," * 10 + b"[]]",
        b"[" + b"{}," * 10 + b"{}]",
        b"[" + b"1," * 10 + b"1]",
        b'["\\\\",' + b"[]," * 10 + b"[]]",
        b'["\\"",' + b"[]," * 10 + b"[]]",
        b'["[\\\\\\"",' + b"[]," * 10 + b"[]]",
        b"[" * 11,
        b'["' + b'","' * 30,
        b'{"a":[' + b"[]," * 10,
    ],
)
@pytest.mark.parametrize("as_text", [False, True])
def test_json_of_many_values_is_refused_before_it_is_parsed(
    raw: bytes, *, as_text: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wyoming_tts.bounded_json._DECODER", None)
    with pytest.raises(JsonOverLimit, match="more than 10 values"):
        parse_json(raw.decode() if as_text else raw, LIMITS)


def test_brackets_and_commas_of_a_text_are_not_values() -> None:
    text = '[{,"\\' * 10_000
    assert parse_json(json.dumps({"text": text}), LIMITS) == {"text": text}


@pytest.mark.parametrize(
    "number", ["9" * (MAX_DIGITS + 1), "-" + "9" * 4301, "9" * 100_000, "1e999", "-1e999"]
)
def test_numbers_that_cannot_be_computed_with_are_refused_without_quoting_them(number: str) -> None:
    with pytest.raises(InvalidJson) as caught:
        parse_json(f'{{"speaker": {number}}}', LIMITS)
    assert len(str(caught.value)) < 100


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "{",
        "[1",
        "secret",
        '{"secret": secret}',
        '{"secret": 1, "secret": 2}',
        "NaN",
        "[Infinity]",
        b"\xff",
    ],
)
def test_malformed_json_is_refused_without_quoting_it(raw: str | bytes) -> None:
    with pytest.raises(InvalidJson) as caught:
        parse_json(raw, LIMITS)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_deep_nesting_is_over_the_limit(opening: str) -> None:
    closing = "]" if opening == "[" else "}"
    assert parse_json(opening * 3 + "[]" + closing * 3, LIMITS)
    with pytest.raises(JsonOverLimit, match="more than 4 levels"):
        parse_json(opening * 4 + "[]" + closing * 4, LIMITS)
    with pytest.raises(JsonOverLimit, match="more than 4 levels"):
        parse_json(opening * 50_000, JsonLimits(values=100_000, depth=4))
