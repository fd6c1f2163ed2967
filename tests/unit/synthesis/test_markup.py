"""SSML, voice tags, the lexicon and spoken forms, as they change the audio."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from tests.support.parts import join_chunks, running_parts
from tests.support.tones import LETTERS, TONES, VOICES, silences, stretches
from wyoming_tts.assembly.parts import Parts
from wyoming_tts.errors import MalformedMarkup
from wyoming_tts.speech import TextFormat, Utterance, VoiceRequest

Audio = npt.NDArray[np.int16]

OTHER_VOICE = f'<voice name="{TONES.name}">Ja.</voice>'


@pytest.fixture
async def parts() -> AsyncIterator[Parts]:
    async with running_parts() as parts:
        yield parts


async def speak(
    parts: Parts, text: str, *, voice: str | None = None, text_format: TextFormat = TextFormat.PLAIN
) -> Audio:
    request = VoiceRequest(voice) if voice else None
    utterance = Utterance.of(text, voice=request, text_format=text_format)
    async with parts.synthesizer.speak(utterance) as stream:
        return join_chunks([chunk async for chunk in stream])


async def speak_ssml(parts: Parts, inner: str) -> Audio:
    return await speak(parts, f"<speak>{inner}</speak>", text_format=TextFormat.SSML)


def seconds(audio: Audio, rate: int = LETTERS.rate) -> float:
    return len(audio) / rate


# -- prosody ------------------------------------------------------------------------------------


async def test_a_prosody_rate_scales_the_duration(parts: Parts) -> None:
    plain = await speak(parts, "One two.")
    fast = await speak_ssml(parts, "<prosody rate='128%'>One two.</prosody>")
    slow = await speak_ssml(parts, "<prosody rate='50%'>One two.</prosody>")
    assert len(fast) == pytest.approx(len(plain) / 1.28, abs=LETTERS.hop / 2)
    assert len(slow) == len(plain) * 2
    assert LETTERS.said(fast, speed=1.28) == ["One two."]
    assert LETTERS.said(slow, speed=0.5) == ["One two."]


async def test_a_prosody_rate_applies_only_within_its_element(parts: Parts) -> None:
    audio = await speak_ssml(parts, "One. <prosody rate='128%'>Two.</prosody> Three.")
    one, two, three = [await speak(parts, text) for text in ("One.", "Two.", "Three.")]
    faster = LETTERS.slot_begin(len(two) // LETTERS.slot, 1.28)
    fast = audio[len(one) : len(one) + faster]
    assert LETTERS.said(audio[: len(one)]) == ["One."]
    assert LETTERS.said(fast, speed=1.28) == ["Two."]
    assert LETTERS.said(audio[len(one) + faster :]) == ["Three."]
    assert len(audio) == len(one) + faster + len(three)


async def test_a_prosody_volume_scales_the_samples(parts: Parts) -> None:
    loud = await speak(parts, "One.")
    quiet = await speak_ssml(parts, "<prosody volume='50'>One.</prosody>")
    lower = await speak_ssml(parts, "<prosody volume='-6.0206dB'>One.</prosody>")
    assert np.allclose(quiet, loud / 2, atol=1)
    assert np.allclose(lower, loud / 2, atol=1)


async def test_silent_text_keeps_its_duration(parts: Parts) -> None:
    audio = await speak_ssml(parts, "First. <prosody volume='silent'>Second.</prosody> Third.")
    hidden = await speak(parts, "Second.")
    assert LETTERS.said(audio) == ["First.", "Third."]
    assert silences(audio)[1] == pytest.approx(len(hidden), abs=2)
    assert len(audio) == len(await speak(parts, "First. Second. Third."))


# -- pauses -------------------------------------------------------------------------------------


async def test_a_break_adds_its_duration(parts: Parts) -> None:
    audio = await speak_ssml(parts, "First. <break time='750ms'/> Second.")
    assert LETTERS.said(audio) == ["First.", "Second."]
    assert silences(audio)[1] == pytest.approx(0.75 * LETTERS.rate, abs=2)
    assert len(audio) == len(await speak(parts, "First. Second.")) + round(0.75 * LETTERS.rate)


async def test_breaks_before_and_after_all_words_are_rendered(parts: Parts) -> None:
    audio = await speak_ssml(parts, "<break time='1s'/>One.<break time='2s'/>")
    assert silences(audio) == pytest.approx([LETTERS.rate, 2 * LETTERS.rate], abs=2)


async def test_paragraph_and_sentence_silence_are_inserted_between_them() -> None:
    async with running_parts(sentence_silence=0.2, paragraph_silence=0.5) as parts:
        plain = await speak(parts, "One here. Two there.\n\nThree too.")
        marked = await speak_ssml(parts, "<p>One here. Two there.</p><p>Three too.</p>")
    expected = [0, 0.2 * LETTERS.rate, 0.5 * LETTERS.rate, 0]
    assert silences(plain) == pytest.approx(expected, abs=2)
    assert np.array_equal(plain, marked)


async def test_trailing_silence_follows_only_the_last_word() -> None:
    async with running_parts(trailing_silence=0.25) as parts:
        audio = await speak(parts, "One. Two.")
        nothing = await speak(parts, " ... ")
    assert silences(audio) == pytest.approx([0, round(0.25 * LETTERS.rate)], abs=2)
    assert not len(nothing)


async def test_leading_silence_precedes_only_the_first_word() -> None:
    async with running_parts(leading_silence=0.25) as parts:
        audio = await speak(parts, "One. Two.")
        nothing = await speak(parts, " ... ")
    assert silences(audio) == pytest.approx([round(0.25 * LETTERS.rate), 0], abs=2)
    assert not len(nothing)


# -- other voices -------------------------------------------------------------------------------


async def test_another_voice_is_resampled_to_the_rate_of_the_stream(parts: Parts) -> None:
    alone = await speak(parts, "Ja.", voice=TONES.name)
    audio = await speak_ssml(parts, f"One. <break time='1s'/> {OTHER_VOICE} <break time='1s'/> Two.")
    one = len(await speak(parts, "One.")) + LETTERS.rate
    other_voice = audio[one : -len(await speak(parts, "Two.")) - LETTERS.rate]

    assert seconds(other_voice) == pytest.approx(seconds(alone, TONES.rate), rel=0.01)
    assert LETTERS.said(audio[:one]) == ["One."]
    assert LETTERS.said(audio[one + len(other_voice) :]) == ["Two."]
    # Same tones as without resampling: merely replayed at the stream's rate, they would be higher.
    assert peak_hertz(other_voice, LETTERS.rate) == pytest.approx(peak_hertz(alone, TONES.rate), abs=5)


def peak_hertz(audio: Audio, rate: int) -> float:
    spectrum = np.abs(np.fft.rfft(audio.astype(np.float64) * np.hanning(len(audio)), 1 << 18))
    return float(spectrum.argmax() * rate / (1 << 18))


async def test_a_language_that_the_voice_does_not_speak_gets_a_voice_that_does(parts: Parts) -> None:
    by_language = await speak_ssml(parts, "One. <lang xml:lang='de'>Ja.</lang>")
    by_name = await speak_ssml(parts, f"One. {OTHER_VOICE}")
    assert np.array_equal(by_language, by_name)
    assert not np.array_equal(by_language, await speak(parts, "One. Ja."))


async def test_the_voices_own_language_changes_nothing(parts: Parts) -> None:
    audio = await speak_ssml(parts, "One. <lang xml:lang='en-GB'>Two.</lang>")
    assert LETTERS.said(audio) == ["One.", "Two."]


@pytest.mark.parametrize("element", ["voice name='nobody'", "lang xml:lang='zz'"])
async def test_an_unavailable_voice_is_replaced_by_the_main_voice_with_one_warning(
    parts: Parts, element: str, caplog: pytest.LogCaptureFixture
) -> None:
    closing = f"</{element.partition(' ')[0]}>"
    audio = await speak_ssml(parts, f"First. <{element}>Second.{closing} Third. <{element}>Fourth.{closing}")
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert LETTERS.said(audio) == ["First.", "Second.", "Third.", "Fourth."]
    assert len(warnings) == 1
    assert "keeps speaking" in warnings[0].message


@pytest.mark.parametrize("may_download", [True, False])
async def test_a_voice_in_markup_is_downloaded_only_if_its_utterance_may(
    parts: Parts, *, may_download: bool
) -> None:
    hooked: list[bool] = []

    async def hook(_: str, *, may_download: bool, patience: float | None) -> None:
        hooked.append(may_download)

    parts.library.set_missing_voice_hook(hook)
    utterance = Utterance.of(
        "<speak>One. <voice name='de_DE-thorsten-medium'>Zwei.</voice></speak>",
        voice=VoiceRequest(LETTERS.name, may_download=may_download),
        text_format=TextFormat.SSML,
    )
    async with parts.synthesizer.speak(utterance) as stream:
        async for _ in stream:
            pass
    assert set(hooked) == {may_download}


async def test_a_voice_that_is_not_allowed_does_not_speak_in_markup_either(parts: Parts) -> None:
    both_voices = await speak_ssml(parts, f"One. {OTHER_VOICE}")
    for allowed in ((), (LETTERS.name, TONES.name), (LETTERS.name,)):
        utterance = Utterance.of(
            f"<speak>One. {OTHER_VOICE}</speak>",
            voice=VoiceRequest(LETTERS.name, allowed=allowed),
            text_format=TextFormat.SSML,
        )
        async with parts.synthesizer.speak(utterance) as stream:
            audio = join_chunks([chunk async for chunk in stream])
        speaks_other = np.array_equal(audio, both_voices)
        assert speaks_other == (allowed != (LETTERS.name,))
    assert LETTERS.said(audio) == ["One.", "Ja."]


async def test_voice_tags_in_plain_text_work_when_enabled() -> None:
    text = f"One. [voice:{TONES.name}] Ja. [pause:1s] [voice:] Two."
    async with running_parts(voice_tags=True) as parts:
        tagged = await speak(parts, text)
        marked = await speak_ssml(parts, f"One. {OTHER_VOICE} <break time='1s'/> Two.")
    assert np.array_equal(tagged, marked)


async def test_voice_tags_are_plain_text_when_disabled(parts: Parts) -> None:
    audio = await speak(parts, "One [pause:1s] two.")
    assert "pause" in "".join(LETTERS.said(audio))
    assert len(stretches(audio)) == 1


async def test_pause_tags_of_an_utterance_work_while_voice_tags_are_disabled(parts: Parts) -> None:
    utterance = replace(Utterance.of("One. [pause:1s] Two."), pause_tags=True)
    async with parts.synthesizer.speak(utterance) as stream:
        tagged = join_chunks([chunk async for chunk in stream])
    assert np.array_equal(tagged, await speak_ssml(parts, "One. <break time='1s'/> Two."))


# -- malformed markup ---------------------------------------------------------------------------


async def test_text_before_malformed_markup_is_spoken_before_the_error(parts: Parts) -> None:
    text = "<speak><s>One is here.</s> <s>Two too.</s>\n</b> Three.</speak>"
    async with parts.synthesizer.speak(Utterance.of(text, text_format=TextFormat.SSML)) as stream:
        chunks = [await anext(stream), await anext(stream)]
        with pytest.raises(MalformedMarkup, match="line 2, column 1"):
            await anext(stream)
    assert LETTERS.said(join_chunks(chunks)) == ["One is here.", "Two too."]


async def test_markup_in_plain_text_is_not_interpreted_as_ssml(parts: Parts) -> None:
    audio = await speak(parts, "One <break time='9s'/> two </speak> three.")
    assert LETTERS.said(audio) == ["One two three."]


# -- the lexicon --------------------------------------------------------------------------------


def replace_lexicon(directory: Path, content: str) -> None:
    """Replace the lexicon as editors do, by renaming a new file."""
    fresh = directory / "lexicon.new"
    fresh.write_text(content, encoding="utf-8")
    fresh.replace(directory / "lexicon.yaml")


async def test_a_lexicon_change_takes_effect_although_segments_are_cached(tmp_path: Path) -> None:
    replace_lexicon(tmp_path, "en: {Siobhan: shivawn}")
    async with running_parts(data_dir=[tmp_path, VOICES]) as parts:
        first = await speak(parts, "Ask Siobhan now.")
        again = await speak(parts, "Ask Siobhan now.")
        replace_lexicon(tmp_path, "en: {Siobhan: she vorn}")
        assert await parts.workers.run_blocking(parts.lexicon.refresh)
        changed = await speak(parts, "Ask Siobhan now.")
        (tmp_path / "lexicon.yaml").unlink()
        assert await parts.workers.run_blocking(parts.lexicon.refresh)
        without = await speak(parts, "Ask Siobhan now.")
        hits = parts.cache.statistics().memory_hits
    assert LETTERS.said(first) == ["Ask shivawn now."]
    assert np.array_equal(first, again)
    assert LETTERS.said(changed) == ["Ask she vorn now."]
    assert LETTERS.said(without) == ["Ask Siobhan now."]
    assert hits == 1  # the repetition before the change


async def test_entries_for_another_language_or_voice_are_ignored(tmp_path: Path) -> None:
    content = f"de: {{now: jetzt}}\nvoices:\n  {TONES.name}: {{Ask: frag}}\n  {LETTERS.name}: {{Bob: robert}}"
    replace_lexicon(tmp_path, content)
    async with running_parts(data_dir=[tmp_path, VOICES]) as parts:
        assert LETTERS.said(await speak(parts, "Ask Bob now.")) == ["Ask robert now."]


async def test_a_lexicon_entry_takes_precedence_over_a_spoken_form(tmp_path: Path) -> None:
    replace_lexicon(tmp_path, "en: {5G: five gee, kWh: power}")
    async with running_parts(data_dir=[tmp_path, VOICES]) as parts:
        audio = await speak(parts, "With 5G and 5 km.")
    assert LETTERS.said(audio) == ["With five gee and five kilometers."]


async def test_default_pronunciations_apply_where_the_lexicon_has_no_entry(tmp_path: Path) -> None:
    replace_lexicon(tmp_path, "en: {live: leeve}")
    text = "With option A and live music."
    async with running_parts(data_dir=[tmp_path, VOICES]) as parts:
        audio = await speak(parts, text)
        explained = await parts.synthesizer.explain(Utterance.of(text))
    async with running_parts(data_dir=[VOICES], spoken_forms=False) as parts:
        as_written = await speak(parts, text)
    assert LETTERS.said(audio) == ["With option eigh and leeve music."]
    assert [(hit.written, hit.file) for hit in explained.lexicon] == [("A", ""), ("live", "lexicon.yaml")]
    assert LETTERS.said(as_written) == ["With option A and live music."]


async def test_an_invalid_lexicon_keeps_the_previous_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    replace_lexicon(tmp_path, "en: {Siobhan: shivawn}")
    async with running_parts(data_dir=[tmp_path, VOICES]) as parts:
        replace_lexicon(tmp_path, "en: {Siobhan: [1}")
        assert not await parts.workers.run_blocking(parts.lexicon.refresh)
        audio = await speak(parts, "Ask Siobhan.")
    assert LETTERS.said(audio) == ["Ask shivawn."]
    assert "is invalid" in caplog.text


# -- spoken forms -------------------------------------------------------------------------------


async def test_numbers_are_spelled_out_unless_disabled(parts: Parts) -> None:
    text = "It is 25 °C, **really**."
    async with running_parts(spoken_forms=False) as plain:
        assert "25" in "".join(LETTERS.said(await speak(plain, text)))
    said = "".join(LETTERS.said(await speak(parts, text)))
    assert said == "It is twenty-five degrees Celsius, really."


async def test_custom_spoken_forms_are_read_from_the_data_directory(tmp_path: Path) -> None:
    content = "en: {units: {smoot: {one: smoot, many: smoots}}}"
    (tmp_path / "spoken.yaml").write_text(content, encoding="utf-8")
    async with running_parts(data_dir=[tmp_path, VOICES]) as parts:
        audio = await speak(parts, "It is 3 smoot long.")
    assert LETTERS.said(audio) == ["It is three smoots long."]


# -- the cache ----------------------------------------------------------------------------------


@pytest.mark.parametrize("attribute", ["rate='200%'", "volume='50'"])
async def test_each_prosody_of_a_text_is_cached_separately(parts: Parts, attribute: str) -> None:
    plain = await speak_ssml(parts, "One.")
    other = await speak_ssml(parts, f"<prosody {attribute}>One.</prosody>")
    assert not np.array_equal(plain, other)
    assert parts.cache.statistics().memory_hits == 0
    assert np.array_equal(await speak_ssml(parts, "One."), plain)
    assert np.array_equal(await speak_ssml(parts, f"<prosody {attribute}>One.</prosody>"), other)
    assert parts.cache.statistics().memory_hits == 2


async def test_a_markup_voice_is_cached_at_its_own_rate(parts: Parts) -> None:
    first = await speak_ssml(parts, OTHER_VOICE)
    alone = await speak(parts, "Ja.", voice=TONES.name)
    assert parts.cache.statistics().memory_hits == 1
    assert seconds(alone, TONES.rate) == pytest.approx(seconds(first), rel=0.01)
    assert np.array_equal(await speak_ssml(parts, OTHER_VOICE), first)
    assert parts.cache.statistics().memory_hits == 2
