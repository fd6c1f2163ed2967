"""Pages that need nothing but themselves: while the real one is made, when it fails, and to ask for a key.

They are in the reader's language, dark where everything is dark, and load nothing.
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
try{const answer=await fetch("./",{method:"HEAD",cache:"no-store"});
if(answer.headers.get("X-Page")!=="loading"){location.reload();return}}catch{}
setTimeout(look,500)}
setTimeout(look,500);
"""


def _hash(source: str) -> str:
    return b64encode(sha256(source.encode()).digest()).decode()


_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_hash(_STYLE)}'; script-src 'sha256-{_hash(_SCRIPT)}'; "
    "connect-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'self'"
)
_TEXTS = MappingProxyType(
    {
        "en": {
            "loading": "The page is on its way",
            "loading_more": "The first visit takes a few seconds.",
            "failed": "The page could not be made",
            "failed_more": "The server speaks all the same. Its log tells the reason.",
            "login": "Who is there?",
            "login_more": "This server wants one of its API keys.",
            "key": "API key",
            "enter": "Come in",
            "wrong": "That key is not known here.",
            "slow": "Too many attempts. Try again in a minute.",
        },
        "de": {
            "loading": "Die Seite ist unterwegs",
            "loading_more": "Beim ersten Besuch dauert das einige Sekunden.",
            "failed": "Die Seite ist nicht zustande gekommen",
            "failed_more": "Der Server spricht trotzdem. Sein Protokoll nennt den Grund.",
            "login": "Wer ist da?",
            "login_more": "Dieser Server möchte einen seiner API-Schlüssel.",
            "key": "API-Schlüssel",
            "enter": "Eintreten",
            "wrong": "Dieser Schlüssel ist hier unbekannt.",
            "slow": "Zu viele Versuche. In einer Minute geht es wieder.",
        },
    }
)


@dataclass(frozen=True, slots=True)
class PlainPage:
    """A whole page."""

    body: bytes
    status: int = 200
    state: str = ""
    """What scripts are told of it: `loading`, `failed`."""

    @property
    def headers(self) -> Headers:
        """What goes with it."""
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
    """Return what is shown until there is more; it looks for that by itself.

    Args:
        accepted: The Accept-Language header.
    """
    return _page("loading", accepted, script=_SCRIPT, state="loading")


def failed_page(accepted: str) -> PlainPage:
    """Return what is shown when there will be no more."""
    return _page("failed", accepted, status=500, state="failed")


def login_page(accepted: str, *, status: int = 401, problem: str = "") -> PlainPage:
    """Return the question for a key; `problem` is the name of what was wrong with the last: wrong, slow."""
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
    """The first wish that can be met; browsers send them in order."""
    return next((code for code in parse_accept_language(accepted) if code in _TEXTS), "en")
