"""Makes a release of the checkout: `script/release X.Y.Z`.

It writes the version to all files that contain it, turns the changelog's Unreleased section into the
version's, commits, builds and tags. If anything fails, the checkout is restored. Nothing is pushed: the
commands to push are printed at the end.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_VERSION_FILE = "wyoming_tts/__init__.py"
_CHANGELOG = "CHANGELOG.md"
_GENERATOR = "script/addon.py"
"""Writes the package's version into the add-on's manifest."""
_NAMING_THE_IMAGE = ("README.md", "docs", "deploy")

_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")
_SAID = re.compile(r'^__version__ = "(.*)"$', re.MULTILINE)
_IMAGE = re.compile(
    r"(?P<before>ghcr\.io/wyoming-tts/wyoming-tts:|^[ -]*newTag: [\"']?)\d+\.\d+\.\d+", re.MULTILINE
)
_UNRELEASED = "## [Unreleased]"
_RELEASED = re.compile(r"^## \[(\d+\.\d+\.\d+)\]", re.MULTILINE)
_SECTION = re.compile(r"^## \[Unreleased\]\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_ENTRY = re.compile(r"^[-*] \S", re.MULTILINE)


class ReleaseRefused(Exception):
    """The release cannot be made from this checkout."""


@dataclass(frozen=True, slots=True)
class Release:
    """A release to make."""

    version: str
    day: date
    notes: str
    """The changelog's section, without its heading."""

    @property
    def tag(self) -> str:
        """Name of the git tag."""
        return f"v{self.version}"


