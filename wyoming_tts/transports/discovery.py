"""Zeroconf announcement (DNS-SD over mDNS), by which clients on the network find the server by themselves.

Networks come and go while a server runs, so the addresses are polled. No failure here may stop the server.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from typing import TypeVar

from zeroconf import DNSQuestionType, DNSService, Zeroconf  # type: ignore[attr-defined]  # a gap in __all__
from zeroconf import Error as ZeroconfError
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from wyoming_tts.blocking import RunBlocking
from wyoming_tts.transports.damped_log import DampedLog
from wyoming_tts.transports.network_identity import (
    MachineIdentity,
    ServiceNames,
    interface_addresses,
    reachable_addresses,
    read_machine_identity,
)

SERVICE_TYPE = "_wyoming._tcp.local."
_log = logging.getLogger(__name__)
_MAX_NUMBER = 99  # suffix of a name; this many servers of one name are no coincidence
_EMPTY_TXT = b"\0"  # a TXT record holds at least one string, RFC 6763 section 6.1
_LOOPBACK = "127.0.0.1"  # carries mDNS for ::1 too, where multicast does not work

_T = TypeVar("_T")


async def run_inline(call: Callable[[], _T], /) -> _T:
    """Run a blocking call inline, for callers that tolerate a few milliseconds."""
    return call()


@dataclass(frozen=True, slots=True)
class DiscoveryEnvironment:
    """The announcer's view of the machine and its network, and its timeouts in seconds."""

    machine: Callable[[], MachineIdentity] = read_machine_identity
    addresses: Callable[[], Sequence[str]] = interface_addresses
    open_zeroconf: Callable[[list[str]], AsyncZeroconf] = AsyncZeroconf
    probe_timeout: float = 1.5
    """How long a name is probed; a responder that has just answered may delay its next answer by 1.2 s."""
    poll_interval: float = 30.0
    """Between two checks of the machine's addresses and of the name."""
    goodbye_timeout: float = 2.0
    """How long withdrawing the announcement may take."""


_REAL = DiscoveryEnvironment()


