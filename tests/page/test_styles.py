"""The page's style sheets: what Gradio does to them, and which of them makes buttons and fields."""

from __future__ import annotations

import re

from ui.layout import SHARED_SHEETS, style, style_sheets

_RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
_CONTROL = re.compile(r"\b(button|input|select|textarea)(\[[^\]]*\])?$")
_LOOKS = re.compile(r"^\s*(background|border|border-color|border-radius|color|font)\s*:", re.MULTILINE)


def test_no_selector_has_a_list_in_parentheses_which_gradio_would_split() -> None:
    assert re.findall(r":(?:is|where|not|has)\([^)]*,[^)]*\)", style()) == []


def test_shared_sheets_come_first_so_that_a_tab_can_differ() -> None:
    assert tuple(style_sheets())[: len(SHARED_SHEETS)] == SHARED_SHEETS


def test_no_tab_has_buttons_and_fields_of_its_own_look() -> None:
    own = [
        f"{name}: {selector.strip()}"
        for name, sheet in style_sheets().items()
        if name not in SHARED_SHEETS
        for selectors, declarations in _RULE.findall(sheet)
        for selector in selectors.split(",")
        if _CONTROL.search(selector.strip()) and _LOOKS.search(declarations)
    ]
    assert own == []
