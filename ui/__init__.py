"""The web page, made with Gradio. Importing anything of it imports Gradio, which is told how to behave."""

from __future__ import annotations

from ui.gradio_patches import quiet_environment, without_stub_writing

without_stub_writing()
with quiet_environment():
    import gradio  # noqa: F401
