"""Error responses of the HTTP API, all in the JSON shape of OpenAI's API.

Only this module chooses statuses: routes raise a `SpeechError`, or an `ApiError` for failures unrelated to
speech, and the handlers here turn them into responses.
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

from wyoming_tts.errors import BadRequest, ErrorCode, SpeechError, TooLong, UnknownVoice, Unsupported
from wyoming_tts.messages import Message, said_parts
from wyoming_tts.transports.tokens import TOKEN_STATUS

NOT_READY = "not_ready"
"""Error code of a server whose default voice is not warm yet."""

_INVALID = "invalid_request_error"
_STATUS = MappingProxyType(
    {
        **TOKEN_STATUS,
        ErrorCode.BAD_REQUEST: (HTTPStatus.BAD_REQUEST, _INVALID),
        ErrorCode.TOO_LONG: (HTTPStatus(413), _INVALID),
        ErrorCode.UNSUPPORTED: (HTTPStatus.BAD_REQUEST, _INVALID),
        ErrorCode.BAD_MARKUP: (HTTPStatus.BAD_REQUEST, _INVALID),
        ErrorCode.UNKNOWN_VOICE: (HTTPStatus.NOT_FOUND, _INVALID),
        ErrorCode.VOICE_UNAVAILABLE: (HTTPStatus.SERVICE_UNAVAILABLE, "server_error"),
        ErrorCode.BUSY: (HTTPStatus.TOO_MANY_REQUESTS, "rate_limit_error"),
        ErrorCode.RATE_LIMITED: (HTTPStatus.TOO_MANY_REQUESTS, "rate_limit_error"),
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
        ErrorCode.VOICE_NOT_ALLOWED: "voice",
    }
)
"""The request field at fault, where the error itself does not name one."""
_BUSY_TYPES = MappingProxyType({429: "rate_limit_error", 503: "server_error"})
"""The type of `busy`, by its status."""
_RETRY_AFTER = MappingProxyType(
    {ErrorCode.BUSY: 1, ErrorCode.VOICE_UNAVAILABLE: 10, ErrorCode.SHUTTING_DOWN: 10, NOT_READY: 1}
)
"""Retry-After in seconds, by error code."""
_LOCATIONS = frozenset({"body", "query", "path", "header", "cookie"})
_SCHEMAS = "#/components/schemas/{model}"
"""Where schemas are in an OpenAPI document."""
_COMMON_STATUSES = (401, 403, 429, 500)
"""Error statuses that any request may get."""


class ErrorDetail(BaseModel):
    """The details of an error."""

    message: str = Field(description="What happened, and what to do.")
    type: str = Field(description="The type of error, as in OpenAI's API.")
    param: str | None = Field(description="The request field at fault.")
    code: str | None = Field(description="Stable and machine-readable.")


class ErrorAnswer(BaseModel):
    """The body of every error response."""

    error: ErrorDetail


class InvalidField(BadRequest):
    """A field of the request is invalid."""

    def __init__(self, message: str, *, param: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.param = param


class FieldTooLong(TooLong):
    """A field of the request is too long."""

    def __init__(self, message: str, *, param: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.param = param


class UnsupportedFormat(Unsupported):
    """The requested audio format is not supported."""

    param = "response_format"


class UnknownLanguage(UnknownVoice):
    """No voice speaks the requested language."""

    param = "language"


class ApiError(Exception):
    """A failure unrelated to speech, such as an unknown path."""

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
    """Describe a route's error responses for OpenAPI: the given statuses and the common ones.

    They refer to a schema of `error_schemas`. Given the model itself, FastAPI would analyse it anew for each
    status of each route, hundreds of times at every start.
    """
    content = {"application/json": {"schema": {"$ref": _SCHEMAS.format(model=ErrorAnswer.__name__)}}}
    documented = sorted({*statuses, *_COMMON_STATUSES})
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in documented}


def error_schemas() -> dict[str, Any]:
    """Return the schemas of error answers by name, as OpenAPI has them among its components."""
    schema = ErrorAnswer.model_json_schema(mode="serialization", ref_template=_SCHEMAS)
    return {**schema.pop("$defs", {}), ErrorAnswer.__name__: schema}


def error_content(error: SpeechError | ApiError, request_id: str) -> dict[str, Any]:
    """Return an error as JSON content; an internal one names the request id, to find it in the log."""
    if isinstance(error, ApiError):
        return _content([error.message], error.kind, error.param, error.code)
    parts = [error.message, error.hint]
    if error.code is ErrorCode.INTERNAL:
        parts.append(Message("request_id", "Request id: {id}.", id=request_id))
    param = getattr(error, "param", None) or _PARAM.get(error.code)
    return _content(parts, _STATUS[error.code][1], param, error.code)


def error_response(
    error: SpeechError | ApiError, request_id: str, *, busy_status: int = HTTPStatus.TOO_MANY_REQUESTS
) -> Response:
    """Build the response for an error; `busy_status` is the status of `busy`."""
    status = error.status if isinstance(error, ApiError) else int(_STATUS[error.code][0])
    content = error_content(error, request_id)
    if error.code == ErrorCode.BUSY:
        status = busy_status
        content["error"]["type"] = _BUSY_TYPES[busy_status]
    return json_response(content, status=status, headers=_retry_headers(error.code))


def framework_error_response(error: HTTPException, method: str, request_id: str) -> Response:
    """Build the response for an error of the framework: an unknown path, a wrong method, a bad body."""
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED and method == "OPTIONS":
        return Response(status_code=HTTPStatus.NO_CONTENT, headers=error.headers)
    message, code = str(error.detail), HTTPStatus(error.status_code).name.lower()
    if error.status_code == HTTPStatus.NOT_FOUND:
        message = "There is nothing at this path."
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        message = f"{method} is not allowed at this path."
    response = error_response(ApiError(error.status_code, message, code=code), request_id)
    response.headers.update(error.headers or {})
    return response


def json_response(content: object, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Build a JSON response that must not be cached."""
    # ASCII with escapes: what clients send may hold lone surrogates, which UTF-8 cannot encode.
    return Response(
        json.dumps(content),
        status,
        {"Cache-Control": "no-store", **(headers or {})},
        media_type="application/json",
    )


