"""What a server is called on the network, and where other machines reach it.

Home Assistant stores a discovered server under its instance name and never updates it: the name has to be
unique per machine and the same after a restart. It connects to any one of the announced addresses, so only
those reachable from other machines may be announced.
"""

from __future__ import annotations

import hashlib
import re
import socket
import unicodedata
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import ifaddr

DEFAULT_PORT = 10200

_LABEL_BYTES = 63  # in one DNS label, RFC 1035

# Bridges of containers and virtual machines, and tunnels: other machines on the LAN cannot connect to their
# addresses, and a client picks any one of the announced addresses.
_NOT_THE_LAN = re.compile(
    r"docker|br-[0-9a-f]{12}$|veth|virbr|vmnet|vboxnet|lxc|lxd|incus|podman|cni|flannel|cali|hassio"
    r"|wg|tun|utun|tailscale|zt|ppp|ipsec"
)


@dataclass(frozen=True, slots=True)
class MachineIdentity:
    """What distinguishes this machine from others on the network."""

    host_name: str
    identity: str
    """A stable identifier: the machine id or the hardware address; empty if there is neither."""

    @property
    def digest(self) -> str:
        """Six hexadecimal digits that distinguish hosts of one name without revealing the identity."""
        return hashlib.sha256(f"wyoming-tts:{self.identity or self.host_name}".encode()).hexdigest()[:6]


def read_machine_identity() -> MachineIdentity:
    """Read this machine's identity. Blocks: it reads a file and may start a program."""
    return MachineIdentity(socket.gethostname(), _read_machine_id() or _read_hardware_address())


def interface_addresses() -> list[str]:
    """Return the addresses of all interfaces that lead to other machines, IPv6 without its scope."""
    return [
        ip.ip if isinstance(ip.ip, str) else ip.ip[0]
        for adapter in ifaddr.get_adapters()
        if not _NOT_THE_LAN.match(adapter.nice_name)
        for ip in adapter.ips
    ]


def reachable_addresses(bound_to: Iterable[str], interfaces: Iterable[str]) -> tuple[str, ...]:
    """Return the addresses under which other machines reach a listener.

    Args:
        bound_to: numeric addresses the listener is bound to; "0.0.0.0" is every IPv4 address, "::" every
            address, any other one (loopback, too) stands for itself.
        interfaces: the numeric addresses of the machine's interfaces.

    Returns:
        The addresses without duplicates, IPv4 first. Unspecified and link-local ones, which clients skip, are
        left out.
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
    """The DNS-SD names of one server."""

    instance: str
    """Instance name, shown to users and used by Home Assistant: any text of up to 63 bytes, without dots."""
    host: str
    """Host name that the addresses belong to: letters, digits and hyphens, without `.local.`."""

    @classmethod
    def of(
        cls, machine: MachineIdentity, port: int, *, given: str | None = None, number: int = 1
    ) -> ServiceNames:
        """Derive the names of the server at `port`, the same at every start.

        A given name is used unchanged as far as the protocol allows. A `number` above 1 is appended to
        distinguish servers that would otherwise share a name.
        """
        numbered = f"-{number}" if number > 1 else ""
        ending = f"-{machine.digest}" + (f"-{port}" if port != DEFAULT_PORT else "") + numbered
        label = _make_instance_label(given or "")
        host = _truncate(_make_host_label(label or f"wyoming-tts-{machine.host_name}"), ending)
        return cls(_truncate(label, numbered) if label else host, host)


def _read_machine_id() -> str:
    try:
        found = Path("/etc/machine-id").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
    return found if re.fullmatch(r"[0-9a-f]{32}", found) else ""  # "uninitialized" during a first boot


def _read_hardware_address() -> str:
    node = uuid.getnode()
    is_random = node >> 40 & 1  # the multicast bit, which no interface's own address has, RFC 4122
    return "" if is_random else f"{node:012x}"


def _make_instance_label(text: str) -> str:
    """Reduce a text to what an instance name may hold; a dot would end the DNS label (in this library)."""
    normal = unicodedata.normalize("NFC", text)
    printable = "".join(char for char in normal if unicodedata.category(char) not in {"Cc", "Cs"})
    return printable.strip(" .").replace(".", "-").lstrip(" _")


def _make_host_label(text: str) -> str:
    short = text.partition(".")[0] or text
    plain = unicodedata.normalize("NFKD", short).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-") or "wyoming-tts"


def _truncate(text: str, ending: str) -> str:
    room = _LABEL_BYTES - len(ending.encode())
    return text.encode()[:room].decode(errors="ignore").rstrip() + ending
