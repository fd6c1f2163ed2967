"""Blends as voices: listed, found by recipe, and spoken by the engine."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.tones import KOKORO, VOICES
from wyoming_tts.engines.base import EngineOptions, samples_of
from wyoming_tts.engines.kokoro.engine import KokoroEngine, blended_voice
from wyoming_tts.errors import BadRequest, UnknownVoice
from wyoming_tts.speech import Prosody, Segment, VoiceSpec
from wyoming_tts.voices.blends.mixing import Blend
from wyoming_tts.voices.blends.recipes import parse_recipe
from wyoming_tts.voices.blends.store import BlendStore
from wyoming_tts.voices.blends.voices import BlendResolver

PACK = {"af_test": "en_US", "am_test": "en_US", "bf_test": "en_GB", "ef_test": "es_ES"}


@pytest.fixture
def store(tmp_path: Path) -> BlendStore:
    return BlendStore(tmp_path, voices=lambda: PACK)


@pytest.fixture
def voices(store: BlendStore) -> BlendResolver:
    return BlendResolver(store.load, lambda: PACK)


def make_blend(name: str, recipe: str, language: str | None = None) -> Blend:
    return Blend(name, parse_recipe(recipe), language)


def test_a_stored_blend_is_found_by_name_and_one_with_unknown_voices_is_not_listed(
    store: BlendStore, voices: BlendResolver
) -> None:
    store.add(make_blend("mine", "af_test+am_test"))
    BlendStore(store._path.parent).add(make_blend("lost", "af_gone"))
    assert [voice.name for voice in voices.list_voices()] == ["mine"]
    found = voices.find("mine")
    assert found
    assert (found.language, found.made_of) == ("en_US", frozenset({"af_test", "am_test"}))
    assert voices.find("af_test") is None


def test_an_unreadable_blend_file_does_not_hide_other_voices(
    store: BlendStore, voices: BlendResolver, caplog: pytest.LogCaptureFixture
) -> None:
    store._path.mkdir()
    assert voices.list_voices() == []
    assert "cannot be read: it is not a regular file" in caplog.text


def test_a_recipe_is_a_voice_under_its_canonical_form(store: BlendStore, voices: BlendResolver) -> None:
    store.add(make_blend("mine", "af_test+am_test"))
    found = voices.find("20*mine + 80*af_test")
    assert found
    assert found.name == "af_test(80)+mine(20)"
    with pytest.raises(BadRequest, match="expected the name"):
        voices.find("af_test+")
    with pytest.raises(UnknownVoice, match="af_tset"):
        voices.find("af_tset+am_test")


def test_a_recipe_across_languages_uses_the_language_of_its_heaviest_part_with_a_warning(
    voices: BlendResolver, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        found = voices.find("af_test+bf_test(2)")
    assert found
    assert found.language == "en_GB"
    assert "specifies none: it speaks en_GB" in caplog.text


def test_the_engine_mixes_the_voices_of_a_blend_and_reloads_a_changed_blend(
    store: BlendStore, voices: BlendResolver
) -> None:
    engine = KokoroEngine(
        EngineOptions(
            kokoro_model=VOICES / "kokoro-tones.onnx",
            kokoro_voices=VOICES / "voices-tones.bin",
            intra_op_threads=1,
            kokoro_blends=voices,
        )
    )

    def speakers(name: str) -> set[str]:
        voice = next(voice for voice in engine.installed() if voice.name == name)
        steps = loaded.render(Segment("One two."), VoiceSpec(voice), Prosody())
        return KOKORO.speakers_of(np.concatenate([*map(samples_of, steps)]))

    mine = store.add(make_blend("mine", "af_test+bf_test", "en_GB"))
    listed = {voice.name: voice for voice in engine.installed()}
    assert listed["mine"].language == "en_GB"
    loaded = engine.load(listed["mine"])
    try:
        # Each test voice has a higher pitch than the one before: mixing the first and third gives the second.
        assert speakers("mine") == {"am_test"}
        store.replace(replace(mine, recipe=parse_recipe("am_test+ef_test")), expected=mine)
        assert speakers("mine") == {"bf_test"}
        recipe = voices.find("am_test+ef_test")
        assert recipe
        once = VoiceSpec(blended_voice(listed["af_test"], recipe))
        audio = np.concatenate([*map(samples_of, loaded.render(Segment("One two."), once, Prosody()))])
        assert KOKORO.speakers_of(audio) == {"bf_test"}
    finally:
        loaded.close()


@pytest.mark.parametrize(
    ("name", "written", "listed"),
    [
        ("kitchen_voice", {}, "Kitchen voice (Kokoro blend)"),
        ("captain", {"description": "A full male voice."}, "Captain: A full male voice."),
        ("Kuechenstimme", {"title": "Küchenstimme"}, "Küchenstimme"),
        ("Kuechenstimme", {"title": "Küchenstimme", "description": "Klar."}, "Küchenstimme: Klar."),
        ("Kuechenstimme", {"description": "Küchenstimme"}, "Küchenstimme"),  # as former versions stored it
    ],
)
def test_a_stored_blend_is_listed_by_the_name_that_it_was_given(
    store: BlendStore, voices: BlendResolver, name: str, written: dict[str, Any], listed: str
) -> None:
    store.add(replace(make_blend(name, "af_test+am_test"), **written))
    (voice,) = voices.list_voices()
    assert voice.description == listed


@pytest.mark.parametrize(
    ("wanted", "spoken"),
    [
        ("fr", "fr_FR"),
        ("en-us", "en_US"),
        ("en", "en_GB"),
        ("en_AU", "en_GB"),
        ("es_MX", "es_ES"),
        ("de", "en_GB"),
    ],
)
def test_a_recipe_speaks_the_language_that_is_asked_for_where_kokoro_knows_it(
    voices: BlendResolver, wanted: str, spoken: str
) -> None:
    found = voices.find("bf_test(2)+af_test", language=wanted)
    assert found
    assert found.language == spoken


def test_a_stored_blend_has_a_language_of_its_own(store: BlendStore, voices: BlendResolver) -> None:
    store.add(make_blend("mine", "af_test+bf_test", "en_GB"))
    found = voices.find("mine", language="fr")
    assert found
    assert found.language == "en_GB"
