"""script/release.py: releases are atomic, and refused for an unfit checkout."""

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

pytestmark = pytest.mark.slow  # each test clones a repository

ROOT = Path(__file__).parents[2]
_CHANGELOG = "CHANGELOG.md"
_AUTHOR = ("-c", "user.name=A Maintainer", "-c", "user.email=maintainer@example.org")
_NOTES = "## [Unreleased]\n\n### Added\n\n- A kettle that whistles.\n"
_EMPTY = "## [Unreleased]\n\n### Added\n"
_EXAMPLE = "deploy/example.yaml"

ReleaseRun: TypeAlias = "subprocess.CompletedProcess[str]"


class Checkout:
    """A checkout of the product for test releases."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def git(self, *words: str) -> str:
        command = ["git", *_AUTHOR, *words]
        completed = subprocess.run(command, cwd=self.directory, check=True, capture_output=True, text=True)
        return completed.stdout.strip()

    def release(self, *words: str) -> ReleaseRun:
        command = [sys.executable, "script/release.py", *words, "--no-build"]
        names = ("AUTHOR_NAME", "COMMITTER_NAME", "AUTHOR_EMAIL", "COMMITTER_EMAIL")
        identity = {f"GIT_{name}": "maintainer@example.org" for name in names}
        return subprocess.run(
            command,
            cwd=self.directory,
            env=os.environ | identity,
            check=False,
            capture_output=True,
            text=True,
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
    """A repository with the current sources committed, and unreleased changes for version 0.1.0 or newer."""
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
def released(origin: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Checkout, ReleaseRun]:
    """A checkout after the release of 0.2.0, and the output of the script."""
    checkout = _clone(origin, tmp_path_factory.mktemp("released"))
    return checkout, checkout.release("0.2.0")


def test_a_release_is_a_commit_and_an_annotated_tag(released: tuple[Checkout, ReleaseRun]) -> None:
    checkout, release_run = released
    assert release_run.returncode == 0, release_run.stderr
    assert checkout.git("rev-parse", "v0.2.0^{commit}^") == checkout.git("rev-parse", "origin/main")
    assert checkout.git("cat-file", "-t", "v0.2.0") == "tag"
    assert "### Added\n\n- A kettle that whistles." in checkout.git("tag", "--list", "--format=%(contents)")
    assert checkout.git("status", "--porcelain") == ""
    assert checkout.git("ls-remote", "--tags", "origin") == ""
    assert "git push --atomic origin main v0.2.0" in release_run.stdout


def test_a_release_updates_the_version_everywhere(released: tuple[Checkout, ReleaseRun]) -> None:
    checkout, _ = released
    assert '__version__ = "0.2.0"' in checkout.read("wyoming_tts/__init__.py")
    assert 'version: "0.2.0"' in checkout.read("config.yaml")
    today = datetime.now(UTC).date().isoformat()
    assert checkout.read(_CHANGELOG) == (
        "# Changelog\n\nWhat is new.\n\n## [Unreleased]\n\n"
        f"## [0.2.0] - {today}\n\n### Added\n\n- A kettle that whistles.\n"
    )
    assert checkout.read(_EXAMPLE) == _example("0.2.0")


def test_image_tags_in_deployments_and_docs_are_this_version() -> None:
    package_version = re.search(r'__version__ = "(.*)"', (ROOT / "wyoming_tts" / "__init__.py").read_text())
    assert package_version is not None
    files = [ROOT / "README.md", *(ROOT / "deploy").rglob("*.y*ml"), *(ROOT / "docs").glob("*.md")]
    named = re.compile(r"(?:ghcr\.io/wyoming-tts/wyoming-tts:|newTag: [\"']?)(\d+\.\d+\.\d+)")
    found = {version for file in files for version in named.findall(file.read_text("utf-8"))}
    assert found == {package_version[1]}


def _add_untracked_file(checkout: Checkout) -> None:
    (checkout.directory / "forgotten.py").write_text("")


def _modify_file(checkout: Checkout) -> None:
    (checkout.directory / "README.md").write_text("Soon.")


def _tag_same_version(checkout: Checkout) -> None:
    checkout.git("tag", "v0.2.0")


def _add_newer_changelog_entry(checkout: Checkout) -> None:
    checkout.write(_CHANGELOG, f"{_NOTES}\n## [0.3.0] - 2020-01-01\n\n- Lost its tag.\n")


def _empty_unreleased_section(checkout: Checkout) -> None:
    checkout.write(_CHANGELOG, f"{_EMPTY}\n## [0.0.1] - 2020-01-01\n\n- An old entry.\n")


def _no_change(_: Checkout) -> None:
    """Leave the checkout fit for a release."""


@pytest.mark.parametrize(
    ("version", "prepare", "reason"),
    [
        ("0.2.0", _add_untracked_file, "forgotten.py"),
        ("0.2.0", _modify_file, "README.md"),
        ("0.2.0", _tag_same_version, "0.2.0 is not newer than 0.2.0"),
        ("0.2.0", _add_newer_changelog_entry, "0.2.0 is not newer than 0.3.0"),
        ("0.0.9", _no_change, "0.0.9 is older than 0.1.0"),
        ("0.2", _no_change, "expected three numbers"),
        ("v0.2.0", _no_change, "expected three numbers"),
        ("0.2.0", _empty_unreleased_section, "says nothing under ## [Unreleased]"),
    ],
)
def test_a_release_is_refused_with_its_reason(
    checkout: Checkout, version: str, prepare: Callable[[Checkout], None], reason: str
) -> None:
    prepare(checkout)
    before = checkout.state()
    release_run = checkout.release(version)
    assert release_run.returncode == 1
    assert release_run.stderr.startswith("No release was made: ")
    assert reason in release_run.stderr
    assert checkout.state() == before


def test_a_release_that_fails_halfway_is_rolled_back(checkout: Checkout) -> None:
    """A git hook rejects the tag after the commit has been created."""
    refuse = '#!/bin/sh\ncase "$*" in prepared) grep -q refs/tags/ && exit 1 ;; esac\nexit 0\n'
    hook = checkout.directory / ".git" / "hooks" / "reference-transaction"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(refuse)
    hook.chmod(0o755)
    before = checkout.state()
    release_run = checkout.release("0.2.0")
    assert release_run.returncode == 1
    assert "tag --annotate" in release_run.stderr
    assert checkout.state() == before


def test_a_dry_run_shows_the_release_and_changes_nothing(checkout: Checkout) -> None:
    """Also of the first release, whose version the package has already."""
    before = checkout.state()
    dry_run = checkout.release("0.1.0", "--dry-run")
    assert dry_run.returncode == 0, dry_run.stderr
    assert "v0.1.0 is committed and tagged" in dry_run.stdout
    assert "CHANGELOG.md | " in dry_run.stdout
    assert checkout.state() == before
