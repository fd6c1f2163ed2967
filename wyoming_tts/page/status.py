"""How the server is doing, for the page: what the house tells, where it is found, what it said and did.

No text that was spoken is in it, and no key: not even how long one is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from wyoming_tts.assembly.parts import Parts
from wyoming_tts.bench.percentiles import percentile
from wyoming_tts.settings import LoadedSettings
from wyoming_tts.settings.documents import SETTINGS, SettingInfo
from wyoming_tts.telemetry.log_lines import LONGEST_NAME
from wyoming_tts.telemetry.log_tail import HIDDEN, LogLine, LogTail
from wyoming_tts.telemetry.recent_utterances import RecentUtterances, TimedRecord
from wyoming_tts.transports.listening import host_in_uri

SECRET = frozenset({"api_keys", "remote_key"})
"""Settings of which only is told whether they are set."""
_UTTERANCES = 50
_LONGEST_VALUE = 300
_IN_AN_ADDRESS = re.compile(r"(?<=://)[^\s,]*(?=@)|(?<=\?)[^\s,]+")
"""Names and passwords before the host, and what follows the path."""

Bound = Sequence[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class ListeningAddresses:
    """Where the server listens now."""

    wyoming: Bound = ()
    """Addresses and ports that are bound; none where Wyoming is spoken on a socket file or a pipe."""
    uri: str = ""
    """Where that is, then."""
    http: Bound = ()
    is_encrypted: bool = False
    """Whether HTTP is."""
    announced_as: str | None = None
    """The name under which zeroconf finds the server; None while it is not announced."""


class StatusSource(Protocol):
    """Who knows how the server is doing: `ServerSpeechService` is one."""

    async def status(self) -> Mapping[str, object]:
        """As `House.status`."""
        ...


@dataclass(frozen=True, slots=True)
class AdvertisedAddress:
    """An address that clients can be told."""

    host: str
    port: int
    url: str


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where clients reach the server."""

    wyoming: tuple[AdvertisedAddress, ...]
    uri: str
    http: tuple[AdvertisedAddress, ...]
    announced_as: str | None


@dataclass(frozen=True, slots=True)
class EndedUtterance:
    """An utterance that is over. Times in seconds; None where nothing was heard."""

    time: float
    transport: str
    voice: str
    ttfa: float | None
    audio_seconds: float
    rtf: float | None
    outcome: str
    """`done`, `cancelled` or `failed`."""
    error: str
    """The code, where it failed."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds to the first audio of the last utterances, the oldest first."""

    values: tuple[float, ...]
    p50: float | None
    p95: float | None


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """All that changes while the server runs."""

    house: Mapping[str, object]
    model_bytes: int
    """Of the files of the models in memory."""
    addresses: Addresses
    spoken_count: int
    """Utterances since the start; `spoken` are the last ones, the newest first."""
    spoken: tuple[EndedUtterance, ...]
    latency: Latency
    log: tuple[LogLine, ...]
    """Only those that were not seen before, the oldest first."""


@dataclass(frozen=True, slots=True)
class SettingInForce:
    """A setting with its value as text, and where that comes from."""

    name: str
    meaning: str
    value: str
    """Empty for one that is secret."""
    unit: str
    is_secret: bool
    is_default: bool
    source: str
    """As `flag --port`, `environment WYOMING_TTS_PORT`, `file a.yaml line 3, key port` or `default`."""


class StatusService:
    """Tells the page how the server is doing; nothing is gathered until it is asked."""

    def __init__(
        self,
        parts: Parts,
        *,
        house: StatusSource,
        where: Callable[[], ListeningAddresses],
        loaded: Callable[[], LoadedSettings],
        recent: RecentUtterances,
        log: LogTail,
    ) -> None:
        self._parts = parts
        self._house = house
        self._where = where
        self._loaded = loaded
        self._recent = recent
        self._log = log

    async def status(self, *, log_after: int = 0) -> ServerStatus:
        """Tell how it is now, with the lines of the log whose numbers are higher."""
        where = self._where()
        house = await self._house.status()
        addresses = await self._parts.workers.run_blocking(partial(_addresses, where))
        return ServerStatus(
            house=house,
            model_bytes=self._parts.loaded.file_bytes,
            addresses=addresses,
            spoken_count=self._recent.count,
            spoken=tuple(map(_spoken, self._recent.newest(_UTTERANCES))),
            latency=_latency(self._recent.latencies),
            log=self._log.lines(after=log_after),
        )

    def settings(self) -> tuple[SettingInForce, ...]:
        """Tell the settings and their sources, in the order of the documentation."""
        loaded = self._loaded()
        return tuple(
            _in_force(info, getattr(loaded.settings, info.name), loaded.sources[info.name])
            for info in SETTINGS
        )


def _addresses(where: ListeningAddresses) -> Addresses:
    return Addresses(
        wyoming=_doors("tcp", where.wyoming),
        uri=_without_credentials(where.uri),
        http=_doors("https" if where.is_encrypted else "http", where.http),
        announced_as=where.announced_as,
    )


def _doors(scheme: str, bound: Bound) -> tuple[AdvertisedAddress, ...]:
    # Brings zeroconf, which a server that announces nothing never needs but here.
    from wyoming_tts.transports.discovery import interface_addresses, reachable_addresses  # noqa: PLC0415

    interfaces = interface_addresses()
    found = [
        AdvertisedAddress(host, port, f"{scheme}://{host_in_uri(host)}:{port}")
        for address, port in bound
        for host in reachable_addresses([address], interfaces)
    ]
    return tuple(dict.fromkeys(found))


def _spoken(ended: TimedRecord) -> EndedUtterance:
    record = ended.record
    return EndedUtterance(
        time=ended.time,
        transport=record.transport[:LONGEST_NAME],
        voice=record.voice[:LONGEST_NAME],
        ttfa=record.ttfa,
        audio_seconds=record.audio_seconds,
        rtf=record.compute_seconds / record.audio_seconds if record.audio_seconds else None,
        outcome=str(record.outcome),
        error=record.error,
    )


def _latency(values: tuple[float, ...]) -> Latency:
    if not values:
        return Latency((), None, None)
    return Latency(values, percentile(values, 50), percentile(values, 95))


def _in_force(info: SettingInfo, value: object, source: str) -> SettingInForce:
    is_secret = info.name in SECRET
    return SettingInForce(
        name=info.name,
        meaning=info.meaning,
        value="" if is_secret and value else _written(value) or info.default,
        unit="" if value is None else info.unit,
        is_secret=is_secret and bool(value),
        is_default=source == "default",
        source=source,
    )


def _written(value: object) -> str:
    """A value as it would be typed; empty for none."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return _cut(", ".join(_without_credentials(str(item)) for item in _first(value)))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "" if value is None else _cut(_without_credentials(str(value)))


def _first(values: Iterable[object]) -> list[object]:
    return list(values)[:_LONGEST_VALUE]


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


def _without_credentials(text: str) -> str:
    return _IN_AN_ADDRESS.sub(HIDDEN, text) if "://" in text else text