def main(argv: Sequence[str] | None = None) -> int:
    """Make a release; 1 if it was refused."""
    arguments = _parser().parse_args(argv)
    try:
        release = planned(arguments.version)
        if arguments.dry_run:
            _rehearse(release, build=arguments.build)
        else:
            _make(release, build=arguments.build)
    except ReleaseRefused as refused:
        print(f"No release was made: {refused}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="script/release", description=__doc__)
    parser.add_argument("version", metavar="X.Y.Z", help="newer than the last release")
    parser.add_argument("--dry-run", action="store_true", help="do it all in a clone, which is thrown away")
    parser.add_argument("--no-build", dest="build", action="store_false", help="commit and tag alone")
    return parser


def planned(version: str) -> Release:
    """Plan a release of a version, with the notes from the changelog.

    Raises:
        ReleaseRefused: it cannot be made.
    """
    if _VERSION.fullmatch(version) is None:
        raise ReleaseRefused(f"Got the version {version!r}, expected three numbers such as 1.2.3.")
    if changed := _git("status", "--porcelain", "--untracked-files=all"):
        raise ReleaseRefused(f"Commit or remove what is changed first:\n{changed}")
    changelog = _read(_CHANGELOG)
    _check_newer(version, changelog)
    return Release(version, datetime.now(UTC).date(), _notes(changelog))


def _check_newer(version: str, changelog: str) -> None:
    tags = [tag.removeprefix("v") for tag in _git("tag", "--list", "v*").split()]
    released = [known for known in (*tags, *_RELEASED.findall(changelog)) if _VERSION.fullmatch(known)]
    for known in sorted(released, key=_numbers, reverse=True):
        if _numbers(known) >= _numbers(version):
            raise ReleaseRefused(f"{version} is not newer than {known}, which was released already.")
    said = current_version()
    if _numbers(said) > _numbers(version):
        raise ReleaseRefused(f"{version} is older than {said}, which {_VERSION_FILE} says.")


def _notes(changelog: str) -> str:
    section = _SECTION.search(changelog)
    if section is None or _ENTRY.search(section[1]) is None:
        raise ReleaseRefused(
            f"{_CHANGELOG} says nothing under {_UNRELEASED}: write down what people will notice."
        )
    return section[1].strip()


def current_version() -> str:
    """Return the version of the package."""
    said = _SAID.search(_read(_VERSION_FILE))
    if said is None or _VERSION.fullmatch(said[1]) is None:
        raise ReleaseRefused(f'{_VERSION_FILE} has no line `__version__ = "X.Y.Z"`.')
    return said[1]


def _make(release: Release, *, build: bool) -> None:
    with _all_or_nothing(release):
        _write(release)
        _git("add", "--all")  # the checkout was clean: all that is changed now is the release's
        _git("commit", "--quiet", "--message", f"Release {release.version}")
        if build:
            _run("script/dist.py")
        message = f"wyoming-tts {release.version}\n\n{release.notes}\n"
        _git("tag", "--annotate", "--cleanup=whitespace", "--file=-", release.tag, given=message)
    branch = _git("rev-parse", "--abbrev-ref", "HEAD")
    print(f"{release.tag} is committed and tagged; nothing was pushed. Look at it, then:")
    print(f"    git push --atomic origin {branch} {release.tag}")


@contextmanager
def _all_or_nothing(release: Release) -> Iterator[None]:
    before = _git("rev-parse", "HEAD")
    try:
        yield
    except BaseException:
        if _git("tag", "--list", release.tag):
            _git("tag", "--delete", release.tag)
        _git("reset", "--quiet", "--hard", before)
        _git("clean", "--quiet", "--force", "-d")  # what is ignored stays
        raise


def _write(release: Release) -> None:
    """Write the version to every file that contains it."""
    _replace(_VERSION_FILE, _SAID, f'__version__ = "{release.version}"')
    heading = f"## [{release.version}] - {release.day.isoformat()}"
    section = f"{_UNRELEASED}\n\n{heading}\n\n{release.notes}\n\n"
    text = _SECTION.sub(lambda _: section, _read(_CHANGELOG), count=1)
    (ROOT / _CHANGELOG).write_text(text.rstrip() + "\n", "utf-8")
    for name in _git("ls-files", "--", *_NAMING_THE_IMAGE).splitlines():
        if b"ghcr.io/" in (ROOT / name).read_bytes():
            _replace(name, _IMAGE, rf"\g<before>{release.version}")
    if (ROOT / _GENERATOR).exists():
        _run(_GENERATOR)


def _rehearse(release: Release, *, build: bool) -> None:
    with tempfile.TemporaryDirectory() as directory:
        clone = Path(directory) / "clone"
        _git("clone", "--quiet", *_identity(), str(ROOT), str(clone))
        flags = [] if build else ["--no-build"]
        _execute([sys.executable, "script/release.py", release.version, *flags], clone, echo=True)
        print(_git("-C", str(clone), "show", "--stat", "--format=%an: %s", release.tag + "^{commit}"))
        for file in sorted((clone / "dist").glob("*")):
            print(f"{file.stat().st_size:>10} {file.name}")
    print("That was a rehearsal in a clone: this checkout is as it was.")


def _identity() -> list[str]:
    known = {name: _git("config", "--default", "", name) for name in ("user.name", "user.email")}
    return [word for name, value in known.items() if value for word in ("--config", f"{name}={value}")]


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _read(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def _replace(name: str, pattern: re.Pattern[str], text: str) -> None:
    (ROOT / name).write_text(pattern.sub(text, _read(name)), "utf-8")


def _run(script: str) -> None:
    """Run one of the checkout's Python scripts, with the checkout's package."""
    print(_execute([sys.executable, script], ROOT), end="")


def _git(*words: str, given: str | None = None) -> str:
    git = shutil.which("git") or "git"
    return _execute([git, *words], ROOT, given=given).strip()


def _execute(command: Sequence[str], directory: Path, *, given: str | None = None, echo: bool = False) -> str:
    environment = {**os.environ, "PYTHONPATH": str(directory)}
    done = subprocess.run(  # noqa: S603 -- our own words
        command, cwd=directory, env=environment, input=given, check=False, capture_output=True, text=True
    )
    if done.returncode:
        raise ReleaseRefused(
            f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}".rstrip()
        )
    if echo:
        print(done.stdout, end="")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
