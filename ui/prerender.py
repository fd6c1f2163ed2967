"""Prerenders the page: everything that a browser loads of it, as files, in a process of its own.

The page has no events of Gradio's, so what Gradio makes of it never changes. `wyoming_tts.page.prerendered`
runs `main` once for each version, keeps the files and serves them: the server itself never imports Gradio.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from ui import scripts
from ui.application import make_page
from ui.front_end import page_assets
from ui.gradio_patches import without_loading_timer
from ui.patched_gradio import gr
from wyoming_tts.page import paths

FRONT_END = Path(gr.__file__).parent / "templates" / "frontend"
_HOST = "http://page.invalid"
_FETCHED = ("/theme.css", "/manifest.json", "/favicon.ico", "/robots.txt")
_FOREVER = "private, max-age=31536000, immutable"
_REVALIDATED = "private, no-cache"
_TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}

_MANIFEST = re.compile(r'<link rel="manifest" href="/manifest.json"\s*/?>')
_LINKS = '<link rel="manifest" href="./manifest.json"><link rel="icon" href="./favicon.ico">'
_SOCIAL_META = re.compile(r'\s*<meta\s+(?:property|name)="(?:og|twitter):[^>]*>')
_EXTERNAL_LINK = re.compile(r'\s*<link\s[^>]*href="(?:https?:)?//[^>]*>')
_SCRIPT = re.compile(r"\s*<script\b[^>]*>.*?</script>", re.DOTALL)
_IFRAME_RESIZER = "iframeResizer"
"""For pages of another site around this one, which the content security policy forbids."""
_APP_ID = re.compile(r'"app_id":\d+')
"""Random; it tells Gradio's events to reload the page, of which there are none."""
_SCRIPT_LINK = '<link rel="modulepreload" href="./assets/{}">'
_STYLE_LINK = '<link rel="stylesheet" crossorigin href="./assets/{}">'
_UNUSED_STYLE_LINK = '<link rel="stylesheet" disabled href="./assets/{}">'
"""Browsers do not load it. Gradio's scripts find it, and load no style sheet that the joined one has."""
_VOICES_LINK = f'<link rel="preload" as="fetch" crossorigin href="./{paths.VOICES}">'
"""The script that asks for the voices runs late: Gradio comes first."""
_BASE = '<base href="./" />'
_ROOT = f'"root":"{_HOST}"'
_ROOT_OF_DOCUMENT = '"root":new URL(".",document.baseURI).href.slice(0,-1)'
"""By whatever address and prefix a browser has come."""


def main() -> None:
    """Write the files of the page to standard output, as JSON."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what Gradio prints
    with out:
        out.write(json.dumps({"files": prerender()}).encode())


def prerender() -> dict[str, list[str]]:
    """Return media type, caching and the content, compressed with gzip, in base64, of each path."""
    return {path: [kind, caching, _packed(body)] for path, kind, caching, body in _files(make_page())}


def _files(app: FastAPI) -> Iterator[tuple[str, str, str, bytes]]:
    index, *fetched = asyncio.run(_fetch(app, ("/", *_FETCHED)))
    assets = page_assets(FRONT_END / "assets", index.text)
    style = "\n".join((FRONT_END / "assets" / name).read_text("utf-8") for name in assets if _is_style(name))
    style_name = f"page-{hashlib.sha256(style.encode()).hexdigest()[:8]}.css"
    own_index = rewrite_index(index.text, assets, style_name)
    yield "/", index.headers["content-type"], _REVALIDATED, own_index.encode()
    yield f"/assets/{style_name}", _TYPES[".css"], _FOREVER, style.encode()
    for path, answer in zip(_FETCHED, fetched, strict=True):
        yield path, answer.headers["content-type"], _REVALIDATED, answer.content
    for path, text in scripts.files().items():
        yield f"/{path}", _TYPES[".js"], _FOREVER, text.encode()
    for asset in assets:
        content = (FRONT_END / "assets" / asset).read_text("utf-8")
        yield (
            f"/assets/{asset}",
            _TYPES[Path(asset).suffix],
            _FOREVER,
            without_loading_timer(content).encode(),
        )


async def _fetch(app: Any, paths: Sequence[str]) -> list[httpx.Response]:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url=_HOST) as client:
        return [(await client.get(path)).raise_for_status() for path in paths]


def _packed(body: bytes) -> str:
    return base64.b64encode(gzip.compress(body, mtime=0)).decode()


def _is_style(name: str) -> bool:
    return name.endswith(".css")


def rewrite_index(index: str, assets: Sequence[str], style: str) -> str:
    """Rewrite the page's HTML as Gradio makes it.

    Its links become relative; those to other sites and what is unused are removed. What its scripts will
    import, and the voices, are loaded at once, and not in turns as each becomes known. The same page becomes
    the same bytes.

    Args:
        index: The HTML.
        assets: Names of Gradio's scripts and style sheets that the page needs, in their order.
        style: Name of the style sheet that has all of those, joined.
    """
    own = _SOCIAL_META.sub("", index)
    own = _EXTERNAL_LINK.sub("", own)
    own = _SCRIPT.sub(lambda script: "" if _IFRAME_RESIZER in script[0] else script[0], own)
    own = _APP_ID.sub('"app_id":1', own)
    own = _MANIFEST.sub(_LINKS, own).replace(_ROOT, _ROOT_OF_DOCUMENT)
    sheets = [name for name in assets if _is_style(name)]
    for sheet in sheets:
        own = own.replace(_STYLE_LINK.format(sheet), "")  # they come first, below: others override them
    modules = "".join(_SCRIPT_LINK.format(name) for name in assets if not _is_style(name))
    styles = _STYLE_LINK.format(style) + "".join(map(_UNUSED_STYLE_LINK.format, sheets)) if sheets else ""
    return own.replace(_BASE, f"{_BASE}{styles}{scripts.preload()}{modules}{_VOICES_LINK}", 1)
