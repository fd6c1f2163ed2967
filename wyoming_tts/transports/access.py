"""Who may use the server: decisions without I/O, for the guard of the HTTP API and for the Wyoming server."""

from __future__ import annotations

import hmac
import secrets
from collections import OrderedDict
from collections.abc import Iterable
from hashlib import blake2b
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from math import ceil
from urllib.parse import urlsplit

_LOCAL_SUFFIXES = (".localhost", ".local", ".home", ".home.arpa", ".lan", ".internal")
"""Names that no public name server gives out."""
_ROUNDING = 1e-6
"""Of a token: who comes when it was told to, has one."""
_DEFAULT_PORTS = {"http": 80, "https": 443}


class AllowedNetworks:
    """The networks whose machines are served."""

    def __init__(self, networks: Iterable[str] = ()) -> None:
        """None stands for all.

        Raises:
            ValueError: one is not in CIDR form.
        """
        self._networks = tuple(ip_network(network, strict=False) for network in networks)

    def allows(self, address: str) -> bool:
        """Whether the machine with this IP address is served; this machine always is."""
        if not self._networks:
            return True
        ip = _ip(address)
        if ip is None:
            return False
        return ip.is_loopback or any(ip in network for network in self._networks)


class ApiKeys:
    """API keys, of which only digests are kept, with a salt of this process: none can be looked up."""

    def __init__(self, keys: Iterable[str] = ()) -> None:
        self._salt = secrets.token_bytes(32)
        self._digests = tuple(self._digest(key) for key in keys)

    def __repr__(self) -> str:
        return f"<Keys {len(self._digests)}>"

    def __bool__(self) -> bool:
        return bool(self._digests)

    def admit(self, candidate: str) -> bool:
        """Whether it is one of the keys; takes as long whichever it is, and whether it is any."""
        digest = self._digest(candidate)
        matches = [hmac.compare_digest(digest, known) for known in self._digests]
        return any(matches)

    def _digest(self, key: str) -> bytes:
        return blake2b(key.encode(errors="surrogateescape"), key=self._salt, digest_size=32).digest()


class AllowedHosts:
    """The names under which a browser may reach the server where no key protects it.

    A page of a stranger can have its own name point at a machine of this network (DNS rebinding), and is then
    of the same origin as the server. It cannot do so with an IP address, a name without dots, or a name that
    only the local network knows; any other name has to be listed.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._names = frozenset(name.casefold().rstrip(".") for name in names)

    def allow(self, host: str) -> bool:
        """Whether a Host header, its port included, names this server and not a stranger's page."""
        name = _host_name(host)
        if name is None:
            return False
        return (
            _ip(name) is not None or "." not in name or name.endswith(_LOCAL_SUFFIXES) or name in self._names
        )


class AllowedOrigins:
    """The web pages that may use the server from a browser."""

    def __init__(self, origins: Iterable[str] = ()) -> None:
        """Take origins such as `https://example.org`; `*` is any."""
        listed = {origin.strip().casefold().rstrip("/") for origin in origins}
        self.is_open = "*" in listed
        self._listed = frozenset(listed)

    @property
    def hosts(self) -> frozenset[str]:
        """The names of the machines that the pages come from."""
        return frozenset(name for origin in self._listed if (name := urlsplit(origin).hostname))

    def lists(self, origin: str) -> bool:
        """Whether pages of that origin may."""
        return self.is_open or origin.casefold() in self._listed

    def allow(self, origin: str, host: str) -> bool:
        """Whether pages of that origin may, or are the server's own: those whose host is the server's."""
        return self.lists(origin) or _is_same(origin, host)


class RateLimit:
    """So many requests a minute from one address: a bucket of tokens for each, filled steadily."""

    def __init__(self, per_minute: int, *, most_addresses: int = 10_000) -> None:
        """`per_minute` may also come at once; 0 is no limit. The addresses seen longest ago are forgotten."""
        self.per_minute = per_minute
        self._most_addresses = most_addresses
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def wait(self, address: str, now: float) -> int:
        """Take a token; return 0, or the whole seconds after which there is one."""
        if not self.per_minute:
            return 0
        name = _neighbourhood(address)
        tokens, since = self._buckets.pop(name, (float(self.per_minute), now))
        tokens = min(self.per_minute, tokens + (now - since) * self.per_minute / 60)
        lacking = 1 - tokens if tokens < 1 - _ROUNDING else 0.0
        self._buckets[name] = (tokens if lacking else tokens - 1, now)
        if len(self._buckets) > self._most_addresses:
            self._buckets.popitem(last=False)
        return ceil(lacking * 60 / self.per_minute)


def _ip(address: str) -> IPv4Address | IPv6Address | None:
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return None
    return ip.ipv4_mapped or ip if isinstance(ip, IPv6Address) else ip


def _neighbourhood(address: str) -> str:
    """One subscriber: with IPv6 that is a network of 64 bits, any address of which is free to take."""
    ip = _ip(address)
    return str(ip_network((ip, 64), strict=False)) if isinstance(ip, IPv6Address) else str(ip or address)


def _host_name(host: str) -> str | None:
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        return None
    return name.rstrip(".") if name else None


def _is_same(origin: str, host: str) -> bool:
    try:
        parts, own = urlsplit(origin), urlsplit(f"//{host}")
        if not parts.hostname or parts.hostname != own.hostname:
            return False
        ports = parts.port, own.port
    except ValueError:
        return False
    default = _DEFAULT_PORTS.get(parts.scheme)
    return (ports[0] or default) == (ports[1] or default)
