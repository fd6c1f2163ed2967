"""The counters, and the dashboard that shows them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.fake_synthesizer import run_in_thread
from tests.unit.telemetry.records import failed, record
from wyoming_tts.speech import Outcome
from wyoming_tts.telemetry.prometheus import BUCKETS, PrometheusCounters, ServerLoad

T = TypeVar("T")

DASHBOARD = Path(__file__).parents[3] / "deploy" / "grafana" / "dashboard.json"


@pytest.fixture
def counters() -> PrometheusCounters:
    return PrometheusCounters(run_in_thread)


def at(name: str, **labels: str) -> str:
    """How a sample is called here."""
    return " ".join([f"wyoming_tts_{name}", *(f"{label}={labels[label]}" for label in sorted(labels))])


PIPER = {"transport": "wyoming", "engine": "piper"}


async def samples(counters: PrometheusCounters) -> dict[str, float]:
    """Every sample."""
    text = (await counters.exposition()).decode()
    return {
        at(sample.name.removeprefix("wyoming_tts_"), **sample.labels): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_what_was_spoken_is_added_up(counters: PrometheusCounters) -> None:
    counters.on_record(record())
    counters.on_record(record(ttfa=0.3, wait=0.0, underruns=0, underrun_seconds=0.0))
    seen = await samples(counters)
    assert seen[at("audio_seconds_total", **PIPER)] == 4.0
    assert seen[at("compute_seconds_total", **PIPER)] == pytest.approx(0.2)
    assert seen[at("characters_total", **PIPER)] == 84
    assert seen[at("cached_segments_total", **PIPER)] == 2
    assert seen[at("underruns_total", **PIPER)] == 1
    assert seen[at("underrun_seconds_total", **PIPER)] == pytest.approx(0.3)
    assert seen[at("utterances_total", **PIPER, outcome="done")] == 2
    assert seen[at("ttfa_seconds_bucket", **PIPER, le="0.075")] == 1
    assert seen[at("ttfa_seconds_bucket", **PIPER, le="0.5")] == 2
    assert seen[at("wait_seconds_bucket", **PIPER, le="0.005")] == 1


async def test_failures_are_told_apart_by_code(counters: PrometheusCounters) -> None:
    counters.on_record(failed("busy"))
    counters.on_record(failed("unknown_voice", voice="", engine=""))
    counters.on_record(record(outcome=Outcome.CANCELLED))
    seen = await samples(counters)
    assert seen[at("errors_total", **PIPER, code="busy")] == 1
    assert seen[at("errors_total", transport="wyoming", engine="none", code="unknown_voice")] == 1
    assert seen[at("utterances_total", **PIPER, outcome="cancelled")] == 1
    assert seen[at("ttfa_seconds_count", **PIPER)] == 1
    assert at("wait_seconds_count", transport="wyoming", engine="none") not in seen


def test_the_buckets_go_from_5_ms_to_10_s() -> None:
    assert (BUCKETS[0], BUCKETS[-1]) == (0.005, 10.0)
    assert list(BUCKETS) == sorted(BUCKETS)


async def test_the_house_is_asked_on_the_loop_each_time_and_shown_off_it(
    counters: PrometheusCounters,
) -> None:
    asked, made = [], []

    def readings() -> ServerLoad:
        asked.append(threading.current_thread())
        return ServerLoad(
            active_streams=len(asked), queued_streams=2, models=3, cache_disk_hits=4, cache_misses=5
        )

    async def noted(work: Callable[[], T], /) -> T:
        def watched() -> T:
            made.append(threading.current_thread())
            return work()

        return await run_in_thread(watched)

    counters._run_blocking = noted
    counters.watch(readings)
    assert (await samples(counters))[at("active_streams")] == 1
    seen = await samples(counters)
    assert seen[at("active_streams")] == 2
    assert seen[at("queued_streams")] == 2
    assert seen[at("models")] == 3
    assert seen[at("cache_hits_total", tier="disk")] == 4
    assert seen[at("cache_misses_total")] == 5
    assert asked == [threading.main_thread()] * 2
    assert threading.main_thread() not in made


async def test_models_and_downloads_are_counted(counters: PrometheusCounters) -> None:
    counters.count_model_load("piper", 0.5)
    counters.count_model_load("piper", 0.25)
    counters.count_download("done")
    seen = await samples(counters)
    assert seen[at("model_loads_total", engine="piper")] == 2
    assert seen[at("model_load_seconds_total", engine="piper")] == 0.75
    assert seen[at("downloads_total", outcome="done")] == 1


async def test_labels_never_grow_without_bound(counters: PrometheusCounters) -> None:
    for number in range(1000):
        counters.on_record(record(transport=f"transport-{number}"))
    seen = await samples(counters)
    assert len(seen) < 2000
    assert seen[at("characters_total", transport="other", engine="piper")] > 42


async def test_neither_id_nor_voice_is_in_it(counters: PrometheusCounters) -> None:
    counters.on_record(record(id="the-id", voice="the-voice"))
    text = await counters.exposition()
    assert b"the-id" not in text
    assert b"the-voice" not in text


async def test_two_servers_in_one_process_do_not_share_counts(counters: PrometheusCounters) -> None:
    other = PrometheusCounters(run_in_thread)
    counters.on_record(record())
    assert at("characters_total", **PIPER) not in await samples(other)


@pytest.mark.slow
def test_importing_the_product_loads_no_prometheus() -> None:
    script = (
        "import sys, wyoming_tts.server.app, wyoming_tts.telemetry.stats\n"
        "print('prometheus_client' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_what_the_command_line_needs_loads_nothing_heavy() -> None:
    script = "import sys, wyoming_tts.telemetry.stats, wyoming_tts.telemetry.log_lines; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not {"numpy", "rich", "prometheus_client", "wyoming"} & set(run.stdout.split())


async def test_every_metric_of_the_dashboard_exists(counters: PrometheusCounters) -> None:
    counters.on_record(record())
    counters.on_record(failed())
    counters.count_model_load("piper", 0.1)
    counters.count_download("done")
    text = (await counters.exposition()).decode()
    exist = set(re.findall(r"^(\w+)[ {]", text, re.MULTILINE))
    dashboard = json.loads(DASHBOARD.read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    named = {
        name
        for expression in expressions
        for name in re.findall(r"\b(?:wyoming_tts|process)_\w+", expression)
    }
    assert len(named) > 10
    assert named <= exist


def test_the_dashboard_shows_what_matters() -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    text = " ".join(target["expr"] for panel in dashboard["panels"] for target in panel["targets"])
    for metric in ("ttfa_seconds_bucket", "active_streams", "queued_streams", "errors_total"):
        assert f"wyoming_tts_{metric}" in text
    for metric in ("audio_seconds_total", "underruns_total", "cache_hits_total", "model_bytes"):
        assert f"wyoming_tts_{metric}" in text
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))
