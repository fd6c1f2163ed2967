"""Precomputes an app's routes, so that the first request does not.

FastAPI analyses routes lazily on the first request, which takes tens of milliseconds on the event loop.
"""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp

_UNUSED_PATH = "/no-route-has-this-path"


def precompute_routes(app: ASGIApp) -> None:
    """Precompute every route of an app and of the apps mounted in it. Blocks meanwhile."""
    if not isinstance(app, Starlette):
        return
    if app.middleware_stack is None:
        app.middleware_stack = app.build_middleware_stack()
    scope = {"type": "http", "method": "GET", "path": _UNUSED_PATH, "headers": [], "path_params": {}}
    for route in app.routes:
        if isinstance(route, Mount):
            precompute_routes(route.app)
        else:
            route.matches(scope)
