"""The image's lock files: complete, pinned as constraints.txt says, and with a digest for every package."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from script import licences, lock
from wyoming_tts.engines.kokoro.misaki import needed_parts
from wyoming_tts.engines.kokoro.names import BY_TAG, KokoroLanguage

_CONSTRAINTS = (lock.ROOT / "constraints.txt").read_text("utf-8")
_LOCKS = (lock.SERVER, lock.PAGE, lock.MISAKI, lock.BUILD)


def packages(path: Path) -> dict[str, list[str]]:
    """Digests by pinned requirement, such as `name==1.0`."""
    joined = path.read_text("utf-8").replace("\\\n", " ")
    rows = [line for line in joined.splitlines() if line and not line.startswith("#")]
    return {re.split(r"[ ;]", row)[0]: re.findall(r"--hash=(\S+)", row) for row in rows}


def names(path: Path) -> set[str]:
    return set(lock.locked_names(path))


@pytest.mark.parametrize("path", _LOCKS, ids=lambda path: path.stem)
def test_every_package_has_digests_and_no_file_names_an_index(path: Path) -> None:
    assert packages(path)
    for pinned, digests in packages(path).items():
        assert re.fullmatch(r"[\w.-]+==[\w.]+", pinned)
        assert digests
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", digest) for digest in digests)
    assert not re.search(r"https?:|index-url|find-links", path.read_text("utf-8"))


@pytest.mark.parametrize("path", _LOCKS, ids=lambda path: path.stem)
def test_versions_are_those_that_the_release_was_tested_with(path: Path) -> None:
    tested = {
        canonicalize_name(name): version
        for name, version in re.findall(r"^([\w.-]+)==([^\s;]+)", _CONSTRAINTS, re.MULTILINE)
    }
    locked = {
        canonicalize_name(name): version for name, version in (each.split("==") for each in packages(path))
    }
    assert locked == {name: tested.get(name) for name in locked}


def test_the_server_is_locked_with_all_that_its_requirements_require() -> None:
    assert reachable(lock.requirements(page=False)) <= names(lock.SERVER)


def test_the_page_adds_gradio_and_what_it_requires_and_nothing_twice() -> None:
    assert reachable(lock.requirements(page=True)) <= names(lock.SERVER) | names(lock.PAGE)
    assert "gradio" in names(lock.PAGE)
    assert not names(lock.SERVER) & names(lock.PAGE)


def test_japanese_and_mandarin_are_locked_for_every_python_with_all_that_they_require() -> None:
    """misaki itself declares that it is not for Python 3.13, which the image has."""
    rows = lock.MISAKI.read_text("utf-8")
    needed = {lock.package_name(each) for each in lock.misaki_requirements()}
    assert needed <= names(lock.MISAKI) | names(lock.SERVER)
    assert not names(lock.MISAKI) & (names(lock.SERVER) | names(lock.PAGE))
    assert ";" not in rows
    assert {part for language in BY_TAG.values() for part in module_packages(language)} <= names(lock.MISAKI)


def module_packages(language: KokoroLanguage) -> set[str]:
    return {str(canonicalize_name(part)) for part in needed_parts(language)}


def test_the_build_is_locked_with_its_backend() -> None:
    assert {lock.package_name(each) for each in lock.build_requirements()} <= names(lock.BUILD)


def test_the_licence_list_names_every_package_of_the_image_with_its_licence() -> None:
    document = licences.DOCUMENT.read_text("utf-8")
    rows = re.findall(r"^\| ([\w.-]+) \| (.+) \| (\S.*) \|$", document, re.MULTILINE)[1:]
    assert [(name, part) for name, _, part in rows] == [
        (name, part) for part, path in licences.PARTS.items() for name in licences.names_in_image(path)
    ]
    for name, licence, _ in rows:
        assert licence == licences.licence_of(name)


def reachable(wanted: list[str]) -> set[str]:
    """Names of these packages and of everything that they require on this machine."""
    found: set[str] = set()
    queue = [Requirement(each) for each in wanted]
    while queue:
        requirement = queue.pop()
        name = canonicalize_name(requirement.name)
        if name not in found:
            found.add(name)
            queue.extend(_required_by(name))
    return found


def _required_by(name: str) -> Iterator[Requirement]:
    try:
        required = requires(name) or ()
    except PackageNotFoundError:
        return
    for each in map(Requirement, required):
        if each.marker is None or each.marker.evaluate({"extra": "", "python_version": "3.13"}):
            yield each
