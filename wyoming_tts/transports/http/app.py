"""The HTTP API: one app on the same synthesizer and event loop as everything else.

Its paths are those of OpenAI's speech API and of Kokoro-FastAPI, so that clients of either work by changing
nothing but the host.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, FastAPI, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict
from starlette.middleware import Middleware

from wyoming_tts import __version__
from wyoming_tts.blocking import RunBlocking
from wyoming_tts.transports.http.errors import (
    NOT_READY,
    ApiError,
    error_response,
    error_responses,
    install_error_handlers,
    json_response,
)
from wyoming_tts.transports.http.precomputed_routes import precompute_routes
from wyoming_tts.transports.http.request_lifecycle import OpenRequests, RequestLifecycleMiddleware
from wyoming_tts.transports.http.server import HttpServer, HttpServerOptions
from wyoming_tts.transports.http.speech_request import HttpOptions
from wyoming_tts.transports.http.speech_response import SpeechContext
from wyoming_tts.transports.http.speech_routes import speech_routes
from wyoming_tts.transports.http.voice_routes import voice_routes
from wyoming_tts.transports.ports import SpeechService

__all__ = ["HttpOptions", "HttpServer", "HttpServerOptions", "create_app"]

_LIVE = ("/health", "/healthz", "/livez")
_STATUS = ("/status", "/api/status")
_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Health(BaseModel):
    """Whether the server is there."""

    status: str


class Status(BaseModel):
    """How the server is doing."""

    model_config = ConfigDict(extra="allow")


def create_app(
    service: SpeechService,
    options: HttpOptions,
    *,
    run_blocking: RunBlocking,
    routers: Sequence[APIRouter] = (),
    middleware: Sequence[Middleware] = (),
) -> FastAPI:
    """Make the app; `HttpTarget` serves it. Takes tens of milliseconds, so that no request does.

    Args:
        service: What speaks, and what is known of it.
        options: How clients are treated.
        run_blocking: For encoders, which compute.
        routers: Further routes, such as those of the realtime socket and of pages.
        middleware: Further layers, the outermost first; all within the one that gives ids and tells errors.
    """
    requests = OpenRequests()
    layer = Middleware(
        RequestLifecycleMiddleware,
        requests=requests,
        send_timeout=options.send_timeout,
        request_timeout=options.request_timeout,
    )
    app = _App(
        title="Wyoming TTS",
        version=__version__,
        docs_url=None,  # their pages load scripts from elsewhere
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        middleware=[layer, *middleware],
        generate_unique_id_function=_operation_id,
    )
    app.state.requests = requests
    install_error_handlers(app)
    app.include_router(speech_routes(SpeechContext(service, options, run_blocking)))
    app.include_router(voice_routes(service))
    app.include_router(_state_routes(service))
    for router in routers:
        app.include_router(router)
    app.include_router(_description_routes(app, run_blocking))
    precompute_routes(app)
    return app


class _App(FastAPI):
    """An app whose description holds the errors that are told, not those that its framework would tell."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            described = super().openapi()
            for operations in described["paths"].values():
                for operation in operations.values():
                    operation["responses"].pop("422", None)
            for name in ("HTTPValidationError", "ValidationError"):
                described["components"]["schemas"].pop(name, None)
            self.openapi_schema = described
        return self.openapi_schema


def _description_routes(app: FastAPI, run_blocking: RunBlocking) -> APIRouter:
    router = APIRouter()

    @router.get("/openapi.json", include_in_schema=False)
    async def describe() -> Response:
        """Describe the API; the first time that takes too long for the event loop."""
        return json_response(await run_blocking(app.openapi))

    return router


def _operation_id(route: APIRoute) -> str:
    return f"{route.name}{route.path.replace('/', '_').replace('{', '').replace('}', '')}"


def _state_routes(service: SpeechService) -> APIRouter:
    router = APIRouter()

    async def live() -> Response:
        """Tell that the server is there."""
        return json_response({"status": "healthy"})

    async def ready() -> Response:
        """Tell whether the default voice is warm; speech may be asked for before it is."""
        if service.is_ready():
            return json_response({"status": "ready"})
        not_yet = ApiError(503, "The default voice is not ready yet.", code=NOT_READY, kind="server_error")
        return error_response(not_yet, "")

    async def status() -> Response:
        """Tell how the server is doing."""
        return json_response(dict(await service.status()))

    async def metrics() -> Response:
        """Tell the same to Prometheus."""
        return Response(await service.metrics(), headers={"Content-Type": _METRICS_TYPE})

    for path in _LIVE:
        router.add_api_route(path, live, response_model=Health, responses=error_responses())
    router.add_api_route("/readyz", ready, response_model=Health, responses=error_responses(503))
    for path in _STATUS:
        router.add_api_route(path, status, response_model=Status, responses=error_responses())
    in_text: dict[int | str, dict[str, Any]] = {
        200: {"content": {"text/plain": {"schema": {"type": "string"}}}}
    }
    router.add_api_route(
        "/metrics", metrics, response_class=Response, responses={**in_text, **error_responses()}
    )
    return router
