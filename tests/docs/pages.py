"""The documents as a reader sees them: their headings, links and blocks of code."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
SHELL = frozenset({"sh", "bash", "shell", "console"})

_FENCE = re.compile(
    r"^(?P<indent> *)(?P<mark>```+)(?P<language>\S*)[^\n]*\n(?P<text>.*?)^ *(?P=mark) *$",
    re.MULTILINE | re.DOTALL,
)
_CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^()\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_NO_SLUG = re.compile(r"[^\w\- ]")


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code."""

    page: str
    line: int
    """Of the page, of the block's first line."""
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass(frozen=True, slots=True)
class Command:
    """What a shell would do with a line: programs, each fed by the one before, and a file for the last."""

    block: Block
    text: str
    programs: tuple[tuple[str, ...], ...]
    out: str | None = None

    def __str__(self) -> str:
        return f"{self.block}: {self.text}"

    @property
    def program(self) -> str:
        """What is called first, without where it lies."""
        return called(self.programs[0])


@dataclass(frozen=True, slots=True)
class Page:
    """A document."""

    path: Path

    def __str__(self) -> str:
        return str(self.path.relative_to(ROOT))

    @property
    def text(self) -> str:
        """All of it."""
        return self.path.read_text("utf-8")

    @property
    def prose(self) -> str:
        """What is no block of code, and no comment."""
        return _prose(self.text)

    def blocks(self) -> Iterator[Block]:
        """All blocks of code, in their order."""
        text = self.text
        for match in _FENCE.finditer(text):
            line = text.count("\n", 0, match.start("text")) + 1
            yield Block(str(self), line, match["language"], match["text"])

    def commands(self) -> Iterator[Command]:
        """All commands for a shell, in their order."""
        for block in self.blocks():
            if block.language in SHELL:
                yield from commands(block)

    def code_spans(self) -> list[str]:
        """What stands in backticks within the prose."""
        return _CODE.findall(self.prose)

    def links(self) -> list[str]:
        """Where links and pictures lead to."""
        return _LINK.findall(_CODE.sub("", self.prose))

    def anchors(self) -> set[str]:
        """What a link may name behind its `#`, as GitHub makes it of the headings."""
        return {_slug(heading) for heading in _HEADING.findall(self.prose)}


def pages() -> list[Page]:
    """Every document that people read, whether or not it is there on its own account."""
    named = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "DOCS.md", "SECURITY.md")
    found = [ROOT / name for name in named if (ROOT / name).exists()]
    return [Page(path) for path in (*found, *sorted((ROOT / "docs").glob("*.md")))]


def commands(block: Block) -> Iterator[Command]:
    """The commands of a block; line ends behind a backslash are none."""
    for line in block.text.replace("\\\n", " ").splitlines():
        for words in _divided(_words(line), {"&&", ";"}):
            out = words[words.index(">") + 1] if ">" in words else None
            rest = words[: words.index(">")] if out else words
            programs = tuple(tuple(program) for program in _divided(rest, {"|"}))
            if programs:
                yield Command(block, " ".join(line.split("  #")[0].split()), programs, out)


def called(words: tuple[str, ...]) -> str:
    """The program's own name."""
    return words[0].rsplit("/", 1)[-1]


@cache
def _prose(text: str) -> str:
    return _COMMENT.sub("", _FENCE.sub("", text))


def _words(line: str) -> list[str]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|;<>&")
    lexer.whitespace_split = True
    lexer.commenters = "#"
    return list(lexer)


def _divided(words: list[str], marks: set[str]) -> Iterator[list[str]]:
    part: list[str] = []
    for word in [*words, *list(marks)[:1]]:
        if word not in marks:
            part.append(word)
        elif part:
            yield part
            part = []


def _slug(heading: str) -> str:
    text = _LINK.sub(lambda link: link[0][link[0].index("[") + 1 : link[0].rindex("](")], heading)
    return _NO_SLUG.sub("", text.lower()).replace(" ", "-")
