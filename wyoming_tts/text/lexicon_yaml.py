r"""How a lexicon is written: YAML, by language and by voice.

```yaml
all:                                      # whatever the language
  Zigbee: zig bee
en:                                       # English of any region; en_GB: for one alone
  kWh: kilowatt hours                     # said: the short form
  Siobhan: {ipa: ʃɪˈvɔːn}                 # phonemes
  Polish: {say: poe lish, case: exact}    # not "polish"
  Home Assistant: home assistant          # a phrase
  'v(\d+)\.(\d+)': {say: 'version \1 point \2', regex: true}
voices:
  en_US-lessac-medium:                    # for one voice
    Yosemite: yo semmity
```

An entry is found where it stands as whole words, white space counting alike; with `regex: true` it is
a regular expression (of the `regex` package), found wherever it matches. `case` is `exact` or `any`;
without it capitals count for a word that is all capitals (`US`) or has one inside (`mW`), and for regular
expressions. A rule of the voice wins over one of `en_US`, that over one of `en`, that over one of `all`.

Everything that is wrong with a file is found in one reading and told by its line. Nodes that refer to
others (anchors, aliases), by which a few lines could grow to gigabytes, are refused.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import regex  # type: ignore[import-untyped]  # knows the scripts of characters
import yaml

from wyoming_tts.languages import fallbacks, is_tag
from wyoming_tts.text.lexicon import (
    EVERY_LANGUAGE,
    Pattern,
    Place,
    Rule,
    Scope,
    Word,
    counts_capitals,
    phoneme_block,
)

MAX_BYTES: Final = 1_000_000
MAX_ENTRIES: Final = 20_000
MAX_PATTERNS: Final = 500
"""Regular expressions, unlike words, cost time each."""
MAX_WRITTEN_CHARS: Final = 200
MAX_SAID_CHARS: Final = 1_000
MAX_IPA_CHARS: Final = 490
"""With its brackets it has to be a block that every stage takes for one."""

_VOICES = "voices"
_DEEPEST = 4
_TOLD = 20
_TRUE, _FALSE = frozenset({"true", "yes", "on"}), frozenset({"false", "no", "off"})
_FIELDS = ("say", "ipa", "case", "regex")
_ENTRY_FORM = "expected a respelling, or a mapping with `say` or `ipa` and perhaps `case` and `regex`"

# What people type for the sign that is meant, and what only shows how two are tied.
_MEANT = str.maketrans({"g": "ɡ", ":": "ː", "'": "ˈ", "\u0361": None, "\u035c": None})
_IPA_SIGN = regex.compile(
    r"[a-zæçðøħŋœβθχǀ-ǃɐ-ʯʰ-˿ᴀ-ᶿ\u0300-\u036f\u1dc0-\u1dff\ua700-\ua71fꭧⁿˡ↑↓→↗↘ꜛꜜ|‖‿.\-() ]"
)
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class LexiconBroken(Exception):
    """A lexicon cannot be used; `problems` tells all that is wrong, each beginning with file and line."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__(problems)
        self.problems = tuple(problems)

    def __str__(self) -> str:
        told = list(self.problems[:_TOLD])
        if len(self.problems) > _TOLD:
            told.append(f"... and {len(self.problems) - _TOLD} more.")
        return "\n".join(told)


@dataclass(frozen=True, slots=True)
class Read:
    """What a file holds."""

    rules: tuple[Rule, ...] = ()
    warnings: tuple[str, ...] = ()
    """What is odd but can be used, each beginning with file and line."""


def read(content: bytes, name: str) -> Read:
    """Read a file's content; `name` is what it is called in messages.

    Raises:
        LexiconBroken: with all its mistakes.
    """
    return _Reader(name).read(content)


@dataclass(frozen=True, slots=True)
class _Scalar:
    text: str
    line: int
    is_quoted: bool


@dataclass(frozen=True, slots=True)
class _List:
    line: int


@dataclass(frozen=True, slots=True)
class _Mapping:
    line: int
    items: list[tuple[_Scalar, _Node]] = field(default_factory=list)


_Node = _Scalar | _List | _Mapping


@dataclass(frozen=True, slots=True)
class _Entry:
    """An entry whose fields are of the right kinds."""

    place: Place
    scope: Scope
    written: str
    say: str | None = None
    ipa: str | None = None
    case: str | None = None
    is_pattern: bool = False


