"""Log lines and errors quoted in docs/troubleshooting.md exist in the code."""

from __future__ import annotations

import ast

from tests.docs.pages import ROOT, Page

PAGE = Page(ROOT / "docs" / "troubleshooting.md")
_COMMANDS = ("-", "Authorization: ", "docker ", "journalctl ", "pip ", "wyoming-tts ")


def test_every_quoted_message_is_a_prefix_of_one_in_the_code() -> None:
    """Compared up to the first `…`, which stands for a variable part."""
    quoted = [
        span for span in PAGE.code_spans() if " " in span and not span.startswith((*_COMMANDS, "Retry-After"))
    ]
    literals = _literals()
    assert len(quoted) > 8
    missing = [span for span in quoted if span.partition("…")[0].strip() not in literals]
    assert not missing, missing


def _literals() -> str:
    """All string literals in the code; of f-strings only the constant parts."""
    files = [file for top in ("wyoming_tts", "ui") for file in (ROOT / top).rglob("*.py")]
    nodes = (node for file in files for node in ast.walk(ast.parse(file.read_text("utf-8"))))
    return "\n".join(
        node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
