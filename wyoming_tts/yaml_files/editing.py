"""Round-trip YAML editing: what does not change stays as written, with comments, order and quotes.

The caller passes the new value of the whole file. It is compared with the old one, and only the differences
are made, in the round-trip tree of ruamel.yaml. Every scalar of that tree is text, so that none is written
differently from how it was read. The result is parsed again: an edit that does not yield the new value is
refused.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

import yaml

from wyoming_tts.yaml_files.reading import ScalarMode, YamlDocument, read_yaml, resolve_scalar

if TYPE_CHECKING:
    from ruamel.yaml import YAML

_COMMENT: Final = re.compile(r"^(?P<indent> *)#", re.MULTILINE)
_NO_WRAPPING: Final = 1 << 30


class NotEditable(Exception):
    """The file cannot be changed in place; the message says why."""


def edit_yaml(document: YamlDocument, value: Mapping[str, Any], *, scalars: ScalarMode) -> str:
    """Return the file's text with another value in it.

    A key that is missing while a new one has its value was renamed, and keeps its place. New keys and items
    come last. A comment on lines of its own stays when the entry above it is deleted.

    Args:
        document: The file as it was read.
        value: Mappings, lists and scalars that the file is to hold.
        scalars: How the document was read.

    Raises:
        NotEditable: the file holds no mapping, or something that would not survive the edit.
    """
    head, body, tail = _split_document(document.text.replace("\r\n", "\n"))
    if not isinstance(document.value, dict | None):
        raise NotEditable(f"{document.name} holds no mapping")
    try:
        text = f"{head}{_edit(_Editor(scalars), document.value, body, value)}{tail}"
        changed = read_yaml(text.encode(), document.name, scalars=scalars).value
    except Exception as error:  # ruamel.yaml raises errors of any kind for what it cannot write
        raise NotEditable(f"{document.name} cannot be changed in place: {error}") from error
    if not _same(changed, _as_read(value) if scalars is ScalarMode.TEXT else value):
        raise NotEditable(f"{document.name} is written in a way that cannot be changed in place")
    return text.replace("\n", "\r\n") if "\r\n" in document.text else text


def _edit(editor: _Editor, before: Any, body: str, value: Mapping[str, Any]) -> str:
    yaml_ = _round_trip()
    if before is None:
        gap = "" if not body or body.endswith("\n") else "\n"
        return f"{body}{gap}{_dump(yaml_, editor.build(value))}"
    tree = yaml_.load(body)
    _indent_as(yaml_, tree)
    left = editor.update(before, value, tree)
    return _dump(yaml_, tree) + left


def _same(one: Any, other: Any) -> bool:
    """Compare with types: true is not 1."""
    if isinstance(one, dict) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return type(one) is type(other) and one == other


def _as_read(value: Any) -> Any:
    """Return the value as it is read where scalars are text."""
    if isinstance(value, Mapping):
        return {key: _as_read(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_as_read(each) for each in value]
    return value if value is None or isinstance(value, str) else _plain(value)


def _plain(value: float) -> str:
    return str(value).lower()


def _split_document(text: str) -> tuple[str, str, str]:
    """Split into what precedes the document up to its `---`, the document, and the rest from its `...`."""
    start, end = 0, len(text)
    events: Iterable[Any] = yaml.parse(text, Loader=yaml.SafeLoader)
    for event, kind in ((event, type(event)) for event in events):
        if kind is yaml.DocumentStartEvent and event.explicit:
            start = event.end_mark.index
            start += len(text[start:]) - len(text[start:].lstrip(" \t"))
            start += text[start : start + 1] == "\n"
        elif kind is yaml.DocumentEndEvent and event.explicit:
            end = event.start_mark.index
    return text[:start], text[start:end], text[end:]


def _round_trip() -> YAML:
    from ruamel.yaml import YAML  # noqa: PLC0415 - imported only for edits
    from ruamel.yaml.nodes import ScalarNode  # noqa: PLC0415
    from ruamel.yaml.representer import RoundTripRepresenter  # noqa: PLC0415
    from ruamel.yaml.resolver import VersionedResolver  # noqa: PLC0415
    from ruamel.yaml.tag import Tag  # noqa: PLC0415

    class TextResolver(VersionedResolver):
        """Resolves every scalar to text, and an empty one to null."""

        def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
            if kind is ScalarNode and implicit[0]:
                return Tag(suffix=f"tag:yaml.org,2002:{'str' if value else 'null'}")
            return super().resolve(kind, value, implicit)

    class TextRepresenter(RoundTripRepresenter):
        """Writes null as an empty scalar."""

        def represent_none(self, data: None) -> Any:
            del data
            return self.represent_scalar("tag:yaml.org,2002:null", "")

    TextRepresenter.add_representer(type(None), TextRepresenter.represent_none)
    made = YAML()
    made.Resolver = TextResolver
    made.Representer = TextRepresenter
    made.preserve_quotes = True
    made.width = _NO_WRAPPING
    return made


def _dump(yaml_: YAML, tree: Any) -> str:
    stream = io.StringIO()
    yaml_.dump(tree, stream)
    return stream.getvalue()


def _indent_as(yaml_: YAML, tree: Any) -> None:
    """Take over the indentation of the first nested mapping and the first nested list."""
    found: dict[str, int] = {}
    for parent, child in _nested(tree):
        if _is_mapping(child):
            found.setdefault("mapping", child.lc.col - parent.lc.col)
        elif "sequence" not in found:
            found["sequence"] = child.lc.data[0][1] - parent.lc.col
            found["offset"] = child.lc.col - parent.lc.col
    yaml_.indent(**found)


def _nested(mapping: Any) -> Iterable[tuple[Any, Any]]:
    """Yield non-empty mappings and lists in block style, each with its parent mapping."""
    for child in mapping.values():
        if _is_block(child):
            yield mapping, child
            if _is_mapping(child):
                yield from _nested(child)


def _is_mapping(tree: Any) -> bool:
    return isinstance(tree, dict)


def _is_block(value: Any) -> bool:
    is_container: bool = isinstance(value, dict | list) and len(value) > 0
    return is_container and not value.fa.flow_style()


class _Editor:
    """Changes a round-trip tree to another value."""

    def __init__(self, scalars: ScalarMode) -> None:
        self._typed = scalars is ScalarMode.TYPED

    def update(self, before: Mapping[Any, Any], after: Mapping[Any, Any], tree: Any) -> str:
        """Change a mapping; return comment lines that have no place left in it."""
        written = dict(zip(before, [*tree], strict=True))
        for old, new in _find_renames(before, after).items():
            written[new] = self._rename(tree, written.pop(old), new)
            before = {**before, new: before[old]}
        left = "".join(_delete(tree, key) for old, key in written.items() if old not in after)
        for key in written.keys() & after.keys():
            self._put(before[key], after[key], tree, written[key])
        self._append(tree, {key: after[key] for key in after if key not in written})
        return left

    def _rename(self, tree: Any, old: Any, new: Any) -> str:
        place, value, comments = [*tree].index(old), tree[old], tree.ca.items.pop(old, None)
        del tree[old]
        written = self.build(new)
        tree.insert(place, written, value)
        if comments is not None:
            tree.ca.items[written] = comments
        return str(written)

    def _put(self, before: Any, after: Any, tree: Any, key: Any) -> None:
        """Change the value of a mapping's key."""
        if _same(before, after):
            return
        if before and isinstance(before, dict) and isinstance(after, Mapping):
            lines = self.update(before, after, tree[key])
            if not after:
                tree[key] = self.build({})
            _add_lines_after(tree, key, lines)
        elif (
            before
            and isinstance(before, list)
            and isinstance(after, list)
            and _same(before, after[: len(before)])
        ):
            self._extend(tree[key], after[len(before) :], column=tree.lc.col)
        else:
            lines = _take_lines_after(tree, key)
            tree[key] = self.build(after)
            _move_comment_close(tree, key)
            _add_lines_after(tree, key, lines)

    def _append(self, tree: Any, new: Mapping[Any, Any]) -> None:
        if not new:
            return
        lines = _take_lines_after(tree, [*tree][-1], left_of=tree.lc.col) if tree else ""
        for key, value in new.items():
            tree[self.build(key)] = self.build(value)
        _add_lines_after(tree, [*tree][-1], lines)

    def _extend(self, tree: Any, items: list[Any], *, column: int) -> None:
        """Append items to a list; comments not indented beyond its key stay below it."""
        lines = _take_lines_after(tree, len(tree) - 1, left_of=column + 1)
        tree.extend(map(self.build, items))
        _add_lines_after(tree, len(tree) - 1, lines)

    def build(self, value: Any) -> Any:
        """Build the tree of a value: mappings in block style, lists of scalars on one line."""
        from ruamel.yaml.comments import CommentedMap, CommentedSeq  # noqa: PLC0415
        from ruamel.yaml.scalarstring import DoubleQuotedScalarString  # noqa: PLC0415

        if isinstance(value, Mapping):
            mapping = CommentedMap((self.build(key), self.build(each)) for key, each in value.items())
            if not value:
                mapping.fa.set_flow_style()
            return mapping
        if isinstance(value, list):
            made = CommentedSeq(map(self.build, value))
            if not any(isinstance(each, Mapping | list) for each in value):
                made.fa.set_flow_style()
            return made
        if isinstance(value, str):
            is_plain = value and (not self._typed or resolve_scalar(value) == value)
            return value if is_plain else DoubleQuotedScalarString(value)
        return value if value is None else _plain(value)


