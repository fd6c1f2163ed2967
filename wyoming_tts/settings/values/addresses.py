"""Types of addresses: URIs to listen on, URLs of other servers, hosts and networks."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Annotated, Final
from urllib.parse import parse_qs, urlsplit

from pydantic import AfterValidator

from wyoming_tts.settings.values.plain import Phrases

CACHE_CERTIFICATES: Final = frozenset({"ssl_ca_certs", "ssl_certfile", "ssl_keyfile"})
"""Files that `cache_url` may name after `?`."""


def _listening_uri(uri: str) -> str:
    parts = urlsplit(uri)
    tcp = parts.scheme == "tcp" and parts.hostname and parts.port is not None and not parts.path.strip("/")
    unix = parts.scheme == "unix" and not parts.netloc and parts.path.strip("/")
    if not (tcp or unix or uri == "stdio://"):
        raise ValueError(uri)
    return uri


def _web_address(url: str) -> str:
    if urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname:
        raise ValueError(url)
    return url.rstrip("/")


def _upstreams(urls: tuple[str, ...]) -> tuple[str, ...]:
    for url in urls:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https", "tcp"} or not parts.hostname:
            raise ValueError(url)
    return tuple(url.rstrip("/") for url in urls)


def _cache_server(url: str) -> str:
    parts = urlsplit(url)
    is_number = parts.path.strip("/").isdecimal() or not parts.path.strip("/")
    if parts.scheme not in {"redis", "rediss"} or not parts.hostname or not is_number or parts.fragment:
        raise ValueError(url)
    options = parse_qs(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    if parts.port == 0 or not options.keys() <= CACHE_CERTIFICATES or (options and parts.scheme == "redis"):
        raise ValueError(url)
    return url


def _bucket_url(url: str) -> str:
    parts = urlsplit(url)
    is_directory = parts.scheme == "file" and not parts.netloc and parts.path.startswith("/")
    is_bucket = parts.scheme in {"s3", "gs"} and bool(parts.hostname)
    if not (is_directory or is_bucket) or parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError(_without_credentials(url))
    return url.rstrip("/")


def _without_credentials(url: str) -> str:
    return url.rpartition("@")[2]


def _hosts(hosts: tuple[str, ...]) -> tuple[str, ...]:
    for host in hosts:
        parts = urlsplit(f"tcp://{host}")
        if not parts.hostname or parts.netloc != host or "@" in host or parts.port == 0:
            raise ValueError(host)
    return hosts


def _networks(networks: tuple[str, ...]) -> tuple[str, ...]:
    for network in networks:
        ip_network(network, strict=False)  # a ValueError says what is wrong
    return networks


def _address(text: str) -> str:
    return str(ip_address(text))  # a ValueError says what is wrong


ListeningUri = Annotated[str, AfterValidator(_listening_uri)]
WebAddress = Annotated[str, AfterValidator(_web_address)]
Upstreams = Annotated[Phrases, AfterValidator(_upstreams)]
CacheServer = Annotated[str, AfterValidator(_cache_server)]
BucketUrl = Annotated[str, AfterValidator(_bucket_url)]
Hosts = Annotated[Phrases, AfterValidator(_hosts)]
Networks = Annotated[Phrases, AfterValidator(_networks)]
Address = Annotated[str, AfterValidator(_address)]
