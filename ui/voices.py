"""The Voices tab with the lexicon editor: built by scripts that call the routes of `wyoming_tts.page`."""

from __future__ import annotations

from ui.script_element import script_element
from ui.words import Words
from wyoming_tts.page import paths


def tab(words: Words) -> None:
    """Build the tab in the current Gradio context."""
    texts = words.section("voices")
    script_element(
        "voices",
        elem_id="voices",
        waits_until_seen=True,
        min_height=640,
        texts=texts,
        download_texts=words.section("downloads"),
        path=paths.VOICES,
    )
    script_element(
        "lexicon",
        elem_id="voices-lexicon",
        waits_until_seen=True,
        min_height=420,
        texts=texts,
        path=paths.LEXICON,
    )
