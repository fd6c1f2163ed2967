"""Every failure of the HTTP API in the one shape that clients of OpenAI's read.

Nothing else words an error or chooses a status: routes raise a `SpeechError`, or `ApiError` for what has no
speech in it, and the handlers here answer.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from wyoming_tts.errors import BadRequest, ErrorCode, SpeechError, UnknownVoice, Unsupported

NOT_READY = "not_ready"
"""The code of a server whose default voice has not spoken yet."""

_INVALID = "invalid_request_error"
_STATUS = MappingProxyType(
    {
        ErrorCode.BAD_REQUEST: (HTTPStatus.BAD_REQUEST, _INVALID),
        ErrorCode.TOO_LONG: (HTTPStatus(413), _INVALID),
        ErrorCode.UNSUPPORTED: (HTTPStatus.BAD_REQUEST, _INVALID),
        ErrorCode.BAD_MARKUP: (HTTPStatus.BAD_REQUEST, _INVALID),
        ErrorCode.UNKNOWN_VOICE: (HTTPStatus.NOT_FOUND, _INVALID),
        ErrorCode.VOICE_UNAVAILABLE: (HTTPStatus.SERVICE_UNAVAILABLE, "server_error"),
        ErrorCode.BUSY: (HTTPStatus.TOO_MANY_REQUESTS, "rate_limit_error"),
        ErrorCode.SHUTTING_DOWN: (HTTPStatus.SERVICE_UNAVAILABLE, "server_error"),
        ErrorCode.INTERNAL: (HTTPStatus.INTERNAL_SERVER_ERROR, "server_error"),
    }
)
_PARAM = MappingProxyType(
    {
        ErrorCode.TOO_LONG: "input",
        ErrorCode.BAD_MARKUP: "input",
        ErrorCode.UNKNOWN_VOICE: "voice",
        ErrorCode.VOICE_UNAVAILABLE: "voice",
    }
)
"""The field that is to blame where the error does not say."""
_RETRY_AFTER = MappingProxyType(
    {ErrorCode.BUSY: 1, ErrorCode.VOICE_UNAVAILABLE: 10, ErrorCode.SHUTTING_DOWN: 10, NOT_READY: 1}
)
"""Seconds after which it may go better."""
_PLACES = frozenset({"body", "query", "path", "header", "cookie"})
_ALLOWED_TO_ALL = (401, 403, 429, 500)
"""What any request may meet, whatever it asks for."""


class ErrorDetail(BaseModel):
    """What went wrong."""

    message: str = Field(description="What happened, and what to do.")
    type: str = Field(description="The kind of error, as OpenAI names it.")
    param: str | None = Field(description="The field of the request that is to blame.")
    code: str | None = Field(description="Stable and machine-readable.")


class ErrorAnswer(BaseModel):
    """The body of every answer that is not a success."""

    error: ErrorDetail


class InvalidField(BadRequest):
    """A field of the request cannot be used."""

    def __init__(self, message: str, *, param: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.param = param


class UnsupportedFormat(Unsupported):
    """The audio cannot be encoded as the client wants it."""

    param = "response_format"


class UnknownLanguage(UnknownVoice):
    """No voice speaks the language that was asked for in place of a voice."""

    param = "language"


class ApiError(Exception):
    """A failure that has nothing to do with speech, such as a path that is not there."""

    def __init__(
        self, status: int, message: str, *, code: str, param: str | None = None, kind: str = _INVALID
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param
        self.kind = kind


def error_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the error answers of a route for its OpenAPI description: those statuses, and what all have."""
    wanted = sorted({*statuses, *_ALLOWED_TO_ALL})
    return {status: {"model": ErrorAnswer, "description": HTTPStatus(status).phrase} for status in wanted}


def error_content(error: SpeechError | ApiError, request_id: str) -> dict[str, Any]:
    """Return an error as JSON; one that is ours names the request, so that the log can be searched."""
    if isinstance(error, ApiError):
        return _content(error.message, error.kind, error.param, error.code)
    message = str(error)
    if error.code is ErrorCode.INTERNAL:
        message = f"{message} The request was {request_id}."
    param = getattr(error, "param", None) or _PARAM.get(error.code)
    return _content(message, _STATUS[error.code][1], param, error.code)


def error_response(error: SpeechError | ApiError, request_id: str) -> Response:
    """Return the answer that tells of an error."""
    status = error.status if isinstance(error, ApiError) else int(_STATUS[error.code][0])
    return json_response(error_content(error, request_id), status=status, headers=_retry_headers(error.code))


def framework_error_response(error: HTTPException, method: str, request_id: str) -> Response:
    """Return the answer to what the framework refused: a path, a method, a body it could not read."""
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED and method == "OPTIONS":
        return Response(status_code=HTTPStatus.NO_CONTENT, headers=error.headers)
    message, code = str(error.detail), HTTPStatus(error.status_code).name.lower()
    if error.status_code == HTTPStatus.NOT_FOUND:
        message = "There is nothing at this path."
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        message = f"{method} is not for this path."
    response = error_response(ApiError(error.status_code, message, code=code), request_id)
    response.headers.update(error.headers or {})
    return response


def json_response(content: object, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return JSON that nobody keeps."""
    # Escaped throughout: what clients send may hold what UTF-8 cannot.
    return Response(
        json.dumps(content),
        status,
        {"Cache-Control": "no-store", **(headers or {})},
        media_type="application/json",
    )


def install_error_handlers(app: FastAPI) -> None:
    """Have the app answer every failure in this shape."""
    handlers: Sequence[tuple[type[Exception], Callable[[Request, Any], Awaitable[Response]]]] = (
        (SpeechError, _told),
        (ApiError, _told),
        (RequestValidationError, _invalid),
        (HTTPException, _by_status),
    )
    for kind, handler in handlers:
        app.add_exception_handler(kind, handler)


def get_request_id(request: Request) -> str:
    """Return the id under which a request is logged."""
    return str(getattr(request.state, "request_id", "-"))


async def _told(request: Request, error: SpeechError | ApiError) -> Response:
    return error_response(error, get_request_id(request))


async def _invalid(request: Request, error: RequestValidationError) -> Response:
    """Tell of the first field that is wrong; the value is not repeated, it may be large."""
    problem = error.errors()[0]
    param = next((str(part) for part in problem["loc"] if part not in _PLACES), None)
    message = str(problem["msg"])
    if problem["type"] == "json_invalid":
        return await _told(request, BadRequest(f"The body is not JSON: {message}."))
    if param is None:
        hint = "Send a JSON object, with the content type application/json."
        return await _told(request, BadRequest(f"The body cannot be used: {message}.", hint=hint))
    return await _told(request, InvalidField(f"The field `{param}` is wrong: {message}.", param=param))


async def _by_status(request: Request, error: HTTPException) -> Response:
    return framework_error_response(error, request.method, get_request_id(request))


def _content(message: str, kind: str, param: str | None, code: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def _retry_headers(code: str) -> dict[str, str]:
    return {"Retry-After": str(_RETRY_AFTER[code])} if code in _RETRY_AFTER else {}
