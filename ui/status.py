"""The tab that shows how the server is doing: built and kept up by `status.js` while somebody looks."""

from __future__ import annotations

from ui.scripts import scripted
from ui.words import Words
from wyoming_tts.page.status import StatusService
from wyoming_tts.page.status_routes import SETTINGS, STATUS


def tab(desk: StatusService, words: Words) -> None:
    """Put the tab's content where it is called; the desk answers through its own routes."""
    del desk
    scripted(
        "status",
        elem_id="status",
        min_height=640,
        texts=words.section("status"),
        paths={"status": STATUS, "settings": SETTINGS},
    )
