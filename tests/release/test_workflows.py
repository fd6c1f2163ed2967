"""GitHub workflows and forms: valid by schema, least privilege, and references that exist."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from check_jsonschema.builtin_schemas import get_builtin_schema  # type: ignore[import-untyped]
from jsonschema.validators import validator_for  # type: ignore[import-untyped]
from ruamel.yaml import YAML

from wyoming_tts import __version__

ROOT = Path(__file__).parents[2]
GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
FORMS = sorted(set((GITHUB / "ISSUE_TEMPLATE").glob("*.yml")) - {GITHUB / "ISSUE_TEMPLATE" / "config.yml"})
_REPOSITORY = "https://github.com/wyoming-tts/wyoming-tts"
_WRITE_PERMISSIONS = {
    ("image", "publish", "packages"),
    ("release", "pypi", "id-token"),
    ("release", "github", "contents"),
}

Yaml: TypeAlias = Mapping[str, Any]


@cache
def _read(path: Path) -> Yaml:
    content: Yaml = YAML(typ="safe").load(path)  # YAML 1.2, in which `on` is a string
    return content


def _jobs() -> Iterator[tuple[Path, str, Yaml]]:
    for path in WORKFLOWS:
        for name, job in _read(path)["jobs"].items():
            yield path, name, job


def _steps() -> Iterator[Yaml]:
    for _, _, job in _jobs():
        yield from job["steps"]


def _commands() -> list[str]:
    return [step["run"] for step in _steps() if "run" in step]


@pytest.mark.parametrize(
    ("schema", "paths"),
    [
        ("vendor.github-workflows", WORKFLOWS),
        ("vendor.dependabot", [GITHUB / "dependabot.yml"]),
        ("vendor.github-issue-forms", FORMS),
        ("vendor.github-issue-config", [GITHUB / "ISSUE_TEMPLATE" / "config.yml"]),
    ],
)
def test_every_github_file_is_valid_by_its_schema(schema: str, paths: list[Path]) -> None:
    assert paths
    known = get_builtin_schema(schema)
    validator = validator_for(known)(known)
    assert [error.message for path in paths for error in validator.iter_errors(_read(path))] == []


def test_every_script_in_a_workflow_exists_and_is_executable() -> None:
    named = set(re.findall(r"\bscript/[\w.-]+", "\n".join(_commands())))
    assert {"script/test", "script/dist", "script/audit.py"} <= named
    started = {name for name in named if not name.endswith(".py")}
    assert [name for name in named if not (ROOT / name).is_file()] == []
    assert [name for name in started if not os.access(ROOT / name, os.X_OK)] == []


def test_every_workflow_command_is_valid_bash() -> None:
    functions = "\n".join(f"f() {{\n{command}\n}}" for command in _commands())
    checked = subprocess.run(["bash", "-n"], input=functions, capture_output=True, text=True, check=False)
    assert checked.stderr == ""


def test_image_builds_use_existing_stages_and_build_arguments() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    stages = set(re.findall(r"^FROM .* AS (\S+)$", dockerfile, re.MULTILINE))
    known = set(re.findall(r"^ARG (\w+)", dockerfile, re.MULTILINE))
    built = [step["with"] for step in _steps() if "docker/build-push-action" in step.get("uses", "")]
    targets = {build["target"] for build in built} - {"${{ matrix.target }}"}
    for _, _, job in _jobs():
        targets |= {row["target"] for row in job.get("strategy", {}).get("matrix", {}).get("include", [])}
    assert targets == {"container", "addon"}
    assert targets <= stages
    given = {
        argument for build in built for argument in re.findall(r"^(\w+)=", build["build-args"], re.MULTILINE)
    }
    assert {"PAGE"} < given <= known


def test_every_action_is_pinned_by_the_digest_of_a_named_release() -> None:
    used = [line for path in WORKFLOWS for line in re.findall(r"uses: (.*)", path.read_text("utf-8"))]
    assert used
    pinned = re.compile(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
    assert {line.split("@")[0] for line in used if not pinned.fullmatch(line)} == {
        "pypa/gh-action-pypi-publish"
    }


def test_only_publishing_jobs_have_write_permissions() -> None:
    for path in WORKFLOWS:
        assert _read(path)["permissions"] in ({}, {"contents": "read"})
    writing = {
        (path.stem, name, scope)
        for path, name, job in _jobs()
        for scope, right in job.get("permissions", {}).items()
        if right == "write"
    }
    assert writing == _WRITE_PERMISSIONS
    checkouts = [step for step in _steps() if step.get("uses", "").startswith("actions/checkout@")]
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_every_job_has_a_timeout_and_every_workflow_a_concurrency_group() -> None:
    assert [(path.stem, name) for path, name, job in _jobs() if "timeout-minutes" not in job] == []
    assert [path.stem for path in WORKFLOWS if "group" not in _read(path)["concurrency"]] == []


def test_ci_tests_the_oldest_and_newest_supported_python() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    versions = [version for each in project["classifiers"] for version in re.findall(r":: (3\.\d+)$", each)]
    matrix = _read(GITHUB / "workflows" / "ci.yml")["jobs"]["test"]["strategy"]["matrix"]
    assert matrix["python"] == [versions[0], versions[-1]]
    major, newest_minor = versions[-1].split(".")
    assert project["requires-python"] == f">={versions[0]},<{major}.{int(newest_minor) + 1}"


@pytest.mark.parametrize(("tag", "status"), [(f"v{__version__}", 0), ("v99.0.0", 1)])
def test_a_tag_that_differs_from_the_version_is_not_published(tag: str, status: int) -> None:
    steps = _read(GITHUB / "workflows" / "release.yml")["jobs"]["build"]["steps"]
    (command,) = (step["run"] for step in steps if "GITHUB_REF_NAME" in step.get("run", ""))
    compared = subprocess.run(
        ["bash", "-ec", command], cwd=ROOT, env=os.environ | {"GITHUB_REF_NAME": tag}, check=False
    )
    assert compared.returncode == status


def test_every_link_into_the_repository_has_an_existing_target() -> None:
    pages = [*FORMS, GITHUB / "ISSUE_TEMPLATE" / "config.yml", ROOT / "SECURITY.md", ROOT / "pyproject.toml"]
    text = "\n".join(page.read_text("utf-8") for page in pages)
    named = re.findall(rf"{_REPOSITORY}/(?:blob|tree)/main/([\w./-]+)", text)
    named += re.findall(r"\]\((?!http)([^)#]+)", (ROOT / "SECURITY.md").read_text("utf-8"))
    assert len(named) > 2
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_settings_named_in_the_security_policy_exist() -> None:
    table = (ROOT / "docs" / "settings.md").read_text("utf-8")
    named = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", (ROOT / "SECURITY.md").read_text("utf-8")))
    assert len(named) > 5
    assert [name for name in named if f"`{name}`" not in table] == []


_CLEAN = {"name": "kettle", "version": "1.0", "vulns": []}
_LEAKY = {"name": "teapot", "version": "2.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2.1"]}]}
_UNKNOWN = {"name": "samovar", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("found", "status", "message"),
    [
        ([_CLEAN, _UNKNOWN], 0, "WARNING: 1 of 2 packages are unknown: samovar."),
        ([_CLEAN, _LEAKY], 1, "teapot 2.0: PYSEC-1 (fixed in 2.1)"),
        (None, 0, "WARNING: Nothing was looked up: the service did not answer."),
    ],
)
def test_the_audit_fails_only_for_vulnerabilities(
    tmp_path: Path, found: list[Yaml] | None, status: int, message: str
) -> None:
    """pip-audit itself exits with 1 both for a vulnerability and for an unreachable service."""
    report = (
        "raise SystemExit(1)" if found is None else f"out.write_text({json.dumps({'dependencies': found})!r})"
    )
    program = "import pathlib, sys\nout = pathlib.Path(sys.argv[sys.argv.index('--output') + 1])\n"
    (tmp_path / "pip_audit.py").write_text(program + report)
    audited = subprocess.run(
        [sys.executable, ROOT / "script" / "audit.py"],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert message in audited.stdout
    assert audited.returncode == status
