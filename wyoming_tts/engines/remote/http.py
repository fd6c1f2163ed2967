"""A server with OpenAI's speech API, asked for PCM that it sends while it speaks."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import cast
from urllib.parse import urlsplit, urlunsplit

import anyio._backends._asyncio  # noqa: F401  # httpx imports it with its first request: 40 ms of the event loop
import httpx

from wyoming_tts.blocking import RunBlocking
from wyoming_tts.engines.base import RemoteOptions
from wyoming_tts.engines.ipa import split_phoneme_blocks
from wyoming_tts.engines.remote.lists import ListedVoice, NoList, listed_over_http
from wyoming_tts.engines.remote.pcm import RATES, AnswerReader, NotPcm
from wyoming_tts.engines.remote.pool import UpstreamFault, UpstreamFaultKind, UpstreamRequest
from wyoming_tts.speech import Samples

HOPS_HEADER = "X-Hops"
"""Servers that a request came through: with it a ring of servers comes to an end."""
RATE_HEADER = "X-Sample-Rate"
BARE_RATE = 24_000
"""Hz of PCM that says nothing of itself, as OpenAI's."""

_LISTS = ("/v1/voices", "/v1/audio/voices")
_MOST_LIST = 2_000_000
_MOST_TOLD = 4_096
_MOST_SHOWN = 200
_SLOWEST, _FASTEST = 0.25, 4.0
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
_SOON = 0.1
"""Seconds after which a connection that broke is tried once more: a server may just have restarted."""


class HttpUpstream:
    """One server. Connections are kept open between requests, until it is closed."""

    def __init__(self, address: str, options: RemoteOptions) -> None:
        """Take the address; nothing is connected.

        It reads certificates where the address is https: made on a worker.
        """
        parts = urlsplit(address)
        host = parts.netloc.rpartition("@")[2]
        self.address = urlunsplit((parts.scheme, host, parts.path, "", ""))
        self._options = options
        base = address.rstrip("/").removesuffix("/v1")
        headers = {"Accept-Encoding": "identity", "User-Agent": "wyoming-tts"}
        if options.key:
            headers["Authorization"] = f"Bearer {options.key}"
        patience = options.first_byte_timeout
        self._client = httpx.AsyncClient(
            base_url=base,
            headers=headers,
            # Reading is timed where it is known what is waited for.
            timeout=httpx.Timeout(patience, connect=options.connect_timeout, read=None, pool=None),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=16, keepalive_expiry=30.0),
            verify=parts.scheme == "https",
            trust_env=False,
        )

    def __repr__(self) -> str:
        return f"<HttpUpstream {self.address}>"

    async def aclose(self) -> None:
        """As `Upstream.aclose`."""
        await self._client.aclose()

    async def listed(self, run_blocking: RunBlocking) -> tuple[ListedVoice, ...] | None:
        """As `Upstream.listed`."""
        for path in _LISTS:
            async with self._asked("GET", path) as response:
                if response.status_code in {httpx.codes.NOT_FOUND, httpx.codes.METHOD_NOT_ALLOWED}:
                    continue
                await _check_status(response)
                body = await _body(response, _MOST_LIST)
            try:
                return await run_blocking(partial(listed_over_http, body))
            except NoList:
                continue
        return None

    async def speak(self, order: UpstreamRequest, listed: ListedVoice) -> AsyncGenerator[Samples, None]:
        """As `Upstream.speak`."""
        headers = {HOPS_HEADER: str(order.hops), "Accept": "audio/pcm, audio/wav;q=0.9"}
        body = self._body(order, listed)
        async with self._asked("POST", "/v1/audio/speech", json_body=body, headers=headers) as response:
            await _check_status(response)
            try:
                reader = AnswerReader(_bare_rate(response), order.rate)
                async with aclosing(_raw(response)) as pieces:
                    async for data in pieces:
                        for samples in reader.feed(data):
                            yield samples
                for samples in reader.finish():
                    yield samples
            except NotPcm as error:
                raise UpstreamFault(UpstreamFaultKind.FAILED, f"it sent {error}") from None

    def _body(self, order: UpstreamRequest, listed: ListedVoice) -> dict[str, object]:
        body: dict[str, object] = {
            "model": self._options.model,
            "input": order.text if listed.reads_phonemes else _without_phonemes(order.text),
            "voice": order.voice,
            "response_format": "pcm",
            "speed": min(max(order.speed, _SLOWEST), _FASTEST),
            "stream": True,
        }
        if order.speaker is not None:
            body["speaker"] = order.speaker
        if listed.rate is not None:  # only servers that tell a voice's rate can be asked for it
            body["sample_rate"] = order.rate
        return body

    @asynccontextmanager
    async def _asked(
        self,
        method: str,
        path: str,
        *,
        json_body: dict[str, object] | None = None,
        headers: dict[str, str] | None = None,
    ) -> AsyncIterator[httpx.Response]:
        try:
            async with self._client.stream(method, path, json=json_body, headers=headers) as response:
                yield response
        except httpx.ConnectTimeout:
            patience = self._options.connect_timeout
            raise UpstreamFault(UpstreamFaultKind.DOWN, f"no connection within {patience:g} s") from None
        except httpx.ConnectError as error:
            raise UpstreamFault(
                UpstreamFaultKind.DOWN, f"no connection ({_shown(str(error))})", retry_after=_SOON
            ) from None
        except httpx.TransportError as error:
            what = _shown(str(error)) or type(error).__name__
            raise UpstreamFault(
                UpstreamFaultKind.DOWN, f"the connection broke ({what})", retry_after=_SOON
            ) from None
        except httpx.HTTPError as error:
            raise UpstreamFault(
                UpstreamFaultKind.FAILED, f"it cannot be understood ({_shown(str(error))})"
            ) from None


