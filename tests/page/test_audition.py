from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.parts import running_parts
from wyoming_tts.errors import TooLong, UnknownVoice
from wyoming_tts.page.audition import MAX_EXPLAINED_CHARS, AuditionService, ProsodySlider
from wyoming_tts.speech import VoiceRequest

LANGUAGES_WITH_EXAMPLES = ("en", "de", "fr", "es", "it", "nl", "pt", "pl", "ru", "zh", "ja", "hi", "ar")


@pytest.fixture
async def service() -> AsyncIterator[AuditionService]:
    async with running_parts(noise_scale=None, noise_w_scale=0.5) as parts:
        yield AuditionService(parts)


async def test_speakers_keep_the_voices_own_order(service: AuditionService) -> None:
    assert service.speakers("de_DE-tones-low") == ("anna", "bert", "clara")
    assert service.speakers("af_test") == ()
    facts = await service.facts("de_DE-tones-low")
    assert (facts.speaker, facts.sample_rate, facts.language) == ("anna", 16_000, "de_DE")


async def test_sliders_are_engine_specific_and_start_at_the_configured_values(
    service: AuditionService,
) -> None:
    assert await service.sliders("af_test") == ()
    assert await service.sliders("espeak-fr-fr") == (ProsodySlider("pitch", 0.5, 2.0, 0.05, 1.0),)
    piper = {slider.name: slider.value for slider in await service.sliders("de_DE-tones-low")}
    assert piper == {"length_scale": 1.25, "noise_scale": 0.0, "noise_w_scale": 0.5}


async def test_a_setting_beyond_the_sliders_range_widens_the_range() -> None:
    async with running_parts(length_scale=3.0) as parts:
        length = (await AuditionService(parts).sliders("en_US-tone-low"))[0]
    assert (length.minimum, length.maximum, length.value) == (0.5, 3.0, 3.0)


async def test_an_unknown_voice_is_refused(service: AuditionService) -> None:
    with pytest.raises(UnknownVoice):
        await service.facts("nobody")
    with pytest.raises(UnknownVoice):
        service.speakers("nobody")


async def test_major_languages_have_examples_that_their_espeak_voice_can_phonemize() -> None:
    async with running_parts() as parts:
        service = AuditionService(parts)
        embedded = [voice for voice in parts.library.voices if voice.engine == "espeak"]
        for language in LANGUAGES_WITH_EXAMPLES:
            examples = await service.examples(f"{language}_XX")
            assert len(examples) >= 3, language
            voice = next(voice.name for voice in embedded if voice.language.startswith(language))
            assert all((await service.explain(examples[0], VoiceRequest(voice))).phonemes), language


async def test_facts_of_a_voice_bring_examples_in_its_language(service: AuditionService) -> None:
    facts = await service.facts("de_DE-tones-low")
    assert facts.examples == await service.examples("de")
    assert "Licht" in facts.examples[2]


async def test_an_unknown_language_has_no_examples(service: AuditionService) -> None:
    assert await service.examples("tlh") == ()


async def test_explain_shows_the_text_after_each_processing_stage(service: AuditionService) -> None:
    explained = await service.explain("It is **21 °C**. Fine?", VoiceRequest("espeak-en-us"))
    assert explained.voice == "espeak-en-us"
    assert explained.cleaned == "It is 21 °C. Fine?"
    assert explained.spoken.startswith("It is twenty-one degrees")
    assert len(explained.segments) == len(explained.phonemes) == 2
    assert "f" in explained.phonemes[1]


async def test_explain_uses_the_default_voice_when_none_is_given(service: AuditionService) -> None:
    assert (await service.explain("Hello.", VoiceRequest())).voice == "en_US-letters-low"
    assert (
        await service.explain("Hallo.", VoiceRequest("de_DE-tones-low", speaker="clara"))
    ).voice == "de_DE-tones-low"


async def test_explain_refuses_text_over_the_limit(service: AuditionService) -> None:
    with pytest.raises(TooLong, match="5001 characters"):
        await service.explain("x" * (MAX_EXPLAINED_CHARS + 1), VoiceRequest())
