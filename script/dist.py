"""Builds the files of a release: `script/dist`.

Builds are reproducible: the same commit gives the same bytes everywhere. Times are the commit's, versions
those of constraints.txt, and the bill of materials lists what a fresh installation of the wheel contains.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = ROOT / "constraints.txt"
SUMS = "SHA256SUMS"
_NAME = "wyoming_tts"


def main(argv: Sequence[str] | None = None) -> int:
    """Build, and print the digests of the files."""
    parser = argparse.ArgumentParser(prog="script/dist", description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "dist", metavar="DIRECTORY")
    parser.add_argument("--no-sbom", action="store_true", help="leave out the bill of materials")
    arguments = parser.parse_args(argv)
    build_packages(arguments.out)
    if not arguments.no_sbom:
        write_bill(wheel_in(arguments.out), arguments.out)
    for line in write_sums(arguments.out):
        print(line)
    return 0


def build_packages(out: Path) -> None:
    """Build sdist and wheel of the checkout into `out`, replacing earlier builds.

    The wheel is built from the sdist, so that their contents cannot differ.
    """
    out.mkdir(parents=True, exist_ok=True)
    for built in (*out.glob(f"{_NAME}-*"), out / SUMS):
        built.unlink(missing_ok=True)
    run(sys.executable, "-m", "build", "--outdir", str(out), str(ROOT), env=_build_environment())


def wheel_in(directory: Path) -> Path:
    """Return the wheel that was built there."""
    (wheel,) = directory.glob(f"{_NAME}-*.whl")
    return wheel


def sdist_in(directory: Path) -> Path:
    """Return the sdist that was built there."""
    (sdist,) = directory.glob(f"{_NAME}-*.tar.gz")
    return sdist


def write_bill(wheel: Path, out: Path) -> Path:
    """Install the wheel into an empty environment and list its packages, as CycloneDX JSON."""
    bill = out / f"{wheel.name.removesuffix('-py3-none-any.whl')}.cdx.json"
    with tempfile.TemporaryDirectory() as directory:
        environment = Path(directory) / "venv"
        run(sys.executable, "-m", "venv", "--without-pip", str(environment))
        pip = (sys.executable, "-m", "pip", "--python", str(environment), "install", "--quiet")
        run(*pip, "--constraint", str(CONSTRAINTS), str(wheel))
        for origin in environment.glob(f"lib/*/site-packages/{_NAME}-*.dist-info/direct_url.json"):
            origin.unlink()  # it names a path of this machine
        run(
            *(sys.executable, "-m", "cyclonedx_py", "environment", str(environment)),
            *("--pyproject", str(ROOT / "pyproject.toml"), "--mc-type", "application"),
            *("--output-reproducible", "--output-format", "JSON", "--output-file", str(bill)),
            env=_build_environment(),
        )
    _name_version(bill, version=wheel.name.split("-")[1])
    return bill


def _name_version(bill: Path, *, version: str) -> None:
    """Add the version to the bill: a pyproject.toml with a dynamic version does not have it."""
    content = json.loads(bill.read_text("utf-8"))
    content["metadata"]["component"] |= {"version": version, "purl": f"pkg:pypi/wyoming-tts@{version}"}
    bill.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", "utf-8")


def write_sums(out: Path) -> list[str]:
    """Write the digests of the release's files in the format of `sha256sum --check`; returns the lines."""
    files = sorted(out.glob(f"{_NAME}-*"))
    lines = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}" for file in files]
    (out / SUMS).write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return lines


def run(*command: str, env: Mapping[str, str] | None = None) -> str:
    """Run a program in the checkout and wait for it; returns its output.

    Raises:
        SystemExit: it failed; the message has its output.
    """
    done = subprocess.run(  # noqa: S603 -- our own words
        command, cwd=ROOT, env=env, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode:
        raise SystemExit(f"{done.stdout}\n{' '.join(command)} ended with {done.returncode}.")
    return done.stdout


def _build_environment() -> dict[str, str]:
    return {
        **os.environ,
        "SOURCE_DATE_EPOCH": os.environ.get("SOURCE_DATE_EPOCH") or _commit_time(),
        "PIP_CONSTRAINT": str(CONSTRAINTS),  # holds for the build backend too
    }


def _commit_time() -> str:
    return run("git", "log", "-1", "--format=%ct").strip()


if __name__ == "__main__":
    sys.exit(main())
