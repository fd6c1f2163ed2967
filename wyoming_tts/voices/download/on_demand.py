"""On-demand downloads: a voice that is requested but missing is downloaded once, however many request it.

The default voice at start-up is the first such case: `fetch` downloads it, and requests for it are answered
like those for any other missing voice. Downloads that clients trigger are limited in number and in bytes,
because anybody on the network may request every voice of the catalogue.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum, StrEnum
from types import TracebackType
from typing import Self

from wyoming_tts.errors import VoiceUnavailable
from wyoming_tts.messages import Message
from wyoming_tts.voices.catalogue import CatalogueVoice
from wyoming_tts.voices.download.downloads import Download, DownloadState
from wyoming_tts.voices.download.pending import PendingVoice, VoiceDownloader
from wyoming_tts.voices.library import VoiceLibrary

_LOGGER = logging.getLogger(__name__)


class MissingVoicePolicy(StrEnum):
    """How a request for a catalogue voice that is not installed is answered."""

    WAIT = "wait"
    """With the voice if it is installed before patience runs out, else with another one of its language."""
    FALLBACK = "fallback"
    """With another voice of its language, at once."""
    ERROR = "error"
    """With an error that says that it is not installed."""


@dataclass(frozen=True, slots=True)
class OnDemandOptions:
    """How requests for missing voices are answered, and what they may trigger."""

    policy: MissingVoicePolicy = MissingVoicePolicy.WAIT
    patience: float = 20.0
    """Seconds a request waits at most."""
    offline: bool = False
    """Download nothing, whatever is requested."""
    engines: frozenset[str] | None = None
    """Engines in use: voices of any other engine are not downloaded. None allows all."""
    max_concurrent: int = 4
    """Downloads triggered by clients that may run at the same time."""
    max_bytes: int = 5_000_000_000
    """Total of all downloads triggered by clients since start-up; a voice that would exceed it is refused."""


class _Limit(Enum):
    """A limit on downloads triggered by clients, worded for messages."""

    CONCURRENT = Message("limit_concurrent", "the limit of concurrent downloads for clients is reached")
    BYTES = Message("limit_bytes", "the limit of bytes downloaded for clients since start-up is reached")


class OnDemandDownloads:
    """Downloads missing voices when the library reports requests for them, while its `async with` is open."""

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
        """Register nothing yet; entering the `async with` sets the library's hook.

        Args:
            library: The library that reports missing voices.
            find: Finds a catalogue voice by name or alias.
            downloads: Downloads the voices.
            on_installed: Makes new voices known to the library.
            options: How requests are answered, and the limits.
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
        self._pending: dict[str, PendingVoice] = {}
        self._runs: dict[str, asyncio.Task[None]] = {}
        self._unusable: set[str] = set()
        self._client_bytes: dict[str, int] = {}
        """Size of each pending voice that a client triggered, by name."""
        self._bytes_spent = 0
        self._warned: set[_Limit] = set()
        self._group: asyncio.TaskGroup | None = None

    def __repr__(self) -> str:
        return f"<OnDemandDownloads {self._options.policy} pending={list(self._pending)}>"

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

    async def answer(self, name: str, *, may_download: bool = True, patience: float | None = None) -> None:
        """Trigger the download, and wait for it if that is the policy; return when the wait is over.

        Without `may_download` only one that is running already is waited for. `patience` in seconds may be
        shorter than that of the options.

        Raises:
            VoiceUnavailable: the policy allows no fallback voice.
        """
        pending = self._pending_for_client(name) if may_download else self._pending.get(self._key(name))
        if self._options.policy is MissingVoicePolicy.ERROR:
            raise self._error(name, pending)
        if self._options.policy is MissingVoicePolicy.WAIT and pending is not None:
            await pending.wait(patience)

    async def fetch(self, name: str) -> bool:
        """Download the voice and return once it is installed; False, after a warning, if it cannot be."""
        if self._pending_voice(name) is None:
            _LOGGER.warning("The voice %s is not installed and %s.", name, self._obstacle(name))
            return False
        await asyncio.wait([self._runs[self._key(name)]])
        return self._library.is_installed(name)

    def _key(self, name: str) -> str:
        voice = self._find(name)
        return voice.name if voice else name

    def _pending_voice(self, name: str) -> PendingVoice | None:
        """The voice while it is downloaded, started if need be; None if it cannot be downloaded."""
        name, voice = self._key(name), self._find(name)
        if name in self._pending:
            return self._pending[name]
        if voice is None or self._obstacle(name):
            return None
        if self._group is None:
            raise RuntimeError("Missing voices are downloaded only inside `async with OnDemandDownloads(…)`.")
        pending = self._pending[name] = self._begin(voice)
        self._runs[name] = self._group.create_task(self._run(name, pending))
        return pending

    def _pending_for_client(self, name: str) -> PendingVoice | None:
        """As `_pending_voice`, but started only within the limits for clients."""
        key, voice = self._key(name), self._find(name)
        if key in self._pending or voice is None:
            return self._pending_voice(name)
        if limit := self._reached_limit(voice):
            self._warn(limit)
            return None
        pending = self._pending_voice(name)
        if pending is not None:
            self._client_bytes[key] = voice.size or 0
        return pending

    def _reached_limit(self, voice: CatalogueVoice) -> _Limit | None:
        """The limit that keeps clients from triggering the download; None without one, or if nothing can."""
        if self._obstacle(voice.name):
            return None
        active = sum(_is_active(self._pending[name].download) for name in self._client_bytes)
        if active >= self._options.max_concurrent:
            return _Limit.CONCURRENT
        total = self._bytes_spent + sum(self._client_bytes.values()) + (voice.size or 0)
        return _Limit.BYTES if total > self._options.max_bytes else None

    def _warn(self, limit: _Limit) -> None:
        if limit not in self._warned:
            self._warned.add(limit)
            _LOGGER.warning(
                "Some voices that clients request are not downloaded: %s. Download them with "
                "`wyoming-tts voices download NAME`.",
                limit.value,
            )

    def _begin(self, voice: CatalogueVoice) -> PendingVoice:
        pending = PendingVoice(
            voice,
            downloads=self._downloads,
            on_installed=self._on_installed,
            fallback=self._fallback_name(voice.language),
            patience=self._options.patience,
            clock=self._clock,
            sleep=self._sleep,
        )
        pending.begin()
        return pending

    def _fallback_name(self, language: str) -> str | None:
        if self._options.policy is MissingVoicePolicy.ERROR:
            return None
        try:
            return self._library.fallback_voice(language).name
        except VoiceUnavailable:
            return None

    async def _run(self, name: str, pending: PendingVoice) -> None:
        try:
            await pending.run()
        except Exception:  # an unexpected failure of one voice must not cancel the others
            _LOGGER.exception("The voice %s could not be installed.", name)
        else:
            self._check_usable(name)
        finally:
            self._count_bytes(name, pending.download)
            del self._pending[name], self._runs[name]

    def _count_bytes(self, name: str, download: Download | None) -> None:
        if self._client_bytes.pop(name, None) is not None and download is not None:
            self._bytes_spent += download.received

    def _check_usable(self, name: str) -> None:
        if self._library.is_installed(name):
            _LOGGER.info("The voice %s is installed and speaks from now on.", name)
            return
        self._unusable.add(name)  # or each request would download it again
        _LOGGER.warning("The voice %s was downloaded, but no engine can use its files.", name)

    def _obstacle(self, name: str) -> str:
        """Why a voice cannot be downloaded at all, worded for messages; empty if it can."""
        voice, engines = self._find(name), self._options.engines
        if voice is None:
            return Message("not_in_catalogue", "it is not in the catalogue")
        if self._options.offline:
            return Message("downloads_off", "downloads are turned off (offline)")
        if engines is not None and voice.engine not in engines:
            return Message("engine_not_in_use", "its engine {engine} is not in use", engine=voice.engine)
        if reason := self._library.why_unusable(name):
            return reason
        return (
            Message("no_engine_can_use", "no engine can use the downloaded files")
            if name in self._unusable
            else ""
        )

    def _error(self, name: str, pending: PendingVoice | None) -> VoiceUnavailable:
        voice = self._find(name)
        if pending is None and voice is not None and (limit := self._reached_limit(voice)):
            return VoiceUnavailable(
                Message(
                    "not_fetched",
                    "The voice {name} is not installed and not downloaded: {limit}.",
                    name=repr(name),
                    limit=limit.value,
                ),
                hint=Message(
                    "fetch_or_later",
                    "Download it with `wyoming-tts voices download {name}`, or try again later.",
                    name=voice.name,
                ),
            )
        if pending is None and (obstacle := self._obstacle(name)):
            return VoiceUnavailable(
                Message(
                    "not_here_and",
                    "The voice {name} is not installed and {reason}.",
                    name=repr(name),
                    reason=obstacle,
                ),
                hint=Message(
                    "put_or_choose", "Put its files into a data directory, or choose another voice."
                ),
            )
        if pending is None:
            return VoiceUnavailable(
                Message(
                    "get_fetches_none",
                    "The voice {name} is not installed, and a GET downloads none.",
                    name=repr(name),
                ),
                hint=Message(
                    "request_by_post",
                    "Request it by POST, or download it with `wyoming-tts voices download {name}`.",
                    name=name,
                ),
            )
        download = pending.download
        if download is not None and download.state is DownloadState.FAILED:
            return VoiceUnavailable(
                Message("fetch_failed", "The voice {name} could not be downloaded.", name=repr(name)),
                hint=download.error,
            )
        return VoiceUnavailable(
            _being_downloaded(name, download), hint=Message("try_in_a_moment", "Try again in a moment.")
        )


def _is_active(download: Download | None) -> bool:
    """Whether it is queued or running; a failed one pauses for a minute or more."""
    return download is not None and not download.state.over


def _being_downloaded(name: str, download: Download | None) -> str:
    if download is None or not download.total:
        return Message(
            "being_fetched", "The voice {name} is not installed; it is being downloaded.", name=repr(name)
        )
    percent = 100 * download.received // download.total
    return Message(
        "being_fetched_at",
        "The voice {name} is not installed; it is being downloaded ({percent} %).",
        name=repr(name),
        percent=percent,
    )
