"""The speech service of the running server, as HTTP sees it: speech, voices, blends, status and metrics."""

from __future__ import annotations

import os
import platform
import resource
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from wyoming_tts import __version__
from wyoming_tts.assembly.options import engine_options
from wyoming_tts.assembly.parts import Parts
from wyoming_tts.engines.onnx import compute_device
from wyoming_tts.errors import EngineFailed, Unsupported
from wyoming_tts.messages import Message
from wyoming_tts.speech import UnusableVoice, Utterance, Voice
from wyoming_tts.synthesis import SpeechStream
from wyoming_tts.system_reasons import system_reason
from wyoming_tts.transports.agent_check import MIN_WEIGHT, agent_weight
from wyoming_tts.transports.interfaces import AvailableVoice, RemovedSegments, ServiceHealth, UnloadedModels
from wyoming_tts.voices.blends.mixing import Blend
from wyoming_tts.voices.blends.recipes import check_name, parse_recipe
from wyoming_tts.voices.bucket.sync import BucketSync
from wyoming_tts.voices.catalogue import BLENDING_ENGINE, CatalogueVoice

if TYPE_CHECKING:
    from wyoming_tts.telemetry.prometheus import ServerLoad

_REPORTED_PACKAGES = ("wyoming", "onnxruntime", "piper-tts", "kokoro-onnx", "espeakng-loader", "fastapi")
_KILOBYTE = 1024


async def no_metrics() -> bytes:
    """Return no metrics, for a server that counts none."""
    return b""


