"""Lets clients on the network find the server without being told an address (zeroconf, DNS-SD over mDNS).

Home Assistant keeps what it found under the instance name, and never updates it: the name has to be
unique per machine and the same after a restart. It connects to any one of the announced addresses:
only those that others can reach may be announced. Networks come and go while a server runs, so the
addresses are looked at again and again. Nothing that fails here may stop the server.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
import socket
import unicodedata
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import TypeVar

import ifaddr
from zeroconf import DNSQuestionType, DNSService, Zeroconf  # type: ignore[attr-defined]  # a gap in __all__
from zeroconf import Error as ZeroconfError
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from wyoming_tts.blocking import RunBlocking

SERVICE_TYPE = "_wyoming._tcp.local."
DEFAULT_PORT = 10200
_log = logging.getLogger(__name__)

_LABEL_BYTES = 63  # of one DNS label, RFC 1035
_MOST_NUMBERS = 99  # so many machines of one name are no accident any more
_EMPTY_TXT = b"\0"  # a TXT record holds at least one string, RFC 6763 section 6.1
_LOOPBACK = "127.0.0.1"  # carries mDNS for ::1 too, where multicast does not work

# Bridges of containers and virtual machines, and tunnels: neighbours on the LAN cannot connect to an
# address there, and a client picks any one address of those it is told.
_NOT_THE_LAN = re.compile(
    r"docker|br-[0-9a-f]{12}$|veth|virbr|vmnet|vboxnet|lxc|lxd|incus|podman|cni|flannel|cali|hassio"
    r"|wg|tun|utun|tailscale|zt|ppp|ipsec"
)

_T = TypeVar("_T")


async def run_inline(call: Callable[[], _T], /) -> _T:
    """Runs the call at once, for callers to whom a few milliseconds do not matter."""
    return call()


@dataclass(frozen=True, slots=True)
class MachineIdentity:
    """What tells this machine from the others on its network."""

    host_name: str
    identity: str
    """Lasting and its own: the machine id or the hardware address; empty where there is neither."""

    @property
    def digest(self) -> str:
        """Six hexadecimal digits; they tell apart hosts of one name without giving the identity away."""
        return hashlib.sha256(f"wyoming-tts:{self.identity or self.host_name}".encode()).hexdigest()[:6]


def read_machine_identity() -> MachineIdentity:
    """The machine we run on; reads a file and may start a program, so it blocks."""
    return MachineIdentity(socket.gethostname(), _machine_id() or _hardware_address())


def interface_addresses() -> list[str]:
    """Every address of the interfaces that lead to other machines, IPv6 without its scope."""
    return [
        ip.ip if isinstance(ip.ip, str) else ip.ip[0]
        for adapter in ifaddr.get_adapters()
        if not _NOT_THE_LAN.match(adapter.nice_name)
        for ip in adapter.ips
    ]


def reachable_addresses(bound_to: Iterable[str], interfaces: Iterable[str]) -> tuple[str, ...]:
    """The addresses under which clients reach a listener.

    Args:
        bound_to: numeric addresses the listener is bound to; "0.0.0.0" is every IPv4 address, "::" every
            address, any other one (loopback, too) stands for itself.
        interfaces: the numeric addresses of the machine's interfaces.

    Returns:
        IPv4 first, each once. Never an unspecified or link-local one, which clients skip.
    """
    candidates = set()
    for bound in map(ip_address, bound_to):
        if bound.is_unspecified:
            others = (ip_address(text) for text in interfaces)
            candidates |= {ip for ip in others if ip.version <= bound.version and not ip.is_loopback}
        else:
            candidates.add(bound)
    usable = [ip for ip in candidates if not (ip.is_unspecified or ip.is_link_local or ip.is_multicast)]
    return tuple(str(ip) for ip in sorted(usable, key=lambda ip: (ip.version, int(ip))))


@dataclass(frozen=True, slots=True)
class ServiceNames:
    """The names of one server on the network."""

    instance: str
    """What people and Home Assistant see: any text, up to 63 bytes, without dots."""
    host: str
    """What the addresses belong to: a label of letters, digits and hyphens; `.local.` follows it."""

    @classmethod
    def of(
        cls, machine: MachineIdentity, port: int, *, given: str | None = None, number: int = 1
    ) -> ServiceNames:
        """The names of the server at `port`, the same at every start.

        A given name is used as it is, where the protocol allows. `number` is above 1 when so many
        servers on the network would have the same name without it.
        """
        numbered = f"-{number}" if number > 1 else ""
        ending = f"-{machine.digest}" + (f"-{port}" if port != DEFAULT_PORT else "") + numbered
        wanted = _instance_label(given or "")
        host = _shortened(_host_label(wanted or f"wyoming-tts-{machine.host_name}"), ending)
        return cls(_shortened(wanted, numbered) if wanted else host, host)


@dataclass(frozen=True, slots=True)
class DiscoveryEnvironment:
    """Where an announcement learns what is around it, and its patience in seconds."""

    machine: Callable[[], MachineIdentity] = read_machine_identity
    addresses: Callable[[], Sequence[str]] = interface_addresses
    open_zeroconf: Callable[[list[str]], AsyncZeroconf] = AsyncZeroconf
    ask: float = 1.5
    """Until nobody claims a name; a responder that has just spoken may wait 1.2 s with its answer."""
    look: float = 30.0
    """Between two looks at the machine's addresses and at the name."""
    goodbye: float = 2.0
    """The most that saying goodbye may take."""


