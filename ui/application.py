"""The page as an ASGI application: Gradio mounted with its patches, scripts and styles."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import gradio as gr
from fastapi import FastAPI
from gradio import caching

from ui import scripts
from ui.event_driven_queue import EventDrivenQueue
from ui.event_gate import EventGate
from ui.gradio_patches import (
    keep_no_statistics,
    log_no_values,
    refuse_foreign_files,
    use_event_driven_queue,
    use_lean_sessions,
    use_plain_locks,
)
from ui.layout import build, style, theme
from ui.words import Words
from wyoming_tts.page import PageServices

MAX_FILE_BYTES = 1_000_000
"""The limit of Gradio's own uploads, which no tab uses."""
_HEAD = '<meta name="color-scheme" content="light dark"><meta name="robots" content="noindex">'


def make_page(services: PageServices) -> FastAPI:
    """Make the page's application. Takes about a second, after the import of this module: blocks.

    It has no access control of its own: it has to be served behind `PageMount`.
    """
    patch()
    words = Words()
    return make_application(build(services, words), words)


def patch() -> None:
    """Apply the patches that have to precede the making of blocks."""
    use_plain_locks()
    use_event_driven_queue()
    use_lean_sessions()
    log_no_values()


def make_application(blocks: gr.Blocks, words: Words) -> FastAPI:
    """Mount Gradio blocks with the page's styles and none of Gradio's optional features."""
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
    app.add_middleware(
        EventGate, handlers=_handlers(blocks), queue=_queue(blocks), forget=partial(_forget, blocks)
    )
    return app


def _queue(blocks: gr.Blocks) -> EventDrivenQueue:
    queue = blocks._queue  # noqa: SLF001
    assert isinstance(queue, EventDrivenQueue), "`patch` was not called before the blocks were made."
    return queue


def _handlers(blocks: gr.Blocks) -> dict[int, int]:
    """Return how many values each handler on the server takes; the others run in the browser alone."""
    return {number: len(each.inputs) for number, each in blocks.fns.items() if each.fn is not None}


def _forget(blocks: gr.Blocks, session: str) -> None:
    """Drop everything that Gradio keeps of a session."""
    _queue(blocks).forget(session)
    holder = blocks.state_holder
    holder.delete_state(session)
    holder.session_data.pop(session, None)
    holder.time_last_used.pop(session, None)
    caching.clear_session_caches(session)
    blocks.pending_streams.pop(session, None)
    blocks.pending_diff_streams.pop(session, None)


def head() -> str:
    """Return the additions to the HTML head that Gradio makes."""
    style = Path(__file__).with_name("outer.css").read_text("utf-8")
    return f"{_HEAD}{scripts.preloads()}<style>{style}</style>"
