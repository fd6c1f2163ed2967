"""The pre-commit hooks are the linters of `script/lint`."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from tests.docs.pages import ROOT

HOOKS = {
    hook["id"]: hook
    for repo in yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))["repos"]
    for hook in repo["hooks"]
}
_LINTER = re.compile(r"(?:\.venv/bin/(?:ruff (?:check|format)|[\w-]+)|script/lint-js)")


def test_every_linter_is_a_pre_commit_hook() -> None:
    lint = (ROOT / "script" / "lint").read_text("utf-8")
    entries = {match[0] for hook in HOOKS.values() if (match := _LINTER.match(hook["entry"]))}
    assert entries == set(_LINTER.findall(lint))


@pytest.mark.parametrize("hook", HOOKS.values(), ids=HOOKS)
def test_a_hook_runs_a_program_of_the_checkout(hook: dict[str, Any]) -> None:
    """Nothing is downloaded for a commit."""
    assert hook["language"] == "system"
    assert hook["entry"].startswith((".venv/bin/", "script/"))


@pytest.mark.parametrize("id_", ["mypy", "import-linter"])
@pytest.mark.parametrize("file", ["wyoming_tts/speech.py", "pyproject.toml", "ui/app.pyi"])
def test_hooks_also_run_for_changes_to_their_configuration(id_: str, file: str) -> None:
    assert re.search(HOOKS[id_]["files"], file)
    assert not re.search(HOOKS[id_]["files"], "docs/my-pyproject.toml")
