"""Prometheus metrics: counters and histograms by transport and engine, never by text, id or voice.

Importing this takes a while; `recorder` does it on a worker. What is counted elsewhere already, such as cache
hits, is collected when the metrics are exposed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from wyoming_tts import __version__
from wyoming_tts.blocking import RunBlocking
from wyoming_tts.cache import SharedStatistics
from wyoming_tts.speech import UtteranceRecord

BUCKETS = (0.005, 0.01, 0.02, 0.035, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Histogram buckets in seconds: finest where a listener begins to notice a delay."""

_MAX_LABEL_VALUES = 32
"""Different values of a label; further ones are counted together, which bounds the cardinality."""
_OTHER = "other"

_LABELS = ("transport", "engine")


@dataclass(frozen=True, slots=True)
class ServerLoad:
    """Gauges and counters of the server at one moment."""

    active_streams: int = 0
    queued_streams: int = 0
    predicted_wait_seconds: float = 0.0
    """For how long others would delay the first audio of another stream."""
    voices: Mapping[str, int] = field(default_factory=dict)
    """Installed voices, by engine."""
    models: int = 0
    """Models in memory."""
    model_bytes: int = 0
    """Memory that they take, by the size of their files."""
    cache_memory_hits: int = 0
    cache_disk_hits: int = 0
    cache_misses: int = 0
    cache_memory_bytes: int = 0
    cache_disk_bytes: int = 0
    shared_cache: SharedStatistics | None = None
    """None if none is configured."""


