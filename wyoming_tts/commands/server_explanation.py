"""Explanations by a running server, over HTTP: Wyoming has no event for them, the page has a route."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from wyoming_tts.commands.console import CommandFailed
from wyoming_tts.commands.local_speech import ExplainRequest
from wyoming_tts.errors import BadRequest, ErrorCode, SpeechError
from wyoming_tts.page import paths
from wyoming_tts.speech import TextFormat
from wyoming_tts.synthesis import Explanation
from wyoming_tts.system_reasons import underlying_reason

if TYPE_CHECKING:
    import httpx

_SECONDS = 30.0
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_EXPLANATION = TypeAdapter(Explanation)


@dataclass(frozen=True, slots=True)
class ExplainingServer:
    """A server that is asked over HTTP."""

    url: str
    """`http(s)://HOST:PORT`, and a path before the page's if there is one."""
    key: str = field(default="", repr=False)
    """One of its `api_keys`; empty for none."""


async def explain(
    server: ExplainingServer, requests: AsyncIterable[ExplainRequest]
) -> AsyncGenerator[Explanation | SpeechError, None]:
    """Yield for each request what the server says of its text, in order, or its error.

    Raises:
        CommandFailed: the server cannot be reached, refuses, or is another one.
    """
    import httpx  # noqa: PLC0415 - of this command alone

    headers = {"Content-Type": "application/json"}
    if server.key:
        headers["Authorization"] = f"Bearer {server.key}"
    try:
        hostname = httpx.URL(server.url).host
    except (httpx.InvalidURL, UnicodeError) as error:  # the latter by names that IDNA or UTF-8 cannot encode
        raise _unreachable(server, error) from error
    # A certificate seldom names the loopback address, which nobody else can answer on.
    verify = hostname not in _LOOPBACK
    async with httpx.AsyncClient(verify=verify, trust_env=False, timeout=_SECONDS, headers=headers) as client:
        async for request in requests:
            try:
                answer = await client.post(f"{server.url}/{paths.AUDITION}/explain", content=_body(request))
            except httpx.HTTPError as error:
                raise _unreachable(server, error) from error
            yield _parsed(server, answer)


def _body(request: ExplainRequest) -> bytes:
    voice = request.voice
    body = {
        "text": request.text,
        "voice": voice.name,
        "speaker": voice.speaker,
        "language": voice.language,
        "ssml": request.text_format is TextFormat.SSML,
    }
    return json.dumps(body).encode()  # httpx's own fails at bytes that are not UTF-8, as arguments may have


def _parsed(server: ExplainingServer, answer: httpx.Response) -> Explanation | SpeechError:
    if answer.is_success:
        try:
            return _EXPLANATION.validate_json(answer.content)
        except ValidationError:
            raise _another(server) from None
    if answer.status_code in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        raise CommandFailed(
            f"{server.url} refuses ({answer.status_code}).",
            hint="Set the same api_keys here, in the settings file or the environment.",
        )
    try:
        told = json.loads(answer.content)["error"]
        if answer.status_code == HTTPStatus.NOT_FOUND:
            ErrorCode(told["code"])  # a path that it does not have is none of these
        return BadRequest(str(told["message"]))
    except (ValueError, TypeError, LookupError, RecursionError):
        raise _another(server) from None


def _unreachable(server: ExplainingServer, error: Exception) -> CommandFailed:
    return CommandFailed(
        f"{server.url} cannot be reached: {underlying_reason(error).rstrip('.')}.",
        hint="--url names the address of its HTTP API; without a server, --explain works in here.",
    )


def _another(server: ExplainingServer) -> CommandFailed:
    return CommandFailed(
        f"{server.url} does not explain.",
        hint="It may be another server, an older one, or one without a page; without a server, --explain "
        "works in here.",
    )
