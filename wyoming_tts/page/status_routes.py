"""What the page's status asks for while somebody looks at it.

Plain requests of the page's own, and not events of Gradio: those pass through its queue, which answers by a
stream that stays open, and a timer of it asks on while the tab is hidden.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query, Response

from wyoming_tts.page.status import StatusService
from wyoming_tts.transports.http.errors import json_response

STATUS = "page/status.json"
SETTINGS = "page/settings.json"
"""Below where the page is."""


def status_routes(desk: StatusService) -> APIRouter:
    """Return the routes, of no interest to others than the page."""
    router = APIRouter(include_in_schema=False)

    @router.get(f"/{STATUS}")
    async def status(after: Annotated[int, Query(ge=0)] = 0) -> Response:
        """Tell how the server is doing, with the lines of the log that come after that number."""
        return json_response(asdict(await desk.status(log_after=after)))

    @router.get(f"/{SETTINGS}")
    async def settings() -> Response:
        """Tell the settings in force."""
        return json_response([asdict(setting) for setting in desk.settings()])

    return router
