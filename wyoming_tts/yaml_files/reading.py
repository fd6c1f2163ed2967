"""YAML parsing and validation for files that people edit, with the line of every problem.

One pass over the parser's events builds the values and an index of the positions of all keys and values.
Pydantic models define what a file may hold; `YamlDocument.validate` turns their errors into problems of one
form, "FILE line N: got X, expected Y", and collects all of them.

Whatever the bytes, the only error is `InvalidYaml`. Size, depth and the number of problems are limited, so
that no file takes more than a second, and anchors, aliases and tags are refused: with aliases a few lines can
grow to gigabytes.
"""

from __future__ import annotations

import copy
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import accumulate
from typing import Any, Final, TypeAlias, TypeVar

import yaml
from pydantic import ValidationError

from wyoming_tts.messages import Message
from wyoming_tts.yaml_files.models import KeyPath, YamlModel, describe_error, format_value
from wyoming_tts.yaml_files.syntax import describe_syntax_error, no_yaml

MAX_BYTES: Final = 1_000_000
MAX_DEPTH: Final = 10

MAX_PROBLEMS: Final = 100
"""Problems found in a file before the rest of it is left unread: nobody corrects more in one go, and a file
of a megabyte may have a hundred thousand."""

_SHOWN_PROBLEMS: Final = 20
_MAX_NUMBER_LENGTH: Final = 40
"""A longer scalar is text. YAML reads `1:59:59` in base 60, in quadratic time."""
_TAG: Final = "tag:yaml.org,2002:"
_KEY: Final = "[key]"
"""Last element of pydantic's location for a key that is invalid itself."""
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_RESOLVER: Any = yaml.resolver.Resolver()
_CONSTRUCTOR: Any = yaml.constructor.SafeConstructor()

Model = TypeVar("Model", bound="YamlModel")


class ScalarMode(Enum):
    """How a scalar without quotes is read."""

    TEXT = auto()
    """As its text, None if empty: `no` is a language, `1.10` a word."""
    TYPED = auto()
    """As YAML resolves it: true, 1, 1.5, null, else text."""


@dataclass(frozen=True, slots=True)
class YamlLimits:
    """Limits on a file; exceeding one is a problem of the file."""

    size: int = MAX_BYTES
    """Bytes."""
    depth: int = MAX_DEPTH
    """Nesting of mappings and lists."""


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A position in a file; both numbers count from 1."""

    line: int = 1
    column: int = 1


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """Something invalid or suspicious in a file."""

    at: Position
    message: str
    file: str = ""
    path: KeyPath = field(default=(), compare=False)
    """Path to the position, as far as known."""

    def __str__(self) -> str:
        return f"{self.file} line {self.at.line}: {self.message}"


class InvalidYaml(Exception):
    """A file cannot be used; `problems` has what is wrong with it, in line order, up to MAX_PROBLEMS."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(tuple(problems))
        self.problems = tuple(sorted(problems))

    def __str__(self) -> str:
        lines = [str(problem) for problem in self.problems[:_SHOWN_PROBLEMS]]
        if len(self.problems) > _SHOWN_PROBLEMS:
            lines.append(f"... and {len(self.problems) - _SHOWN_PROBLEMS} more.")
        return "\n".join(lines)


@dataclass(slots=True)
class _Mapping:
    mark: Any
    entries: dict[Hashable, tuple[Any, _Node]] = field(default_factory=dict)
    """The mark of each key, and the node of its value."""

    def child(self, step: Hashable) -> tuple[Any, _Node] | None:
        return self.entries.get(step)


@dataclass(slots=True)
class _Sequence:
    mark: Any
    items: list[_Node] = field(default_factory=list)

    def child(self, step: Hashable) -> tuple[Any, _Node] | None:
        if not isinstance(step, int) or not 0 <= step < len(self.items):
            return None
        node = self.items[step]
        return _mark(node), node


_Node: TypeAlias = "_Mapping | _Sequence | Any"
"""A scalar is represented by its mark."""


