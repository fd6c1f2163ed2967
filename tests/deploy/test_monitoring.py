"""What Prometheus asks for, and what alerts and the dashboard show: all of it is told by a real server."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from wyoming.event import Event

from tests.support.server_process import SPEAKS_LETTERS, server_process
from tests.support.wyoming_client import WyomingTestClient
from wyoming_tts.errors import ErrorCode
from wyoming_tts.settings import Settings
from wyoming_tts.voices.download.downloads import DownloadState

DEPLOY = Path(__file__).parents[2] / "deploy"
PROMETHEUS = DEPLOY / "prometheus" / "prometheus.yml"
RULES = DEPLOY / "prometheus" / "wyoming-tts.rules.yml"
ALERT_TESTS = Path(__file__).with_name("alerts.test.yml")
PROMTOOL = shutil.which("promtool")
PATIENCE = 45.0

OF_THE_SCRAPE = {"instance", "job", "le"}
_SELECTED = re.compile(r"\b(up|(?:wyoming_tts|process)_\w+)\b(?:\{([^}]*)\})?")
_MATCHER = re.compile(r'(\w+)\s*=~?\s*"([^"]*)"')


def alerts() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def dashboard_expressions() -> Iterator[str]:
    dashboard = json.loads((DEPLOY / "grafana" / "dashboard.json").read_text())
    for panel in dashboard["panels"]:
        yield from (target["expr"] for target in panel["targets"])
    for variable in dashboard["templating"]["list"]:
        if isinstance(variable["query"], dict):
            yield variable["query"]["query"]


def selected() -> list[tuple[str, Mapping[str, str]]]:
    """Each metric that is asked for, with what its labels are to be."""
    expressions = [*dashboard_expressions(), *(rule["expr"] for rule in alerts())]
    return [
        (found[1], dict(_MATCHER.findall(found[2] or "")))
        for expression in expressions
        for found in _SELECTED.finditer(expression)
    ]


async def scraped() -> str:
    """What a server tells that has spoken, and has not, to who brings its key."""
    job = yaml.safe_load(PROMETHEUS.read_text())["scrape_configs"][0]
    http = ("--http", "--http-port", "0", "--api-keys", "the-key")
    async with asyncio.timeout(PATIENCE), server_process(*SPEAKS_LETTERS, *http) as server:
        port = (await server.read_until(r"HTTP API listens on http://[\d.]+:(\d+)"))[1]
        async with WyomingTestClient.connect("127.0.0.1", server.port) as client:
            await client.send(Event("synthesize", {"text": "Spoken."}))
            await client.until("audio-stop")
            await client.send(Event("synthesize", {"text": "Not spoken.", "voice": {"name": "nobody"}}))
            await client.until("error")
        url = f"http://127.0.0.1:{port}{job['metrics_path']}"
        async with httpx.AsyncClient() as client_of_http:
            assert (await client_of_http.get(url)).status_code == 401
            answer = await client_of_http.get(url, headers={"Authorization": "Bearer the-key"})
    assert answer.status_code == 200
    return answer.text


async def test_a_server_tells_every_metric_and_label_that_is_asked_for() -> None:
    text = await scraped()
    exist = {"up", *re.findall(r"^# TYPE (\w+) ", text, re.MULTILINE)}
    labels: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            exist.add(sample.name)
            labels.setdefault(sample.name, set()).update(sample.labels)
    asked = selected()
    assert len({name for name, _ in asked}) > 15
    assert {name for name, _ in asked} <= exist
    for name, matchers in asked:
        assert set(matchers) <= labels.get(name, {"outcome"}) | OF_THE_SCRAPE, name


def test_the_values_that_alerts_look_for_occur() -> None:
    codes = {code for _, matchers in selected() for code in matchers.get("code", "").split("|") if code}
    assert {"busy", "internal"} <= codes <= {str(code) for code in ErrorCode}
    (downloads,) = [
        matchers
        for name, matchers in selected()
        if name == "wyoming_tts_downloads_total" and matchers.get("outcome")
    ]
    assert downloads["outcome"] == DownloadState.FAILED


def test_it_is_asked_where_it_listens_and_known_by_the_name_that_alerts_use() -> None:
    config = yaml.safe_load(PROMETHEUS.read_text())
    (job,) = config["scrape_configs"]
    (target,) = job["static_configs"][0]["targets"]
    assert int(target.rpartition(":")[2]) == Settings.model_fields["http_port"].default
    assert config["rule_files"] == [RULES.name]
    jobs = {matchers["job"] for _, matchers in selected() if "job" in matchers}
    assert jobs == {job["job_name"]}
    service = yaml.safe_load((DEPLOY / "kubernetes" / "service.yaml").read_text())
    assert jobs == {service["metadata"]["name"]}, "the operator names jobs after services"


def test_every_alert_says_what_is_wrong_and_is_tried() -> None:
    tried = ALERT_TESTS.read_text()
    names = [rule["alert"] for rule in alerts()]
    assert len(names) == len(set(names))
    for rule in alerts():
        assert rule["alert"] in tried
        assert {"summary", "description"} == set(rule["annotations"])
        assert "$labels.instance" in rule["annotations"]["summary"]
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}


@pytest.mark.skipif(PROMTOOL is None, reason="promtool, of Debian's package prometheus, is not installed")
@pytest.mark.parametrize(
    "words",
    [("check", "config", PROMETHEUS), ("check", "rules", RULES), ("test", "rules", ALERT_TESTS)],
    ids=["configuration", "rules", "alerts"],
)
def test_promtool_agrees(words: tuple[str, str, Path]) -> None:
    assert PROMTOOL is not None
    done = subprocess.run([PROMTOOL, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
