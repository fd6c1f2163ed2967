"""The unit of systemd: understood by systemd, shut in, and in step with the settings."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from wyoming_tts.settings import Settings

UNIT = Path(__file__).parents[2] / "deploy" / "systemd" / "wyoming-tts.service"
PROGRAM = "/opt/wyoming-tts/bin/wyoming-tts"
MOST_EXPOSED = 15
"""Tenths, as systemd-analyze counts: 0 is shut in completely, 100 is not at all."""

needs_systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")


def options(name: str) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", UNIT.read_text("utf-8"), re.MULTILINE)


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with a program that is here."""
    text = UNIT.read_text("utf-8")
    assert f"ExecStart={PROGRAM} serve\n" in text
    path = tmp_path / UNIT.name
    path.write_text(text.replace(f"ExecStart={PROGRAM}", f"ExecStart={shutil.which('true')}"), "utf-8")
    return path


def analyze(*arguments: str | Path) -> str:
    done = subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@needs_systemd
def test_systemd_has_nothing_to_say_against_the_unit(unit: Path) -> None:
    said = analyze("verify", "--man=no", unit)
    assert unit.name not in said


@needs_systemd
def test_systemd_calls_the_unit_hardly_exposed(unit: Path) -> None:
    analyze("security", "--offline=true", "--no-pager", f"--threshold={MOST_EXPOSED}", unit)


def test_systemd_waits_longer_than_what_is_spoken_may_take() -> None:
    grace = Settings.model_fields["shutdown_grace"].default
    assert int(options("TimeoutStopSec")[0]) > grace + 2


def test_every_setting_in_the_unit_is_one() -> None:
    named = set(re.findall(r"\bWYOMING_TTS_(\w+?)=", UNIT.read_text("utf-8"))) - {"CONFIG"}
    assert named
    assert {name.lower() for name in named} <= set(Settings.model_fields)


def test_the_directory_of_voices_is_the_one_that_may_be_written_to() -> None:
    (name,) = options("StateDirectory")
    assert f"WYOMING_TTS_DATA_DIR=/var/lib/{name}" in options("Environment")
    assert options("ProtectSystem") == ["strict"]
    assert options("DynamicUser") == ["yes"]
