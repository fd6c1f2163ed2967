"""WebSockets from the page's services to other servers, which end at the address that was named."""

from __future__ import annotations

from typing import Any

from websockets.asyncio.client import connect


class DirectWebSocket(connect):
    """Connects to that server itself: what is sent, tokens too, is for no other one.

    No redirect is followed, as it could lead anywhere: it ends as `InvalidStatus`, like any other refusal. No
    proxy is asked, as one of the internet reaches nothing in the house, and must not see what is sent.
    """

    def __init__(self, uri: str, **options: Any) -> None:
        super().__init__(uri, proxy=None, **options)

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Follow none."""
        return exc
