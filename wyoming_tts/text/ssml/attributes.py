"""SSML attributes: their values in numbers, and the speaking style that they add up to.

The W3C leaves most labels to the processor; those of rate are espeak-ng's, those of volume are
steps of 6 dB down and 3.5 and 6 dB up, which is the headroom that speech at a normal level leaves.
Relative values act on the style of the surrounding element. Each `parse_` function returns None for
a value that it cannot read.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from wyoming_tts.languages import TAG_PATTERN
from wyoming_tts.speech import VoiceRequest
from wyoming_tts.text.markup import MAX_BREAK_SECONDS, InterpretAs, SayAs, SpeakingStyle

Note: TypeAlias = Callable[[str], None]
"""Reports something in the document that has no effect; never in the document's words, as it is logged."""

RATES = (0.25, 4.0)
"""Limits of the product of all nested rates."""
VOLUMES = (0.0, 4.0)
PITCHES = (0.5, 2.0)

_RATE_LABELS = {"x-slow": 0.6, "slow": 0.8, "medium": 1.0, "default": 1.0, "fast": 1.25, "x-fast": 1.6}
_VOLUME_LABELS = {
    "silent": 0.0,
    "x-soft": 0.25,
    "soft": 0.5,
    "medium": 1.0,
    "default": 1.0,
    "loud": 1.5,
    "x-loud": 2.0,
}
_PITCH_LABELS = {"x-low": 0.7, "low": 0.85, "medium": 1.0, "default": 1.0, "high": 1.2, "x-high": 1.4}
_BREAK_LABELS = {"none": 0.0, "x-weak": 0.1, "weak": 0.25, "medium": 0.5, "strong": 0.8, "x-strong": 1.2}

_DECIBELS_OF_TEN = 20
_SEMITONES = 12
_FULL_VOLUME = 100

_NUMBER_RE = re.compile(
    r"(?P<sign>[+-]?)(?P<number>[0-9]{1,6}(?:\.[0-9]{0,6})?|\.[0-9]{1,6})\s*(?P<unit>%|dB|st|ms|s|)",
    re.IGNORECASE,
)
_LANGUAGE_RE = re.compile(TAG_PATTERN)
_MAX_NAME_CHARS = 200
_IGNORED_PROSODY = ("contour", "range", "duration")
_INTERPRETATIONS = {
    "cardinal": InterpretAs.CARDINAL,
    "number": InterpretAs.CARDINAL,
    "ordinal": InterpretAs.ORDINAL,
    "characters": InterpretAs.CHARACTERS,
    "spell-out": InterpretAs.CHARACTERS,
    "verbatim": InterpretAs.CHARACTERS,
    "letters": InterpretAs.CHARACTERS,
    "digits": InterpretAs.DIGITS,
    "number_digit": InterpretAs.DIGITS,
    "date": InterpretAs.DATE,
    "time": InterpretAs.TIME,
    "telephone": InterpretAs.TELEPHONE,
    "unit": InterpretAs.UNIT,
    "fraction": InterpretAs.FRACTION,
    "currency": InterpretAs.CURRENCY,
    "expletive": InterpretAs.EXPLETIVE,
    "bleep": InterpretAs.EXPLETIVE,
}


def style_inside(name: str, attributes: dict[str, str], outer: SpeakingStyle, note: Note) -> SpeakingStyle:
    """The style of an element's content, given the style around the element.

    Args:
        name: the element's local name; `xml:lang` counts on any element.
        attributes: as the parser gives them.
        outer: the style around the element.
        note: called for each attribute that has no effect.
    """
    style = replace(outer, say_as=None) if outer.say_as else outer
    if name == "prosody":
        style = _with_prosody(style, attributes, note)
    elif name == "voice":
        style = _with_voice(style, attributes, note)
    elif name == "say-as":
        style = replace(style, say_as=parse_say_as(attributes))
        if style.say_as is None:
            note("a <say-as> is read as plain text because its interpret-as is unknown")
    if (language := attributes.get("xml:lang")) is not None:
        style = _with_language(style, language, note)
    return style


def _with_prosody(style: SpeakingStyle, attributes: dict[str, str], note: Note) -> SpeakingStyle:
    for name in _IGNORED_PROSODY:
        if name in attributes:
            note(f"<prosody {name}> has no effect")
    rate = _prosody_factor("rate", attributes, parse_rate, note)
    volume = _prosody_factor("volume", attributes, parse_volume, note)
    pitch = _prosody_factor("pitch", attributes, parse_pitch, note)
    return replace(
        style,
        rate=clamp(style.rate * rate, RATES),
        volume=clamp(style.volume * volume, VOLUMES),
        pitch=clamp(style.pitch * pitch, PITCHES),
    )


