"""Inline voice tags: `[voice:af_bella]`, `[lang:de]`, `[rate:0.8]` and `[pause:0.5s]` in plain text.

Several local servers know one or the other. They are off by default, as brackets may be text.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeAlias

import regex  # type: ignore[import-untyped]  # the standard library has no partial matches

from wyoming_tts.languages import TAG_PATTERN
from wyoming_tts.offset_text import group
from wyoming_tts.speech import VoiceRequest
from wyoming_tts.text.markup import NEUTRAL, Break, SpeakingStyle, StyledText
from wyoming_tts.text.ssml.attributes import RATES, clamp, parse_pause

MAX_TAG_CHARS = 200
"""A longer bracket is text."""

_VOICE = r"voice:[ \t]*(?P<voice>[^\[\]\s:][^\[\]\n]*)?"
_LANGUAGE = rf"lang:[ \t]*(?P<lang>{TAG_PATTERN})?[ \t]*"
_RATE = r"rate:[ \t]*(?P<rate>[0-9]{1,6}(?:\.[0-9]{0,6})?|default)?[ \t]*"
_PAUSE = r"pause:[ \t]*(?P<pause>[0-9]{1,6}(?:\.[0-9]{0,6})?[ \t]*m?s)[ \t]*"
_DEFAULT = "default"
_VOICE_TAG_RE = regex.compile(rf"\[{_VOICE}\]")

TagPart: TypeAlias = StyledText | Break


class VoiceTagParser:
    """Incremental parser of voice tags; the parts do not depend on the pieces that the text arrives in.

    `[voice:]` and `[voice:default]` return to the utterance's own voice; with either, and with any other
    voice, the language is that of the voice again, and the rate its usual one. `[lang:]` returns to the
    voice's language, `[rate:]` to its rate. A name is passed on as written, so it may be anything that the
    voice library resolves. No other bracket is a tag: neither `[voice](link)`, nor one inside `[[ ]]`, nor
    one that is malformed or not closed in time.
    """

    def __init__(self, *, voices: bool = True, pauses: bool = True) -> None:
        kinds = [_VOICE, _LANGUAGE, _RATE] * voices + [_PAUSE] * pauses
        self._tag_re = regex.compile(rf"(?i)\[(?:{'|'.join(kinds)})\]") if kinds else None
        self._style = NEUTRAL
        self._held = ""
        """A bracket that may begin a tag, and the text after it."""
        self._before = ""
        """The last character that was read."""

    def feed(self, text: str) -> list[TagPart]:
        """Take more text; return its parts, except for what may still become a tag."""
        return self._read(text, final=False)

    def finish(self) -> list[TagPart]:
        """End the text; return the rest, in which an unclosed tag is text."""
        return self._read("", final=True)

    def _read(self, text: str, *, final: bool) -> list[TagPart]:
        text = self._held + text
        self._held = ""
        parts: list[TagPart] = []
        start = at = 0
        while self._tag_re and (at := text.find("[", at)) >= 0:
            tag = None if self._follows_bracket(text, at) else self._tag_at(text, at, final=final)
            if tag is None:
                at += 1
                continue
            parts += self._text(text[start:at])
            start = at = tag.end()
            if tag.partial:
                self._held = group(tag)
            else:
                parts += self._apply(tag)
        parts += self._text(text[start:])
        read = text[: len(text) - len(self._held)]
        self._before = str(read[-1:]) or self._before
        return parts

    def _follows_bracket(self, text: str, at: int) -> bool:
        return (text[at - 1] if at else self._before) == "["

    def _tag_at(self, text: str, at: int, *, final: bool) -> regex.Match[str] | None:
        tag = self._tag_re.match(text, at, at + MAX_TAG_CHARS, partial=not final) if self._tag_re else None
        if tag and tag.partial and tag.end() - at >= MAX_TAG_CHARS:
            return None
        return tag

    def _text(self, text: str) -> list[TagPart]:
        return [StyledText(text, self._style)] if text else []

    def _apply(self, tag: regex.Match[str]) -> list[TagPart]:
        kind, _, value = tag.group()[1:-1].partition(":")
        value = value.strip()
        requested = "" if value.lower() == _DEFAULT else value
        match kind.lower():
            case "pause":
                seconds = parse_pause(value, None)
                return [Break(seconds)] if seconds else []
            case "lang":
                self._style = replace(self._style, language=requested or None)
            case "rate":
                self._style = replace(self._style, rate=clamp(float(requested), RATES) if requested else 1.0)
            case _:
                # A rate belongs to the voice it was given for: others have a pace of their own.
                self._style = SpeakingStyle(voice=VoiceRequest(name=requested) if requested else None)
        return []


def named_voices(text: str) -> tuple[VoiceRequest, ...]:
    """The voices that the tags of a whole text name, each once, in order."""
    parser = VoiceTagParser(pauses=False)
    parts = [*parser.feed(text), *parser.finish()]
    voices = (part.style.voice for part in parts if isinstance(part, StyledText))
    return tuple(dict.fromkeys(voice for voice in voices if voice is not None))


def is_voice_tag(text: str) -> bool:
    """Whether a text is one tag that names a voice."""
    return len(text) <= MAX_TAG_CHARS and _VOICE_TAG_RE.fullmatch(text) is not None
