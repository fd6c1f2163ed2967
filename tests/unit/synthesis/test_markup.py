"""What markup, the lexicon and the spoken forms do to what is heard."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
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

GUEST = f'<voice name="{TONES.name}">Ja.</voice>'


@pytest.fixture
async def parts() -> AsyncIterator[Parts]:
    async with running_parts() as parts:
        yield parts


async def heard(
    parts: Parts, text: str, *, voice: str | None = None, text_format: TextFormat = TextFormat.PLAIN
) -> Audio:
    request = VoiceRequest(voice) if voice else None
    utterance = Utterance.of(text, voice=request, text_format=text_format)
    async with parts.synthesizer.speak(utterance) as stream:
        return join_chunks([chunk async for chunk in stream])


async def heard_ssml(parts: Parts, inner: str) -> Audio:
    return await heard(parts, f"<speak>{inner}</speak>", text_format=TextFormat.SSML)


def seconds(audio: Audio, rate: int = LETTERS.rate) -> float:
    return len(audio) / rate


# -- prosody ------------------------------------------------------------------------------------


async def test_twice_the_rate_takes_half_the_samples(parts: Parts) -> None:
    plain = await heard(parts, "One two.")
    fast = await heard_ssml(parts, "<prosody rate='200%'>One two.</prosody>")
    slow = await heard_ssml(parts, "<prosody rate='50%'>One two.</prosody>")
    assert len(fast) == len(plain) / 2
    assert len(slow) == len(plain) * 2
    assert LETTERS.said(fast, speed=2.0) == ["One two."]
    assert LETTERS.said(slow, speed=0.5) == ["One two."]


async def test_a_rate_holds_for_what_is_in_its_element_alone(parts: Parts) -> None:
    audio = await heard_ssml(parts, "One. <prosody rate='200%'>Two.</prosody> Three.")
    one, two, three = [await heard(parts, text) for text in ("One.", "Two.", "Three.")]
    fast = audio[len(one) : len(one) + len(two) // 2]
    assert LETTERS.said(audio[: len(one)]) == ["One."]
    assert LETTERS.said(fast, speed=2.0) == ["Two."]
    assert LETTERS.said(audio[len(one) + len(two) // 2 :]) == ["Three."]
    assert len(audio) == len(one) + len(two) // 2 + len(three)


async def test_a_volume_scales_what_is_in_its_element(parts: Parts) -> None:
    loud = await heard(parts, "One.")
    quiet = await heard_ssml(parts, "<prosody volume='50'>One.</prosody>")
    lower = await heard_ssml(parts, "<prosody volume='-6.0206dB'>One.</prosody>")
    assert np.allclose(quiet, loud / 2, atol=1)
    assert np.allclose(lower, loud / 2, atol=1)


async def test_what_is_silent_takes_its_time_and_makes_no_sound(parts: Parts) -> None:
    audio = await heard_ssml(parts, "First. <prosody volume='silent'>Second.</prosody> Third.")
    hidden = await heard(parts, "Second.")
    assert LETTERS.said(audio) == ["First.", "Third."]
    assert silences(audio)[1] == pytest.approx(len(hidden), abs=2)
    assert len(audio) == len(await heard(parts, "First. Second. Third."))


# -- pauses -------------------------------------------------------------------------------------


async def test_a_break_adds_its_time(parts: Parts) -> None:
    audio = await heard_ssml(parts, "First. <break time='750ms'/> Second.")
    assert LETTERS.said(audio) == ["First.", "Second."]
    assert silences(audio)[1] == pytest.approx(0.75 * LETTERS.rate, abs=2)
    assert len(audio) == len(await heard(parts, "First. Second.")) + round(0.75 * LETTERS.rate)


async def test_a_break_before_and_behind_all_words_is_heard(parts: Parts) -> None:
    audio = await heard_ssml(parts, "<break time='1s'/>One.<break time='2s'/>")
    assert silences(audio) == pytest.approx([LETTERS.rate, 2 * LETTERS.rate], abs=2)


async def test_paragraphs_are_parted_by_their_silence_and_sentences_by_theirs() -> None:
    async with running_parts(sentence_silence=0.2, paragraph_silence=0.5) as parts:
        plain = await heard(parts, "One here. Two there.\n\nThree too.")
        marked = await heard_ssml(parts, "<p>One here. Two there.</p><p>Three too.</p>")
    expected = [0, 0.2 * LETTERS.rate, 0.5 * LETTERS.rate, 0]
    assert silences(plain) == pytest.approx(expected, abs=2)
    assert np.array_equal(plain, marked)


async def test_trailing_silence_follows_the_last_word_once() -> None:
    async with running_parts(trailing_silence=0.25) as parts:
        audio = await heard(parts, "One. Two.")
        nothing = await heard(parts, " ... ")
    assert silences(audio) == pytest.approx([0, round(0.25 * LETTERS.rate)], abs=2)
    assert not len(nothing)


# -- other voices -------------------------------------------------------------------------------


async def test_another_voice_is_resampled_to_the_rate_of_the_stream(parts: Parts) -> None:
    alone = await heard(parts, "Ja.", voice=TONES.name)
    audio = await heard_ssml(parts, f"One. <break time='1s'/> {GUEST} <break time='1s'/> Two.")
    one = len(await heard(parts, "One.")) + LETTERS.rate
    guest = audio[one : -len(await heard(parts, "Two.")) - LETTERS.rate]

    assert seconds(guest) == pytest.approx(seconds(alone, TONES.rate), rel=0.01)
    assert LETTERS.said(audio[:one]) == ["One."]
    assert LETTERS.said(audio[one + len(guest) :]) == ["Two."]
    # The tones of the guest are those it makes alone: they would be higher, were they only replayed.
    assert peak_hertz(guest, LETTERS.rate) == pytest.approx(peak_hertz(alone, TONES.rate), abs=5)


def peak_hertz(audio: Audio, rate: int) -> float:
    spectrum = np.abs(np.fft.rfft(audio.astype(np.float64) * np.hanning(len(audio)), 1 << 18))
    return float(spectrum.argmax() * rate / (1 << 18))


async def test_a_language_that_the_voice_does_not_speak_is_left_to_one_that_does(parts: Parts) -> None:
    by_language = await heard_ssml(parts, "One. <lang xml:lang='de'>Ja.</lang>")
    by_name = await heard_ssml(parts, f"One. {GUEST}")
    assert np.array_equal(by_language, by_name)
    assert not np.array_equal(by_language, await heard(parts, "One. Ja."))


async def test_the_voice_s_own_language_changes_nothing(parts: Parts) -> None:
    audio = await heard_ssml(parts, "One. <lang xml:lang='en-GB'>Two.</lang>")
    assert LETTERS.said(audio) == ["One.", "Two."]


@pytest.mark.parametrize("element", ["voice name='nobody'", "lang xml:lang='zz'"])
async def test_who_is_not_there_is_spoken_for_by_the_own_voice_with_one_warning(
    parts: Parts, element: str, caplog: pytest.LogCaptureFixture
) -> None:
    closing = f"</{element.partition(' ')[0]}>"
    audio = await heard_ssml(parts, f"First. <{element}>Second.{closing} Third. <{element}>Fourth.{closing}")
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert LETTERS.said(audio) == ["First.", "Second.", "Third.", "Fourth."]
    assert len(warnings) == 1
    assert "keeps speaking" in warnings[0].message


async def test_tags_in_plain_text_change_the_voice_where_they_are_switched_on() -> None:
    text = f"One. [voice:{TONES.name}] Ja. [pause:1s] [voice:] Two."
    async with running_parts(voice_tags=True) as parts:
        tagged = await heard(parts, text)
        marked = await heard_ssml(parts, f"One. {GUEST} <break time='1s'/> Two.")
    assert np.array_equal(tagged, marked)


async def test_tags_are_text_where_they_are_not_switched_on(parts: Parts) -> None:
    audio = await heard(parts, "One [pause:1s] two.")
    assert "pause" in "".join(LETTERS.said(audio))
    assert len(stretches(audio)) == 1


# -- malformed markup ---------------------------------------------------------------------------


async def test_what_comes_before_malformed_markup_is_heard_and_then_it_is_told(parts: Parts) -> None:
    text = "<speak><s>One is here.</s> <s>Two too.</s>\n</b> Three.</speak>"
    async with parts.synthesizer.speak(Utterance.of(text, text_format=TextFormat.SSML)) as stream:
        chunks = [await anext(stream), await anext(stream)]
        with pytest.raises(MalformedMarkup, match="line 2, column 1"):
            await anext(stream)
    assert LETTERS.said(join_chunks(chunks)) == ["One is here.", "Two too."]


async def test_markup_in_plain_text_is_no_ssml(parts: Parts) -> None:
    audio = await heard(parts, "One <break time='9s'/> two </speak> three.")
    assert LETTERS.said(audio) == ["One two three."]


# -- the lexicon --------------------------------------------------------------------------------


def put(directory: Path, content: str) -> None:
    """Replace the lexicon as editors do: a new file is renamed to it."""
    fresh = directory / "lexicon.new"
    fresh.write_text(content, encoding="utf-8")
    fresh.replace(directory / "lexicon.yaml")


async def test_the_lexicon_changes_what_is_said_and_not_what_is_kept(tmp_path: Path) -> None:
    put(tmp_path, "en: {Siobhan: shivawn}")
    async with running_parts(data_dir=[tmp_path, VOICES]) as parts:
        first = await heard(parts, "Ask Siobhan now.")
        again = await heard(parts, "Ask Siobhan now.")
        put(tmp_path, "en: {Siobhan: she vorn}")
        assert await parts.workers.run_blocking(parts.lexicon.refresh)
        changed = await heard(parts, "Ask Siobhan now.")
        (tmp_path / "lexicon.yaml").unlink()
        assert await parts.workers.run_blocking(parts.lexicon.refresh)
        without = await heard(parts, "Ask Siobhan now.")
        hits = parts.cache.statistics().memory_hits
    assert LETTERS.said(first) == ["Ask shivawn now."]
    assert np.array_equal(first, again)
    assert LETTERS.said(changed) == ["Ask she vorn now."]
    assert LETTERS.said(without) == ["Ask Siobhan now."]
    assert hits == 1  # the one before the change


async def test_an_entry_of_another_language_or_voice_does_not_hold(tmp_path: Path) -> None:
    content = f"de: {{now: jetzt}}\nvoices:\n  {TONES.name}: {{Ask: frag}}\n  {LETTERS.name}: {{Bob: robert}}"
    put(tmp_path, content)
    async with running_parts(data_dir=[tmp_path, VOICES]) as parts:
        assert LETTERS.said(await heard(parts, "Ask Bob now.")) == ["Ask robert now."]


async def test_the_lexicon_s_word_goes_before_a_spoken_form(tmp_path: Path) -> None:
    put(tmp_path, "en: {5G: five gee, kWh: power}")
    async with running_parts(data_dir=[tmp_path, VOICES]) as parts:
        audio = await heard(parts, "With 5G and 5 km.")
    assert LETTERS.said(audio) == ["With five gee and five kilometers."]


async def test_a_broken_lexicon_leaves_the_one_before_in_use(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(tmp_path, "en: {Siobhan: shivawn}")
    async with running_parts(data_dir=[tmp_path, VOICES]) as parts:
        put(tmp_path, "en: {Siobhan: [1}")
        assert not await parts.workers.run_blocking(parts.lexicon.refresh)
        audio = await heard(parts, "Ask Siobhan.")
    assert LETTERS.said(audio) == ["Ask shivawn."]
    assert "is invalid" in caplog.text


# -- spoken forms -------------------------------------------------------------------------------


async def test_figures_are_said_in_words_unless_that_is_switched_off(parts: Parts) -> None:
    text = "It is 25 °C, **really**."
    async with running_parts(spoken_forms=False) as plain:
        assert "25" in "".join(LETTERS.said(await heard(plain, text)))
    said = "".join(LETTERS.said(await heard(parts, text)))
    assert said == "It is twenty-five degrees Celsius, really."


async def test_a_user_s_spoken_forms_are_read_from_the_data_directory(tmp_path: Path) -> None:
    content = "en: {units: {smoot: {one: smoot, many: smoots}}}"
    (tmp_path / "spoken.yaml").write_text(content, encoding="utf-8")
    async with running_parts(data_dir=[tmp_path, VOICES]) as parts:
        audio = await heard(parts, "It is 3 smoot long.")
    assert LETTERS.said(audio) == ["It is three smoots long."]


# -- the cache ----------------------------------------------------------------------------------


@pytest.mark.parametrize("manner", ["rate='200%'", "volume='50'"])
async def test_one_text_in_two_manners_is_kept_twice(parts: Parts, manner: str) -> None:
    ours = await heard_ssml(parts, "One.")
    other = await heard_ssml(parts, f"<prosody {manner}>One.</prosody>")
    assert not np.array_equal(ours, other)
    assert parts.cache.statistics().memory_hits == 0
    assert np.array_equal(await heard_ssml(parts, "One."), ours)
    assert np.array_equal(await heard_ssml(parts, f"<prosody {manner}>One.</prosody>"), other)
    assert parts.cache.statistics().memory_hits == 2


async def test_a_guest_s_audio_is_kept_at_its_own_rate(parts: Parts) -> None:
    first = await heard_ssml(parts, GUEST)
    alone = await heard(parts, "Ja.", voice=TONES.name)
    assert parts.cache.statistics().memory_hits == 1
    assert seconds(alone, TONES.rate) == pytest.approx(seconds(first), rel=0.01)
    assert np.array_equal(await heard_ssml(parts, GUEST), first)
    assert parts.cache.statistics().memory_hits == 2
