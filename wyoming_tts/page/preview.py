"""What the Preview tab asks: which voices there are, what each can be told, and what will be said.

The sound itself comes from the HTTP API: the browser asks for it and plays it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType

import yaml

from wyoming_tts.assembly.parts import EMBEDDED_ENGINE, Parts
from wyoming_tts.errors import SpeechError, TooLong
from wyoming_tts.languages import language_code, lookup, split_subtags
from wyoming_tts.speech import Utterance, Voice, VoiceRequest
from wyoming_tts.synthesis import Explanation

_LOGGER = logging.getLogger(__name__)

LONGEST_EXPLAINED = 5_000
"""Characters: phonemes are made of all of them, and nobody reads more."""
_SPOKEN_OF = "espeak-ng "
_NO_LANGUAGE = "-"
_BEST_FIRST = ("kokoro", "piper", "remote", EMBEDDED_ENGINE)
_ENGINES = MappingProxyType({"espeak": "eSpeak NG", "kokoro": "Kokoro", "piper": "Piper"})


@dataclass(frozen=True, slots=True)
class PickerVoice:
    """A voice as it is chosen."""

    name: str
    label: str
    """Language, engine and name: what a search looks through, and what they are sorted by."""
    language: str
    engine: str


@dataclass(frozen=True, slots=True)
class ProsodySlider:
    """A value of an engine's own, by its name in the body of a request for speech."""

    name: str
    minimum: float
    maximum: float
    step: float
    value: float
    """What the voice speaks with unless it is told otherwise."""


@dataclass(frozen=True, slots=True)
class VoiceFacts:
    """What a voice can be told."""

    name: str
    language: str
    sample_rate: int
    """Hz."""
    speakers: tuple[str, ...]
    """Empty for a voice of one."""
    speaker: str | None
    """Who speaks unless another is named."""
    sliders: tuple[ProsodySlider, ...]


_PITCH = ProsodySlider("pitch", 0.5, 2.0, 0.05, 1.0)
_PIPER = (
    ProsodySlider("length_scale", 0.5, 2.0, 0.01, 1.0),
    ProsodySlider("noise_scale", 0.0, 1.5, 0.001, 0.667),
    ProsodySlider("noise_w_scale", 0.0, 1.5, 0.001, 0.8),
)
"""With the values of a voice whose file gives none."""
SLIDERS = (_PITCH, *_PIPER)


