"""The systemd unit: valid, sandboxed, and consistent with the settings."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from wyoming_tts.server.descriptors import RESERVED
from wyoming_tts.settings import Settings

UNIT = Path(__file__).parents[2] / "deploy" / "systemd" / "wyoming-tts.service"
PROGRAM = "/opt/wyoming-tts/bin/wyoming-tts"
MAX_EXPOSURE = 15
"""Exposure level in tenths as systemd-analyze counts it: 0 is fully sandboxed, 100 not at all."""

needs_systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")


def options(name: str) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", UNIT.read_text("utf-8"), re.MULTILINE)


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with a program that exists on this machine."""
    text = UNIT.read_text("utf-8")
    assert f"ExecStart={PROGRAM} serve\n" in text
    path = tmp_path / UNIT.name
    path.write_text(text.replace(f"ExecStart={PROGRAM}", f"ExecStart={shutil.which('true')}"), "utf-8")
    return path


def analyze(*arguments: str | Path) -> str:
    completed = subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, check=False)
    assert completed.returncode == 0, completed.stdout + completed.stderr
    return completed.stdout + completed.stderr


@needs_systemd
def test_systemd_analyze_verifies_the_unit_without_messages(unit: Path) -> None:
    output = analyze("verify", "--man=no", unit)
    assert unit.name not in output


@needs_systemd
def test_systemd_analyze_rates_the_units_exposure_below_the_threshold(unit: Path) -> None:
    analyze("security", "--offline=true", "--no-pager", f"--threshold={MAX_EXPOSURE}", unit)


def test_the_stop_timeout_exceeds_the_shutdown_grace() -> None:
    grace = Settings.model_fields["shutdown_grace"].default
    assert int(options("TimeoutStopSec")[0]) > grace + 2


def test_every_variable_in_the_unit_is_a_setting() -> None:
    named = set(re.findall(r"\bWYOMING_TTS_(\w+?)=", UNIT.read_text("utf-8"))) - {"CONFIG"}
    assert named
    assert {name.lower() for name in named} <= set(Settings.model_fields)


def test_the_data_directory_is_the_writable_state_directory() -> None:
    (name,) = options("StateDirectory")
    assert f"WYOMING_TTS_DATA_DIR=/var/lib/{name}" in options("Environment")
    assert options("ProtectSystem") == ["strict"]
    assert options("DynamicUser") == ["yes"]


def test_the_hard_limit_of_files_covers_the_most_connections_that_can_be_set() -> None:
    soft, hard = map(int, options("LimitNOFILE")[0].split(":"))
    most = next(each.le for each in Settings.model_fields["max_connections"].metadata if hasattr(each, "le"))
    assert soft <= 1024  # what programs expect; the server raises it itself
    assert hard >= 2 * most + RESERVED
