"""Every language that is advertised is one that Home Assistant can match.

It reads a tag as language and region, offers the languages for a choice, and gives text to a voice only if
its language is the chosen one; of languages with two codes it knows the two-letter one, and `nb` as `no`.
"""

from __future__ import annotations

import re

import pytest
from wyoming.info import Info

from wyoming_tts.engines.base import EngineOptions
from wyoming_tts.engines.espeak.engine import EspeakEngine
from wyoming_tts.transports.wyoming.protocol import info_event
from wyoming_tts.voices.catalogue import load_catalogue

SAME = {"nb": "no", "iw": "he"}
CHOICES = re.findall(
    "[^ ]+",
    "af ar bg bn bs ca cs cy da de el en en-GB eo es es-419 et eu fa fi fr ga he hi hr hu hy id is it ja ka "
    "ko lb lt lv mk ml nb nl pl pt pt-BR ro ru sk sl sq sr sv ta te th tr uk ur vi zh-Hans zh-Hant",
)
"""Languages of Home Assistant, except those that no engine supports."""
WITHOUT_TWO_LETTERS = re.compile(
    "bpy|chr|grc|hak|haw|hyw|jbo|kok|lfn|ltg|mto|nci|nog|pap|qdb|quc|qya|shn|sjn|smj|tlh"
)
"""Languages without a two-letter code: add one only after checking ISO 639-3."""


def parse_tag(tag: str) -> tuple[str, str | None]:
    language, *rest = re.split("[-_]", tag)
    return language.casefold(), rest[0].upper() if rest else None


def matches(chosen: str, advertised: str) -> bool:
    """Whether Home Assistant uses a voice of this tag for the chosen language; regions only rank."""
    one, other = parse_tag(chosen)[0], parse_tag(advertised)[0]
    return SAME.get(one, one) == SAME.get(other, other)


@pytest.fixture(scope="module")
def tags() -> set[str]:
    embedded = EspeakEngine(EngineOptions()).installed()
    assert len(embedded) > 100
    event = info_event(embedded, version="1", supports_streaming=True, downloadable=load_catalogue().voices)
    voices = Info.from_event(event).tts[0].voices
    assert sum(not voice.installed for voice in voices) > 150
    assert all(len(voice.languages) == 1 for voice in voices)
    return {language for voice in voices for language in voice.languages}


def test_every_advertised_tag_has_a_language_and_a_region(tags: set[str]) -> None:
    assert [tag for tag in sorted(tags) if not re.fullmatch(r"[a-z]{2,3}(_([A-Z]{2}|[0-9]{3}))?", tag)] == []


def test_every_advertised_language_uses_the_code_that_home_assistant_matches(tags: set[str]) -> None:
    long = {parse_tag(tag)[0] for tag in tags if len(parse_tag(tag)[0]) > 2}
    assert [code for code in sorted(long) if not WITHOUT_TWO_LETTERS.fullmatch(code)] == []
    assert not {"iw", "in", "ji", "mo", "sh", "nb"} & {parse_tag(tag)[0] for tag in tags}


def test_every_advertised_tag_is_matched_when_its_language_is_chosen(tags: set[str]) -> None:
    assert [tag for tag in sorted(tags) if not matches(parse_tag(tag)[0], tag)] == []


@pytest.mark.parametrize("chosen", CHOICES)
def test_every_language_of_home_assistant_finds_a_voice(chosen: str, tags: set[str]) -> None:
    assert any(matches(chosen, tag) for tag in tags)
