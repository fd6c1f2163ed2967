"""Syntax errors of YAML files: the line in which the mistake is, not the one where the parser noticed it."""

from __future__ import annotations

import pytest

from wyoming_tts.messages import Message
from wyoming_tts.yaml_files.reading import InvalidYaml, read_yaml


def mistake(text: str) -> tuple[int, int, str]:
    """The place of the only mistake, and its ID."""
    with pytest.raises(InvalidYaml) as caught:
        read_yaml(text.encode(), "f.yaml")
    (problem,) = caught.value.problems
    assert isinstance(problem.message, Message)
    return problem.at.line, problem.at.column, problem.message.id


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("de:\n  kWh Kilo\n  Foo: bar\n", (2, 3, "yaml_no_colon")),
        ("de:\n  a: b\n  kWh Kilo\n", (3, 3, "yaml_no_colon")),
        ("de:\n  kWh Kilo\n\n  ab\n  c: d\n", (2, 3, "yaml_no_colon")),
        ("de\n  a: b\n", (1, 1, "yaml_no_colon")),
        ("de:\n  a: b: c\n", (2, 7, "yaml_second_colon")),
        ("de:\n  a: b\n    c: d\n", (3, 6, "yaml_indented")),
        ("de:\n  a: b\n c: d\n", (3, 2, "yaml_indent")),
        ("de:\n  - a\n  b: c\n", (3, 3, "yaml_indent")),
        ("de:\n\ta: b\n", (2, 1, "yaml_tab")),
        ("de:\n  a: 'b\n  c: d\n", (2, 6, "yaml_not_closed")),
        ("de:\n  a: [b\n  c: d\n", (2, 6, "yaml_not_closed")),
        ("de:\n  a: {b: c\n", (2, 6, "yaml_not_closed")),
        ("de:\n  a: [\n\n", (2, 1, "yaml_not_closed")),
        ("de:\n  a: [,]\n", (2, 7, "no_yaml")),
        ("de:\n  a: 'b' c\n", (2, 10, "yaml_after_quote")),
        ("de:\n  a: @b\n", (2, 6, "yaml_start")),
        ('de:\n  a: "\\q"\n', (2, 7, "no_yaml")),
    ],
)
def test_a_mistake_is_told_in_the_line_that_has_it(text: str, found: tuple[int, int, str]) -> None:
    assert mistake(text) == found


def test_the_line_itself_is_not_told_as_it_may_hold_a_secret() -> None:
    with pytest.raises(InvalidYaml) as caught:
        read_yaml(b"api_key hunter2\nport: 1\n", "f.yaml")
    assert "hunter2" not in str(caught.value)
