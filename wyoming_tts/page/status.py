"""The Status tab's service and HTTP routes: server state, addresses, recent utterances, log, settings.

No spoken text is in it, and of secret keys only whether they are set, not even their length.

The browser uses plain HTTP requests rather than Gradio events: those go through a queue that answers by a
stream which stays open, and a Gradio timer keeps firing while the tab is hidden.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Annotated, Protocol

from fastapi import APIRouter, Query, Response

from wyoming_tts.assembly.parts import Parts
from wyoming_tts.bench.percentiles import percentile
from wyoming_tts.page import paths
from wyoming_tts.settings import LoadedSettings
from wyoming_tts.settings.descriptions import SETTINGS, SettingInfo
from wyoming_tts.settings.model import SECRETS
from wyoming_tts.speech import UtteranceRecord, VoiceReason
from wyoming_tts.synthesis.running import RunningUtterance
from wyoming_tts.telemetry.log_lines import MAX_NAME_LENGTH
from wyoming_tts.telemetry.log_tail import REDACTED, LogLine, LogTail
from wyoming_tts.telemetry.recent_utterances import RecentUtterances, TimedRecord
from wyoming_tts.transports.http.errors import json_response
from wyoming_tts.transports.listening import host_in_uri
from wyoming_tts.transports.network_identity import interface_addresses, reachable_addresses

STATUS_PATH = paths.STATUS
SETTINGS_PATH = paths.SETTINGS
"""Relative to the page."""
_MAX_UTTERANCES = 50
_MAX_VALUE_CHARS = 300
_URL_SECRETS = re.compile(r"(?<=://)[^\s,]*(?=@)|(?<=\?)[^\s,]+")
"""Credentials before the host, and the query."""
_HOME_ASSISTANT = "Home Assistant"
_ADDON_GATEWAY = "172.30.32.1"
"""From here Home Assistant reaches its add-ons, in the network that its Supervisor makes for them."""

PeerNamer = Callable[[Iterable[str]], Mapping[str, str]]
"""Returns the names of addresses, as far as they are known at once."""

BoundSockets = Sequence[tuple[str, int]]
"""Host and port of each."""


@dataclass(frozen=True, slots=True)
class ListeningAddresses:
    """Where the server is listening."""

    wyoming: BoundSockets = ()
    """Empty when Wyoming is served on a Unix socket or a pipe."""
    uri: str = ""
    """The configured address, also for a Unix socket or a pipe."""
    http: BoundSockets = ()
    is_encrypted: bool = False
    """Whether HTTP is served over TLS."""
    announced_as: str | None = None
    """The server's zeroconf name; None while it is not announced."""


def no_names(_: Iterable[str]) -> Mapping[str, str]:
    """Know no name."""
    return {}


class StatusSource(Protocol):
    """A provider of the server's state, such as `ServerSpeechService`."""

    async def status(self) -> Mapping[str, object]:
        """As for `SpeechService.status`."""
        ...


@dataclass(frozen=True, slots=True)
class AdvertisedAddress:
    """An address that clients can connect to."""

    host: str
    port: int
    url: str


@dataclass(frozen=True, slots=True)
class Addresses:
    """The addresses at which clients reach the server."""

    wyoming: tuple[AdvertisedAddress, ...]
    uri: str
    http: tuple[AdvertisedAddress, ...]
    announced_as: str | None


@dataclass(frozen=True, slots=True)
class FinishedUtterance:
    """A finished utterance. Times in seconds; None if it had no audio."""

    time: float
    transport: str
    voice: str
    requested_voice: str
    """What was asked for, if another voice spoke than that; else empty."""
    ttfa: float | None
    held: float
    """How much of it was to hold the audio back until it plays without a gap, and later the same."""
    audio_seconds: float
    wall_seconds: float
    """Time from the request to its end."""
    rtf: float | None
    xrt: float | None
    """Times real time: seconds of audio delivered in a second."""
    kbps: float | None
    """Kilobits of PCM delivered in a second."""
    underruns: int
    outcome: str
    """`done`, `cancelled` or `failed`."""
    error: str
    """The error code if it failed, else empty."""


