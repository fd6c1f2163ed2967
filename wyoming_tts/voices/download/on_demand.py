"""Voices that are asked for and not here: fetched once, however many ask, and answered for meanwhile.

The default voice at the start is the first such case: `fetch` it, and requests for it are answered as those
for any other. What clients can cause to be fetched is bounded, in number and in bytes: anybody on the
network may name all voices of the catalogue.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Self

from wyoming_tts.errors import VoiceUnavailable
from wyoming_tts.voices.catalogue import CatalogueVoice
from wyoming_tts.voices.download.downloads import Download, DownloadState
from wyoming_tts.voices.download.pending import PendingVoice, VoiceDownloader
from wyoming_tts.voices.library import VoiceLibrary

_LOGGER = logging.getLogger(__name__)


class MissingVoicePolicy(StrEnum):
    """What a request for a voice hears that is known and not here."""

    WAIT = "wait"
    """The voice, if it comes while the request is patient; else the embedded one of its language."""
    FALLBACK = "fallback"
    """The embedded voice of its language, at once."""
    ERROR = "error"
    """That it is not here."""


@dataclass(frozen=True, slots=True)
class OnDemandOptions:
    """How requests for voices that are not here are answered."""

    policy: MissingVoicePolicy = MissingVoicePolicy.WAIT
    patience: float = 20.0
    """Seconds a request waits at the most."""
    offline: bool = False
    """Fetch nothing, whatever is asked for."""
    engines: frozenset[str] | None = None
    """Those that can speak here: a voice of another one is not fetched. None is all."""
    max_concurrent: int = 4
    """Voices that are being fetched at one time because clients asked for them."""
    max_bytes: int = 5_000_000_000
    """Fetched since the start because clients asked for it; a voice with which it would be more is not."""


class _Limit(StrEnum):
    """What clients may not cause to be exceeded, as it is told."""

    AT_ONCE = "as many as may be are being fetched for clients already"
    BYTES = "clients have had as much fetched since the start as they may"


class OnDemandDownloads:
    """Fetches what is asked for and not here, while its `async with` is open; the library asks it."""

    def __init__(
        self,
        library: VoiceLibrary,
        *,
        find: Callable[[str], CatalogueVoice | None],
        downloads: VoiceDownloader,
        on_installed: Callable[[], Awaitable[None]],
        options: OnDemandOptions,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Prepare; the library asks from `async with` on.

        Args:
            library: Where the voices are missing.
            find: The catalogue's voice of a name or an alias.
            downloads: Fetches them.
            on_installed: Makes new voices known to the library.
            options: How requests are answered.
            clock: The clock of `Download.made_progress_at`.
            sleep: Waits between tries.
        """
        self._library = library
        self._find = find
        self._downloads = downloads
        self._on_installed = on_installed
        self._options = options
        self._clock = clock
        self._sleep = sleep
        self._arrivals: dict[str, PendingVoice] = {}
        self._runs: dict[str, asyncio.Task[None]] = {}
        self._useless: set[str] = set()
        self._asked_for: dict[str, int] = {}
        self._spent = 0
        self._told: set[_Limit] = set()
        self._group: asyncio.TaskGroup | None = None

    def __repr__(self) -> str:
        return f"<MissingVoices {self._options.policy} fetching={list(self._arrivals)}>"

    async def __aenter__(self) -> Self:
        self._group = await asyncio.TaskGroup().__aenter__()
        self._library.set_missing_voice_hook(self.answer)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._library.set_missing_voice_hook(None)
        group, self._group = self._group, None
        for run in self._runs.values():
            run.cancel()
        if group is not None:
            await group.__aexit__(None, None, None)

    async def answer(self, name: str) -> None:
        """Have the voice fetched, and wait for it where that is wanted; return when waiting is over.

        Raises:
            VoiceUnavailable: none may stand in for it.
        """
        arrival = self._arrival_for_client(name)
        if self._options.policy is MissingVoicePolicy.ERROR:
            raise self._error(name, arrival)
        if self._options.policy is MissingVoicePolicy.WAIT and arrival is not None:
            await arrival.wait()

    async def fetch(self, name: str) -> bool:
        """Have the voice fetched and stay until that is done; False, after a warning, if it cannot be."""
        if self._arrival(name) is None:
            _LOGGER.warning("The voice %s is not installed and %s.", name, self._why_not(name))
            return False
        await asyncio.wait([self._runs[self._key(name)]])
        return self._library.is_installed(name)

    def _key(self, name: str) -> str:
        voice = self._find(name)
        return voice.name if voice else name

    def _arrival(self, name: str) -> PendingVoice | None:
        """The voice on its way; None if it cannot come."""
        name, voice = self._key(name), self._find(name)
        if name in self._arrivals:
            return self._arrivals[name]
        if voice is None or self._why_not(name):
            return None
        if self._group is None:
            raise RuntimeError("Missing voices are fetched only inside `async with MissingVoices(…)`.")
        arrival = self._arrivals[name] = self._begun(voice)
        self._runs[name] = self._group.create_task(self._run(name, arrival))
        return arrival

    def _arrival_for_client(self, name: str) -> PendingVoice | None:
        """The voice on its way, within what clients may cause to be fetched."""
        key, voice = self._key(name), self._find(name)
        if key in self._arrivals or voice is None:
            return self._arrival(name)
        if limit := self._limit(voice):
            self._warn(limit)
            return None
        arrival = self._arrival(name)
        if arrival is not None:
            self._asked_for[key] = voice.size or 0
        return arrival

    def _limit(self, voice: CatalogueVoice) -> _Limit | None:
        """Why clients may not have the voice fetched now; None if they may, or if nobody may."""
        if self._why_not(voice.name):
            return None
        moving = sum(_moves(self._arrivals[name].download) for name in self._asked_for)
        if moving >= self._options.max_concurrent:
            return _Limit.AT_ONCE
        asked_for = self._spent + sum(self._asked_for.values()) + (voice.size or 0)
        return _Limit.BYTES if asked_for > self._options.max_bytes else None

    def _warn(self, limit: _Limit) -> None:
        if limit not in self._told:
            self._told.add(limit)
            _LOGGER.warning(
                "Not every voice that clients ask for is fetched: %s. Fetch voices with "
                "`wyoming-tts voices download NAME`.",
                limit,
            )

    def _begun(self, voice: CatalogueVoice) -> PendingVoice:
        arrival = PendingVoice(
            voice,
            downloads=self._downloads,
            on_installed=self._on_installed,
            fallback=self._fallback_name(voice.language),
            patience=self._options.patience,
            clock=self._clock,
            sleep=self._sleep,
        )
        arrival.begin()
        return arrival

    def _fallback_name(self, language: str) -> str | None:
        if self._options.policy is MissingVoicePolicy.ERROR:
            return None
        try:
            return self._library.fallback_voice(language).name
        except VoiceUnavailable:
            return None

    async def _run(self, name: str, arrival: PendingVoice) -> None:
        try:
            await arrival.run()
        except Exception:  # one voice that breaks in an unforeseen way must not take the others with it
            _LOGGER.exception("The voice %s could not be made ready.", name)
        else:
            self._conclude(name)
        finally:
            self._settle(name, arrival.download)
            del self._arrivals[name], self._runs[name]

    def _settle(self, name: str, download: Download | None) -> None:
        if self._asked_for.pop(name, None) is not None and download is not None:
            self._spent += download.received

    def _conclude(self, name: str) -> None:
        if self._library.is_installed(name):
            _LOGGER.info("The voice %s is installed and speaks from now on.", name)
            return
        self._useless.add(name)  # or each request would try the same again
        _LOGGER.warning("The voice %s was fetched, but no engine can use its files.", name)

    def _why_not(self, name: str) -> str:
        """Why a voice cannot be fetched; empty if it can."""
        voice, engines = self._find(name), self._options.engines
        if voice is None:
            return "no catalogue knows it"
        if self._options.offline:
            return "fetching is switched off (offline)"
        if engines is not None and voice.engine not in engines:
            return f"the engine {voice.engine} that speaks it is not in use"
        return "no engine can use the files that were fetched" if name in self._useless else ""

    def _error(self, name: str, arrival: PendingVoice | None) -> VoiceUnavailable:
        if arrival is None and (voice := self._find(name)) is not None and (limit := self._limit(voice)):
            return VoiceUnavailable(
                f"The voice {name!r} is not installed and not fetched: {limit}.",
                hint=f"Fetch it with `wyoming-tts voices download {voice.name}`, or ask again later.",
            )
        if arrival is None:
            return VoiceUnavailable(
                f"The voice {name!r} is not installed and {self._why_not(name)}.",
                hint="Put its files into a data directory, or choose another voice.",
            )
        download = arrival.download
        if download is not None and download.state is DownloadState.FAILED:
            return VoiceUnavailable(f"The voice {name!r} could not be fetched.", hint=download.error)
        return VoiceUnavailable(
            f"The voice {name!r} is not installed; it is being fetched{_share(download)}.",
            hint="Ask again in a while.",
        )


def _moves(download: Download | None) -> bool:
    """Whether it is being fetched; after a failure it rests for a minute or more."""
    return download is not None and not download.state.over


def _share(download: Download | None) -> str:
    if download is None or not download.total:
        return ""
    return f", {100 * download.received // download.total} % of it are here"
