"""HTTP client for the servers that voices are downloaded from: mirror, resumption, and translated errors.

Every outcome of httpx becomes one of three here: bytes, `TransferInterrupted` (a retry may help), or
`DownloadFailed` (it will not, and the message says what to do).
"""

from __future__ import annotations

import asyncio
import random
import re
import shutil
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import httpx

from wyoming_tts.backoff import Backoff, TryAgain
from wyoming_tts.blocking import RunBlocking
from wyoming_tts.messages import Message, with_hint
from wyoming_tts.system_reasons import causes, underlying_reason

HUB = "https://huggingface.co"
"""The origin that a mirror replaces."""

_PORTAL_HINT = Message(
    "portal_answers",
    "A captive portal, a proxy or a filter answers instead of the server: log in to the network or set "
    "HTTPS_PROXY, then try again.",
)
_HINTS = {
    401: Message("login_required", "A mirror or a proxy requires a login."),
    403: Message("request_refused", "A mirror or a proxy refuses the request."),
    404: Message(
        "catalogue_too_old", "The catalogue may be older than the repository: update it with --update-voices."
    ),
    407: Message(
        "proxy_login", "The proxy requires a login: put it into HTTPS_PROXY (http://user:password@host:port)."
    ),
    511: _PORTAL_HINT,
}
_OF_PROXIES = frozenset({407, 511})
_BACKOFF = Backoff(first_delay=1.0, max_delay=60.0, max_tries=5)
_RETRYABLE = frozenset({408, 425, 429, 500, 502, 503, 504})
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


class FailureCause(StrEnum):
    """Why a download failed, for those who tell their users what to do about it; the values are public."""

    OFFLINE = "offline"
    """Downloads are turned off by a setting."""
    UNREACHABLE = "unreachable"
    """No connection, or one that breaks off again and again."""
    NAME_UNRESOLVED = "name_unresolved"
    """No name server knows the server's address: most often there is no network."""
    PROXY = "proxy"
    """A proxy or captive portal answers instead of the server, or the proxy settings are wrong."""
    REFUSED = "refused"
    """The server answers, but not with the file."""
    DISK_FULL = "disk_full"
    NOT_WRITABLE = "not_writable"
    DAMAGED = "damaged"
    """The file is not the one of the catalogue: it was altered on its way or changed upstream."""
    STOPPED = "stopped"
    """Cancelled, or the server stopped."""
    UNEXPECTED = "unexpected"
    """A fault of this program; its log has the details."""


class DownloadFailed(Exception):
    """A file cannot be downloaded; the message says what was expected, what was received, and what to do."""

    def __init__(self, message: str, cause: FailureCause, *, hint: str = "") -> None:
        super().__init__(with_hint(message, hint))
        self.cause = cause


class TransferInterrupted(TryAgain):
    """The transfer was interrupted; a retry may resume it."""

    def __init__(
        self,
        reason: str,
        *,
        retry_after: float | None = None,
        cause: FailureCause = FailureCause.UNREACHABLE,
    ) -> None:
        super().__init__(reason, retry_after=retry_after)
        self.cause = cause
        """Why the download has failed if no retry helps."""


class RangeNotSatisfiable(Exception):
    """The partial file cannot be resumed: it is not a prefix of what the server has."""


@dataclass(frozen=True, slots=True)
class DownloadOptions:
    """Timeouts, retries and concurrency of downloads."""

    connect_timeout: float = 10.0
    """Seconds within which a server must accept the connection."""
    read_timeout: float = 30.0
    """Seconds a server may be silent."""
    backoff: Backoff = _BACKOFF
    """Pauses between tries; a try that makes progress resets the count."""
    max_concurrent: int = 2
    """Concurrent transfers: one rarely saturates a connection, many starve each other."""
    block_bytes: int = 1024 * 1024
    """Bytes written to the disk at once."""
    report_every: float = 0.1
    """Seconds between two reports of one download's progress."""


@dataclass(frozen=True, slots=True)
class DownloadEnvironment:
    """Clock, sleep, randomness, disk and network that downloads use; tests inject their own."""

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    chance: Callable[[], float] = random.random
    """Random number from 0 to 1, for the jitter of pauses."""
    free_space: Callable[[Path], int] = lambda directory: shutil.disk_usage(directory).free
    """Bytes available in a directory."""
    transport: httpx.AsyncBaseTransport | None = None
    """Replaces real connections; None for those."""


@dataclass(frozen=True, slots=True)
class FileBody:
    """Response body: the bytes of a file from `start` on."""

    start: int
    total: int | None
    """Length of the whole file; None where the server does not say."""
    etag: str | None
    """Identity of this version of the file, if strong enough to resume by."""
    pieces: AsyncIterator[bytes]
    """Chunks as they are received; raises `TransferInterrupted` when the connection breaks."""


class HubClient:
    """Fetches files from the catalogue's servers. The httpx client is created at the first request."""

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
        """Close the connections kept alive."""
        if self._client is not None:
            await self._client.aclose()

    def mirrored_url(self, url: str) -> str:
        """The URL at the mirror if the file is on the hub, else unchanged."""
        return self._mirror + url.removeprefix(HUB) if url.startswith(f"{HUB}/") else url

    @asynccontextmanager
    async def get(self, url: str, *, offset: int = 0, etag: str | None = None) -> AsyncIterator[FileBody]:
        """Request the file from `offset` on; from 0 if the server cannot resume or has another version.

        Raises:
            DownloadFailed: offline, refused, or a web page instead of a file.
            TransferInterrupted: no connection, or the server is busy or broken.
            RangeNotSatisfiable: the server has nothing at `offset`.
        """
        if self._offline:
            raise DownloadFailed(
                Message(
                    "set_offline",
                    "The server is set to be offline, so nothing is downloaded: turn that off (--offline, "
                    "HF_HUB_OFFLINE) or copy the files into a data directory.",
                ),
                FailureCause.OFFLINE,
            )
        where = self.mirrored_url(url)
        client = await self._shared_client()
        with _translate_errors(where):
            async with client.stream("GET", where, headers=_headers(offset, etag)) as response:
                yield _file_body(response, offset, where)

    async def _shared_client(self) -> httpx.AsyncClient:
        async with self._making:
            if self._client is None:
                # Loading the system's certificates takes tens of milliseconds.
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
                Message(
                    "bad_proxy_settings",
                    "The proxy settings (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY) cannot be used: {reason}",
                    reason=str(error),
                ),
                FailureCause.PROXY,
            ) from error


