"""Counters in Prometheus' text format: by transport and engine, never by text, id or voice.

Importing this takes a while; the composition root has a worker do it. What others count already, such
as the cache its hits, is asked for when the counters are shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from wyoming_tts import __version__
from wyoming_tts.blocking import RunBlocking
from wyoming_tts.speech import UtteranceRecord

BUCKETS = (0.005, 0.01, 0.02, 0.035, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds: closest where a listener begins to notice, up to what anybody waits for."""

_MOST_NAMES = 32
"""Different values of a label; more are counted together, so that the counters stay small."""
_OTHER = "other"

_WHERE = ("transport", "engine")


@dataclass(frozen=True, slots=True)
class ServerLoad:
    """How full the house is at one moment."""

    active_streams: int = 0
    queued_streams: int = 0
    models: int = 0
    """In memory."""
    model_bytes: int = 0
    """That they take, by the size of their files."""
    cache_memory_hits: int = 0
    cache_disk_hits: int = 0
    cache_misses: int = 0
    cache_memory_bytes: int = 0
    cache_disk_bytes: int = 0


class PrometheusCounters:
    """Everything that is counted, in a registry of its own."""

    def __init__(self, run_blocking: RunBlocking) -> None:
        """`run_blocking` makes the text: it takes milliseconds, and reads /proc."""
        self.registry = CollectorRegistry()
        self._run_blocking = run_blocking
        self._house = _ServerLoadCollector()
        self.registry.register(self._house)
        ProcessCollector(registry=self.registry)
        self._names: dict[str, set[str]] = {}
        self._make_speech()
        self._make_house()

    def _make_speech(self) -> None:
        registry = self.registry
        self._utterances = Counter(
            "wyoming_tts_utterances", "Utterances that are over.", (*_WHERE, "outcome"), registry=registry
        )
        self._errors = Counter(
            "wyoming_tts_errors", "Utterances that failed.", (*_WHERE, "code"), registry=registry
        )
        self._ttfa = Histogram(
            "wyoming_tts_ttfa_seconds",
            "From the first segment's text to its first audio.",
            _WHERE,
            buckets=BUCKETS,
            registry=registry,
        )
        self._wait = Histogram(
            "wyoming_tts_wait_seconds",
            "Waiting at the door for another stream to end.",
            _WHERE,
            buckets=BUCKETS,
            registry=registry,
        )
        self._sums = {
            name: Counter(f"wyoming_tts_{name}", text, _WHERE, registry=registry)
            for name, text in _SUMS.items()
        }

    def _make_house(self) -> None:
        registry = self.registry
        self._downloads = Counter(
            "wyoming_tts_downloads", "Voices fetched, or not.", ("outcome",), registry=registry
        )
        self._loads = Counter("wyoming_tts_model_loads", "Models loaded.", ("engine",), registry=registry)
        self._load_seconds = Counter(
            "wyoming_tts_model_load_seconds", "Time taken by that.", ("engine",), registry=registry
        )
        Gauge("wyoming_tts_info", "The server.", ("version",), registry=registry).labels(__version__).set(1)

    def watch(self, readings: Callable[[], ServerLoad]) -> None:
        """Ask this on the event loop each time the counters are shown."""
        self._house.ask = readings

    def on_record(self, record: UtteranceRecord) -> None:
        """Count an utterance that is over."""
        where = self._bounded("transport", record.transport), self._bounded("engine", record.engine or "none")
        self._utterances.labels(*where, str(record.outcome)).inc()
        if record.error:
            self._errors.labels(*where, self._bounded("code", record.error)).inc()
        if record.ttfa is not None:
            self._ttfa.labels(*where).observe(record.ttfa)
        if record.engine:  # others never came to the door
            self._wait.labels(*where).observe(record.wait)
        for name, counter in self._sums.items():
            counter.labels(*where).inc(getattr(record, name))

    def model_loaded(self, engine: str, seconds: float) -> None:
        """Count a model that was loaded."""
        self._loads.labels(engine).inc()
        self._load_seconds.labels(engine).inc(seconds)

    def download_over(self, outcome: str) -> None:
        """Count a voice that was fetched, `done`, or could not be, `failed`."""
        self._downloads.labels(self._bounded("download", outcome)).inc()

    async def exposition(self) -> bytes:
        """Return all of it in Prometheus' text format."""
        self._house.look()
        return await self._run_blocking(lambda: generate_latest(self.registry))

    def _bounded(self, label: str, value: str) -> str:
        names = self._names.setdefault(label, set())
        if len(names) < _MOST_NAMES:
            names.add(value)
        return value if value in names else _OTHER


_SUMS = {
    "audio_seconds": "Audio given to listeners.",
    "compute_seconds": "Computing for that.",
    "characters": "Text spoken.",
    "segments": "Segments spoken.",
    "cached_segments": "Of these, from the cache.",
    "underruns": "Times a listener heard nothing although there was text to speak.",
    "underrun_seconds": "Time they heard nothing.",
}
"""Fields of a record that are added up."""


class _ServerLoadCollector(Collector):
    """What is counted elsewhere, as it was when the counters were last asked for."""

    def __init__(self) -> None:
        self.ask: Callable[[], ServerLoad] = ServerLoad
        self._seen = ServerLoad()

    def look(self) -> None:
        self._seen = self.ask()

    def collect(self) -> Iterator[Metric]:
        seen = self._seen
        yield GaugeMetricFamily("wyoming_tts_active_streams", "Being spoken.", value=seen.active_streams)
        yield GaugeMetricFamily("wyoming_tts_queued_streams", "At the door.", value=seen.queued_streams)
        yield GaugeMetricFamily("wyoming_tts_models", "Models in memory.", value=seen.models)
        yield GaugeMetricFamily("wyoming_tts_model_bytes", "Size of their files.", value=seen.model_bytes)
        hits = CounterMetricFamily("wyoming_tts_cache_hits", "Segments found.", labels=("tier",))
        hits.add_metric(("memory",), seen.cache_memory_hits)
        hits.add_metric(("disk",), seen.cache_disk_hits)
        yield hits
        yield CounterMetricFamily("wyoming_tts_cache_misses", "Segments not found.", value=seen.cache_misses)
        held = GaugeMetricFamily("wyoming_tts_cache_bytes", "What the cache holds.", labels=("tier",))
        held.add_metric(("memory",), seen.cache_memory_bytes)
        held.add_metric(("disk",), seen.cache_disk_bytes)
        yield held
