"""HTTP client of a server with OpenAI's speech API, which streams PCM or WAV while it speaks."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import cast
from urllib.parse import urlsplit, urlunsplit

import anyio._backends._asyncio  # noqa: F401  # httpx imports it with its first request: 40 ms of the event loop
import httpx

from wyoming_tts.blocking import RunBlocking
from wyoming_tts.engines.base import RemoteOptions
from wyoming_tts.engines.remote.lists import ListedVoice, NoVoiceList, parse_http_list
from wyoming_tts.engines.remote.pcm import RATES, AudioBodyDecoder, NotPcm, PcmFormat
from wyoming_tts.engines.remote.speech_body import SpeechBody
from wyoming_tts.engines.remote.upstream import (
    RETRY_SOON,
    UpstreamFault,
    UpstreamFaultKind,
    UpstreamRequest,
    quote,
)
from wyoming_tts.messages import Message
from wyoming_tts.speech import Samples
from wyoming_tts.system_reasons import underlying_reason

HOPS_HEADER = "X-Hops"
"""Header with the number of servers that a request passed through, by which a ring of servers is noticed."""
RATE_HEADER = "X-Sample-Rate"

_LISTS = ("/v1/voices", "/v1/audio/voices")
_MAX_LIST_BYTES = 2_000_000
_MAX_ERROR_BYTES = 4_096
_AUDIO = {
    "",
    "application/octet-stream",
    "audio/pcm",
    "audio/wav",
    "audio/wave",
    "audio/x-wav",
    "audio/vnd.wave",
    "audio/l16",
    "audio/raw",
    "audio/x-raw",
    "audio/x-pcm",
}
_RATE_PARAMETER = re.compile(r";\s*rate=\"?(\d{4,6})")


class HttpUpstream:
    """One server; connections are kept alive between requests, until it is closed."""

    may_tell_words = False

    def __init__(self, address: str, options: RemoteOptions) -> None:
        """Take the address; nothing is connected.

        For https it reads certificates: construct it on a worker.
        """
        parts = urlsplit(address)
        host = parts.netloc.rpartition("@")[2]
        self.address = urlunsplit((parts.scheme, host, parts.path, "", ""))
        self._options = options
        self._speech = SpeechBody(options)
        base = address.rstrip("/").removesuffix("/v1")
        headers = {"Accept-Encoding": "identity", "User-Agent": "wyoming-tts"}
        if options.key:
            headers["Authorization"] = f"Bearer {options.key}"
        timeout = options.first_byte_timeout
        self._client = httpx.AsyncClient(
            base_url=base,
            headers=headers,
            # Reads are timed by the pool, which knows what they wait for.
            timeout=httpx.Timeout(timeout, connect=options.connect_timeout, read=None, pool=None),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=16, keepalive_expiry=30.0),
            verify=parts.scheme == "https",
            trust_env=False,
        )

    def __repr__(self) -> str:
        return f"<HttpUpstream {self.address}>"

    async def aclose(self) -> None:
        """As `Upstream.aclose`."""
        await self._client.aclose()

    async def list_voices(self, run_blocking: RunBlocking) -> tuple[ListedVoice, ...] | None:
        """As `Upstream.list_voices`."""
        for path in _LISTS:
            async with self._request("GET", path) as response:
                if self._has_no_list(response):
                    continue
                await _check_status(response)
                body = await _read_body(response, _MAX_LIST_BYTES)
            try:
                return await run_blocking(partial(parse_http_list, body))
            except NoVoiceList:
                continue
        return None

    def _has_no_list(self, response: httpx.Response) -> bool:
        """Whether there is no list here; a server with an API of its own may say so in its own way."""
        if response.status_code in {httpx.codes.NOT_FOUND, httpx.codes.METHOD_NOT_ALLOWED}:
            return True
        return not self._speech.is_openai and response.is_client_error

    async def speak(self, request: UpstreamRequest, listed: ListedVoice) -> AsyncGenerator[Samples, None]:
        """As `Upstream.speak`."""
        headers = {HOPS_HEADER: str(request.hops), "Accept": "audio/pcm, audio/wav;q=0.9"}
        body, path = self._speech.body(request, listed), self._speech.path(request, listed)
        async with self._request("POST", path, json_body=body, headers=headers) as response:
            await _check_status(response)
            try:
                rate = _stated_rate(response) or self._options.pcm_rate
                decoder = AudioBodyDecoder(PcmFormat(rate, self._options.pcm_format), request.rate)
                async with aclosing(_raw(response)) as pieces:
                    async for data in pieces:
                        for samples in decoder.feed(data):
                            yield samples
                for samples in decoder.finish():
                    yield samples
            except NotPcm as error:
                raise UpstreamFault(
                    UpstreamFaultKind.FAILED, Message("it_sent", "it sent {what}", what=str(error))
                ) from None

    @asynccontextmanager
    async def _request(
        self,
        method: str,
        path: str,
        *,
        json_body: Mapping[str, object] | None = None,
        headers: dict[str, str] | None = None,
    ) -> AsyncIterator[httpx.Response]:
        try:
            async with self._client.stream(method, path, json=json_body, headers=headers) as response:
                yield response
        except httpx.ConnectTimeout:
            timeout = self._options.connect_timeout
            raise UpstreamFault(
                UpstreamFaultKind.DOWN,
                Message("no_connection_within", "no connection within {seconds} s", seconds=f"{timeout:g}"),
            ) from None
        except httpx.ConnectError as error:
            raise UpstreamFault(
                UpstreamFaultKind.DOWN,
                Message("no_connection_because", "no connection ({reason})", reason=underlying_reason(error)),
                retry_after=RETRY_SOON,
            ) from None
        except httpx.TransportError as error:
            reason = underlying_reason(error)
            raise UpstreamFault(
                UpstreamFaultKind.DOWN,
                Message("connection_broke", "the connection broke ({reason})", reason=reason),
                retry_after=RETRY_SOON,
            ) from None
        except httpx.HTTPError as error:
            raise UpstreamFault(
                UpstreamFaultKind.FAILED,
                Message(
                    "answer_not_http", "its answer is not valid HTTP ({reason})", reason=quote(str(error))
                ),
            ) from None


def _raw(response: httpx.Response) -> AsyncGenerator[bytes, None]:
    return cast("AsyncGenerator[bytes, None]", response.aiter_raw())


async def _read_body(response: httpx.Response, max_bytes: int) -> bytes:
    body = bytearray()
    async with aclosing(_raw(response)) as pieces:
        async for piece in pieces:
            body += piece
            if len(body) > max_bytes:
                raise UpstreamFault(
                    UpstreamFaultKind.FAILED,
                    Message("list_too_long", "its list of voices has over {most} bytes", most=max_bytes),
                )
    return bytes(body)


async def _check_status(response: httpx.Response) -> None:
    if response.status_code == httpx.codes.OK:
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise UpstreamFault(
                UpstreamFaultKind.FAILED,
                Message("sent_compressed", "it sent compressed data without being asked to"),
            )
        return
    reason = await _error_message(response)
    status = response.status_code
    message = (
        Message("it_answered_because", "it answered {status}: {reason}", status=status, reason=reason)
        if reason
        else Message("it_answered_status", "it answered {status}", status=status)
    )
    if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
        raise UpstreamFault(UpstreamFaultKind.BUSY, message, retry_after=_retry_after(response))
    if response.status_code == httpx.codes.SERVICE_UNAVAILABLE and "Retry-After" in response.headers:
        raise UpstreamFault(UpstreamFaultKind.BUSY, message, retry_after=_retry_after(response))
    if response.is_server_error:
        raise UpstreamFault(UpstreamFaultKind.FAILED, message, retry_after=RETRY_SOON)
    raise UpstreamFault(UpstreamFaultKind.REFUSED, message)


async def _error_message(response: httpx.Response) -> str:
    """The message in the body of an error, or the body's first characters."""
    body = b""
    async with aclosing(_raw(response)) as pieces:
        async for piece in pieces:
            body += piece
            if len(body) > _MAX_ERROR_BYTES:
                break
    text = body[:_MAX_ERROR_BYTES].decode(errors="replace")
    try:
        error = json.loads(text)
    except ValueError:
        return quote(text)
    if isinstance(error, dict):
        error = error.get("error", error.get("detail", ""))
    if isinstance(error, dict):
        error = error.get("message", "")
    return quote(str(error))


def _retry_after(response: httpx.Response) -> float:
    try:
        return max(0.0, float(response.headers.get("Retry-After", "1")))
    except ValueError:  # a date
        return 1.0


def _stated_rate(response: httpx.Response) -> int | None:
    """Hz of PCM without a header, if the response's headers state it; checks that the body is audio."""
    kind = response.headers.get("Content-Type", "")
    media = kind.partition(";")[0].strip().lower()
    if media not in _AUDIO:
        raise NotPcm(Message("instead_of_pcm", "{kind} instead of PCM or WAV", kind=quote(media)))
    parameter = _RATE_PARAMETER.search(kind.lower())
    declared = response.headers.get(RATE_HEADER) or (parameter[1] if parameter else "")
    if not (declared.isascii() and declared.isdecimal() and len(declared) <= len("192000")):
        return None
    return int(declared) if int(declared) in RATES else None
