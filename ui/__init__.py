"""The web page, made with Gradio. Importing anything of it imports Gradio, which is told how to behave."""

from __future__ import annotations

import os

from ui.quick_import import without_stub_writing

# Gradio reads these once, when it is imported: it is to ask nobody if it is new enough, and to tell nobody.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

without_stub_writing()
