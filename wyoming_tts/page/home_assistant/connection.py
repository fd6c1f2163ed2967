"""Home Assistant's WebSocket API: authentication, one command after the other, templates.

A connection is opened for one request of the page and closed after it, so nothing is held while nobody looks.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from itertools import count
from typing import Any, TypeAlias, TypeVar

from pydantic import TypeAdapter, ValidationError
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import InvalidStatus, WebSocketException

from wyoming_tts.bounded_json import InvalidJson, JsonLimits, parse_json
from wyoming_tts.page.direct_websocket import DirectWebSocket
from wyoming_tts.page.home_assistant.problems import CommandRefused, HomeAssistantProblem, Problem
from wyoming_tts.page.home_assistant.supervisor import SupervisorAccess

Reply: TypeAlias = Mapping[str, Any]
Answer = TypeVar("Answer")

_LOGGER = logging.getLogger(__name__)

_SECONDS = 20.0
"""For all that one request of the page asks. A cast device that is woken up takes a few."""
_MAX_BYTES = 2 * 1024 * 1024
_LIMITS = JsonLimits(values=20_000)
"""The lists of assistants, users and voices of a large house have a few thousand."""
_REFUSED = frozenset([HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN])
_TEMPLATE_MARK = "json:"
"""Before a template's JSON, as Home Assistant turns a result that looks like a value into one."""

_FRAMES = logging.getLogger(f"{__name__}.frames")
_FRAMES.setLevel(logging.WARNING)
"""With --debug, too: frames hold the token, and what is to be spoken."""


class HomeAssistantConnection:
    """An authenticated connection, on which one command runs at a time."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._ids = count(1)

    async def authenticate(self, token: str) -> None:
        """Tell the token.

        Raises:
            HomeAssistantProblem: it is not taken.
        """
        await self._read("auth_required")
        await self._socket.send(json.dumps({"type": "auth", "access_token": token}))
        await self._read("auth_ok")

    async def command(self, kind: str, answer: TypeAdapter[Answer], **fields: object) -> Answer:
        """Run a command and return its answer.

        Raises:
            CommandRefused: it failed.
            ValidationError: the answer is another than expected.
        """
        _, result = await self._run(kind, fields)
        return answer.validate_python(result)

    async def render(self, template: str, answer: TypeAdapter[Answer]) -> Answer:
        """Return the value that a template makes of the state of the house, as JSON.

        Raises:
            CommandRefused: the template failed.
            ValidationError: the value is another than expected.
        """
        return await self._rendered(await self._subscribe(template), answer)

    async def watch(self, template: str, answer: TypeAdapter[Answer]) -> AsyncGenerator[Answer, None]:
        """Yield the value of a template, and again whenever it changes; ends where it cannot be told."""
        with suppress(CommandRefused, InvalidJson, ValidationError, OSError, WebSocketException):
            number = await self._subscribe(template)
            while True:
                yield await self._rendered(number, answer)

    async def _subscribe(self, template: str) -> int:
        number, _ = await self._run("render_template", {"template": f"{_TEMPLATE_MARK}{template}"})
        return number

    async def _rendered(self, number: int, answer: TypeAdapter[Answer]) -> Answer:
        event = _object((await self._reply(number, "event")).get("event"))
        rendered = str(event.get("result")).removeprefix(_TEMPLATE_MARK)
        return answer.validate_python(parse_json(rendered, _LIMITS))

    async def _run(self, kind: str, fields: Mapping[str, object]) -> tuple[int, Any]:
        number = next(self._ids)
        await self._socket.send(json.dumps({"id": number, "type": kind, **fields}))
        reply = await self._reply(number, "result")
        if not reply.get("success"):
            failure = _object(reply.get("error") or {})
            raise CommandRefused(str(failure.get("message") or failure.get("code") or ""))
        return number, reply.get("result")

    async def _reply(self, number: int, kind: str) -> Reply:
        while True:
            reply = await self._message()
            if reply.get("id") == number and reply.get("type") == kind:
                return reply

    async def _read(self, kind: str) -> None:
        reply = await self._message()
        if reply.get("type") == "auth_invalid":
            raise HomeAssistantProblem(Problem.NOT_ALLOWED)
        if reply.get("type") != kind:
            raise HomeAssistantProblem(Problem.UNREACHABLE)

    async def _message(self) -> Reply:
        return _object(parse_json(await self._socket.recv(), _LIMITS))


def _object(value: Any) -> Reply:
    if not isinstance(value, dict):
        raise InvalidJson("it is no object")
    return value


@asynccontextmanager
async def open_connection(access: SupervisorAccess) -> AsyncIterator[HomeAssistantConnection]:
    """Connect through the Supervisor, for at most `_SECONDS`.

    Raises:
        HomeAssistantProblem: it cannot be reached, does not take the token, breaks off, or takes too long; or
            it refused a command, which the block did not handle.
    """
    try:
        async with (
            asyncio.timeout(_SECONDS),
            DirectWebSocket(access.websocket, max_size=_MAX_BYTES, logger=_FRAMES) as socket,
        ):
            connection = HomeAssistantConnection(socket)
            await connection.authenticate(access.token)
            yield connection
    except InvalidStatus as error:
        status = error.response.status_code
        _LOGGER.warning("The Supervisor answered %d to a connection to Home Assistant.", status)
        raise HomeAssistantProblem(
            Problem.NOT_ALLOWED if status in _REFUSED else Problem.UNREACHABLE
        ) from None
    except CommandRefused as error:
        raise HomeAssistantProblem(Problem.REFUSED, str(error)) from None
    except (InvalidJson, ValidationError) as error:
        _LOGGER.warning("Home Assistant gave an answer that is not understood (%s).", type(error).__name__)
        raise HomeAssistantProblem(Problem.REFUSED, "an answer that is not understood") from None
    except (OSError, WebSocketException) as error:  # TimeoutError is an OSError
        _LOGGER.warning("Home Assistant cannot be reached: %s.", str(error) or type(error).__name__)
        raise HomeAssistantProblem(Problem.UNREACHABLE) from None
