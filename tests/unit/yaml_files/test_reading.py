"""Reading of YAML files that users edit: limits, and errors with their line."""

from __future__ import annotations

import re
from typing import Annotated, Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, model_validator

from wyoming_tts.yaml_files.models import EMPTY_IF_NONE, Flag, YamlModel
from wyoming_tts.yaml_files.reading import (
    MAX_PROBLEMS,
    InvalidYaml,
    Position,
    Problem,
    ScalarMode,
    YamlDocument,
    YamlLimits,
    read_yaml,
    resolve_scalar,
)


class Lamp(YamlModel):
    colour: Annotated[str, Field(description="a colour such as red")]
    bright: Flag = False
    watts: list[str] | None = None

    @model_validator(mode="after")
    def _has_a_visible_colour(self) -> Lamp:
        if self.colour == "infrared":
            raise ValueError("got infrared, expected a colour that is seen")
        return self


class LampSettings(YamlModel):
    lamps: Annotated[dict[str, Lamp], EMPTY_IF_NONE, Field(description="a mapping of names to lamps")]
    name: str | None = None


def parse(content: str | bytes, **limits: int) -> YamlDocument:
    encoded = content if isinstance(content, bytes) else content.encode()
    return read_yaml(encoded, "f.yaml", scalars=ScalarMode.TEXT, limits=YamlLimits(**limits))


def problems_of(content: str | bytes, **limits: int) -> list[str]:
    try:
        document = parse(content, **limits)
        document.validate(LampSettings)
        document.raise_problems()
    except InvalidYaml as error:
        return [str(problem).removeprefix("f.yaml line ") for problem in error.problems]
    return []


def test_every_key_and_value_has_a_position() -> None:
    document = parse("a:\n  - x\n  - {b:  y}\nc: z\n")
    assert document.value == {"a": ["x", {"b": "y"}], "c": "z"}
    assert document.key_position(("a", 1, "b")) == Position(3, 6)
    assert document.value_position(("a", 1, "b")) == Position(3, 10)
    assert document.value_position(("a", 0)) == Position(2, 5)
    assert document.key_position(("c", "none", "such")) == Position(4, 1)


@pytest.mark.parametrize("content", ["", "# nothing\n", "---\n", "\ufeff# marked\n"])
def test_an_empty_file_has_no_value(content: str) -> None:
    assert parse(content).value is None


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("yes", True),
        ("Off", False),
        ("12", 12),
        ("0x1f", 31),
        ("1.5", 1.5),
        ("~", None),
        ("", None),
        ("word", "word"),
        ("2024-01-01", "2024-01-01"),
        ("0b_", "0b_"),
        ("9" * 5000, "9" * 5000),
        ("<<", "<<"),
    ],
)
def test_scalars_are_typed_only_on_request(written: str, expected: object) -> None:
    content = f"a: {written}\nb: '{written}'\nc: \"{written}\"\n".encode()
    typed = read_yaml(content, "f.yaml").value
    assert typed == {"a": expected, "b": written, "c": written}
    assert type(typed["a"]) is type(expected)
    assert read_yaml(content, "f.yaml", scalars=ScalarMode.TEXT).value["a"] == (written or None)
    assert resolve_scalar(written) == expected


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("a: b: c\n", "1: got a second colon in this line, expected quotes around what follows the first"),
        ("a: &x b\n", "1: got the anchor or alias 'x', which is not allowed"),
        ("a:\n- *x\n", "2: got the anchor or alias 'x', which is not allowed"),
        ("a: !!int 5\n", "1: got the tag 'tag:yaml.org,2002:int', which is not allowed"),
        ("a: !!python/name:os.system x\n", "1: got the tag 'tag:yaml.org,2002:python/name:os.system', which"),
        ("a: 1\n---\nb: 2\n", "2: got a second document, expected one"),
        ("a: ü\nb: x\x07y\n", "2: got the character U+0007, which YAML does not allow"),
        (b"a: b\nc: caf\xe9\n", "2: got the byte 0xe9, expected UTF-8; save the file as UTF-8"),
    ],
)
def test_unsupported_yaml_is_refused_with_its_line(content: str | bytes, problem: str) -> None:
    (message,) = problems_of(content)
    assert message.startswith(problem)


def test_size_and_depth_are_limited() -> None:
    assert problems_of("a: bcd", size=5) == ["1: got more than 5 bytes, the most that are allowed"]
    depth = "got more than 2 levels of nesting, the most that are allowed"
    assert problems_of("a:\n  b:\n    c: d\n", depth=2) == [f"3: {depth}"]
    assert problems_of("[" * 900_000, depth=2) == [f"1: {depth}"]


