"""The HTTP API as a FastAPI app, on the same synthesizer and event loop as the other transports.

Its paths are those of OpenAI's speech API and of Kokoro-FastAPI, so that clients of either only need another
base URL. Health, status and metrics endpoints are defined here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fastapi import APIRouter, FastAPI, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict
from starlette.middleware import Middleware

from wyoming_tts import __version__
from wyoming_tts.blocking import RunBlocking
from wyoming_tts.transports.http.cache_routes import cache_routes
from wyoming_tts.transports.http.dialogue_routes import dialogue_routes
from wyoming_tts.transports.http.download_routes import download_routes
from wyoming_tts.transports.http.errors import (
    NOT_READY,
    ApiError,
    error_response,
    error_responses,
    error_schemas,
    install_error_handlers,
    json_response,
)
from wyoming_tts.transports.http.kept_audio import KeptAudio
from wyoming_tts.transports.http.phoneme_routes import phoneme_routes
from wyoming_tts.transports.http.precomputed_routes import precompute_routes
from wyoming_tts.transports.http.request_lifecycle import OpenRequests, RequestLifecycleMiddleware
from wyoming_tts.transports.http.server import HttpServer, HttpServerOptions
from wyoming_tts.transports.http.speech_request import HttpOptions
from wyoming_tts.transports.http.speech_response import SpeechContext
from wyoming_tts.transports.http.speech_routes import speech_routes
from wyoming_tts.transports.http.voice_routes import voice_routes
from wyoming_tts.transports.interfaces import SpeechService

__all__ = ["HttpOptions", "HttpServer", "HttpServerOptions", "create_app"]

_LIVE = ("/health", "/healthz", "/livez")
_STATUS = ("/status", "/api/status")
_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Health(BaseModel):
    """Answer of a health endpoint."""

    status: str
    degraded: str | None = None
    """What is wrong although the server speaks."""
    engines: list[str] | None = None
    device: str | None = None
    """Where models compute: `cpu`, or `cuda:` and the device's number."""
    voices_loaded: int | None = None
    """Models in memory."""


class Status(BaseModel):
    """The server's status."""

    model_config = ConfigDict(extra="allow")


def create_app(
    service: SpeechService,
    options: HttpOptions,
    *,
    run_blocking: RunBlocking,
    routers: Sequence[APIRouter] = (),
    middleware: Sequence[Middleware] = (),
    on_response: Callable[[int], None] = lambda _: None,
) -> FastAPI:
    """Create the app that `HttpServer` serves. Takes tens of milliseconds, which no request then has to wait.

    Args:
        service: Speech synthesis, voices and status.
        options: Limits and timeouts.
        run_blocking: Runs encoders, which are CPU-bound.
        routers: Further routes, such as the realtime WebSocket and the web page.
        middleware: Further middleware, outermost first; all of it inside `RequestLifecycleMiddleware`.
        on_response: Called with the status of each response that begins.
    """
    requests = OpenRequests()
    lifecycle = Middleware(
        RequestLifecycleMiddleware,
        requests=requests,
        send_timeout=options.send_timeout,
        request_timeout=options.request_timeout,
        busy_status=options.busy_status,
        on_response=on_response,
        log_requests=options.log_requests,
    )
    app = _App(
        title="Wyoming TTS",
        version=__version__,
        docs_url=None,  # its page loads scripts from other sites
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        middleware=[lifecycle, *middleware],
        generate_unique_id_function=_operation_id,
    )
    app.state.requests = requests
    install_error_handlers(app, busy_status=options.busy_status)
    kept = KeptAudio(max_bytes=options.kept_audio_bytes, run_blocking=run_blocking)
    context = SpeechContext(service, options, run_blocking, kept)
    app.include_router(speech_routes(context))
    app.include_router(dialogue_routes(service, context))
    app.include_router(phoneme_routes(service, context))
    app.include_router(download_routes(kept, run_blocking))
    app.include_router(cache_routes(service))
    app.include_router(voice_routes(service, allow_unload=options.allow_unload))
    app.include_router(_state_routes(service))
    for router in routers:
        app.include_router(router)
    app.include_router(_description_routes(app, run_blocking))
    precompute_routes(app)
    return app


class _App(FastAPI):
    """A FastAPI app whose OpenAPI schema describes this server's errors instead of FastAPI's own."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            schema = super().openapi()
            for operations in schema["paths"].values():
                for operation in operations.values():
                    operation["responses"].pop("422", None)
            schemas = {**schema["components"]["schemas"], **error_schemas()}
            for name in ("HTTPValidationError", "ValidationError"):
                schemas.pop(name, None)
            schema["components"]["schemas"] = dict(sorted(schemas.items()))
            self.openapi_schema = schema
        return self.openapi_schema


def _description_routes(app: FastAPI, run_blocking: RunBlocking) -> APIRouter:
    router = APIRouter()

    @router.get("/openapi.json", include_in_schema=False)
    async def describe() -> Response:
        """Return the OpenAPI schema; built off the event loop, because the first time takes long."""
        return json_response(await run_blocking(app.openapi))

    return router


def _operation_id(route: APIRoute) -> str:
    return f"{route.name}{route.path.replace('/', '_').replace('{', '').replace('}', '')}"


def _state_routes(service: SpeechService) -> APIRouter:
    router = APIRouter()

    async def live() -> Response:
        """Report that the server is alive."""
        return json_response({"status": "healthy"})

    async def ready() -> Response:
        """Report whether the default voice is warm; speech can be requested earlier."""
        health = service.health()
        if health.not_ready:
            return error_response(ApiError(503, health.not_ready, code=NOT_READY, kind="server_error"), "")
        told = {
            "status": "ready",
            "engines": list(health.engines),
            "device": health.device,
            "voices_loaded": health.voices_loaded,
        }
        return json_response(told | ({"degraded": health.degraded} if health.degraded else {}))

    async def status() -> Response:
        """Return the server's status."""
        return json_response(dict(await service.status()))

    async def metrics() -> Response:
        """Return the server's metrics in Prometheus' text format."""
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
