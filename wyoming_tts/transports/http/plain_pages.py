"""Self-contained HTML pages: while the web page loads, when it failed, for the login and for a player.

They follow the browser's language and colour scheme, and load no resources.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from types import MappingProxyType

from wyoming_tts.languages import parse_accept_language
from wyoming_tts.transports.http.guard_request import Headers

_STYLE = """
:root{color-scheme:light dark}
body{margin:0;min-height:100vh;display:grid;place-items:center;font:16px/1.5 system-ui,sans-serif;
background:#f8fafc;color:#0f172a}
main{max-width:24rem;padding:24px;text-align:center}
h1{font-size:1.25rem;margin:0 0 8px}
p{margin:0 0 16px}
label{display:block;text-align:start;margin-bottom:4px}
input,button{font:inherit;width:100%;box-sizing:border-box;padding:10px;border-radius:8px;margin-bottom:12px}
input{border:1px solid #64748b;background:#fff;color:inherit}
button{border:0;background:#4f46e5;color:#fff;cursor:pointer}
:focus-visible{outline:2px solid #4f46e5;outline-offset:2px}
[role=alert]{color:#b91c1c}
@media (prefers-color-scheme:dark){body{background:#0f172a;color:#f1f5f9}input{background:#1e293b}
:focus-visible{outline-color:#a5b4fc}[role=alert]{color:#fca5a5}}
"""
_SCRIPT = """
async function look(){
if(document.prerendering){document.addEventListener("prerenderingchange",look,{once:true});return}
try{const answer=await fetch("./",{method:"HEAD",cache:"no-store",headers:{"X-Page-Visit":"1"}});
if(answer.headers.get("X-Page")!=="loading"){location.reload();return}}catch{}
setTimeout(look,100)}
look();
"""


def _hash(source: str) -> str:
    return b64encode(sha256(source.encode()).digest()).decode()


_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_hash(_STYLE)}'; script-src 'sha256-{_hash(_SCRIPT)}'; "
    "connect-src 'self'; media-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'self'"
)
_TEXTS = MappingProxyType(
    {
        "en": {
            "loading": "Loading the page",
            "loading_more": "The first visit takes a few seconds.",
            "visit": "Wyoming TTS",
            "visit_more": "Another site has opened this address.",
            "open": "Open the page",
            "player": "Speech",
            "player_more": "Press play to hear it.",
            "failed": "The page failed to load",
            "failed_more": "The server still speaks. Its log has the reason.",
            "login": "Sign in",
            "login_more": "This server requires one of its API keys.",
            "key": "API key",
            "enter": "Sign in",
            "wrong": "This key is not valid.",
            "slow": "Too many attempts. Try again in a minute.",
        },
        "de": {
            "loading": "Die Seite wird geladen",
            "loading_more": "Beim ersten Besuch dauert das einige Sekunden.",
            "visit": "Wyoming TTS",
            "visit_more": "Eine andere Website hat diese Adresse geöffnet.",
            "open": "Seite öffnen",
            "player": "Sprache",
            "player_more": "Mit der Wiedergabetaste wird vorgelesen.",
            "failed": "Die Seite konnte nicht geladen werden",
            "failed_more": "Der Server spricht trotzdem. Sein Protokoll nennt den Grund.",
            "login": "Anmelden",
            "login_more": "Dieser Server verlangt einen seiner API-Schlüssel.",
            "key": "API-Schlüssel",
            "enter": "Anmelden",
            "wrong": "Dieser Schlüssel ist nicht gültig.",
            "slow": "Zu viele Versuche. Bitte in einer Minute erneut versuchen.",
        },
    }
)


@dataclass(frozen=True, slots=True)
class PlainPage:
    """A complete HTML page as an HTTP response."""

    body: bytes
    status: int = 200
    state: str = ""
    """The X-Page header, read by scripts: `loading`, `visit`, `failed` or empty."""

    @property
    def headers(self) -> Headers:
        """The response headers."""
        return [
            (b"content-type", b"text/html; charset=utf-8"),
            (b"content-length", str(len(self.body)).encode()),
            (b"cache-control", b"no-store"),
            (b"content-security-policy", _POLICY.encode()),
            (b"referrer-policy", b"same-origin"),
            (b"x-content-type-options", b"nosniff"),
            (b"x-page", self.state.encode()),
        ]


def loading_page(accepted: str) -> PlainPage:
    """Build the page shown while the web page loads; it reloads itself when that is ready.

    Args:
        accepted: The Accept-Language header.
    """
    return _page("loading", accepted, script=_SCRIPT, state="loading")


def visit_page(accepted: str) -> PlainPage:
    """Build the page for a visitor whom another site has sent; only its link loads the web page."""
    link = f'<p><a href="./">{escape(_texts(accepted)["open"])}</a></p>'
    return _page("visit", accepted, more=link, state="visit")


def player_page(accepted: str, query: bytes) -> PlainPage:
    """Build a player for speech at an address; it requests nothing until it is started.

    Args:
        accepted: The Accept-Language header.
        query: The query string of the speech.
    """
    source = escape(f"?{query.decode(errors='replace')}")
    return _page("player", accepted, more=f'<audio controls preload="none" src="{source}"></audio>')


def failed_page(accepted: str) -> PlainPage:
    """Build the page shown when the web page failed to load."""
    return _page("failed", accepted, status=500, state="failed")


def login_page(accepted: str, *, status: int = 401, problem: str = "") -> PlainPage:
    """Build the login form; `problem` names what was wrong with the last attempt: `wrong` or `slow`."""
    texts = _texts(accepted)
    alert = f'<p role="alert">{escape(texts[problem])}</p>' if problem else ""
    form = (
        f'{alert}<form method="post" action="login"><label for="key">{escape(texts["key"])}</label>'
        '<input id="key" name="key" type="password" autocomplete="current-password" required autofocus>'
        f"<button>{escape(texts['enter'])}</button></form>"
    )
    return _page("login", accepted, status=status, more=form)


def _page(
    name: str, accepted: str, *, status: int = 200, script: str = "", more: str = "", state: str = ""
) -> PlainPage:
    texts, language = _texts(accepted), _language(accepted)
    title = escape(texts[name])
    body = (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<link rel="icon" href="data:,"><style>{_STYLE}</style></head>'
        f'<body><main><h1>{title}</h1><p role="status">{escape(texts[f"{name}_more"])}</p>{more}</main>'
        f"{f'<script>{script}</script>' if script else ''}</body></html>"
    )
    return PlainPage(body.encode(), status, state)


def _texts(accepted: str) -> dict[str, str]:
    return _TEXTS[_language(accepted)]


def _language(accepted: str) -> str:
    """Return the first accepted language that has texts, else English."""
    return next((code for code in parse_accept_language(accepted) if code in _TEXTS), "en")
