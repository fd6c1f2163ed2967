"""The web page, made with Gradio. Importing anything of it imports Gradio, which is told how to behave."""

from __future__ import annotations

import os

from ui.quick_import import without_stub_writing

# Gradio reads these once, when it is imported: it is to ask nobody if it is new enough, and to tell nobody.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
_ASKS_NOBODY = "HF_HUB_OFFLINE"
_is_ours = _ASKS_NOBODY not in os.environ
os.environ.setdefault(_ASKS_NOBODY, "1")

without_stub_writing()

import gradio  # noqa: E402, F401

if _is_ours:
    del os.environ[_ASKS_NOBODY]  # it is also a setting of the server's, which may fetch voices