def _prosody_factor(
    name: str, attributes: dict[str, str], read: Callable[[str], float | None], note: Note
) -> float:
    if name not in attributes:
        return 1.0
    factor = read(attributes[name])
    if factor is None:
        note(f"<prosody {name}> is ignored because its value is neither a number nor a label")
        return 1.0
    return factor


def _with_voice(style: SpeakingStyle, attributes: dict[str, str], note: Note) -> SpeakingStyle:
    voice = parse_voice(attributes)
    if voice is None:
        note("a <voice> without a name or language is ignored")
        return style
    # A named voice speaks its own language, whatever the language around it.
    return replace(style, voice=voice, language=voice.language)


def _with_language(style: SpeakingStyle, written: str, note: Note) -> SpeakingStyle:
    language = parse_language(written)
    if language is None and written.strip():
        note("an xml:lang is ignored because it is no language tag")
        return style
    return replace(style, language=language)


def clamp(value: float, limits: tuple[float, float]) -> float:
    """The nearest value within the limits."""
    return min(max(value, limits[0]), limits[1])


def parse_rate(value: str) -> float | None:
    """The factor of the speed: a label, `80%`, `1.2`, `+20%`."""
    return _factor(value, _RATE_LABELS, whole=1.0)


def parse_volume(value: str) -> float | None:
    """The linear gain: a label, `+6dB`, `80` of 100, `+10` of 100, `80%`."""
    match = _parse_number(value)
    if match and match["unit"].lower() == "db":
        decibels = clamp(_signed_value(match), (-100.0, 100.0))
        return float(10 ** (decibels / _DECIBELS_OF_TEN))
    return _factor(value, _VOLUME_LABELS, whole=_FULL_VOLUME)


def parse_pitch(value: str) -> float | None:
    """The factor of the frequency: a label, `+10%`, `+2st`. Hertz are meaningless for a trained voice."""
    match = _parse_number(value)
    if match and match["unit"].lower() == "st":
        return float(2 ** (clamp(_signed_value(match), (-48.0, 48.0)) / _SEMITONES))
    return None if match and not match["unit"] else _factor(value, _PITCH_LABELS, whole=1.0)


def parse_pause(time: str | None, strength: str | None) -> float | None:
    """Seconds of a break: `250ms`, `1.5s`, else by its strength; medium if it has neither."""
    if time is not None:
        match = _parse_number(time)
        if match is None or match["sign"] == "-" or match["unit"].lower() not in {"s", "ms"}:
            return None
        seconds = float(match["number"]) / (1000 if match["unit"].lower() == "ms" else 1)
        return min(seconds, MAX_BREAK_SECONDS)
    return _BREAK_LABELS.get((strength or "medium").strip().lower())


def parse_language(value: str) -> str | None:
    """A language tag as written, `de-DE`."""
    value = value.strip()
    return value if _LANGUAGE_RE.fullmatch(value) else None


def parse_voice(attributes: dict[str, str]) -> VoiceRequest | None:
    """The requested voice; the first of several names or languages.

    Gender, age and variant are not known of any voice here. `speaker` is not one of the W3C's
    attributes: it names one of a voice's speakers.
    """
    names = attributes.get("name", "").split()
    languages = (attributes.get("languages") or attributes.get("language") or "").split()
    tag = attributes.get("xml:lang") or (languages[0].partition(":")[0] if languages else "")
    name = names[0][:_MAX_NAME_CHARS] if names else None
    spoken = parse_language(tag)
    if name is None and spoken is None:
        return None
    return VoiceRequest(name=name, language=spoken, speaker=attributes.get("speaker") or None)


def parse_say_as(attributes: dict[str, str]) -> SayAs | None:
    """The interpretation of a `say-as` and its format."""
    kind, _, inner = attributes.get("interpret-as", "").strip().lower().partition(":")
    interpretation = _INTERPRETATIONS.get(kind)
    if interpretation is None:
        return None
    return SayAs(interpretation, (attributes.get("format", "") or inner).strip().lower())


def _parse_number(value: str) -> re.Match[str] | None:
    return _NUMBER_RE.fullmatch(value.strip())


def _signed_value(match: re.Match[str]) -> float:
    return float(match["sign"] + match["number"])


def _factor(value: str, labels: dict[str, float], *, whole: float) -> float | None:
    """The factor for a label, a percentage or a number relative to `whole`; with a sign: a change."""
    match = _parse_number(value)
    if match is None:
        return labels.get(value.strip().lower())
    if match["unit"] not in {"%", ""}:
        return None
    number = _signed_value(match) / (_FULL_VOLUME if match["unit"] else whole)
    return max(0.0, 1 + number) if match["sign"] else number
