"""The tab of the voices and of the lexicon: built by its scripts, which ask the desk's own routes."""

from __future__ import annotations

from ui.scripts import scripted
from ui.words import Words
from wyoming_tts.page.voices import VoiceService
from wyoming_tts.page.voices_routes import LEXICON, VOICES


def tab(desk: VoiceService, words: Words) -> None:
    """Put the tab's content where it is called; the desk answers through its own routes."""
    del desk
    texts = words.section("voices")
    scripted("voices", elem_id="voices", min_height=640, texts=texts, path=VOICES)
    scripted("lexicon", elem_id="voices-lexicon", min_height=420, texts=texts, path=LEXICON)
