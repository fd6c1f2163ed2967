"""Gradio, imported after the patches that have to precede that: `from ui.patched_gradio import gr`.

The import takes seconds, so only what builds the page has it: texts and scripts are read without.
"""

from __future__ import annotations

from ui.gradio_patches import quiet_environment, without_stub_writing

without_stub_writing()
with quiet_environment():
    import gradio as gr

__all__ = ["gr"]
