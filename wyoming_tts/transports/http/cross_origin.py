"""Cross-origin headers: CORS for the pages of listed sites, and what keeps others from embedding answers."""

from __future__ import annotations

from wyoming_tts.transports.http.access_rules import AccessRules
from wyoming_tts.transports.http.guard_request import GuardedRequest, Headers, Message, Send, encode_header
from wyoming_tts.transports.http.initiator import Initiator

_EXPOSED = (
    b"X-Request-ID, X-Sample-Rate, X-Voice, X-Voice-Reason, X-Download-Path, X-Timing-Path, Retry-After"
)
_PREFLIGHT_SECONDS = b"600"


async def allow_preflight(request: GuardedRequest, send: Send) -> None:
    """Answer a browser that asks what a page may send (CORS preflight)."""
    headers: Headers = [
        (b"access-control-allow-methods", b"GET, POST, PUT, DELETE, OPTIONS"),
        (b"access-control-max-age", _PREFLIGHT_SECONDS),
    ]
    if requested := request.first(b"access-control-request-headers"):
        headers.append((b"access-control-allow-headers", encode_header(requested)))
    if request.first(b"access-control-request-private-network"):
        headers.append((b"access-control-allow-private-network", b"true"))
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def with_cors(request: GuardedRequest, rules: AccessRules, send: Send) -> Send:
    """Add CORS headers to every response to a listed origin, refusals included."""
    origin = request.first(b"origin")
    if request.is_socket or not origin or not rules.origins.includes(origin):
        return send
    cors_headers = [
        (b"access-control-allow-origin", encode_header(origin)),
        (b"access-control-expose-headers", _EXPOSED),
        (b"vary", b"Origin"),
    ]

    async def sendwith_cors(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *cors_headers]}
        await send(message)

    return sendwith_cors


def with_isolation(request: GuardedRequest, rules: AccessRules, send: Send) -> Send:
    """Forbid other sites' pages to embed what a browser is answered (Cross-Origin-Resource-Policy)."""
    is_shared = rules.initiator(request) in {Initiator.ALLOWED_ORIGIN, Initiator.NOT_A_BROWSER}
    if request.is_socket or is_shared or rules.has_credential(request):
        return send

    async def send_isolated(message: Message) -> None:
        if message["type"] == "http.response.start":
            policy = (b"cross-origin-resource-policy", b"same-origin")
            message = {**message, "headers": [*message.get("headers", ()), policy]}
        await send(message)

    return send_isolated
