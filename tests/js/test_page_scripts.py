"""The page's scripts outside a browser: Node's own runner runs `tests/js/`, a test of this file each."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS = sorted((ROOT / "tests" / "js").glob("*.test.js"))
SCRIPTS = sorted((ROOT / "ui" / "js").glob("*.js"))
_GLOBAL = re.compile(r"\b(?:window|globalThis|self)\.\w+\s*=[^=]")


@pytest.fixture(scope="module")
def node() -> str:
    """Where Node.js is."""
    found = shutil.which(os.environ.get("NODE") or "node")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("There is no Node.js.")
        pytest.skip("There is no Node.js: script/node installs it, or set NODE to where it is.")
    return found


@pytest.mark.parametrize("file", TESTS, ids=lambda file: file.name.removesuffix(".test.js"))
def test_what_it_computes_is_right(node: str, file: Path) -> None:
    # Without the variable that a run of Node's own tests sets for those within.
    environment = {name: value for name, value in os.environ.items() if name != "NODE_TEST_CONTEXT"}
    run = subprocess.run(
        [node, "--test", "--test-reporter=tap", file],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "# pass 0" not in run.stdout


def test_no_script_makes_a_global_name() -> None:
    found = [(script.name, _GLOBAL.findall(script.read_text("utf-8"))) for script in SCRIPTS]
    assert [(name, names) for name, names in found if names] == []


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_scripts_import_only_from_their_own_folder(script: Path) -> None:
    names = set(re.findall(r'\bfrom "(.*)";$', script.read_text("utf-8"), re.MULTILINE))
    assert names <= {f"./{each.name}" for each in SCRIPTS}


def test_the_lock_file_names_no_registry() -> None:
    lock = (ROOT / "package-lock.json").read_text("utf-8")
    assert '"resolved"' not in lock
