"""What the web page does, without how it looks: one module a tab, and nothing of Gradio."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wyoming_tts.page.blending import BlendService
    from wyoming_tts.page.preview import PreviewService
    from wyoming_tts.page.status import StatusService
    from wyoming_tts.page.stream_test import StreamTestService
    from wyoming_tts.page.voices import VoiceService

__all__ = ["PageServices"]


@dataclass(frozen=True, slots=True)
class PageServices:
    """What does the work of each tab."""

    preview: PreviewService
    blending: BlendService
    stream_test: StreamTestService
    voices: VoiceService
    status: StatusService
