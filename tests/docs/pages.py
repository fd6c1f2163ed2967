"""Markdown documents: headings, links, code spans, code blocks and the shell commands in them."""

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
    """Line number of the block's first line in the page."""
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass(frozen=True, slots=True)
class Command:
    """A parsed shell command: a pipeline of programs, and the file its output is redirected to."""

    block: Block
    text: str
    programs: tuple[tuple[str, ...], ...]
    out: str | None = None

    def __str__(self) -> str:
        return f"{self.block}: {self.text}"

    @property
    def program(self) -> str:
        """The name of the pipeline's first program, without its directory."""
        return program_name(self.programs[0])


@dataclass(frozen=True, slots=True)
class Page:
    """A document."""

    path: Path

    def __str__(self) -> str:
        return str(self.path.relative_to(ROOT))

    @property
    def text(self) -> str:
        """The whole text."""
        return self.path.read_text("utf-8")

    @property
    def prose(self) -> str:
        """The text without code blocks and comments."""
        return _prose(self.text)

    def blocks(self) -> Iterator[Block]:
        """All code blocks in order."""
        text = self.text
        for match in _FENCE.finditer(text):
            line = text.count("\n", 0, match.start("text")) + 1
            yield Block(str(self), line, match["language"], match["text"])

    def commands(self) -> Iterator[Command]:
        """All shell commands in order."""
        for block in self.blocks():
            if block.language in SHELL:
                yield from commands(block)

    def code_spans(self) -> list[str]:
        """Code spans in the prose."""
        return _CODE.findall(self.prose)

    def links(self) -> list[str]:
        """Targets of links and images."""
        return _LINK.findall(_CODE.sub("", self.prose))

    def anchors(self) -> set[str]:
        """Anchors that GitHub derives from the headings."""
        return {_slug(heading) for heading in _HEADING.findall(self.prose)}


def pages() -> list[Page]:
    """Every user-facing document."""
    named = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "DOCS.md", "SECURITY.md")
    found = [ROOT / name for name in named if (ROOT / name).exists()]
    return [Page(path) for path in (*found, *sorted((ROOT / "docs").glob("*.md")))]


def commands(block: Block) -> Iterator[Command]:
    """The commands of a block; a backslash continues a line."""
    for line in block.text.replace("\\\n", " ").splitlines():
        for words in _split_at(_words(line), {"&&", ";"}):
            out = words[words.index(">") + 1] if ">" in words else None
            rest = words[: words.index(">")] if out else words
            programs = tuple(tuple(program) for program in _split_at(rest, {"|"}))
            if programs:
                yield Command(block, " ".join(line.split("  #")[0].split()), programs, out)


def program_name(words: tuple[str, ...]) -> str:
    """The program's name without its directory."""
    return words[0].rsplit("/", 1)[-1]


@cache
def _prose(text: str) -> str:
    return _COMMENT.sub("", _FENCE.sub("", text))


def _words(line: str) -> list[str]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|;<>&")
    lexer.whitespace_split = True
    lexer.commenters = "#"
    return list(lexer)


def _split_at(words: list[str], marks: set[str]) -> Iterator[list[str]]:
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
