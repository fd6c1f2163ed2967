"""The way to the servers that voices come from: one HTTP client, its policy, its errors.

Everything httpx can say becomes one of three answers here: bytes, `TransferInterrupted` (another try may
help), or `DownloadFailed` (it will not, and the message says what to do).
"""

from __future__ import annotations

import asyncio
import random
import re
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from wyoming_tts.backoff import Backoff, TryAgain
from wyoming_tts.blocking import RunBlocking

HUB = "https://huggingface.co"
"""What a mirror stands in for."""

_PORTAL_HINT = (
    "A captive portal, a proxy or a filter answers in its place: log in to the network or set HTTPS_PROXY, "
    "then try again."
)
_HINTS = {
    401: "A mirror or a proxy wants a login.",
    403: "A mirror or a proxy refuses it.",
    404: "The catalogue may be older than the repository: fetch the newer one with --update-voices.",
    407: "The proxy wants a login: put it into HTTPS_PROXY (http://user:password@host:port).",
    511: _PORTAL_HINT,
}
_BACKOFF = Backoff(first_delay=1.0, max_delay=60.0, max_tries=5)
_WORTH_ANOTHER_TRY = frozenset({408, 425, 429, 500, 502, 503, 504})
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


class DownloadFailed(Exception):
    """A file cannot be had; the message says what was expected, what came, and what to do."""


class TransferInterrupted(TryAgain):
    """The transfer broke off; another try may go on from there."""


class RangeNotSatisfiable(Exception):
    """What is there already is not the beginning of what the server has."""


@dataclass(frozen=True, slots=True)
class DownloadOptions:
    """How patiently, and how many at once, files are fetched."""

    connect_timeout: float = 10.0
    """Seconds until a server must have taken the connection."""
    read_timeout: float = 30.0
    """Seconds a server may be silent."""
    backoff: Backoff = _BACKOFF
    """How tries are apart; one that brings a file further counts as the first."""
    max_concurrent: int = 2
    """Files on their way at the same time: one rarely fills a line, many starve each other."""
    block_bytes: int = 1024 * 1024
    """Written to the disk in one go."""
    report_every: float = 0.1
    """Seconds between two reports of one download's progress."""


@dataclass(frozen=True, slots=True)
class DownloadEnvironment:
    """What downloads need from around them; tests put their own in."""

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    chance: Callable[[], float] = random.random
    """From 0 to 1, for the jitter of pauses."""
    free_space: Callable[[Path], int] = lambda directory: shutil.disk_usage(directory).free
    """Bytes that may be written in a directory."""
    transport: httpx.AsyncBaseTransport | None = None
    """In place of real connections."""


@dataclass(frozen=True, slots=True)
class FileBody:
    """The bytes of a file from `start` on."""

    start: int
    total: int | None
    """Length of the whole file; None where the server does not say."""
    etag: str | None
    """Identity of this version of the file, if strong enough to resume by."""
    pieces: AsyncIterator[bytes]
    """As they come from the network; raises `TransferInterrupted` when that breaks."""


