"""Prometheus counters, and the Grafana dashboard that uses them."""

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
from wyoming_tts.cache import SharedStatistics
from wyoming_tts.speech import Outcome
from wyoming_tts.telemetry.prometheus import BUCKETS, PrometheusCounters, ServerLoad

T = TypeVar("T")

DASHBOARD = Path(__file__).parents[3] / "deploy" / "grafana" / "dashboard.json"


@pytest.fixture
def counters() -> PrometheusCounters:
    return PrometheusCounters(run_in_thread)


def sample_key(name: str, **labels: str) -> str:
    """Key of a sample: metric name and sorted labels."""
    return " ".join([f"wyoming_tts_{name}", *(f"{label}={labels[label]}" for label in sorted(labels))])


PIPER = {"transport": "wyoming", "engine": "piper"}


async def scrape(counters: PrometheusCounters) -> dict[str, float]:
    """Scrape the exposition; returns the value of every sample."""
    text = (await counters.exposition()).decode()
    return {
        sample_key(sample.name.removeprefix("wyoming_tts_"), **sample.labels): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_spoken_utterances_are_summed(counters: PrometheusCounters) -> None:
    counters.on_record(record())
    counters.on_record(record(ttfa=0.3, wait=0.0, underruns=0, underrun_seconds=0.0))
    scraped = await scrape(counters)
    assert scraped[sample_key("audio_seconds_total", **PIPER)] == 4.0
    assert scraped[sample_key("compute_seconds_total", **PIPER)] == pytest.approx(0.2)
    assert scraped[sample_key("characters_total", **PIPER)] == 84
    assert scraped[sample_key("cached_segments_total", **PIPER)] == 2
    assert scraped[sample_key("underruns_total", **PIPER)] == 1
    assert scraped[sample_key("underrun_seconds_total", **PIPER)] == pytest.approx(0.3)
    assert scraped[sample_key("utterances_total", **PIPER, outcome="done")] == 2
    assert scraped[sample_key("ttfa_seconds_bucket", **PIPER, le="0.075")] == 1
    assert scraped[sample_key("ttfa_seconds_bucket", **PIPER, le="0.5")] == 2
    assert scraped[sample_key("wait_seconds_bucket", **PIPER, le="0.005")] == 1


async def test_failures_are_counted_by_error_code(counters: PrometheusCounters) -> None:
    counters.on_record(failed("busy"))
    counters.on_record(failed("unknown_voice", voice="", engine=""))
    counters.on_record(record(outcome=Outcome.CANCELLED))
    scraped = await scrape(counters)
    assert scraped[sample_key("errors_total", **PIPER, code="busy")] == 1
    assert scraped[sample_key("errors_total", transport="wyoming", engine="none", code="unknown_voice")] == 1
    assert scraped[sample_key("utterances_total", **PIPER, outcome="cancelled")] == 1
    assert scraped[sample_key("ttfa_seconds_count", **PIPER)] == 1
    assert sample_key("wait_seconds_count", transport="wyoming", engine="none") not in scraped


async def test_voices_are_told_by_engine_and_http_responses_by_status(counters: PrometheusCounters) -> None:
    counters.watch(lambda: ServerLoad(voices={"piper": 2, "espeak": 100}))
    for status in (200, 200, 429):
        counters.count_response(status)
    scraped = await scrape(counters)
    assert scraped[sample_key("voices", engine="piper")] == 2
    assert scraped[sample_key("voices", engine="espeak")] == 100
    assert scraped[sample_key("http_responses_total", status="200")] == 2
    assert scraped[sample_key("http_responses_total", status="429")] == 1


def test_histogram_buckets_range_from_5_ms_to_10_s() -> None:
    assert (BUCKETS[0], BUCKETS[-1]) == (0.005, 10.0)
    assert list(BUCKETS) == sorted(BUCKETS)


async def test_server_load_is_read_on_the_loop_at_each_scrape_and_rendered_off_it(
    counters: PrometheusCounters,
) -> None:
    read_threads, render_threads = [], []

    def read_load() -> ServerLoad:
        read_threads.append(threading.current_thread())
        return ServerLoad(
            active_streams=len(read_threads), queued_streams=2, models=3, cache_disk_hits=4, cache_misses=5
        )

    async def run_recording_thread(work: Callable[[], T], /) -> T:
        def recorded_work() -> T:
            render_threads.append(threading.current_thread())
            return work()

        return await run_in_thread(recorded_work)

    counters._run_blocking = run_recording_thread
    counters.watch(read_load)
    assert (await scrape(counters))[sample_key("active_streams")] == 1
    scraped = await scrape(counters)
    assert scraped[sample_key("active_streams")] == 2
    assert scraped[sample_key("queued_streams")] == 2
    assert scraped[sample_key("models")] == 3
    assert scraped[sample_key("cache_hits_total", tier="disk")] == 4
    assert scraped[sample_key("cache_misses_total")] == 5
    assert read_threads == [threading.main_thread()] * 2
    assert threading.main_thread() not in render_threads


async def test_a_shared_cache_is_counted_where_there_is_one(counters: PrometheusCounters) -> None:
    counters.watch(ServerLoad)
    assert sample_key("shared_cache_usable") not in await scrape(counters)
    shared = SharedStatistics(
        "redis://there", is_usable=False, hits=1, misses=2, errors=3, writes=4, writes_dropped=5
    )
    counters.watch(lambda: ServerLoad(shared_cache=shared))
    scraped = await scrape(counters)
    assert scraped[sample_key("shared_cache_usable")] == 0
    assert scraped[sample_key("cache_hits_total", tier="shared")] == 1
    assert scraped[sample_key("shared_cache_misses_total")] == 2
    assert scraped[sample_key("shared_cache_errors_total")] == 3
    assert scraped[sample_key("shared_cache_writes_dropped_total")] == 5


async def test_model_loads_and_downloads_are_counted(counters: PrometheusCounters) -> None:
    counters.count_model_load("piper", 0.5)
    counters.count_model_load("piper", 0.25)
    counters.count_download("done")
    scraped = await scrape(counters)
    assert scraped[sample_key("model_loads_total", engine="piper")] == 2
    assert scraped[sample_key("model_load_seconds_total", engine="piper")] == 0.75
    assert scraped[sample_key("downloads_total", outcome="done")] == 1


async def test_label_cardinality_is_bounded(counters: PrometheusCounters) -> None:
    for number in range(1000):
        counters.on_record(record(transport=f"transport-{number}"))
    scraped = await scrape(counters)
    assert len(scraped) < 2000
    assert scraped[sample_key("characters_total", transport="other", engine="piper")] > 42


async def test_utterance_ids_and_voices_are_not_exported(counters: PrometheusCounters) -> None:
    counters.on_record(record(id="the-id", voice="the-voice"))
    text = await counters.exposition()
    assert b"the-id" not in text
    assert b"the-voice" not in text


async def test_counters_in_one_process_are_independent(counters: PrometheusCounters) -> None:
    other = PrometheusCounters(run_in_thread)
    counters.on_record(record())
    assert sample_key("characters_total", **PIPER) not in await scrape(other)


@pytest.mark.slow
def test_importing_the_server_does_not_load_prometheus() -> None:
    script = (
        "import sys, wyoming_tts.server.app, wyoming_tts.telemetry.stats\n"
        "print('prometheus_client' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_importing_stats_and_log_lines_loads_no_heavy_package() -> None:
    script = "import sys, wyoming_tts.telemetry.stats, wyoming_tts.telemetry.log_lines; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not {"numpy", "rich", "prometheus_client", "wyoming"} & set(run.stdout.split())


async def test_every_metric_of_the_dashboard_exists(counters: PrometheusCounters) -> None:
    counters.on_record(record())
    counters.on_record(failed())
    counters.count_model_load("piper", 0.1)
    counters.count_download("done")
    counters.count_response(200)
    shared = SharedStatistics(
        "redis://there", is_usable=True, hits=0, misses=0, errors=0, writes=0, writes_dropped=0
    )
    counters.watch(lambda: ServerLoad(voices={"piper": 1}, shared_cache=shared))
    text = (await counters.exposition()).decode()
    exported = set(re.findall(r"^(\w+)[ {]", text, re.MULTILINE))
    dashboard = json.loads(DASHBOARD.read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    used = {
        name
        for expression in expressions
        for name in re.findall(r"\b(?:wyoming_tts|process)_\w+", expression)
    }
    assert len(used) > 10
    assert used <= exported


def test_the_dashboard_shows_the_key_metrics() -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    text = " ".join(target["expr"] for panel in dashboard["panels"] for target in panel["targets"])
    for metric in ("ttfa_seconds_bucket", "active_streams", "queued_streams", "errors_total"):
        assert f"wyoming_tts_{metric}" in text
    for metric in ("audio_seconds_total", "underruns_total", "cache_hits_total", "model_bytes"):
        assert f"wyoming_tts_{metric}" in text
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))