class _Reader:
    """Reads one file, collecting its mistakes."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._problems: list[str] = []
        self._warnings: list[str] = []
        self._seen: dict[tuple[Scope, object], int] = {}
        self._patterns = 0
        self._entries = 0

    def read(self, content: bytes) -> Read:
        root = self._document(content)
        rules = tuple(self._rules(root)) if root is not None else ()
        if self._problems:
            raise LexiconBroken(self._problems)
        return Read(rules, tuple(self._warnings))

    def _wrong(self, line: int, message: str) -> None:
        self._problems.append(f"{self._name}:{line}: {message}")

    def _broken(self, line: int, message: str) -> LexiconBroken:
        return LexiconBroken([*self._problems, f"{self._name}:{line}: {message}"])

    def _document(self, content: bytes) -> _Node | None:
        """The file as a tree; None for one with nothing in it."""
        if len(content) > MAX_BYTES:
            raise self._broken(1, f"the file is larger than {MAX_BYTES:,} bytes, the most that is read")
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            bad = content[error.start]
            raise self._broken(line, f"byte 0x{bad:02x} is no UTF-8; save the file as UTF-8") from error
        try:
            return self._tree(text)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            raise self._broken(mark.line + 1 if mark else 1, f"this is no YAML: {error.problem}") from error
        except yaml.reader.ReaderError as error:
            line = text.count("\n", 0, error.position) + 1
            raise self._broken(line, f"character U+{ord(_character(error)):04X} is not allowed") from error

    def _tree(self, text: str) -> _Node | None:
        root: _Node | None = None
        documents = 0
        events = yaml.parse(text, Loader=_Loader)
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise self._broken(_line(event), "a second document begins; a lexicon is one")
            elif isinstance(event, yaml.NodeEvent):
                root = self._node(event, events, depth=1)
        is_void = isinstance(root, _Scalar) and not root.text and not root.is_quoted
        return None if is_void else root

    def _node(self, event: Any, events: Iterator[Any], *, depth: int) -> _Node:
        if event.anchor is not None:
            raise self._broken(_line(event), f"anchors and aliases ({event.anchor}) are not allowed")
        if isinstance(event, yaml.ScalarEvent):
            return _Scalar(event.value, _line(event), is_quoted=event.style not in (None, ""))
        if depth > _DEEPEST:
            raise self._broken(_line(event), "it is nested deeper than a lexicon is")
        if isinstance(event, yaml.SequenceStartEvent):
            while not isinstance(item := next(events), yaml.SequenceEndEvent):
                self._node(item, events, depth=depth + 1)
            return _List(_line(event))
        mapping = _Mapping(_line(event))
        while not isinstance(item := next(events), yaml.MappingEndEvent):
            key = self._node(item, events, depth=depth + 1)
            value = self._node(next(events), events, depth=depth + 1)
            if isinstance(key, _Scalar):
                mapping.items.append((key, value))
            else:
                self._wrong(key.line, "a key is a list or a mapping; expected text")
        return mapping

    def _rules(self, root: _Node) -> Iterator[Rule]:
        for key, value in self._items(root, "a mapping of languages, `all` and `voices`"):
            if key.text == _VOICES:
                for voice, entries in self._items(value, "a mapping of voices"):
                    yield from self._section(entries, Scope(voice=voice.text))
            elif key.text == EVERY_LANGUAGE or is_tag(key.text):
                yield from self._section(value, Scope(next(fallbacks(key.text))))
            else:
                self._wrong(
                    key.line, f"{key.text!r} is no language; expected one such as en or en_US, all or voices"
                )

    def _items(self, node: _Node, expected: str) -> list[tuple[_Scalar, _Node]]:
        """The pairs of a mapping, told where a key is there twice; none of a section left empty."""
        if isinstance(node, _Scalar) and not node.text and not node.is_quoted:
            return []
        if not isinstance(node, _Mapping):
            self._wrong(node.line, f"expected {expected}")
            return []
        lines: dict[str, int] = {}
        for key, _ in node.items:
            if key.text in lines:
                self._wrong(key.line, f"{key.text!r} is there already, in line {lines[key.text]}")
            lines.setdefault(key.text, key.line)
        return node.items

    def _section(self, node: _Node, scope: Scope) -> Iterator[Rule]:
        for key, value in self._items(node, "a mapping of words to what is said for them"):
            self._entries += 1
            if self._entries > MAX_ENTRIES:
                raise self._broken(
                    key.line, f"there are more than {MAX_ENTRIES:,} entries, the most there may be"
                )
            entry = self._entry(key, value, scope)
            rule = self._rule(entry) if entry else None
            if rule:
                yield rule

    def _entry(self, key: _Scalar, value: _Node, scope: Scope) -> _Entry | None:
        place = Place(self._name, key.line)
        if isinstance(value, _Scalar):
            return _Entry(place, scope, key.text, say=value.text)
        if isinstance(value, _List):
            self._wrong(value.line, f"{key.text!r} is given a list; {_ENTRY_FORM}")
            return None
        before = len(self._problems)
        fields = {name.text: self._field(name, node) for name, node in self._items(value, _ENTRY_FORM)}
        if len(self._problems) > before:
            return None
        return _Entry(
            place,
            scope,
            key.text,
            say=fields.get("say"),
            ipa=fields.get("ipa"),
            case=fields.get("case"),
            is_pattern=fields.get("regex", "") in _TRUE,
        )

    def _field(self, name: _Scalar, node: _Node) -> str:
        if name.text not in _FIELDS:
            self._wrong(name.line, f"{name.text!r} is no field of an entry; there are {', '.join(_FIELDS)}")
            return ""
        if not isinstance(node, _Scalar):
            self._wrong(node.line, f"`{name.text}` is a list or a mapping; expected text")
            return ""
        if name.text == "case" and node.text not in ("exact", "any"):
            self._wrong(node.line, f"`case` is {node.text!r}; expected exact or any")
        if name.text == "regex":
            return self._truth(node)
        return node.text

    def _truth(self, node: _Scalar) -> str:
        text = node.text.lower()
        if node.is_quoted or text not in _TRUE | _FALSE:
            self._wrong(node.line, f"`regex` is {node.text!r}; expected true or false")
        return text

    def _rule(self, entry: _Entry) -> Rule | None:
        problem = _problem(entry)
        if problem:
            self._wrong(entry.place.line, problem)
            return None
        said = " ".join(entry.say.split()) if entry.say is not None else self._block(entry)
        if entry.is_pattern:
            return self._pattern(entry, said)
        exact = entry.case == "exact" if entry.case else counts_capitals(entry.written)
        word = Word(entry.written.strip(), said, exact=exact, scope=entry.scope, place=entry.place)
        line = self._seen.setdefault((entry.scope, word.key), entry.place.line)
        if line != entry.place.line:
            self._wrong(entry.place.line, f"{entry.written!r} is there already, in line {line}")
        return word

    def _pattern(self, entry: _Entry, said: str) -> Pattern | None:
        self._patterns += 1
        if self._patterns > MAX_PATTERNS:
            message = f"there are more than {MAX_PATTERNS} regular expressions, the most there may be"
            raise self._broken(entry.place.line, message)
        if entry.ipa is not None:
            said = said.replace("\\", r"\\")
        exact = entry.case != "any"
        try:
            return Pattern(entry.written, said, exact=exact, scope=entry.scope, place=entry.place)
        except ValueError as error:
            self._wrong(entry.place.line, str(error))
            return None

    def _block(self, entry: _Entry) -> str:
        ipa = _ipa(entry.ipa or "")
        odd = sorted({sign for sign in ipa if not _IPA_SIGN.match(sign)})
        if odd:
            self._warnings.append(
                f"{entry.place}: {' '.join(odd)} in the phonemes of {entry.written!r} is no IPA; "
                "voices leave out what they do not know"
            )
        return phoneme_block(ipa)


def _problem(entry: _Entry) -> str:
    """What makes the entry unusable; empty if nothing does."""
    written, name = entry.written.strip(), repr(entry.written)
    if not written:
        return "the entry has no word"
    if (entry.say is None) == (entry.ipa is None):
        has = "neither `say` nor" if entry.say is None else "both `say` and"
        return f"{name} has {has} `ipa`; expected one of them"
    if len(written) > MAX_WRITTEN_CHARS:
        return f"the entry is longer than {MAX_WRITTEN_CHARS} characters"
    if not entry.is_pattern and ("[[" in written or "]]" in written):
        return f"{name} holds [[ or ]], which stand around phonemes"
    return _problem_of_said(entry, name)


def _problem_of_said(entry: _Entry, name: str) -> str:
    if entry.ipa is not None:
        return _problem_of_ipa(_ipa(entry.ipa), name)
    say = (entry.say or "").strip()
    if not say:
        return f"what is said for {name} is empty; a respelling or `ipa` is expected"
    if len(say) > MAX_SAID_CHARS:
        return f"what is said for {name} is longer than {MAX_SAID_CHARS:,} characters"
    if say.count("[[") != say.count("]]"):
        return f"what is said for {name} holds a [[ or ]] without the other"
    return ""


def _problem_of_ipa(ipa: str, name: str) -> str:
    if not ipa:
        return f"the `ipa` of {name} is empty"
    if "[" in ipa or "]" in ipa or any(unicodedata.category(sign).startswith("C") for sign in ipa):
        return f"the `ipa` of {name} holds brackets or control characters; write the phonemes alone"
    return f"the `ipa` of {name} is longer than {MAX_IPA_CHARS} signs" if len(ipa) > MAX_IPA_CHARS else ""


def _ipa(written: str) -> str:
    """The phonemes, without the slashes or brackets that dictionaries put around them."""
    ipa = " ".join(written.split())
    for opening, closing in ("//", "[]"):
        if len(ipa) > 1 and ipa[0] == opening and ipa[-1] == closing:
            ipa = ipa[1:-1].strip()
            break
    return ipa.translate(_MEANT)


def _line(event: Any) -> int:
    line: int = event.start_mark.line
    return line + 1


def _character(error: yaml.reader.ReaderError) -> str:
    return chr(error.character) if isinstance(error.character, int) else str(error.character)[:1]
