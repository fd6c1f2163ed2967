"""The words of a stream: as they were written, with the times at which they are heard."""

from hypothesis import given
from hypothesis import strategies as st

from wyoming_tts.offset_text import OffsetText, Span, standing_for
from wyoming_tts.speech import SpokenWord, WordTiming, WordTimings
from wyoming_tts.synthesis.word_timeline import SegmentTimings, WordTimeline, WrittenText

RATE = 1000


def timeline(text: str) -> tuple[WordTimeline, OffsetText]:
    written = WrittenText()
    written.add(text)
    return WordTimeline(RATE, written), OffsetText.written(text)


def timings(*words: tuple[int, int, int, int], estimated: bool = False) -> WordTimings:
    return WordTimings(tuple(WordTiming(*word) for word in words), estimated=estimated)


def test_a_word_is_told_as_it_was_written_at_the_rate_of_the_stream() -> None:
    words, text = timeline("Hello world")
    words.begin_segment(text, 500)
    words.add(SegmentTimings(text, 2 * RATE, timings((0, 5, 200, 800), (6, 11, 900, 1400))))
    assert words.take(before=10_000) == (
        SpokenWord("Hello", 0, 5, 0, 5, 0.6, 0.9),
        SpokenWord("world", 6, 11, 6, 11, 0.95, 1.2),
    )


def test_a_word_is_told_with_the_chunk_that_it_begins_in_and_only_once() -> None:
    words, text = timeline("a b")
    words.begin_segment(text, 0)
    words.add(SegmentTimings(text, RATE, timings((0, 1, 0, 100), (2, 3, 100, 200))))
    assert [word.text for word in words.take(before=100)] == ["a"]
    assert words.take(before=100) == ()
    assert [word.text for word in words.take(before=101)] == ["b"]
    assert words.take(before=1_000_000) == ()


def test_words_spoken_for_one_that_was_written_are_one() -> None:
    words, text = timeline("It is 25 °C now")
    spoken = text[:6] + standing_for("twenty-five degrees Celsius", text[6:11]) + text[11:]
    words.begin_segment(spoken, 0)
    words.add(
        SegmentTimings(spoken, RATE, timings((6, 17, 300, 600), (18, 25, 600, 900), (26, 33, 900, 1300)))
    )
    assert words.take(before=10_000) == (SpokenWord("25 °C", 6, 11, 6, 11, 0.3, 1.3),)


def test_what_was_not_written_is_no_word() -> None:
    words, text = timeline("So.")
    spoken = "Code block. " + text
    words.begin_segment(spoken, 0)
    words.add(SegmentTimings(spoken, RATE, timings((0, 4, 0, 100), (5, 10, 100, 200), (12, 14, 300, 400))))
    assert [word.text for word in words.take(before=10_000)] == ["So"]


def test_leading_silence_delays_every_word() -> None:
    words, text = timeline("a b")
    words.begin_segment(text, 0)
    words.add(SegmentTimings(text, RATE, timings((0, 1, 0, 100), (2, 3, 100, 200))))
    words.delay(250)
    assert words.take(before=250) == ()
    assert [(word.start_time, word.end_time) for word in words.take(before=400)] == [
        (0.25, 0.35),
        (0.35, 0.45),
    ]


def test_a_word_of_a_voice_that_only_guesses_is_marked() -> None:
    words, text = timeline("a")
    words.begin_segment(text, 0)
    words.add(SegmentTimings(text, RATE, timings((0, 1, 0, 100), estimated=True)))
    assert [word.estimated for word in words.take(before=10)] == [True]


@given(st.lists(st.text(alphabet="a é😀\u0301中", max_size=5), max_size=12), st.data())
def test_offsets_in_utf_16_are_those_of_the_whole_text_whatever_was_forgotten(
    pieces: list[str], data: st.DataObject
) -> None:
    text, written, kept = "".join(pieces), WrittenText(), 0
    for piece in pieces:
        written.add(piece)
    for offset in sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6))):
        written.forget(kept)
        kept = offset
        assert written.utf16_offset(offset) == len(text[:offset].encode("utf-16-le")) // 2
        assert written.cut(Span(offset, len(text))) == text[offset:]
