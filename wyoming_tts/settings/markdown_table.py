"""The table of all settings for the documents, in Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from wyoming_tts.settings.descriptions import SETTINGS


def settings_table() -> str:
    """Return all settings as a Markdown table, by group, without a final line break."""
    return "\n".join(_table_lines())


def _table_lines() -> Iterator[str]:
    yield _row("Setting", "Flag", "Environment", "Default", "Meaning")
    yield _row(*["---"] * 5)
    for group, settings in groupby(SETTINGS, lambda info: info.group):
        yield _row(f"**{group.value}**", "", "", "", "")
        for info in settings:
            yield _row(
                _code(info.name), _code(*info.flags), _code(*info.variables), info.default, info.meaning
            )


def _row(*cells: str) -> str:
    escaped = (cell.replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(escaped)} |"


def _code(*names: str) -> str:
    return ", ".join(f"`{name}`" for name in names)