@dataclass(frozen=True, slots=True)
class Listener:
    """Whom the server speaks to now."""

    peer: str
    """Address; empty for the server itself."""
    name: str
    """What is known of that address by name, else empty."""
    transport: str
    voice: str
    requested_voice: str
    """What was asked for, if another voice speaks than that; else empty."""
    state: str
    """As `RunState`."""
    ahead: float
    """Seconds of audio that are made and not played yet."""
    seconds: float
    """Since the request."""


@dataclass(frozen=True, slots=True)
class TimeToFirstAudio:
    """When an utterance ended, in seconds since 1970, and how long its first audio took, in seconds."""

    time: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Latency:
    """Time to first audio of an engine's recent utterances, oldest first, with percentiles in seconds."""

    engine: str
    values: tuple[TimeToFirstAudio, ...]
    p50: float
    p95: float


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """The state of the server that changes while it runs."""

    server: Mapping[str, object]
    """As for `SpeechService.status`."""
    model_bytes: int
    """Total file size of the loaded models."""
    addresses: Addresses
    spoken_count: int
    """Utterances since the start; `spoken` has the latest, newest first."""
    spoken: tuple[FinishedUtterance, ...]
    listeners: tuple[Listener, ...]
    latency: tuple[Latency, ...]
    """Of each engine that spoke lately, by name."""
    log: tuple[LogLine, ...]
    """Lines that the client has not seen yet, oldest first."""


@dataclass(frozen=True, slots=True)
class SettingInForce:
    """A setting, its value as text and the source of that value."""

    name: str
    meaning: str
    value: str
    """Empty for a secret."""
    unit: str
    is_secret: bool
    is_default: bool
    source: str
    """As `flag --port`, `environment WYOMING_TTS_PORT`, `file a.yaml line 3, key port` or `default`."""


class StatusService:
    """Reports the state and the settings of the server; nothing is collected between requests."""

    def __init__(
        self,
        parts: Parts,
        *,
        server: StatusSource,
        addresses: Callable[[], ListeningAddresses],
        settings: Callable[[], LoadedSettings],
        recent: RecentUtterances,
        log: LogTail,
        names: PeerNamer = no_names,
    ) -> None:
        self._parts = parts
        self._server = server
        self._listening = addresses
        self._current_settings = settings
        self._recent = recent
        self._log = log
        self._names = names

    async def status(self, *, log_after: int = 0) -> ServerStatus:
        """Return the current state, with the log lines numbered above `log_after`."""
        server = await self._server.status()
        addresses = await self._parts.workers.run_blocking(partial(_addresses, self._listening()))
        return ServerStatus(
            server=server,
            model_bytes=self._parts.loaded.file_bytes,
            addresses=addresses,
            spoken_count=self._recent.count,
            spoken=tuple(map(_finished, self._recent.newest(_MAX_UTTERANCES))),
            listeners=self._listeners(),
            latency=_latencies(self._recent.heard),
            log=self._log.lines(after=log_after),
        )

    def _listeners(self) -> tuple[Listener, ...]:
        running = self._parts.synthesizer.running[:_MAX_UTTERANCES]
        names = dict(self._names({one.peer for one in running}))
        if ingress := self._parts.settings.ingress_peer:
            names |= dict.fromkeys((str(ingress), _ADDON_GATEWAY), _HOME_ASSISTANT)
        return tuple(_listener(one, names.get(one.peer, "")) for one in running)

    def settings(self) -> tuple[SettingInForce, ...]:
        """Return the settings in force and their sources, in the order of the documentation."""
        loaded = self._current_settings()
        return tuple(
            _in_force(info, getattr(loaded.settings, info.name), loaded.sources[info.name])
            for info in SETTINGS
        )


def _addresses(listening: ListeningAddresses) -> Addresses:
    return Addresses(
        wyoming=_advertised("tcp", listening.wyoming),
        uri=_without_credentials(listening.uri),
        http=_advertised("https" if listening.is_encrypted else "http", listening.http),
        announced_as=listening.announced_as,
    )


