"""An edit changes what it is meant to and keeps what the file's owner wrote: comments, order and quotes."""

from __future__ import annotations

import copy
import re
from collections import Counter
from collections.abc import Callable
from textwrap import dedent
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from wyoming_tts.yaml_files.editing import NotEditable, edit_yaml
from wyoming_tts.yaml_files.reading import ScalarMode, read_yaml

BOTH = st.sampled_from(ScalarMode)
FILE = """\
# The head.
lamps:  # all of them
  # about the hall
  hall: 1.10  # eol
  # about the attic

  attic:
    colour: no  # quiet
    watts: "x"
  # about the shed
  shed: {colour: 2001-01-01, bright: yes}  # eol
  # about the note
  note: |
    text
  # about the rest
name: 'q'  # tail
list:
    - a  # first
    - 'b'
# The end.
"""


def edited(content: str, edit: Callable[[Any], object], *, scalars: ScalarMode = ScalarMode.TYPED) -> str:
    document = read_yaml(content.encode(), "f.yaml", scalars=scalars)
    value = {} if document.value is None else copy.deepcopy(document.value)
    edit(value)
    return edit_yaml(document, value, scalars=scalars)


def changes(content: str, edit: Callable[[Any], object]) -> tuple[list[str], list[str]]:
    """Lines that are gone, and new ones."""
    before, after = content.splitlines(), edited(content, edit).splitlines()
    gone, new = Counter(before) - Counter(after), Counter(after) - Counter(before)
    return [*gone.elements()], [*new.elements()]


def comments(content: str) -> Counter[str]:
    """What stands between the tokens."""
    at, found = 0, []
    tokens: Any = yaml.scan(content, Loader=yaml.SafeLoader)
    for token in tokens:
        found += re.findall(r"#[^\n]*", content[at : token.start_mark.index])
        at = token.end_mark.index
    return Counter(text.rstrip() for text in found)


def test_without_a_change_nothing_changes() -> None:
    assert edited(FILE, lambda value: None) == FILE


def test_a_key_that_is_deleted_takes_its_own_line_and_no_others_comment() -> None:
    def without(name: str) -> tuple[list[str], list[str]]:
        return changes(FILE, lambda value: value["lamps"].pop(name))

    assert without("hall") == (["  hall: 1.10  # eol"], [])
    assert without("attic") == (["  attic:", "    colour: no  # quiet", '    watts: "x"'], [])
    assert without("shed") == (["  shed: {colour: 2001-01-01, bright: yes}  # eol"], [])
    assert without("note") == (["  note: |", "    text"], [])
    assert changes(FILE, lambda value: value.pop("name")) == (["name: 'q'  # tail"], [])


def test_a_key_that_is_new_comes_last_and_before_what_does_not_belong_to_its_mapping() -> None:
    def add(value: Any) -> None:
        value["lamps"]["new"] = {"colour": "no", "bright": True, "watts": None}

    assert edited("lamps:\n  a: x\n  # inside\n# outside\nname: y\n", add) == dedent("""\
        lamps:
          a: x
          # inside
          new:
            colour: "no"
            bright: true
            watts:
        # outside
        name: y
        """)


def test_a_list_grows_in_its_own_style() -> None:
    def add(value: Any) -> None:
        value["list"].append("c")

    assert changes(FILE, add) == ([], ["    - c"])
    assert edited("list:\n- a\n# end\nname: x\n", add) == "list:\n- a\n- c\n# end\nname: x\n"
    assert edited("list: [a, 'b'] # both\n", add) == "list: [a, 'b', c] # both\n"


def test_a_value_that_is_replaced_keeps_the_comments_behind_it() -> None:
    def put(value: Any) -> None:
        value["lamps"]["hall"] = {"colour": "red"}
        value["name"] = "none"

    after = edited(FILE, put)
    assert comments(after) == comments(FILE)
    assert after.index("colour: red") < after.index("# about the attic") < after.index("attic:")
    assert "name: 'none'" in after


def test_a_key_that_is_renamed_stays_where_it_is() -> None:
    def rename(value: Any) -> None:
        value["lamps"] = {{"attic": "loft"}.get(name, name): lamp for name, lamp in value["lamps"].items()}

    assert changes(FILE, rename) == (["  attic:"], ["  loft:"])


def test_a_mapping_that_is_emptied_and_filled_again_keeps_its_comments() -> None:
    emptied = edited(FILE, lambda value: value["lamps"].clear())
    assert "lamps: {} # all of them\n  # about the hall\n" in emptied
    filled = edited(emptied, lambda value: value["lamps"].update(a={"colour": "red"}))
    assert "    colour: red\n" in filled
    assert comments(FILE) - comments(filled) == Counter(["# eol", "# eol", "# quiet"])


@pytest.mark.parametrize(
    ("content", "after"),
    [
        ("", "name: x\n"),
        ("# nothing yet", "# nothing yet\nname: x\n"),
        ("---\n# nothing\n", "---\n# nothing\nname: x\n"),
        (
            "%YAML 1.1\n# head\n---  # here\na: b\n...\n# end",
            "%YAML 1.1\n# head\n---  # here\na: b\nname: x\n...\n# end",
        ),
        ("a: b\r\nc: d # e\r\n", "a: b\r\nc: d # e\r\nname: x\r\n"),
        ("{a: b}", "{a: b, name: x}\n"),
        ("name: # none\nother: 1\n", "name: x # none\nother: 1\n"),
    ],
)
def test_a_file_may_be_of_any_form(content: str, after: str) -> None:
    assert edited(content, lambda value: value.update(name="x")) == after


