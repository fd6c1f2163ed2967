"""Gradio's state of a session without descriptions of all components, which take nine tenths of its memory.

They are for deep links, which are not served here. What an event changes is described when it does.
"""

from __future__ import annotations

from types import SimpleNamespace

import gradio as gr
from gradio.state_holder import SessionState


class LeanSessionState(SessionState):
    """A session that describes a component once an event has changed it."""

    def __init__(self, blocks: gr.Blocks) -> None:
        # Gradio describes those of `blocks` that are in the default configuration, too.
        without_blocks = SimpleNamespace(default_config=blocks.default_config, blocks={})
        super().__init__(without_blocks)  # type: ignore[arg-type]