def _advertised(scheme: str, bound: BoundSockets) -> tuple[AdvertisedAddress, ...]:
    interfaces = interface_addresses()
    found = [
        AdvertisedAddress(host, port, f"{scheme}://{host_in_uri(host)}:{port}")
        for address, port in bound
        for host in reachable_addresses([address], interfaces)
    ]
    return tuple(dict.fromkeys(found))


def _finished(ended: TimedRecord) -> FinishedUtterance:
    record = ended.record
    return FinishedUtterance(
        time=ended.time,
        transport=record.transport[:MAX_NAME_LENGTH],
        voice=record.voice[:MAX_NAME_LENGTH],
        requested_voice=_replaced_voice(record),
        ttfa=record.ttfa,
        held=record.held_seconds,
        audio_seconds=record.audio_seconds,
        wall_seconds=record.wall_seconds,
        rtf=record.rtf,
        xrt=record.xrt,
        kbps=record.kbps,
        underruns=record.underruns,
        outcome=str(record.outcome),
        error=record.error,
    )


def _replaced_voice(record: UtteranceRecord) -> str:
    is_own = record.voice_reason in {"", VoiceReason.REQUESTED, VoiceReason.DEFAULT}
    return "" if is_own else record.requested_voice[:MAX_NAME_LENGTH]


def _listener(one: RunningUtterance, name: str) -> Listener:
    return Listener(
        peer=one.peer,
        name=name,
        transport=one.transport[:MAX_NAME_LENGTH],
        voice=one.voice[:MAX_NAME_LENGTH],
        requested_voice=one.requested_voice[:MAX_NAME_LENGTH],
        state=str(one.state),
        ahead=one.ahead,
        seconds=one.seconds,
    )


def _latencies(heard: Iterable[TimedRecord]) -> tuple[Latency, ...]:
    by_engine: dict[str, list[TimeToFirstAudio]] = {}
    for ended in heard:
        if ended.record.ttfa is not None:
            of_engine = by_engine.setdefault(ended.record.engine, [])
            of_engine.append(TimeToFirstAudio(ended.time, ended.record.ttfa))
    return tuple(_latency(engine, values) for engine, values in sorted(by_engine.items()))


def _latency(engine: str, values: Sequence[TimeToFirstAudio]) -> Latency:
    seconds = [value.seconds for value in values]
    return Latency(engine, tuple(values), percentile(seconds, 50), percentile(seconds, 95))


def _in_force(info: SettingInfo, value: object, source: str) -> SettingInForce:
    is_secret = info.name in SECRETS
    return SettingInForce(
        name=info.name,
        meaning=info.meaning,
        value="" if is_secret and value else _as_text(value) or info.default,
        unit="" if value is None else info.unit,
        is_secret=is_secret and bool(value),
        is_default=source == "default",
        source=source,
    )


def _as_text(value: object) -> str:
    """Format a value as it would be typed; empty for None."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return _cut(", ".join(_without_credentials(str(item)) for item in _first(value)))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "" if value is None else _cut(_without_credentials(str(value)))


def _first(values: Iterable[object]) -> list[object]:
    return list(values)[:_MAX_VALUE_CHARS]


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_VALUE_CHARS else f"{text[:_MAX_VALUE_CHARS]}…"


def _without_credentials(text: str) -> str:
    return _URL_SECRETS.sub(REDACTED, text) if "://" in text else text


def status_routes(service: StatusService) -> APIRouter:
    """Return the routes for STATUS_PATH and SETTINGS_PATH, both JSON."""
    router = APIRouter(include_in_schema=False)

    @router.get(f"/{STATUS_PATH}")
    async def status(after: Annotated[int, Query(ge=0)] = 0) -> Response:
        return json_response(asdict(await service.status(log_after=after)))

    @router.get(f"/{SETTINGS_PATH}")
    async def settings() -> Response:
        return json_response([asdict(setting) for setting in service.settings()])

    return router
