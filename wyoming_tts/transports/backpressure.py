"""Backpressure of a connection: sending waits until the client has read enough of what was sent before.

A stream is computed no further than its transport pulls, and a transport pulls its next chunk only once the
one before is sent. So a client that reads slowly slows its stream down; one that stops reading stops it, and
is dropped after the send timeout. All transports send through `send_under_backpressure`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable


class ClientStalled(Exception):
    """The client read nothing for the send timeout."""


async def send_under_backpressure(sending: Awaitable[object], *, send_timeout: float) -> None:
    """Await what writes a message and waits for room in the client's buffers.

    Args:
        sending: writes and drains; other exceptions of it are passed on.
        send_timeout: seconds.

    Raises:
        ClientStalled: there was no room within `send_timeout`.
    """
    try:
        async with asyncio.timeout(send_timeout):
            await sending
    except TimeoutError:
        raise ClientStalled(f"The client read nothing for {send_timeout:g} s.") from None
    # Sending does not yield while the buffer has room: a fast engine with a fast client would otherwise
    # starve every other task.
    await asyncio.sleep(0)
