"""Helm, in a process of its own: renders and lints a chart with several sets of values at once."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

Manifest = dict[str, Any]

_PROGRAM = """
import json, sys
import helm_python
path, name, namespace, sets = json.load(sys.stdin)
answers = []
with helm_python.Chart.load(path) as chart:
    for values in sets:
        try:
            chart.validate_schema(values)
            rendered = chart.render(values, name=name, namespace=namespace)
            lint = helm_python.lint(path, values, strict=True, namespace=namespace)
            problems = [each["error"] for each in lint["messages"] if each["severity"] > 1]
            answers.append({"rendered": rendered, "problems": problems + lint["errors"]})
        except helm_python.HelmError as error:
            answers.append({"rendered": {}, "problems": [str(error)]})
json.dump(answers, sys.stdout)
"""


@dataclass(frozen=True)
class RenderedChart:
    """What Helm makes of a chart with one set of values."""

    manifests: tuple[Manifest, ...]
    problems: tuple[str, ...]
    """What `helm lint --strict` and the schema of the values have against it."""

    def of_kind(self, kind: str) -> list[Manifest]:
        return [each for each in self.manifests if each["kind"] == kind]

    def named(self, kind: str, name: str) -> Manifest:
        (found,) = (each for each in self.of_kind(kind) if each["metadata"]["name"] == name)
        return found


def render_chart(
    chart: Path, sets: Mapping[str, Mapping[str, Any]], *, name: str, namespace: str
) -> dict[str, RenderedChart]:
    """Render a chart once for each set of values."""
    asked = json.dumps([str(chart), name, namespace, list(sets.values())])
    completed = subprocess.run(
        [sys.executable, "-c", _PROGRAM], input=asked, capture_output=True, text=True, check=False
    )
    assert completed.returncode == 0, completed.stderr
    return {
        key: RenderedChart(_manifests(answer["rendered"]), tuple(answer["problems"]))
        for key, answer in zip(sets, json.loads(completed.stdout), strict=True)
    }


def _manifests(rendered: Mapping[str, str]) -> tuple[Manifest, ...]:
    parsed = (each for text in rendered.values() for each in yaml.safe_load_all(text))
    return tuple(each for each in parsed if each)
