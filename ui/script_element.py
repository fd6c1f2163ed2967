"""Gradio components that a script of the page fills."""

from __future__ import annotations

from typing import Any

from ui.patched_gradio import gr
from ui.scripts import mounting


def script_element(
    name: str,
    content: str = "",
    *,
    elem_id: str,
    min_height: int | None = None,
    waits_until_seen: bool = False,
    **props: Any,
) -> gr.HTML:
    """Add an element that the `mount` function of the module `name` fills.

    Args:
        name: Name of the script without suffix.
        content: Initial HTML, which stays in the element.
        elem_id: ID of the element.
        min_height: In pixels, to avoid layout shifts when it is filled.
        waits_until_seen: Whether the module is loaded once the element is in sight, as that of a tab which
            few visitors open.
        props: Values passed to the script as JSON.
    """
    return gr.HTML(
        content,
        html_template="${value}" if content else "",
        js_on_load=mounting(name, waits_until_seen=waits_until_seen),
        elem_id=elem_id,
        elem_classes=["tts"],  # `style/fields.css`
        apply_default_css=False,
        min_height=min_height,
        **props,
    )
