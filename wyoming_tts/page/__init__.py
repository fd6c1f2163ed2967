"""What the web page does, without how it looks: one module a tab, and nothing of Gradio."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wyoming_tts.page.blending import BlendDesk
    from wyoming_tts.page.preview import PreviewDesk
    from wyoming_tts.page.status import StatusDesk
    from wyoming_tts.page.stream_test import StreamDesk
    from wyoming_tts.page.voices import VoiceDesk

__all__ = ["Desks"]


@dataclass(frozen=True, slots=True)
class Desks:
    """What does the work of each tab."""

    preview: PreviewDesk
    blending: BlendDesk
    stream_test: StreamDesk
    voices: VoiceDesk
    status: StatusDesk
