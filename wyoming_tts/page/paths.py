"""Paths of the page's services, relative to the page: all that the page itself knows of them.

They are apart from the services because these import most of the server, which takes longer than to make the
page.
"""

from __future__ import annotations

from typing import Final

AUDITION: Final = "page/audition"
HOME_ASSISTANT: Final = "page/home-assistant"
LEXICON: Final = "page/lexicon"
REPORT: Final = "page/report.md"
SETTINGS: Final = "page/settings.json"
STATUS: Final = "page/status.json"
STREAM_TEST: Final = "page/stream-test"
VOICES: Final = "page/voices"