_REAL = DiscoveryEnvironment()


class ZeroconfAnnouncer:
    """Keeps one listening server announced for as long as `run` runs.

    Args:
        port: of the listener.
        host: what the listener is bound to: an address, a name, or "" for every address.
        name: the instance name; without one it is made of the host name and the machine's identity.
        interfaces: addresses of the interfaces to speak mDNS on, instead of those announced.
        run_blocking: takes the calls that ask the operating system.
        surroundings: the machine and its network, and how long to wait for them.
    """

    def __init__(
        self,
        port: int,
        *,
        host: str,
        name: str | None = None,
        interfaces: Sequence[str] = (),
        run_blocking: RunBlocking = run_inline,
        surroundings: DiscoveryEnvironment = _REAL,
    ) -> None:
        self._port = port
        self._host = host or "::"
        self._given = name
        self._interfaces = list(interfaces)
        self._run_blocking = run_blocking
        self._surroundings = surroundings
        self._machine: MachineIdentity | None = None
        self._number = 1
        self._zeroconf: AsyncZeroconf | None = None
        self._info: AsyncServiceInfo | None = None  # set while we are announced
        self._last_said = ""

    @property
    def name(self) -> str | None:
        """The instance name the server is found under now; None while it is not announced."""
        return self._info.get_name() if self._info else None

    @property
    def addresses(self) -> tuple[str, ...]:
        """The addresses announced now."""
        return tuple(self._info.parsed_addresses()) if self._info else ()

    async def run(self) -> None:
        """Announces, follows the network until cancelled, then says goodbye; raises nothing else."""
        try:
            while True:
                await self._look_or_warn()
                await asyncio.sleep(self._surroundings.look)
        finally:
            await self._withdraw()

    async def _look_or_warn(self) -> None:
        try:
            await self._look()
        except Exception as error:  # noqa: BLE001 - a server that is not found still serves
            self._say(
                logging.WARNING,
                f"Zeroconf failed ({_reason(error)}): clients need to be told this server's address. "
                "Let multicast and UDP port 5353 through (a container needs the host's network), "
                f"or use --no-zeroconf. Next try in {self._surroundings.look:.0f} s.",
            )
            _log.debug("Zeroconf failed", exc_info=error)
            await self._withdraw()

    async def _look(self) -> None:
        addresses = await self._reachable()
        if not addresses:
            self._say(logging.INFO, "No network address for clients yet: zeroconf starts once there is one.")
            await self._withdraw()
            return
        zc = self._zeroconf
        if zc is None:
            zc = await self._open(addresses)
            await self._announce(zc, addresses)
        elif self.addresses != addresses:
            await self._move(zc, addresses)
        await self._settle(zc, addresses)

    async def _reachable(self) -> tuple[str, ...]:
        bound_to = await self._run_blocking(partial(_resolved, self._host))
        interfaces = await self._run_blocking(self._surroundings.addresses)
        return reachable_addresses(bound_to, interfaces)

    async def _open(self, addresses: Sequence[str]) -> AsyncZeroconf:
        self._zeroconf = zc = self._surroundings.open_zeroconf(self._spoken_on(addresses))
        await zc.zeroconf.async_wait_for_start()
        _require_senders(zc.zeroconf, addresses)
        return zc

    def _spoken_on(self, addresses: Sequence[str]) -> list[str]:
        if self._interfaces:
            return self._interfaces
        return sorted({_LOOPBACK if ip_address(text).is_loopback else text for text in addresses})

    async def _announce(self, zc: AsyncZeroconf, addresses: Sequence[str]) -> None:
        info = await self._unclaimed(zc, addresses)
        # The library's own probe asks for unicast answers. On a machine with several mDNS programs
        # those reach any one of them, so that it misses every other collision; we have asked already.
        announced = await zc.async_register_service(info, cooperating_responders=True)
        self._info = info
        await announced
        self._say_where(info)

    async def _unclaimed(self, zc: AsyncZeroconf, addresses: Sequence[str]) -> AsyncServiceInfo:
        for number in range(self._number, _MOST_NUMBERS + 1):
            info = await self._service(number, addresses)
            holder = await self._holder(zc, info)
            if holder is None:
                self._number = number
                return info
            taken = "The zeroconf name %r is taken by %s: adding a number. --zeroconf NAME sets another one."
            _log.warning(taken, info.get_name(), _endpoints(holder))
        raise RuntimeError(f"{_MOST_NUMBERS} servers on the network have this name already")

    async def _service(self, number: int, addresses: Sequence[str]) -> AsyncServiceInfo:
        if self._machine is None:
            self._machine = await self._run_blocking(self._surroundings.machine)
        names = ServiceNames.of(self._machine, self._port, given=self._given, number=number)
        return AsyncServiceInfo(
            SERVICE_TYPE,
            f"{names.instance}.{SERVICE_TYPE}",
            port=self._port,
            server=f"{names.host}.local.",
            properties=_EMPTY_TXT,
            parsed_addresses=list(addresses),
        )

    async def _holder(self, zc: AsyncZeroconf, wanted: AsyncServiceInfo) -> AsyncServiceInfo | None:
        """Who answers to the name, unless it is ourselves, echoed by a relay or cached by a proxy."""
        found = AsyncServiceInfo(SERVICE_TYPE, wanted.name)
        patience_ms = self._surroundings.ask * 1000
        await found.async_request(zc.zeroconf, patience_ms, question_type=DNSQuestionType.QM)
        if found.server is None:
            return None
        same_host = found.server_key == wanted.server_key and found.port == wanted.port
        shared = set(found.parsed_addresses()) & set(wanted.parsed_addresses())
        return None if same_host and shared else found

    async def _move(self, zc: AsyncZeroconf, addresses: Sequence[str]) -> None:
        info = await self._service(self._number, addresses)
        # Known before the interfaces change, so that the new ones hear no old address; told to all only
        # after it, because the library logs a traceback when it sends from an address that is gone.
        zc.zeroconf.registry.async_update(info)
        self._info = info
        await zc.async_update_interfaces(interfaces=self._spoken_on(addresses))
        _require_senders(zc.zeroconf, addresses)
        await (await zc.async_update_service(info))
        self._say_where(info)

    async def _settle(self, zc: AsyncZeroconf, addresses: Sequence[str]) -> None:
        """Ends a tie with a server that took the same name unheard.

        It started at the same moment, or in a network that was joined to ours later. Both servers
        apply the same rule, so that one of them yields.
        """
        while (ours := self._info) is not None and (rival := _rival(zc.zeroconf, ours)) is not None:
            if (ours.server_key or "") < rival.server_key:
                await (await zc.async_update_service(ours))  # it may not have heard of us
                return
            _log.warning("The zeroconf name %r is also taken by %s: yielding.", self.name, rival.server)
            # Without a goodbye: that would take the name from the rival as well.
            zc.zeroconf.registry.async_remove(ours)
            self._info = None
            self._number += 1
            await self._announce(zc, addresses)

    async def _withdraw(self) -> None:
        zc, self._info = self._zeroconf, None
        if zc is None:
            return
        try:
            # In a task of its own: in one that is being cancelled the library gives up before it closes.
            async with asyncio.timeout(self._surroundings.goodbye):
                await asyncio.create_task(zc.async_close())
        except (TimeoutError, OSError, RuntimeError, ZeroconfError) as error:
            _log.warning("No zeroconf goodbye (%s): clients may list us for 75 minutes.", _reason(error))
        self._zeroconf = None  # not before: when cancelled while closing, `run` closes once more

    def _say_where(self, info: AsyncServiceInfo) -> None:
        self._say(logging.INFO, f"Found by zeroconf as {info.get_name()!r} at {_endpoints(info)}")

    def _say(self, level: int, message: str) -> None:
        """Logs what is new, so that a state that lasts is said once."""
        if message != self._last_said:
            _log.log(level, "%s", message)
        self._last_said = message


