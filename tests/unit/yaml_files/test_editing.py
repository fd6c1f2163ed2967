"""Editing YAML in place: an edit keeps comments, order and quotes of everything else."""

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


def apply_edit_to(
    content: str, apply_edit: Callable[[Any], object], *, scalars: ScalarMode = ScalarMode.TYPED
) -> str:
    document = read_yaml(content.encode(), "f.yaml", scalars=scalars)
    value = {} if document.value is None else copy.deepcopy(document.value)
    apply_edit(value)
    return edit_yaml(document, value, scalars=scalars)


def changed_lines(content: str, apply_edit: Callable[[Any], object]) -> tuple[list[str], list[str]]:
    """Removed and added lines."""
    before, after = content.splitlines(), apply_edit_to(content, apply_edit).splitlines()
    gone, new = Counter(before) - Counter(after), Counter(after) - Counter(before)
    return [*gone.elements()], [*new.elements()]


def find_comments(content: str) -> Counter[str]:
    """Comments, found between the tokens."""
    at, found = 0, []
    tokens: Any = yaml.scan(content, Loader=yaml.SafeLoader)
    for token in tokens:
        found += re.findall(r"#[^\n]*", content[at : token.start_mark.index])
        at = token.end_mark.index
    return Counter(text.rstrip() for text in found)


def test_an_unchanged_value_keeps_the_file_identical() -> None:
    assert apply_edit_to(FILE, lambda value: None) == FILE


def test_deleting_a_key_removes_its_lines_and_no_other_comments() -> None:
    def delete(name: str) -> tuple[list[str], list[str]]:
        return changed_lines(FILE, lambda value: value["lamps"].pop(name))

    assert delete("hall") == (["  hall: 1.10  # eol"], [])
    assert delete("attic") == (["  attic:", "    colour: no  # quiet", '    watts: "x"'], [])
    assert delete("shed") == (["  shed: {colour: 2001-01-01, bright: yes}  # eol"], [])
    assert delete("note") == (["  note: |", "    text"], [])
    assert changed_lines(FILE, lambda value: value.pop("name")) == (["name: 'q'  # tail"], [])


