"""Path and body of a request for speech over HTTP: those of OpenAI's API, or those of the settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from wyoming_tts.engines.base import RemoteOptions
from wyoming_tts.engines.remote.lists import ListedVoice
from wyoming_tts.engines.remote.upstream import UpstreamRequest
from wyoming_tts.http_paths import SPEECH_PATH
from wyoming_tts.ipa import split_phoneme_blocks
from wyoming_tts.json_template import JsonTemplate, as_text, fill_text

_SLOWEST: Final = 0.25
_FASTEST: Final = 4.0


class SpeechBody:
    """What is sent to a server for each segment."""

    def __init__(self, options: RemoteOptions) -> None:
        """Take the settings, which were checked where they were read."""
        self._model = options.model
        self._path = options.path
        self._template = None if options.body is None else JsonTemplate(options.body)
        self.is_openai = self._template is None and options.path == SPEECH_PATH
        """Whether it is that of OpenAI's API, whose servers may list their voices."""

    def path(self, request: UpstreamRequest, listed: ListedVoice) -> str:
        """Return the path, with its query."""
        values = self._values(request, listed).items()
        return fill_text(self._path, {name: quote(as_text(value), safe="") for name, value in values})

    def body(self, request: UpstreamRequest, listed: ListedVoice) -> Mapping[str, object]:
        """Return what is sent as JSON."""
        values = self._values(request, listed)
        if self._template is not None:
            return self._template.fill(values)
        body: dict[str, object] = {
            "model": values["model"],
            "input": values["text"],
            "voice": values["voice"],
            "response_format": "pcm",
            "speed": values["speed"],
            "stream": True,
        }
        if request.speaker is not None:
            body["speaker"] = request.speaker
        if listed.rate is not None:  # a server that lists rates also accepts one
            body["sample_rate"] = request.rate
        return body

    def _values(self, request: UpstreamRequest, listed: ListedVoice) -> dict[str, str | float | None]:
        return {
            "text": request.text if listed.reads_phonemes else _without_phonemes(request.text),
            "voice": request.voice,
            "speaker": request.speaker,
            "language": listed.language.partition("_")[0],
            "locale": listed.language.replace("_", "-"),
            "speed": min(max(request.speed, _SLOWEST), _FASTEST),
            "rate": request.rate,
            "model": self._model,
        }


def _without_phonemes(text: str) -> str:
    """Remove `[[…]]` for a server that would read it out."""
    if "[[" not in text:
        return text
    return "".join(part.text for part in split_phoneme_blocks(text) if not part.is_ipa)
