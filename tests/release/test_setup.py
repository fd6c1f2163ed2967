"""script/setup installs with uv, which pip fetches, and with pip where uv cannot do it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_PYTHON = """#!/bin/bash
case "$*" in
"-m pip config list") cat pip-config 2>/dev/null ;;
"-m pip install "*" uv") echo pip fetches uv >>log; [ ! -e no-uv ] || exit 1; cp fake-uv .venv/bin/uv ;;
"-m pip install "*) echo pip installs "${*: -2}" >>log ;;
-c*) echo a-package ;;
esac
"""
_UV = """#!/bin/bash
echo uv installs "${*: -2}" >>log
[ ! -e uv-fails ]
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What script/setup needs, with a Python and a uv that only log what they are asked for."""
    (tmp_path / "script").mkdir()
    shutil.copy(ROOT / "script" / "setup", tmp_path / "script")
    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).touch()
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    for path, text in (
        (programs / "python", _PYTHON),
        (tmp_path / "fake-uv", _UV),
        (programs / "wyoming-tts", ""),
    ):
        path.write_text(text, "utf-8")
        path.chmod(0o755)
    return tmp_path


def _set_up(checkout: Path, *groups: str) -> list[str]:
    """Run script/setup where no system's uv is, and return what was newly logged."""
    log = checkout / "log"
    log.write_text("", "utf-8")
    environment = os.environ | {"PATH": "/usr/bin:/bin"}
    subprocess.run(
        ["script/setup", *groups], cwd=checkout, env=environment, check=True, capture_output=True, timeout=30
    )
    return log.read_text("utf-8").splitlines()


pytestmark = pytest.mark.skipif(
    any(Path(directory, "uv").exists() for directory in ("/usr/bin", "/bin")), reason="the system has a uv"
)


def test_uv_is_fetched_once_and_installs_the_product_once(checkout: Path) -> None:
    assert _set_up(checkout, "dev") == ["pip fetches uv", "uv installs . a-package"]
    assert _set_up(checkout, "node") == ["uv installs constraints.txt a-package"]


def test_a_change_of_what_is_needed_installs_anew(checkout: Path) -> None:
    _set_up(checkout, "dev")
    assert not _set_up(checkout, "dev")
    assert not _set_up(checkout)
    (checkout / "constraints.txt").write_text("kettle==2.0", "utf-8")
    assert _set_up(checkout) == ["uv installs --editable ."]


def test_pip_installs_where_uv_cannot_be_fetched(checkout: Path) -> None:
    (checkout / "no-uv").touch()
    assert _set_up(checkout) == ["pip fetches uv", "pip installs --editable ."]


def test_pip_installs_where_uv_fails(checkout: Path) -> None:
    (checkout / "uv-fails").touch()
    assert _set_up(checkout) == ["pip fetches uv", "uv installs --editable .", "pip installs --editable ."]


@pytest.mark.parametrize(
    "setting",
    [
        "global.index-url='https://index.example.org/simple'",
        ":env:.index-url='https://index.example.org/simple'",
        "global.no-index='true'",
    ],
)
def test_an_index_that_pip_is_told_of_is_asked_by_pip_alone(checkout: Path, setting: str) -> None:
    (checkout / "pip-config").write_text(setting, "utf-8")
    assert _set_up(checkout) == ["pip installs --editable ."]


def test_uv_installs_where_pip_is_told_of_one_more_index(checkout: Path) -> None:
    (checkout / "pip-config").write_text("global.extra-index-url='https://index.example.org/simple'", "utf-8")
    assert _set_up(checkout) == ["pip fetches uv", "uv installs --editable ."]