@pytest.mark.parametrize("content", ["- a\n", "text"])
def test_a_file_that_is_no_mapping_is_not_changed(content: str) -> None:
    document = read_yaml(content.encode(), "f.yaml")
    with pytest.raises(NotEditable, match="holds no mapping"):
        edit_yaml(document, {"a": "b"}, scalars=ScalarMode.TYPED)


PLAIN = st.sampled_from(
    ["no", "1.10", "0x1F", "2001-01-01", "word", "two words", "~", "1_000", "ü", "=", "0o7"]
)
NAMES = st.text("abcdefghij", min_size=1, max_size=6).filter(lambda name: name not in ("n", "y"))
NOTES = st.lists(st.text("comnt #'\":{}[],-ü", max_size=8).map(lambda note: f"# {note}".rstrip()), max_size=2)


@st.composite
def scalars_(draw: st.DrawFn) -> str:
    form = draw(st.sampled_from(["{}", "'{}'", '"{}"']))
    return form.format(draw(PLAIN))


@st.composite
def entries(draw: st.DrawFn) -> list[str]:
    """The lines of one entry, below its key; the first stands behind it."""
    kind = draw(st.sampled_from(["scalar", "none", "flow", "block", "list", "literal"]))
    if kind == "none":
        return [""]
    if kind == "literal":
        return ["|", "  # text", "  more"]
    if kind == "scalar":
        return [draw(scalars_())]
    values = draw(
        st.lists(st.tuples(NAMES, scalars_()), min_size=1, max_size=3, unique_by=lambda pair: pair[0])
    )
    if kind == "flow":
        return ["{" + ", ".join(f"{name}: {value}" for name, value in values) + "}"]
    lines = [""]
    for name, value in values:
        lines += [f"  {note}" for note in draw(NOTES)]
        lines.append(f"  - {value}" if kind == "list" else f"  {name}: {value}")
    return lines


@st.composite
def files(draw: st.DrawFn) -> str:
    """A mapping, in which each line may have comments around it."""
    lines = [*draw(NOTES)]
    indent = ""
    if draw(st.booleans()):
        lines, indent = [*lines, "blends:"], "  "
    for name in draw(st.lists(NAMES, min_size=1, max_size=5, unique=True)):
        first, *rest = draw(entries())
        lines += [f"{indent}{note}" for note in draw(NOTES)]
        eol = draw(st.sampled_from(["", "  # eol"])) if first != "|" else ""
        lines += [f"{indent}{name}: {first}{eol}".rstrip(), *(f"{indent}{line}" for line in rest)]
        lines += draw(st.sampled_from([[], [""]]))
    return "\n".join([*lines, *draw(NOTES), ""])


@given(files(), st.data(), BOTH)
def test_an_edit_of_one_entry_changes_no_other_and_loses_no_comment(
    content: str, data: st.DataObject, scalars: ScalarMode
) -> None:
    before = read_yaml(content.encode(), "f.yaml", scalars=scalars).value
    expected: dict[str, Any] = {}

    def edit(value: dict[str, Any]) -> None:
        nonlocal expected
        mapping = value["blends"] if [*value] == ["blends"] and isinstance(value["blends"], dict) else value
        name = data.draw(st.sampled_from([*mapping]))
        what = data.draw(st.sampled_from(["delete", "replace", "rename", "add"]))
        if what == "delete":
            del mapping[name]
        elif what == "rename":
            items = [("new" if key == name else key, each) for key, each in mapping.items()]
            mapping.clear()
            mapping.update(items)
        else:
            new = data.draw(st.sampled_from(["text", {"recipe": "x", "note": "a: b # c"}, ["a", "b"]]))
            mapping["new" if what == "add" else name] = new
        expected = copy.deepcopy(value)

    after = edited(content, edit, scalars=scalars)
    assert read_yaml(after.encode(), "f.yaml", scalars=scalars).value == expected
    lost = comments(content) - comments(after)
    assert set(lost) <= _comments_within_changed(content, before, expected)


def _comments_within_changed(content: str, before: Any, after: Any) -> set[str]:
    """The comments that stand within the entries that are other ones now."""
    document = read_yaml(content.encode(), "f.yaml", scalars=ScalarMode.TEXT)
    path: tuple[str, ...] = ()
    if [*before] == ["blends"] and isinstance(before["blends"], dict) and [*after] == ["blends"]:
        path, before, after = ("blends",), before["blends"], after["blends"]
    found: set[str] = set()
    lines = content.splitlines()
    starts = [document.key_position((*path, str(key))).line - 1 for key in before]
    for key, start, end in zip(before, starts, [*starts[1:], len(lines)], strict=True):
        if key not in after or after[key] != before[key]:
            column = document.key_position((*path, str(key))).column
            inner = [line for line in lines[start:end] if not re.match(rf" {{0,{column - 1}}}#", line)]
            found |= set(comments("\n".join(inner)))
    return found
