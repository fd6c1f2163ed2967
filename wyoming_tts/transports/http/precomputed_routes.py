"""Has an app's routes worked out before somebody asks for them.

FastAPI puts off to the first request what takes tens of milliseconds, and would do it on the event loop.
"""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp

_NOBODYS_PATH = "/a-path-of-nobody"


def precompute_routes(app: ASGIApp) -> None:
    """Have every route of an app, and of those mounted in it, find out what it answers; blocks meanwhile."""
    if not isinstance(app, Starlette):
        return
    if app.middleware_stack is None:
        app.middleware_stack = app.build_middleware_stack()
    scope = {"type": "http", "method": "GET", "path": _NOBODYS_PATH, "headers": [], "path_params": {}}
    for route in app.routes:
        if isinstance(route, Mount):
            precompute_routes(route.app)
        else:
            route.matches(scope)
