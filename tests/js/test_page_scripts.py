"""The page's JavaScript: runs each file of `tests/js/` in Node's test runner; checks imports and globals."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS = sorted((ROOT / "tests" / "js").glob("*.test.js"))
SCRIPTS = sorted((ROOT / "ui" / "js").glob("*.js"))
_GLOBAL = re.compile(r"\b(?:window|globalThis|self)\.\w+\s*=[^=]")


@pytest.mark.parametrize("file", TESTS, ids=lambda file: file.name.removesuffix(".test.js"))
def test_the_node_tests_of_a_file_pass(node: str, file: Path) -> None:
    # Node sets this variable for nested test runs, which would suppress the report.
    environment = {name: value for name, value in os.environ.items() if name != "NODE_TEST_CONTEXT"}
    run = subprocess.run(
        [node, "--test-reporter=tap", file],  # with --test it would start another Node
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "# pass 0" not in run.stdout


def test_no_script_defines_a_global() -> None:
    found = [(script.name, _GLOBAL.findall(script.read_text("utf-8"))) for script in SCRIPTS]
    assert [(name, names) for name, names in found if names] == []


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_scripts_import_only_from_their_own_folder(script: Path) -> None:
    names = set(re.findall(r'\bfrom "(.*)";$', script.read_text("utf-8"), re.MULTILINE))
    assert names <= {f"./{each.name}" for each in SCRIPTS}


def test_the_lock_file_contains_no_registry_urls() -> None:
    lock = (ROOT / "package-lock.json").read_text("utf-8")
    assert '"resolved"' not in lock