async def _refuse_downgrade(response: httpx.Response) -> None:
    if not response.has_redirect_location or response.url.scheme != "https":
        return
    target = response.url.join(response.headers["location"])
    if target.scheme != "https":
        raise DownloadFailed(
            Message(
                "not_https",
                "{where} redirects to {target}, which is not https.",
                where=response.url,
                target=target,
            ),
            FailureCause.PROXY,
            hint=_PORTAL_HINT,
        )


def _headers(offset: int, etag: str | None) -> dict[str, str]:
    # A compressed answer could be neither resumed nor measured.
    headers = {"Accept-Encoding": "identity", "User-Agent": "wyoming-tts"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
    if offset and etag:
        headers["If-Range"] = etag
    return headers


@contextmanager
def _translate_errors(where: str) -> Iterator[None]:
    try:
        yield
    except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
        raise DownloadFailed(
            Message(
                "no_valid_address", "{where} is not a valid address: {reason}", where=where, reason=str(error)
            ),
            FailureCause.REFUSED,
        ) from error
    except httpx.TransportError as error:
        raise _interruption(error, where) from error
    except httpx.HTTPError as error:
        raise DownloadFailed(
            Message(
                "cannot_be_fetched", "{where} cannot be downloaded: {reason}", where=where, reason=str(error)
            ),
            FailureCause.REFUSED,
        ) from error


def _interruption(error: httpx.TransportError, where: str) -> TransferInterrupted:
    if isinstance(error, httpx.ProxyError):
        return TransferInterrupted(
            Message("proxy_answers", "{where}: the proxy answers {answer}", where=where, answer=str(error)),
            cause=FailureCause.PROXY,
        )
    if any(isinstance(each, socket.gaierror) for each in causes(error)):
        host = httpx.URL(where).host
        reason = Message(
            "name_not_resolved",
            "{where}: the name {host} cannot be resolved (no network, or DNS does not answer)",
            where=where,
            host=host,
        )
        return TransferInterrupted(reason, cause=FailureCause.NAME_UNRESOLVED)
    return TransferInterrupted(
        Message("at_address", "{address}: {reason}", address=where, reason=underlying_reason(error))
    )


def _file_body(response: httpx.Response, offset: int, where: str) -> FileBody:
    status = response.status_code
    if status in _RETRYABLE:
        raise TransferInterrupted(
            Message("answered_status", "{where} answered {status}", where=where, status=status),
            retry_after=_retry_after(response),
            cause=FailureCause.REFUSED,
        )
    if status == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE and offset:
        raise RangeNotSatisfiable
    if status not in {httpx.codes.OK, httpx.codes.PARTIAL_CONTENT}:
        cause = FailureCause.PROXY if status in _OF_PROXIES else FailureCause.REFUSED
        raise DownloadFailed(
            Message("answered_with_status", "{where} answered {status}.", where=where, status=status),
            cause,
            hint=_HINTS.get(status, ""),
        )
    if "html" in response.headers.get("content-type", ""):
        raise _web_page_error(where)
    start, total = _content_range(response, offset, where)
    return FileBody(start, total, _strong_etag(response), _pieces(response, start, where))


def _content_range(response: httpx.Response, offset: int, where: str) -> tuple[int, int | None]:
    if response.status_code == httpx.codes.OK:
        is_identity = "content-encoding" not in response.headers
        return 0, _parse_count(response.headers.get("content-length")) if is_identity else None
    match = _CONTENT_RANGE.fullmatch(response.headers.get("content-range", ""))
    if match is not None and int(match[1]) == offset:
        return offset, _parse_count(match[2])
    if offset:
        raise RangeNotSatisfiable
    raise DownloadFailed(
        Message("other_range", "{where} answered with a range that was not requested.", where=where),
        FailureCause.PROXY,
        hint=_PORTAL_HINT,
    )


async def _pieces(response: httpx.Response, start: int, where: str) -> AsyncIterator[bytes]:
    is_first = start == 0
    with _translate_errors(where):
        async for piece in response.aiter_bytes():
            # No model, pack or configuration begins so, and not every portal declares its content type.
            if is_first and piece.lstrip().startswith(b"<"):
                raise _web_page_error(where)
            is_first = False
            yield piece


def _web_page_error(where: str) -> DownloadFailed:
    message = Message("web_page_instead", "{where} answered with a web page, expected a file.", where=where)
    return DownloadFailed(message, FailureCause.PROXY, hint=_PORTAL_HINT)


def _strong_etag(response: httpx.Response) -> str | None:
    etag: str | None = response.headers.get("etag")
    return etag if etag and etag.startswith('"') else None


def _retry_after(response: httpx.Response) -> float | None:
    seconds = _parse_count(response.headers.get("retry-after"))
    return None if seconds is None else float(seconds)


def _parse_count(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() else None