class YamlDocument:
    """A file's values and their positions.

    Attributes:
        name: The file's name in messages.
        value: Mappings, lists and scalars; None for an empty file.
        text: The file's text, without a byte order mark.
    """

    def __init__(self, name: str, text: str, value: Any, root: _Node, problems: list[Problem]) -> None:
        self.name = name
        self.value = value
        self.text = text
        self._root = root
        self._problems = problems

    def key_position(self, path: KeyPath) -> Position:
        """Return the position of the path's last key, or of its longest part that exists."""
        return _position(self._find(path)[1])

    def value_position(self, path: KeyPath) -> Position:
        """Return where the path's value begins, or that of its longest part that exists."""
        return _position(_mark(self._find(path)[2]))

    def add_problem(self, path: KeyPath, message: str) -> None:
        """Add a problem at the path's last key.

        Raises:
            InvalidYaml: there are MAX_PROBLEMS.
        """
        self._add_problem(self.key_position(path), message, path)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """All problems found so far."""
        return tuple(self._problems)

    def raise_problems(self) -> None:
        """Raise the problems found so far.

        Raises:
            InvalidYaml: there are any.
        """
        if self._problems:
            raise InvalidYaml(self._problems)

    def validate(self, model: type[Model]) -> Model | None:
        """Validate the file and add all problems; `raise_problems` raises them.

        Returns:
            The valid part of the file, which can be checked further; None if nothing is valid.

        Raises:
            InvalidYaml: there are MAX_PROBLEMS.
        """
        value = {} if self.value is None else self.value
        reported: set[KeyPath] = set()
        while value is not None:
            try:
                return model.model_validate(value)
            except ValidationError as error:
                details = error.errors(include_url=False)
                value = _without(
                    value, {self._add_validation_error(model, detail, reported) for detail in details}
                )
        return None

    def _add_validation_error(self, model: type[YamlModel], detail: Any, reported: set[KeyPath]) -> KeyPath:
        """Add a problem for a pydantic error, unless it only follows from a reported one; return its path."""
        loc = detail["loc"]
        is_key = loc[-1:] == (_KEY,) or detail["type"] == "extra_forbidden"
        steps = loc[:-1] if loc[-1:] == (_KEY,) else loc
        path, key, node = self._find(steps)
        if path not in reported:
            at = key if is_key or isinstance(node, _Mapping) else _mark(node)
            self._add_problem(_position(at), describe_error(model, detail, steps, path), path)
        reported.update(accumulate(((step,) for step in path), initial=()))
        return path

    def _add_problem(self, at: Position, message: str, path: KeyPath) -> None:
        _append_problem(self._problems, Problem(at, message, self.name, path))

    def _find(self, path: KeyPath) -> tuple[KeyPath, Any, _Node]:
        """Return the longest part of the path that exists, the mark of its last key, and the node there."""
        key, node = _mark(self._root), self._root
        for depth, step in enumerate(path):
            child = node.child(step) if isinstance(node, _Mapping | _Sequence) else None
            if child is None:
                return path[:depth], key, node
            key, node = child
        return path, key, node


def read_yaml(
    content: bytes, name: str, *, scalars: ScalarMode = ScalarMode.TYPED, limits: YamlLimits | None = None
) -> YamlDocument:
    """Parse a file's content; duplicate keys become problems of the document.

    Args:
        content: UTF-8, with or without a byte order mark.
        name: The file's name in messages.
        scalars: How scalars without quotes are read.
        limits: Limits on the file.

    Raises:
        InvalidYaml: it is no YAML, or uses what is not allowed here.
    """
    return _Reader(name, scalars, limits or YamlLimits()).read(content)


def twice(key: str, line: int) -> Message:
    """What is wrong with a key that was there before."""
    return Message("yaml_twice", "got {key} twice, it is in line {line} already", key=key, line=line)


