"""Code blocks in the documents are valid in their language."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import yaml

from tests.docs.pages import ROOT, SHELL, Block, Page, pages
from wyoming_tts.settings import load_settings


def _compile_python(text: str) -> None:
    compile(text, "example", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)


def _parse_yaml(text: str) -> None:
    assert yaml.safe_load(text)


PARSERS: Mapping[str, Callable[[str], object]] = {
    "json": json.loads,
    "yaml": _parse_yaml,
    "toml": tomllib.loads,
    "python": _compile_python,
    "mermaid": lambda text: text,
    "text": lambda text: text,
}
BLOCKS = [block for page in pages() for block in page.blocks()]


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language not in SHELL], ids=str)
def test_a_code_block_is_valid_in_its_language(block: Block) -> None:
    assert block.language in PARSERS, f"expected one of {', '.join([*SHELL, *PARSERS])}"
    PARSERS[block.language](block.text)


def test_the_example_settings_file_loads_without_warnings(tmp_path: Path) -> None:
    (block,) = (block for block in BLOCKS if block.text.startswith("# settings.yaml"))
    file = tmp_path / "settings.yaml"
    file.write_text(block.text, "utf-8")
    assert not load_settings({"config": str(file)}, environ={}).warnings


def test_paths_in_the_prose_exist() -> None:
    """Relative to the repository or to its package."""
    roots = (ROOT, ROOT / "wyoming_tts")
    tops = {path.name for root in roots for path in root.iterdir() if path.is_dir() and path.name[0] != "."}
    path = re.compile(rf"(?:{'|'.join(map(re.escape, tops))})/[\w./-]+")
    missing = [
        f"{page}: {span}"
        for page in pages()
        for span in page.code_spans()
        if path.fullmatch(span) and not any((root / span).exists() for root in roots)
    ]
    assert missing == []


def test_headings_and_links_within_code_are_not_parsed(tmp_path: Path) -> None:
    file = tmp_path / "page.md"
    file.write_text("# One `two`\n```sh\n# no heading\n```\n[a](b.md) `[c](d.md)`\n", "utf-8")
    page = Page(file)
    assert page.anchors() == {"one-two"}
    assert page.links() == ["b.md"]
