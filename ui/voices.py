"""The tab of the voices and of the lexicon: built by its scripts, which ask the desk's own routes."""

from __future__ import annotations

from importlib.resources import files

import gradio as gr

from ui.words import Words
from wyoming_tts.page.voice_routes import LEXICON, VOICES
from wyoming_tts.page.voices import VoiceDesk


def tab(desk: VoiceDesk, words: Words) -> None:
    """Put the tab's content where it is called; the desk answers through its own routes."""
    del desk
    texts = words.section("voices")
    _script("voices", "voices", texts=texts, path=VOICES, min_height=640)
    _script("lexicon", "voices-lexicon", texts=texts, path=LEXICON, min_height=420)


def _script(name: str, elem_id: str, *, texts: dict[str, dict[str, str]], path: str, min_height: int) -> None:
    script = files("ui").joinpath(f"{name}.js").read_text(encoding="utf-8")
    gr.HTML(
        "",
        html_template="",
        js_on_load=script,
        elem_id=elem_id,
        apply_default_css=False,
        min_height=min_height,
        texts=texts,
        path=path,
    )
