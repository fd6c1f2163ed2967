"""The manner that an element of SSML sets for its content."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from wyoming_tts.text.markup import SpeakingStyle
from wyoming_tts.text.ssml import attributes as ssml_attributes

Note: TypeAlias = Callable[[str], None]
"""Takes what is to be told once of a document: that something in it has no effect."""

_SHOWN = 40
"""Characters of a value in a note."""
_IGNORED_PROSODY = ("contour", "range", "duration")


def style_inside(name: str, attributes: dict[str, str], outer: SpeakingStyle, note: Note) -> SpeakingStyle:
    """The manner of what is in an element, by its local name; `xml:lang` counts on any."""
    style = replace(outer, say_as=None) if outer.say_as else outer
    if name == "prosody":
        style = _with_prosody(style, attributes, note)
    elif name == "voice":
        style = _with_voice(style, attributes, note)
    elif name == "say-as":
        style = replace(style, say_as=ssml_attributes.parse_say_as(attributes))
        if style.say_as is None:
            note(f"a <say-as> is read as plain text: {_shown(attributes)}")
    if (language := attributes.get("xml:lang")) is not None:
        style = _with_language(style, language, note)
    return style


def _with_prosody(style: SpeakingStyle, attributes: dict[str, str], note: Note) -> SpeakingStyle:
    for name in _IGNORED_PROSODY:
        if name in attributes:
            note(f"<prosody {name}> has no effect")
    rate = _factor("rate", attributes, ssml_attributes.parse_rate, note)
    volume = _factor("volume", attributes, ssml_attributes.parse_volume, note)
    pitch = _factor("pitch", attributes, ssml_attributes.parse_pitch, note)
    return replace(
        style,
        rate=ssml_attributes.clamp(style.rate * rate, ssml_attributes.RATES),
        volume=ssml_attributes.clamp(style.volume * volume, ssml_attributes.VOLUMES),
        pitch=ssml_attributes.clamp(style.pitch * pitch, ssml_attributes.PITCHES),
    )


def _factor(name: str, attributes: dict[str, str], read: Callable[[str], float | None], note: Note) -> float:
    if name not in attributes:
        return 1.0
    factor = read(attributes[name])
    if factor is None:
        note(f"<prosody> is ignored: {_shown({name: attributes[name]})}")
        return 1.0
    return factor


def _with_voice(style: SpeakingStyle, attributes: dict[str, str], note: Note) -> SpeakingStyle:
    voice = ssml_attributes.parse_voice(attributes)
    if voice is None:
        note(f"a <voice> is ignored that has neither a name nor a language: {_shown(attributes)}")
        return style
    # A voice that is named speaks its own language, whatever is spoken around it.
    return replace(style, voice=voice, language=voice.language)


def _with_language(style: SpeakingStyle, written: str, note: Note) -> SpeakingStyle:
    language = ssml_attributes.parse_language(written)
    if language is None and written.strip():
        note(f"a language is ignored: {_shown({'xml:lang': written})}")
        return style
    return replace(style, language=language)


def _shown(attributes: dict[str, str]) -> str:
    return ", ".join(f"{name[:_SHOWN]}={value[:_SHOWN]!r}" for name, value in list(attributes.items())[:4])
