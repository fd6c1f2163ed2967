"""Object storage client: lists, reads and conditionally writes the objects below a URL, through obstore.

Credentials are found as other tools find them: in the environment, or by the role of the machine or the pod.
They are in no URL here, and in no message: of an error only its code and reason are kept.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from wyoming_tts.blocking import RunBlocking

if TYPE_CHECKING:
    from obstore.store import ObjectStore as Client

INSTALL_HINT: Final = "pip install 'wyoming-tts[bucket]'"

_CONNECT_SECONDS: Final = 5
_REQUEST_SECONDS: Final = 30.0
"""For an answer, and between two pieces of an object; a dead bucket is given up after that."""
_RETRIES: Final = {"max_retries": 3, "retry_timeout": timedelta(seconds=20)}
_PIECE_BYTES: Final = 4 * 1024 * 1024
_MAX_OBJECTS: Final = 10_000
_MAX_REASON_CHARS: Final = 200

_XML_REASON = re.compile(r"<Code>([^<]*)</Code>\s*<Message>([^<]*)</Message>")


class BucketError(Exception):
    """The bucket cannot be reached or refuses; the message says why, in one line."""


class ObjectChanged(BucketError):
    """The object is not as it was when it was read: somebody else has written it."""


class ObjectMissing(BucketError):
    """There is no such object."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object as it is listed."""

    name: str
    """Below the URL."""
    size: int
    version: str
    """Changes with its content: its ETag."""
    modified: datetime


def is_installed() -> bool:
    """Whether the package that talks to object storage is installed; does not import it."""
    return find_spec("obstore") is not None


class ObjectStore:
    """The objects below a URL; every failure is a `BucketError`."""

    def __init__(self, url: str, run_blocking: RunBlocking) -> None:
        self.url = url
        self._run = run_blocking
        self._client: Client | None = None

    def __repr__(self) -> str:
        return f"<ObjectStore {self.url}>"

    async def list(self, directory: str = "") -> tuple[StoredObject, ...]:
        """List the objects directly in a directory.

        Raises:
            BucketError: they cannot be listed, or are too many.
        """
        async with self._request() as client:
            listed = await client.list_with_delimiter_async(directory or None)
        if len(listed["objects"]) > _MAX_OBJECTS:
            raise BucketError(f"it has more than {_MAX_OBJECTS} objects")
        return tuple(map(_stored, listed["objects"]))

    async def read(self, name: str, limit: int) -> tuple[bytes, StoredObject]:
        """Read a small object.

        Raises:
            ObjectMissing: there is none.
            BucketError: it cannot be read, or is larger than the limit.
        """
        async with self._request() as client:
            found = await client.get_async(name)
            meta = _stored(found.meta)
            if meta.size > limit:
                raise BucketError(f"{name} is larger than {limit} bytes, the most that is read")
            return bytes(await found.bytes_async()), meta

    @asynccontextmanager
    async def stream(self, name: str) -> AsyncIterator[tuple[StoredObject, AsyncIterator[bytes]]]:
        """Read a large object: what is known of it, and its content piece by piece.

        Raises:
            ObjectMissing, BucketError: as for `read`; also while it is read.
        """
        async with self._request() as client:
            found = await client.get_async(name)
        yield _stored(found.meta), _pieces(found.stream(min_chunk_size=_PIECE_BYTES))

    async def write(self, name: str, content: bytes, *, replaces: str | None) -> str:
        """Write an object and return its version.

        Args:
            name: Below the URL.
            content: The whole of it.
            replaces: Version of the object that it replaces; None if there is none.

        Raises:
            ObjectChanged: somebody else has written it since.
            BucketError: it cannot be written.
        """
        async with self._request() as client:
            if replaces is None:
                return str((await client.put_async(name, content, mode="create"))["e_tag"])
            try:
                mode: Any = {"e_tag": replaces}
                written = await client.put_async(name, content, mode=mode)
            except NotImplementedError:  # a directory: it can only be looked at again just before
                if _stored(await client.head_async(name)).version != replaces:
                    raise ObjectChanged(f"{name} was changed by another server") from None
                written = await client.put_async(name, content)
            return str(written["e_tag"])

    @asynccontextmanager
    async def _request(self) -> AsyncIterator[Client]:
        with _translated():
            if self._client is None:
                self._client = await self._run(partial(_open, self.url))
            async with asyncio.timeout(_REQUEST_SECONDS):
                yield self._client


def _open(url: str) -> Client:
    try:
        stores = import_module("obstore.store")
    except ImportError as error:
        raise BucketError(f"the package obstore is not installed: {INSTALL_HINT}") from error
    if urlsplit(url).scheme == "file":
        return _client(stores.from_url(url))
    options = {
        "connect_timeout": timedelta(seconds=_CONNECT_SECONDS),
        "timeout": timedelta(minutes=30),
        "allow_http": os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://"),  # the user's own: MinIO
    }
    return _client(stores.from_url(url, client_options=options, retry_config={**_RETRIES}))


def _client(opened: Client) -> Client:
    """Give a type to what a module that is imported late has made."""
    return opened


async def _pieces(stream: Any) -> AsyncIterator[bytes]:
    iterator = aiter(stream)
    while True:
        with _translated():
            async with asyncio.timeout(_REQUEST_SECONDS):
                try:
                    piece = await anext(iterator)
                except StopAsyncIteration:
                    return
        yield bytes(piece)


def _stored(meta: Any) -> StoredObject:
    version = meta["e_tag"] or f"{meta['size']}-{meta['last_modified'].isoformat()}"
    return StoredObject(meta["path"], meta["size"], version, meta["last_modified"])


@contextmanager
def _translated() -> Iterator[None]:
    """Raise every failure of obstore as a `BucketError` without the details of the request."""
    try:
        yield
    except BucketError:
        raise
    except TimeoutError:
        raise BucketError(f"no answer within {_REQUEST_SECONDS:.0f} s") from None
    except FileNotFoundError as error:
        raise ObjectMissing(reason_of(str(error))) from None
    except Exception as error:  # noqa: BLE001 - obstore's have no common base with those of Python
        kind = type(error).__name__
        changed = kind in {"AlreadyExistsError", "PreconditionError"}
        raise (ObjectChanged if changed else BucketError)(reason_of(str(error))) from None


def reason_of(message: str) -> str:
    """Return the reason in an error of obstore: without URLs, request identifiers and source positions."""
    if found := _XML_REASON.search(message):
        return f"{found[1]}: {found[2]}"[:_MAX_REASON_CHARS]
    first = message.partition("\n")[0]
    return first.rpartition(" - ")[2].strip()[:_MAX_REASON_CHARS] or "it failed without a reason"
