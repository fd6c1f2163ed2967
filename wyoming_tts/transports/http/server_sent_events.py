"""Server-sent events (SSE): a response of JSON events, as EventSource and OpenAI's clients read them."""

from __future__ import annotations

from typing import Final

EVENT_STREAM: Final = "text/event-stream"
"""The media type."""
UNBUFFERED: Final = {"X-Accel-Buffering": "no", "Cache-Control": "no-store"}
"""Headers by which proxies pass each event on at once, and keep none."""


def encode_json_event(content: str) -> bytes:
    """Encode an event of JSON, which has no line breaks: they are escaped in its strings."""
    return f"data: {content}\n\n".encode()
