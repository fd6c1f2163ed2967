"""The page's layout: its tabs in order, and the theme and styles that they share."""

from __future__ import annotations

from importlib.resources import files

import gradio as gr

from ui import audition, blending, player_bar, status, stream_test, voices
from ui.words import Words

SANS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
MONO = ("ui-monospace", "Cascadia Mono", "Consolas", "monospace")
"""System fonts only: a web font would be requested from another server."""
SHARED_SHEETS = ("base.css", "fields.css")
FIRST_SCRIPTS = ("audition", "player_bar")
"""The scripts of what is in sight at first."""


def build(words: Words | None = None) -> gr.Blocks:
    """Build the page. Reads files and takes about 200 ms: blocks."""
    words = words or Words()
    blocks = gr.Blocks(title=words.text("page.title"), analytics_enabled=False, fill_width=False)
    with blocks:
        with gr.Tabs(elem_id="tabs"):
            with _tab("audition", words):
                audition.tab(words)
            with _tab("blend", words):
                blending.tab(words)
            with _tab("stream_test", words):
                stream_test.tab(words)
            with _tab("voices", words):
                voices.tab(words)
            with _tab("status", words):
                status.tab(words)
        player_bar.bar(words)
    return blocks


def _tab(name: str, words: Words) -> gr.Tab:
    return gr.Tab(words(f"page.{name}"), id=name, elem_id=f"tab-{name}")


def theme() -> gr.themes.Base:
    """Return colours, fonts and spacing; accent and gap are also CSS variables of `base.css`."""
    base = gr.themes.Base(primary_hue="indigo", neutral_hue="slate", font=SANS, font_mono=MONO)
    return base.set(
        color_accent="*primary_600",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_300",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_dark="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_background_fill_hover_dark="*primary_500",
        button_primary_text_color="white",
        button_primary_text_color_dark="white",
    )


def style() -> str:
    """Return the CSS of all tabs, shared rules first. Reads files: blocks."""
    sheets = (sheet for sheet in files("ui").joinpath("style").iterdir() if sheet.name.endswith(".css"))
    ordered = sorted(sheets, key=lambda sheet: (sheet.name not in SHARED_SHEETS, sheet.name))
    return "\n".join(sheet.read_text(encoding="utf-8") for sheet in ordered)
