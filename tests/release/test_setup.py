"""script/setup installs with uv, which pip fetches, or with pip where uv cannot do it, and makes the page."""

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
"-m wyoming_tts.page.prerendered") echo page >>pages; [ ! -e no-page ] && touch wyoming_tts/page/page.json ;;
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
    for folder in ("script", "ui", "wyoming_tts/page"):
        (tmp_path / folder).mkdir(parents=True)
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


def _pages(checkout: Path) -> int:
    """Return how often the page was made, or tried to be."""
    log = checkout / "pages"
    return len(log.read_text("utf-8").splitlines()) if log.exists() else 0


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


def test_the_page_is_made_once_and_again_when_what_it_is_made_of_is_newer(checkout: Path) -> None:
    for _ in range(2):
        _set_up(checkout)
        assert _pages(checkout) == 1
    (checkout / "ui" / "layout.py").touch()
    os.utime(checkout / "ui" / "layout.py", (1 << 32, 1 << 32))
    _set_up(checkout)
    assert _pages(checkout) == 2


def test_what_tests_and_linters_need_is_set_up_without_the_page(checkout: Path) -> None:
    _set_up(checkout, "dev")
    assert _pages(checkout) == 0


def test_a_page_that_cannot_be_made_keeps_nobody_from_the_server(checkout: Path) -> None:
    (checkout / "no-page").touch()
    assert _set_up(checkout) == ["pip fetches uv", "uv installs --editable ."]
    assert _pages(checkout) == 1