class PrometheusCounters:
    """All metrics of one server, in a registry of their own."""

    def __init__(self, run_blocking: RunBlocking) -> None:
        """Create the metrics; `run_blocking` formats them, which takes milliseconds and reads /proc."""
        self.registry = CollectorRegistry()
        self._run_blocking = run_blocking
        self._load = _ServerLoadCollector()
        self.registry.register(self._load)
        ProcessCollector(registry=self.registry)
        self._label_values: dict[str, set[str]] = {}
        self._make_speech_metrics()
        self._make_server_metrics()

    def _make_speech_metrics(self) -> None:
        registry = self.registry
        self._utterances = Counter(
            "wyoming_tts_utterances", "Utterances that ended.", (*_LABELS, "outcome"), registry=registry
        )
        self._errors = Counter(
            "wyoming_tts_errors", "Utterances that failed.", (*_LABELS, "code"), registry=registry
        )
        self._ttfa = Histogram(
            "wyoming_tts_ttfa_seconds",
            "Time to first audio, from the text of the first segment.",
            _LABELS,
            buckets=BUCKETS,
            registry=registry,
        )
        self._wait = Histogram(
            "wyoming_tts_wait_seconds",
            "Waiting in the admission queue.",
            _LABELS,
            buckets=BUCKETS,
            registry=registry,
        )
        self._sums = {
            name: Counter(f"wyoming_tts_{name}", text, _LABELS, registry=registry)
            for name, text in _SUMS.items()
        }

    def _make_server_metrics(self) -> None:
        registry = self.registry
        self._downloads = Counter(
            "wyoming_tts_downloads", "Voice downloads that ended.", ("outcome",), registry=registry
        )
        self._responses = Counter(
            "wyoming_tts_http_responses", "HTTP responses that began.", ("status",), registry=registry
        )
        self._loads = Counter("wyoming_tts_model_loads", "Models loaded.", ("engine",), registry=registry)
        self._load_seconds = Counter(
            "wyoming_tts_model_load_seconds", "Time taken to load models.", ("engine",), registry=registry
        )
        Gauge("wyoming_tts_info", "Version of the server.", ("version",), registry=registry).labels(
            __version__
        ).set(1)

    def watch(self, readings: Callable[[], ServerLoad]) -> None:
        """Call `readings` on the event loop each time the metrics are exposed."""
        self._load.read = readings

    def on_record(self, record: UtteranceRecord) -> None:
        """Count an utterance that is over."""
        labels = (
            self._bounded("transport", record.transport),
            self._bounded("engine", record.engine or "none"),
        )
        self._utterances.labels(*labels, str(record.outcome)).inc()
        if record.error:
            self._errors.labels(*labels, self._bounded("code", record.error)).inc()
        if record.ttfa is not None:
            self._ttfa.labels(*labels).observe(record.ttfa)
        if record.engine:  # without an engine it never reached the admission queue
            self._wait.labels(*labels).observe(record.wait)
        for name, counter in self._sums.items():
            counter.labels(*labels).inc(getattr(record, name))

    def count_model_load(self, engine: str, seconds: float) -> None:
        """Count a model load and its seconds."""
        self._loads.labels(engine).inc()
        self._load_seconds.labels(engine).inc(seconds)

    def count_response(self, status: int) -> None:
        """Count an HTTP response that begins."""
        self._responses.labels(self._bounded("status", str(status))).inc()

    def count_download(self, outcome: str) -> None:
        """Count a voice download that ended as `done` or `failed`."""
        self._downloads.labels(self._bounded("download", outcome)).inc()

    async def exposition(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        self._load.refresh()
        return await self._run_blocking(lambda: generate_latest(self.registry))

    def _bounded(self, label: str, value: str) -> str:
        values = self._label_values.setdefault(label, set())
        if len(values) < _MAX_LABEL_VALUES:
            values.add(value)
        return value if value in values else _OTHER


_SUMS = {
    "audio_seconds": "Audio delivered to listeners.",
    "compute_seconds": "Compute time for that audio.",
    "characters": "Text spoken.",
    "segments": "Segments spoken.",
    "cached_segments": "Segments that came from the cache.",
    "underruns": "Times a listener ran dry although there was text to speak.",
    "underrun_seconds": "Time that listeners were dry.",
    "held_seconds": "Time for which audio was held back so that it plays without a gap.",
}
"""Fields of a record that are summed, with their help texts."""


class _ServerLoadCollector(Collector):
    """Exposes what is counted elsewhere, as of the last refresh."""

    def __init__(self) -> None:
        self.read: Callable[[], ServerLoad] = ServerLoad
        self._latest = ServerLoad()

    def refresh(self) -> None:
        self._latest = self.read()

    def collect(self) -> Iterator[Metric]:
        load = self._latest
        yield GaugeMetricFamily(
            "wyoming_tts_active_streams", "Streams being spoken.", value=load.active_streams
        )
        yield GaugeMetricFamily(
            "wyoming_tts_queued_streams", "Streams in the admission queue.", value=load.queued_streams
        )
        yield GaugeMetricFamily(
            "wyoming_tts_predicted_wait_seconds",
            "For how long others would delay the first audio of another stream.",
            value=load.predicted_wait_seconds,
        )
        voices = GaugeMetricFamily("wyoming_tts_voices", "Installed voices.", labels=("engine",))
        for engine, number in load.voices.items():
            voices.add_metric((engine,), number)
        yield voices
        yield GaugeMetricFamily("wyoming_tts_models", "Models in memory.", value=load.models)
        yield GaugeMetricFamily(
            "wyoming_tts_model_bytes", "Size of the files of models in memory.", value=load.model_bytes
        )
        hits = CounterMetricFamily("wyoming_tts_cache_hits", "Segments found in the cache.", labels=("tier",))
        hits.add_metric(("memory",), load.cache_memory_hits)
        hits.add_metric(("disk",), load.cache_disk_hits)
        if load.shared_cache is not None:
            hits.add_metric(("shared",), load.shared_cache.hits)
            yield from _shared_cache_metrics(load.shared_cache)
        yield hits
        yield CounterMetricFamily(
            "wyoming_tts_cache_misses", "Segments not found in the cache.", value=load.cache_misses
        )
        held = GaugeMetricFamily("wyoming_tts_cache_bytes", "Size of the cache.", labels=("tier",))
        held.add_metric(("memory",), load.cache_memory_bytes)
        held.add_metric(("disk",), load.cache_disk_bytes)
        yield held


def _shared_cache_metrics(load: SharedStatistics) -> Iterator[Metric]:
    name = "wyoming_tts_shared_cache"
    yield GaugeMetricFamily(
        f"{name}_usable", "1 while the shared cache is asked, 0 while it fails.", value=int(load.is_usable)
    )
    yield CounterMetricFamily(f"{name}_misses", "Segments that the shared cache lacked.", value=load.misses)
    yield CounterMetricFamily(
        f"{name}_errors", "Answers of the shared cache that were late, wrong or none.", value=load.errors
    )
    yield CounterMetricFamily(
        f"{name}_writes_dropped", "Segments that it did not get.", value=load.writes_dropped
    )