class ServerSpeechService:
    """Implements `interfaces.SpeechService` on the server's parts."""

    def __init__(self, parts: Parts, metrics: Callable[[], Awaitable[bytes]] = no_metrics) -> None:
        self._parts = parts
        self._metrics = metrics
        self._started = time.monotonic()
        self._offered: tuple[AvailableVoice, ...] = ()
        self._offered_for: tuple[Voice, ...] | None = None

    def speak(self, utterance: Utterance) -> AbstractAsyncContextManager[SpeechStream]:
        """As for `Synthesizer.speak`."""
        return self._parts.synthesizer.speak(utterance)

    def voices(self) -> Sequence[AvailableVoice]:
        """As for `SpeechService.voices`."""
        library = self._parts.library
        if self._offered_for is not library.voices:
            self._offered_for = library.voices
            unusable = map(_offered_as_unusable, library.unusable)
            self._offered = (*map(_offered, library.voices), *unusable)
        if self._parts.settings.offline:
            return self._offered
        downloadable = map(_offered_from_catalogue, library.downloadable)
        return (*self._offered, *downloadable)

    async def phonemes(self, utterance: Utterance) -> Sequence[str]:
        """As for `SpeechService.phonemes`."""
        return (await self._parts.synthesizer.explain(utterance)).phonemes

    async def blend(self, recipe: str, name: str | None) -> AvailableVoice:
        """As for `SpeechService.blend`."""
        parts = self._parts
        blendable = self._blendable()
        parsed = parse_recipe(recipe, blendable)
        canonical = str(parsed)
        if not blendable:
            raise Unsupported(
                Message("nothing_to_blend", "No Kokoro voice is installed, so there is nothing to blend."),
                hint=Message("fetch_kokoro", "Download one first: `wyoming-tts voices download af_heart`."),
            )
        mixed = parts.blends.voice(canonical, parts.library.blendable)
        if mixed is None:
            raise parts.library.names.unknown_error(canonical)
        if name is None:
            return _offered(mixed)
        check_name(name)
        blend = Blend(name, parsed)
        await parts.workers.run_blocking(partial(parts.blends.store.add, blend))
        await parts.refresh_voices()
        return _offered(parts.library.installed(name))

    async def unload_models(self) -> UnloadedModels:
        """As for `SpeechService.unload_models`."""
        unloaded = await self._parts.loaded.unload()
        return UnloadedModels(_file_names(unloaded.models), _file_names(unloaded.in_use))

    async def clear_cache(self) -> dict[str, RemovedSegments]:
        """As for `SpeechService.clear_cache`."""
        try:
            removed = await self._parts.cache.clear()
        except OSError as error:
            raise EngineFailed(
                Message(
                    "cache_not_cleared", "The cache cannot be cleared: {reason}.", reason=system_reason(error)
                )
            ) from error
        return {
            "memory": RemovedSegments(removed.memory_segments, removed.memory_bytes),
            "disk": RemovedSegments(removed.disk_segments, removed.disk_bytes),
        }

    def _blendable(self) -> list[str]:
        return [voice.name for voice in self._parts.library.blendable if voice.engine == BLENDING_ENGINE]

    def health(self) -> ServiceHealth:
        """As for `SpeechService.health`."""
        return ServiceHealth(
            not_ready=self._why_not_ready(),
            degraded="Some files cannot be read now: what was known of them is used."
            if self._parts.unreadable
            else "",
            engines=sorted(self._parts.engines),
            device=compute_device(engine_options(self._parts.settings, self._parts.workers)),
            voices_loaded=len(self._parts.loaded.models),
        )

    def _why_not_ready(self) -> str:
        readiness = self._parts.readiness
        if not self._parts.library.voices:
            return "No voice can speak: none is installed, and the embedded one is not available either."
        if readiness.is_ready:
            return self._why_overloaded()
        if readiness.failure:
            return "No voice could be made ready to speak; the log says why. It is tried again."
        return "The default voice is not ready yet."

    def _why_overloaded(self) -> str:
        admission = self._parts.admission
        wait, limit = admission.predict_wait(time.monotonic()), admission.options.max_wait
        if wait <= limit:
            return ""
        return f"Another utterance would wait for about {wait:.0f} s, over the limit of {limit:g} s."

    async def metrics(self) -> bytes:
        """As for `SpeechService.metrics`."""
        return await self._metrics()

    async def status(self) -> Mapping[str, object]:
        """As for `SpeechService.status`."""
        parts = self._parts
        installed, fallback = parts.library.voices, parts.library.default_fallback
        return {
            "status": "starting" if self.health().not_ready else "ready",
            "version": __version__,
            "uptime_seconds": round(time.monotonic() - self._started, 1),
            "engines": sorted(parts.engines),
            "blending": bool(self._blendable()),
            "default_voice": parts.library.default.name,
            "default_voice_installed": parts.library.default_is_installed,
            "default_voice_fallback": fallback.name if fallback else None,
            "voices": {"installed": len(installed), "downloadable": len(parts.library.downloadable)},
            "unreadable": {str(path): reason for path, reason in parts.unreadable.items()},
            "bucket": None if parts.bucket is None else _sync_status(parts.bucket),
            "models": _file_names(parts.loaded.models),
            "load": {
                "streams": parts.admission.count_active(time.monotonic()),
                "queue": parts.admission.queued,
                "max_streams": parts.admission.options.max_streams,
                "max_queue": parts.admission.options.max_queue,
                "predicted_wait_seconds": round(parts.admission.predict_wait(time.monotonic()), 3),
            },
            "cache": _cache(parts),
            "memory_bytes": await parts.workers.run_blocking(_resident_bytes),
            "peak_memory_bytes": _peak_bytes(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "packages": await parts.workers.run_blocking(_versions),
        }


def server_load(parts: Parts) -> ServerLoad:
    """Measure the server's current load, for the metrics."""
    from wyoming_tts.telemetry.prometheus import ServerLoad  # noqa: PLC0415 - imports prometheus_client

    cache = parts.cache.statistics()
    return ServerLoad(
        active_streams=parts.admission.count_active(time.monotonic()),
        queued_streams=parts.admission.queued,
        predicted_wait_seconds=parts.admission.predict_wait(time.monotonic()),
        voices=Counter(voice.engine for voice in parts.library.voices),
        models=len(parts.loaded.models),
        model_bytes=parts.loaded.file_bytes,
        cache_memory_hits=cache.memory_hits,
        cache_disk_hits=cache.disk_hits,
        cache_misses=cache.misses,
        cache_memory_bytes=cache.memory_bytes,
        cache_disk_bytes=cache.disk_bytes,
        shared_cache=cache.shared,
    )


def agent_line(parts: Parts) -> str:
    """Return what HAProxy's agent-check is told of a server that is not stopping."""
    now, admission = time.monotonic(), parts.admission
    if not parts.readiness.is_ready:
        return f"ready {MIN_WEIGHT}%"
    return f"ready {agent_weight(admission.committed_share(now), admission.predict_wait(now))}%"


def _sync_status(bucket: BucketSync) -> dict[str, object]:
    status = bucket.status
    return {
        "url": bucket.store.url,
        "state": status.state,
        "error": status.error,
        "synced_at": status.synced_at.isoformat(timespec="seconds") if status.synced_at else None,
        "last_round": asdict(status.report),
    }


def _cache(parts: Parts) -> dict[str, object]:
    counted = parts.cache.statistics()
    return {
        "memory_hits": counted.memory_hits,
        "disk_hits": counted.disk_hits,
        "misses": counted.misses,
        "memory_bytes": counted.memory_bytes,
        "disk_bytes": counted.disk_bytes,
        "shared": asdict(counted.shared) if counted.shared else None,
    }


def _file_names(models: Iterable[str]) -> list[str]:
    return [Path(model).name for model in models]


def _offered(voice: Voice) -> AvailableVoice:
    return AvailableVoice(
        name=voice.name,
        language=voice.language,
        engine=voice.engine,
        description=voice.description,
        speakers=tuple(voice.speakers),
        sample_rate=voice.sample_rate,
    )


def _offered_as_unusable(unusable: UnusableVoice) -> AvailableVoice:
    problem = f"{unusable.reason}. {unusable.hint}"
    return replace(_offered(unusable.voice), is_installed=False, problem=problem)


def _offered_from_catalogue(voice: CatalogueVoice) -> AvailableVoice:
    return AvailableVoice(
        name=voice.name,
        language=voice.language,
        engine=voice.engine,
        description=f"{voice.name}, {voice.quality}",
        is_installed=False,
    )


def _resident_bytes() -> int:
    """Return the resident memory of this process; without /proc, its peak."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return _peak_bytes()
    return pages * resource.getpagesize()


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _KILOBYTE


def _versions() -> dict[str, str]:
    found = {}
    for package in _REPORTED_PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
