"""Lock files of the image, with a digest for every package: run `script/lock` after constraints.txt changed.

pip installs nothing from them whose SHA-256 differs, wherever it came from. Versions are those of
constraints.txt; `uv` resolves for every Python and both processors at once.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ROOT / "deploy" / "image"
SERVER = LOCKS / "server.txt"
PAGE = LOCKS / "page.txt"
MISAKI = LOCKS / "misaki.txt"
BUILD = LOCKS / "build.txt"
PAGE_ALONE = frozenset(["gradio"])
"""Requirements that only the page imports; without them, their own requirements are left out too."""
IMAGE_EXTRAS = ("bucket",)
"""Extras that are in every image, because its replicas use them."""

_IMAGE = {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"}
_PYTHONS = (
    {"python_version": "3.12", "python_full_version": "3.12.0"},
    {"python_version": "3.13", "python_full_version": "3.13.0"},
)
_OF_WHEELS = ("--universal", "--only-binary", ":all:")
_OF_SOURCES = ("--python-platform", "linux")  # some are published as sources alone
_HEADER = "# {what}. Written by script/lock.py.\n"


def main() -> int:
    """Write the files."""
    server = _lock(requirements(page=False))
    page = _lock(requirements(page=True))
    _write(SERVER, "What the server needs", server)
    _write(PAGE, "What the page needs besides", {row: page[row] for row in page if row not in server})
    misaki = _lock(misaki_requirements(), options=_OF_SOURCES)
    _write(MISAKI, "What Kokoro's Japanese and Mandarin need", _without(server, misaki))
    _write(BUILD, "What the wheels are built with", _lock(build_requirements()))
    return 0


def requirements(*, page: bool) -> list[str]:
    """Return what the image requires, without what the page does if that is left out."""
    dependencies: list[str] = _pyproject()["project"]["dependencies"]  # type: ignore[index]
    chosen = [each for each in dependencies if page or package_name(each) not in PAGE_ALONE]
    return [*chosen, *(each for extra in IMAGE_EXTRAS for each in _extra(extra))]


def misaki_requirements() -> list[str]:
    """Return what the extra `misaki` requires, for every Python.

    misaki declares itself unfit for Python 3.13, because of what it needs for English, which is not used.
    """
    return [each.partition(";")[0] for each in _extra("misaki")]


def build_requirements() -> list[str]:
    """Return what builds the wheel, and the packages for misaki that are published as sources alone."""
    build: list[str] = _pyproject()["build-system"]["requires"]  # type: ignore[index]
    return [*build, "setuptools"]


def package_name(requirement: str) -> str:
    """Return the normalized name at the beginning of a requirement."""
    return re.sub(r"[-_.]+", "-", re.split(r"[^\w.-]", requirement, maxsplit=1)[0]).lower()


def locked_names(path: Path) -> list[str]:
    """Return the normalized names of the packages in a lock file, in its order."""
    return [package_name(row) for row in re.findall(r"^\w[^ ;]*==", path.read_text("utf-8"), re.MULTILINE)]


def _extra(name: str) -> list[str]:
    extras: dict[str, list[str]] = _pyproject()["project"]["optional-dependencies"]  # type: ignore[index]
    return extras[name]


def _pyproject() -> dict[str, object]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def _without(rows: Mapping[str, str], of: Mapping[str, str]) -> dict[str, str]:
    """Return the rows of packages that none of the others is of."""
    names = set(map(package_name, rows))
    return {row: hashes for row, hashes in of.items() if package_name(row) not in names}


def _lock(wanted: Sequence[str], *, options: Sequence[str] = _OF_WHEELS) -> dict[str, str]:
    """Return each pinned requirement, with its environment marker, and its digests' lines."""
    command = (
        *(shutil.which("uv", path=Path(sys.executable).parent) or "uv", "pip", "compile", "-", "--quiet"),
        *("--constraint", str(ROOT / "constraints.txt"), "--no-config", "--no-header", "--no-annotate"),
        *("--python-version", "3.12", "--generate-hashes", *options),
    )
    run = subprocess.run(command, input="\n".join(wanted), text=True, check=True, stdout=subprocess.PIPE)  # noqa: S603
    compiled = run.stdout
    rows = re.findall(r"^(\S.*?) \\\n((?: {4}--hash=\S+(?: \\)?\n)+)", compiled, flags=re.MULTILINE)
    return {row: hashes for row, hashes in rows if _is_for_image(row)}


def _is_for_image(row: str) -> bool:
    marker = Requirement(row).marker
    return marker is None or any(marker.evaluate({**_IMAGE, **python}) for python in _PYTHONS)


def _write(path: Path, what: str, rows: dict[str, str]) -> None:
    path.parent.mkdir(exist_ok=True)
    body = "".join(f"{row} \\\n{hashes}" for row, hashes in rows.items())
    path.write_text(_HEADER.format(what=what) + body, "utf-8")


if __name__ == "__main__":
    sys.exit(main())
