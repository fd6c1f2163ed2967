"""The web page's back end: one module (or package) per tab with its service and HTTP routes, without Gradio.

`audition`, `blending`, `stream_test` and `status` are a tab each; the Voices tab is `voices`, `uploads` and
`lexicon`, and `bug_report` copies what the Status tab shows. `home_assistant` has Home Assistant's speakers
and assistants use a voice. `services` makes all of them for a running
server; `ui` renders the page and calls them.
`request_body` is the base of their JSON bodies, `sample_sentences` has a sentence to try each voice with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wyoming_tts.page.audition import AuditionService
    from wyoming_tts.page.blending import BlendService
    from wyoming_tts.page.bug_report import BugReporter
    from wyoming_tts.page.home_assistant.service import HomeAssistantService
    from wyoming_tts.page.lexicon import LexiconService
    from wyoming_tts.page.status import StatusService
    from wyoming_tts.page.stream_test.service import StreamTestService
    from wyoming_tts.page.voices import VoiceService

__all__ = ["PageServices"]


@dataclass(frozen=True, slots=True)
class PageServices:
    """The services of all tabs."""

    audition: AuditionService
    blending: BlendService
    stream_test: StreamTestService
    voices: VoiceService
    lexicon: LexiconService
    status: StatusService
    bug_report: BugReporter
    home_assistant: HomeAssistantService
