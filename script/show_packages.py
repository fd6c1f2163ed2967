"""Demonstration that the packages of a release work: `script/show-packages`.

Wheel and sdist are built and compared with the checkout. Then each is installed with each Python, outside the
checkout, in an environment with only the product's requirements; its server is started and tested over
Wyoming, over HTTP and in a browser; and after it is uninstalled nothing of it may be left. Each check that
passes prints a line; the first failure ends the run.
"""

from __future__ import annotations

import argparse
import email
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

import httpx
from packaging.metadata import Metadata
from playwright.sync_api import Page, TimeoutError, expect, sync_playwright  # noqa: A004 -- Playwright's own

from script.dist import CONSTRAINTS, ROOT, build_packages, run, sdist_in, wheel_in
from tests.scenarios.page_problems import PageProblems

_NEWER = ("python3.12", "python3.13")
_CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
_FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
_TEXT = "The front door is open."
_WHEEL_HAS = {
    "wyoming_tts": ("*.py", "*.yaml", "*.json", "*.txt", "py.typed"),
    "ui": ("*.py", "*.css", "*.js", "*.yaml", "*.svg", "py.typed"),
}
"""Files of the checkout's folders that the wheel has to contain."""
_CATALOGUES = ("piper.yaml", "piper_facts.yaml", "kokoro.yaml", "blends.yaml")
_WRITTEN_BY_OTHERS = "/gradio/hash_seed.txt"
"""A file that Gradio writes beside its own when it first starts."""
_FEWEST_SAMPLES = 10_000
_QUIETEST = 1000
"""Peak of 16-bit samples; anything below is no speech."""
_START_PATIENCE = 90.0
_STOP_PATIENCE = 20.0
_PAGE_PATIENCE = 120_000


