"""The Audition tab's service and HTTP routes: each voice's parameters and examples, and the stages of a text.

The audio itself comes from the HTTP API, and the list of voices from `voices`: the browser asks both itself.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import yaml
from fastapi import APIRouter, Query, Response
from pydantic import Field

from wyoming_tts.assembly.parts import EMBEDDED_ENGINE, Parts
from wyoming_tts.engines.piper.voice_json import read_voice_json, voice_json_path
from wyoming_tts.errors import TooLong
from wyoming_tts.languages import lookup
from wyoming_tts.messages import Message
from wyoming_tts.page import paths
from wyoming_tts.page.request_body import RequestBody, VoiceName
from wyoming_tts.speech import TextFormat, Utterance, Voice, VoiceRequest
from wyoming_tts.synthesis import Explanation
from wyoming_tts.transports.http.errors import json_response

_LOGGER = logging.getLogger(__name__)

PATH = paths.AUDITION
"""Relative to the page."""
MAX_EXPLAINED_CHARS = 5_000
"""All of it is phonemized, and nobody reads more."""


@dataclass(frozen=True, slots=True)
class ProsodySlider:
    """A parameter of an engine; `name` is that of the key in the body of a speech request."""

    name: str
    minimum: float
    maximum: float
    step: float
    value: float
    """The value in force for requests that set none."""


@dataclass(frozen=True, slots=True)
class VoiceFacts:
    """The properties of a voice and the parameters that it takes."""

    name: str
    language: str
    sample_rate: int
    """Hz."""
    speakers: tuple[str, ...]
    """Empty for a single-speaker voice."""
    speaker: str | None
    """The default speaker."""
    sliders: tuple[ProsodySlider, ...]
    examples: tuple[str, ...]
    """Texts in its language to hear it by; empty if there are none."""


_PITCH = ProsodySlider("pitch", 0.5, 2.0, 0.05, 1.0)
_PIPER = (
    ProsodySlider("length_scale", 0.5, 2.0, 0.01, 1.0),
    ProsodySlider("noise_scale", 0.0, 1.5, 0.001, 0.667),
    ProsodySlider("noise_w_scale", 0.0, 1.5, 0.001, 0.8),
)
"""With the defaults for voices whose configuration has none."""


class AuditionService:
    """Serves the Preview tab. Runs on the event loop; files are read on a worker."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def speakers(self, voice: str) -> tuple[str, ...]:
        """Return the speakers of a voice in the order of their numbers; empty for a single-speaker voice.

        Raises:
            SpeechError: the voice is not installed.
        """
        found = self._parts.library.installed(voice)
        return tuple(sorted(found.speakers, key=found.speakers.__getitem__))

    async def sliders(self, voice: str) -> tuple[ProsodySlider, ...]:
        """Return the engine's parameters besides speed and volume, with the values in force.

        Raises:
            SpeechError: the voice is not installed.
        """
        found = self._parts.library.installed(voice)
        if found.engine == EMBEDDED_ENGINE:
            return (_PITCH,)
        if found.engine != "piper":
            return ()
        trained = await self._parts.workers.run_blocking(partial(_read_piper_values, found.files))
        return tuple(self._with_value_in_force(slider, trained) for slider in _PIPER)

    async def facts(self, voice: str) -> VoiceFacts:
        """Return the properties, parameters and examples of a voice.

        Raises:
            SpeechError: it is not installed.
        """
        found = self._parts.library.installed(voice)
        return VoiceFacts(
            name=found.name,
            language=found.language,
            sample_rate=found.sample_rate,
            speakers=self.speakers(voice),
            speaker=_default_speaker(found),
            sliders=await self.sliders(voice),
            examples=await self.examples(found.language),
        )

    async def examples(self, language: str) -> tuple[str, ...]:
        """Return example texts in a language; empty if there are none."""
        known = await self._parts.workers.run_blocking(_load_examples)
        return lookup(known, language) or ()

    async def explain(
        self, text: str, request: VoiceRequest, text_format: TextFormat = TextFormat.PLAIN
    ) -> Explanation:
        """Return the stages of a text on its way to sound.

        Raises:
            TooLong: it has more than MAX_EXPLAINED_CHARS characters.
            SpeechError: it cannot be spoken.
        """
        if len(text) > MAX_EXPLAINED_CHARS:
            raise TooLong(
                _too_long(len(text), MAX_EXPLAINED_CHARS),
                hint=Message("try_a_part", "Try a part of it."),
            )
        utterance = Utterance.of(text, voice=request, text_format=text_format, transport="page")
        return await self._parts.synthesizer.explain(utterance)

    def _with_value_in_force(self, slider: ProsodySlider, trained: Mapping[str, float]) -> ProsodySlider:
        configured: float | None = getattr(self._parts.settings, slider.name)
        value = trained.get(slider.name, slider.value) if configured is None else configured
        return ProsodySlider(
            slider.name, min(slider.minimum, value), max(slider.maximum, value), slider.step, value
        )


def _too_long(length: int, most: int) -> Message:
    return Message(
        "text_too_long",
        "The text has {length} characters, expected at most {most}.",
        length=length,
        most=most,
    )


def _default_speaker(voice: Voice) -> str | None:
    named = (name for name, number in voice.speakers.items() if number == voice.default_speaker)
    return next(named, next(iter(voice.speakers), None))


def _read_piper_values(paths: tuple[Path, ...]) -> dict[str, float]:
    """Read the inference parameters of a voice from the configuration beside its model. Blocks."""
    try:
        inference = read_voice_json(voice_json_path(paths[0])).inference
    except (OSError, ValueError, IndexError) as error:
        _LOGGER.warning("The inference parameters of a voice cannot be read: %s.", error)
        return {}
    return {
        "length_scale": inference.length_scale,
        "noise_scale": inference.noise_scale,
        "noise_w_scale": inference.noise_w,
    }


@cache
def _load_examples() -> Mapping[str, tuple[str, ...]]:
    source = files(__package__).joinpath("examples.yaml").read_text(encoding="utf-8")
    return {language: tuple(texts) for language, texts in yaml.safe_load(source).items()}


class ExplainBody(RequestBody):
    """A text, and the voice that would speak it; the default voice if none is named."""

    text: str
    voice: VoiceName | None = None
    speaker: Annotated[str, Field(max_length=200)] | None = None
    language: Annotated[str, Field(max_length=200)] | None = None
    ssml: bool = False


def audition_routes(service: AuditionService) -> APIRouter:
    """Return the routes below PATH: JSON in and out."""
    router = APIRouter(include_in_schema=False)

    @router.get(f"/{PATH}/voice")
    async def facts(name: Annotated[str, Query(min_length=1, max_length=200)]) -> Response:
        return json_response(asdict(await service.facts(name)))

    @router.post(f"/{PATH}/explain")
    async def explain(body: ExplainBody) -> Response:
        request = VoiceRequest(body.voice or None, body.language or None, speaker=body.speaker or None)
        text_format = TextFormat.SSML if body.ssml else TextFormat.PLAIN
        return json_response(asdict(await service.explain(body.text, request, text_format)))

    return router
