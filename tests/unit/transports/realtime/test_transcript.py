"""Transcripts of responses: what was heard at a moment of the audio."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wyoming_tts.speech import SpokenWord
from wyoming_tts.transports.realtime.transcript import (
    MAX_HEARD_WORDS,
    EndedTranscripts,
    TimedWord,
    Transcript,
)

RATE = 1_000
"""One sample each millisecond."""


def word(text: str, begin: int, start_ms: int, end_ms: int, *, estimated: bool = False) -> TimedWord:
    end = begin + len(text)
    return TimedWord(text, start_ms, end_ms, begin, end, begin, end, estimated)


THE, WEATHER, IS = word("The", 0, 40, 130), word("*weather*", 4, 130, 460), word("is", 14, 500, 600)


@pytest.fixture
def transcript() -> Transcript:
    """A response whose first word was sent whole, the second by half, and the third not yet."""
    transcript = Transcript(rate=RATE)
    for piece in ("The *wea", "ther* ", "is nice."):
        transcript.add_text(piece)
    transcript.add_words([THE, WEATHER])
    transcript.add_audio(300, has_sound=True)
    return transcript


@pytest.mark.parametrize(
    ("played_ms", "text", "words"),
    [
        (0, "", ()),
        (129, "", ()),
        (129.99, "", ()),
        (130, "The", (THE,)),
        (459, "The", (THE,)),
        (460, "The *weather*", (THE, WEATHER)),
        (499, "The *weather*", (THE, WEATHER)),
    ],
)
def test_a_word_is_heard_once_it_was_played_to_its_end(
    transcript: Transcript, played_ms: float, text: str, words: tuple[TimedWord, ...]
) -> None:
    transcript.add_words([IS])
    transcript.add_audio(300, has_sound=True)

    heard = transcript.heard(played_ms)

    assert (heard.played_ms, heard.text, heard.words) == (int(played_ms), text, words)


@pytest.mark.parametrize("played_ms", [None, 460, 10**9])
def test_no_more_is_heard_than_was_sent(transcript: Transcript, played_ms: int | None) -> None:
    heard = transcript.heard(played_ms)

    assert (heard.played_ms, heard.text) == (300, "The")


def test_a_complete_response_that_was_played_to_its_end_is_heard_with_its_last_full_stop(
    transcript: Transcript,
) -> None:
    transcript.add_words([IS])
    transcript.add_audio(400, has_sound=True)
    assert transcript.heard(None).text == "The *weather* is"

    transcript.complete()

    assert transcript.heard(None).text == "The *weather* is nice."
    assert transcript.heard(699).text == "The *weather* is"


def test_of_a_voice_that_tells_no_words_nobody_knows_what_was_heard() -> None:
    transcript = Transcript("Good morning.", rate=RATE)
    transcript.add_audio(300, has_sound=True)

    assert transcript.heard(200).text is None
    assert transcript.heard(0).text == ""
    transcript.complete()
    assert transcript.heard(300).text == "Good morning."


def test_of_a_silence_before_the_first_word_nothing_is_heard() -> None:
    transcript = Transcript("Good morning.", rate=RATE)
    transcript.add_audio(300, has_sound=False)

    assert transcript.heard(None).text == ""


def test_a_word_is_told_as_it_was_written() -> None:
    spoken = SpokenWord("25 °C", 3, 8, 4, 9, 0.5126, 1.4034, estimated=True)
    told = TimedWord("25 °C", 513, 1403, 3, 8, 4, 9, estimated=True)
    assert TimedWord.of(spoken) == told

    transcript = Transcript("😀 a25 °C", rate=RATE)
    transcript.add_words([told])
    transcript.add_audio(2_000, has_sound=True)
    assert transcript.heard(None).words == (told,)


def test_the_last_words_of_a_long_response_are_listed() -> None:
    transcript = Transcript("a " * 5_000, rate=RATE)
    transcript.add_words([word("a", 2 * number, number, number + 1) for number in range(5_000)])
    transcript.add_audio(4_000, has_sound=True)

    heard = transcript.heard(None)

    assert len(heard.words) == MAX_HEARD_WORDS
    assert (heard.words[0].start_ms, heard.words[-1].start_ms) == (3_000, 3_999)
    assert heard.text == "a " * 3_999 + "a"


@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(0, 50), st.integers(1, 50)), min_size=1),
    st.integers(0, 3_000),
)
def test_what_was_heard_grows_with_the_time_and_never_splits_a_word(
    lengths: list[tuple[int, int, int]], played_ms: int
) -> None:
    text, words, now = "", [], 0
    for letters, pause, sound in lengths:
        words.append(word("x" * letters, len(text), now + pause, now + pause + sound))
        text += "x" * letters + " "
        now += pause + sound
    transcript = Transcript(text, rate=RATE)
    transcript.add_words(words)
    transcript.add_audio(now + 1, has_sound=True)

    heard, later = transcript.heard(played_ms), transcript.heard(played_ms + 7)

    assert heard.words == tuple(one for one in words if one.end_ms <= played_ms)
    assert heard.text == text[: heard.words[-1].end if heard.words else 0]
    assert (later.text or "").startswith(heard.text)


class TestEndedTranscripts:
    def test_the_last_ones_are_kept(self) -> None:
        ended = EndedTranscripts(2)
        assert (ended.last, ended.get("a"), ended.get(None)) == (None, None, None)
        kept = {name: Transcript(name, rate=RATE) for name in "abc"}
        for name, transcript in kept.items():
            ended.add(name, transcript)

        assert [ended.get(name) for name in "abc"] == [None, kept["b"], kept["c"]]
        assert ended.last == "c"

    def test_a_later_response_of_the_same_id_takes_the_place_of_the_earlier(self) -> None:
        ended = EndedTranscripts(2)
        for text in ("one", "two", "three"):
            ended.add("same", latest := Transcript(text, rate=RATE))

        assert (ended.get("same"), len(ended)) == (latest, 1)

    def test_long_texts_are_forgotten_sooner_except_the_last(self) -> None:
        ended = EndedTranscripts(most_characters=10)
        for name, text in {"a": "12345", "b": "12345", "c": "1"}.items():
            ended.add(name, Transcript(text, rate=RATE))
        assert (len(ended), ended.get("a")) == (2, None)

        ended.add("d", Transcript("longer than all of it", rate=RATE))
        assert (len(ended), ended.last) == (1, "d")

    def test_a_long_session_takes_bounded_memory(self) -> None:
        ended = EndedTranscripts()
        for number in range(1_000):
            transcript = Transcript("a " * 2_000, rate=RATE)
            transcript.add_words([word("a", 2 * place, place, place + 1) for place in range(2_000)])
            ended.add(str(number), transcript)

        assert len(ended) == 16
        assert sys.getsizeof(transcript._numbers) + sys.getsizeof(transcript._ends_ms) < 80 * 2_000