def test_a_new_key_is_added_at_the_end_of_its_mapping() -> None:
    def add(value: Any) -> None:
        value["lamps"]["new"] = {"colour": "no", "bright": True, "watts": None}

    assert apply_edit_to("lamps:\n  a: x\n  # inside\n# outside\nname: y\n", add) == dedent("""\
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


def test_a_list_item_is_added_in_the_style_of_the_list() -> None:
    def add(value: Any) -> None:
        value["list"].append("c")

    assert changed_lines(FILE, add) == ([], ["    - c"])
    assert apply_edit_to("list:\n- a\n# end\nname: x\n", add) == "list:\n- a\n- c\n# end\nname: x\n"
    assert apply_edit_to("list: [a, 'b'] # both\n", add) == "list: [a, 'b', c] # both\n"


def test_replacing_a_value_keeps_the_comments_after_it() -> None:
    def put(value: Any) -> None:
        value["lamps"]["hall"] = {"colour": "red"}
        value["name"] = "none"

    after = apply_edit_to(FILE, put)
    assert find_comments(after) == find_comments(FILE)
    assert after.index("colour: red") < after.index("# about the attic") < after.index("attic:")
    assert "name: 'none'" in after


def test_a_renamed_key_keeps_its_place() -> None:
    def rename(value: Any) -> None:
        value["lamps"] = {{"attic": "loft"}.get(name, name): lamp for name, lamp in value["lamps"].items()}

    assert changed_lines(FILE, rename) == (["  attic:"], ["  loft:"])


def test_emptying_and_refilling_a_mapping_keeps_its_comments() -> None:
    emptied = apply_edit_to(FILE, lambda value: value["lamps"].clear())
    assert "lamps: {} # all of them\n  # about the hall\n" in emptied
    filled = apply_edit_to(emptied, lambda value: value["lamps"].update(a={"colour": "red"}))
    assert "    colour: red\n" in filled
    assert find_comments(FILE) - find_comments(filled) == Counter(["# eol", "# eol", "# quiet"])


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
def test_files_of_any_layout_can_be_edited(content: str, after: str) -> None:
    assert apply_edit_to(content, lambda value: value.update(name="x")) == after


@pytest.mark.parametrize("content", ["- a\n", "text"])
def test_a_file_without_a_mapping_is_not_edited(content: str) -> None:
    document = read_yaml(content.encode(), "f.yaml")
    with pytest.raises(NotEditable, match="holds no mapping"):
        edit_yaml(document, {"a": "b"}, scalars=ScalarMode.TYPED)


PLAIN = st.sampled_from(
    ["no", "1.10", "0x1F", "2001-01-01", "word", "two words", "~", "1_000", "ü", "=", "0o7"]
)
NAMES = st.text("abcdefghij", min_size=1, max_size=6).filter(lambda name: name not in ("n", "y"))
NOTES = st.lists(st.text("comnt #'\":{}[],-ü", max_size=8).map(lambda note: f"# {note}".rstrip()), max_size=2)


@st.composite
def scalar_texts(draw: st.DrawFn) -> str:
    form = draw(st.sampled_from(["{}", "'{}'", '"{}"']))
    return form.format(draw(PLAIN))


@st.composite
def entry_lines(draw: st.DrawFn) -> list[str]:
    """The lines of one entry below its key; the first one follows the key."""
    kind = draw(st.sampled_from(["scalar", "none", "flow", "block", "list", "literal"]))
    if kind == "none":
        return [""]
    if kind == "literal":
        return ["|", "  # text", "  more"]
    if kind == "scalar":
        return [draw(scalar_texts())]
    values = draw(
        st.lists(st.tuples(NAMES, scalar_texts()), min_size=1, max_size=3, unique_by=lambda pair: pair[0])
    )
    if kind == "flow":
        return ["{" + ", ".join(f"{name}: {value}" for name, value in values) + "}"]
    lines = [""]
    for name, value in values:
        lines += [f"  {note}" for note in draw(NOTES)]
        lines.append(f"  - {value}" if kind == "list" else f"  {name}: {value}")
    return lines


@st.composite
def file_texts(draw: st.DrawFn) -> str:
    """A mapping in which every line may have comments around it."""
    lines = [*draw(NOTES)]
    indent = ""
    if draw(st.booleans()):
        lines, indent = [*lines, "blends:"], "  "
    for name in draw(st.lists(NAMES, min_size=1, max_size=5, unique=True)):
        first, *rest = draw(entry_lines())
        lines += [f"{indent}{note}" for note in draw(NOTES)]
        eol = draw(st.sampled_from(["", "  # eol"])) if first != "|" else ""
        lines += [f"{indent}{name}: {first}{eol}".rstrip(), *(f"{indent}{line}" for line in rest)]
        lines += draw(st.sampled_from([[], [""]]))
    return "\n".join([*lines, *draw(NOTES), ""])


@given(file_texts(), st.data(), BOTH)
def test_editing_one_entry_keeps_all_others_and_their_comments(
    content: str, data: st.DataObject, scalars: ScalarMode
) -> None:
    before = read_yaml(content.encode(), "f.yaml", scalars=scalars).value
    expected: dict[str, Any] = {}

    def apply_edit(value: dict[str, Any]) -> None:
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

    after = apply_edit_to(content, apply_edit, scalars=scalars)
    assert read_yaml(after.encode(), "f.yaml", scalars=scalars).value == expected
    lost = find_comments(content) - find_comments(after)
    assert set(lost) <= _comments_in_changed_entries(content, before, expected)


def _comments_in_changed_entries(content: str, before: Any, after: Any) -> set[str]:
    """Comments within entries that were changed."""
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
            found |= set(find_comments("\n".join(inner)))
    return found
