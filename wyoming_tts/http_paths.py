"""Paths of the HTTP API that servers of this kind and their clients have in common."""

from __future__ import annotations

from typing import Final

SPEECH_PATH: Final = "/v1/audio/speech"
"""OpenAI's."""
REALTIME_PATH: Final = "/v1/audio/speech/stream/ws"
"""That of the realtime WebSocket."""
