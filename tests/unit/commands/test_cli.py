"""What holds for the command line as a whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.tones import VOICES
from wyoming_tts.commands import cli
from wyoming_tts.settings.descriptions import SETTINGS

COMMANDS = ("serve", "say", "voices", "blend", "bench", "health", "completion")


@pytest.mark.slow
def test_parsing_loads_nothing_that_only_one_command_needs() -> None:
    script = (
        "import sys; from wyoming_tts.commands import cli; [cli._parser(name) for name in cli._COMMANDS];"
        "print(*sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    heavy = {
        "rich",
        "httpx",
        "onnx",
        "numpy",
        "shtab",
        "wyoming_tts.server.app",
        "wyoming_tts.assembly.parts",
    }
    assert not heavy & set(run.stdout.split())


def test_every_command_is_named_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["--help"])
    assert end.value.code == 0
    told = capsys.readouterr().out
    assert [name for name in COMMANDS if f"\n    {name}" not in told] == []


@pytest.mark.parametrize("words", [["voices", "--help"], ["blend", "add", "--help"], ["blend"]])
def test_help_and_mistakes_have_their_exit_codes(words: list[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(words)
    assert end.value.code == (0 if "--help" in words else 2)


def test_no_argument_of_a_command_is_taken_for_a_setting() -> None:
    """Settings are read from the same namespace, by their names."""
    settings = {info.name for info in SETTINGS}
    own = {
        "names",
        "name",
        "recipe",
        "file",
        "directory",
        "shell",
        "only_language",
        "only_engine",
        "precision",
    }
    assert not settings & own
    parsed = cli._parser("blend").parse_args(["blend", "add", "a", "af_bella", "--say", "x"])
    assert not settings & vars(parsed).keys()
    parsed = cli._parser("voices").parse_args(["voices", "--engine", "piper", "list"])
    assert not settings & vars(parsed).keys()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_knows_the_commands(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["completion", shell]) == 0
    script = capsys.readouterr().out
    wanted = (*COMMANDS, "download", "import-piper", "verify", "export", "--data-dir", "--spherical")
    assert [word for word in wanted if word.removeprefix("--") not in script] == []


def test_the_completion_script_is_one_that_bash_reads(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["completion", "bash"])
    script = capsys.readouterr().out
    run = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")


def test_a_shell_without_completion_is_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["completion", "command.com"]) == 2
    assert "expected one of: bash" in capsys.readouterr().err


@pytest.mark.slow
def test_a_reader_that_has_enough_is_no_reason_for_a_traceback(tmp_path: Path) -> None:
    command = f"{sys.executable} -m wyoming_tts voices list --data-dir {VOICES} --json | head -n 1"
    run = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert run.stdout == "{\n"
    assert run.stderr == ""
