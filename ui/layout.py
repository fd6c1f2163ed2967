"""The page's layout: its tabs in order, and the theme and styles that they share."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from ui import audition, blending, player_bar, status, stream_test, voices
from ui.patched_gradio import gr
from ui.script_element import script_element
from ui.words import Words

SANS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
MONO = ("ui-monospace", "Cascadia Mono", "Consolas", "monospace")
"""System fonts only: a web font would be requested from another server."""
SHARED_SHEETS = ("base.css", "fields.css")

_TABS = {
    "audition": audition.tab,
    "blend": blending.tab,
    "stream_test": stream_test.tab,
    "voices": voices.tab,
    "status": status.tab,
}
_TITLE = '<h1 class="unseen" data-text="title"></h1>'


def localization(words: Words) -> gr.I18n:
    """Return the labels of tabs in all languages: the browser shows those of its own."""
    return gr.I18n(**words.labels())


def tab_label(words: Words, name: str) -> Any:
    """Return a placeholder, which the browser replaces by the label in its language.

    Raises:
        KeyError: there is no text of that name.
    """
    words.text(name)
    return localization(words)(name)


def build(words: Words | None = None) -> gr.Blocks:
    """Build the page. Reads files and takes about 200 ms: blocks."""
    words = words or Words()
    blocks = gr.Blocks(title=words.text("page.title"), analytics_enabled=False, fill_width=False)
    with blocks:
        script_element("tabs", _TITLE, elem_id="page-title", texts=words.section("page"), names=list(_TABS))
        with gr.Tabs(elem_id="tabs", overflow_behavior="wrap"):
            for name, tab in _TABS.items():
                with gr.Tab(tab_label(words, f"page.{name}"), id=name, elem_id=f"tab-{name}"):
                    tab(words)
        player_bar.bar(words)
    return blocks


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
    return "\n".join(style_sheets().values())


def style_sheets() -> dict[str, str]:
    """Return the style sheets by file name, shared ones first. Reads files: blocks."""
    sheets = (sheet for sheet in files("ui").joinpath("style").iterdir() if sheet.name.endswith(".css"))
    ordered = sorted(sheets, key=lambda sheet: (sheet.name not in SHARED_SHEETS, sheet.name))
    return {sheet.name: sheet.read_text(encoding="utf-8") for sheet in ordered}
