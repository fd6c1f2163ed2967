"""The Preview tab's service: the voice picker, the controls of each voice, and the stages of a text.

The audio itself comes from the HTTP API, which the browser calls directly.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType

import yaml

from wyoming_tts.assembly.parts import EMBEDDED_ENGINE, Parts
from wyoming_tts.engines.piper.voice_json import read_voice_json, voice_json_path
from wyoming_tts.errors import SpeechError, TooLong
from wyoming_tts.languages import language_code, lookup, split_subtags
from wyoming_tts.speech import Utterance, Voice, VoiceRequest
from wyoming_tts.synthesis import Explanation

_LOGGER = logging.getLogger(__name__)

MAX_EXPLAINED_CHARS = 5_000
"""All of it is phonemized, and nobody reads more."""
_DESCRIPTION_PREFIX = "espeak-ng "
_UNKNOWN_LANGUAGE = "-"
_ENGINE_ORDER = ("kokoro", "piper", "remote", EMBEDDED_ENGINE)
_ENGINE_LABELS = MappingProxyType({"espeak": "eSpeak NG", "kokoro": "Kokoro", "piper": "Piper"})


@dataclass(frozen=True, slots=True)
class PickerVoice:
    """A voice in the picker."""

    name: str
    label: str
    """Language, engine and name; searched by the picker."""
    language: str
    engine: str


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


_PITCH = ProsodySlider("pitch", 0.5, 2.0, 0.05, 1.0)
_PIPER = (
    ProsodySlider("length_scale", 0.5, 2.0, 0.01, 1.0),
    ProsodySlider("noise_scale", 0.0, 1.5, 0.001, 0.667),
    ProsodySlider("noise_w_scale", 0.0, 1.5, 0.001, 0.8),
)
"""With the defaults for voices whose configuration has none."""
SLIDERS = (_PITCH, *_PIPER)


class PreviewService:
    """Serves the Preview tab. Runs on the event loop; files are read on a worker."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def voices(self) -> tuple[PickerVoice, ...]:
        """Return the installed voices, sorted by language, then by engine, better engines first."""
        voices = self._parts.library.voices
        names = _language_names(voices)
        return tuple(_picker_voice(voice, names) for voice in sorted(voices, key=partial(_sort_key, names)))

    def default(self) -> str | None:
        """Return the default voice or its stand-in; None if no voice is installed."""
        try:
            return self._parts.library.resolve_now(VoiceRequest()).voice.name
        except SpeechError:
            return None

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
        """Return the properties and parameters of a voice.

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
        )

    async def examples(self, language: str) -> tuple[str, ...]:
        """Return example texts in a language; empty if there are none."""
        known = await self._parts.workers.run_blocking(_load_examples)
        return lookup(known, language) or ()

    async def is_example(self, text: str) -> bool:
        """Whether a text is one of the examples, which the page may replace by another."""
        known = await self._parts.workers.run_blocking(_load_examples)
        return any(text in texts for texts in known.values())

    async def explain(self, text: str, voice: str | None, speaker: str | None = None) -> Explanation:
        """Return the stages of a text on its way to sound.

        Raises:
            TooLong: it has more than MAX_EXPLAINED_CHARS characters.
            SpeechError: it cannot be spoken.
        """
        if len(text) > MAX_EXPLAINED_CHARS:
            raise TooLong(
                f"The text has {len(text)} characters, expected at most {MAX_EXPLAINED_CHARS}.",
                hint="Try a part of it.",
            )
        request = VoiceRequest(voice or None, speaker=speaker or None)
        return await self._parts.synthesizer.explain(Utterance.of(text, voice=request, transport="page"))

    def _with_value_in_force(self, slider: ProsodySlider, trained: Mapping[str, float]) -> ProsodySlider:
        configured: float | None = getattr(self._parts.settings, slider.name)
        value = trained.get(slider.name, slider.value) if configured is None else configured
        return ProsodySlider(
            slider.name, min(slider.minimum, value), max(slider.maximum, value), slider.step, value
        )


def _picker_voice(voice: Voice, names: Mapping[str, str]) -> PickerVoice:
    label = f"{_language(voice, names)} · {_ENGINE_LABELS.get(voice.engine, voice.engine)} · {voice.name}"
    return PickerVoice(voice.name, label, voice.language, voice.engine)


def _sort_key(names: Mapping[str, str], voice: Voice) -> tuple[str, int, str]:
    rank = _ENGINE_ORDER.index(voice.engine) if voice.engine in _ENGINE_ORDER else len(_ENGINE_ORDER)
    return _language(voice, names), rank, voice.name


def _language(voice: Voice, names: Mapping[str, str]) -> str:
    code, *rest = split_subtags(voice.language)
    name = lookup(names, voice.language) or code or _UNKNOWN_LANGUAGE
    return f"{name} ({'_'.join(rest)})" if rest else name


def _language_names(voices: Iterable[Voice]) -> dict[str, str]:
    """Map language codes to their names, taken from the embedded engine, which speaks nearly all of them."""
    names: dict[str, str] = {}
    for voice in voices:
        if voice.engine == EMBEDDED_ENGINE:
            name = voice.description.removeprefix(_DESCRIPTION_PREFIX).partition(" (")[0]
            names.setdefault(language_code(voice.language), name)
    return names


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
