"""docs/architecture.md matches the code: layers, paths and names."""

from __future__ import annotations

import ast
import re
import runpy
import tomllib
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, Page

PACKAGE = ROOT / "wyoming_tts"
PAGE = Page(ROOT / "docs" / "architecture.md")

_DOTTED = re.compile(r"[a-z_]\w*(?:\.\w+)+")
_ENDINGS = ("md", "py", "toml", "yaml")
_CLASS = re.compile(r"[A-Z]\w*[a-z]\w*")
_ROW = re.compile(r"^\| (?!---)(.+) \|$", re.MULTILINE)
_CODE = re.compile(r"`([^`]+)`")


def test_the_layer_diagram_is_generated_from_the_import_contract() -> None:
    """`script/format` regenerates it."""
    assert PAGE.text == runpy.run_path(str(ROOT / "script" / "readme.py"))["written"]()[PAGE.path]
    assert "floor0" in PAGE.text


def test_every_package_and_module_is_described_once_in_its_layer() -> None:
    described = [_CODE.findall(first) for first, *_ in _table("package or module")]
    packages = {
        path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert sorted(described) == sorted([name] for name in packages - {"__init__"})
    layers = [sorted(name.strip() for name in layer.split("|")) for layer in _layers()]
    assert [name for (name,) in described] == [name for layer in layers for name in layer]


def test_every_dotted_name_is_defined_in_its_module() -> None:
    names = [span for span in PAGE.code_spans() if _is_dotted_name(span)]
    assert len(names) > 50
    missing = [name for name in names if not _is_defined(name)]
    assert not missing, missing


def test_classes_are_named_with_their_module() -> None:
    """Otherwise nothing could tell whether it exists."""
    bare = [span for span in PAGE.code_spans() if _CLASS.fullmatch(span)]
    assert [span for span in bare if not (ROOT / span).exists()] == []


def test_every_path_exists() -> None:
    paths = [span for span in PAGE.code_spans() if "/" in span]
    assert len(paths) > 40
    missing = [path for path in paths if not (ROOT / path).exists()]
    assert not missing, missing


def test_every_question_is_answered_with_full_paths() -> None:
    rows = list(_table("question"))
    assert len(rows) >= 25
    for question, places in rows:
        assert question.endswith("?"), question
        assert [span for span in _CODE.findall(places) if not (ROOT / span).exists()] == [], question


def test_every_glossary_term_is_unique_and_defined_in_the_code() -> None:
    rows = list(_table("term"))
    terms = [term for term, *_ in rows]
    assert terms == sorted(terms, key=str.lower)
    assert len(terms) == len({*terms}) >= 30
    for term, _, places in rows:
        names = _CODE.findall(places)
        assert names, term
        assert [name for name in names if not _is_defined(name)] == [], term


@pytest.mark.parametrize(
    ("name", "exists"),
    [
        ("speech", True),
        ("synthesis.synthesizer", True),
        ("speech.Utterance.hops", True),
        ("synthesis.synthesizer.Synthesizer.speak", True),
        ("synthesis.Synthesizer", False),
        ("speech.Utterance.nothing", False),
        ("speech.Nothing", False),
        ("nothing.at_all", False),
    ],
)
def test_a_missing_name_is_detected(name: str, *, exists: bool) -> None:
    """A name that a module only imports counts as missing."""
    assert _is_defined(name) is exists


def _is_dotted_name(span: str) -> bool:
    return _DOTTED.fullmatch(span) is not None and span.rpartition(".")[2] not in _ENDINGS


def _is_defined(name: str) -> bool:
    """Whether a module of the package, or something that one defines, has this dotted name."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        path = PACKAGE.joinpath(*parts[:length])
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if file.exists():
                return _defines(_body(file), parts[length:])
    return False


def _defines(body: Sequence[ast.stmt], names: Sequence[str]) -> bool:
    if not names:
        return True
    found = [statement for statement in body if names[0] in _names(statement)]
    return any(_defines(getattr(statement, "body", []), names[1:]) for statement in found)


def _names(statement: ast.stmt) -> Iterator[str]:
    match statement:
        case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            yield name
        case ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]):
            yield name


@cache
def _body(file: Path) -> Sequence[ast.stmt]:
    return ast.parse(file.read_text("utf-8")).body


def _layers() -> list[str]:
    rules = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    layers: list[str] = next(rule["layers"] for rule in rules if rule.get("containers") == ["wyoming_tts"])
    return layers


def _table(first_heading: str) -> Iterator[list[str]]:
    """The rows of the table with this heading over its first column."""
    text = PAGE.prose.split(f"| {first_heading} |", 1)[1].split("\n\n", 1)[0]
    for row in _ROW.findall(text.partition("\n")[2]):
        yield [cell.strip() for cell in row.split(" | ")]