def _find_renames(before: Mapping[Any, Any], after: Mapping[Any, Any]) -> dict[Any, Any]:
    """Map old keys to new ones where only the key changed."""
    found: dict[Any, Any] = {}
    for new in (key for key in after if key not in before):
        same = (old for old in before if old not in after and old not in found)
        old = next((old for old in same if _same(before[old], after[new])), None)
        if old is not None:
            found[old] = new
    return found


def _delete(tree: Any, key: Any) -> str:
    """Delete a key of a mapping; move the comments around it to its neighbours, or return them."""
    keys = [*tree]
    place = keys.index(key)
    lines = _lines_before(tree, key) + _take_lines_after(tree, key)
    del tree[key]
    tree.ca.items.pop(key, None)
    if len(keys) == 1:
        return lines + _comment_text(tree.ca.end)
    if not lines:
        return ""
    if place > 0:
        _add_lines_after(tree, keys[place - 1], lines)
    else:
        _add_lines_before(tree, keys[1], lines)
    return ""


# Comments. ruamel.yaml attaches everything between a scalar and the next one (the rest of its line, then
# whole lines) to the innermost key or index that the scalar belongs to.


def _tail(tree: Any, key: Any) -> tuple[Any, Any]:
    """Return the innermost container that the value ends in, and its last key or index."""
    value = tree[key]
    if not _is_block(value):
        return tree, key
    return _tail(value, [*value][-1] if _is_mapping(value) else len(value) - 1)