class PreviewService:
    """Answers the Preview tab. All of it runs on the event loop."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def voices(self) -> tuple[PickerVoice, ...]:
        """Return the installed voices by language, within one by engine, the better engines first."""
        voices = self._parts.library.voices
        names = _language_names(voices)
        return tuple(_picked(voice, names) for voice in sorted(voices, key=partial(_order, names)))

    def default(self) -> str | None:
        """Return the voice that speaks where none is named; None where there is none at all."""
        try:
            return self._parts.library.resolve_now(VoiceRequest()).voice.name
        except SpeechError:
            return None

    def speakers(self, voice: str) -> tuple[str, ...]:
        """Return the speakers of a voice in its own order; none for a voice of one.

        Raises:
            SpeechError: the voice is not installed.
        """
        found = self._parts.library.installed(voice)
        return tuple(sorted(found.speakers, key=found.speakers.__getitem__))

    async def sliders(self, voice: str) -> tuple[ProsodySlider, ...]:
        """Return what the voice's engine takes beside speed and volume, at the values in force.

        Raises:
            SpeechError: the voice is not installed.
        """
        found = self._parts.library.installed(voice)
        if found.engine == EMBEDDED_ENGINE:
            return (_PITCH,)
        if found.engine != "piper":
            return ()
        own = await self._parts.workers.run_blocking(partial(_piper_values, found.files))
        return tuple(self._as_set(slider, own) for slider in _PIPER)

    async def facts(self, voice: str) -> VoiceFacts:
        """Return what there is to say of a voice.

        Raises:
            SpeechError: it is not installed.
        """
        found = self._parts.library.installed(voice)
        return VoiceFacts(
            name=found.name,
            language=found.language,
            sample_rate=found.sample_rate,
            speakers=self.speakers(voice),
            speaker=_speaker(found),
            sliders=await self.sliders(voice),
        )

    async def examples(self, language: str) -> tuple[str, ...]:
        """Return texts to try a voice of that language with; none where none are known."""
        known = await self._parts.workers.run_blocking(_examples)
        return lookup(known, language) or ()

    async def is_example(self, text: str) -> bool:
        """Whether a text is one of the examples, so that another may take its place."""
        known = await self._parts.workers.run_blocking(_examples)
        return any(text in texts for texts in known.values())

    async def explain(self, text: str, voice: str | None, speaker: str | None = None) -> Explanation:
        """Return what will be said, stage by stage.

        Raises:
            TooLong: there is too much of it to be read.
            SpeechError: it cannot be spoken.
        """
        if len(text) > LONGEST_EXPLAINED:
            raise TooLong(
                f"The text has {len(text)} characters; up to {LONGEST_EXPLAINED} are explained.",
                hint="Look at a part of it.",
            )
        request = VoiceRequest(voice or None, speaker=speaker or None)
        return await self._parts.synthesizer.explain(Utterance.of(text, voice=request, transport="page"))

    def _as_set(self, slider: ProsodySlider, own: Mapping[str, float]) -> ProsodySlider:
        set_to: float | None = getattr(self._parts.settings, slider.name)
        value = own.get(slider.name, slider.value) if set_to is None else set_to
        return ProsodySlider(
            slider.name, min(slider.minimum, value), max(slider.maximum, value), slider.step, value
        )


def _picked(voice: Voice, names: Mapping[str, str]) -> PickerVoice:
    label = f"{_language(voice, names)} · {_ENGINES.get(voice.engine, voice.engine)} · {voice.name}"
    return PickerVoice(voice.name, label, voice.language, voice.engine)


def _order(names: Mapping[str, str], voice: Voice) -> tuple[str, int, str]:
    rank = _BEST_FIRST.index(voice.engine) if voice.engine in _BEST_FIRST else len(_BEST_FIRST)
    return _language(voice, names), rank, voice.name


def _language(voice: Voice, names: Mapping[str, str]) -> str:
    code, *rest = split_subtags(voice.language)
    name = lookup(names, voice.language) or code or _NO_LANGUAGE
    return f"{name} ({'_'.join(rest)})" if rest else name


def _language_names(voices: Iterable[Voice]) -> dict[str, str]:
    """Name the languages as the embedded engine does: it speaks nearly all of them."""
    names: dict[str, str] = {}
    for voice in voices:
        if voice.engine == EMBEDDED_ENGINE:
            name = voice.description.removeprefix(_SPOKEN_OF).partition(" (")[0]
            names.setdefault(language_code(voice.language), name)
    return names


def _speaker(voice: Voice) -> str | None:
    named = (name for name, number in voice.speakers.items() if number == voice.default_speaker)
    return next(named, next(iter(voice.speakers), None))


def _piper_values(paths: tuple[Path, ...]) -> dict[str, float]:
    """Read what a voice was trained with, out of the file beside its model."""
    try:
        given = json.loads(paths[0].with_name(f"{paths[0].name}.json").read_text(encoding="utf-8"))
        inference = given.get("inference", {})
        return {
            slider.name: float(inference[name])
            for slider, name in zip(_PIPER, ("length_scale", "noise_scale", "noise_w"), strict=True)
            if name in inference
        }
    except (OSError, ValueError, TypeError, AttributeError, IndexError) as error:
        _LOGGER.warning("What a voice speaks with cannot be read: %s.", error)
        return {}


@cache
def _examples() -> Mapping[str, tuple[str, ...]]:
    source = files(__package__).joinpath("examples.yaml").read_text(encoding="utf-8")
    return {language: tuple(texts) for language, texts in yaml.safe_load(source).items()}
