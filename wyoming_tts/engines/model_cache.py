"""Model cache, LRU: models in memory are loaded once, leased to streams, the least recently used freed first.

A stream holds a lease while it speaks, so a model in use is never freed. A model that several streams request
at once is loaded once; a load whose stream was cancelled meanwhile is kept for the next. Models that nobody
speaks with can be unloaded after a while; they are loaded again when they are needed.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from wyoming_tts.blocking import RunBlocking, run_uninterrupted
from wyoming_tts.engines.base import Engine, FirstCut, ReadyVoice, RemoteVoice
from wyoming_tts.errors import StepTimedOut, VoiceUnavailable
from wyoming_tts.messages import Message
from wyoming_tts.speech import Prosody, Voice

_LOGGER = logging.getLogger(__name__)

QUARANTINE_SECONDS: Final = 600.0
"""How long a model is not used after a step of it did not end in time: others hardly notice a try that rare,
and a voice comes back by itself after the machine was overloaded."""


@dataclass(slots=True)
class _Entry:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    loaded: ReadyVoice | None = None
    leases: int = 0
    idle_leases: int = 0
    """How many of them are by `lease_loaded`."""
    file_bytes: int = 0
    fingerprints: dict[str, str] = field(default_factory=dict)
    """Of the voices it was leased for, by name, as of their first lease."""
    used_at: float = 0.0
    """When its last lease ended, other than by `lease_loaded`."""
    is_unwanted: bool = False
    """Whether it is freed at the end of its last lease."""

    @property
    def is_in_memory(self) -> bool:
        """Whether it occupies memory: a remote voice does not, and takes no place in the cache."""
        return self.loaded is not None and not isinstance(self.loaded, RemoteVoice)


@dataclass(frozen=True, slots=True)
class Unloaded:
    """What `ModelCache.unload` did."""

    models: tuple[str, ...]
    """The models that were freed."""
    in_use: tuple[str, ...]
    """The models that will be freed at the end of their last lease."""


@dataclass(slots=True)
class _Quarantine:
    fingerprints: Mapping[str, str]
    until: float


class ModelCache:
    """Models by `Voice.model`, within limits of number and size that only models in use may exceed."""

    def __init__(
        self,
        engines: Mapping[str, Engine],
        *,
        run_blocking: RunBlocking,
        capacity: int,
        memory_bytes: int | None = None,
        on_loaded: Callable[[str, float], None] = lambda _engine, _seconds: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make it empty.

        Args:
            engines: By name, as voices name them.
            run_blocking: Loads models off the event loop.
            capacity: Most models to keep.
            memory_bytes: Most memory that they may take, by the size of their files; None for no limit.
            on_loaded: Called after each load with its engine and seconds, on the thread that loaded.
            clock: Monotonic time in seconds.
        """
        self._engines = engines
        self._run_blocking = run_blocking
        self._capacity = capacity
        self._memory_bytes = memory_bytes
        self._on_loaded = on_loaded
        self._entries: dict[str, _Entry] = {}  # the most recently used last
        self._outdated: list[_Entry] = []  # freed after their last lease
        self._clock = clock
        self._quarantined: dict[str, _Quarantine] = {}

    def __repr__(self) -> str:
        return f"<ModelCache {', '.join(self.models) or 'empty'}>"

    @property
    def models(self) -> tuple[str, ...]:
        """The models in memory, the least recently used first."""
        return tuple(model for model, entry in self._entries.items() if entry.is_in_memory)

    @property
    def file_bytes(self) -> int:
        """Total file size of the models in memory."""
        return sum(entry.file_bytes for entry in self._entries.values() if entry.loaded is not None)

    def first_cut(self, voice: Voice, prosody: Prosody) -> FirstCut:
        """Return `Engine.first_cut` of the voice's engine."""
        engine = self._engines.get(voice.engine)
        return engine.first_cut(voice, prosody) if engine else FirstCut.AFTER_CLAUSE

    @asynccontextmanager
    async def lease(self, voice: Voice) -> AsyncIterator[ReadyVoice]:
        """Lease the voice's model, loading it first if necessary.

        Raises:
            VoiceUnavailable: its engine is not installed, its files cannot be loaded, or a step of it did not
                end in time lately.
        """
        self._check_not_quarantined(voice)
        entry = self._entries.setdefault(voice.model, _Entry())
        self._entries[voice.model] = self._entries.pop(voice.model)
        entry.fingerprints.setdefault(voice.name, voice.fingerprint)
        entry.leases += 1
        try:
            yield await self._ensure_loaded(voice, entry)
        finally:
            entry.leases -= 1
            entry.used_at = self._clock()
            self._free_beyond_capacity()

    @contextmanager
    def lease_loaded(self, voice: Voice) -> Iterator[ReadyVoice | None]:
        """Lease the voice's model if it is in memory and may be used, else None.

        This counts as no use: it gives way to other models as if there were no lease, at the end of it.
        """
        entry = self._entries.get(voice.model)
        is_current = entry is not None and entry.fingerprints.get(voice.name) == voice.fingerprint
        if entry is None or not is_current or voice.model in self._quarantined:
            yield None
            return
        entry.leases += 1
        entry.idle_leases += 1
        try:
            yield entry.loaded
        finally:
            entry.idle_leases -= 1
            entry.leases -= 1
            self._free_beyond_capacity()

    @contextmanager
    def quarantining(self, voice: Voice) -> Iterator[None]:
        """Run steps of a leased model; if one does not end in time, the model is not used for a while.

        It is used again when its files change, or after QUARANTINE_SECONDS. The latter does not apply if the
        step could not be stopped, because each such step costs a thread and a core for good.
        """
        try:
            yield
        except StepTimedOut as error:
            until = math.inf if error.is_abandoned else self._clock() + QUARANTINE_SECONDS
            self._quarantined[voice.model] = _Quarantine({voice.name: voice.fingerprint}, until)
            _LOGGER.error(  # noqa: TRY400 - where our own code was waiting says nothing
                "%s is not used %s: %s",
                voice.name,
                "until its files change or the server is restarted"
                if error.is_abandoned
                else f"for {QUARANTINE_SECONDS:.0f} s",
                error,
            )
            raise

    def evict_outdated(self, voices: Iterable[Voice]) -> None:
        """Evict every model whose files have changed, or whose voices are all gone.

        Streams that hold a lease go on with the model in memory, which is freed after the last of them; new
        leases load the files as they are now.

        Args:
            voices: All voices that are installed now.
        """
        installed: dict[str, dict[str, str]] = {}
        for voice in voices:
            installed.setdefault(voice.model, {})[voice.name] = voice.fingerprint
        for model, quarantine in list(self._quarantined.items()):
            if _is_outdated(quarantine, installed.get(model)):
                del self._quarantined[model]
        for model, entry in list(self._entries.items()):
            if _is_outdated(entry, installed.get(model)):
                self._outdated.append(self._entries.pop(model))
                _LOGGER.info("Evicted %s: its files have changed or are gone.", model)
        self._free_beyond_capacity()

    async def unload(self) -> Unloaded:
        """Free every model, those in use at the end of their last lease; they are loaded again on demand."""
        in_memory = {model: entry for model, entry in self._entries.items() if entry.is_in_memory}
        in_use = {model: entry for model, entry in in_memory.items() if entry.leases}
        for entry in in_use.values():
            entry.is_unwanted = True
        unused = [model for model in in_memory if model not in in_use]
        _LOGGER.info("Unloading %d models, and %d once their streams have ended.", len(unused), len(in_use))
        await self._unload(unused)
        return Unloaded(tuple(unused), tuple(in_use))

    async def unload_idle(
        self, after: float, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    ) -> None:
        """Free each model once nobody has spoken with it for `after` seconds; runs until cancelled."""
        while True:
            now = self._clock()
            idle = {
                model: now - entry.used_at
                for model, entry in self._entries.items()
                if entry.is_in_memory and not entry.leases
            }
            overdue = [model for model, seconds in idle.items() if seconds >= after]
            for model in overdue:
                _LOGGER.info("Unloading %s: nobody has spoken with it for %.0f s.", model, idle.pop(model))
            await self._unload(overdue)
            await sleep(after - max(idle.values(), default=0.0))

    async def _unload(self, models: Iterable[str]) -> None:
        """Free unused models off the event loop; what a cancellation leaves is freed with the next."""
        entries = [self._entries.pop(model) for model in models]
        self._outdated += entries
        for entry in entries:
            if entry in self._outdated and entry.loaded is not None:
                self._outdated.remove(entry)
                await run_uninterrupted(self._run_blocking, entry.loaded.close)

    def close(self) -> None:
        """Free every model; no lease may be held any more."""
        self._capacity = 0
        self._free_beyond_capacity()

    async def _ensure_loaded(self, voice: Voice, entry: _Entry) -> ReadyVoice:
        async with entry.lock:
            if entry.loaded is None:
                await self._run_blocking(lambda: self._load(voice, entry))
        if entry.loaded is None:
            raise AssertionError("Loading neither failed nor gave a voice.")
        return entry.loaded

    def _check_not_quarantined(self, voice: Voice) -> None:
        quarantine = self._quarantined.get(voice.model)
        if quarantine is None:
            return
        if self._clock() >= quarantine.until:
            del self._quarantined[voice.model]
            return
        raise VoiceUnavailable(
            Message(
                "quarantined",
                "The voice {name} is not used for now: it did not finish a step of computing in time.",
                name=voice.name,
            ),
            hint=Message(
                "reinstall_or_restart",
                "Install its files again, or restart the server. On a very slow machine raise step_timeout.",
            ),
        )

    def _load(self, voice: Voice, entry: _Entry) -> None:
        # Stored on the worker: if the stream is cancelled meanwhile, the model must not be lost.
        engine = self._engines.get(voice.engine)
        if engine is None:
            raise VoiceUnavailable(
                Message(
                    "needs_engine",
                    "Voice {name} needs the engine {engine}, which is not installed.",
                    name=voice.name,
                    engine=voice.engine,
                ),
                hint=Message(
                    "installed_engines", "Installed engines: {engines}.", engines=", ".join(self._engines)
                ),
            )
        started = time.perf_counter()
        entry.loaded = engine.load(voice)
        entry.file_bytes = sum(map(_size, voice.files))
        seconds = time.perf_counter() - started
        self._on_loaded(voice.engine, seconds)
        _LOGGER.info("Loaded %s (%s) in %.2f s.", voice.name, voice.engine, seconds)

    def _free_beyond_capacity(self) -> None:
        unused = [model for model, entry in self._entries.items() if entry.leases == entry.idle_leases]
        for model in unused:
            if self._entries[model].loaded is None:
                del self._entries[model]  # its load failed
            elif self._is_over() or self._entries[model].is_unwanted or model in self._quarantined:
                self._outdated.append(self._entries.pop(model))
        for entry in [entry for entry in self._outdated if not entry.leases]:
            self._outdated.remove(entry)
            if entry.loaded is not None:
                entry.loaded.close()

    def _is_over(self) -> bool:
        if not self._capacity or len(self.models) > self._capacity:
            return True
        held = sum(entry.file_bytes for entry in self._entries.values())
        return self._memory_bytes is not None and held > self._memory_bytes


def _is_outdated(entry: _Entry | _Quarantine, installed: Mapping[str, str] | None) -> bool:
    if installed is None:
        return True
    return any(installed.get(name, print_) != print_ for name, print_ in entry.fingerprints.items())


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # deleted as soon as it was read
        return 0
