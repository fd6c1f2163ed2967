"""Bodies of requests with placeholders, as they are written and as they are sent."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wyoming_tts.json_template import (
    InvalidTemplate,
    JsonTemplate,
    fill_text,
    placeholders_of,
    write_template,
)

VALUES: dict[str, str | float | None] = {"text": "Hello", "speed": 1.5, "rate": 24_000, "speaker": None}


def filled(value: object) -> dict[str, Any]:
    return JsonTemplate(write_template(value)).fill(VALUES)


def test_placeholders_are_replaced_wherever_they_stand() -> None:
    value = {
        "text": "{text}",
        "a": [{"b": "Say: {text}!"}],
        "wav": "/{rate}/{speed}.wav",
        "n": 2.5,
        "on": True,
    }
    assert filled(value) == {
        "text": "Hello",
        "a": [{"b": "Say: Hello!"}],
        "wav": "/24000/1.5.wav",
        "n": 2.5,
        "on": True,
    }


def test_a_placeholder_that_is_all_of_a_string_is_the_value_itself() -> None:
    assert filled({"a": "{speed}", "b": "{rate}", "c": "{speaker}", "d": "<{speaker}>"}) == {
        "a": 1.5,
        "b": 24_000,
        "c": None,
        "d": "<>",
    }


def test_a_placeholder_of_yaml_needs_no_quotation_marks() -> None:
    assert filled({"text": {"text": None}, "list": [{"speed": None}], "null": {"a": None, "b": None}}) == {
        "text": "Hello",
        "list": [1.5],
        "null": {"a": None, "b": None},
    }


@given(text=st.text())
def test_what_is_spoken_stays_as_it_is(text: str) -> None:
    values: dict[str, str | float | None] = {"text": text, "voice": "no"}
    body = JsonTemplate('{"a": "{text}", "b": "[{text}]"}').fill(values)
    assert json.loads(json.dumps(body)) == {"a": text, "b": f"[{text}]"}
    assert fill_text("/{text}/{voice}", values) == f"/{text}/no"


@pytest.mark.parametrize("text", ["{}", "{ text }", "{1}", "{a-b}", "{", "text"])
def test_other_braces_are_no_placeholders(text: str) -> None:
    assert placeholders_of(text) == frozenset()
    assert JsonTemplate(json.dumps({"a": text})).fill({}) == {"a": text}


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ('{"a": 1', "not JSON: .* at character 8"),
        ("{'a': 1}", "not JSON: .* at character 2"),
        ('["{text}"]', "not an object"),
        ('{"a": NaN}', "NaN is not JSON"),
        ("[" * 100_000, "too deeply"),
    ],
)
def test_what_is_wrong_in_a_template_is_said(source: str, reason: str) -> None:
    with pytest.raises(InvalidTemplate, match=reason):
        JsonTemplate(source)


@pytest.mark.parametrize("value", [{"a": date(2026, 1, 2)}, {"a": float("inf")}, {(1, 2): "a"}])
def test_a_value_that_json_does_not_know_is_refused(value: object) -> None:
    with pytest.raises(InvalidTemplate, match="cannot be sent as JSON"):
        write_template(value)


def test_the_placeholders_of_a_template_are_known() -> None:
    assert JsonTemplate('{"a": ["{text}", {"b": "{voice}-{speed}"}], "{key}": 1}').placeholders == {
        "text",
        "voice",
        "speed",
    }