class ZeroconfAnnouncer:
    """Announces one listening server for as long as `run` runs.

    Args:
        port: The port of the listener.
        host: What the listener is bound to: an address, a name, or "" for every address.
        name: The instance name; by default it is derived from the host name and the machine's identity.
        interfaces: Addresses of the interfaces to use for mDNS, instead of those announced.
        run_blocking: Runs the blocking calls to the operating system.
        environment: The machine and its network, and timeouts.
    """

    def __init__(
        self,
        port: int,
        *,
        host: str,
        name: str | None = None,
        interfaces: Sequence[str] = (),
        run_blocking: RunBlocking = run_inline,
        environment: DiscoveryEnvironment = _REAL,
    ) -> None:
        self._port = port
        self._host = host or "::"
        self._given_name = name
        self._interfaces = list(interfaces)
        self._run_blocking = run_blocking
        self._environment = environment
        self._machine: MachineIdentity | None = None
        self._number = 1
        self._zeroconf: AsyncZeroconf | None = None
        self._info: AsyncServiceInfo | None = None  # set while announced
        self._last_logged = ""
        self._conflicts = DampedLog(_log)  # anyone can claim any number of names

    @property
    def name(self) -> str | None:
        """The announced instance name; None while nothing is announced."""
        return self._info.get_name() if self._info else None

    @property
    def zeroconf(self) -> Zeroconf | None:
        """What hears the network and speaks to it; None while it is not open."""
        return self._zeroconf.zeroconf if self._zeroconf else None

    @property
    def addresses(self) -> tuple[str, ...]:
        """The announced addresses."""
        return tuple(self._info.parsed_addresses()) if self._info else ()

    async def run(self) -> None:
        """Announce the server and follow network changes until cancelled, then withdraw. Never fails."""
        try:
            while True:
                await self._update_or_warn()
                await asyncio.sleep(self._environment.poll_interval)
        finally:
            await self._withdraw()

    async def _update_or_warn(self) -> None:
        try:
            await self._update()
        except Exception as error:  # noqa: BLE001 - without an announcement the server still serves
            self._log_once(
                logging.WARNING,
                f"Zeroconf failed ({_reason(error)}): clients have to be given this server's address. "
                "Let multicast and UDP port 5353 through (a container needs the host's network), "
                f"or use --no-zeroconf. Next try in {self._environment.poll_interval:.0f} s.",
            )
            _log.debug("Zeroconf failed", exc_info=error)
            await self._withdraw()

    async def _update(self) -> None:
        addresses = await self._find_addresses()
        if not addresses:
            self._log_once(
                logging.INFO,
                "No network address that clients could reach: zeroconf starts once there is one.",
            )
            await self._withdraw()
            return
        zc = self._zeroconf
        if zc is None:
            zc = await self._open(addresses)
            await self._announce(zc, addresses)
        elif self.addresses != addresses:
            await self._change_addresses(zc, addresses)
        await self._resolve_conflict(zc, addresses)

    async def _find_addresses(self) -> tuple[str, ...]:
        bound_to = await self._run_blocking(partial(_resolve, self._host))
        interfaces = await self._run_blocking(self._environment.addresses)
        return reachable_addresses(bound_to, interfaces)

    async def _open(self, addresses: Sequence[str]) -> AsyncZeroconf:
        self._zeroconf = zc = self._environment.open_zeroconf(self._mdns_interfaces(addresses))
        await zc.zeroconf.async_wait_for_start()
        _require_senders(zc.zeroconf, addresses)
        return zc

    def _mdns_interfaces(self, addresses: Sequence[str]) -> list[str]:
        if self._interfaces:
            return self._interfaces
        return sorted({_LOOPBACK if ip_address(text).is_loopback else text for text in addresses})

    async def _announce(self, zc: AsyncZeroconf, addresses: Sequence[str]) -> None:
        info = await self._find_free_name(zc, addresses)
        # The library's own probe requests unicast answers. On a machine with several mDNS programs those
        # reach any one of them, so it misses every other collision; the name has been probed already.
        announced = await zc.async_register_service(info, cooperating_responders=True)
        self._info = info
        await announced
        self._log_announcement(info)

    async def _find_free_name(self, zc: AsyncZeroconf, addresses: Sequence[str]) -> AsyncServiceInfo:
        for number in range(self._number, _MAX_NUMBER + 1):
            info = await self._make_info(number, addresses)
            holder = await self._find_holder(zc, info)
            if holder is None:
                self._number = number
                return info
            taken = "The zeroconf name %r is taken by %s: adding a number. Use --zeroconf NAME for another."
            self._conflicts.log(taken, info.get_name(), _endpoints(holder))
        self._number = 1  # whoever claimed all of them may be gone by the next try
        raise RuntimeError(f"{_MAX_NUMBER} servers on the network already have this name")

    async def _make_info(self, number: int, addresses: Sequence[str]) -> AsyncServiceInfo:
        if self._machine is None:
            self._machine = await self._run_blocking(self._environment.machine)
        names = ServiceNames.of(self._machine, self._port, given=self._given_name, number=number)
        return AsyncServiceInfo(
            SERVICE_TYPE,
            f"{names.instance}.{SERVICE_TYPE}",
            port=self._port,
            server=f"{names.host}.local.",
            properties=_EMPTY_TXT,
            parsed_addresses=list(addresses),
        )

    async def _find_holder(self, zc: AsyncZeroconf, own: AsyncServiceInfo) -> AsyncServiceInfo | None:
        """Find another server that holds a name; our own record, relayed or cached, does not count."""
        found = AsyncServiceInfo(SERVICE_TYPE, own.name)
        timeout_ms = self._environment.probe_timeout * 1000
        await found.async_request(zc.zeroconf, timeout_ms, question_type=DNSQuestionType.QM)
        if found.server is None:
            return None
        same_host = found.server_key == own.server_key and found.port == own.port
        shared = set(found.parsed_addresses()) & set(own.parsed_addresses())
        return None if same_host and shared else found

    async def _change_addresses(self, zc: AsyncZeroconf, addresses: Sequence[str]) -> None:
        info = await self._make_info(self._number, addresses)
        # Registered before the interfaces change, so that no old address is announced on new ones, and sent
        # only afterwards, because the library logs a traceback when it sends from an address that is gone.
        zc.zeroconf.registry.async_update(info)
        self._info = info
        await zc.async_update_interfaces(interfaces=self._mdns_interfaces(addresses))
        _require_senders(zc.zeroconf, addresses)
        await (await zc.async_update_service(info))
        self._log_announcement(info)

    async def _resolve_conflict(self, zc: AsyncZeroconf, addresses: Sequence[str]) -> None:
        """Resolve a name conflict that probing missed.

        The other server started at the same moment, or in a network that was joined to ours later. Both
        servers apply the same rule, so that exactly one yields.
        """
        while (ours := self._info) is not None and (rival := _find_rival(zc.zeroconf, ours)) is not None:
            if (ours.server_key or "") < rival.server_key:
                await (await zc.async_update_service(ours))  # it may not have received our record
                return
            self._conflicts.log(
                "The zeroconf name %r is also taken by %r: yielding.", self.name, rival.server
            )
            # Without a goodbye, which would withdraw the rival's name as well.
            zc.zeroconf.registry.async_remove(ours)
            self._info = None
            self._number += 1
            await self._announce(zc, addresses)

    async def _withdraw(self) -> None:
        zc, self._info = self._zeroconf, None
        if zc is None:
            return
        try:
            # In its own task: in one that is being cancelled the library gives up before it closes.
            async with asyncio.timeout(self._environment.goodbye_timeout):
                await asyncio.create_task(zc.async_close())
        except (TimeoutError, OSError, RuntimeError, ZeroconfError) as error:
            _log.warning(
                "Zeroconf goodbye failed (%s): clients may still list this server for 75 minutes.",
                _reason(error),
            )
        self._zeroconf = None  # only now: if cancelled while closing, `run` closes once more

    def _log_announcement(self, info: AsyncServiceInfo) -> None:
        self._log_once(logging.INFO, f"Announced by zeroconf as {info.get_name()!r} at {_endpoints(info)}")

    def _log_once(self, level: int, message: str) -> None:
        """Log a message unless it equals the last one, so that a lasting state is logged once."""
        if message != self._last_logged:
            _log.log(level, "%s", message)
        self._last_logged = message


def _require_senders(zc: Zeroconf, addresses: Sequence[str]) -> None:
    """Raise if no interface accepts multicast: the library only logs that, but nobody would hear us."""
    if not zc.engine.senders:
        raise OSError(f"no interface of {', '.join(addresses)} supports multicast")


def _find_rival(zc: Zeroconf, ours: AsyncServiceInfo) -> DNSService | None:
    for record in zc.cache.entries_with_name(ours.name):
        if isinstance(record, DNSService) and record.server_key != ours.server_key:
            return record
    return None


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


def _endpoints(info: AsyncServiceInfo) -> str:
    shown = (f"[{text}]" if ":" in text else text for text in info.parsed_addresses())
    return ", ".join(f"{address}:{info.port}" for address in shown) or f"{info.server!r}:{info.port}"


def _resolve(host: str) -> list[str]:
    """Resolve a host to numeric addresses; blocks if it is a name. Raises OSError if that is unknown."""
    return [str(entry[4][0]) for entry in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
