"""Parsing of other servers' lists of voices, in the forms that servers send them.

Left out are voices that are not installed there, voices that every server of our kind has anyway (espeak-ng),
and voices of yet another server: so two servers that list each other never pass a request around.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeGuard

from wyoming_tts.languages import KOKORO_LETTERS, published_tag
from wyoming_tts.messages import Message
from wyoming_tts.speech import SPEAKER_MARK

ATTRIBUTION_PREFIX = "Remote voice of "
"""Begins the attribution of a remote voice, followed by its server."""
UNKNOWN_LANGUAGE = "en_US"
"""The language if neither the server nor the name states it: most such voices speak English."""

_MAX_VOICES = 5_000
_MAX_NAME = 200
_MAX_DESCRIPTION = 300
_LEFT_OUT_ENGINES = ("espeak", "remote")
_EMBEDDED = "espeak-"
_KOKORO_NAME = re.compile(r"([abefhijpz])[fm]_.+")
_NAMED_LANGUAGE = re.compile(r"([a-z]{2,3}_[A-Z]{2})-.+")


class NoVoiceList(Exception):
    """A server's answer is not a list of voices."""


@dataclass(frozen=True, slots=True)
class ListedVoice:
    """A voice as its server lists it."""

    name: str
    language: str
    description: str
    speakers: tuple[str, ...] = ()
    rate: int | None = None
    """The voice's sample rate, in Hz, if the server states it."""
    version: str | None = None
    reads_phonemes: bool = False
    """Whether `[[…]]` in its text is understood."""


def parse_voice_settings(entries: Iterable[str]) -> dict[str, str | None]:
    """Parse the setting's voices, written as `NAME` or `NAME=LANGUAGE`, into languages by name."""
    named = {}
    for entry in entries:
        name, _, language = entry.partition("=")
        if _is_usable_name(name.strip()):
            named[name.strip()] = published_tag(language)
    return named


def make_unlisted_voice(name: str, language: str | None) -> ListedVoice:
    """A voice that the settings name and no server lists."""
    return ListedVoice(name, language or _language_by_name(name), name)


def parse_http_list(body: bytes) -> tuple[ListedVoice, ...]:
    """Parse the response to `GET /v1/voices` or `/v1/audio/voices`: names, or objects with names.

    Raises:
        NoVoiceList: it is neither.
    """
    answer = _parse_json(body)
    items = answer
    if isinstance(answer, dict):
        items = answer.get("voices", answer.get("data"))
    if isinstance(items, dict):
        items = [
            {"name": name} | (fields if isinstance(fields, dict) else {}) for name, fields in items.items()
        ]
    if not isinstance(items, list):
        raise NoVoiceList(Message("answer_no_list", "The answer has no list of voices."))
    return _unique(map(_parse_http_voice, items[:_MAX_VOICES]))


def parse_wyoming_info(body: bytes) -> tuple[ListedVoice, ...]:
    """Parse the data of an `info` event.

    Raises:
        NoVoiceList: it lists no text-to-speech program.
    """
    answer = _parse_json(body)
    programs = answer.get("tts") if isinstance(answer, dict) else None
    if not isinstance(programs, list):
        raise NoVoiceList(
            Message("describe_no_speech", "The answer to describe lists no text-to-speech program.")
        )
    voices = [
        voice
        for program in programs
        if isinstance(program, dict) and program.get("installed", True)
        for voice in _as_list(program.get("voices"))
    ]
    found = _unique(map(_parse_wyoming_voice, voices[:_MAX_VOICES]))
    bases = {voice.name for voice in found if voice.speakers}
    return tuple(
        voice for voice in found if voice.name.partition(SPEAKER_MARK)[0] not in bases or voice.name in bases
    )


def _parse_http_voice(item: object) -> ListedVoice | None:
    fields = item if isinstance(item, dict) else {"name": item}
    name = next(filter(_is_usable_name, map(fields.get, ("id", "name", "voice_id"))), None)
    if name is None or fields.get("installed") is False or _is_left_out(name, fields):
        return None
    return _make_listed_voice(
        name,
        fields,
        language=fields.get("language") or fields.get("lang") or fields.get("locale"),
        reads_phonemes="engine" in fields,  # only servers of this kind say so
    )


def _parse_wyoming_voice(item: object) -> ListedVoice | None:
    fields = item if isinstance(item, dict) else {}
    name, credit = fields.get("name"), fields.get("attribution")
    if not _is_usable_name(name) or fields.get("installed") is False or _is_left_out(name, fields):
        return None
    if isinstance(credit, dict) and str(credit.get("name")).startswith(ATTRIBUTION_PREFIX):
        return None
    language = next(iter(_as_list(fields.get("languages"))), None)
    return _make_listed_voice(name, fields, language=language, reads_phonemes=True)


def _make_listed_voice(
    name: str, fields: Mapping[str, Any], *, language: object, reads_phonemes: bool
) -> ListedVoice:
    description, version, rate = fields.get("description"), fields.get("version"), fields.get("sample_rate")
    return ListedVoice(
        name,
        published_tag(language) or _language_by_name(name),
        description[:_MAX_DESCRIPTION] if isinstance(description, str) and description else name,
        speakers=tuple(_speakers(fields.get("speakers"))),
        rate=rate if isinstance(rate, int) and not isinstance(rate, bool) else None,
        version=version[:_MAX_NAME] if isinstance(version, str) else None,
        reads_phonemes=reads_phonemes,
    )


def _speakers(fields: object) -> Iterator[str]:
    for speaker in _as_list(fields)[:_MAX_VOICES]:
        name = speaker.get("name") if isinstance(speaker, dict) else speaker
        if _is_usable_name(name):
            yield name


def _is_left_out(name: str, fields: Mapping[str, Any]) -> bool:
    return fields.get("engine") in _LEFT_OUT_ENGINES or name.startswith(_EMBEDDED)


def _unique(voices: Iterable[ListedVoice | None]) -> tuple[ListedVoice, ...]:
    found: dict[str, ListedVoice] = {}
    for voice in voices:
        if voice is not None:
            found.setdefault(voice.name, voice)
    return tuple(found.values())


def override_languages(
    voices: Iterable[ListedVoice], languages: Mapping[str, str | None]
) -> tuple[ListedVoice, ...]:
    """Give each voice the language that the settings state for it, if they do."""
    return tuple(replace(voice, language=languages.get(voice.name) or voice.language) for voice in voices)


def _language_by_name(name: str) -> str:
    if match := _KOKORO_NAME.fullmatch(name):
        return KOKORO_LETTERS[match[1]]
    match = _NAMED_LANGUAGE.fullmatch(name)
    return match[1] if match else UNKNOWN_LANGUAGE


def _is_usable_name(name: object) -> TypeGuard[str]:
    return isinstance(name, str) and 0 < len(name) <= _MAX_NAME and name.isprintable()


def _as_list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _parse_json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise NoVoiceList(
            Message("list_not_json", "The list of voices is not JSON: {reason}.", reason=str(error))
        ) from None
