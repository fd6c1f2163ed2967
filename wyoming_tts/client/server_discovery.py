"""Finds the Wyoming servers that announce themselves in the network and can speak.

An announcement says nothing of what a server does: each is resolved and asked, on its nearest
address first, and kept only when it has an installed text-to-speech program.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
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
"""Which interfaces are searched: all, or some by address or index."""

_LOG = logging.getLogger(__name__)
_RESOLVE_MS = 1000.0
_PROBE_SECONDS = 1.0
_SETTLE_SECONDS = 0.2
"""Answers to one mDNS question are spread over 20 to 120 ms (RFC 6762, section 6); within this they
count as given at once."""


@dataclass(frozen=True, slots=True)
class DiscoveredServer:
    """A server that announced itself, answered, and can speak."""

    name: str
    """The instance's name, without the service type."""
    uri: str
    """Of the nearest of its addresses that answered: `tcp://192.168.1.5:10200`."""
    addresses: tuple[str, ...]
    """All that it announced, this machine's own first."""


async def discover_servers(
    timeout: float,  # noqa: ASYNC109 -- how long to listen, not a limit on the call
    *,
    interfaces: Interfaces = InterfaceChoice.All,
) -> list[DiscoveredServer]:
    """Every text-to-speech server that answers within `timeout` seconds; this machine's own first."""
    async with _searching(interfaces) as search:
        await asyncio.sleep(timeout)
        return search.ranked()


async def discover_tts_server(
    timeout: float = 2.0,  # noqa: ASYNC109 -- how long to listen, not a limit on the call
    *,
    interfaces: Interfaces = InterfaceChoice.All,
) -> DiscoveredServer | None:
    """The first text-to-speech server that answers; of several at once this machine's own.

    None when there was none within `timeout` seconds.
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
    """What one search has found so far."""

    def __init__(self) -> None:
        self.any_found = asyncio.Event()
        self.own_found = asyncio.Event()
        self._found: dict[str, DiscoveredServer] = {}
        self._own = _own_addresses()

    def ranked(self) -> list[DiscoveredServer]:
        """What was found, nearest first."""
        return sorted(
            self._found.values(), key=lambda server: (self._distance(server.addresses[0]), server.name)
        )

    async def probe(self, zeroconf: Zeroconf, service_type: str, name: str) -> None:
        """Resolve an announced instance and keep it if one of its addresses speaks."""
        info = AsyncServiceInfo(service_type, name)
        if not await info.async_request(zeroconf, _RESOLVE_MS):
            return
        addresses = tuple(sorted(info.parsed_scoped_addresses(), key=self._distance))
        for address in addresses:
            uri = _tcp_uri(address, info.port or 0)
            if await _can_speak(uri):
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
        _LOG.info("No server can be searched for: %s", error)
        yield search
        return
    async with mdns, asyncio.TaskGroup() as tasks:
        probes: list[asyncio.Task[None]] = []

        def on_change(
            zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange
        ) -> None:
            if state_change is ServiceStateChange.Added:
                probes.append(tasks.create_task(search.probe(zeroconf, service_type, name)))

        browser = AsyncServiceBrowser(mdns.zeroconf, SERVICE_TYPE, handlers=[on_change])
        try:
            yield search
        finally:
            await browser.async_cancel()
            for probe in probes:
                probe.cancel()


async def _can_speak(uri: str) -> bool:
    try:
        info = await describe(uri, _PROBE_SECONDS)
    except ClientError as error:
        _LOG.debug("Passed over: %s", error)
        return False
    return any(program.installed for program in info.tts)


def _own_addresses() -> frozenset[str]:
    ips = (ip.ip for adapter in ifaddr.get_adapters() for ip in adapter.ips)
    return frozenset(ip if isinstance(ip, str) else ip[0] for ip in ips)


def _tcp_uri(address: str, port: int) -> str:
    return f"tcp://[{address}]:{port}" if ":" in address else f"tcp://{address}:{port}"
