"""Object storage client: lists, reads and conditionally writes the objects below a URL, through obstore.

Credentials are found as other tools find them: in the environment, or by the role of the machine or the pod.
They are in no URL here, and in no message: of an error only its code and reason are kept.
"""

from __future__ import annotations

import asyncio
import os
import re
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit
from urllib.request import url2pathname

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

_OBJECT_ERRORS: Final = frozenset(
    {"InvalidPathError", "NotSupportedError", "PermissionDeniedError", "UnauthenticatedError"}
)
"""Errors of obstore that are one object's, as others of the bucket were listed."""
_XML_REASON = re.compile(r"<Code>([^<]*)</Code>\s*<Message>([^<]*)</Message>")


class BucketError(Exception):
    """The bucket cannot be reached or refuses; the message says why, in one line."""


class ObjectChanged(BucketError):
    """The object is not as it was when it was read: somebody else has written it."""


class ObjectMissing(BucketError):
    """There is no such object."""


class ObjectRefused(BucketError):
    """The bucket answers, but does not give this object."""


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
        self._directory = Path(url2pathname(urlsplit(url).path)) if urlsplit(url).scheme == "file" else None
        """What it is, if it is no real bucket."""
        self._run = run_blocking
        self._client: Client | None = None

    def __repr__(self) -> str:
        return f"<ObjectStore {self.url}>"

    async def list(self, directory: str = "") -> tuple[StoredObject, ...]:
        """List the objects directly in a directory.

        Raises:
            BucketError: they cannot be listed, or are too many.
        """
        try:
            listed = await self._list_all(directory)
        except BucketError as error:
            if self._directory is None:
                raise
            listed = await self._list_files(self._directory, directory, error)
        if len(listed) > _MAX_OBJECTS:
            raise BucketError(f"it has more than {_MAX_OBJECTS} objects")
        return listed

    async def _list_all(self, directory: str) -> tuple[StoredObject, ...]:
        async with self._request() as client:
            listed = await client.list_with_delimiter_async(directory or None)
        return tuple(map(_stored, listed["objects"]))

    async def _list_files(self, root: Path, directory: str, failure: BucketError) -> tuple[StoredObject, ...]:
        """List the files of a directory that is no proper bucket: obstore gives up at an odd name or link."""
        try:
            found = await self._run(partial(_regular_files, root, directory))
        except OSError:
            raise failure from None
        return tuple([await self._look_at(each) for each in found])

    async def _look_at(self, file: StoredObject) -> StoredObject:
        """Return a file as the object that it is, without a version where it cannot be one."""
        try:
            async with self._request(file.name) as client:
                return _stored(await client.head_async(file.name))
        except BucketError:
            return file

    async def read(self, name: str, limit: int) -> tuple[bytes, StoredObject]:
        """Read a small object.

        Raises:
            ObjectMissing: there is none.
            ObjectRefused: it cannot be read, or is larger than the limit.
            BucketError: the bucket is away.
        """
        async with self._request(name) as client:
            found = await self._get(client, name)
            meta = _stored(found.meta)
            if meta.size > limit:
                raise ObjectRefused(f"{name} is larger than {limit} bytes, the most that is read")
            return bytes(await found.bytes_async()), meta

    @asynccontextmanager
    async def stream(self, name: str) -> AsyncIterator[tuple[StoredObject, AsyncIterator[bytes]]]:
        """Read a large object: what is known of it, and its content piece by piece.

        Raises:
            ObjectMissing, ObjectRefused, BucketError: as for `read`; also while it is read.
        """
        async with self._request(name) as client:
            found = await self._get(client, name)
        yield _stored(found.meta), _pieces(name, found.stream(min_chunk_size=_PIECE_BYTES))

    async def _get(self, client: Client, name: str) -> Any:
        if self._directory is not None:
            await self._run(partial(_require_regular, self._directory / name))
        return await client.get_async(name)

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
    async def _request(self, name: str = "") -> AsyncIterator[Client]:
        """Make a request, about an object if it is named; its failures become a `BucketError`."""
        with _translated(name):
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


def _regular_files(root: Path, directory: str) -> tuple[StoredObject, ...]:
    """List the files of a directory, however they are named. Blocks."""
    found = []
    with os.scandir(root / directory) as entries:
        for entry in entries:
            with suppress(OSError):  # a link that leads nowhere
                status = entry.stat()
                if stat.S_ISREG(status.st_mode):
                    name = f"{directory}/{entry.name}" if directory else entry.name
                    modified = datetime.fromtimestamp(status.st_mtime, UTC)
                    found.append(StoredObject(name, status.st_size, "", modified))
    return tuple(found)


def _require_regular(path: Path) -> None:
    """Refuse what is no file, such as a pipe: reading it might never end. Blocks."""
    if path.exists() and not path.is_file():
        raise ObjectRefused(f"{path.name} is no file")


async def _pieces(name: str, stream: Any) -> AsyncIterator[bytes]:
    iterator = aiter(stream)
    while True:
        with _translated(name):
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
def _translated(name: str = "") -> Iterator[None]:
    """Raise every failure of obstore as a `BucketError` without the details of the request."""
    try:
        yield
    except BucketError:
        raise
    except TimeoutError:
        raise BucketError(f"no answer within {_REQUEST_SECONDS:.0f} s") from None
    except FileNotFoundError as error:
        raise ObjectMissing(_told(name, error)) from None
    except Exception as error:  # noqa: BLE001 - obstore's have no common base with those of Python
        raise _kind_of(error, name)(_told(name, error)) from None


def _told(name: str, error: Exception) -> str:
    reason = reason_of(str(error))
    return f"{name}: {reason}" if name and name not in reason else reason


def _kind_of(error: Exception, name: str) -> type[BucketError]:
    """What a failure of obstore means: whether the object is at fault that a request names, or the bucket."""
    kind, message = type(error).__name__, str(error)
    if kind in {"AlreadyExistsError", "PreconditionError"}:
        return ObjectChanged
    is_answered = _XML_REASON.search(message) is not None or "LocalFileSystem" in message
    if name and (is_answered or kind in _OBJECT_ERRORS):
        return ObjectRefused
    return BucketError


def reason_of(message: str) -> str:
    """Return the reason in an error of obstore: without URLs, request identifiers and source positions."""
    if found := _XML_REASON.search(message):
        return f"{found[1]}: {found[2]}"[:_MAX_REASON_CHARS]
    first = message.partition("\n")[0]
    return first.rpartition(" - ")[2].strip()[:_MAX_REASON_CHARS] or "it failed without a reason"
