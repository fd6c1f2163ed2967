"""The guide for websites, docs/website.md: its files."""

from __future__ import annotations

import re

from tests.docs.pages import ROOT, SHELL, Page

_GUIDE = Page(ROOT / "docs" / "website.md")
_NAME = re.compile(r"(?:#|//|<!--) ([\w.]+)")


def files_of_the_guide() -> dict[str, str]:
    """The guide's files by the names in their first lines; a block of none is a command."""
    found = {}
    for block in _GUIDE.blocks():
        name = _NAME.match(block.text)
        assert name or block.language in SHELL, f"{block} has no name in its first line"
        if name:
            found[name[1]] = block.text
    return found