def test_all_problems_are_reported_in_line_order() -> None:
    assert problems_of(
        "name: [x]\n"
        "nane: x\n"
        "lamps:\n"
        "  hall: {colour: red, bright: maybe}\n"
        "  attic:\n"
        "    color: red\n"
        "  attic: {colour: blue}\n"
        "  cellar: {colour: infrared}\n"
        "  kitchen: {colour: [a], watts: {a: b}}\n"
        "  stairs: red\n"
        "  shed: {colour: green, bright: Yes}\n"
    ) == [
        "1: got a list for 'name', expected text",
        "2: got the key 'nane', expected lamps or name; did you mean 'name'?",
        "4: got 'maybe' for 'bright', expected true or false",
        "5: got no 'colour', expected a colour such as red",
        "6: got the key 'color', expected colour, bright or watts; did you mean 'colour'?",
        "7: got 'attic' twice, it is in line 5 already",
        "8: got infrared, expected a colour that is seen",
        "9: got a list for 'colour', expected a colour such as red",
        "9: got a mapping for 'watts', expected a list",
        "10: got 'red' for 'stairs', expected a mapping",
    ]


def test_valid_parts_of_an_invalid_file_remain_available() -> None:
    document = parse("lamps:\n  a: {colour: red}\n  b: {colour: infrared}\n  c: [x]\nother: 1\n")
    settings = document.validate(LampSettings)
    assert settings is not None
    assert list(settings.lamps) == ["a"]
    document.add_problem(("lamps", "a"), "got red, expected none")
    with pytest.raises(InvalidYaml) as caught:
        document.raise_problems()
    assert [problem.at.line for problem in caught.value.problems] == [2, 3, 4, 5]


@pytest.mark.parametrize("content", ["- a", "text", "lamps: [x]"])
def test_nothing_remains_of_a_file_with_the_wrong_structure(content: str) -> None:
    document = parse(content)
    assert document.validate(LampSettings) is None
    assert len(document.problems) == 1


def test_only_the_first_problems_are_printed() -> None:
    broken = InvalidYaml([Problem(Position(line), "wrong", "f.yaml") for line in range(50, 0, -1)])
    assert str(broken).splitlines()[0] == "f.yaml line 1: wrong"
    assert str(broken).splitlines()[-1] == "... and 30 more."
    assert len(broken.problems) == 50


YAML_LIKE = st.text(alphabet="ab: {}[]&*!|>-\n\"'#,%@?~<0.\t\\u", max_size=80)


@given(st.text(max_size=80) | YAML_LIKE | st.binary(max_size=60), st.sampled_from(ScalarMode))
def test_arbitrary_content_is_parsed_or_refused_with_a_line(
    content: str | bytes, scalars: ScalarMode
) -> None:
    encoded = content if isinstance(content, bytes) else content.encode("utf-8", "ignore")
    for problem in _find_problems(encoded, scalars):
        assert re.match(r"f\.yaml line [1-9]\d*: \S", str(problem))


def _find_problems(content: bytes, scalars: ScalarMode) -> tuple[Problem, ...]:
    try:
        document = read_yaml(content, "f.yaml", scalars=scalars)
    except InvalidYaml as error:
        return error.problems
    document.validate(LampSettings)
    return document.problems


KEYS = st.sampled_from(["lamps", "name", "colour", "bright", "watts", "x"])
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from(["red", "infrared", "true"]) | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_validation_reports_problems_for_any_value_without_failing(value: dict[str, Any]) -> None:
    document = parse(yaml.safe_dump(value))
    settings = document.validate(LampSettings)
    if not document.problems:
        assert settings == LampSettings.model_validate(document.value)
    for problem in document.problems:
        assert problem.message.startswith("got ")


@pytest.mark.parametrize(
    "text", ["1" + ":59" * 300_000, "0x" + "f" * 900_000, "9" * 5000, "1" + "_" * 900_000]
)
def test_a_number_too_long_is_text(text: str) -> None:
    assert resolve_scalar(text) is text


def test_reading_ends_after_a_hundred_problems() -> None:
    with pytest.raises(InvalidYaml) as broken:
        read_yaml(b"a: 1\n" * 100_000, "lamps.yaml")
    assert len(broken.value.problems) == MAX_PROBLEMS
    assert str(broken.value).endswith(f"... and {MAX_PROBLEMS - 20} more.")
