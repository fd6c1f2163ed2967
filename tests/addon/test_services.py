"""The s6 service scripts of the add-on; `script/show-addon` runs them in the built image."""

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
FIXED_WITHOUT_FLAG = {
    "agent_port",
    "cache_url",
    "cuda_device",
    "voices_push",
    "voices_sync_interval",
    "voices_url",
    "port",
    "host",
    "zeroconf_name",
    "http_certificate",
    "http_key",
    "ui",
    "kokoro_model",
} | {
    "kokoro_voices",
    "use_cuda",
    "metrics_file",
}
"""Fixed settings without a flag of their own: implied by other flags, or right by default."""


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
    """A directory with a stub of `s6-svscanctl` that records its arguments, and a service's environment."""
    stub(tmp_path, "s6-svscanctl", f'echo "$@" >{tmp_path}/told')
    variables = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "EXIT_CODE": str(tmp_path / "code"),
        "S6_SERVICES": "services",
    }
    return tmp_path, variables


def test_scripts_are_executable_and_valid_posix_shell() -> None:
    assert len(SCRIPTS) == 6
    for script in SCRIPTS:
        assert os.access(script, os.X_OK), script
        assert script.read_text("utf-8").startswith("#!/bin/sh\n")
        subprocess.run(["sh", "-n", str(script)], check=True)


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="shellcheck is not installed")
def test_shellcheck_accepts_the_scripts() -> None:
    subprocess.run(["shellcheck", *map(str, SCRIPTS)], check=True)


def test_the_server_is_started_with_the_fixed_settings(tmp_path: Path) -> None:
    settings, given = server_settings(tmp_path)
    assert settings.voice == "a"
    assert settings.uri == "tcp://0.0.0.0:10200"
    assert not settings.zeroconf
    assert (settings.http_host, settings.http_port) == ("0.0.0.0", 8880)
    assert settings.ingress_peer == "172.30.32.2"
    assert [*map(str, settings.data_dir)] == ["/data", "/config", "/share/wyoming_tts", "/share/piper"]
    assert settings.metrics_file.parent == settings.state_dir == settings.download_dir == Path("/data")
    assert settings.shutdown_grace <= 1
    assert set(given) - {"config"} == set(FIXED) - FIXED_WITHOUT_FLAG


def test_every_fixed_name_is_a_setting() -> None:
    assert set(FIXED) <= {info.name for info in SETTINGS}


def test_the_supervisor_token_goes_to_the_server_under_one_name_alone() -> None:
    script = (ADDON / "services/server/run").read_text("utf-8")
    assert "unset HASSIO_TOKEN" in script
    assert "unset SUPERVISOR_TOKEN" not in script


@pytest.mark.parametrize(("arguments", "code"), [(["1", "0"], 1), (["0", "0"], 0), (["256", "9"], 137)])
def test_a_server_that_exits_by_itself_stops_the_container_with_its_exit_code(
    arguments: list[str], code: int, service: tuple[Path, dict[str, str]]
) -> None:
    directory, variables = service
    stub(directory, "s6-svstat", "echo true")
    finish = [str(ADDON / "services/server/finish"), *arguments]
    assert subprocess.run(finish, env=variables, check=False, stdout=subprocess.PIPE).returncode == 125
    assert (directory / "told").read_text("utf-8") == "-t services\n"
    last = [str(ADDON / "services/.s6-svscan/finish")]
    assert subprocess.run(last, env=variables, check=False).returncode == code


def test_a_server_stopped_by_s6_stops_the_container_with_exit_code_0(
    service: tuple[Path, dict[str, str]],
) -> None:
    directory, variables = service
    stub(directory, "s6-svstat", "echo false")
    finish = [str(ADDON / "services/server/finish"), "256", "9"]
    assert subprocess.run(finish, env=variables, check=False).returncode == 0
    assert not (directory / "told").exists()
    last = [str(ADDON / "services/.s6-svscan/finish")]
    assert subprocess.run(last, env=variables, check=False).returncode == 0


@pytest.mark.parametrize(("code", "finish_code"), [("0", 125), ("78", 125), ("256", 0)])
def test_discovery_is_restarted_only_after_being_killed(code: str, finish_code: int) -> None:
    """Exit code 125 makes s6 leave the service down."""
    finish = [str(ADDON / "services/discovery/finish"), code, "9"]
    assert subprocess.run(finish, check=False).returncode == finish_code