class CheckFailed(Exception):
    """A check failed."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run all checks; 1 if one fails."""
    arguments = _parser().parse_args(argv)
    try:
        with tempfile.TemporaryDirectory(prefix="packages-") as directory:
            _show_all(arguments, Path(directory))
    except CheckFailed as failed:
        print(f"FAILED {failed}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="script/show-packages", description=__doc__)
    parser.add_argument(
        "--python",
        action="append",
        default=[],
        metavar="PROGRAM",
        help="instead of this one and every newer one in PATH; may be given again, as may --rootfs",
    )
    parser.add_argument(
        "--rootfs",
        action="append",
        type=Path,
        default=[],
        metavar="DIRECTORY",
        help="a system with python3-venv that reaches the package index, to be entered by chroot (as root)",
    )
    parser.add_argument("--out", type=Path, metavar="DIRECTORY", help="keep packages and pictures there")
    return parser


def _show_all(arguments: argparse.Namespace, scratch: Path) -> None:
    out = (arguments.out or scratch / "out").resolve()
    out.mkdir(parents=True, exist_ok=True)
    packages = _built(out)
    pythons = arguments.python or ([] if arguments.rootfs else _pythons())
    places = [Place.here(python) for python in pythons]
    places += [Place.inside(rootfs.resolve()) for rootfs in arguments.rootfs]
    for place in places:
        _show(packages, place, out)


def _built(out: Path) -> tuple[Path, Path]:
    build_packages(out)
    wheel, sdist = wheel_in(out), sdist_in(out)
    _ok(f"built {wheel.name} ({_kilobytes(wheel)}) and {sdist.name} ({_kilobytes(sdist)})")
    again = out / "again"
    run(sys.executable, "-m", "build", "--wheel", "--outdir", str(again), str(ROOT), env=_constrained())
    of_tree, of_sdist = _digests(wheel_in(again)), _digests(wheel)
    shutil.rmtree(again)
    _hold(
        of_tree == of_sdist, f"the sdist's wheel is the checkout's: {len(of_sdist)} files, all digests equal"
    )
    _check_wheel(set(of_sdist))
    _check_metadata(wheel)
    _check_sdist(sdist)
    return wheel, sdist


def _check_wheel(names: set[str]) -> None:
    wanted = {f"wyoming_tts/voices/data/{name}" for name in _CATALOGUES}
    for folder, patterns in _WHEEL_HAS.items():
        wanted |= {
            name for name in _of_checkout(folder) if any(PurePosixPath(name).match(each) for each in patterns)
        }
    _hold(wanted <= names, f"the wheel has {len(wanted)} modules and data files", sorted(wanted - names))
    metadata = {name for name in names if ".dist-info/" in name}
    _hold(wanted | metadata >= names, "and nothing else but its metadata", sorted(names - wanted - metadata))


def _check_metadata(wheel: Path) -> None:
    try:
        metadata = Metadata.from_email(_metadata(wheel), validate=True)
    except ExceptionGroup as invalid:
        raise CheckFailed(
            f"The metadata is not valid: {[str(each) for each in invalid.exceptions]}"
        ) from invalid
    about = f"{metadata.name} {metadata.version}, {metadata.license_expression}"
    _ok(f"the metadata is valid: {about}, Python {metadata.requires_python}")


def _metadata(wheel: Path) -> bytes:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return archive.read(name)


def _check_sdist(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        members = [member for member in archive.getmembers() if member.isfile()]
        names = {name.partition("/")[2] for name in archive.getnames()}
        leaks = [member.name for member in members if _names_this_machine(member, archive)]
    kept = {
        name
        for name in run("git", "ls-files", "-co", "--exclude-standard").splitlines()
        if (ROOT / name).exists()
    }
    _hold(
        names == kept | {"PKG-INFO"}, f"the sdist has the checkout's {len(kept)} files", sorted(names ^ kept)
    )
    _hold(not leaks, "and no path of the machine that built it", leaks)


def _of_checkout(*folders: str) -> set[str]:
    listed = run("git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *folders).splitlines()
    return {name for name in listed if (ROOT / name).exists()}


def _names_this_machine(member: tarfile.TarInfo, archive: tarfile.TarFile) -> bool:
    content = archive.extractfile(member)
    text = content.read() if content else b""
    return bool({member.uname, member.gname, member.uid} - {"", 0}) or os.fsencode(ROOT) in text


def _digests(wheel: Path) -> dict[str, str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: hashlib.sha256(archive.read(name)).hexdigest() for name in archive.namelist()}


def _pythons() -> list[str]:
    """This Python and every newer one in PATH that starts; some in PATH are shims without an interpreter."""
    starts = [name for name in _NEWER if shutil.which(name) and _version(name)]
    return [sys.executable, *starts]


def _version(python: str, *prefix: str) -> str:
    command = [*prefix, python, "-c", "import platform; print(platform.python_version())"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 -- our own words
    return done.stdout.strip()


@dataclass(frozen=True, slots=True)
class Place:
    """Where packages are installed: this system, or another root filesystem."""

    name: str
    python: str
    root: Path
    prefix: tuple[str, ...] = ()

    @classmethod
    def here(cls, python: str) -> Place:
        """Use this system, with one of its Pythons."""
        return cls(f"Python {_version(python)}", python, Path("/"))

    @classmethod
    def inside(cls, rootfs: Path) -> Place:
        """Use another root filesystem, with its own Python, by chroot."""
        enter = ("chroot", str(rootfs))
        version = _version("/usr/bin/python3", *enter)
        if not version:
            raise CheckFailed(f"{rootfs} has no /usr/bin/python3, or may not be entered: chroot is root's.")
        return cls(f"Python {version} in {rootfs.name}", "/usr/bin/python3", rootfs, enter)

    @contextmanager
    def directory(self) -> Iterator[tuple[Path, str]]:
        """Make a temporary directory; yields its path seen from outside and from inside."""
        with tempfile.TemporaryDirectory(prefix="packages-", dir=self.root / "tmp") as path:
            yield Path(path), f"/{Path(path).relative_to(self.root)}"


class Environment:
    """An empty virtual environment in a place."""

    def __init__(self, place: Place, outside: Path, inside: str) -> None:
        self.outside = outside
        self.inside = inside
        self._place = place
        self._programs = f"{inside}/venv/bin"
        self._run(place.python, "-m", "venv", f"{inside}/venv")

    def pip(self, *words: str) -> None:
        """Run its pip."""
        self._run(f"{self._programs}/python", "-m", "pip", "--disable-pip-version-check", "--quiet", *words)

    def install(self, *words: str) -> None:
        """Install packages with its pip, in the versions that the product is tested with."""
        self.pip("install", "--constraint", f"{self.inside}/{CONSTRAINTS.name}", *words)

    def product(self, *words: str) -> str:
        """Run the product's command to its end."""
        return self._run(f"{self._programs}/wyoming-tts", *words)

    def start(self, *words: str, log: IO[bytes]) -> subprocess.Popen[bytes]:
        """Start the product's command."""
        return subprocess.Popen(  # noqa: S603 -- our own words
            [*self._place.prefix, f"{self._programs}/wyoming-tts", *words],
            cwd=self.outside,
            env=_clean(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )

    def files(self) -> set[str]:
        """Files in site-packages and bin, without compiled ones."""
        venv = self.outside / "venv"
        found = (*venv.glob("bin/*"), *venv.glob("lib/*/site-packages/**/*"))
        names = {str(path.relative_to(venv)) for path in found if "__pycache__" not in path.parts}
        return {name for name in names if not name.endswith(_WRITTEN_BY_OTHERS)}

    def _run(self, *command: str) -> str:
        done = subprocess.run(  # noqa: S603 -- our own words
            [*self._place.prefix, *command],
            cwd=self.outside,
            env=_clean(),
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode:
            raise CheckFailed(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}")
        return done.stdout


def _show(packages: Sequence[Path], place: Place, out: Path) -> None:
    """Install the requirements; then install, test and uninstall each package."""
    with place.directory() as (outside, inside):
        environment = Environment(place, outside, inside)
        for file in (*packages, CONSTRAINTS):
            shutil.copy(file, outside)
        (outside / "needed.txt").write_text("\n".join(_requirements(out)), "utf-8")
        environment.install("--requirement", f"{inside}/needed.txt")
        before = environment.files()
        for package in packages:
            kind = "wheel" if package.suffix == ".whl" else "sdist"
            about = f"{place.name}, {kind}:"
            environment.install(f"{inside}/{package.name}")
            added = len(environment.files() - before)
            _hold(added > 0, f"{about} {added} files and folders are installed beside what it needs")
            name = re.sub(r"[^0-9a-z.]+", "-", place.name.lower())
            _show_running(environment, about, out / f"{kind}-{name}.png")
            environment.pip("uninstall", "--yes", "wyoming-tts")
            left = sorted(environment.files() - before)
            _hold(not left, f"{about} uninstalled, and nothing of it is left", left)


def _requirements(out: Path) -> list[str]:
    """Requirements of the wheel, without extras."""
    metadata = email.message_from_bytes(_metadata(wheel_in(out)))
    return [need for need in metadata.get_all("Requires-Dist", []) if "extra ==" not in need]


def _show_running(environment: Environment, about: str, picture: Path) -> None:
    said = environment.product("--version").strip()
    _ok(f"{about} `wyoming-tts --version` says {said}")
    with _server(environment) as (process, wyoming, http):
        environment.product("say", _TEXT, "--uri", wyoming, "--out", f"{environment.inside}/said.wav")
        _check_sound((environment.outside / "said.wav").read_bytes(), f"{about} `wyoming-tts say` got")
        request = {"model": "tts-1", "input": _TEXT, "voice": "espeak-en-us", "response_format": "wav"}
        answer = httpx.post(f"{http}/v1/audio/speech", json=request, timeout=30)
        _hold(answer.is_success, f"{about} HTTP answered {answer.status_code}", answer.text[:500])
        _check_sound(answer.content, f"{about} HTTP brought")
        _check_page(http, about, picture)
        process.send_signal(signal.SIGTERM)
        _hold(process.wait(_STOP_PATIENCE) == 0, f"{about} the server stopped when it was told to")


@contextmanager
def _server(environment: Environment) -> Iterator[tuple[subprocess.Popen[bytes], str, str]]:
    flags = ("--uri", "tcp://127.0.0.1:0", "--http-port", "0", "--no-zeroconf", "--offline")
    path = environment.outside / "server.log"
    with path.open("wb") as log:
        process = environment.start("serve", *flags, "--data-dir", f"{environment.inside}/data", log=log)
        try:
            wyoming = _said(path, process, r"listens on (tcp://[^ ]+)\.$")
            http = _said(path, process, r"HTTP API listens on (http://[^ ]+)\.$")
            _said(path, process, r"(Ready): ")
            yield process, wyoming, http
        finally:
            process.kill()
            process.wait()


def _said(log: Path, process: subprocess.Popen[bytes], pattern: str) -> str:
    found: list[str] = []

    def is_said() -> bool:
        found[:] = re.findall(pattern, log.read_text("utf-8"), re.MULTILINE)
        return bool(found) or process.poll() is not None

    _wait(is_said, _START_PATIENCE)
    if not found:
        raise CheckFailed(f"The server did not say {pattern!r}:\n{log.read_text('utf-8')}")
    return found[0]


def _wait(holds: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.1)


def _check_sound(wav: bytes, about: str) -> None:
    start = wav.find(b"data") + 8
    samples = array("h", wav[start : start + (len(wav) - start) // 2 * 2])
    loudest = max(map(abs, samples), default=0)
    _hold(
        wav.startswith(b"RIFF") and len(samples) > _FEWEST_SAMPLES and loudest > _QUIETEST,
        f"{about} {len(samples)} samples of speech, the loudest {loudest}",
    )


def _check_page(http: str, about: str, picture: Path) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_CHROMIUM, args=list(_FLAGS))
        page = browser.new_page(viewport={"width": 1280, "height": 900}, locale="en-GB")
        page.set_default_timeout(_PAGE_PATIENCE)
        problems = PageProblems(page)
        spoke = _press_speak(page, http)
        page.screenshot(path=picture)
        browser.close()
    _hold(spoke, f"{about} the page spoke in Chromium", f"see {picture}; {problems.found}")
    _hold(not problems.found, f"{about} the page had no problems", problems.found)
    _ok(f"{about} pictured in {picture.name} ({_kilobytes(picture)})")


def _press_speak(page: Page, http: str) -> bool:
    try:
        page.goto(f"{http}/")
        expect(page.locator("#audition-text")).not_to_have_value("", timeout=_PAGE_PATIENCE)
        page.locator(".card-chosen .card-play").click()
        page.locator("[data-pictured=true]").wait_for()
    except (AssertionError, TimeoutError):
        return False
    return True


def _clean() -> Mapping[str, str]:
    """The environment variables without those of this checkout."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("WYOMING_TTS_", "PYTHONPATH", "VIRTUAL_ENV"))
    }


def _constrained() -> Mapping[str, str]:
    return {**os.environ, "PIP_CONSTRAINT": str(CONSTRAINTS)}


def _kilobytes(path: Path) -> str:
    return f"{path.stat().st_size / 1000:.0f} kB"


def _hold(holds: bool, what: str, got: object = None) -> None:  # noqa: FBT001 -- the condition itself
    if not holds:
        raise CheckFailed(f"{what}: it does not hold" + (f": {got}" if got is not None else "."))
    _ok(what)


def _ok(what: str) -> None:
    print(f"ok     {what}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
