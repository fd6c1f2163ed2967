"""The scripts that s6 runs in the add-on; `script/show-addon` shows them at work in the built image."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from wyoming_tts.settings import SETTINGS, Settings, add_flags, load_settings
from wyoming_tts.settings.addon import FIXED

ADDON = Path(__file__).parents[2] / "addon"
SCRIPTS = [
    ADDON / "start",
    *(ADDON / "services").glob("*/run"),
    *(ADDON / "services").glob("*/finish"),
]
BY_ITSELF = {"port", "host", "zeroconf_name", "http_certificate", "http_key", "ui", "kokoro_model"} | {
    "kokoro_voices",
    "use_cuda",
    "metrics_file",
}
"""Fixed by being left alone: other flags say so, or their defaults are right."""


def server_settings(tmp_path: Path) -> tuple[Settings, dict[str, object]]:
    text = (ADDON / "services/server/run").read_text("utf-8")
    command = re.search(r"wyoming-tts serve (.*)", text.replace("\\\n", " "), re.DOTALL)
    assert command
    parser = argparse.ArgumentParser()
    add_flags(parser)
    given = vars(parser.parse_args(shlex.split(command[1])))
    assert given["config"] == "/data/options.json"
    (tmp_path / "options.json").write_text('{"voice": "a"}', "utf-8")
    flags = {**given, "config": str(tmp_path / "options.json")}
    return load_settings(flags, environ={}).settings, given


def stub(directory: Path, name: str, text: str) -> None:
    file = directory / name
    file.write_text(f"#!/bin/sh\n{text}\n", "utf-8")
    file.chmod(0o755)


@pytest.fixture
def service(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """Programs of s6 that tell what they were called with, and the environment of a service."""
    stub(tmp_path, "s6-svscanctl", f'echo "$@" >{tmp_path}/told')
    variables = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "EXIT_CODE": str(tmp_path / "code"),
        "S6_SERVICES": "services",
    }
    return tmp_path, variables


def test_scripts_can_be_run_by_any_shell() -> None:
    assert len(SCRIPTS) == 6
    for script in SCRIPTS:
        assert os.access(script, os.X_OK), script
        assert script.read_text("utf-8").startswith("#!/bin/sh\n")
        subprocess.run(["sh", "-n", str(script)], check=True)


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="shellcheck is not installed")
def test_scripts_have_no_known_faults() -> None:
    subprocess.run(["shellcheck", *map(str, SCRIPTS)], check=True)


def test_the_server_is_started_with_what_an_add_on_has_no_choice_in(tmp_path: Path) -> None:
    settings, given = server_settings(tmp_path)
    assert settings.voice == "a"
    assert settings.uri == "tcp://0.0.0.0:10200"
    assert not settings.zeroconf
    assert (settings.http_host, settings.http_port) == ("0.0.0.0", 8880)
    assert settings.ingress_peer == "172.30.32.2"
    assert [*map(str, settings.data_dir)] == ["/data", "/config", "/share/wyoming_tts", "/share/piper"]
    assert settings.metrics_file.parent == settings.download_dir == Path("/data")
    assert settings.shutdown_grace <= 1
    assert set(given) - {"config"} == set(FIXED) - BY_ITSELF


def test_what_is_fixed_by_a_flag_is_no_option() -> None:
    assert set(FIXED) <= {info.name for info in SETTINGS}


def test_the_server_does_not_learn_the_token() -> None:
    assert "unset SUPERVISOR_TOKEN" in (ADDON / "services/server/run").read_text("utf-8")


@pytest.mark.parametrize(("arguments", "code"), [(["1", "0"], 1), (["0", "0"], 0), (["256", "9"], 137)])
def test_a_server_that_ends_by_itself_ends_the_container_with_its_code(
    arguments: list[str], code: int, service: tuple[Path, dict[str, str]]
) -> None:
    directory, variables = service
    stub(directory, "s6-svstat", "echo true")
    finish = [str(ADDON / "services/server/finish"), *arguments]
    assert subprocess.run(finish, env=variables, check=False, stdout=subprocess.PIPE).returncode == 125
    assert (directory / "told").read_text("utf-8") == "-t services\n"
    last = [str(ADDON / "services/.s6-svscan/finish")]
    assert subprocess.run(last, env=variables, check=False).returncode == code


def test_a_server_that_was_told_to_stop_ends_the_container_well(service: tuple[Path, dict[str, str]]) -> None:
    directory, variables = service
    stub(directory, "s6-svstat", "echo false")
    finish = [str(ADDON / "services/server/finish"), "256", "9"]
    assert subprocess.run(finish, env=variables, check=False).returncode == 0
    assert not (directory / "told").exists()
    last = [str(ADDON / "services/.s6-svscan/finish")]
    assert subprocess.run(last, env=variables, check=False).returncode == 0


@pytest.mark.parametrize(("code", "then"), [("0", 125), ("78", 125), ("256", 0)])
def test_discovery_runs_again_only_if_it_was_killed(code: str, then: int) -> None:
    """125 tells s6 to leave it down."""
    finish = [str(ADDON / "services/discovery/finish"), code, "9"]
    assert subprocess.run(finish, check=False).returncode == then
