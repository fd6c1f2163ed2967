"""Server discovery: finds text-to-speech servers that announce themselves by mDNS.

An announcement does not say what a Wyoming server does. So each is resolved and sent `describe`, on its
nearest address first, and is kept only if it has an installed text-to-speech program. Anyone on the network
can announce anything, so that what is asked is bounded.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import unicodedata
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import ifaddr
from zeroconf import InterfaceChoice, ServiceStateChange, Zeroconf
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from wyoming_tts.client.errors import ClientError
from wyoming_tts.client.wyoming import describe

SERVICE_TYPE = "_wyoming._tcp.local."

Interfaces: TypeAlias = InterfaceChoice | Sequence[str | int]
"""Network interfaces to search: all, or some by address or index."""

_LOG = logging.getLogger(__name__)
_RESOLVE_MS = 1000.0
_PROBE_SECONDS = 1.0
_SETTLE_SECONDS = 0.2
"""Answers to an mDNS query are delayed by 20 to 120 ms (RFC 6762, section 6); those that arrive within this
time count as simultaneous."""


MAX_INSTANCES = 128
"""Instances of one search that are asked; a home has ten, a flood of invented ones has thousands."""
MAX_ADDRESSES = 8
"""Addresses of one instance that are tried."""
_UNSHOWABLE = frozenset({"Cc", "Cs"})
"""Categories of characters that an instance's name must not have (RFC 6763, section 4.1.1); a terminal would
obey them."""


@dataclass(frozen=True, slots=True)
class DiscoveredServer:
    """A text-to-speech server that announced itself and answered."""

    name: str
    """Name of the mDNS instance, without the service type."""
    uri: str
    """URI of the nearest address that answered, as `tcp://192.168.1.5:10200`."""
    addresses: tuple[str, ...]
    """All announced addresses, this machine's own first."""


async def discover_servers(
    timeout: float,  # noqa: ASYNC109 -- how long to listen, not a limit on the call
    *,
    interfaces: Interfaces = InterfaceChoice.All,
) -> list[DiscoveredServer]:
    """Find all text-to-speech servers that answer within `timeout` seconds; this machine's own first."""
    async with _searching(interfaces) as search:
        await asyncio.sleep(timeout)
        return search.ranked()


async def discover_tts_server(
    timeout: float = 2.0,  # noqa: ASYNC109 -- how long to listen, not a limit on the call
    *,
    interfaces: Interfaces = InterfaceChoice.All,
) -> DiscoveredServer | None:
    """Find the first text-to-speech server that answers; this machine's own if several answer at once.

    None if none answered within `timeout` seconds.
    """
    async with _searching(interfaces) as search:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await search.any_found.wait()
                if not search.own_found.is_set():
                    async with asyncio.timeout(_SETTLE_SECONDS):
                        await search.own_found.wait()
        return next(iter(search.ranked()), None)


class _Search:
    """State of one search: the servers found so far."""

    def __init__(self) -> None:
        self.any_found = asyncio.Event()
        self.own_found = asyncio.Event()
        self._found: dict[str, DiscoveredServer] = {}
        self._own = _own_addresses()
        self._asked = 0

    def admits(self, name: str) -> bool:
        """Count an announced instance; return whether it is asked."""
        if any(unicodedata.category(char) in _UNSHOWABLE for char in name):
            return False
        self._asked += 1
        if self._asked == MAX_INSTANCES + 1:
            _LOG.warning("More than %d servers are announced; the others are ignored.", MAX_INSTANCES)
        return self._asked <= MAX_INSTANCES

    def ranked(self) -> list[DiscoveredServer]:
        """The servers found, nearest first."""
        return sorted(
            self._found.values(), key=lambda server: (self._distance(server.addresses[0]), server.name)
        )

    async def probe(self, zeroconf: Zeroconf, service_type: str, name: str) -> None:
        """Resolve an announced instance, and keep it if a text-to-speech server answers on an address."""
        info = AsyncServiceInfo(service_type, name)
        if not await info.async_request(zeroconf, _RESOLVE_MS):
            return
        usable = [text for text in info.parsed_scoped_addresses() if _is_usable(text)]
        addresses = tuple(sorted(usable, key=self._distance)[:MAX_ADDRESSES])
        for address in addresses:
            uri = _tcp_uri(address, info.port or 0)
            if await has_tts(uri):
                self._keep(DiscoveredServer(name.removesuffix(f".{service_type}"), uri, addresses))
                return

    def _keep(self, server: DiscoveredServer) -> None:
        self._found[server.name] = server
        self.any_found.set()
        if self._is_own(server.addresses[0]):
            self.own_found.set()

    def _distance(self, address: str) -> tuple[bool, bool]:
        return not self._is_own(address), ":" in address

    def _is_own(self, address: str) -> bool:
        return address.partition("%")[0] in self._own or ipaddress.ip_address(address).is_loopback


@contextlib.asynccontextmanager
async def _searching(interfaces: Interfaces) -> AsyncIterator[_Search]:
    search = _Search()
    try:
        mdns = AsyncZeroconf(interfaces=interfaces)
    except OSError as error:
        _LOG.info("Cannot search for servers: %s", error)
        yield search
        return
    async with mdns, asyncio.TaskGroup() as tasks:
        probes: list[asyncio.Task[None]] = []

        def on_change(
            zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange
        ) -> None:
            if state_change is ServiceStateChange.Added and search.admits(name):
                probes.append(tasks.create_task(search.probe(zeroconf, service_type, name)))

        browser = AsyncServiceBrowser(mdns.zeroconf, SERVICE_TYPE, handlers=[on_change])
        try:
            yield search
        finally:
            await browser.async_cancel()
            for probe in probes:
                probe.cancel()


async def has_tts(uri: str) -> bool:
    """Whether a server answers at `uri` within a second, and can speak."""
    try:
        info = await describe(uri, _PROBE_SECONDS)
    except ClientError as error:
        _LOG.debug("Skipped: %s", error)
        return False
    return any(program.installed for program in info.tts)


def _is_usable(address: str) -> bool:
    ip = ipaddress.ip_address(address.partition("%")[0])
    return not (ip.is_unspecified or ip.is_multicast)


def _own_addresses() -> frozenset[str]:
    ips = (ip.ip for adapter in ifaddr.get_adapters() for ip in adapter.ips)
    return frozenset(ip if isinstance(ip, str) else ip[0] for ip in ips)


def _tcp_uri(address: str, port: int) -> str:
    return f"tcp://[{address}]:{port}" if ":" in address else f"tcp://{address}:{port}"
