"""The web page's front end, made with Gradio: one module per tab, scripts in `js`, texts in `words`.

Importing any module of this package imports Gradio, after the patches that have to precede that.
"""

from __future__ import annotations

from ui.gradio_patches import quiet_environment, without_stub_writing

without_stub_writing()
with quiet_environment():
    import gradio  # noqa: F401
