"""Prometheus configuration, alerts and Grafana dashboard use only metrics that a real server exports."""

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
TIMEOUT = 45.0

NO_CACHE_SERVER = "redis://127.0.0.1:9/0"
SHOWN_NOWHERE = {
    "wyoming_tts_characters_total",
    "wyoming_tts_segments_total",
    "wyoming_tts_cached_segments_total",
}
"""What the dashboard and the alerts leave to those who ask for it."""
SCRAPE_LABELS = {"instance", "job", "le"}
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


def selected_metrics() -> list[tuple[str, Mapping[str, str]]]:
    """Each metric selected by an alert or the dashboard, with its label matchers."""
    expressions = [*dashboard_expressions(), *(rule["expr"] for rule in alerts())]
    return [
        (found[1], dict(_MATCHER.findall(found[2] or "")))
        for expression in expressions
        for found in _SELECTED.finditer(expression)
    ]


async def scrape_metrics() -> str:
    """Metrics of a server after one successful and one failed utterance, scraped with its API key."""
    job = yaml.safe_load(PROMETHEUS.read_text())["scrape_configs"][0]
    http = ("--http", "--http-port", "0", "--api-keys", "the-key", "--cache-url", NO_CACHE_SERVER)
    async with asyncio.timeout(TIMEOUT), server_process(*SPEAKS_LETTERS, *http) as server:
        port = (await server.read_until(r"HTTP API listens on http://[\d.]+:(\d+)"))[1]
        async with WyomingTestClient.connect("127.0.0.1", server.port) as client:
            await client.send(Event("synthesize", {"text": "Spoken."}))
            await client.until("audio-stop")
            await client.send(Event("synthesize", {"text": "Not spoken.", "voice": {"name": "nobody"}}))
            await client.until("error")
        url = f"http://127.0.0.1:{port}{job['metrics_path']}"
        async with httpx.AsyncClient() as http_client:
            assert (await http_client.get(url)).status_code == 401
            answer = await http_client.get(url, headers={"Authorization": "Bearer the-key"})
    assert answer.status_code == 200
    return answer.text


async def test_a_server_exports_every_selected_metric_and_label_and_no_other() -> None:
    text = await scrape_metrics()
    exported = {"up", *re.findall(r"^# TYPE (\w+) ", text, re.MULTILINE)}
    labels: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            exported.add(sample.name)
            labels.setdefault(sample.name, set()).update(sample.labels)
    selected = selected_metrics()
    assert len({name for name, _ in selected}) > 15
    used = {name for name, _ in selected}
    assert used <= exported
    ours = set(re.findall(r"^# TYPE (wyoming_tts_\w+) (?!histogram)", text, re.MULTILINE))
    assert ours - used == SHOWN_NOWHERE | {name for name in ours if name.endswith("_created")}
    for name, matchers in selected:
        assert set(matchers) <= labels.get(name, {"outcome"}) | SCRAPE_LABELS, name


def test_label_values_in_alerts_are_ones_the_server_uses() -> None:
    codes = {
        code for _, matchers in selected_metrics() for code in matchers.get("code", "").split("|") if code
    }
    assert {"busy", "internal"} <= codes <= {str(code) for code in ErrorCode}
    (downloads,) = [
        matchers
        for name, matchers in selected_metrics()
        if name == "wyoming_tts_downloads_total" and matchers.get("outcome")
    ]
    assert downloads["outcome"] == DownloadState.FAILED


def test_the_scrape_target_has_the_servers_port_and_the_job_name_of_the_alerts() -> None:
    config = yaml.safe_load(PROMETHEUS.read_text())
    (job,) = config["scrape_configs"]
    (target,) = job["static_configs"][0]["targets"]
    assert int(target.rpartition(":")[2]) == Settings.model_fields["http_port"].default
    assert config["rule_files"] == [RULES.name]
    jobs = {matchers["job"] for _, matchers in selected_metrics() if "job" in matchers}
    assert jobs == {job["job_name"]}
    service = yaml.safe_load((DEPLOY / "kubernetes" / "service.yaml").read_text())
    assert jobs == {service["metadata"]["name"]}, "the operator names jobs after services"


def test_every_alert_has_annotations_and_a_rule_test() -> None:
    rule_tests = ALERT_TESTS.read_text()
    names = [rule["alert"] for rule in alerts()]
    assert len(names) == len(set(names))
    for rule in alerts():
        assert rule["alert"] in rule_tests
        assert {"summary", "description", "runbook_url"} == set(rule["annotations"])
        assert "$labels.instance" in rule["annotations"]["summary"]
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}


@pytest.mark.skipif(PROMTOOL is None, reason="promtool, of Debian's package prometheus, is not installed")
@pytest.mark.parametrize(
    "arguments",
    [("check", "config", PROMETHEUS), ("check", "rules", RULES), ("test", "rules", ALERT_TESTS)],
    ids=["configuration", "rules", "alerts"],
)
def test_promtool_accepts_the_configuration_rules_and_rule_tests(arguments: tuple[str, str, Path]) -> None:
    assert PROMTOOL is not None
    completed = subprocess.run([PROMTOOL, *arguments], capture_output=True, text=True, check=False)
    assert completed.returncode == 0, completed.stdout + completed.stderr


def test_every_alert_links_to_its_own_section_of_the_troubleshooting_page() -> None:
    page = (DEPLOY.parent / "docs" / "troubleshooting.md").read_text("utf-8")
    for rule in alerts():
        url = rule["annotations"]["runbook_url"]
        assert url.startswith("https://github.com/wyoming-tts/wyoming-tts/blob/main/docs/troubleshooting.md#")
        assert url.rpartition("#")[2] == rule["alert"].lower()
        assert f"\n### {rule['alert']}\n" in page, rule["alert"]
    assert len(re.findall(r"^### WyomingTts", page, re.MULTILINE)) == len(alerts())