def _require_senders(zc: Zeroconf, addresses: Sequence[str]) -> None:
    """The library only notes an interface that refuses multicast; with none left nobody would hear us."""
    if not zc.engine.senders:
        raise OSError(f"no interface of {', '.join(addresses)} takes part in multicast")


def _rival(zc: Zeroconf, ours: AsyncServiceInfo) -> DNSService | None:
    for record in zc.cache.entries_with_name(ours.name):
        if isinstance(record, DNSService) and record.server_key != ours.server_key:
            return record
    return None


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


def _endpoints(info: AsyncServiceInfo) -> str:
    shown = (f"[{text}]" if ":" in text else text for text in info.parsed_addresses())
    return ", ".join(f"{address}:{info.port}" for address in shown) or f"{info.server}:{info.port}"


def _resolved(host: str) -> list[str]:
    """The host's numeric addresses; blocks when it is a name. Raises OSError when that is unknown."""
    return [str(entry[4][0]) for entry in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]


def _machine_id() -> str:
    try:
        found = Path("/etc/machine-id").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
    return found if re.fullmatch(r"[0-9a-f]{32}", found) else ""  # "uninitialized" during a first boot


def _hardware_address() -> str:
    node = uuid.getnode()
    invented = node >> 40 & 1  # the multicast bit, which no interface's own address has, RFC 4122
    return "" if invented else f"{node:012x}"


def _instance_label(text: str) -> str:
    """The text as far as an instance name may hold it; a dot would end the DNS label (in this library)."""
    normal = unicodedata.normalize("NFC", text)
    printable = "".join(char for char in normal if unicodedata.category(char) not in {"Cc", "Cs"})
    return printable.strip(" .").replace(".", "-").lstrip(" _")


def _host_label(text: str) -> str:
    short = text.partition(".")[0] or text
    plain = unicodedata.normalize("NFKD", short).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-") or "wyoming-tts"


def _shortened(text: str, ending: str) -> str:
    room = _LABEL_BYTES - len(ending.encode())
    return text.encode()[:room].decode(errors="ignore").rstrip() + ending
