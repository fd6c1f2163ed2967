"""Access control rules without I/O: networks, API keys, host names, origins and the rate limit.

Used by the guard of the HTTP API; the networks also by the Wyoming server.
"""

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
"""Suffixes of names that no public name server resolves."""
_ROUNDING = 1e-6
"""Tokens: tolerance for a client that comes exactly when it was told to."""
_DEFAULT_PORTS = {"http": 80, "https": 443}


class AllowedNetworks:
    """Network allowlist: the networks whose addresses may connect."""

    def __init__(self, networks: Iterable[str] = ()) -> None:
        """Take networks in CIDR form; none allows every address.

        Raises:
            ValueError: one of them is not in CIDR form.
        """
        self._networks = tuple(ip_network(network, strict=False) for network in networks)

    def allows(self, address: str) -> bool:
        """Whether an IP address may connect; loopback always may."""
        if not self._networks:
            return True
        ip = _parse_ip(address)
        if ip is None:
            return False
        return ip.is_loopback or any(ip in network for network in self._networks)


class ApiKeys:
    """API keys, kept only as digests with a per-process salt, so that none can be read back or looked up."""

    def __init__(self, keys: Iterable[str] = ()) -> None:
        self._salt = secrets.token_bytes(32)
        self._digests = tuple(self._digest(key) for key in keys)

    def __repr__(self) -> str:
        return f"<Keys {len(self._digests)}>"

    def __bool__(self) -> bool:
        return bool(self._digests)

    def accepts(self, candidate: str) -> bool:
        """Whether a candidate is one of the keys, compared in constant time."""
        digest = self._digest(candidate)
        matches = [hmac.compare_digest(digest, known) for known in self._digests]
        return any(matches)

    def _digest(self, key: str) -> bytes:
        return blake2b(key.encode(errors="surrogateescape"), key=self._salt, digest_size=32).digest()


class AllowedHosts:
    """Host allowlist against DNS rebinding: the names under which browsers may reach a server without keys.

    A foreign page can point its own name at a machine in this network and then has the same origin as the
    server. That is impossible with an IP address, a name without dots, or a name that only the local network
    resolves; any other name has to be listed.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._names = frozenset(name.casefold().rstrip(".") for name in names)

    def allows(self, host: str) -> bool:
        """Whether a Host header, with or without a port, names this server and not a foreign page."""
        name = _parse_host_name(host)
        if name is None:
            return False
        return (
            _parse_ip(name) is not None
            or "." not in name
            or name.endswith(_LOCAL_SUFFIXES)
            or name in self._names
        )


class AllowedOrigins:
    """Origin allowlist (CORS): the web pages that may use the server from a browser."""

    def __init__(self, origins: Iterable[str] = ()) -> None:
        """Take origins such as `https://example.org`; `*` allows all."""
        listed = {origin.strip().casefold().rstrip("/") for origin in origins}
        self.is_open = "*" in listed
        self._listed = frozenset(listed)

    @property
    def hosts(self) -> frozenset[str]:
        """The host names of the origins."""
        return frozenset(name for origin in self._listed if (name := urlsplit(origin).hostname))

    def includes(self, origin: str) -> bool:
        """Whether the list includes an origin."""
        return self.is_open or origin.casefold() in self._listed

    def allows(self, origin: str, host: str) -> bool:
        """Whether an origin is listed, or is the server's own: its host equals the Host header."""
        return self.includes(origin) or _is_same_origin(origin, host)


class RateLimit:
    """Rate limit in requests per minute from one address: a token bucket for each."""

    def __init__(self, per_minute: int, *, max_addresses: int = 10_000) -> None:
        """Allow bursts of `per_minute`; 0 is no limit. Addresses not seen for longest are forgotten first."""
        self.per_minute = per_minute
        self._max_addresses = max_addresses
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, address: str, now: float) -> int:
        """Take a token at monotonic time `now`; return 0, or the whole seconds until there is one."""
        if not self.per_minute:
            return 0
        name = subscriber(address)
        tokens, since = self._buckets.pop(name, (float(self.per_minute), now))
        tokens = min(self.per_minute, tokens + (now - since) * self.per_minute / 60)
        lacking = 1 - tokens if tokens < 1 - _ROUNDING else 0.0
        self._buckets[name] = (tokens if lacking else tokens - 1, now)
        if len(self._buckets) > self._max_addresses:
            self._buckets.popitem(last=False)
        return ceil(lacking * 60 / self.per_minute)


def _parse_ip(address: str) -> IPv4Address | IPv6Address | None:
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return None
    return ip.ipv4_mapped or ip if isinstance(ip, IPv6Address) else ip


def subscriber(address: str) -> str:
    """Return whom an address counts for: an IPv4 address or an IPv6 /64, of which one may use any address."""
    ip = _parse_ip(address)
    return str(ip_network((ip, 64), strict=False)) if isinstance(ip, IPv6Address) else str(ip or address)


def _parse_host_name(host: str) -> str | None:
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        return None
    return name.rstrip(".") if name else None


def _is_same_origin(origin: str, host: str) -> bool:
    try:
        parts, own = urlsplit(origin), urlsplit(f"//{host}")
        if not parts.hostname or parts.hostname != own.hostname:
            return False
        ports = parts.port, own.port
    except ValueError:
        return False
    default = _DEFAULT_PORTS.get(parts.scheme)
    return (ports[0] or default) == (ports[1] or default)