class HubClient:
    """Fetches from the servers of the catalogue. The client is made at the first request."""

    def __init__(
        self,
        *,
        run_blocking: RunBlocking,
        mirror: str | None = None,
        offline: bool = False,
        options: DownloadOptions,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        if mirror and not re.match(r"https?://[^/]", mirror):
            raise ValueError(f"The mirror is {mirror!r}, expected an address such as {HUB} (HF_ENDPOINT).")
        self._mirror = mirror.rstrip("/") if mirror else HUB
        self._offline = offline
        self._options = options
        self._run_blocking = run_blocking
        self._transport = transport
        self._client: httpx.AsyncClient | None = None
        self._making = asyncio.Lock()

    async def aclose(self) -> None:
        """Close the connections that are kept open."""
        if self._client is not None:
            await self._client.aclose()

    def mirrored_url(self, url: str) -> str:
        """Where to fetch it: at the mirror if it lies on the hub, else where it is."""
        return self._mirror + url.removeprefix(HUB) if url.startswith(f"{HUB}/") else url

    @asynccontextmanager
    async def get(self, url: str, *, offset: int = 0, etag: str | None = None) -> AsyncIterator[FileBody]:
        """Open the file from `offset` on; where the server cannot, or has another version, from 0.

        Raises:
            DownloadFailed: offline, refused, or not a file but somebody's web page.
            Interrupted: no connection, or the server is busy or broken.
            NoSuchRange: the server has nothing at `offset`.
        """
        if self._offline:
            raise DownloadFailed(
                "The server is set to be offline, so nothing is fetched: turn that off (--offline, "
                "HF_HUB_OFFLINE) or copy the files into a data directory."
            )
        where = self.mirrored_url(url)
        client = await self._ready_client()
        with _told_apart(where):
            async with client.stream("GET", where, headers=_headers(offset, etag)) as response:
                yield _body(response, offset, where)

    async def _ready_client(self) -> httpx.AsyncClient:
        async with self._making:
            if self._client is None:
                # Reading the system's certificates takes tens of milliseconds.
                self._client = await self._run_blocking(self._new_client)
            return self._client

    def _new_client(self) -> httpx.AsyncClient:
        timeout = httpx.Timeout(self._options.read_timeout, connect=self._options.connect_timeout, pool=None)
        try:
            return httpx.AsyncClient(
                timeout=timeout,
                follow_redirects=True,
                event_hooks={"response": [_refuse_downgrade]},
                transport=self._transport,
            )
        except (ValueError, ImportError, httpx.InvalidURL) as error:
            raise DownloadFailed(
                f"The proxy settings (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY) cannot be used: {error}"
            ) from error


async def _refuse_downgrade(response: httpx.Response) -> None:
    if not response.has_redirect_location or response.url.scheme != "https":
        return
    target = response.url.join(response.headers["location"])
    if target.scheme != "https":
        raise DownloadFailed(f"{response.url} leads to {target}, which is not https. {_PORTAL_HINT}")


def _headers(offset: int, etag: str | None) -> dict[str, str]:
    # A compressed answer could be neither resumed nor measured.
    headers = {"Accept-Encoding": "identity", "User-Agent": "wyoming-tts"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
    if offset and etag:
        headers["If-Range"] = etag
    return headers


@contextmanager
def _told_apart(where: str) -> Iterator[None]:
    try:
        yield
    except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
        raise DownloadFailed(f"{where} is no address to fetch from: {error}") from error
    except httpx.TransportError as error:
        raise TransferInterrupted(f"{where}: {str(error) or type(error).__name__}") from error
    except httpx.HTTPError as error:
        raise DownloadFailed(f"{where} cannot be fetched: {error}") from error


def _body(response: httpx.Response, offset: int, where: str) -> FileBody:
    status = response.status_code
    if status in _WORTH_ANOTHER_TRY:
        raise TransferInterrupted(f"{where} answered {status}", retry_after=_retry_after(response))
    if status == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE and offset:
        raise RangeNotSatisfiable
    if status not in {httpx.codes.OK, httpx.codes.PARTIAL_CONTENT}:
        raise DownloadFailed(f"{where} answered {status}. {_HINTS.get(status, '')}".rstrip())
    if "html" in response.headers.get("content-type", ""):
        raise _web_page(where)
    start, total = _extent(response, offset, where)
    return FileBody(start, total, _strong_etag(response), _pieces(response, start, where))


def _extent(response: httpx.Response, offset: int, where: str) -> tuple[int, int | None]:
    if response.status_code == httpx.codes.OK:
        plain = "content-encoding" not in response.headers
        return 0, _number(response.headers.get("content-length")) if plain else None
    extent = _CONTENT_RANGE.fullmatch(response.headers.get("content-range", ""))
    if extent is not None and int(extent[1]) == offset:
        return offset, _number(extent[2])
    if offset:
        raise RangeNotSatisfiable
    raise DownloadFailed(f"{where} answered with a part that nobody asked for. {_PORTAL_HINT}")


async def _pieces(response: httpx.Response, start: int, where: str) -> AsyncIterator[bytes]:
    at_the_top = start == 0
    with _told_apart(where):
        async for piece in response.aiter_bytes():
            # No model, pack or configuration begins so, and not every portal owns up by its type.
            if at_the_top and piece.lstrip().startswith(b"<"):
                raise _web_page(where)
            at_the_top = False
            yield piece


def _web_page(where: str) -> DownloadFailed:
    return DownloadFailed(f"{where} answered with a web page, expected a file. {_PORTAL_HINT}")


def _strong_etag(response: httpx.Response) -> str | None:
    etag: str | None = response.headers.get("etag")
    return etag if etag and etag.startswith('"') else None


def _retry_after(response: httpx.Response) -> float | None:
    seconds = _number(response.headers.get("retry-after"))
    return None if seconds is None else float(seconds)


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() else None
