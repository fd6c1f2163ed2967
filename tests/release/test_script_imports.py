"""Imports from the tests in scripts and demonstrations."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted([*ROOT.glob("script/*.py"), *ROOT.glob("addon/*.py")])


def imported_modules(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_import_nothing_but_scenarios_from_the_tests(path: Path) -> None:
    of_tests = [name for name in imported_modules(path) if name.partition(".")[0] == "tests"]
    assert [name for name in of_tests if not name.startswith("tests.scenarios.")] == []


def test_the_checked_scripts_include_one_that_imports_scenarios() -> None:
    sharing = {path.name for path in SCRIPTS if any("scenarios" in name for name in imported_modules(path))}
    assert "show_packages.py" in sharing
