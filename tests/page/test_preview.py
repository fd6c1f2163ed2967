from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.parts import running_parts
from wyoming_tts.errors import TooLong, UnknownVoice
from wyoming_tts.page.preview import LONGEST_EXPLAINED, PreviewService, ProsodySlider

ASKED_FOR = ("en", "de", "fr", "es", "it", "nl", "pt", "pl", "ru", "zh", "ja", "hi", "ar")


@pytest.fixture
async def desk() -> AsyncIterator[PreviewService]:
    async with running_parts(noise_scale=None, noise_w_scale=0.5) as parts:
        yield PreviewService(parts)


async def test_voices_stand_by_language_and_the_better_engines_first(desk: PreviewService) -> None:
    voices = desk.voices()
    english = [voice.label for voice in voices if voice.language == "en_US"]
    assert english[:5] == [
        "English (US) · Kokoro · af_test",
        "English (US) · Kokoro · am_test",
        "English (US) · Piper · en_US-letters-low",
        "English (US) · Piper · en_US-tone-low",
        "English (US) · eSpeak NG · espeak-en-us",
    ]
    languages = [voice.label.partition(" · ")[0] for voice in voices]
    assert languages == sorted(languages)
    assert len({voice.name for voice in voices}) == len(voices) > 100


async def test_the_usual_voice_is_the_servers(desk: PreviewService) -> None:
    assert desk.default() == "en_US-letters-low"


async def test_speakers_stand_in_the_voices_own_order(desk: PreviewService) -> None:
    assert desk.speakers("de_DE-tones-low") == ("anna", "bert", "clara")
    assert desk.speakers("af_test") == ()
    facts = await desk.facts("de_DE-tones-low")
    assert (facts.speaker, facts.sample_rate, facts.language) == ("anna", 16_000, "de_DE")


async def test_sliders_are_the_engines_own_at_the_values_in_force(desk: PreviewService) -> None:
    assert await desk.sliders("af_test") == ()
    assert await desk.sliders("espeak-fr-fr") == (ProsodySlider("pitch", 0.5, 2.0, 0.05, 1.0),)
    piper = {slider.name: slider.value for slider in await desk.sliders("de_DE-tones-low")}
    assert piper == {"length_scale": 1.25, "noise_scale": 0.0, "noise_w_scale": 0.5}


async def test_a_setting_beyond_a_slider_widens_it() -> None:
    async with running_parts(length_scale=3.0) as parts:
        length = (await PreviewService(parts).sliders("en_US-tone-low"))[0]
    assert (length.minimum, length.maximum, length.value) == (0.5, 3.0, 3.0)


async def test_a_voice_that_is_not_here_is_refused(desk: PreviewService) -> None:
    with pytest.raises(UnknownVoice):
        await desk.facts("nobody")
    with pytest.raises(UnknownVoice):
        desk.speakers("nobody")


async def test_every_great_language_has_examples_that_its_voice_can_say(desk: PreviewService) -> None:
    for language in ASKED_FOR:
        examples = await desk.examples(f"{language}_XX")
        assert len(examples) >= 3, language
        assert await desk.is_example(examples[-1])
        voices = (voice for voice in desk.voices() if voice.engine == "espeak")
        voice = next(voice.name for voice in voices if voice.language.startswith(language))
        assert all((await desk.explain(examples[0], voice)).phonemes), language


async def test_a_language_without_examples_has_none(desk: PreviewService) -> None:
    assert await desk.examples("tlh") == ()
    assert not await desk.is_example("Not one of them.")


async def test_what_will_be_said_is_told_stage_by_stage(desk: PreviewService) -> None:
    said = await desk.explain("It is **21 °C**. Fine?", "espeak-en-us")
    assert said.voice == "espeak-en-us"
    assert said.cleaned == "It is 21 °C. Fine?"
    assert said.spoken.startswith("It is twenty-one degrees")
    assert len(said.segments) == len(said.phonemes) == 2
    assert "f" in said.phonemes[1]


async def test_without_a_voice_the_usual_one_is_explained(desk: PreviewService) -> None:
    assert (await desk.explain("Hello.", None)).voice == "en_US-letters-low"
    assert (await desk.explain("Hallo.", "de_DE-tones-low", "clara")).voice == "de_DE-tones-low"


async def test_more_than_anybody_reads_is_not_explained(desk: PreviewService) -> None:
    with pytest.raises(TooLong, match="5001 characters"):
        await desk.explain("x" * (LONGEST_EXPLAINED + 1), None)
