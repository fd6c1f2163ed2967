"""The page as an ASGI application: Gradio mounted with its patches, scripts and styles."""

from __future__ import annotations

import json
from pathlib import Path

from fastapi import FastAPI

from ui.layout import build, localization, style, theme
from ui.patched_gradio import gr
from ui.words import Words

MAX_FILE_BYTES = 1_000_000
"""The limit of Gradio's own uploads, which no tab uses."""
ICON = Path(__file__).with_name("icon.svg")
"""The icon of the browser's tab; without it Gradio shows its own."""
_HEAD = '<meta name="color-scheme" content="light dark"><meta name="robots" content="noindex">'


def make_page() -> FastAPI:
    """Make the page's application, for `prerender`: nobody else talks to it."""
    words = Words()
    return make_application(build(words), words)


def make_application(blocks: gr.Blocks, words: Words) -> FastAPI:
    """Mount Gradio blocks with the page's styles and none of Gradio's optional features."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    gr.mount_gradio_app(
        app,
        blocks,
        path="/",
        favicon_path=str(ICON),
        theme=theme(),
        css=style(),
        head=head(),
        i18n=localization(words),
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        mcp_server=False,
        pwa=False,
        enable_monitoring=False,
        max_file_size=MAX_FILE_BYTES,
        app_kwargs={"openapi_url": None},
    )
    return app


def head() -> str:
    """Return the additions to the HTML head that Gradio makes."""
    style = Path(__file__).with_name("outer.css").read_text("utf-8")
    return f"{_HEAD}<style>{style}</style>{_shared_texts()}"


def _shared_texts() -> str:
    """Return the texts of all tabs' scripts, for `ui/js/problems.js` and `ui/js/voice_names.js`."""
    return "".join(_texts_element(section) for section in ("problem", "names"))


def _texts_element(section: str) -> str:
    texts = json.dumps(Words().section(section), ensure_ascii=False).replace("<", "\\u003c")
    return f'<script type="application/json" id="{section}-texts">{texts}</script>'