def _raw(response: httpx.Response) -> AsyncGenerator[bytes, None]:
    return cast("AsyncGenerator[bytes, None]", response.aiter_raw())


async def _body(response: httpx.Response, most: int) -> bytes:
    body = bytearray()
    async with aclosing(_raw(response)) as pieces:
        async for piece in pieces:
            body += piece
            if len(body) > most:
                raise UpstreamFault(UpstreamFaultKind.FAILED, f"its list of voices has over {most} bytes")
    return bytes(body)


async def _check_status(response: httpx.Response) -> None:
    if response.status_code == httpx.codes.OK:
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise UpstreamFault(
                UpstreamFaultKind.FAILED, "it sent compressed data, which it was not asked for"
            )
        return
    told = await _told(response)
    message = f"it answered {response.status_code}" + (f": {told}" if told else "")
    if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
        raise UpstreamFault(UpstreamFaultKind.BUSY, message, retry_after=_retry_after(response))
    if response.status_code == httpx.codes.SERVICE_UNAVAILABLE and "Retry-After" in response.headers:
        raise UpstreamFault(UpstreamFaultKind.BUSY, message, retry_after=_retry_after(response))
    if response.is_server_error:
        raise UpstreamFault(UpstreamFaultKind.FAILED, message, retry_after=_SOON)
    raise UpstreamFault(UpstreamFaultKind.REFUSED, message)


async def _told(response: httpx.Response) -> str:
    """What the body of an error says, as far as it is short."""
    body = b""
    async with aclosing(_raw(response)) as pieces:
        async for piece in pieces:
            body += piece
            if len(body) > _MOST_TOLD:
                break
    text = body[:_MOST_TOLD].decode(errors="replace")
    try:
        error = json.loads(text)
    except ValueError:
        return _shown(text)
    if isinstance(error, dict):
        error = error.get("error", error.get("detail", ""))
    if isinstance(error, dict):
        error = error.get("message", "")
    return _shown(str(error))


def _shown(text: str) -> str:
    line = "".join(character if character.isprintable() else " " for character in text[:_MOST_SHOWN])
    return " ".join(line.split()).rstrip(".")


def _retry_after(response: httpx.Response) -> float:
    try:
        return max(0.0, float(response.headers.get("Retry-After", "1")))
    except ValueError:  # a date
        return 1.0


def _bare_rate(response: httpx.Response) -> int:
    kind = response.headers.get("Content-Type", "")
    media = kind.partition(";")[0].strip().lower()
    if media not in _AUDIO:
        raise NotPcm(f"{_shown(media)} in place of PCM or WAV")
    parameter = _RATE_PARAMETER.search(kind.lower())
    told = response.headers.get(RATE_HEADER) or (parameter[1] if parameter else "")
    rate = int(told) if told.isascii() and told.isdecimal() and len(told) <= len("192000") else BARE_RATE
    return rate if rate in RATES else BARE_RATE


def _without_phonemes(text: str) -> str:
    """The text without `[[…]]`, which would be read out."""
    if "[[" not in text:
        return text
    return "".join(part.text for part in split_phoneme_blocks(text) if not part.is_ipa)
