"""Which voices another server says it has, in the shapes that servers say it in.

Left out is what it cannot speak with at once, what every server of this kind has anyway (espeak-ng), and
what it has from a further server: so two servers that name each other never send a request round.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeGuard

from wyoming_tts.languages import KOKORO_LETTERS, published_tag
from wyoming_tts.speech import SPEAKER_MARK

MARK = "Remote voice of "
"""How the attribution of a voice begins that is another server's."""
UNKNOWN_LANGUAGE = "en_US"
"""Where neither a server nor the name says: most voices of such servers speak English first."""

_MOST_VOICES = 5_000
_LONGEST_NAME = 200
_LONGEST_DESCRIPTION = 300
_LEFT_OUT_ENGINES = ("espeak", "remote")
_EMBEDDED = "espeak-"
_KOKORO_NAME = re.compile(r"([abefhijpz])[fm]_.+")
_NAMED_LANGUAGE = re.compile(r"([a-z]{2,3}_[A-Z]{2})-.+")


class NoList(Exception):
    """What a server answered is no list of voices."""


@dataclass(frozen=True, slots=True)
class ListedVoice:
    """A voice as its server lists it."""

    name: str
    language: str
    description: str
    speakers: tuple[str, ...] = ()
    rate: int | None = None
    """Hz the server says the voice has."""
    version: str | None = None
    reads_phonemes: bool = False
    """Whether `[[…]]` in its text is understood."""


def named_in_settings(entries: Iterable[str]) -> dict[str, str | None]:
    """The languages, where given, of voices written as `NAME` or `NAME=LANGUAGE`."""
    named = {}
    for entry in entries:
        name, _, language = entry.partition("=")
        if _usable_name(name.strip()):
            named[name.strip()] = published_tag(language)
    return named


def unlisted(name: str, language: str | None) -> ListedVoice:
    """A voice of which nothing but this is known."""
    return ListedVoice(name, language or _language_by_name(name), name)


def listed_over_http(body: bytes) -> tuple[ListedVoice, ...]:
    """Read the answer to `GET /v1/voices` or `/v1/audio/voices`: names, or objects that hold them.

    Raises:
        NoList: it is neither.
    """
    answer = _json(body)
    items = answer
    if isinstance(answer, dict):
        items = answer.get("voices", answer.get("data"))
    if isinstance(items, dict):
        items = [{"name": name} | (said if isinstance(said, dict) else {}) for name, said in items.items()]
    if not isinstance(items, list):
        raise NoList("The answer holds no list of voices.")
    return _first_of_each(map(_from_http, items[:_MOST_VOICES]))


def listed_over_wyoming(body: bytes) -> tuple[ListedVoice, ...]:
    """Read the data of an `info` event.

    Raises:
        NoList: it is not that.
    """
    answer = _json(body)
    programs = answer.get("tts") if isinstance(answer, dict) else None
    if not isinstance(programs, list):
        raise NoList("The answer to describe holds no text-to-speech.")
    voices = [
        voice
        for program in programs
        if isinstance(program, dict) and program.get("installed", True)
        for voice in _list(program.get("voices"))
    ]
    found = _first_of_each(map(_from_wyoming, voices[:_MOST_VOICES]))
    bases = {voice.name for voice in found if voice.speakers}
    return tuple(
        voice for voice in found if voice.name.partition(SPEAKER_MARK)[0] not in bases or voice.name in bases
    )


def _from_http(item: object) -> ListedVoice | None:
    said = item if isinstance(item, dict) else {"name": item}
    name = next(filter(_usable_name, map(said.get, ("id", "name", "voice_id"))), None)
    if name is None or said.get("installed") is False or _is_left_out(name, said):
        return None
    return _listed(
        name,
        said,
        language=said.get("language") or said.get("lang") or said.get("locale"),
        reads_phonemes="engine" in said,  # only servers of this kind say so
    )


def _from_wyoming(item: object) -> ListedVoice | None:
    said = item if isinstance(item, dict) else {}
    name, credit = said.get("name"), said.get("attribution")
    if not _usable_name(name) or said.get("installed") is False or _is_left_out(name, said):
        return None
    if isinstance(credit, dict) and str(credit.get("name")).startswith(MARK):
        return None
    language = next(iter(_list(said.get("languages"))), None)
    return _listed(name, said, language=language, reads_phonemes=True)


def _listed(name: str, said: Mapping[str, Any], *, language: object, reads_phonemes: bool) -> ListedVoice:
    description, version, rate = said.get("description"), said.get("version"), said.get("sample_rate")
    return ListedVoice(
        name,
        published_tag(language) or _language_by_name(name),
        description[:_LONGEST_DESCRIPTION] if isinstance(description, str) and description else name,
        speakers=tuple(_speakers(said.get("speakers"))),
        rate=rate if isinstance(rate, int) and not isinstance(rate, bool) else None,
        version=version[:_LONGEST_NAME] if isinstance(version, str) else None,
        reads_phonemes=reads_phonemes,
    )


def _speakers(said: object) -> Iterator[str]:
    for speaker in _list(said)[:_MOST_VOICES]:
        name = speaker.get("name") if isinstance(speaker, dict) else speaker
        if _usable_name(name):
            yield name


def _is_left_out(name: str, said: Mapping[str, Any]) -> bool:
    return said.get("engine") in _LEFT_OUT_ENGINES or name.startswith(_EMBEDDED)


def _first_of_each(voices: Iterable[ListedVoice | None]) -> tuple[ListedVoice, ...]:
    found: dict[str, ListedVoice] = {}
    for voice in voices:
        if voice is not None:
            found.setdefault(voice.name, voice)
    return tuple(found.values())


def with_languages(
    voices: Iterable[ListedVoice], languages: Mapping[str, str | None]
) -> tuple[ListedVoice, ...]:
    """The voices, each in the language that the settings give it, if they do."""
    return tuple(replace(voice, language=languages.get(voice.name) or voice.language) for voice in voices)


def _language_by_name(name: str) -> str:
    if match := _KOKORO_NAME.fullmatch(name):
        return KOKORO_LETTERS[match[1]]
    match = _NAMED_LANGUAGE.fullmatch(name)
    return match[1] if match else UNKNOWN_LANGUAGE


def _usable_name(name: object) -> TypeGuard[str]:
    return isinstance(name, str) and 0 < len(name) <= _LONGEST_NAME and name.isprintable()


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise NoList(f"The list of voices is not JSON: {error}.") from None
