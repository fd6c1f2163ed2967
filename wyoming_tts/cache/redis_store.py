"""A Redis server, or what speaks as one (Valkey), as the store of the shared cache.

Importing this takes a tenth of a second: it is done on a worker, and only if there is a shared cache.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable
from functools import partial
from typing import TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

from redis.asyncio import BlockingConnectionPool, Connection, Redis, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as NoConnection
from redis.exceptions import ResponseError

from wyoming_tts.cache.shared import StoreFailed, StoreRefused

T = TypeVar("T")

_MAX_CONNECTIONS = 16
"""Each answers about a thousand questions a second; more than that wait, within the limit for each."""
_CONNECT_SECONDS = 5.0
"""Longer than any caller waits: callers have limits of their own."""
_PORT = 6379
ANSWER_SECONDS = 5.0
"""For a step of a removal, which somebody waits for at a terminal."""
_SCANNED = 1000
"""Keys looked at, and removed, in one go: about a millisecond of the server's time."""


class RedisStore:
    """Values of a Redis server. It tries nothing twice: who asks has no time for that."""

    def __init__(self, url: str) -> None:
        """Prepare the client without connecting. Blocks: certificates are read.

        Args:
            url: As for the setting `cache_url`.

        Raises:
            StoreFailed: the certificates cannot be read.
        """
        parts = urlsplit(url)
        tls = partial(_tls_connection, _tls_context(parts.query)) if parts.scheme == "rediss" else None
        pool = BlockingConnectionPool(
            connection_class=tls or Connection,
            max_connections=_MAX_CONNECTIONS,
            timeout=None,
            host=parts.hostname,
            port=parts.port or _PORT,
            db=int(parts.path.strip("/") or 0),
            username=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
            socket_connect_timeout=_CONNECT_SECONDS,
            socket_timeout=None,
            socket_keepalive=True,
            retry=Retry(NoBackoff(), 0),
            protocol=2,  # what all servers speak, with the fewest questions before the first answer
            driver_info=None,
        )
        self._redis = Redis.from_pool(pool)
        self._address = parts.hostname, parts.port or _PORT

    def look_up(self) -> None:
        """As `Store.look_up`."""
        try:
            socket.getaddrinfo(*self._address)
        except OSError as error:
            raise StoreFailed(f"its name is not found: {error.strerror or error}") from error

    async def get(self, key: str) -> bytes | None:
        """As `Store.get`."""
        value = await _translated(self._redis.get(key))
        if value is not None and not isinstance(value, bytes):
            raise StoreFailed(f"got {type(value).__name__} for an answer, expected bytes")
        return value

    async def set(self, key: str, value: bytes) -> None:
        """As `Store.set`."""
        await _translated(self._redis.set(key, value))

    async def remove(self, prefix: str) -> int:
        """Remove all keys that begin so, whoever set them, and nothing else; return how many they were.

        The server goes on meanwhile: they are scanned in small steps, and freed in its background.

        Raises:
            StoreFailed: the server does not answer a step in time, or does not allow it.
        """
        removed, cursor = 0, -1
        while cursor:
            scanned = self._redis.scan(max(cursor, 0), match=f"{prefix}*", count=_SCANNED)
            cursor, keys = await _in_time(scanned, removed)
            if keys:
                removed += await _in_time(self._redis.unlink(*keys), removed)
        return removed

    async def reset(self) -> None:
        """As `Store.reset`."""
        await _translated(self._redis.connection_pool.disconnect(inuse_connections=False))

    async def aclose(self) -> None:
        """As `Store.aclose`."""
        await _translated(self._redis.aclose())


async def _in_time(asking: Awaitable[T], removed: int) -> T:
    """Wait for a step of a removal, of which so many keys are done."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            return await _translated(asking)
    except TimeoutError:
        done = f", after {removed} segments were removed" if removed else ""
        raise StoreFailed(f"it gave no answer within {ANSWER_SECONDS:g} s{done}") from None


async def _translated(asking: Awaitable[T]) -> T:
    try:
        return await asking
    except NoConnection as error:  # among these: it is loading its data, or the password is wrong
        raise StoreFailed(_reason(error)) from error
    except ResponseError as error:
        raise StoreRefused(_reason(error)) from error
    except Exception as error:  # whatever the client makes of an answer that is none
        raise StoreFailed(_reason(error)) from error


def _reason(error: Exception) -> str:
    """A line of bounded length: some of it may be what the server said."""
    said = " ".join(str(error).split())[:200].rstrip(".")
    return said or type(error).__name__


def _tls_context(query: str) -> ssl.SSLContext:
    files = {name: values[-1] for name, values in parse_qs(query).items()}
    try:
        context = ssl.create_default_context(cafile=files.get("ssl_ca_certs"))
        if "ssl_certfile" in files:
            context.load_cert_chain(files["ssl_certfile"], files.get("ssl_keyfile"))
    except OSError as error:
        raise StoreFailed(f"a certificate cannot be read: {error.strerror or error}") from error
    return context


def _tls_connection(context: ssl.SSLContext, **options: object) -> SSLConnection:
    connection = SSLConnection(**options)
    connection.ssl_context.context = context  # else each connection reads certificates, on the loop
    return connection
