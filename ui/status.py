"""The Status tab: built and refreshed by `ui/js/status.js` while it is visible."""

from __future__ import annotations

from ui.script_element import script_element
from ui.words import Words
from wyoming_tts.page import paths


def tab(words: Words) -> None:
    """Build the tab in the current Gradio context."""
    script_element(
        "status",
        elem_id="status",
        waits_until_seen=True,
        min_height=640,
        texts=words.section("status"),
        download_texts=words.section("downloads"),
        paths={"status": paths.STATUS, "settings": paths.SETTINGS, "report": paths.REPORT},
    )