class _Reader:
    """Builds a document from the parser's events."""

    def __init__(self, name: str, scalars: ScalarMode, limits: YamlLimits) -> None:
        self._name = name
        self._typed = scalars is ScalarMode.TYPED
        self._limits = limits
        self._events: Iterator[Any] = iter(())
        self._path: list[Hashable] = []
        self._problems: list[Problem] = []

    def read(self, content: bytes) -> YamlDocument:
        text = self._text(content)
        self._events = yaml.parse(text, Loader=_LOADER)
        try:
            value, root = self._document()
        except yaml.reader.ReaderError as error:
            raise self._unprintable(text) from error
        except yaml.MarkedYAMLError as error:
            found = describe_syntax_error(error, text)
            at = Position(found.line, found.column) if found.line else Position()
            raise InvalidYaml([Problem(at, found.message, self._name)]) from error
        except (yaml.YAMLError, ValueError) as error:
            raise self._invalid(None, no_yaml(error)) from error
        return YamlDocument(self._name, text, value, root, self._problems)

    def _text(self, content: bytes) -> str:
        if len(content) > self._limits.size:
            message: str = Message(
                "yaml_size",
                "got more than {most} bytes, the most that are allowed",
                most=f"{self._limits.size:,}",
            )
            raise self._invalid(None, message)
        try:
            return content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            message = Message(
                "yaml_byte",
                "got the byte {byte}, expected UTF-8; save the file as UTF-8",
                byte=f"0x{content[error.start]:02x}",
            )
            raise InvalidYaml([Problem(Position(line), message, self._name)]) from error

    def _unprintable(self, text: str) -> InvalidYaml:
        found = yaml.reader.Reader.NON_PRINTABLE.search(text)
        if found is None:
            return self._invalid(None, Message("yaml_sign", "got a character that YAML does not allow"))
        line = text.count("\n", 0, found.start())
        column = found.start() - text.rfind("\n", 0, found.start())
        message = Message(
            "yaml_character",
            "got the character {character}, which YAML does not allow",
            character=f"U+{ord(found[0]):04X}",
        )
        return InvalidYaml([Problem(Position(line + 1, column), message, self._name)])

    def _document(self) -> tuple[Any, _Node]:
        value: Any = None
        root: _Node = None
        documents = 0
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    message = Message("yaml_second", "got a second document, expected one")
                    raise self._invalid(event.start_mark, message)
            elif isinstance(event, yaml.NodeEvent):
                value, root = self._node(event, 1)
        return value, root

    def _node(self, event: Any, depth: int) -> tuple[Any, _Node]:
        mark = event.start_mark
        if event.anchor is not None:
            message = Message(
                "yaml_anchor",
                "got the anchor or alias {name}, which is not allowed",
                name=repr(event.anchor),
            )
            raise self._invalid(mark, message)
        if event.tag is not None and event.tag != f"{_TAG}str":
            message = Message("yaml_tag", "got the tag {tag}, which is not allowed", tag=repr(event.tag))
            raise self._invalid(mark, message)
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event), mark
        if depth > self._limits.depth:
            message = Message(
                "yaml_depth",
                "got more than {most} levels of nesting, the most that are allowed",
                most=self._limits.depth,
            )
            raise self._invalid(mark, message)
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(mark, depth)
        return self._sequence(mark, depth)

    def _mapping(self, mark: Any, depth: int) -> tuple[Any, _Mapping]:
        value: dict[Hashable, Any] = {}
        node = _Mapping(mark)
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key, key_node = self._node(event, depth + 1)
            key = "" if key is None and not self._typed else key
            is_text = not isinstance(key_node, _Mapping | _Sequence)
            self._path.append(key if is_text else None)
            entry = self._node(next(self._events), depth + 1)
            if not is_text:
                self._add_problem(
                    key_node.mark,
                    Message("yaml_key", "got {key} as a key, expected text", key=format_value(key)),
                )
            elif (first := node.entries.get(key)) is not None:
                self._add_problem(key_node, twice(format_value(key), first[0].line + 1))
            else:
                value[key] = entry[0]
                node.entries[key] = key_node, entry[1]
            self._path.pop()
        return value, node

    def _add_problem(self, mark: Any, message: str) -> None:
        _append_problem(self._problems, Problem(_position(mark), message, self._name, tuple(self._path)))

    def _sequence(self, mark: Any, depth: int) -> tuple[Any, _Sequence]:
        value: list[Any] = []
        node = _Sequence(mark)
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            item, item_node = self._node(event, depth + 1)
            value.append(item)
            node.items.append(item_node)
        return value, node

    def _scalar(self, event: Any) -> Any:
        text = event.value
        if event.style not in (None, "") or event.tag is not None:
            return text
        if self._typed:
            return resolve_scalar(text)
        return text or None

    def _invalid(self, mark: Any, message: str) -> InvalidYaml:
        return InvalidYaml([Problem(_position(mark), message, self._name)])


def resolve_scalar(text: str) -> bool | int | float | str | None:
    """Resolve a scalar without quotes; dates, and numbers too long or not representable, are text."""
    if len(text) > _MAX_NUMBER_LENGTH:
        return text
    tag = _RESOLVER.resolve(yaml.ScalarNode, text, (True, False)).removeprefix(_TAG)
    if tag not in ("null", "bool", "int", "float"):
        return text
    node = yaml.ScalarNode(_TAG + tag, text)
    try:
        value: bool | float | None = _CONSTRUCTOR.yaml_constructors[_TAG + tag](_CONSTRUCTOR, node)
    except ValueError:  # `0b_`, or too many digits
        return text
    return value


def _append_problem(problems: list[Problem], problem: Problem) -> None:
    """Append a problem.

    Raises:
        InvalidYaml: there are MAX_PROBLEMS.
    """
    problems.append(problem)
    if len(problems) >= MAX_PROBLEMS:
        raise InvalidYaml(problems)


def _mark(node: _Node) -> Any:
    return node.mark if isinstance(node, _Mapping | _Sequence) else node


def _position(mark: Any) -> Position:
    return Position() if mark is None else Position(mark.line + 1, mark.column + 1)


def _without(value: Any, wrong: set[KeyPath]) -> Any:
    """Return a copy without the values at these paths; None if nothing is left."""
    value = copy.deepcopy(value)
    for path in wrong:
        if wrong.isdisjoint(path[:length] for length in range(len(path))) and not _remove(value, path):
            return None
    return value


def _remove(value: Any, path: KeyPath) -> bool:
    """Remove the path's value, or what lacks it; False if that is the value itself."""
    if not isinstance(value, dict) or not path or path[0] not in value:
        return False
    if not _remove(value[path[0]], path[1:]):
        del value[path[0]]
    return True