def _slots(tree: Any, key: Any) -> tuple[list[Any], int]:
    """Return the comment slots of a key or index, and the position of the comments after it."""
    if _is_mapping(tree):
        return tree.ca.items.setdefault(key, [None] * 4), 2
    return tree.ca.items.setdefault(key, [None] * 2), 0


def _take_lines_after(tree: Any, key: Any, *, left_of: int | None = None) -> str:
    """Remove and return comment lines below a value: all, or those from the first left of a column on."""
    tree, key = _tail(tree, key)
    slots, at = _slots(tree, key)
    if slots[at] is None:
        return ""
    if _is_text_block(tree[key]):
        rest, newline, lines = "", "", _comment_text([slots[at]])
    else:
        rest, newline, lines = slots[at].value.partition("\n")
    comments = _COMMENT.finditer(lines)
    first = next((each for each in comments if left_of is None or len(each["indent"]) < left_of), None)
    if first is None:
        return ""
    start = 0 if left_of is None else first.start()
    left = f"{rest}{newline}{lines[:start]}"
    slots[at] = _token(left, slots[at].start_mark.column if rest else 0) if left else None
    return str(lines[start:])


def _move_comment_close(tree: Any, key: Any) -> None:
    """Move the comment on a key's line next to the value, which may have become shorter."""
    slots, at = _slots(tree, key)
    if slots[at] is not None:
        slots[at] = _token(slots[at].value, 0)


def _add_lines_after(tree: Any, key: Any, lines: str) -> None:
    """Add comment lines below a value, after existing ones."""
    if not lines:
        return
    tree, key = _tail(tree, key)
    slots, at = _slots(tree, key)
    if slots[at] is None:
        slots[at] = _token("" if _is_text_block(tree[key]) else "\n", 0)
    slots[at].value += lines


def _lines_before(tree: Any, key: Any) -> str:
    return _comment_text(tree.ca.items.get(key, [None] * 4)[1] or [])


def _comment_text(tokens: Iterable[Any]) -> str:
    """Return the text of comments on lines of their own."""
    return "".join(f"{' ' * token.start_mark.column}{token.value}" for token in tokens)


def _is_text_block(value: Any) -> bool:
    """Whether it is a block scalar (`|` or `>`), after which comments begin on a line of their own."""
    from ruamel.yaml.scalarstring import FoldedScalarString, LiteralScalarString  # noqa: PLC0415

    return isinstance(value, FoldedScalarString | LiteralScalarString)


def _add_lines_before(tree: Any, key: Any, lines: str) -> None:
    slots, _ = _slots(tree, key)
    found = (line.strip() for line in lines.splitlines())
    tokens = [_token(f"{line}\n", tree.lc.col if line else 0) for line in found]
    slots[1] = [*tokens, *(slots[1] or [])]


def _token(text: str, column: int) -> Any:
    from ruamel.yaml.error import CommentMark  # noqa: PLC0415
    from ruamel.yaml.tokens import CommentToken  # noqa: PLC0415

    return CommentToken(text, CommentMark(column), None)
