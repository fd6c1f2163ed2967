"""The initiator of a request: which web page, if any, made a browser send it (resource isolation policy).

A page of another site can make a browser send requests to this server without being allowed to read the
answers, so a request must be judged before it has an effect. Browsers tell where it comes from in up to three
headers, none of which a page can set:

* Sec-Fetch-Site (https://www.w3.org/TR/fetch-metadata/), with every request, but only to addresses that are
  potentially trustworthy: HTTPS and this machine itself. Over plain HTTP to `192.168.1.5` it is missing.
* Origin (https://fetch.spec.whatwg.org/#origin-header), with WebSockets, CORS requests and all methods except
  GET and HEAD. Media, images, scripts, frames and navigations, which are GETs without CORS, do not have it.
* Referer, with the others, unless the page asks for `no-referrer` or is itself on HTTPS.

So over plain HTTP a stranger's `<audio>` can come with none of them. It still looks like a browser, which
sends its User-Agent and Accept-Language with everything, and that sets it apart from a media player or curl.
"""

from __future__ import annotations

from enum import Enum, auto
from urllib.parse import urlsplit

from wyoming_tts.transports.access import AllowedOrigins
from wyoming_tts.transports.http.guard_request import GuardedRequest

PROOF_HEADER = b"x-page-visit"
"""Sent by the loading page. A page of another origin would need a preflight to send it, which is refused."""
_NOT_A_PAGE = "CrKey/"
"""In the User-Agent of Cast devices: browsers inside, but they show no sites."""
_OWN_SITES = frozenset({"same-origin", "none"})
"""Values of Sec-Fetch-Site; `none` is the browser's user. `same-site` is another origin: other ports, too."""


class Initiator(Enum):
    """What made the client send a request."""

    SAME_ORIGIN = auto()
    """One of this server's own pages, or the browser's user, who typed the address or used a bookmark."""
    ALLOWED_ORIGIN = auto()
    """A page that `cors_origins` lists."""
    NOT_A_BROWSER = auto()
    """A program that shows no web pages: curl, a media player, Home Assistant."""
    UNKNOWN = auto()
    """A browser that does not tell, or that prefetches what nobody has asked for yet."""
    CROSS_ORIGIN = auto()
    """A page of another origin that is not listed."""


def find_initiator(request: GuardedRequest, origins: AllowedOrigins, host: str) -> Initiator:
    """Find out what initiated a request; if its headers disagree, the worst of them counts.

    Args:
        request: The request.
        origins: The origins that are listed.
        host: The host that the browser sees, with its port.
    """
    claimed, referrer = request.all(b"origin"), origin_of(request.first(b"referer"))
    if not all(origins.allows(origin, host) for origin in claimed):
        return Initiator.CROSS_ORIGIN
    if origins.is_open or any(map(origins.includes, claimed)):
        return Initiator.ALLOWED_ORIGIN
    if site := request.first(b"sec-fetch-site").casefold():
        is_own = site in _OWN_SITES
        is_listed = not is_own and origins.includes(referrer)
        return _judge(is_own=is_own, is_listed=is_listed, is_prefetch=_is_prefetch(request))
    if claimed or request.first(PROOF_HEADER):
        return Initiator.SAME_ORIGIN
    if referrer:
        return _judge(is_own=origins.allows(referrer, host), is_listed=origins.includes(referrer))
    return Initiator.UNKNOWN if looks_like_browser(request) else Initiator.NOT_A_BROWSER


def _judge(*, is_own: bool, is_listed: bool, is_prefetch: bool = False) -> Initiator:
    if is_listed:
        return Initiator.ALLOWED_ORIGIN
    if not is_own:
        return Initiator.CROSS_ORIGIN
    return Initiator.UNKNOWN if is_prefetch else Initiator.SAME_ORIGIN


def is_navigation(request: GuardedRequest) -> bool:
    """Whether a browser's window or frame goes to that address, to show what is there."""
    mode = request.first(b"sec-fetch-mode")
    if not request.is_read:
        return False
    return mode == "navigate" if mode else looks_like_browser(request) and request.accepts_html


def is_top_level(request: GuardedRequest) -> bool:
    """Whether a navigation is that of a window; a frame's cannot be told apart without Sec-Fetch-Dest."""
    return request.first(b"sec-fetch-dest") in {"document", ""}


def looks_like_browser(request: GuardedRequest) -> bool:
    """Whether a browser sent it, which a page cannot conceal: it can neither set nor remove these headers."""
    agent = request.first(b"user-agent")
    is_browser = agent.startswith("Mozilla/") and bool(request.first(b"accept-language"))
    return is_browser and _NOT_A_PAGE not in agent


def _is_prefetch(request: GuardedRequest) -> bool:
    purposes = (request.first(name) for name in (b"sec-purpose", b"purpose", b"x-moz"))
    return any(purpose.startswith("prefetch") for purpose in purposes)


def origin_of(url: str) -> str:
    """The origin of a Referer without its path, which may hold anything; `null` for a malformed one."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "null"
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else url and "null"
