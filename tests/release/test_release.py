"""A release is made whole or not at all, and only of a checkout that is fit for it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

import pytest

pytestmark = pytest.mark.slow  # clones, each

ROOT = Path(__file__).parents[2]
_CHANGELOG = "CHANGELOG.md"
_AUTHOR = ("-c", "user.name=A Maintainer", "-c", "user.email=maintainer@example.org")
_NOTES = "## [Unreleased]\n\n### Added\n\n- A kettle that whistles.\n"
_EMPTY = "## [Unreleased]\n\n### Added\n"
_EXAMPLE = "deploy/example.yaml"

Made: TypeAlias = "subprocess.CompletedProcess[str]"


class Checkout:
    """A checkout of the product in which releases may be made."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def git(self, *words: str) -> str:
        command = ["git", *_AUTHOR, *words]
        done = subprocess.run(command, cwd=self.directory, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def release(self, *words: str) -> Made:
        command = [sys.executable, "script/release.py", *words, "--no-build"]
        names = ("AUTHOR_NAME", "COMMITTER_NAME", "AUTHOR_EMAIL", "COMMITTER_EMAIL")
        who = {f"GIT_{name}": "maintainer@example.org" for name in names}
        return subprocess.run(
            command, cwd=self.directory, env=os.environ | who, check=False, capture_output=True, text=True
        )

    def read(self, name: str) -> str:
        return (self.directory / name).read_text("utf-8")

    def write(self, name: str, text: str) -> None:
        (self.directory / name).write_text(text, "utf-8")
        self.git("commit", "--quiet", "--all", "--message", f"Change {name}")

    def state(self) -> tuple[str, str, str]:
        return (
            self.git("rev-parse", "HEAD"),
            self.git("tag", "--list"),
            self.git("status", "--porcelain"),
        )


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a release is about as it is now, committed, with something to release as 0.1.0 or newer."""
    directory = tmp_path_factory.mktemp("origin")
    for name in ("wyoming_tts", "script", "deploy", "translations"):
        if (ROOT / name).exists():
            shutil.copytree(ROOT / name, directory / name, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ROOT.iterdir():
        # In a worktree `.git` is a file, and would lead back to this repository.
        if file.is_file() and file.name != ".git":
            shutil.copy(file, directory)
    version = directory / "wyoming_tts" / "__init__.py"
    version.write_text('"""A server."""\n\n__version__ = "0.1.0"\n', "utf-8")
    (directory / _CHANGELOG).write_text(f"# Changelog\n\nWhat is new.\n\n{_NOTES}", "utf-8")
    (directory / _EXAMPLE).parent.mkdir(exist_ok=True)
    (directory / _EXAMPLE).write_text(_example("0.1.0"), "utf-8")
    checkout = Checkout(directory)
    checkout.git("init", "--quiet", "--initial-branch=main")
    checkout.git("add", "--all")
    checkout.git("commit", "--quiet", "--message", "All of it")
    return directory


def _example(version: str) -> str:
    return f"a: ghcr.io/wyoming-tts/wyoming-tts:{version}-slim\nb:\n  - newTag: {version}\nkettle: 0.1.0\n"


@pytest.fixture
def checkout(origin: Path, tmp_path: Path) -> Checkout:
    return _clone(origin, tmp_path)


def _clone(origin: Path, directory: Path) -> Checkout:
    subprocess.run(["git", "clone", "--quiet", origin, directory / "clone"], check=True)
    return Checkout(directory / "clone")


@pytest.fixture(scope="module")
def released(origin: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Checkout, Made]:
    """A checkout in which 0.2.0 was released, and what was said of it."""
    checkout = _clone(origin, tmp_path_factory.mktemp("released"))
    return checkout, checkout.release("0.2.0")


def test_a_release_is_a_commit_and_an_annotated_tag(released: tuple[Checkout, Made]) -> None:
    checkout, made = released
    assert made.returncode == 0, made.stderr
    assert checkout.git("rev-parse", "v0.2.0^{commit}^") == checkout.git("rev-parse", "origin/main")
    assert checkout.git("cat-file", "-t", "v0.2.0") == "tag"
    assert "### Added\n\n- A kettle that whistles." in checkout.git("tag", "--list", "--format=%(contents)")
    assert checkout.git("status", "--porcelain") == ""
    assert checkout.git("ls-remote", "--tags", "origin") == ""
    assert "git push --atomic origin main v0.2.0" in made.stdout


def test_the_version_is_said_wherever_one_is(released: tuple[Checkout, Made]) -> None:
    checkout, _ = released
    assert '__version__ = "0.2.0"' in checkout.read("wyoming_tts/__init__.py")
    assert 'version: "0.2.0"' in checkout.read("config.yaml")
    today = datetime.now(UTC).date().isoformat()
    assert checkout.read(_CHANGELOG) == (
        "# Changelog\n\nWhat is new.\n\n## [Unreleased]\n\n"
        f"## [0.2.0] - {today}\n\n### Added\n\n- A kettle that whistles.\n"
    )
    assert checkout.read(_EXAMPLE) == _example("0.2.0")


def test_what_the_deployments_name_is_this_version() -> None:
    said = re.search(r'__version__ = "(.*)"', (ROOT / "wyoming_tts" / "__init__.py").read_text())
    assert said is not None
    files = [ROOT / "README.md", *(ROOT / "deploy").rglob("*.y*ml"), *(ROOT / "docs").glob("*.md")]
    named = re.compile(r"(?:ghcr\.io/wyoming-tts/wyoming-tts:|newTag: [\"']?)(\d+\.\d+\.\d+)")
    found = {version for file in files for version in named.findall(file.read_text("utf-8"))}
    assert found == {said[1]}


def _leave_something_behind(checkout: Checkout) -> None:
    (checkout.directory / "forgotten.py").write_text("")


def _change_something(checkout: Checkout) -> None:
    (checkout.directory / "README.md").write_text("Soon.")


def _release_it_before(checkout: Checkout) -> None:
    checkout.git("tag", "v0.2.0")


def _write_it_into_the_changelog(checkout: Checkout) -> None:
    checkout.write(_CHANGELOG, f"{_NOTES}\n## [0.3.0] - 2020-01-01\n\n- Lost its tag.\n")


def _say_nothing(checkout: Checkout) -> None:
    checkout.write(_CHANGELOG, f"{_EMPTY}\n## [0.0.1] - 2020-01-01\n\n- An old entry.\n")


def _nothing(_: Checkout) -> None:
    """The checkout is fit for a release."""


@pytest.mark.parametrize(
    ("version", "prepare", "reason"),
    [
        ("0.2.0", _leave_something_behind, "forgotten.py"),
        ("0.2.0", _change_something, "README.md"),
        ("0.2.0", _release_it_before, "0.2.0 is not newer than 0.2.0"),
        ("0.2.0", _write_it_into_the_changelog, "0.2.0 is not newer than 0.3.0"),
        ("0.0.9", _nothing, "0.0.9 is older than 0.1.0"),
        ("0.2", _nothing, "expected three numbers"),
        ("v0.2.0", _nothing, "expected three numbers"),
        ("0.2.0", _say_nothing, "says nothing under ## [Unreleased]"),
    ],
)
def test_a_release_is_refused_with_its_reason(
    checkout: Checkout, version: str, prepare: Callable[[Checkout], None], reason: str
) -> None:
    prepare(checkout)
    before = checkout.state()
    made = checkout.release(version)
    assert made.returncode == 1
    assert made.stderr.startswith("No release was made: ")
    assert reason in made.stderr
    assert checkout.state() == before


def test_what_fails_halfway_leaves_no_trace(checkout: Checkout) -> None:
    """Something refuses the tag, when the commit is made already."""
    refuse = '#!/bin/sh\ncase "$*" in prepared) grep -q refs/tags/ && exit 1 ;; esac\nexit 0\n'
    hook = checkout.directory / ".git" / "hooks" / "reference-transaction"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(refuse)
    hook.chmod(0o755)
    before = checkout.state()
    made = checkout.release("0.2.0")
    assert made.returncode == 1
    assert "tag --annotate" in made.stderr
    assert checkout.state() == before


def test_a_rehearsal_shows_all_and_changes_nothing(checkout: Checkout) -> None:
    """Of the first release, too: its version is the one that the package says already."""
    before = checkout.state()
    rehearsed = checkout.release("0.1.0", "--dry-run")
    assert rehearsed.returncode == 0, rehearsed.stderr
    assert "v0.1.0 is committed and tagged" in rehearsed.stdout
    assert "CHANGELOG.md | " in rehearsed.stdout
    assert checkout.state() == before
