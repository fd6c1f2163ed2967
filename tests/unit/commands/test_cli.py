"""The command line as a whole: lazy imports, exit codes, completion."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.tones import VOICES
from wyoming_tts.commands import cli, command_line
from wyoming_tts.settings.descriptions import SETTINGS

COMMANDS = ("serve", "say", "voices", "blend", "bench", "health", "completion")


@pytest.mark.slow
def test_building_the_parsers_imports_no_command_specific_package() -> None:
    script = (
        "import sys; from wyoming_tts.commands import cli; [cli.make_parser(name) for name in cli._COMMANDS];"
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


def test_every_command_is_listed_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["--help"])
    assert end.value.code == 0
    output = capsys.readouterr().out
    assert [name for name in COMMANDS if f"\n    {name}" not in output] == []


@pytest.mark.parametrize("words", [["voices", "--help"], ["blend", "add", "--help"], ["blend"]])
def test_help_exits_with_0_and_usage_errors_with_2(words: list[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(words)
    assert end.value.code == (0 if "--help" in words else 2)


@pytest.mark.parametrize(
    "command", ["say", "voices list", "voices download", "blend add", "blend list", "stats"]
)
@pytest.mark.parametrize("flag", ["--agent-port", "--http-port", "--api-keys"])
def test_a_flag_of_the_server_alone_is_refused_and_not_offered(
    command: str, flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in ([*command.split(), "--help"], [*command.split(), flag, "1"]):
        with pytest.raises(SystemExit):
            cli.main(words)
    printed = capsys.readouterr()
    assert f"{flag} " not in printed.out
    if command not in {"voices download", "blend add"}:  # these miss a name first
        assert f"({flag} is of the server alone: wyoming-tts serve {flag})" in printed.err


@pytest.mark.parametrize("command", ["voices list", "blend list", "stats", "cache clear"])
def test_settings_that_do_a_command_no_harm_are_taken_but_not_in_its_help(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command_line.parse_command_line([*command.split(), "--markdown"])
    with pytest.raises(SystemExit):
        cli.main([*command.split(), "--help"])
    assert "--markdown" not in capsys.readouterr().out


def test_the_help_of_the_server_is_brief_and_tells_where_all_settings_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["--port", "1", "--help"]) == 0
    brief = capsys.readouterr().out
    with pytest.raises(SystemExit) as end:
        cli.main(["serve", "--help-all"])
    assert end.value.code == 0
    full = capsys.readouterr().out
    assert "--port" in brief
    assert "--help-all" in brief
    assert "--opus-complexity" not in brief
    assert "--opus-complexity" in full
    assert len(brief.splitlines()) < 70


@pytest.mark.parametrize("command", ["say", "voices", "voices download", "blend add"])
def test_the_help_of_other_commands_is_brief_too(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    shown = []
    for flag in ("--help", "-h", "--help-all"):
        with pytest.raises(SystemExit) as end:
            cli.main([*command.split(), flag])
        assert end.value.code == 0
        shown.append(capsys.readouterr().out)
    brief, short, full = shown
    assert brief == short
    assert "--help-all" in brief
    assert "--data-dir" in brief
    assert "--max-model-memory" not in brief
    assert "--max-model-memory" in full
    assert len(brief.splitlines()) < 90


def test_script_run_prints_help_without_setting_up(tmp_path: Path) -> None:
    script = tmp_path / "script" / "run"
    script.parent.mkdir()
    source = Path(__file__).parents[3] / "script" / "run"
    script.write_text(source.read_text("utf-8"), "utf-8")  # no setup beside it: running that would fail
    run = subprocess.run(["bash", script, "--help"], capture_output=True, text=True, check=True)
    assert "All settings: docs/settings.md, and script/run --help-all" in run.stdout
    flags = {word for word in run.stdout.split() if word.startswith("--") and word != "--SETTING"}
    assert flags <= {flag for info in SETTINGS for flag in info.flags} | {"--help-all"}


def test_command_arguments_do_not_collide_with_settings() -> None:
    """Settings are read by name from the same namespace."""
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
    parsed = command_line.make_parser("blend").parse_args(["blend", "add", "a", "af_bella", "--say", "x"])
    assert not settings & vars(parsed).keys()
    parsed = command_line.make_parser("voices").parse_args(["voices", "--engine", "piper", "list"])
    assert not settings & vars(parsed).keys()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_contains_the_commands(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["completion", shell]) == 0
    script = capsys.readouterr().out
    expected = (
        *COMMANDS,
        "download",
        "import-piper",
        "verify",
        "export",
        "--data-dir",
        "--spherical",
        "--karaoke",
    )
    assert [word for word in expected if word.removeprefix("--") not in script] == []


def test_the_completion_script_is_valid_bash(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["completion", "bash"])
    script = capsys.readouterr().out
    run = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")


def test_an_unsupported_shell_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["completion", "command.com"]) == 2
    assert "expected one of: bash" in capsys.readouterr().err


@pytest.mark.slow
def test_a_closed_output_pipe_causes_no_traceback(tmp_path: Path) -> None:
    command = f"{sys.executable} -m wyoming_tts voices list --data-dir {VOICES} --json | head -n 1"
    run = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert run.stdout == "{\n"
    assert run.stderr == ""
