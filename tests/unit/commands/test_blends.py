"""`wyoming-tts blend …` with its arguments as users type them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.tones import KOKORO, VOICES
from wyoming_tts.commands.cli import main
from wyoming_tts.voices.style_files import read_style_file


@pytest.fixture(autouse=True)
def isolated_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the machine's own settings."""
    for name in tuple(os.environ):
        if name.startswith(("WYOMING_TTS_", "HF_")):
            monkeypatch.delenv(name)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory with a model and a pack whose voices have the names of Kokoro's."""
    directory = tmp_path / "data"
    directory.mkdir()
    shutil.copy(VOICES / "kokoro-tones.onnx", directory)
    with np.load(VOICES / "voices-tones.bin") as pack:
        named = {"af_bella": pack["af_test"], "af_sky": pack["am_test"], "bf_emma": pack["bf_test"]}
    with (directory / "voices-tones.bin").open("wb") as file:
        np.savez_compressed(file, **named)
    return directory


def blend(data: Path, *words: str) -> int:
    return main(["blend", *words, "--data-dir", str(data), "--offline"])


def blend_json(data: Path, capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    capsys.readouterr()
    assert blend(data, *words, "--json") == 0
    return json.loads(capsys.readouterr().out)


# -- add, show, list, remove --------------------------------------------------------------------


def test_a_blend_is_saved_with_all_its_options(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = (
        "--title",
        "Däm-mer",
        "--description",
        "Warm.",
        "--spherical",
        "--no-normalize",
        "--language",
        "en-gb",
    )
    assert blend(data, "add", "dawn", "60*af_bella + 40*bf_emma", *words) == 0
    assert capsys.readouterr().out == "Saved dawn: af_bella(60)+bf_emma(40), speaks en_GB.\n"
    assert blend_json(data, capsys, "show", "dawn") == {
        "name": "dawn",
        "recipe": "af_bella(60)+bf_emma(40)",
        "language": "en_GB",
        "kind": "own",
        "title": "Däm-mer",
        "description": "Warm.",
        "spherical": True,
        "normalized": False,
        "made_of": ["af_bella", "bf_emma"],
        "used_by": [],
    }


def test_list_contains_presets_and_custom_blends(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blend(data, "add", "dawn", "af_bella(2)+af_sky")
    listed = blend_json(data, capsys, "list")["blends"]
    assert {each["name"]: each["kind"] for each in listed} | {"companion": "preset", "dawn": "own"} == {
        each["name"]: each["kind"] for each in listed
    }
    assert blend(data, "list") == 0
    table = capsys.readouterr().out.splitlines()
    assert next(line for line in table if line.split()[0] == "dawn").split()[:4] == [
        *("dawn", "en_US", "own", "af_bella(2)+af_sky")
    ]


def test_an_existing_name_is_refused_without_replace(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert blend(data, "add", "dawn", "af_bella+af_sky") == 0
    assert blend(data, "add", "dawn", "af_bella") == 1
    assert "taken" in capsys.readouterr().err
    assert blend(data, "add", "dawn", "af_bella(3)+af_sky", "--replace") == 0
    assert blend_json(data, capsys, "show", "dawn")["recipe"] == "af_bella(3)+af_sky"
    assert blend(data, "add", "dusk", "af_sky", "--replace") == 0


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("dawn", "af_bella++"), "column"),
        (("dawn", "af_nobody"), "af_nobody"),
        (("1dawn", "af_bella"), "not a valid name"),
        (("dawn", "af_bella+bf_emma"), "several languages"),
        (("af_bella", "af_sky"), "taken"),
    ],
)
def test_an_invalid_blend_is_refused_with_a_reason(
    words: tuple[str, ...], error: str, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert blend(data, "add", *words) == 1
    assert error in capsys.readouterr().err
    assert not (data / "blends.yaml").exists()


def test_a_blend_is_removed_unless_another_uses_it(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blend(data, "add", "dawn", "af_bella+af_sky")
    blend(data, "add", "day", "dawn+af_sky")
    assert blend_json(data, capsys, "show", "dawn")["used_by"] == ["day"]
    assert blend(data, "remove", "dawn") == 1
    assert "part of day" in capsys.readouterr().err
    assert blend(data, "remove", "day") == 0
    assert blend(data, "remove", "dawn") == 0
    assert blend(data, "show", "dawn") == 1
    assert blend(data, "remove", "companion") == 1


@pytest.mark.slow
def test_a_new_blend_can_be_spoken(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "said.wav"
    words = ("add", "dawn", "af_bella(3)+af_sky", "--say", "Good morning.", "--out", str(out))
    flags = ("--data-dir", str(data), "--offline")
    run = subprocess.run(
        [sys.executable, "-m", "wyoming_tts", "blend", *words, *flags],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    with wave.open(str(out)) as file:
        assert file.getframerate() == KOKORO.rate
        assert np.frombuffer(file.readframes(file.getnframes()), "<i2").any()


def test_a_blend_that_cannot_be_played_is_still_saved_and_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # a directory without any player
    assert blend(tmp_path, "add", "dawn", "af_bella+af_sky", "--say", "Hello.") == 1
    assert "dawn is saved, but could not be played." in capsys.readouterr().err
    assert blend_json(tmp_path, capsys, "show", "dawn")["recipe"] == "af_bella+af_sky"


# -- import, export -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["dawn", "af_bella+af_sky"])
def test_a_blend_is_exported_as_its_style_table(name: str, data: Path, tmp_path: Path) -> None:
    blend(data, "add", "dawn", "af_bella+af_sky")
    file = tmp_path / "dawn.npy"
    assert blend(data, "export", name, str(file)) == 0
    with np.load(data / "voices-tones.bin") as pack:
        mean = (pack["af_bella"].astype(np.float64) + pack["af_sky"]) / 2
    np.testing.assert_allclose(read_style_file(file), mean.reshape(-1, 1, 256), atol=1e-6)


@pytest.mark.slow
def test_an_exported_table_can_be_imported_and_blended(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "dawn.npy"
    assert blend(data, "export", "bf_emma", str(file)) == 0
    assert blend(data, "import", "bf_mine", str(file)) == 0
    assert "speaks en_GB" in capsys.readouterr().out
    assert blend(data, "import", "bf_mine", str(file)) == 1
    assert blend(data, "import", "af_heart", str(file)) == 1
    assert blend(data, "add", "ours", "bf_mine+bf_emma") == 0
    listed = blend_json(data, capsys, "list")
    assert [each["name"] for each in listed["imported"]] == ["bf_mine"]
    assert blend_json(data, capsys, "show", "bf_mine")["used_by"] == ["ours"]
    capsys.readouterr()
    main(["voices", "list", "--installed", "--engine", "kokoro", "--json", "--data-dir", str(data)])
    spoken = {each["name"] for each in json.loads(capsys.readouterr().out)["voices"]}
    assert {"bf_mine", "ours"} <= spoken
    assert main(["voices", "remove", "bf_mine", "--data-dir", str(data)]) == 1
    assert "blend remove bf_mine" in capsys.readouterr().err
    assert main(["voices", "verify", "bf_mine", "--data-dir", str(data)]) == 0
    again = tmp_path / "again.npy"
    assert blend(data, "export", "ours", str(again)) == 0
    np.testing.assert_array_equal(read_style_file(again), read_style_file(file))
    assert blend(data, "remove", "bf_mine") == 1
    assert blend(data, "remove", "ours") == 0
    assert blend(data, "remove", "bf_mine") == 0
    assert not (data / "styles" / "bf_mine.npy").exists()


def test_an_export_without_kokoro_explains_how_to_get_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert blend(tmp_path, "export", "af_bella", str(tmp_path / "x.npy")) == 1
    assert "voices download af_heart" in capsys.readouterr().err


def test_a_file_that_is_no_style_table_is_not_imported(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = data / "x.npy.txt"
    file.write_text("hello")
    assert blend(data, "import", "mine", str(file)) == 1
    assert "suffix" in capsys.readouterr().err