def install_error_handlers(app: FastAPI, *, busy_status: int = HTTPStatus.TOO_MANY_REQUESTS) -> None:
    """Install handlers that answer every failure of the app in this shape, `busy` with that status."""
    app.state.busy_status = busy_status
    handlers: Sequence[tuple[type[Exception], Callable[[Request, Any], Awaitable[Response]]]] = (
        (SpeechError, _handle_error),
        (ApiError, _handle_error),
        (RequestValidationError, _handle_validation_error),
        (HTTPException, _handle_framework_error),
    )
    for kind, handler in handlers:
        app.add_exception_handler(kind, handler)


def get_request_id(request: Request) -> str:
    """Return the id under which a request is logged; `-` outside of the app's lifecycle middleware."""
    return str(getattr(request.state, "request_id", "-"))


async def _handle_error(request: Request, error: SpeechError | ApiError) -> Response:
    return error_response(error, get_request_id(request), busy_status=request.app.state.busy_status)


async def _handle_validation_error(request: Request, error: RequestValidationError) -> Response:
    """Report the first invalid field, without its value, which may be large."""
    problem = error.errors()[0]
    param = next((str(part) for part in problem["loc"] if part not in _LOCATIONS), None)
    message = str(problem["msg"])
    if problem["type"] == "json_invalid":
        return await _handle_error(request, BadRequest(f"The body is not JSON: {message}."))
    if param is None:
        hint = "Send a JSON object with the content type application/json."
        return await _handle_error(request, BadRequest(f"The body is invalid: {message}.", hint=hint))
    return await _handle_error(
        request, InvalidField(f"The field `{param}` is invalid: {message}.", param=param)
    )


async def _handle_framework_error(request: Request, error: HTTPException) -> Response:
    return framework_error_response(error, request.method, get_request_id(request))


def _content(parts: Sequence[str], kind: str, param: str | None, code: str) -> dict[str, Any]:
    """What went wrong, also with the IDs and arguments of its parts for the page, if they have some."""
    error: dict[str, Any] = {
        "message": " ".join(filter(None, parts)),
        "type": kind,
        "param": param,
        "code": code,
    }
    if said := said_parts(*parts):
        error["said"] = said
    return {"error": error}


def _retry_headers(code: str) -> dict[str, str]:
    return {"Retry-After": str(_RETRY_AFTER[code])} if code in _RETRY_AFTER else {}
