"""The page as an ASGI application."""

from __future__ import annotations

from pathlib import Path

import gradio as gr
from fastapi import FastAPI

from ui import scripts
from ui.app import build, style, theme
from ui.gradio_patches import keep_no_statistics, refuse_foreign_files, use_plain_locks
from ui.words import Words
from wyoming_tts.page import PageServices

MAX_FILE_BYTES = 1_000_000
"""Of what Gradio itself takes: no tab uploads that way."""
_HEAD = '<meta name="color-scheme" content="light dark"><meta name="robots" content="noindex">'


def mounted(desks: PageServices) -> FastAPI:
    """Make the page's application. Takes a second beside what importing this took: blocks.

    It guards nothing by itself: it is made to stand behind `PageMount`.
    """
    use_plain_locks()
    words = Words()
    return application(build(desks, words), words)


def application(blocks: gr.Blocks, words: Words) -> FastAPI:
    """Make an application of blocks, with the look of the page and nothing that Gradio adds of its own."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.router.routes.append(scripts.route())
    gr.mount_gradio_app(
        app,
        blocks,
        path="/",
        theme=theme(),
        css=style(),
        head=head(),
        i18n=words.i18n,
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        mcp_server=False,
        pwa=False,
        enable_monitoring=False,
        max_file_size=MAX_FILE_BYTES,
        app_kwargs={"openapi_url": None},
    )
    keep_no_statistics(blocks)
    refuse_foreign_files(blocks)
    return app


def head() -> str:
    """Return what stands in the page's head beside what Gradio puts there."""
    style = Path(__file__).with_name("outer.css").read_text("utf-8")
    return f"{_HEAD}{scripts.preloads()}<style>{style}</style>"
