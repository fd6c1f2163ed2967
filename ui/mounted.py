"""The page as an ASGI application."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import gradio as gr
from fastapi import FastAPI
from gradio import queueing, utils

from ui.app import build, style, theme
from ui.words import Words
from wyoming_tts.page import Desks

MAX_FILE_BYTES = 1_000_000
"""Of what Gradio itself takes: no tab uploads that way."""
_MOST_EVENTS = 200
_HEAD = '<meta name="color-scheme" content="light dark"><meta name="robots" content="noindex">'


def mounted(desks: Desks) -> FastAPI:
    """Make the page's application. Takes a second beside what importing this took: blocks.

    It guards nothing by itself: it is made to stand behind `PageMount`.
    """
    _use_plain_locks()
    words = Words()
    return application(build(desks, words), words)


def application(blocks: gr.Blocks, words: Words) -> FastAPI:
    """Make an application of blocks, with the look of the page and nothing that Gradio adds of its own."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
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
    _keep_no_statistics(blocks)
    blocks.has_launched = True  # or files would be taken from whatever path a client names
    return app


def head() -> str:
    """Return what stands in the page's head beside what Gradio puts there."""
    return f"{_HEAD}<style>{Path(__file__).with_name('outer.css').read_text('utf-8')}</style>"


def _use_plain_locks() -> None:
    """Gradio makes an event loop for each of its locks where none runs, and closes none; they need none."""
    utils.safe_get_lock = asyncio.Lock
    vars(queueing)["safe_get_lock"] = asyncio.Lock
    utils.safe_get_stop_event = asyncio.Event


class _Forgetful(dict[str, Any]):
    """A dictionary that lets go of its oldest entries."""

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key, value)
        if len(self) > _MOST_EVENTS:
            del self[next(iter(self))]


def _keep_no_statistics(blocks: gr.Blocks) -> None:
    """Gradio notes every event for ever, and sums all of them up after each, for a page that nobody sees."""
    queue = blocks._queue  # noqa: SLF001 - there is no switch for it
    queue.event_analytics = _Forgetful()
    vars(queue)["compute_analytics_summary"] = lambda _events: None
